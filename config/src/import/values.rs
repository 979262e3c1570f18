//! Values of a client's file: arguments, variables, headers and addresses, with references in the place of secrets.

use super::draft::Draft;
use super::notes::upper;
use super::part::Part;
use super::secrets::{is_scheme, looks_secret, names_secret};
use super::server::Reader;
use super::text::{outside, skeleton, translate};
use crate::expansion::is_variable;
use crate::report::quote;

impl Reader<'_> {
    /// The value of a variable of a program.
    pub(super) fn variable(&mut self, server: &str, key: &str, part: &Part<'_>) -> String {
        let value = part.text().unwrap_or_default();
        if !is_secret(key, value) {
            return translate(value, part, &self.inputs, self.notes);
        }
        let own = format!("{}_{}", upper(server), upper(key));
        let wanted = if is_variable(key) { key.to_owned() } else { own.clone() };
        self.secret(
            [&wanted, &own],
            value,
            part,
            &format!("the variable {} of the server {}", quote(key), quote(server)),
        )
    }

    /// The value of a header.
    pub(super) fn header(&mut self, server: &str, key: &str, part: &Part<'_>) -> String {
        let value = part.text().unwrap_or_default();
        if !is_secret(key, value) {
            return translate(value, part, &self.inputs, self.notes);
        }
        let purpose = format!("the header {} of the server {}", quote(key), quote(server));
        let own = format!("{}_{}", upper(server), upper(key));
        match value.split_once(' ') {
            Some((scheme, secret)) if is_scheme(scheme) => {
                let wanted = format!("{}_TOKEN", upper(server));
                let purpose = format!("{purpose}, behind `{scheme}`");
                format!("{scheme} {}", self.secret([&wanted, &own], secret.trim(), part, &purpose))
            }
            _ => self.secret([&own, &format!("{own}_HEADER")], value, part, &purpose),
        }
    }

    /// One word of a program's command line; `before` is the one before it.
    pub(super) fn argument(&mut self, server: &str, before: &str, value: &str, part: &Part<'_>) -> String {
        let purpose = format!("an argument of the server {}", quote(server));
        let own = |name: &str| {
            let name = name.trim_start_matches('-');
            let own = format!("{}_{}", upper(server), upper(name));
            // `-e NAME=value` of a container names a variable that has its name already.
            let plain = is_variable(name) && name.chars().all(|c| !c.is_ascii_lowercase());
            if plain { [name.to_owned(), own] } else { [own.clone(), format!("{own}_ARGUMENT")] }
        };
        for separator in ['=', ':'] {
            let Some((name, secret)) = value.split_once(separator) else { continue };
            let named =
                !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c));
            if named && !secret.starts_with("//") && is_secret(name, secret) {
                let [wanted, fallback] = own(name);
                let space = if secret.starts_with(' ') { " " } else { "" };
                let (scheme, secret) = match secret.trim().split_once(' ') {
                    Some((scheme, secret)) if is_scheme(scheme) => (format!("{scheme} "), secret),
                    _ => (String::new(), secret.trim()),
                };
                let variable = self.secret([&wanted, &fallback], secret, part, &purpose);
                return format!("{name}{separator}{space}{scheme}{variable}");
            }
        }
        let option = before.starts_with('-') && !before.contains('=') && names_secret(before);
        if !value.starts_with("--") && ((option && is_secret(before, value)) || is_secret("", value)) {
            let [wanted, fallback] = own(if option { before } else { "argument" });
            return self.secret([&wanted, &fallback], value, part, &purpose);
        }
        translate(value, part, &self.inputs, self.notes)
    }

    /// The name of a program, which some write as a whole command line.
    pub(super) fn command(&mut self, server: &str, value: &str, part: &Part<'_>) -> String {
        if !is_secret("", value) {
            return translate(value, part, &self.inputs, self.notes);
        }
        let own = format!("{}_COMMAND", upper(server));
        self.secret([&own, &own], value, part, &format!("the program of the server {}", quote(server)))
    }

    /// An address; what is secret in it becomes a reference, and its user a header.
    pub(super) fn url(&mut self, server: &str, value: &str, part: &Part<'_>, headers: &mut Draft) -> String {
        let mut text = value.to_owned();
        let authority = text.split_once("://").and_then(|(scheme, rest)| {
            let end = outside(rest).find(|(_, letter)| "/?#".contains(*letter));
            let (authority, after) = rest.split_at_checked(end.map_or(rest.len(), |(at, _)| at))?;
            let (user, host) = authority.rsplit_once('@')?;
            Some((user.to_owned(), format!("{scheme}://{host}{after}")))
        });
        if let Some((user, without)) = authority {
            let name = format!("{}_BASIC", upper(server));
            let purpose =
                format!("user and password of the server {} as `user:password`, in base64", quote(server));
            let variable = self.notes.replace([&name, &format!("{name}_HEADER")], &user, &purpose);
            headers.set("Authorization", Draft::text(format!("Basic ${{{variable}}}")).from(part));
            self.notes.remark(
                part,
                "an address must not hold a user name or password: they became a header",
                format!("set the environment variable {} to `user:password` in base64", quote(&variable)),
            );
            text = without;
        }
        let host = text.find("://").map_or(0, |at| at + "://".len());
        let mut cuts = outside(&text).filter(|(at, letter)| *at >= host && "/?&#;".contains(*letter));
        let mut address = String::with_capacity(text.len());
        let (mut begin, mut before) = (0, None);
        loop {
            let cut = cuts.next();
            let piece = text.get(begin..cut.map_or(text.len(), |(at, _)| at)).unwrap_or_default();
            address.push_str(&match before {
                None => translate(piece, part, &self.inputs, self.notes),
                Some(separator) => self.url_piece(server, piece, separator == '/', part),
            });
            let Some((at, separator)) = cut else { return address };
            address.push(separator);
            (begin, before) = (at + 1, Some(separator));
        }
    }

    /// A segment of an address's path, or a member of its query.
    fn url_piece(&mut self, server: &str, piece: &str, segment: bool, part: &Part<'_>) -> String {
        let purpose = format!("a secret in the address of the server {}", quote(server));
        match piece.split_once('=') {
            Some((name, secret)) if is_secret(name, secret) && !name.contains('$') => {
                let own = format!("{}_{}", upper(server), upper(name));
                let variable = self.secret([&own, &format!("{own}_QUERY")], secret, part, &purpose);
                format!("{name}={variable}")
            }
            pair if (segment || pair.is_none()) && is_secret("", piece) => {
                let own = format!("{}_URL_SECRET", upper(server));
                self.secret([&own, &own], piece, part, &purpose)
            }
            _ => translate(piece, part, &self.inputs, self.notes),
        }
    }

    /// The reference that takes the place of a secret.
    fn secret(&mut self, names: [&str; 2], value: &str, part: &Part<'_>, purpose: &str) -> String {
        let name = self.notes.replace(names, value, purpose);
        self.notes.remark(
            part,
            format!("the value looks like a secret and was not copied: it became `${{{name}}}`"),
            format!("set the environment variable {} before weir starts", quote(&name)),
        );
        format!("${{{name}}}")
    }
}

/// Whether the text of a variable, header or option called `name` is to be kept out of the file: one of its literal pieces is
/// enough, and its references go with it.
fn is_secret(name: &str, text: &str) -> bool {
    looks_secret(name, &skeleton(text))
}

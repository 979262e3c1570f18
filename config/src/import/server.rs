//! One server of a client's file as a backend.

use super::draft::Draft;
use super::inputs::Inputs;
use super::notes::Notes;
use super::part::Part;
use super::text::translate;
use crate::report::quote;
use crate::tree::Value;
use url::Url;

/// Keys that only describe a server to people or to a client's store.
const SILENT: [&str; 9] =
    ["description", "gallery", "icon", "id", "metadata", "name", "note", "source", "version"];

/// Reads servers of one file.
pub(super) struct Reader<'n> {
    pub(super) notes: &'n mut Notes,
    pub(super) inputs: Inputs,
}

/// How a server is reached, by the words of all clients.
#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Program,
    Http,
}

impl Reader<'_> {
    /// The backend called `name`; `None` where nothing says how the server is reached.
    pub(super) fn server(&mut self, name: &str, server: &Part<'_>) -> Option<Draft> {
        let url = ["url", "serverUrl", "httpUrl", "endpoint"].iter().find_map(|key| server.get(key));
        let command = server.get("command");
        let kind = match self.kind(server) {
            Ok(written) => written,
            Err(()) => return None,
        };
        let mut backend = Draft::table().from(server);
        let described = server.get("description").and_then(|text| text.text());
        described.into_iter().for_each(|text| backend.comment(text));
        match (command, url) {
            (Some(command), url) if url.is_none() || kind != Some(Kind::Http) => {
                self.program(name, server, &command, &mut backend);
                if let Some(url) = url {
                    let message = "a backend has either a program or an address: the address was left out";
                    self.notes.remark(&url, message, "make a second backend of it");
                }
            }
            (command, Some(url)) => {
                if !is_address(&url) {
                    let message =
                        format!("the address of the server {} is none of HTTP: it was left out", quote(name));
                    self.notes.remark(&url, message, "an address begins with `http://` or `https://`");
                    return None;
                }
                self.address(name, server, &url, &mut backend);
                if let Some(command) = command {
                    let message = "a backend has either a program or an address: the program was left out";
                    self.notes.remark(&command, message, "make a second backend of it");
                }
            }
            (_, None) => {
                let message = format!("the server {} has neither a program nor an address", quote(name));
                self.notes.remark(server, message, "write `command` or `url` into weir's file yourself");
                return None;
            }
        }
        self.leftovers(name, server, &mut backend);
        Some(backend)
    }

    fn kind(&mut self, server: &Part<'_>) -> Result<Option<Kind>, ()> {
        let Some(part) = server.get("type").or_else(|| server.get("transport")) else {
            return Ok(None);
        };
        match part.text().unwrap_or_default().to_ascii_lowercase().replace(['-', '_'], "").as_str() {
            "stdio" | "local" => Ok(Some(Kind::Program)),
            "http" | "sse" | "streamablehttp" | "remote" => Ok(Some(Kind::Http)),
            other => {
                let message =
                    format!("weir does not know the transport {}: the server was left out", quote(other));
                self.notes.remark(
                    &part,
                    message,
                    "weir starts programs and connects to servers of streamable HTTP and HTTP+SSE",
                );
                Err(())
            }
        }
    }

    fn program(&mut self, name: &str, server: &Part<'_>, command: &Part<'_>, backend: &mut Draft) {
        let text = command.text().unwrap_or_default();
        let program = self.command(name, text, command);
        backend.set("command", Draft::text(home(program)).from(command));
        if text.contains(' ') && !text.contains(['/', '\\']) {
            let message = "this looks like a command line; weir starts the program of exactly this name";
            self.notes.remark(
                command,
                message,
                "name the program alone, and write the other words under `args`",
            );
        }
        if let Some(args) = server.get("args") {
            let mut before = "";
            let mut list = Vec::new();
            for item in &args.items() {
                let Some(text) = self.word(item) else { continue };
                list.push(Draft::text(self.argument(name, before, text, item)).from(item));
                before = text;
            }
            if !list.is_empty() {
                backend.set("args", Draft::list(list).from(&args));
            }
        }
        if let Some(env) = server.get("env") {
            let mut table = Draft::table().from(&env);
            for (key, part) in env.named() {
                if self.word(&part).is_some() {
                    table.set(key, Draft::text(self.variable(name, key, &part)).from(&part));
                }
            }
            if !table.is_empty() {
                backend.set("env", table);
            }
        }
        if let Some(cwd) = server.get("cwd") {
            let text = translate(cwd.text().unwrap_or_default(), &cwd, &self.inputs, self.notes);
            backend.set("cwd", Draft::text(home(text)).from(&cwd));
        }
    }

    /// The text of a member of `args`, `env` or `headers`; what is none is remarked.
    fn word<'t>(&mut self, part: &Part<'t>) -> Option<&'t str> {
        if part.text().is_none() {
            let message = format!("expected a text, found {}: it was left out", part.node.describe());
            self.notes.remark(part, message, "write a text in quotes");
        }
        part.text()
    }

    fn address(&mut self, name: &str, server: &Part<'_>, url: &Part<'_>, backend: &mut Draft) {
        let mut headers = Draft::table();
        let written = url.text().unwrap_or_default();
        let address = self.url(name, written, url, &mut headers);
        backend.set("url", Draft::text(address).from(url));
        for (key, part) in server.get("headers").iter().flat_map(Part::named) {
            if self.word(&part).is_some() {
                headers.set(key, Draft::text(self.header(name, key, &part)).from(&part));
            }
        }
        if !headers.is_empty() {
            backend.set("headers", headers);
        }
    }

    /// Says what became of every other key.
    fn leftovers(&mut self, name: &str, server: &Part<'_>, backend: &mut Draft) {
        let program = backend.get("command").is_some();
        for (key, part) in server.entries() {
            let (what, instead) = match key.as_str() {
                "type" | "transport" | "command" | "url" | "serverUrl" | "httpUrl" | "endpoint" => continue,
                "args" | "env" | "cwd" if program => continue,
                "headers" if !program => continue,
                "disabled" | "enabled" | "includeTools" | "excludeTools" | "disabledTools" => continue,
                key if SILENT.contains(&key) || part.is_empty() => continue,
                "args" | "env" | "cwd" => ("a server at an address has no such setting", "leave it out".to_owned()),
                "headers" => ("a program is sent no headers", "leave them out".to_owned()),
                "envFile" => (
                    "weir does not read files of variables",
                    "set the file's variables before weir starts: programs inherit them (`set -a; . FILE; set +a`)"
                        .to_owned(),
                ),
                "autoApprove" | "alwaysAllow" | "autoApproveAll" | "trust" => (
                    "which calls need no approval is the client's affair",
                    "keep it in the client, under the names that weir shows".to_owned(),
                ),
                "timeout" | "timeoutMs" | "startupTimeoutMs" | "initTimeout" => (
                    "clients measure it in different units, and of different things",
                    format!("write it as `timeouts: {{call: 60s}}` under `backends.{name}`"),
                ),
                "oauth" | "auth" | "headersHelper" | "authProviderType" => (
                    "weir does not sign in at servers",
                    format!("send a fixed token: `headers: {{Authorization: Bearer ${{NAME}}}}` under `backends.{name}`"),
                ),
                "dev" | "sandbox" | "sandboxEnabled" | "watchPaths" => {
                    ("weir has no such setting", "leave it out".to_owned())
                }
                _ => ("weir does not know this setting", "leave it out if the server works without it".to_owned()),
            };
            if key == "envFile" {
                backend.comment(format!(
                    "It needs the variables of {} in weir's environment.",
                    part.text().unwrap_or_default()
                ));
            }
            self.notes.remark(&part, format!("{} was left out: {what}", quote(&key)), instead);
        }
        for (key, list) in [("args", true), ("env", false), ("headers", false)] {
            let fits = |part: &Part<'_>| match part.node.value {
                Value::List(_) => list,
                Value::Table(_) => !list,
                Value::Scalar { .. } => false,
            };
            if let Some(part) = server.get(key).filter(|part| !fits(part)) {
                let expected = if list { "a list" } else { "a mapping" };
                let message = format!(
                    "expected {expected}, found {}: {} was left out",
                    part.node.describe(),
                    quote(key)
                );
                self.notes.remark(&part, message, "write it into weir's file yourself");
            }
        }
    }
}

/// Whether an address may be one of HTTP; where it begins with a reference, nothing is known of it.
fn is_address(url: &Part<'_>) -> bool {
    let text = url.text().unwrap_or_default();
    text.starts_with("${") || Url::parse(text).is_ok_and(|url| matches!(url.scheme(), "http" | "https")) || {
        // A reference inside may be no part of an address as it stands.
        text.contains("${") && (text.starts_with("http://") || text.starts_with("https://"))
    }
}

/// A leading `~/`, which no shell is there to expand.
fn home(text: String) -> String {
    match text.strip_prefix("~/") {
        Some(rest) => format!("${{HOME}}/{rest}"),
        None => text,
    }
}

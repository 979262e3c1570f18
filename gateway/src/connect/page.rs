//! The pages that users see: plain documents without scripts and without anything of other sites.

use super::base::Base;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ring::digest;
use std::fmt::Write;
use std::sync::LazyLock;

/// How the pages look.
const STYLE: &str = "body{font:16px/1.5 system-ui,sans-serif;max-width:38rem;margin:3rem auto;padding:0 1rem;color:#1a1a1a;background:#fff}\
h1{font-size:1.4rem}dt{font-weight:600}dd{margin:0 0 .6rem;overflow-wrap:anywhere}li{margin:.6rem 0}\
button,a.button{font:inherit;padding:.45rem 1rem;border:1px solid #555;border-radius:.4rem;background:#f4f4f4;color:#1a1a1a;text-decoration:none;cursor:pointer}\
button.go{background:#14532d;border-color:#14532d;color:#fff}form{display:inline}.note{background:#eef6ee;padding:.6rem 1rem;border-radius:.4rem}";

/// The digest by which browsers know the style again.
static STYLE_DIGEST: LazyLock<String> =
    LazyLock::new(|| STANDARD.encode(digest::digest(&digest::SHA256, STYLE.as_bytes())));

/// What a page may do: show itself, in no frame, and send its forms to weir and from there to an authorization server.
pub(super) fn policy(server: Option<&str>) -> String {
    let style = &*STYLE_DIGEST;
    let server = server.unwrap_or_default();
    format!(
        "default-src 'none'; style-src 'sha256-{style}'; form-action 'self' https: {server}; frame-ancestors 'none'; base-uri 'none'"
    )
}

/// A whole document; `body` is markup, everything foreign in it escaped.
pub(super) fn document(title: &str, body: &str) -> String {
    let title = escape(title);
    format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\"><meta name=\"robots\" content=\"noindex\"><title>{title}</title><style>{STYLE}</style></head><body><h1>{title}</h1>{body}</body></html>"
    )
}

/// Text as it may stand anywhere in a document. What cannot be seen is left out: it could make text look like another.
pub(super) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for letter in text.chars().take(2000) {
        match letter {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            ' '..='~' => escaped.push(letter),
            _ if letter.is_alphanumeric() => escaped.push(letter),
            _ => escaped.push('\u{fffd}'),
        }
    }
    escaped
}

/// A paragraph.
pub(super) fn paragraph(text: &str) -> String {
    format!("<p>{}</p>", escape(text))
}

/// What is asked before a user is sent to an authorization server.
pub(super) struct Question<'a> {
    pub(super) endpoint: &'a str,
    pub(super) backend: &'a str,
    pub(super) address: &'a str,
    pub(super) server: &'a str,
    pub(super) scopes: &'a [String],
    pub(super) user: Option<&'a str>,
    /// The lists of the backend may be asked for with the grant.
    pub(super) lends: bool,
    /// What the form brings back.
    pub(super) token: &'a str,
}

impl Question<'_> {
    pub(super) fn document(&self) -> String {
        let scopes = match self.scopes {
            [] => "what the authorization server chooses".to_owned(),
            scopes => scopes.join(", "),
        };
        let lends = match self.lends {
            true => {
                "your calls, and what weir asks the server for its lists with, which everybody sees who may use the backend"
            }
            false => "your calls alone",
        };
        let rows = [
            ("Backend", self.backend),
            ("Its server", self.address),
            ("You grant this at", self.server),
            ("Permissions that are asked for", &scopes),
            ("For", self.user.unwrap_or("everybody who uses this machine's weir")),
            ("You are at the endpoint", self.endpoint),
            ("It is for", lends),
            ("It counts at", "every endpoint of this weir that has the backend and knows you by this name"),
        ];
        let mut list = String::from("<dl>");
        for (term, text) in rows {
            let _ = write!(list, "<dt>{term}</dt><dd>{}</dd>", escape(text));
        }
        list.push_str("</dl>");
        let (path, token) = (super::path(self.endpoint), escape(self.token));
        let form = format!(
            "<form method=\"post\" action=\"{path}\"><input type=\"hidden\" name=\"consent\" value=\"{token}\"><button class=\"go\">Continue</button></form> <a class=\"button\" href=\"{path}\">Not now</a>"
        );
        let asks =
            paragraph("weir will call this server in your name. Continue only if you started this yourself.");
        document(&format!("Connect {}", self.backend), &format!("{asks}{list}{form}"))
    }
}

/// A backend in the list of those that a user can connect.
pub(super) struct Row<'a> {
    pub(super) backend: &'a str,
    /// The scopes that were granted, where it is connected.
    pub(super) granted: Option<Vec<String>>,
    /// What the form to disconnect brings back.
    pub(super) token: String,
    /// The user may connect it, be it again.
    pub(super) connects: bool,
}

/// The list of backends that a user can connect.
pub(super) fn list(endpoint: &str, user: Option<&str>, rows: &[Row<'_>], note: Option<&str>) -> String {
    let path = super::path(endpoint);
    let mut body = note.map(|note| format!("<p class=\"note\">{}</p>", escape(note))).unwrap_or_default();
    if let Some(user) = user {
        body.push_str(&paragraph(&format!("You are logged in as {user}.")));
    }
    if rows.is_empty() {
        body.push_str(&paragraph("There is nothing that you can connect here."));
    }
    body.push_str("<ul>");
    for row in rows {
        let name = escape(row.backend);
        let query: String = url::form_urlencoded::byte_serialize(row.backend.as_bytes()).collect();
        let button = |text| match row.connects {
            true => format!(" <a class=\"button\" href=\"{path}?backend={query}\">{text}</a>"),
            false => String::new(),
        };
        let state = match &row.granted {
            None => format!("not connected{}", button("Connect")),
            Some(scopes) => {
                let scopes = if scopes.is_empty() {
                    String::new()
                } else {
                    format!(" ({})", escape(&scopes.join(", ")))
                };
                let token = escape(&row.token);
                format!(
                    "connected{scopes} <form method=\"post\" action=\"{path}\"><input type=\"hidden\" name=\"disconnect\" value=\"{token}\"><button>Disconnect</button></form>{}",
                    button("Connect again")
                )
            }
        };
        let _ = write!(body, "<li><strong>{name}</strong>: {state}</li>");
    }
    body.push_str("</ul>");
    document(&format!("Backends of {endpoint}"), &body)
}

/// The origin of a URL, for the policy of a page; `None` where it is covered anyway.
pub(super) fn plain_origin(url: &url::Url, base: &Base) -> Option<String> {
    let origin = url.origin().ascii_serialization();
    (url.scheme() == "http" && !base.is_own(&origin)).then_some(origin)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_foreign_becomes_markup() {
        let evil = "<script>alert('x')</script>\"&\u{202e}";
        let scopes = [evil.to_owned()];
        let question = Question {
            endpoint: "main",
            backend: evil,
            address: evil,
            server: evil,
            scopes: &scopes,
            user: Some(evil),
            lends: true,
            token: evil,
        };
        let row =
            Row { backend: evil, granted: Some(scopes.to_vec()), token: evil.to_owned(), connects: true };
        for page in [
            question.document(),
            list("main", Some(evil), &[row], Some(evil)),
            document(evil, &paragraph(evil)),
        ] {
            assert!(!page.contains("<script") && !page.contains("alert('"), "{page}");
            assert!(!page.contains('\u{202e}') && page.contains("&lt;script&gt;"), "{page}");
        }
    }

    #[test]
    fn a_page_is_bound_to_its_own_site() {
        let policy = policy(Some("http://127.0.0.1:5"));
        assert!(policy.contains("default-src 'none'") && policy.contains("frame-ancestors 'none'"));
        assert!(
            !policy.contains("unsafe") && policy.contains("form-action 'self' https: http://127.0.0.1:5;")
        );
    }
}

//! The requests that the client sends, as bytes with a place for the id.

use serde::{Deserialize, Serialize};

/// The modern revision.
pub const MODERN: &str = "2026-07-28";
/// The legacy revision that the client asks for.
pub const LEGACY: &str = "2025-11-25";
/// The first id; all ids have as many digits, so that a request's length never changes.
pub const FIRST_ID: u64 = 1_000_000_000;
/// One past the last id.
pub const END_ID: u64 = 9_999_999_999;

const CLIENT: &str = r#"{"name":"weir-bench","version":"0"}"#;
/// About 200 bytes, as a tool's arguments often are.
const ARGUMENTS: &str = concat!(
    r#"{"query":"quarterly revenue by region and product line, without one-off items","limit":25,"archived":false,"#,
    r#""fields":["region","product","revenue","currency"],"cursor":"eyJvZmZzZXQiOjEyMDAsInNvcnQiOiJkZXNjIn0"}"#
);

/// An era of MCP.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
pub enum Era {
    /// `initialize`, sessions: 2025-11-25.
    Legacy,
    /// Every request stands alone: 2026-07-28.
    Modern,
}

impl Era {
    /// The era's name as in arguments and configuration.
    pub fn name(self) -> &'static str {
        match self {
            Self::Legacy => "legacy",
            Self::Modern => "modern",
        }
    }
}

/// Where requests go: a port of 127.0.0.1 and a path.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Target {
    /// The port on 127.0.0.1.
    pub port: u16,
    /// The path, such as `/mcp`.
    pub path: String,
    /// The token that is sent along.
    #[serde(default)]
    pub token: Option<String>,
}

impl Target {
    /// This port and path, where nothing has to be shown.
    pub fn new(port: u16, path: impl Into<String>) -> Self {
        Self { port, path: path.into(), token: None }
    }
}

/// A whole HTTP request whose JSON-RPC id can be set in place.
#[derive(Debug, Clone)]
pub struct Template {
    bytes: Vec<u8>,
    /// Where the id's digits begin; `None` for a request without one.
    id: Option<usize>,
}

impl Template {
    /// Opens a legacy session.
    pub fn initialize(target: &Target) -> Self {
        let params = format!(r#"{{"protocolVersion":"{LEGACY}","capabilities":{{}},"clientInfo":{CLIENT}}}"#);
        Self::post(target, "", "initialize", Some(&params))
    }

    /// Says that a legacy session is ready.
    pub fn initialized(target: &Target, session: &str) -> Self {
        Self::post(target, &session_headers(session), "notifications/initialized", None)
    }

    /// `tools/call` of a tool with about 200 bytes of arguments; `session` is a legacy client's, `None` a modern one.
    pub fn call(target: &Target, session: Option<&str>, tool: &str) -> Self {
        let members = format!(r#""name":"{tool}","arguments":{ARGUMENTS}"#);
        Self::request(target, session, "tools/call", Some(tool), &members)
    }

    /// `tools/list`; `session` is a legacy client's, `None` a modern one.
    pub fn list(target: &Target, session: Option<&str>) -> Self {
        Self::request(target, session, "tools/list", None, "")
    }

    /// A plain `GET` of the target's path.
    pub fn get(target: &Target) -> Self {
        let Target { port, path, .. } = target;
        let bytes =
            format!("GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nAccept: */*\r\n\r\n").into_bytes();
        Self { bytes, id: None }
    }

    /// The request's bytes with this id, which is from [`FIRST_ID`] to below [`END_ID`].
    pub fn with_id(&mut self, id: u64) -> &[u8] {
        if let Some(place) = self.id
            && let Some(digits) = self.bytes.get_mut(place..place + 10)
        {
            let mut rest = id;
            for digit in digits.iter_mut().rev() {
                // A remainder of ten always fits.
                *digit = b'0' + (rest % 10) as u8;
                rest /= 10;
            }
        }
        &self.bytes
    }

    fn request(
        target: &Target,
        session: Option<&str>,
        method: &str,
        name: Option<&str>,
        members: &str,
    ) -> Self {
        if let Some(session) = session {
            return Self::post(target, &session_headers(session), method, Some(&format!("{{{members}}}")));
        }
        let name = name.map(|name| format!("Mcp-Name: {name}\r\n")).unwrap_or_default();
        let headers = format!("MCP-Protocol-Version: {MODERN}\r\nMcp-Method: {method}\r\n{name}");
        let comma = if members.is_empty() { "" } else { "," };
        let params = format!(
            concat!(
                r#"{{"_meta":{{"io.modelcontextprotocol/protocolVersion":"{}","#,
                r#""io.modelcontextprotocol/clientInfo":{},"io.modelcontextprotocol/clientCapabilities":{{}}}}{}{}}}"#
            ),
            MODERN, CLIENT, comma, members
        );
        Self::post(target, &headers, method, Some(&params))
    }

    /// A POST of a request, or of a notification when there are no params.
    fn post(target: &Target, headers: &str, method: &str, params: Option<&str>) -> Self {
        const BEFORE_ID: &str = r#"{"jsonrpc":"2.0","id":"#;
        let body = match params {
            Some(params) => format!(r#"{BEFORE_ID}{FIRST_ID},"method":"{method}","params":{params}}}"#),
            None => format!(r#"{{"jsonrpc":"2.0","method":"{method}"}}"#),
        };
        let Target { port, path, token } = target;
        let token = token.as_ref().map(|token| format!("Authorization: Bearer {token}\r\n"));
        let token = token.unwrap_or_default();
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Type: application/json\r\n\
             Accept: application/json, text/event-stream\r\n{token}{headers}Content-Length: {}\r\n\r\n",
            body.len()
        );
        let id = params.map(|_| head.len() + BEFORE_ID.len());
        Self { bytes: (head + &body).into_bytes(), id }
    }
}

fn session_headers(session: &str) -> String {
    format!("Mcp-Session-Id: {session}\r\nMCP-Protocol-Version: {LEGACY}\r\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_set_in_place() {
        let target = Target::new(1, "/mcp");
        for session in [Some("s"), None] {
            let mut template = Template::call(&target, session, "echo");
            let request = String::from_utf8(template.with_id(1_234_567_890).to_vec()).unwrap();
            let (head, body) = request.split_once("\r\n\r\n").unwrap();
            assert!(head.contains(&format!("Content-Length: {}", body.len())), "{head}");
            let body: serde_json::Value = serde_json::from_str(body).unwrap();
            assert_eq!(body["id"], 1_234_567_890_u64);
            assert_eq!(body["params"]["name"], "echo");
            assert_eq!(body["params"].get("_meta").is_some(), session.is_none());
        }
    }

    #[test]
    fn arguments_have_the_promised_size() {
        assert!((180..=220).contains(&ARGUMENTS.len()), "{}", ARGUMENTS.len());
        serde_json::from_str::<serde_json::Value>(ARGUMENTS).unwrap();
    }
}

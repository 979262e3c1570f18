//! What a caller is to see, and whether that is what it saw.

use serde_json::Value;

/// What a caller is to see of a bad call.
#[derive(Debug, Clone)]
pub enum Expect {
    /// The result of a call that went well.
    Works,
    /// A result that holds these bytes as they are.
    Passes(String),
    /// The backend's own error, by its code.
    Error(i64),
    /// weir's error -32603, which names the backend and says this of it.
    Fails(&'static str),
    /// The first where the client is a modern one, the second where it is a legacy one.
    ByClient(Box<Expect>, Box<Expect>),
}

/// Any answer that is no answer.
pub const BROKE: Expect = Expect::Fails("broke the protocol");
/// The connection ended too early.
pub const GONE: Expect = Expect::Fails("went away before it answered");
/// What weir says of too many bytes.
pub const TOO_LARGE: &str = "sent a message larger than 65536 bytes";
/// Too many bytes.
pub const LARGE: Expect = Expect::Fails(TOO_LARGE);
/// Nothing came for too long.
pub const SILENT: Expect = Expect::Fails("did not answer within 1 s (a sign of life)");
/// Something came all the time, but no answer.
pub const ENDLESS: Expect = Expect::Fails("did not answer within 2 s (the end of the call)");

impl Expect {
    /// What is wrong with an answer, if anything.
    pub fn complaint(&self, backend: &str, modern: bool, status: u16, body: &[u8]) -> Option<String> {
        let shown = String::from_utf8_lossy(body);
        let shown = if shown.len() > 300 { format!("{:.300}…", shown) } else { shown.into_owned() };
        let wrong = || Some(format!("expected {self:?}, got {status} {shown}"));
        let message: Value = serde_json::from_slice(body).unwrap_or_default();
        let error = &message["error"];
        let right = match self {
            Self::Works => message["result"]["content"][0]["text"] == "done",
            Self::Passes(text) => {
                body.windows(text.len()).any(|window| window == text.as_bytes()) && error.is_null()
            }
            Self::Error(code) => error["code"] == *code && !error["message"].is_null(),
            Self::Fails(text) => {
                let said = error["message"].as_str().unwrap_or_default();
                status == 200
                    && error["code"] == -32603
                    && said.starts_with(&format!("backend `{backend}` {text}"))
            }
            Self::ByClient(of_modern, of_legacy) => {
                let expect = if modern { of_modern } else { of_legacy };
                return expect.complaint(backend, modern, status, body);
            }
        };
        if right { None } else { wrong() }
    }
}

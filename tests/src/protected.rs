//! An MCP server that answers only those who bring an access token made out to it.

use crate::scripted::{Received, Reply, tool};
use crate::{Scripted, scripted};
use parking_lot::Mutex;
use serde_json::{Value, json};
use std::collections::HashSet;
use std::sync::Arc;

/// A protected server. Its tool `whoami` answers what the token says of its holder: `sub`, else `client_id`.
#[derive(Debug)]
pub struct Protected {
    server: Scripted,
    rules: Arc<Mutex<Rules>>,
}

#[derive(Debug, Default)]
struct Rules {
    /// Tokens that are good no more.
    refused: HashSet<String>,
    /// A token that is good for everything, beside those made out to the server.
    also: Option<String>,
    /// A scope that calls need.
    scope: Option<String>,
    /// Nobody needs a token but for calls.
    lists: bool,
    /// Whom the tokens are made out to, where that is not the server's URL.
    audience: Option<String>,
}

impl Protected {
    /// One of the modern era.
    pub fn modern() -> Self {
        Self::start(scripted::modern(json!([tool("whoami")]), whoami))
    }

    /// One of the legacy era; `whoami` tells the session too.
    pub fn legacy() -> Self {
        Self::start(scripted::legacy(json!([tool("whoami")]), whoami))
    }

    /// One that answers with `script` whoever brings a token.
    pub fn start(script: impl Fn(&Received, &mut Reply<'_>) + Send + Sync + 'static) -> Self {
        let rules = Arc::new(Mutex::new(Rules::default()));
        let known = Arc::clone(&rules);
        let server = Scripted::start(move |request, reply| {
            let verdict = known.lock().judge(request);
            match verdict {
                Ok(()) => script(request, reply),
                Err((status, challenge)) => {
                    reply.raw(format!(
                        "HTTP/1.1 {status} X\r\nwww-authenticate: {challenge}\r\ncontent-length: 0\r\n\r\n"
                    ));
                }
            }
        });
        rules.lock().audience = Some(server.url());
        Self { server, rules }
    }

    /// Its URL, which tokens are made out to.
    pub fn url(&self) -> String {
        self.server.url()
    }

    /// Whoever comes with one of these tokens is refused from now on.
    pub fn refuse(&self, tokens: impl IntoIterator<Item = String>) {
        self.rules.lock().refused.extend(tokens);
    }

    /// A token that is good too.
    pub fn accept(&self, token: &str) {
        self.rules.lock().also = Some(token.to_owned());
    }

    /// Calls need this scope.
    pub fn want(&self, scope: &str) {
        self.rules.lock().scope = Some(scope.to_owned());
    }

    /// Everything but calls is answered without a token.
    pub fn list_for_all(&self) {
        self.rules.lock().lists = true;
    }

    /// The requests so far.
    pub fn received(&self) -> Vec<Received> {
        self.server.received()
    }

    /// The requests so far of one JSON-RPC method.
    pub fn received_of(&self, method: &str) -> Vec<Received> {
        self.server.received_of(method)
    }

    /// The tokens that it was shown so far, each once, in their order.
    pub fn shown(&self) -> Vec<String> {
        let mut shown = Vec::new();
        for token in self.received().iter().filter_map(bearer) {
            if !shown.contains(&token) {
                shown.push(token);
            }
        }
        shown
    }
}

impl Rules {
    fn judge(&self, request: &Received) -> Result<(), (u16, String)> {
        let calls = request.rpc_method() == "tools/call";
        if self.lists && !calls {
            return Ok(());
        }
        let Some(token) = bearer(request) else {
            return Err((401, "Bearer".to_owned()));
        };
        if self.also.as_ref() == Some(&token) {
            return Ok(());
        }
        let claims = claims(&token);
        let audience = &claims["aud"];
        if self.refused.contains(&token) || audience.as_str() != self.audience.as_deref() {
            return Err((401, r#"Bearer error="invalid_token""#.to_owned()));
        }
        let granted = claims["scope"].as_str().unwrap_or_default();
        match &self.scope {
            Some(wanted) if calls && !granted.split(' ').any(|scope| scope == wanted) => {
                Err((403, format!(r#"Bearer error="insufficient_scope", scope="{wanted}""#)))
            }
            _ => Ok(()),
        }
    }
}

/// The bearer token of a request; `None` too where there is more than one header that could hold it.
pub fn bearer(request: &Received) -> Option<String> {
    let mut all = request.headers.iter().filter(|(name, _)| name == "authorization");
    let (Some((_, value)), None) = (all.next(), all.next()) else {
        return None;
    };
    value.strip_prefix("Bearer ").map(str::to_owned)
}

/// What a token says; `null` where it says nothing that can be read.
pub fn claims(token: &str) -> Value {
    let letters = |byte: u8| match byte {
        b'A'..=b'Z' => Some(byte - b'A'),
        b'a'..=b'z' => Some(byte - b'a' + 26),
        b'0'..=b'9' => Some(byte - b'0' + 52),
        b'-' => Some(62),
        b'_' => Some(63),
        _ => None,
    };
    let middle = token.split('.').nth(1).unwrap_or_default();
    let (mut bytes, mut bits, mut count) = (Vec::new(), 0_u32, 0);
    for value in middle.bytes().filter_map(letters) {
        bits = bits << 6 | u32::from(value);
        count += 6;
        if count >= 8 {
            count -= 8;
            bytes.push((bits >> count & 0xff) as u8);
        }
    }
    serde_json::from_slice(&bytes).unwrap_or_default()
}

fn whoami(request: &Received, reply: &mut Reply<'_>) {
    let claims = bearer(request).map(|token| claims(&token)).unwrap_or_default();
    let name = |key: &str| claims[key].as_str().map(str::to_owned);
    let mut text = name("sub").or_else(|| name("client_id")).unwrap_or_else(|| "nobody".to_owned());
    if let Some(session) = request.header("mcp-session-id") {
        text = format!("{text} in {session}");
    }
    reply.result(request, json!({"content": [{"type": "text", "text": text}], "resultType": "complete"}));
}

//! What a modern client is given with a question and brings back with its answer: which call it belongs to.
//!
//! S: MCP 2026-07-28 `basic/patterns/mrtr` "Server Requirements": whose it is, how long it holds and what request it is for
//! are in it, where nobody can change them.

use crate::attached::Attached;
use crate::edge::Post;
use crate::rescue::Fault;
use crate::seal::{Purpose, Seal, identity};
use ring::digest::{Context, SHA256};
use serde::{Deserialize, Serialize};
use std::io;
use std::time::Duration;
use weir_policies::Principal;
use weir_protocol::{code, json};

/// How a call goes on once its client has answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Next {
    /// A modern backend is called again, with the state that it wrote, raw JSON; `None` where it wrote none.
    Call(Option<String>),
    /// A legacy backend is called again as if for the first time.
    Anew,
    /// The call of this number goes on, which waits for the answers.
    Parked(u64),
}

/// A ticket for one more request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Ticket {
    pub(crate) next: Next,
    /// Number of the endpoint.
    endpoint: usize,
    /// Number of the backend that asked: a reload may give its name to another.
    pub(crate) backend: usize,
    /// Digest of what was asked for.
    request: [u8; 32],
    /// When it ends, in milliseconds by the clock of the seal.
    expires: u64,
}

impl Ticket {
    /// A ticket for whoever repeats the request in `post`, answered, within `time`.
    pub(crate) fn new(post: &Post, backend: &Attached, next: Next, time: Duration) -> Self {
        let time = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        Self {
            next,
            endpoint: post.endpoint.number,
            backend: backend.number,
            request: digest(post),
            expires: post.core.seal.now().saturating_add(time),
        }
    }

    /// The ticket as its client gets it, which is `principal`.
    ///
    /// # Errors
    /// It cannot be sealed: it is too long, or the system gives no random bytes.
    pub(crate) fn seal(&self, seal: &Seal, principal: &Principal) -> io::Result<String> {
        seal.seal(Purpose::Input, &serde_json::to_vec(self)?, &identity(principal))
    }

    /// The ticket that `post` brings as its `requestState`, which stands there as raw JSON.
    pub(crate) fn of(post: &Post, state: &[u8]) -> Result<Self, Fault> {
        let text = json::as_str(state).ok_or_else(|| refused("must be a string"))?;
        let ticket = Self::open(&post.core.seal, &post.principal, &text);
        let ticket = ticket.ok_or_else(|| refused("was not given to this client by this gateway"))?;
        if ticket.endpoint != post.endpoint.number || ticket.request != digest(post) {
            return Err(refused("belongs to another request, which must be repeated as it was"));
        }
        if ticket.expires <= post.core.seal.now() {
            return Err(refused("has expired, the request may be made anew without it"));
        }
        Ok(ticket)
    }

    fn open(seal: &Seal, principal: &Principal, text: &str) -> Option<Self> {
        let plain = seal.open(Purpose::Input, text.as_bytes(), &identity(principal))?;
        serde_json::from_slice(&plain).ok()
    }
}

/// A `requestState` that is not taken; nothing is done for its request.
pub(crate) fn refused(why: &str) -> Fault {
    Fault::new(400, code::INVALID_PARAMS, format!("`params.requestState` {why}"))
}

/// What makes a request the same one when it comes again: its method, what it names, and its arguments as they are written.
fn digest(post: &Post) -> [u8; 32] {
    let (body, params) = (&post.body[..], post.envelope.params.as_ref());
    let text = |span: Option<weir_protocol::Span>| {
        span.and_then(|span| json::as_str(span.of(body))).map(|text| text.into_owned().into_bytes())
    };
    let parts = [
        post.envelope.method_name(body).map(|name| name.into_owned().into_bytes()),
        text(params.and_then(|params| params.name)),
        text(params.and_then(|params| params.uri)),
        params.and_then(|params| params.arguments).map(|span| span.of(body).to_vec()),
    ];
    let mut context = Context::new(&SHA256);
    for part in parts {
        // With its length before it no two lists of parts read alike; an absent one has a length that none has.
        let length = part.as_ref().map_or(u64::MAX, |part| part.len() as u64);
        context.update(&length.to_be_bytes());
        context.update(&part.unwrap_or_default());
    }
    let mut digest = [0; 32];
    for (slot, byte) in digest.iter_mut().zip(context.finish().as_ref()) {
        *slot = *byte;
    }
    digest
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ticket() -> Ticket {
        Ticket {
            next: Next::Call(Some("\"s\"".to_owned())),
            endpoint: 3,
            backend: 5,
            request: [7; 32],
            expires: 9,
        }
    }

    #[test]
    fn a_ticket_is_its_principals_own() {
        let (seal, anonymous) = (Seal::new().unwrap(), Principal::anonymous());
        let text = ticket().seal(&seal, &anonymous).unwrap();
        assert_eq!(Ticket::open(&seal, &anonymous, &text), Some(ticket()));
        for next in [Next::Call(None), Next::Anew, Next::Parked(u64::MAX)] {
            let other = Ticket { next, ..ticket() };
            let text = other.seal(&seal, &anonymous).unwrap();
            assert_eq!(Ticket::open(&seal, &anonymous, &text), Some(other));
        }
        // Whatever principal it is sealed for, it opens for no other.
        let plain = serde_json::to_vec(&ticket()).unwrap();
        let mut other = identity(&anonymous);
        other.push(b'x');
        let text = seal.seal(Purpose::Input, &plain, &other).unwrap();
        assert_eq!(Ticket::open(&seal, &anonymous, &text), None);
    }
}

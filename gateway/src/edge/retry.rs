//! A modern request that is made again with what its client was asked for.
//!
//! S: MCP 2026-07-28 `basic/patterns/mrtr`.

use super::{Post, modern};
use crate::call::{Manner, Routed, takes_input};
use crate::pump::Running;
use crate::rescue::Fault;
use crate::tasks::Ids;
use crate::ticket::{Next, Ticket, refused};
use bytes::Bytes;
use http::HeaderMap;
use std::sync::Arc;
use weir_backends::Input;
use weir_protocol::{Era, Span, code};

/// A call under way, what stands before the URIs in its answer, and how it writes the ids of tasks.
pub(super) type Begun = (Running, Option<Arc<str>>, Option<Box<Ids>>);

impl Post {
    /// Whether the request brings what a server asked for. Where no server may ask, it brings nothing that matters.
    pub(super) fn is_retry(&self, manner: &Manner) -> bool {
        manner.era() == Era::Modern
            && takes_input(manner.method)
            && self
                .envelope
                .params
                .as_ref()
                .is_some_and(|params| params.input_responses.is_some() || params.request_state.is_some())
    }

    /// A raw parameter; `None` where it is absent or `null`.
    fn brought(&self, span: Option<Span>) -> Option<Bytes> {
        let raw = span.map(|span| self.body.slice(span.start()..span.end()))?;
        (raw != b"null"[..]).then_some(raw)
    }

    /// Goes on with the call that the request belongs to. It is decided anew whether it may be made. Whatever does not fit
    /// is refused, and no backend hears of it.
    pub(super) async fn retry(&self, manner: &Manner, headers: Option<&HeaderMap>) -> Result<Begun, Fault> {
        let params = self.envelope.params.as_ref();
        let responses = self.brought(params.and_then(|params| params.input_responses));
        if responses.as_ref().is_some_and(|raw| !raw.starts_with(b"{")) {
            return Err(Fault::new(400, code::INVALID_PARAMS, "`params.inputResponses` must be an object"));
        }
        let Some(state) = self.brought(params.and_then(|params| params.request_state)) else {
            // Not asked by weir, which always gives a state, so for policies this is a first call. Whether a modern backend can
            // use what it brings is for that to say.
            let input = responses.map(|responses| Input { responses: Some(responses), ..Input::default() });
            let routed = self.route(manner, false, input.map(Box::new))?;
            let routed = modern::heard(routed, Era::Modern, self, headers)?;
            return Ok(begin(routed));
        };
        let ticket = Ticket::of(self, &state)?;
        let input = match &ticket.next {
            Next::Call(state) => {
                let state = state.clone().map(Bytes::from);
                Some(Box::new(Input { responses: responses.clone(), state, asked: true }))
            }
            Next::Anew | Next::Parked(_) => None,
        };
        let routed = self.route(manner, true, input).and_then(|routed| {
            let same = routed.backend.number == ticket.backend;
            same.then_some(routed).ok_or_else(|| refused("belongs to a backend that no longer offers this"))
        });
        if let (Err(_), Next::Parked(number)) = (&routed, &ticket.next) {
            // Nobody may ever carry on with it.
            self.core.parking.remove(*number);
        }
        let routed = modern::heard(routed?, Era::Modern, self, headers)?;
        match ticket.next {
            Next::Parked(number) => {
                let mut running = self.core.parking.claim(number, responses.as_deref()).await?;
                running.settle(responses.as_deref(), manner.capabilities);
                Ok((running, routed.uri_prefix, routed.tasks))
            }
            Next::Call(_) | Next::Anew => Ok(begin(routed)),
        }
    }
}

/// Sends a call that was decided.
pub(super) fn begin(mut routed: Routed) -> Begun {
    let (prefix, tasks) = (routed.uri_prefix.take(), routed.tasks.take());
    (Running::start(routed), prefix, tasks)
}

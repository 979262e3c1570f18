//! What a backend wants of a modern client before it goes on, where it says so by ending the call.
//!
//! S: MCP 2026-07-28 `basic/patterns/mrtr`, `basic/index` "Capabilities"; 2025-11-25 `client/elicitation` "URL Elicitation
//! Required Error".

use super::Answer;
use crate::attached::Attached;
use crate::call::takes_input;
use crate::endpoint::Endpoint;
use crate::inquiry::{attribute, told};
use crate::pump::{Terms, modern_params, required_answer};
use crate::rescue::{self, Fault};
use crate::ticket::{Next, Ticket};
use serde::Deserialize;
use serde_json::value::RawValue;
use std::borrow::Cow;
use weir_backends::{BackendError, Message, Outcome};
use weir_protocol::object::{Object, elements};
use weir_protocol::{ClientCapabilities, Envelope, Era, Method, Revision, Span, Splice, code, json};

fn broken(why: &str) -> BackendError {
    BackendError::Protocol(why.to_owned())
}

/// An error that a modern client may have to hear in other words.
#[derive(Deserialize)]
struct Refusal<'a> {
    code: i32,
    #[serde(borrow)]
    message: Cow<'a, str>,
    #[serde(borrow)]
    data: Option<&'a RawValue>,
}

/// The data of [`code::MISSING_CAPABILITY`].
#[derive(Deserialize)]
struct Missing<'a> {
    #[serde(rename = "requiredCapabilities", borrow)]
    required: &'a RawValue,
}

/// The data of [`code::URL_ELICITATION_REQUIRED`].
#[derive(Deserialize)]
struct Visits<'a> {
    #[serde(borrow)]
    elicitations: Vec<&'a RawValue>,
}

impl Terms<'_> {
    /// The answer to the client.
    pub(crate) fn answer(&self, from: &Attached, outcome: Outcome) -> Answer {
        let backend = from.name();
        let own = match (self.asker.era, &outcome) {
            (Era::Modern, Outcome::InputRequired(message)) => Some(self.passed_on(from, message)),
            (Era::Modern, Outcome::Complete(message)) if self.manner.method.is_about_a_task() => {
                self.waiting(backend, message, false)
            }
            (Era::Modern, Outcome::Task(message)) => self.waiting(backend, message, true),
            (Era::Modern, Outcome::Error(message)) => self.reworded(from, message),
            (Era::Legacy, Outcome::Error(message)) => self.retold(backend, message),
            _ => None,
        };
        match own {
            None => self.asker.answer(backend, outcome),
            Some(Ok(answer)) => answer,
            Some(Err(error)) => self.asker.fault(&rescue::backend_failed(backend, &error)),
        }
    }

    /// A ticket for the client that comes back; whether the backend gave it a state or not: the ticket binds what the client
    /// answers to the backend that asked, which a reload may have taken the tool from.
    fn ticket(&self, backend: &Attached, next: Next) -> Result<String, BackendError> {
        let time = self.post.snapshot.config.timeouts.input;
        let ticket = Ticket::new(self.post, backend, next, time);
        let post = self.post;
        ticket.seal(&post.core.seal, &post.principal).map_err(|error| {
            tracing::warn!(backend = backend.name(), %error, "a request state cannot be sealed");
            broken("gave a request state that is too long")
        })
    }

    /// A modern backend's request for input, with a state of weir's own in place of the backend's.
    fn passed_on(&self, backend: &Attached, message: &Message) -> Result<Answer, BackendError> {
        let body = &message.body;
        let Some(head) = message.envelope.result.as_ref().filter(|_| takes_input(self.manner.method)) else {
            return Err(broken("it asks for input where it must not"));
        };
        let source = std::str::from_utf8(body).unwrap_or_default();
        let mut splice = Splice::new(body);
        if let Some(requests) = head.input_requests {
            let (endpoint, capabilities) = (&self.post.endpoint, self.manner.capabilities);
            may_ask(source, requests.value, capabilities, endpoint, backend.name(), &mut splice)?;
        } else if head.request_state.is_none() {
            return Err(broken("it asks for input and does not say for which"));
        }
        let state = head.request_state.map(|member| member.value.text(body).to_owned());
        let state = self.ticket(backend, Next::Call(state))?;
        match head.request_state {
            Some(member) => splice.replace(member.value, format!("\"{state}\"").into_bytes()),
            // What asks for input says so, so that another member follows.
            None => splice.insert(head.start, format!("\"requestState\":\"{state}\",").into_bytes()),
        };
        // It is no answer that could be kept.
        self.asker.result(message, splice, false)
    }

    /// What is told of a task that waits for input, where it is said for which; `None` for all other answers.
    fn waiting(&self, backend: &str, message: &Message, made: bool) -> Option<Result<Answer, BackendError>> {
        let body = &message.body;
        let requests = message.envelope.result.as_ref()?.input_requests?.value;
        if self.asker.tasks.is_none() || requests.text(body) == "null" {
            return None;
        }
        let source = std::str::from_utf8(body).unwrap_or_default();
        let (endpoint, capabilities) = (&self.post.endpoint, self.manner.capabilities);
        let mut splice = Splice::new(body);
        let allowed = may_ask(source, requests, capabilities, endpoint, backend, &mut splice);
        Some(allowed.and_then(|()| self.asker.named(message, splice, made)))
    }

    /// An error that means something else on this hop, or that modern clients do not know; `None` for all others.
    fn reworded(&self, backend: &Attached, message: &Message) -> Option<Result<Answer, BackendError>> {
        let raw = message.envelope.error?.of(&message.body);
        let error: Refusal<'_> = serde_json::from_slice(raw).ok()?;
        let data = error.data.map(RawValue::get);
        match error.code {
            code::MISSING_CAPABILITY => {
                let Some(missing) = data.and_then(|data| serde_json::from_str::<Missing<'_>>(data).ok())
                else {
                    return Some(Err(broken("it wants a capability and does not say which")));
                };
                let known = ClientCapabilities::parse(missing.required.get().as_bytes(), Revision::LATEST);
                // What is missing is missing between weir and the backend: the client has declared all of it that weir
                // knows, and would look in vain for what it did wrong.
                let declared = self.manner.capabilities.has(known);
                declared.then(|| Err(broken("it wants a capability that weir does not relay")))
            }
            code::URL_ELICITATION_REQUIRED => Some(self.visit(backend, &error.message, data)),
            _ => None,
        }
    }

    /// An error that a legacy client is told of in other words, or with a name in it; `None` for all others.
    fn retold(&self, backend: &str, message: &Message) -> Option<Result<Answer, BackendError>> {
        let raw = message.envelope.error?.of(&message.body);
        let error: Refusal<'_> = serde_json::from_slice(raw).ok()?;
        match error.code {
            code::MISSING_CAPABILITY => self.lacking(backend, &error).map(Ok),
            code::URL_ELICITATION_REQUIRED => Some(self.shown(backend, message, &error.message)),
            _ => None,
        }
    }

    /// What a legacy client is told where a modern backend needs what it did not declare: its era has no code for that.
    fn lacking(&self, backend: &str, error: &Refusal<'_>) -> Option<Answer> {
        let missing: Missing<'_> = serde_json::from_str(error.data?.get()).ok()?;
        let known = ClientCapabilities::parse(missing.required.get().as_bytes(), Revision::LATEST);
        let lacking = known.without(self.manner.capabilities);
        if lacking == ClientCapabilities::NONE {
            return None;
        }
        let why: String = error.message.chars().take(500).collect();
        let text = format!("backend `{backend}` needs a client that declares {}: {why}", lacking.write());
        Some(told(self, text))
    }

    /// What a legacy backend ends a call with whose user has to visit a page first, for a legacy client: who declared that it
    /// can show pages gets the error, with the name of who asks.
    fn shown(&self, backend: &str, message: &Message, why: &str) -> Result<Answer, BackendError> {
        if !self.manner.declared.has(ClientCapabilities::URL) {
            return Ok(told(self, unable(backend, why)));
        }
        let unclear = || broken("it wants a page to be visited and does not say which");
        let source = std::str::from_utf8(&message.body).unwrap_or_default();
        let member = |at: Span, name: &str| Some(Object::read(source, at).ok()?.get(name)?.value());
        let visits = message.envelope.error.and_then(|error| member(error, "data"));
        let visits = visits.and_then(|data| member(data, "elicitations"));
        let visits = visits.and_then(|visits| elements(source, visits).ok());
        let visits = visits.filter(|visits| !visits.is_empty()).ok_or_else(unclear)?;
        let mut splice = Splice::new(&message.body);
        for visit in visits {
            let page = || broken("it wants what is no page to be visited");
            let visit = Some(visit).filter(|visit| is_page(visit.text(&message.body))).ok_or_else(page)?;
            attribute(&mut splice, source, visit, Method::Elicit, &self.post.endpoint, backend)
                .map_err(|_| page())?;
        }
        let message = Message::parse(splice.finish()).map_err(|_| unclear())?;
        Ok(self.asker.answer(backend, Outcome::Error(message)))
    }

    /// What a legacy backend ends a call with whose user has to visit a page first. The client is asked to show it, and its
    /// next request makes the call anew.
    fn visit(&self, from: &Attached, why: &str, data: Option<&str>) -> Result<Answer, BackendError> {
        let backend = from.name();
        let visits = data.and_then(|data| serde_json::from_str::<Visits<'_>>(data).ok());
        let visits = visits.map(|visits| visits.elicitations).filter(|visits| !visits.is_empty());
        let visits = visits.ok_or_else(|| broken("it wants a page to be visited and does not say which"))?;
        if !takes_input(self.manner.method) {
            return Err(broken("it asks for input where it must not"));
        }
        if !self.manner.capabilities.has(ClientCapabilities::URL) {
            let fault = Fault::new(400, code::MISSING_CAPABILITY, unable(backend, why));
            let data = br#"{"requiredCapabilities":{"elicitation":{"url":{}}}}"#;
            return Ok(self.asker.fault(&Fault { data: Some(data[..].into()), ..fault }));
        }
        let mut requests = Vec::with_capacity(visits.len());
        for (at, visit) in visits.into_iter().enumerate() {
            let visit = Some(visit.get())
                .filter(|visit| is_page(visit))
                .and_then(|visit| modern_params(visit, Method::Elicit, &self.post.endpoint, backend));
            let visit = visit.ok_or_else(|| broken("it wants what is no page to be visited"))?;
            requests.push(format!(r#""url-{}":{{"method":"elicitation/create","params":{visit}}}"#, at + 1));
        }
        let state = self.ticket(from, Next::Anew)?;
        let body = required_answer(&self.asker.id, &requests, &state);
        Ok(Answer { status: 200, body })
    }
}

/// Checks that a client of these `capabilities` may be asked all of the `inputRequests` at `at`, and says in them who asks.
///
/// # Errors
/// They are none, or the client did not declare what they need.
pub(crate) fn may_ask<'a>(
    source: &'a str,
    at: Span,
    capabilities: ClientCapabilities,
    endpoint: &Endpoint,
    backend: &str,
    splice: &mut Splice<'a>,
) -> Result<(), BackendError> {
    let requests = Object::read(source, at)
        .map_err(|_| broken("its `inputRequests` are not an object in which every key stands once"))?;
    for request in requests.fields() {
        let request = Object::read(source, request.value())
            .map_err(|_| broken("one of its `inputRequests` is no object"))?;
        let member = |name: &str| request.get(name).map(|field| field.value().text(source.as_bytes()));
        let method = member("method").unwrap_or("null");
        let params = member("params").map(|params| format!(r#","params":{params}"#)).unwrap_or_default();
        let whole = format!(r#"{{"jsonrpc":"2.0","id":0,"method":{method}{params}}}"#);
        let envelope = Envelope::parse(whole.as_bytes())
            .map_err(|_| broken("one of its `inputRequests` is no request"))?;
        if !capabilities.allows(whole.as_bytes(), &envelope) {
            return Err(broken("it asks for input that the client did not say it can give"));
        }
        if let Some(params) = request.get("params") {
            let method = envelope.method(whole.as_bytes());
            attribute(splice, source, params.value(), method, endpoint, backend)
                .map_err(|_| broken("one of its `inputRequests` repeats a key"))?;
        }
    }
    Ok(())
}

/// What is said where a backend has a URL visited and the client did not declare that it can ask for that.
fn unable(backend: &str, why: &str) -> String {
    let why: String = why.chars().take(500).collect();
    format!("backend `{backend}` needs a client that can ask its user to visit a URL: {why}")
}

/// Whether these are the parameters of an elicitation that has a URL visited.
fn is_page(params: &str) -> bool {
    let Ok(object) = Object::read(params, Span::new(0, params.len())) else {
        return false;
    };
    let text = |key: &str| json::as_str(object.get(key)?.value().of(params.as_bytes()));
    text("url").is_some() && text("message").is_some() && text("mode").as_deref() == Some("url")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_has_a_url_and_a_message() {
        assert!(is_page(r#"{"mode":"url","elicitationId":"e","url":"https://a.example/","message":"m"}"#));
        for other in ["[]", r#"{"mode":"form","message":"m"}"#, r#"{"mode":"url","message":"m"}"#] {
            assert!(!is_page(other), "{other}");
        }
    }
}

//! A backend's outcome in the words of the client: its id, its era, its progress token.

mod required;

pub(crate) use required::may_ask;

use crate::rescue::{self, Fault};
use crate::tasks::{self, Begun, Ids};
use bytes::Bytes;
use std::borrow::Cow;
use std::sync::Arc;
use weir_backends::{BackendError, Event, Message, Outcome};

use weir_protocol::{Era, Logs, Method, Span, Splice, code, uris};

/// What weir says of itself to clients.
pub(crate) const SERVER_INFO: &str =
    concat!(r#"{"name":"weir","title":"weir MCP gateway","version":""#, env!("CARGO_PKG_VERSION"), r#""}"#);

/// An answer ready to be sent.
#[derive(Debug)]
pub(crate) struct Answer {
    /// HTTP status, where it can still be chosen.
    pub(crate) status: u16,
    /// The message.
    pub(crate) body: Bytes,
}

/// Who asked.
#[derive(Debug, Clone)]
pub(crate) struct Asker {
    /// The client's raw id.
    pub(crate) id: Bytes,
    /// The client's era.
    pub(crate) era: Era,
    /// The result carries caching hints in the modern era.
    pub(crate) cacheable: bool,
    /// Nothing is decided about callers, so that what a backend calls public is.
    pub(crate) public: bool,
    /// The client's raw progress token.
    pub(crate) progress_token: Option<Bytes>,
    /// The log messages that the client wants.
    pub(crate) logs: Logs,
    /// The method that was asked for, and what stands before the URIs of resources in its answer; `None` where they stay as
    /// the backend wrote them.
    pub(crate) uris: Option<(Method, Arc<str>)>,
    /// How ids of tasks are written; `None` where there can be none.
    pub(crate) tasks: Option<Box<Ids>>,
}

impl Asker {
    /// The answer to the client. Only the id and the fields of the era change.
    pub(crate) fn answer(&self, backend: &str, outcome: Outcome) -> Answer {
        self.translate(outcome).unwrap_or_else(|error| self.fault(&rescue::backend_failed(backend, &error)))
    }

    /// The answer that says what went wrong.
    pub(crate) fn fault(&self, fault: &Fault) -> Answer {
        Answer { status: fault.status, body: fault.body(Some(&self.id)) }
    }

    fn translate(&self, outcome: Outcome) -> Result<Answer, BackendError> {
        match outcome {
            Outcome::Error(message) => self.error(&message),
            Outcome::InputRequired(_) if self.era == Era::Legacy => {
                Err(BackendError::Protocol("it asks for input, which was not offered to it".to_owned()))
            }
            Outcome::Task(_) if self.tasks.is_none() => {
                Err(BackendError::Protocol("the result has a type that was not negotiated".to_owned()))
            }
            Outcome::Begun(message, home) => self.begun(&message, home).map(|(answer, _)| answer),
            Outcome::Task(message) => self.named(&message, Splice::new(&message.body), true),
            Outcome::Complete(message) | Outcome::InputRequired(message) => {
                self.named(&message, Splice::new(&message.body), false)
            }
        }
    }

    /// The answer to a client whose call became a task of a legacy server, and that task.
    pub(crate) fn begun(&self, message: &Message, home: u64) -> Result<(Answer, Begun), BackendError> {
        let unasked = || BackendError::Protocol("it made a task that nobody asked for".to_owned());
        let begun = self.tasks.as_ref().ok_or_else(unasked)?.begun(message, home)?;
        let answer = self.result(&begun.message, Splice::new(&begun.message.body), false)?;
        Ok((answer, begun))
    }

    /// What a legacy server says in answer to a question about a task, with the client's id in it.
    pub(crate) fn related(&self, event: Event) -> Result<Event, BackendError> {
        match &self.tasks {
            Some(ids) => ids.related(event),
            None => tasks::unrelated(event),
        }
    }

    /// What the client answers to a server's question, with the server's id of the task that it belongs to.
    pub(crate) fn restored(&self, response: Message) -> Result<Message, BackendError> {
        match &self.tasks {
            Some(ids) => ids.restored(response),
            None => response.unrelated(),
        }
    }

    /// The answer to a client whose call has a result, or was `made` a task, with the changes that `splice` has already.
    fn named<'a>(
        &'a self,
        message: &'a Message,
        mut splice: Splice<'a>,
        made: bool,
    ) -> Result<Answer, BackendError> {
        if let Some(ids) = &self.tasks {
            ids.put(&mut splice, message, made)?;
        }
        self.result(message, splice, self.cacheable)
    }

    /// The result of a backend, with the changes that `splice` has already.
    fn result<'a>(
        &'a self,
        message: &'a Message,
        mut splice: Splice<'a>,
        cacheable: bool,
    ) -> Result<Answer, BackendError> {
        let body = &message.body;
        if let Some(id) = message.envelope.id {
            splice.replace(id, &self.id[..]);
        }
        if let Some(head) = &message.envelope.result {
            if let Some((method, prefix)) = &self.uris {
                // The message was read, so that it is text, and a `{` stands before the start of its result.
                let source = std::str::from_utf8(body).unwrap_or_default();
                let span = Span::new(head.start.saturating_sub(1), body.len());
                uris::prefix_result(&mut splice, source, span, *method, prefix);
            }
            if let (Some(scope), false) = (head.cache_scope, self.public)
                && cacheable
                && scope.value.of(body) != b"\"private\""
            {
                splice.replace(scope.value, &b"\"private\""[..]);
            }
            match self.era {
                Era::Modern => head
                    .make_modern(&mut splice, body, cacheable, SERVER_INFO)
                    .map_err(|error| BackendError::Protocol(error.to_string()))?,
                // Only a modern server says what type a result is; a legacy one's members are its own affair.
                Era::Legacy if head.result_type.is_some() => head.make_legacy(&mut splice, body),
                Era::Legacy => {}
            }
        }
        Ok(Answer { status: 200, body: splice.finish() })
    }

    /// An error of the backend's own goes on as it is. Codes that speak of the hop between weir and the backend, or that
    /// the client's era does not know, are put into words that are true of this hop.
    fn error(&self, message: &Message) -> Result<Answer, BackendError> {
        let raw = message.envelope.error.map(|span| span.of(&message.body)).unwrap_or_default();
        let Ok(ErrorHead { code, .. }) = serde_json::from_slice::<ErrorHead<'_>>(raw) else {
            return Err(BackendError::Protocol("its error is not a JSON-RPC error".to_owned()));
        };
        let status = match (self.era, i32::try_from(code).unwrap_or_default()) {
            (_, code::HEADER_MISMATCH | code::UNSUPPORTED_VERSION) => {
                return Err(BackendError::Protocol(
                    "it rejects the headers or the revision of the request".to_owned(),
                ));
            }
            // weir declares what it relays, and no more: a modern client hears what the call would need.
            (Era::Modern, code::MISSING_CAPABILITY) => 400,
            (Era::Legacy, code::MISSING_CAPABILITY) => {
                return Err(BackendError::Protocol(
                    "it wants a capability that weir does not relay".to_owned(),
                ));
            }
            (Era::Modern, code::RESOURCE_NOT_FOUND) => {
                let fault = Fault::new(200, code::INVALID_PARAMS, "resource not found");
                return Ok(self.fault(&fault));
            }
            (Era::Modern, code::METHOD_NOT_FOUND) => 404,
            _ => 200,
        };
        let mut body = b"{\"jsonrpc\":\"2.0\",\"id\":".to_vec();
        body.extend_from_slice(&self.id);
        body.extend_from_slice(b",\"error\":");
        body.extend_from_slice(raw);
        body.push(b'}');
        Ok(Answer { status, body: body.into() })
    }

    /// A progress notification with the client's token in place of weir's; `None` where the client gave none.
    pub(crate) fn progress(&self, message: &Message) -> Option<Bytes> {
        let token = self.progress_token.as_ref()?;
        let mut splice = Splice::new(&message.body);
        splice.replace(message.progress_token()?, &token[..]);
        Some(splice.finish())
    }

    /// A log message as it came; `None` where the client does not want it.
    pub(crate) fn log<'a>(&self, message: &'a Message) -> Option<&'a Bytes> {
        let level = message.envelope.params.as_ref().and_then(|params| params.level);
        self.logs.want(level.map(|span| span.of(&message.body))).then_some(&message.body)
    }
}

#[derive(serde::Deserialize)]
struct ErrorHead<'a> {
    code: i64,
    /// Looked for, since an error without it is none; read by the client alone.
    #[serde(rename = "message", borrow)]
    _message: Cow<'a, str>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(body: &str) -> Message {
        Message::parse(Bytes::copy_from_slice(body.as_bytes())).unwrap()
    }

    fn asker(era: Era) -> Asker {
        Asker {
            id: Bytes::from_static(b"\"c\""),
            era,
            cacheable: false,
            public: false,
            progress_token: Some(Bytes::from_static(b"\"t\"")),
            logs: Logs::Unsaid,
            uris: None,
            tasks: None,
        }
    }

    #[test]
    fn what_is_decided_about_is_not_passed_on_as_public() {
        let read =
            message(r#"{"jsonrpc":"2.0","id":1,"result":{"ttlMs":5,"cacheScope":"public","contents":[]}}"#);
        for (public, scope) in [(true, r#""cacheScope":"public""#), (false, r#""cacheScope":"private""#)] {
            let asker = Asker { cacheable: true, public, ..asker(Era::Modern) };
            let answer = asker.answer("b", Outcome::Complete(read.clone())).body;
            assert!(String::from_utf8_lossy(&answer).contains(scope), "{answer:?}");
        }
    }

    #[test]
    fn answers_change_only_where_they_must() {
        let legacy =
            r#"{"result":{"content":[],"big":12345678901234567890123},"x":1,"jsonrpc":"2.0","id":9}"#;
        let answer = asker(Era::Legacy).answer("b", Outcome::Complete(message(legacy)));
        assert_eq!(answer.body, legacy.replace("\"id\":9", "\"id\":\"c\""));
        let error = r#"{"jsonrpc":"2.0","id":null,"error":{"code":-32601,"message":"m","data":{"k":1}}}"#;
        for (era, status) in [(Era::Legacy, 200), (Era::Modern, 404)] {
            let answer = asker(era).answer("b", Outcome::Error(message(error)));
            assert_eq!(answer.status, status);
            assert_eq!(answer.body, error.replace("\"id\":null", "\"id\":\"c\""));
        }
        let modern = r#"{"jsonrpc":"2.0","id":9,"result":{"resultType":"complete","content":[]}}"#;
        let answer = asker(Era::Legacy).answer("b", Outcome::Complete(message(modern)));
        assert_eq!(answer.body, r#"{"jsonrpc":"2.0","id":"c","result":{"content":[]}}"#);
    }

    #[test]
    fn codes_of_the_other_hop_are_translated() {
        let error = |code: i32| {
            message(&format!(r#"{{"jsonrpc":"2.0","id":9,"error":{{"code":{code},"message":"m"}}}}"#))
        };
        for (era, code, expected) in [
            (Era::Modern, -32020, -32603),
            (Era::Modern, -32022, -32603),
            (Era::Legacy, -32021, -32603),
            (Era::Modern, -32021, -32021),
            (Era::Modern, -32002, -32602),
            (Era::Legacy, -32002, -32002),
            (Era::Modern, -1, -1),
        ] {
            let answer = asker(era).answer("b", Outcome::Error(error(code)));
            let body: serde_json::Value = serde_json::from_slice(&answer.body).unwrap();
            assert_eq!((&body["error"]["code"], &body["id"]), (&expected.into(), &"c".into()), "{code}");
        }
    }

    #[test]
    fn what_is_no_error_object_is_not_passed_on() {
        for error in [r#""oops""#, r#"{"code":"E","message":"m"}"#, r#"{"code":1}"#] {
            let broken = message(&format!(r#"{{"jsonrpc":"2.0","id":9,"error":{error}}}"#));
            let body = asker(Era::Legacy).answer("b", Outcome::Error(broken)).body;
            let body: serde_json::Value = serde_json::from_slice(&body).unwrap();
            assert_eq!(body["error"]["code"], -32603, "{error}");
        }
    }

    #[test]
    fn progress_carries_the_clients_token() {
        let progress = r#"{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":9,"progress":1,"new":true}}"#;
        assert_eq!(
            asker(Era::Legacy).progress(&message(progress)).unwrap(),
            progress.replace(":9,", ":\"t\",")
        );
    }
}

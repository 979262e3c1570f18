//! What a legacy backend asks the modern client of a call, from the request that it sends to the answer that it gets.
//!
//! S: MCP 2026-07-28 `basic/patterns/mrtr`; 2025-11-25 `client/elicitation`, `client/sampling`, `client/roots`.

use super::Running;
use super::parked::Place;
use crate::answer::SERVER_INFO;
use crate::endpoint::Endpoint;
use crate::inquiry::attribute;
use bytes::Bytes;
use serde_json::value::RawValue;
use std::time::Duration;
use tokio::time::Instant;
use weir_backends::{BackendError, Event, Message};
use weir_protocol::object::Object;
use weir_protocol::{ClientCapabilities, Method, Span, Splice, code, json, meta};

/// So many questions of one call are open at once.
const MOST: usize = 32;
/// So many bytes of them, and of an end that is kept while the client is away.
const BYTES: usize = 4 << 20;

/// What a backend hears that may not ask.
const REFUSED: &str = "the client cannot be asked this";

/// Members of a request's parameters that only a legacy client understands.
const LEGACY: [&str; 2] = ["elicitationId", "task"];
/// The same of its `_meta`: both speak of the hop between weir and the backend.
const LEGACY_META: [&str; 2] = ["progressToken", "io.modelcontextprotocol/related-task"];

/// The questions of one call that has asked at least once.
#[derive(Debug)]
pub(super) struct Questions {
    /// Its place among the calls that may be parked: kept to its end, so that whoever could ask once can ask again.
    _place: Place,
    /// How long it was parked in all, before it was parked last.
    pub(super) waited: Duration,
    /// Since when it is parked.
    pub(super) parked: Option<Instant>,
    /// Until when its client has to answer any of what is open. Who comes back without an answer gains no time.
    pub(super) end: Option<Instant>,
    /// How often its client was asked.
    pub(super) rounds: usize,
    /// How many questions there ever were.
    count: usize,
    /// Those that are not answered.
    open: Vec<Question>,
    /// How the call ended while nobody waited for that.
    pub(super) ended: Option<Result<Event, BackendError>>,
}

#[derive(Debug)]
struct Question {
    /// Its key among `inputRequests`, unique in the call.
    key: String,
    message: Message,
}

impl Questions {
    pub(super) fn new(place: Place) -> Self {
        Self {
            _place: place,
            waited: Duration::ZERO,
            parked: None,
            end: None,
            rounds: 0,
            count: 0,
            open: Vec::new(),
            ended: None,
        }
    }

    /// The client has come back: what its call does from here on is not its time.
    pub(super) fn resume(&mut self) {
        self.waited += self.parked.take().map(|since| since.elapsed()).unwrap_or_default();
    }

    /// Takes in a question; `false` where there are too many.
    fn add(&mut self, message: Message) -> bool {
        let bytes: usize = self.open.iter().map(|question| question.message.body.len()).sum();
        if self.open.len() >= MOST || bytes + message.body.len() > BYTES {
            return false;
        }
        self.count += 1;
        let noun = match message.envelope.method(&message.body) {
            Method::Elicit => "elicitation",
            Method::CreateMessage => "sampling",
            _ => "roots",
        };
        self.open.push(Question { key: format!("{noun}-{}", self.count), message });
        true
    }

    /// The keys of those that are open.
    pub(super) fn keys(&self) -> Vec<String> {
        self.open.iter().map(|question| question.key.clone()).collect()
    }

    /// The answer to the request with the raw `id` that asks all that are open, in the name of `backend`; `state` is text
    /// without quotes in it.
    pub(super) fn ask(&self, id: &[u8], state: &str, endpoint: &Endpoint, backend: &str) -> Bytes {
        let requests: Vec<String> =
            self.open.iter().filter_map(|question| question.write(endpoint, backend)).collect();
        required_answer(id, &requests, state)
    }
}

/// The answer to the request with the raw `id` that asks for `requests`, members of `inputRequests`.
pub(crate) fn required_answer(id: &[u8], requests: &[String], state: &str) -> Bytes {
    let result = format!(
        r#"{{"resultType":"input_required","inputRequests":{{{}}},"requestState":"{state}","_meta":{{"{}":{SERVER_INFO}}}}}"#,
        requests.join(","),
        meta::SERVER_INFO,
    );
    code::result_answer(id, result.as_bytes())
}

impl Question {
    /// The question as a member of `inputRequests`.
    fn write(&self, endpoint: &Endpoint, backend: &str) -> Option<String> {
        let method = self.message.envelope.method(&self.message.body);
        let params = match raw_params(&self.message) {
            Some(raw) => format!(r#","params":{}"#, modern_params(raw, method, endpoint, backend)?),
            None => String::new(),
        };
        Some(format!(r#""{}":{{"method":"{}"{params}}}"#, self.key, method.as_str()))
    }
}

/// The parameters of a request, as they are written.
fn raw_params(Message { body, envelope }: &Message) -> Option<&str> {
    // Right behind the `{`, to the end of the message: the value ends where it ends.
    let rest = body.get(envelope.params.as_ref()?.start.checked_sub(1)?..)?;
    let raw = serde_json::Deserializer::from_slice(rest).into_iter::<&RawValue>().next()?;
    raw.ok().map(RawValue::get)
}

/// The parameters of a legacy server's request as a modern client is to see them: without what only a legacy client
/// understands, and with the name of who asks, else byte for byte. `None` where they repeat a key, so that nobody can say
/// what the user would see.
pub(crate) fn modern_params(
    params: &str,
    method: Method,
    endpoint: &Endpoint,
    backend: &str,
) -> Option<String> {
    let mut splice = Splice::new(params.as_bytes());
    strip(&mut splice, params)?;
    attribute(&mut splice, params, Span::new(0, params.len()), method, endpoint, backend).ok()?;
    String::from_utf8(splice.finish().to_vec()).ok()
}

/// Takes out what only a legacy client understands.
fn strip(splice: &mut Splice<'_>, params: &str) -> Option<()> {
    let object = Object::read(params, Span::new(0, params.len())).ok()?;
    object.change(splice, params, |key| LEGACY.contains(&key), Vec::new());
    if let Some(meta) = object.get("_meta") {
        let meta = Object::read(params, meta.value()).ok()?;
        meta.change(splice, params, |key| LEGACY_META.contains(&key), Vec::new());
    }
    Some(())
}

impl Running {
    /// Takes in a question for the client, or refuses it: the client cannot be asked that, or too much is asked already.
    pub(super) fn wonder(
        &mut self,
        message: Message,
        capabilities: ClientCapabilities,
        place: impl FnOnce() -> Option<Place>,
    ) {
        let readable =
            raw_params(&message).is_none_or(|raw| strip(&mut Splice::new(raw.as_bytes()), raw).is_some());
        if !readable || !capabilities.allows(&message.body, &message.envelope) {
            return self.refuse(&message, REFUSED);
        }
        if self.questions.is_none() {
            self.questions = place().map(|place| Box::new(Questions::new(place)));
        }
        let refused = message.clone();
        if !self.questions.as_mut().is_some_and(|questions| questions.add(message)) {
            tracing::warn!(backend = self.backend.name(), "it asks more than can be kept: refused");
            self.refuse(&refused, REFUSED);
        }
    }

    /// The backend takes back its request with the raw `id`: whoever was not asked yet is not asked any more, and an answer
    /// goes nowhere.
    pub(super) fn forget(&mut self, id: &[u8]) {
        if let Some(questions) = &mut self.questions {
            let is_it =
                |Message { body, envelope }: &Message| envelope.id.is_some_and(|own| own.of(body) == id);
            questions.open.retain(|question| !is_it(&question.message));
        }
    }

    /// Whether there is something to ask the client.
    pub(super) fn is_asking(&self) -> bool {
        self.exchange.is_some() && self.questions.as_ref().is_some_and(|questions| !questions.open.is_empty())
    }

    /// Answers the questions that `responses`, raw `inputResponses`, answers: those of a client with `capabilities`. The rest
    /// stays open, but for what this client cannot be asked.
    pub(crate) fn settle(&mut self, responses: Option<&[u8]>, capabilities: ClientCapabilities) {
        let Some(questions) = &mut self.questions else {
            return;
        };
        let source = responses.and_then(|raw| std::str::from_utf8(raw).ok()).unwrap_or("{}");
        let given = Object::read(source, Span::new(0, source.len())).ok();
        let before = questions.open.len();
        let mut still = Vec::new();
        let mut unasked = Vec::new();
        for question in std::mem::take(&mut questions.open) {
            let answer = given.as_ref().and_then(|given| answer_to(&question.key, given, source));
            let Message { body, envelope } = &question.message;
            match (answer, envelope.id, &mut self.exchange) {
                (Some(answer), Some(id), Some(exchange)) => {
                    exchange.reply(code::result_answer(id.of(body), answer));
                }
                (Some(_), ..) => {}
                (None, ..) if capabilities.allows(body, envelope) => still.push(question),
                (None, ..) => unasked.push(question.message),
            }
        }
        if still.len() + unasked.len() < before {
            questions.end = None;
        }
        questions.open = still;
        for message in unasked {
            self.refuse(&message, REFUSED);
        }
    }

    /// Takes in what happens while the call is parked.
    pub(super) fn keep(&mut self, event: Result<Event, BackendError>, capabilities: ClientCapabilities) {
        match event {
            // Nobody is there to see it, and later progress replaces earlier.
            Ok(Event::Progress(_) | Event::Log(_)) => {}
            Ok(Event::Asked(message)) => self.wonder(message, capabilities, || None),
            Ok(Event::Withdrawn(id)) => self.forget(&id),
            ended => {
                // The backend is done with it: its place there is free again.
                self.exchange = None;
                if let Some(questions) = &mut self.questions {
                    questions.open.clear();
                    questions.ended = Some(bounded(ended));
                }
            }
        }
    }
}

/// What is `given` in `source` to the question of this key. What is no object answers nothing: only the keys that were open when
/// the call was parked were looked at before.
fn answer_to<'a>(key: &str, given: &Object<'_>, source: &'a str) -> Option<&'a [u8]> {
    let answer = given.get(key)?.value().of(source.as_bytes());
    answer.starts_with(b"{").then_some(answer)
}

/// The end of a call, where it is not too large to be kept.
fn bounded(ended: Result<Event, BackendError>) -> Result<Event, BackendError> {
    match ended {
        Ok(Event::Outcome(outcome)) if outcome.message().body.len() > BYTES => {
            Err(BackendError::TooLarge { limit: BYTES })
        }
        ended => ended,
    }
}

/// Raw `inputResponses` that cannot be used for questions of these keys: why.
pub(super) fn fault_of(responses: &[u8], keys: &[String]) -> Option<String> {
    let source = std::str::from_utf8(responses).unwrap_or_default();
    let Ok(given) = Object::read(source, Span::new(0, source.len())) else {
        return Some("`params.inputResponses` must be an object in which every key stands once".to_owned());
    };
    let wrong = keys.iter().find(|key| {
        given.get(key).is_some_and(|answer| !answer.value().of(source.as_bytes()).starts_with(b"{"))
    })?;
    let key = String::from_utf8_lossy(&json::string(wrong)).into_owned();
    Some(format!("`params.inputResponses` must hold an object under {key}"))
}

#[cfg(test)]
mod tests {
    use super::super::Parking;
    use super::*;
    use weir_backends::Outcome;

    fn stripped(params: &str) -> Option<String> {
        let mut splice = Splice::new(params.as_bytes());
        strip(&mut splice, params)?;
        Some(String::from_utf8(splice.finish().to_vec()).unwrap())
    }

    #[test]
    fn only_what_is_legacy_is_taken_out() {
        for (before, after) in [
            (r#"{ "mode" : "url","elicitationId":"e", "url":"u" }"#, r#"{ "mode" : "url", "url":"u" }"#),
            (r#"{"task":{"ttl":1}}"#, "{}"),
            (r#"{"a":1.0,"_meta":{"progressToken":1,"x":[ ]}}"#, r#"{"a":1.0,"_meta":{"x":[ ]}}"#),
            (
                r#"{"_meta":{"io.modelcontextprotocol/related-task":{"taskId":"t"}},"b":null}"#,
                r#"{"_meta":{},"b":null}"#,
            ),
            (
                r#"{"requestedSchema":{"task":1,"elicitationId":2}}"#,
                r#"{"requestedSchema":{"task":1,"elicitationId":2}}"#,
            ),
        ] {
            assert_eq!(stripped(before).as_deref(), Some(after));
        }
        for unclear in [r#"{"message":"a","message":"b"}"#, r#"{"_meta":{"x":1,"x":2}}"#, "[]"] {
            assert_eq!(stripped(unclear), None, "{unclear}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn only_the_time_that_it_is_parked_is_the_clients() {
        let second = Duration::from_secs(1);
        let mut questions = Questions::new(crate::pump::Parking::default().place(1).unwrap());
        for rounds in 1..=3 {
            questions.parked = Some(Instant::now());
            tokio::time::advance(second).await;
            questions.resume();
            tokio::time::advance(60 * second).await;
            questions.resume();
            assert_eq!(questions.waited, rounds * second, "what the backend did since is not counted");
        }
    }

    #[test]
    fn what_is_kept_is_bounded() {
        let message = |length: usize| {
            let text = "x".repeat(length);
            let body =
                format!(r#"{{"jsonrpc":"2.0","id":1,"method":"roots/list","params":{{"a":"{text}"}}}}"#);
            Message::parse(body.into()).unwrap()
        };
        let mut questions = Questions::new(Parking::default().place(1).unwrap());
        assert!(!questions.add(message(BYTES)), "one alone is too large");
        assert!(questions.add(message(BYTES / 2)));
        assert!(!questions.add(message(BYTES / 2)));
        assert!(questions.add(message(1)));

        let ended = |length| bounded(Ok(Event::Outcome(Outcome::Complete(message(length)))));
        assert!(ended(1).is_ok());
        assert!(matches!(ended(BYTES), Err(BackendError::TooLarge { .. })));
    }

    #[test]
    fn answers_are_objects_or_absent() {
        let keys = ["roots-1".to_owned(), "sampling-2".to_owned()];
        for good in ["{}", r#"{"roots-1":{}}"#, r#"{"x":1,"sampling-2":{"a":1}}"#] {
            assert_eq!(fault_of(good.as_bytes(), &keys), None, "{good}");
        }
        for bad in ["[]", "1", "\"\"", "", r#"{"roots-1":1}"#, r#"{"sampling-2":null}"#, r#"{"x":1,"x":1}"#] {
            assert!(fault_of(bad.as_bytes(), &keys).is_some(), "{bad}");
        }
        let source = r#"{"a":7,"b":{"n":1.0},"c":null}"#;
        let given = Object::read(source, Span::new(0, source.len())).unwrap();
        assert_eq!(answer_to("b", &given, source), Some(&br#"{"n":1.0}"#[..]));
        for key in ["a", "c", "d"] {
            assert_eq!(answer_to(key, &given, source), None, "{key}");
        }
    }
}

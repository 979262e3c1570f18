//! One round of questions of a modern backend: it answered a call with what it needs to know, and is called again with it.
//!
//! S: MCP 2026-07-28 `basic/patterns/mrtr`.

use bytes::Bytes;
use serde::Deserialize;
use serde_json::value::RawValue;
use std::time::Duration;
use tokio::time::Instant;
use weir_backends::{Input, Message};
use weir_protocol::Span;
use weir_protocol::object::Object;

/// A call that is only to be made again is, after this time; each time in a row takes twice as long, up to the longest.
const PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// What a backend asked for, and what the client has answered so far.
#[derive(Debug)]
pub(super) struct Round {
    /// The raw `requestState`.
    state: Option<Bytes>,
    entries: Vec<Entry>,
}

#[derive(Debug)]
struct Entry {
    /// The raw key, quotes included.
    key: Bytes,
    /// The raw result of the client.
    result: Option<Bytes>,
}

#[derive(Deserialize)]
struct InputRequest<'a> {
    #[serde(borrow)]
    method: &'a RawValue,
    #[serde(borrow)]
    params: Option<&'a RawValue>,
}

/// The rounds in a row in which a backend asked for nothing but to be called again.
#[derive(Debug, Default)]
pub(super) struct Pauses {
    since: Option<Instant>,
    /// How long the latest is.
    length: Duration,
}

impl Pauses {
    /// When the call is made again after the next one; `None` where they have taken `limit`.
    pub(super) fn next(&mut self, limit: Duration) -> Option<Instant> {
        let now = Instant::now();
        let end = *self.since.get_or_insert(now) + limit;
        self.length = (self.length * 2).clamp(PAUSE, LONGEST_PAUSE);
        (now < end).then(|| end.min(now + self.length))
    }
}

impl Round {
    /// Reads what `message`, a result that is `input_required`, asks for: the round, and each request as a message without
    /// an id of its own yet, in the order of the entries.
    ///
    /// # Errors
    /// It is not what the specification says; in words for the log and the client.
    pub(super) fn read(message: &Message) -> Result<(Self, Vec<Message>), String> {
        let body = &message.body;
        let source = std::str::from_utf8(body).unwrap_or_default();
        let member = |member: Option<weir_protocol::Member>| member.map(|member| member.value);
        let head = message.envelope.result.as_ref();
        let state = member(head.and_then(|head| head.request_state));
        if state.is_some_and(|state| !state.text(body).starts_with('"')) {
            return Err("its `requestState` is not a string".to_owned());
        }
        let (mut entries, mut requests) = (Vec::new(), Vec::new());
        if let Some(asked) = member(head.and_then(|head| head.input_requests)) {
            let asked = Object::read(source, asked)
                .map_err(|error| format!("its `inputRequests` are no object of requests: {error}"))?;
            for field in asked.fields() {
                requests.push(request(field.value().text(body)).map_err(|error| {
                    format!("what it asks for as `{:.100}` is no request: {error}", field.name)
                })?);
                entries.push(Entry { key: slice(body, field.key), result: None });
            }
        }
        if state.is_none() && entries.is_empty() {
            return Err("it asks for input, and not for what".to_owned());
        }
        Ok((Self { state: state.map(|state| slice(body, state)), entries }, requests))
    }

    /// Takes in the raw result that answers the entry at `at`.
    pub(super) fn put(&mut self, at: usize, result: Bytes) {
        if let Some(entry) = self.entries.get_mut(at) {
            entry.result = Some(result);
        }
    }

    /// Whether nothing was asked for but to be called again.
    pub(super) fn is_pause(&self) -> bool {
        self.entries.is_empty()
    }

    /// What the call is made again with; `None` while an answer is missing.
    pub(super) fn input(&self) -> Option<Box<Input>> {
        let mut responses = b"{".to_vec();
        for entry in &self.entries {
            if responses.len() > 1 {
                responses.push(b',');
            }
            responses.extend_from_slice(&entry.key);
            responses.push(b':');
            responses.extend_from_slice(entry.result.as_ref()?);
        }
        responses.push(b'}');
        let responses = (!self.entries.is_empty()).then(|| responses.into());
        Some(Box::new(Input { responses, state: self.state.clone(), asked: true }))
    }
}

fn slice(body: &Bytes, span: Span) -> Bytes {
    body.slice(span.start()..span.end())
}

/// An entry of `inputRequests` as a request.
fn request(entry: &str) -> Result<Message, String> {
    let read: InputRequest<'_> = serde_json::from_str(entry).map_err(|error| error.to_string())?;
    let mut body = br#"{"jsonrpc":"2.0","id":0,"method":"#.to_vec();
    body.extend_from_slice(read.method.get().as_bytes());
    if let Some(params) = read.params {
        body.extend_from_slice(b",\"params\":");
        body.extend_from_slice(params.get().as_bytes());
    }
    body.push(b'}');
    Message::parse(body.into()).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(result: &str) -> Result<(Round, Vec<Message>), String> {
        let body = format!(r#"{{"jsonrpc":"2.0","id":7,"result":{result}}}"#);
        Round::read(&Message::parse(body.into()).unwrap())
    }

    #[test]
    fn answers_and_state_go_back_as_they_were_written() {
        let (mut round, requests) = read(
            r#"{"resultType":"input_required","requestState":"s\u0031\/","inputRequests":{"\u0061" :{"params":{"message":"m","n":1.0},"method":"elicitation/create"},"b":{"method":"roots/list"}}}"#,
        )
        .unwrap();
        let bodies: Vec<&[u8]> = requests.iter().map(|request| &request.body[..]).collect();
        assert_eq!(
            bodies,
            [
                &br#"{"jsonrpc":"2.0","id":0,"method":"elicitation/create","params":{"message":"m","n":1.0}}"#[..],
                br#"{"jsonrpc":"2.0","id":0,"method":"roots/list"}"#,
            ]
        );
        round.put(1, Bytes::from_static(b"{\"roots\":[]}"));
        assert!(round.input().is_none(), "one is missing");
        round.put(0, Bytes::from_static(b"{ \"action\":\"decline\" }"));
        let input = round.input().unwrap();
        assert_eq!(
            input.responses.unwrap(),
            r#"{"\u0061":{ "action":"decline" },"b":{"roots":[]}}"#.as_bytes()
        );
        assert_eq!(input.state.unwrap(), r#""s\u0031\/""#.as_bytes());
    }

    #[test]
    fn a_state_alone_is_a_pause() {
        for result in [r#"{"requestState":"s"}"#, r#"{"requestState":"s","inputRequests":{}}"#] {
            let (round, requests) = read(result).unwrap();
            assert!(round.is_pause() && requests.is_empty());
            let input = round.input().unwrap();
            assert_eq!((input.responses, input.state), (None, Some(Bytes::from_static(b"\"s\""))));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn pauses_grow_and_end() {
        let (mut pauses, begun) = (Pauses::default(), Instant::now());
        let mut lengths = Vec::new();
        while let Some(due) = pauses.next(Duration::from_secs(20)) {
            lengths.push((due - Instant::now()).as_millis());
            tokio::time::sleep_until(due).await;
        }
        assert_eq!(lengths, [250, 500, 1000, 2000, 4000, 5000, 5000, 2250]);
        assert_eq!(begun.elapsed(), Duration::from_secs(20));
    }

    #[test]
    fn what_asks_for_nothing_or_badly_is_refused() {
        for result in [
            "{}",
            r#"{"requestState":7}"#,
            r#"{"inputRequests":{}}"#,
            r#"{"inputRequests":[]}"#,
            r#"{"inputRequests":{"a":{"method":7}}}"#,
            r#"{"inputRequests":{"a":{"params":{}}}}"#,
            r#"{"inputRequests":{"a":{"method":"roots/list","params":[]}}}"#,
            r#"{"inputRequests":{"a":{"method":"roots/list"},"a":{"method":"roots/list"}}}"#,
        ] {
            assert!(read(result).is_err(), "{result}");
        }
    }
}

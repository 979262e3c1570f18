//! One event stream of a server, and what is waited for on it.

use super::{Failure, opening};
use crate::credentials::Party;
use crate::errand::{TaskState, members};
use crate::http::Shared;
use crate::http::client::{Body, Media, Outgoing, Verb};
use crate::pending::Pending;
use crate::{BackendError, Message, SessionKey, message, oversize};
use bytes::Bytes;
use http::HeaderValue;
use parking_lot::Mutex;
use std::sync::{Arc, OnceLock, Weak};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::AbortHandle;
use tokio::time::{Instant, timeout_at};
use url::Url;
use weir_protocol::sse::{Decoder, Event};
use weir_protocol::{Era, Kind, Method};

/// So many answers to a server's own requests may be on their way.
const REPLIES: usize = 64;
/// The longest path that a server may name for messages, in bytes.
const LONGEST_PATH: usize = 4 << 10;

/// One event stream, read in the background until it ends or is closed.
#[derive(Debug)]
pub(crate) struct Line {
    shared: Weak<Shared>,
    /// Whose session it is.
    key: SessionKey,
    /// Path and query that messages are posted to.
    path: Arc<str>,
    pending: Pending,
    /// The number of its session among the places where tasks live.
    pub(crate) home: Arc<OnceLock<u64>>,
    has_ended: watch::Sender<bool>,
    reader: Mutex<Option<AbortHandle>>,
    /// Places for answers to the server's own requests.
    replies: Arc<Semaphore>,
    /// On whose behalf weir speaks in its session.
    party: Arc<Mutex<Party>>,
    /// Its place among the streams of client sessions, until it ends.
    place: Mutex<Option<OwnedSemaphorePermit>>,
}

impl Line {
    /// Opens the stream and waits, until `end`, for the event that says where messages go.
    pub(super) async fn open(
        shared: &Arc<Shared>,
        key: SessionKey,
        party: &Party,
        end: Instant,
    ) -> Result<Arc<Self>, Failure> {
        let place = place(shared, key).map_err(Failure::Broken)?;
        let limit = shared.timeouts.list;
        let late = |what| BackendError::Timeout { what, after: limit };
        let response = timeout_at(end, shared.send(opening().of(party.clone())))
            .await
            .unwrap_or_else(|_| Err(late("the event stream")))
            .map_err(Failure::NotSpoken)?;
        if !response.is_success() {
            return Err(Failure::NotSpoken(BackendError::Refused { status: response.status }));
        }
        let silent = || Failure::NotSpoken(protocol("it opened no event stream with an `endpoint` event"));
        if response.media != Media::EventStream {
            return Err(silent());
        }
        let decoder = Decoder::new(shared.limits.message);
        let mut events = Events { body: response.body, decoder, head: None };
        let endpoint = async {
            loop {
                match events.next().await {
                    Ok(Arrival::Event(event)) if event.name == "endpoint" => return Some(event.data),
                    Ok(_) => {}
                    Err(_) => return None,
                }
            }
        };
        let endpoint = timeout_at(end, endpoint).await.ok().flatten().ok_or_else(silent)?;
        let path = path_of(&shared.url, &endpoint).map_err(Failure::Broken)?;
        let line = Arc::new(Self {
            shared: shared.myself.clone(),
            key,
            path: path.into(),
            pending: Pending::default(),
            home: Arc::default(),
            has_ended: watch::Sender::new(false),
            reader: Mutex::new(None),
            party: Arc::new(Mutex::new(party.clone())),
            replies: Arc::new(Semaphore::new(REPLIES)),
            place: Mutex::new(place),
        });
        let reader = shared.handle.spawn(read(line.clone(), events));
        *line.reader.lock() = Some(reader.abort_handle());
        Ok(line)
    }

    pub(crate) fn pending(&self) -> &Pending {
        &self.pending
    }

    /// Whether nothing comes on it any more.
    pub(crate) fn has_ended(&self) -> bool {
        *self.has_ended.borrow()
    }

    /// Waits for its end.
    pub(super) async fn ended(&self) {
        let _ = self.has_ended.subscribe().wait_for(|ended| *ended).await;
    }

    /// A message to the server.
    pub(crate) fn outgoing(&self, headers: Vec<(&'static str, HeaderValue)>, body: Bytes) -> Outgoing {
        let party = self.party.lock().clone();
        Outgoing { path: Some(self.path.clone()), ..Outgoing::new(Verb::Post, headers, body).of(party) }
    }

    /// On whose behalf weir speaks in its session.
    pub(crate) fn party(&self) -> &Arc<Mutex<Party>> {
        &self.party
    }

    /// Ends it; whoever still waits is told `why`.
    pub(crate) fn close(&self, why: &BackendError) {
        if let Some(reader) = self.reader.lock().take() {
            reader.abort();
        }
        self.end(why);
    }

    fn end(&self, why: &BackendError) {
        self.pending.fail(why);
        self.place.lock().take();
        self.has_ended.send_replace(true);
    }

    /// Only the call whose answer is too large fails of that.
    fn pass_over(&self, head: &[u8], tail: &[u8]) {
        let Some(shared) = self.shared.upgrade() else {
            return;
        };
        let limit = shared.limits.message;
        tracing::warn!(backend = shared.name, limit, "a message is larger than the limit");
        if let Some(id) = oversize::id_of(head, tail) {
            self.pending.answer(id, Err(BackendError::TooLarge { limit }));
        }
    }

    fn take(self: &Arc<Self>, message: Message) {
        let body = &message.body;
        let Some(shared) = self.shared.upgrade() else {
            return;
        };
        match (message.envelope.kind, message.envelope.method(body)) {
            (Kind::Response, _) => {
                let id = message.envelope.id.and_then(|span| span.text(body).parse().ok());
                let task = if message.is_task() { TaskState::begun(&message) } else { None };
                if !id.is_some_and(|id| self.pending.answer(id, Ok(message))) {
                    if let Some(task) = task {
                        // Its call was given up meanwhile.
                        let (id, method) = (shared.next_id(), Method::TasksCancel.as_str());
                        self.reply(&shared, message::request(id, method, &members(&task.id), Era::Legacy));
                    }
                    tracing::debug!(backend = shared.name, "an answer that nobody waits for");
                }
            }
            (Kind::Request, _) => {
                let roots = &shared.roots;
                let left = match roots.answer_for_all(self.key, &message) {
                    true => Some(message),
                    false => self.pending.ask(self.key, message),
                };
                if let Some(answer) = left.and_then(|message| message::answer_to(&message, roots)) {
                    self.reply(&shared, answer);
                }
            }
            (_, Method::Progress) => {
                shared.subscriptions.progress(&self.pending, self.home.get().copied(), message);
            }
            (_, method @ (Method::ToolsChanged | Method::PromptsChanged | Method::ResourcesChanged)) => {
                shared.changes.announce(method);
            }
            (_, Method::TaskStatus) => {
                self.pending.hear_of_task(&message);
                shared.subscriptions.task_told(self.home.get().copied(), message);
            }
            (_, Method::ResourceUpdated) => shared.subscriptions.updated(message),
            (_, Method::Message) => shared.subscriptions.log(&self.pending, self.key, message),
            (_, Method::Cancelled) => self.pending.withdraw(&message),
            _ => {}
        }
    }

    /// weir's own answer to a request of the server, in the background.
    fn reply(&self, shared: &Arc<Shared>, answer: Bytes) {
        // One that asks faster than it takes the answers gets no more.
        let Ok(place) = self.replies.clone().try_acquire_owned() else {
            return;
        };
        let request = self.outgoing(Vec::new(), answer);
        let own = shared.clone();
        shared.handle.spawn(async move {
            let _place = place;
            let sent = tokio::time::timeout(own.timeouts.list, own.send(request)).await;
            if !matches!(sent, Ok(Ok(response)) if response.is_success()) {
                tracing::debug!(backend = own.name, "an answer did not reach the backend");
            }
        });
    }
}

/// A place for the stream of a client session. The one that serves everybody always has its own.
fn place(shared: &Shared, key: SessionKey) -> Result<Option<OwnedSemaphorePermit>, BackendError> {
    if key == SessionKey::Shared {
        return Ok(None);
    }
    let busy = BackendError::Busy { limit: shared.limits.calls, what: "event streams serve other sessions" };
    shared.streams.clone().try_acquire_owned().map(Some).map_err(|_| busy)
}

/// What a stream brings.
enum Arrival {
    Event(Event),
    /// A message that is too large: its first and last bytes.
    TooLarge {
        head: Bytes,
        tail: Bytes,
    },
}

/// The events of a stream, as they come.
struct Events {
    body: Body,
    decoder: Decoder,
    /// The beginning of an event that is too large and has not ended yet.
    head: Option<Bytes>,
}

impl Events {
    async fn next(&mut self) -> Result<Arrival, BackendError> {
        loop {
            match self.decoder.next_event() {
                Ok(Some(event)) => {
                    return Ok(match self.head.take() {
                        None => Arrival::Event(event),
                        Some(head) => Arrival::TooLarge { head, tail: event.data },
                    });
                }
                Ok(None) => {}
                Err(_) => {
                    self.head = Some(self.decoder.skip_event(oversize::TAIL));
                    continue;
                }
            }
            let piece = self.body.chunk().await.transpose()?;
            self.decoder.feed(&piece.ok_or_else(|| BackendError::gone("it closed the event stream"))?);
        }
    }
}

async fn read(line: Arc<Line>, mut events: Events) {
    let error = loop {
        match events.next().await {
            Ok(Arrival::TooLarge { head, tail }) => line.pass_over(&head, &tail),
            Ok(Arrival::Event(event))
                if event.data.is_empty() || !matches!(event.name.as_str(), "" | "message") => {}
            Ok(Arrival::Event(event)) => match Message::parse(event.data.clone()) {
                Ok(message) => line.take(message),
                Err(error) => {
                    let shared = line.shared.upgrade();
                    let name = shared.as_ref().map(|shared| shared.name.as_str());
                    tracing::warn!(backend = name, %error, "an event of its stream is no message");
                    if let Some(id) = oversize::id_of_broken(&event.data) {
                        line.pending.answer(id, Err(error));
                    }
                }
            },
            Err(error) => break error,
        }
    };
    line.end(&error);
}

/// The path and query of an `endpoint` event. Only the server that sent it may be named: anything else would have weir send
/// requests, with the backend's credentials, wherever the server likes.
fn path_of(url: &Url, endpoint: &[u8]) -> Result<String, BackendError> {
    let text = std::str::from_utf8(endpoint).map(str::trim).unwrap_or_default();
    let named = url.join(text).ok().filter(|_| !text.is_empty() && text.len() <= LONGEST_PATH);
    let named = named.ok_or_else(|| protocol("its `endpoint` event names no URL"))?;
    if named.origin() != url.origin() || !matches!(named.scheme(), "http" | "https") {
        return Err(protocol("its `endpoint` event names another server than itself"));
    }
    Ok(match named.query() {
        Some(query) => format!("{}?{query}", named.path()),
        None => named.path().to_owned(),
    })
}

fn protocol(text: &str) -> BackendError {
    BackendError::Protocol(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_go_to_the_server_that_sent_the_event() {
        let url: Url = "http://user@host:81/a/sse?x=1".parse().unwrap();
        for (named, path) in [
            ("/messages?session=1", "/messages?session=1"),
            (" messages/ \n", "/a/messages/"),
            ("?session=2", "/a/sse?session=2"),
            ("http://host:81/m#fragment", "/m"),
            ("http://other@HOST:81/m", "/m"),
            ("//host:81/m", "/m"),
            ("/a b\u{e9}", "/a%20b%C3%A9"),
        ] {
            assert_eq!(path_of(&url, named.as_bytes()).as_deref(), Ok(path), "{named:?}");
        }
        let long = "/".repeat(LONGEST_PATH + 1);
        for named in [
            "",
            " ",
            "//evil/m",
            "\\\\evil\\m",
            "http://host/m",
            "https://host:81/m",
            "http://host:81.evil/m",
            "http://host:81@evil/m",
            "file:///etc/passwd",
            "data:,x",
            "http://[",
            &long,
        ] {
            assert!(matches!(path_of(&url, named.as_bytes()), Err(BackendError::Protocol(_))), "{named:?}");
        }
        assert!(path_of(&url, b"/\xff").is_err());
    }
}

//! What waits to be written to one client's stream: updates of resources, and log messages of its session.

use bytes::Bytes;
use parking_lot::Mutex;
use std::collections::{HashSet, VecDeque};
use std::sync::Arc;
use tokio::sync::Notify;
use weir_backends::{Message, TaskChange, Update};
use weir_protocol::{Method, Span, Splice, json, meta, uris};

/// Log messages that wait for a slow client; beyond that the oldest are dropped. Also updates as servers wrote them; beyond
/// that the client is told instead, once for each, that what it watches has changed.
const MOST: usize = 256;
/// The bytes of either; a larger message waits alone.
const BYTES: usize = 1 << 20;
/// Updates that wait all in all. There is one for each resource that is watched, and a client watches fewer.
const UPDATES: usize = 4096;

/// A message for one client.
#[derive(Debug, Clone)]
pub(crate) enum Letter {
    /// A resource changed.
    Update {
        update: Arc<Update>,
        /// What is watched, which may be told of in place of this; `None` where that has been done.
        whole: Option<Arc<str>>,
        /// What stands before the backend's URI in the one that the client knows.
        prefix: Arc<str>,
    },
    /// A task came further.
    Task {
        change: Arc<TaskChange>,
        /// The id that the client knows.
        id: Arc<str>,
        /// What stands before the backend's URIs in those that the client knows.
        prefix: Arc<str>,
    },
    /// A log message that belongs to no call.
    Log(Arc<Message>),
    /// What weir says by itself, as it is written.
    Own(Bytes),
    /// The stream is to end, since something is missing from it.
    End,
}

impl Letter {
    /// Whether the client needs not hear of the `other` any more once it has heard of this.
    fn replaces(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Update { update, prefix, .. }, Self::Update { update: other, prefix: of_other, .. }) => {
                update.uri == other.uri && prefix == of_other
            }
            // What is told of a task is all that there is to know of it.
            (Self::Task { id, .. }, Self::Task { id: other, .. }) => id == other,
            (Self::End, Self::End) => true,
            _ => false,
        }
    }

    /// The notification in the words of the client's era: a modern one names the subscription, a raw id, that it belongs
    /// to, and a legacy one does not know such a thing. Everything else stays as the backend wrote it.
    /// `None` stands for the end of the stream.
    pub(crate) fn written(&self, subscription: Option<&[u8]>) -> Option<Bytes> {
        let message = match self {
            Self::Update { update, .. } => &update.message,
            Self::Task { change, .. } => &change.message,
            Self::Log(message) => return Some(message.body.clone()),
            Self::Own(message) => return Some(message.clone()),
            Self::End => return None,
        };
        let body = &message.body;
        let meta = message.envelope.meta(body).ok().flatten();
        let mut splice = Splice::new(body);
        self.rename(&mut splice, message);
        match (subscription, meta, &message.envelope.params) {
            (None, Some(meta), _) => meta.strip_subscription(&mut splice, body),
            (Some(id), Some(meta), _) => meta.stamp_subscription(&mut splice, id),
            (Some(id), None, Some(params)) => {
                let id = String::from_utf8_lossy(id);
                let member = format!("\"_meta\":{{\"{}\":{id}}},", meta::SUBSCRIPTION_ID);
                splice.insert(params.start, member.into_bytes());
            }
            _ => {}
        }
        Some(if splice.is_untouched() { body.clone() } else { splice.finish() })
    }

    /// Puts the names that the client knows in place of the backend's.
    fn rename(&self, splice: &mut Splice<'_>, message: &Message) {
        let Some(params) = &message.envelope.params else {
            return;
        };
        match self {
            Self::Update { update, prefix, .. } => {
                if let Some(uri) = params.uri.filter(|_| !prefix.is_empty()) {
                    splice.replace(uri, json::string(&format!("{prefix}{}", update.uri)));
                }
            }
            Self::Task { id, prefix, .. } => {
                if let Some(span) = params.task_id {
                    splice.replace(span, json::string(id));
                }
                if !prefix.is_empty() {
                    let source = std::str::from_utf8(&message.body).unwrap_or_default();
                    let span = Span::new(params.start.saturating_sub(1), source.len());
                    uris::prefix_result(splice, source, span, Method::TasksGet, prefix);
                }
            }
            Self::Log(_) | Self::Own(_) | Self::End => {}
        }
    }
}

/// The letters of one client. As long as no stream of the client is open they are dropped, as they would be by a server that
/// the client speaks to directly.
#[derive(Debug, Default)]
pub(crate) struct Inbox {
    letters: Mutex<Letters>,
    news: Notify,
}

#[derive(Debug, Default)]
struct Letters {
    waiting: VecDeque<Letter>,
    readers: usize,
    dropped: usize,
}

/// How much of one kind waits.
#[derive(Debug, Default)]
struct Load {
    count: usize,
    bytes: usize,
}

impl Load {
    fn add(&mut self, message: &Message) {
        self.count += 1;
        self.bytes += message.body.len();
    }

    fn remove(&mut self, message: &Message) {
        self.count -= 1;
        self.bytes -= message.body.len();
    }

    fn is_too_much(&self) -> bool {
        self.count > MOST || (self.count > 1 && self.bytes > BYTES)
    }
}

impl Letters {
    /// Makes what waits fit its bounds. Log messages give way among themselves, so that they cost no update.
    fn fit(&mut self) {
        let (mut logs, mut tasks) = (Load::default(), Load::default());
        let (mut updates, mut all_updates) = (Load::default(), 0_usize);
        for letter in &self.waiting {
            match letter {
                Letter::Log(message) => logs.add(message),
                Letter::Task { change, .. } => tasks.add(&change.message),
                Letter::Own(_) | Letter::End => {}
                Letter::Update { update, whole, .. } => {
                    all_updates += 1;
                    if whole.is_some() {
                        updates.add(&update.message);
                    }
                }
            }
        }
        let before = self.waiting.len();
        if logs.is_too_much() {
            self.waiting.retain(|letter| match letter {
                Letter::Log(message) if logs.is_too_much() => {
                    logs.remove(message);
                    false
                }
                _ => true,
            });
        }
        if all_updates > UPDATES {
            let first = self.waiting.iter().position(|letter| matches!(letter, Letter::Update { .. }));
            first.and_then(|first| self.waiting.remove(first));
        }
        self.dropped += before - self.waiting.len();
        if updates.is_too_much() {
            self.summarise();
        }
        if tasks.is_too_much() {
            // What is too much to keep cannot be said shorter; the client asks for it.
            self.waiting.retain(|letter| !matches!(letter, Letter::Task { .. }));
            self.waiting.push_back(Letter::End);
        }
    }

    /// Puts, in place of all updates, one for each watched resource. It needs no more room than the watches themselves.
    fn summarise(&mut self) {
        let mut told: HashSet<(Arc<str>, Arc<str>)> = HashSet::new();
        let letters = std::mem::take(&mut self.waiting);
        self.waiting = letters
            .into_iter()
            .filter_map(|letter| {
                let Letter::Update { update, whole, prefix } = letter else {
                    return Some(letter);
                };
                let uri = whole.as_ref().unwrap_or(&update.uri).clone();
                if !told.insert((uri.clone(), prefix.clone())) {
                    return None;
                }
                let update = match whole {
                    Some(_) => Arc::new(Update::missed(&uri).ok()?),
                    None => update,
                };
                Some(Letter::Update { update, whole: None, prefix })
            })
            .collect();
    }
}

/// Somebody reads an inbox as long as this lives.
#[derive(Debug)]
pub(crate) struct Reader(Arc<Inbox>);

impl Drop for Reader {
    fn drop(&mut self) {
        let mut letters = self.0.letters.lock();
        letters.readers -= 1;
        if letters.readers == 0 {
            letters.waiting.clear();
        }
        if letters.dropped > 0 {
            tracing::debug!(dropped = letters.dropped, "a client was too slow for all notifications");
            letters.dropped = 0;
        }
    }
}

impl Inbox {
    /// Begins to read.
    pub(crate) fn read(self: &Arc<Self>) -> Reader {
        self.letters.lock().readers += 1;
        Reader(self.clone())
    }

    /// Adds a letter. Of several updates of one resource the last says it all.
    pub(crate) fn put(&self, letter: Letter) {
        {
            let mut letters = self.letters.lock();
            if letters.readers == 0 {
                return;
            }
            letters.waiting.retain(|one| !letter.replaces(one));
            letters.waiting.push_back(letter);
            letters.fit();
        }
        self.news.notify_one();
    }
}

impl Reader {
    /// What is there; never empty. Cancel-safe.
    pub(crate) async fn next(&self) -> VecDeque<Letter> {
        loop {
            let waiting = std::mem::take(&mut self.0.letters.lock().waiting);
            if !waiting.is_empty() {
                return waiting;
            }
            self.0.news.notified().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt;

    fn update(uri: &str, more: &str) -> Letter {
        let body = format!(
            r#"{{"jsonrpc":"2.0","method":"notifications/resources/updated","params":{{"uri":"{uri}"{more}}}}}"#
        );
        let message = Message::parse(body.into()).unwrap();
        Letter::Update {
            update: Arc::new(Update { uri: uri.into(), message }),
            whole: Some(uri.split('#').next().unwrap().into()),
            prefix: "".into(),
        }
    }

    #[test]
    fn each_era_gets_its_form() {
        let key = "io.modelcontextprotocol/subscriptionId";
        let plain = update("u", r#","title":"T""#);
        let meta = update("u", &format!(r#","_meta":{{"k":1,"{key}":7}}"#));
        let start = r#"{"jsonrpc":"2.0","method":"notifications/resources/updated","params":"#;
        for (letter, subscription, params) in [
            (&plain, None, r#"{"uri":"u","title":"T"}"#.to_owned()),
            (&plain, Some("\"s\""), format!(r#"{{"_meta":{{"{key}":"s"}},"uri":"u","title":"T"}}"#)),
            (&meta, None, r#"{"uri":"u","_meta":{"k":1}}"#.to_owned()),
            (&meta, Some("12"), format!(r#"{{"uri":"u","_meta":{{"k":1,"{key}":12}}}}"#)),
        ] {
            assert_eq!(
                letter.written(subscription.map(str::as_bytes)).unwrap(),
                format!("{start}{params}}}")
            );
        }
        let Letter::Update { update, .. } = plain else { panic!("an update") };
        let known = Letter::Update { update, whole: None, prefix: "p+".into() };
        assert_eq!(known.written(None).unwrap(), format!(r#"{start}{{"uri":"p+u","title":"T"}}}}"#));
    }

    #[test]
    fn only_what_is_read_is_kept_and_updates_replace_each_other() {
        let inbox = Arc::new(Inbox::default());
        inbox.put(update("early", ""));
        let reader = inbox.read();
        assert!(reader.next().now_or_never().is_none());
        inbox.put(update("a", ""));
        inbox.put(update("b", ""));
        inbox.put(update("a", ""));
        assert_eq!(uris(&reader), ["b", "a"]);
        inbox.put(update("late", ""));
        drop(reader);
        assert!(inbox.read().next().now_or_never().is_none());
    }

    fn log(text: &str) -> Letter {
        let body = format!(
            r#"{{"jsonrpc":"2.0","method":"notifications/message","params":{{"level":"info","data":"{text}"}}}}"#
        );
        Letter::Log(Arc::new(Message::parse(body.into()).unwrap()))
    }

    fn waiting(reader: &Reader) -> VecDeque<Letter> {
        reader.next().now_or_never().unwrap_or_default()
    }

    fn uris(reader: &Reader) -> Vec<String> {
        let of = |letter| match letter {
            Letter::Update { update, .. } => update.uri.to_string(),
            Letter::Log(_) => "a log".to_owned(),
            Letter::Own(_) => "its own".to_owned(),
            Letter::Task { id, .. } => id.to_string(),
            Letter::End => "the end".to_owned(),
        };
        waiting(reader).into_iter().map(of).collect()
    }

    #[test]
    fn logs_are_bounded_and_cost_no_update() {
        let inbox = Arc::new(Inbox::default());
        let reader = inbox.read();
        inbox.put(update("u", ""));
        (0..=MOST).for_each(|number| inbox.put(log(&number.to_string())));
        let letters = waiting(&reader);
        assert_eq!(letters.len(), MOST + 1);
        let text = |letter: &Letter| String::from_utf8(letter.written(None).unwrap().to_vec()).unwrap();
        assert!(text(&letters[0]).contains("updated"), "the update is the oldest, and still there");
        assert!(text(&letters[1]).contains(r#""1""#), "the oldest log went");

        let half = "x".repeat(BYTES / 2);
        (0..3).for_each(|number| inbox.put(log(&format!("{number}{half}"))));
        assert_eq!(waiting(&reader).len(), 1, "their bytes count");
        inbox.put(log("small"));
        inbox.put(log(&"x".repeat(2 * BYTES)));
        assert!(text(&waiting(&reader)[0]).len() > BYTES, "one that is larger waits alone");
    }

    fn task(id: &str, more: &str) -> Letter {
        let body = format!(
            r#"{{"jsonrpc":"2.0","method":"notifications/tasks","params":{{"taskId":"inner","status":"working"{more}}}}}"#
        );
        let change = TaskChange { id: "inner".into(), message: Message::parse(body.into()).unwrap() };
        Letter::Task { change: Arc::new(change), id: id.into(), prefix: "p+".into() }
    }

    #[test]
    fn tasks_carry_the_clients_names() {
        let link =
            |uri: &str| format!(r#","result":{{"content":[{{"type":"resource_link","uri":"{uri}"}}]}}"#);
        let written = task("sealed", &link("a:1")).written(Some(b"7")).unwrap();
        let meta = r#""_meta":{"io.modelcontextprotocol/subscriptionId":7},"#;
        let expected =
            format!(r#""params":{{{meta}"taskId":"sealed","status":"working"{}}}}}"#, link("p+a:1"));
        assert!(String::from_utf8_lossy(&written).ends_with(&expected), "{written:?}");
    }

    #[test]
    fn what_cannot_be_told_of_a_task_ends_the_stream() {
        let inbox = Arc::new(Inbox::default());
        let reader = inbox.read();
        inbox.put(update("u", ""));
        inbox.put(task("a", ""));
        inbox.put(task("b", ""));
        inbox.put(task("a", ""));
        inbox.put(Letter::End);
        inbox.put(Letter::End);
        assert_eq!(uris(&reader), ["u", "b", "a", "the end"]);
        let half = format!(r#","x":"{}""#, "x".repeat(BYTES / 2));
        inbox.put(update("u", ""));
        inbox.put(task("a", &half));
        inbox.put(task("a", &half));
        inbox.put(task("b", &half));
        assert_eq!(uris(&reader), ["u", "the end"]);
        inbox.put(task("a", &format!("{half}{}", half.replace('x', "y"))));
        assert_eq!(uris(&reader), ["a"], "one that is larger waits alone");
    }

    #[test]
    fn no_watched_resource_is_forgotten() {
        let inbox = Arc::new(Inbox::default());
        let reader = inbox.read();
        inbox.put(log("a"));
        inbox.put(update("first", ""));
        (0..MOST).for_each(|number| inbox.put(update(&format!("many#{number}"), "")));
        inbox.put(update("last", ""));
        assert_eq!(uris(&reader), ["a log", "first", "many", "last"]);

        let half = format!(r#","title":"{}""#, "x".repeat(BYTES / 2));
        inbox.put(update("a", &half));
        inbox.put(update("a#1", &half));
        let letters = waiting(&reader);
        assert_eq!(letters.len(), 1);
        assert!(letters[0].written(None).unwrap().len() < 200, "it is short now");

        (0..=UPDATES).for_each(|number| inbox.put(update(&number.to_string(), "")));
        let uris = uris(&reader);
        assert_eq!((uris.len(), &*uris[0]), (UPDATES, "1"));
    }
}

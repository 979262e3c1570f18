//! Which streams tell of which tasks.
//!
//! S: the tasks extension of MCP 2026-07-28, `extensions/tasks` "Task Status Notifications"; 2025-11-25
//! `basic/utilities/tasks` "Task Status Notification".

use super::ids::{Begun, relate};
use super::{Located, locate};
use crate::answer::may_ask;
use crate::attached::Attached;
use crate::catalog::Catalog;
use crate::decision::Circumstances;
use crate::edge::Post;
use crate::endpoint::Endpoint;
use crate::inbox::{Inbox, Letter};
use crate::seal::Seal;
use crate::session::Session;
use bytes::Bytes;
use parking_lot::Mutex;
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use weir_backends::{BackendError, Message, SessionKey, Subject, Subscribed, TaskChange};
use weir_policies::Principal;
use weir_protocol::object::Object;
use weir_protocol::{ClientCapabilities, Era, Span, Splice};

/// A task: the number of its backend, where it lives there, and the id that the backend knows.
type Key = (usize, u64, Arc<str>);

/// A call that goes on as a task: the number of its backend, where the task lives, and the number of the call.
type Going = (usize, u64, u64);

/// Most tasks of one session that its client is told of; beyond that the oldest are told of no more.
const MOST: usize = 256;

/// One stream that tells of a task.
#[derive(Debug)]
struct Watcher {
    number: u64,
    inbox: Arc<Inbox>,
    principal: Arc<Principal>,
    /// Under which circumstances it was asked for.
    circumstances: Circumstances,
    /// Whose task it is. What a legacy session is told is a courtesy; its stream does not end for it.
    session: SessionKey,
    /// What the client can be asked.
    capabilities: ClientCapabilities,
    /// The id that the client knows.
    id: Arc<str>,
    /// The client's raw token for progress of the call that began it; `None` where it wants none.
    token: Option<Bytes>,
}

impl Watcher {
    /// Finds its task, as long as it may still be told of it.
    fn locate(&self, endpoint: &Endpoint, catalog: &Catalog, seal: &Arc<Seal>) -> Option<Located> {
        locate(endpoint, catalog, seal, (&self.principal, self.circumstances), self.session, &self.id)
    }

    /// Tells of the task; `None` where there is something that cannot be told.
    fn put(&self, letter: Option<Letter>) {
        match (letter, self.session) {
            (Some(letter), _) => self.inbox.put(letter),
            (None, SessionKey::Shared) => self.inbox.put(Letter::End),
            (None, SessionKey::Client(_)) => {}
        }
    }
}

/// The tasks that one session is told of.
#[derive(Debug, Default)]
pub(crate) struct TaskWatches(Mutex<VecDeque<TaskWatch>>);

impl TaskWatches {
    fn keep(&self, watch: TaskWatch) {
        let mut watches = self.0.lock();
        watches.push_back(watch);
        let oldest = if watches.len() > MOST { watches.pop_front() } else { None };
        // Another lock is taken where a watch ends; this one is left first.
        drop(watches);
        drop(oldest);
    }

    /// Tells from now on what `principal`, the session's own as it is known now, may ask about.
    pub(crate) fn renew(&self, endpoint: &Endpoint, principal: &Arc<Principal>) {
        let own: Vec<(Key, u64)> =
            self.0.lock().iter().map(|watch| (watch.key.clone(), watch.number)).collect();
        // Most sessions have no task.
        if !own.is_empty() {
            endpoint.tasks.renew(&own, principal);
        }
    }

    /// The session has ended.
    pub(crate) fn clear(&self) {
        let gone = std::mem::take(&mut *self.0.lock());
        drop(gone);
    }
}

/// Tells `session` from now on of a task that its client began.
pub(crate) fn follow(
    post: &Post,
    session: &Session,
    backend: &Attached,
    begun: &Begun,
    token: Option<Bytes>,
) {
    let watcher = Watcher {
        number: 0,
        inbox: session.inbox.clone(),
        principal: session.principal(),
        circumstances: post.circumstances(Era::Legacy, false),
        session: SessionKey::Client(session.number),
        capabilities: session.capabilities(),
        id: begun.id.clone(),
        token,
    };
    let key = (backend.number, begun.home, begun.inner.clone());
    let going = watcher.token.is_some().then_some((backend.number, begun.home, begun.call));
    let watchers = &post.endpoint.tasks;
    let mut watch = watchers.enter(key, watcher);
    if let Some(going) = going {
        watchers.0.lock().going.insert(going, (watch.key.clone(), watch.number));
        watch.going = Some(going);
    }
    session.tasks.keep(watch);
    // A newer token may have come meanwhile, which has not seen this watch.
    session.tasks.renew(&post.endpoint, &session.principal());
}

/// Every stream that tells of tasks at one endpoint. It stays through reloads, as the streams do.
#[derive(Debug, Default)]
pub(crate) struct TaskWatchers(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// How many watches there have ever been.
    count: u64,
    watched: HashMap<Key, Vec<Watcher>>,
    /// Whose progress goes where: the task, and the number of the watch.
    going: HashMap<Going, (Key, u64)>,
}

/// One stream tells of one task as long as this lives.
#[derive(Debug)]
pub(crate) struct TaskWatch {
    watchers: Arc<TaskWatchers>,
    key: Key,
    number: u64,
    going: Option<Going>,
    /// Has the backend send notifications; `None` while it is being asked.
    upstream: Option<Subscribed>,
}

impl Drop for TaskWatch {
    fn drop(&mut self) {
        let mut state = self.watchers.0.lock();
        if let Some(going) = &self.going {
            state.going.remove(going);
        }
        if let Some(watchers) = state.watched.get_mut(&self.key) {
            watchers.retain(|watcher| watcher.number != self.number);
            if watchers.is_empty() {
                state.watched.remove(&self.key);
            }
        }
    }
}

/// Has the notifications of a task put into `inbox`, once its backend agrees to send them; `None` where it does not, or where
/// the client may not ask about this task.
pub(crate) async fn watch(
    post: &Post,
    id: &str,
    capabilities: ClientCapabilities,
    inbox: &Arc<Inbox>,
) -> Option<TaskWatch> {
    let (core, endpoint, session) = (&post.core, &post.endpoint, SessionKey::Shared);
    let (principal, circumstances) = (post.principal.clone(), post.circumstances(Era::Modern, false));
    let asker = (&principal, circumstances);
    let located = locate(endpoint, &endpoint.catalog(), &core.seal, asker, session, id)?;
    let backend = &located.backend;
    // Entered before the backend is asked, so that its first notification is not lost.
    let (inbox, id) = (inbox.clone(), id.into());
    let watcher =
        Watcher { number: 0, inbox, principal, circumstances, session, capabilities, id, token: None };
    let mut watch = endpoint.tasks.enter((backend.number, 0, located.inner.clone()), watcher);
    // A reload since the request began has not seen it.
    let snapshot = core.snapshot.load_full();
    let current = snapshot.numbered(endpoint.number);
    // Most have not: looking through all that is watched costs too much to be done for each task.
    if let Some(current) = current.filter(|current| !Arc::ptr_eq(current, endpoint)) {
        current.tasks.revise(current, &core.seal);
    }
    drop(snapshot);
    match backend.subscribe(located.permit, Subject::Task(located.inner.clone())).await {
        Ok(upstream) => {
            watch.upstream = Some(upstream);
            Some(watch)
        }
        Err(error) => {
            let detail = error.detail();
            tracing::debug!(backend = backend.name(), %error, detail, "notifications of a task are not to be had");
            None
        }
    }
}

/// What a client of these `capabilities` is told of a task: what the task asks is checked, and says who asks.
fn told(
    change: &Arc<TaskChange>,
    capabilities: ClientCapabilities,
    endpoint: &Endpoint,
    backend: &str,
) -> Result<Arc<TaskChange>, BackendError> {
    let message = &change.message;
    let source = std::str::from_utf8(&message.body).unwrap_or_default();
    let unreadable = |_| BackendError::Protocol("what it tells of a task cannot be read".to_owned());
    let Some(params) = &message.envelope.params else {
        return Ok(change.clone());
    };
    let params = Object::read(source, Span::new(params.start.saturating_sub(1), source.len()));
    let params = params.map_err(unreadable)?;
    let requests = params.get("inputRequests").map(|field| field.value());
    let Some(requests) = requests.filter(|requests| requests.text(&message.body) != "null") else {
        return Ok(change.clone());
    };
    let mut splice = Splice::new(&message.body);
    may_ask(source, requests, capabilities, endpoint, backend, &mut splice)?;
    if splice.is_untouched() {
        return Ok(change.clone());
    }
    let message = Message::parse(splice.finish())
        .map_err(|_| BackendError::Protocol("what it tells of a task cannot be read".to_owned()))?;
    Ok(Arc::new(TaskChange { home: change.home, id: change.id.clone(), message }))
}

impl TaskWatchers {
    fn enter(self: &Arc<Self>, key: Key, watcher: Watcher) -> TaskWatch {
        let mut state = self.0.lock();
        state.count += 1;
        let number = state.count;
        state.watched.entry(key.clone()).or_default().push(Watcher { number, ..watcher });
        TaskWatch { watchers: self.clone(), key, number, going: None, upstream: None }
    }

    fn renew(&self, watches: &[(Key, u64)], principal: &Arc<Principal>) {
        let mut state = self.0.lock();
        for (key, number) in watches {
            let watchers = state.watched.get_mut(key).into_iter().flatten();
            for watcher in watchers.filter(|watcher| watcher.number == *number) {
                watcher.principal = principal.clone();
            }
        }
    }

    /// Tells whoever began a task of the progress of its call, as long as they may still ask about it.
    pub(crate) fn tell_progress(
        &self,
        endpoint: &Endpoint,
        seal: &Arc<Seal>,
        going: Going,
        message: &Message,
    ) {
        let state = self.0.lock();
        let found = state.going.get(&going).and_then(|(key, number)| {
            let watchers = state.watched.get(key)?;
            Some((key, watchers.iter().find(|watcher| watcher.number == *number)?))
        });
        let Some((key, watcher)) = found else {
            return;
        };
        let catalog = endpoint.catalog();
        let located = watcher.locate(endpoint, &catalog, seal);
        let (Some(_), Some(token), Some(span)) = (located, &watcher.token, message.progress_token()) else {
            return;
        };
        let mut splice = Splice::new(&message.body);
        splice.replace(span, &token[..]);
        relate(&mut splice, message, &key.2, &watcher.id);
        if let Ok(message) = Message::parse(splice.finish()) {
            watcher.put(Some(Letter::Log(Arc::new(message))));
        }
    }

    /// Tells of a task of the backend of this number whoever may still ask about it.
    pub(crate) fn tell(
        &self,
        endpoint: &Endpoint,
        seal: &Arc<Seal>,
        backend: usize,
        change: &Arc<TaskChange>,
    ) {
        let state = self.0.lock();
        let Some(watchers) = state.watched.get(&(backend, change.home, change.id.clone())) else {
            return;
        };
        let catalog = endpoint.catalog();
        for watcher in watchers {
            let located = watcher.locate(endpoint, &catalog, seal);
            let located = located.filter(|located| located.backend.number == backend);
            let letter = located.and_then(|located| {
                let name = located.backend.name();
                // Whoever asks how far the task is hears what is wrong with its questions.
                let change = told(change, watcher.capabilities, endpoint, name)
                    .inspect_err(|error| tracing::warn!(backend = name, %error, "a task cannot be told of"));
                let prefix = located.uri_prefix.clone().unwrap_or_default();
                Some(Letter::Task { change: change.ok()?, id: watcher.id.clone(), prefix })
            });
            watcher.put(letter);
        }
    }

    /// Ends the streams that tell of a task of the backend of this number, of all of them where `id` is `None`: something
    /// was missed, or no more will come. Whoever listens again asks first how far the task is.
    pub(crate) fn lost(&self, backend: usize, id: Option<&Arc<str>>) {
        let state = self.0.lock();
        let lost = |key: &Key| key.0 == backend && id.is_none_or(|id| key.2 == *id);
        let watchers = state.watched.iter().filter(|(key, _)| lost(key)).flat_map(|(_, watchers)| watchers);
        watchers.for_each(|watcher| watcher.put(None));
    }

    /// Ends the streams that tell of tasks which `endpoint` does not lead to any more since a reload.
    pub(crate) fn revise(&self, endpoint: &Endpoint, seal: &Arc<Seal>) {
        let state = self.0.lock();
        let catalog = endpoint.catalog();
        for (key, watchers) in &state.watched {
            for watcher in watchers {
                let located = watcher.locate(endpoint, &catalog, seal);
                if located.is_none_or(|located| located.backend.number != key.0) {
                    watcher.put(None);
                }
            }
        }
    }
}

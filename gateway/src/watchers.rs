//! Which clients watch which resources of an endpoint's backends, and telling them.
//!
//! S: MCP 2025-11-25 `server/resources` "Subscriptions"; 2026-07-28 `basic/patterns/subscriptions`.

use crate::ancestry::ancestry;
use crate::cache::Reads;
use crate::call::{self, Watchable};
use crate::decision::Circumstances;
use crate::edge::Post;
use crate::endpoint::Endpoint;
use crate::gateway::Core;
use crate::inbox::{Inbox, Letter};
use crate::rescue::{self, Fault};
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::Arc;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;
use weir_backends::{Notice, Subject, Subscribed, Update};
use weir_policies::Principal;
use weir_protocol::Logs;

/// URI, as its backend knows it → who watches it.
type Watched = HashMap<Arc<str>, Vec<Watcher>>;

/// One client, and how it calls the resource.
#[derive(Debug)]
struct Watcher {
    /// The number of the watch.
    number: u64,
    inbox: Arc<Inbox>,
    /// What stands before the backend's URIs in those that the client knows; mostly nothing.
    prefix: Arc<str>,
}

impl Watcher {
    fn tell(&self, watched: &Arc<str>, update: &Arc<Update>) {
        let (update, whole, prefix) = (update.clone(), Some(watched.clone()), self.prefix.clone());
        self.inbox.put(Letter::Update { update, whole, prefix });
    }

    /// Tells of something that is a part of `watched`. Where the client cannot know of it, the watched resource itself is
    /// said to have changed.
    fn tell_part(&self, watched: &Arc<str>, part: &Arc<Update>, may_know: impl FnOnce(&str) -> bool) {
        if may_know(&format!("{}{}", self.prefix, part.uri)) {
            self.tell(watched, part);
        } else if let Ok(update) = Update::missed(watched) {
            self.tell(watched, &Arc::new(update));
        }
    }
}

/// Everybody who watches resources of one endpoint. It stays through reloads, as the endpoint's streams do.
#[derive(Debug, Default)]
pub(crate) struct Watchers(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// How many watches there have ever been.
    count: u64,
    wishes: HashMap<u64, Wish>,
    /// By the number of the backend.
    watched: HashMap<usize, Watched>,
}

/// What one watch is for, and how it is fulfilled.
#[derive(Debug)]
struct Wish {
    /// The URI that the client knows.
    uri: String,
    /// Who may see it or not.
    principal: Arc<Principal>,
    /// Under which circumstances it was asked for.
    circumstances: Circumstances,
    inbox: Arc<Inbox>,
    /// `None` while no backend of the endpoint has it to offer.
    place: Option<Place>,
}

/// Where updates come from.
#[derive(Debug)]
struct Place {
    /// Number of the backend.
    backend: usize,
    /// The URI that the backend knows.
    uri: Arc<str>,
    /// Has the backend send updates; `None` while it is being asked.
    upstream: Option<Subscribed>,
}

impl Place {
    fn is(&self, backend: usize, uri: &str) -> bool {
        self.backend == backend && *self.uri == *uri
    }
}

/// One client watches one resource as long as this lives.
#[derive(Debug)]
pub(crate) struct Watch {
    watchers: Arc<Watchers>,
    number: u64,
}

impl Drop for Watch {
    fn drop(&mut self) {
        let mut state = self.watchers.0.lock();
        let upstream = state.displace(self.number);
        let wish = state.wishes.remove(&self.number);
        drop(state);
        drop((upstream, wish));
    }
}

impl Watch {
    /// Whether some backend is there to send updates: a reload may have taken it away.
    pub(crate) fn is_fulfilled(&self) -> bool {
        self.watchers.0.lock().wishes.get(&self.number).is_some_and(|wish| wish.place.is_some())
    }
}

impl State {
    fn place(&mut self, number: u64, backend: usize, uri: &Arc<str>) {
        if let Some(wish) = self.wishes.get_mut(&number) {
            wish.place = Some(Place { backend, uri: uri.clone(), upstream: None });
            let watched = self.watched.entry(backend).or_default();
            let prefix = wish.uri.strip_suffix(&**uri).unwrap_or_default().into();
            watched.entry(uri.clone()).or_default().push(Watcher {
                number,
                inbox: wish.inbox.clone(),
                prefix,
            });
        }
    }

    /// Takes a wish from its place; what is answered must be dropped without the lock.
    fn displace(&mut self, number: u64) -> Option<Subscribed> {
        let place = self.wishes.get_mut(&number)?.place.take()?;
        if let Some(watched) = self.watched.get_mut(&place.backend) {
            if let Some(watchers) = watched.get_mut(&place.uri) {
                watchers.retain(|watcher| watcher.number != number);
                if watchers.is_empty() {
                    watched.remove(&place.uri);
                }
            }
            if watched.is_empty() {
                self.watched.remove(&place.backend);
            }
        }
        place.upstream
    }

    /// Tells everybody who watches what changed, or something that it is a part of. `may_know` says whether somebody may
    /// know of a part by this URI.
    fn tell(&self, backend: usize, update: &Arc<Update>, may_know: impl Fn(&Wish, &str) -> bool) {
        let Some(watched) = self.watched.get(&backend) else {
            return;
        };
        for (uri, watchers) in ancestry(&update.uri).filter_map(|uri| watched.get_key_value(uri)) {
            for watcher in watchers {
                if *uri == update.uri {
                    watcher.tell(uri, update);
                } else if let Some(wish) = self.wishes.get(&watcher.number) {
                    watcher.tell_part(uri, update, |part| may_know(wish, part));
                }
            }
        }
    }
}

/// What one session watches, by the URI that its client knows.
#[derive(Debug, Default)]
pub(crate) struct Watches(Mutex<HashMap<String, Watch>>);

impl Watches {
    /// Whether the session watches this resource.
    pub(crate) fn has(&self, uri: &str) -> bool {
        self.0.lock().get(uri).is_some_and(Watch::is_fulfilled)
    }

    /// Keeps a watch until [`Watches::end`] or the end of the session; `false` where there are `limit` already.
    pub(crate) fn keep(&self, uri: String, watch: Watch, limit: usize) -> bool {
        let mut watches = self.0.lock();
        let place = watches.len() < limit || watches.contains_key(&uri);
        // Another lock is taken where a watch ends; this one is left first.
        let former = if place { watches.insert(uri, watch) } else { Some(watch) };
        drop(watches);
        drop(former);
        place
    }

    /// Everything that the session watches.
    pub(crate) fn uris(&self) -> Vec<Arc<str>> {
        self.0.lock().keys().map(|uri| uri.as_str().into()).collect()
    }

    /// Judges everything that the session watches by what is known of its principal now.
    pub(crate) fn renew(&self, endpoint: &Endpoint, principal: &Arc<Principal>) {
        let numbers: Vec<u64> = self.0.lock().values().map(|watch| watch.number).collect();
        if !numbers.is_empty() {
            endpoint.watchers.renew(endpoint, principal, &numbers);
        }
    }

    /// The client no longer watches this resource.
    pub(crate) fn end(&self, uri: &str) {
        let gone = self.0.lock().remove(uri);
        drop(gone);
    }

    /// The session has ended.
    pub(crate) fn clear(&self) {
        let gone = std::mem::take(&mut *self.0.lock());
        drop(gone);
    }
}

/// Has the updates of a resource put into `inbox`, once its backend agrees to send them.
pub(crate) async fn watch(
    post: &Post,
    circumstances: Circumstances,
    principal: &Arc<Principal>,
    uri: &str,
    inbox: &Arc<Inbox>,
) -> Result<Watch, Fault> {
    let (core, endpoint) = (&post.core, &post.endpoint);
    let Watchable { backend, permit, uri: original } =
        call::watchable(endpoint, circumstances, principal, uri)?;
    let (principal, inbox) = (principal.clone(), inbox.clone());
    let wish = Wish { uri: uri.to_owned(), principal, circumstances, inbox, place: None };
    // Entered before the backend is asked, so that its first update is not lost.
    let watch = endpoint.watchers.enter(wish, (backend.number, &original));
    // A reload since the request began has not seen it.
    let snapshot = core.snapshot.load_full();
    let current = snapshot.numbered(endpoint.number);
    if let Some(current) = current.filter(|current| !Arc::ptr_eq(current, endpoint)) {
        current.watchers.revise(current);
    }
    drop(snapshot);
    let upstream = backend.subscribe(permit, Subject::Resource(original.clone())).await.map_err(|error| {
        let name = backend.name();
        tracing::warn!(backend = name, %error, detail = error.detail(), "a subscription failed");
        rescue::backend_failed(name, &error)
    })?;
    endpoint.watchers.fulfil(watch.number, backend.number, &original, upstream);
    Ok(watch)
}

impl Watchers {
    fn enter(self: &Arc<Self>, wish: Wish, (backend, original): (usize, &Arc<str>)) -> Watch {
        let mut state = self.0.lock();
        state.count += 1;
        let number = state.count;
        state.wishes.insert(number, wish);
        state.place(number, backend, original);
        Watch { watchers: self.clone(), number }
    }

    /// Keeps what a backend agreed to, if the watch is still there and still its own; answers whether it is.
    fn fulfil(&self, number: u64, backend: usize, uri: &str, upstream: Subscribed) -> bool {
        let mut state = self.0.lock();
        if let Some(Wish { place: Some(place), .. }) = state.wishes.get_mut(&number)
            && place.is(backend, uri)
        {
            place.upstream = Some(upstream);
            return true;
        }
        drop(state);
        drop(upstream);
        false
    }

    /// Judges every watch by what `endpoint` shows since a reload: it stays, goes to the backend that has its resource now,
    /// or waits where nobody has it or the client may not see it any more.
    pub(crate) fn revise(self: &Arc<Self>, endpoint: &Endpoint) {
        let all: Vec<u64> = self.0.lock().wishes.keys().copied().collect();
        self.judge(endpoint, &all);
    }

    /// Sends the watches that wait to the backends that have their resources now.
    pub(crate) fn resume(self: &Arc<Self>, endpoint: &Endpoint) {
        let waits = |(number, wish): (&u64, &Wish)| wish.place.is_none().then_some(*number);
        let waiting: Vec<u64> = self.0.lock().wishes.iter().filter_map(waits).collect();
        self.judge(endpoint, &waiting);
    }

    /// Judges the watches of these numbers by what is known of their principal now.
    fn renew(self: &Arc<Self>, endpoint: &Endpoint, principal: &Arc<Principal>, numbers: &[u64]) {
        let mut state = self.0.lock();
        for number in numbers {
            if let Some(wish) = state.wishes.get_mut(number) {
                wish.principal = principal.clone();
            }
        }
        drop(state);
        self.judge(endpoint, numbers);
    }

    /// Judges the watches of these numbers, and looks at no other: there may be very many, and every session's token is looked
    /// at again and again.
    fn judge(self: &Arc<Self>, endpoint: &Endpoint, numbers: &[u64]) {
        let (mut ended, mut moved) = (Vec::new(), Vec::new());
        let mut state = self.0.lock();
        for &number in numbers {
            let Some(wish) = state.wishes.get(&number) else {
                continue;
            };
            let now = call::watchable(endpoint, wish.circumstances, &wish.principal, &wish.uri).ok();
            let stays = match (&wish.place, &now) {
                (Some(place), Some(now)) => place.is(now.backend.number, &now.uri),
                (place, now) => place.is_none() && now.is_none(),
            };
            if stays {
                continue;
            }
            ended.push(state.displace(number));
            if let Some(now) = now {
                state.place(number, now.backend.number, &now.uri);
                moved.push((number, now));
            }
        }
        drop(state);
        drop(ended);
        for (number, watchable) in moved {
            tokio::spawn(self.clone().take_over(number, watchable));
        }
    }

    /// Subscribes for a watch that was fulfilled by another backend before.
    async fn take_over(self: Arc<Self>, number: u64, Watchable { backend, permit, uri }: Watchable) {
        match backend.subscribe(permit, Subject::Resource(uri.clone())).await {
            Ok(upstream) => {
                // What changed between the two nobody has told.
                if self.fulfil(number, backend.number, &uri, upstream)
                    && let Ok(update) = Update::missed(&uri)
                {
                    self.tell_one(number, backend.number, &Arc::new(update));
                }
            }
            Err(error) => {
                let name = backend.name();
                tracing::warn!(backend = name, %error, detail = error.detail(), "a subscription ends");
                let mut state = self.0.lock();
                let place = state.wishes.get(&number).and_then(|wish| wish.place.as_ref());
                let own = place.is_some_and(|place| place.is(backend.number, &uri));
                let upstream = own.then(|| state.displace(number));
                // It is not asked again and again; the client may do that.
                let wish = own.then(|| state.wishes.remove(&number));
                drop(state);
                drop((upstream, wish));
            }
        }
    }

    /// Tells of an update of the backend of this number what `endpoint` shows its clients.
    fn tell(&self, endpoint: &Endpoint, backend: usize, update: &Arc<Update>) {
        self.0.lock().tell(backend, update, |wish, uri| {
            let found = call::watchable(endpoint, wish.circumstances, &wish.principal, uri);
            found.is_ok_and(|found| found.backend.number == backend && *found.uri == *update.uri)
        });
    }

    fn tell_one(&self, number: u64, backend: usize, update: &Arc<Update>) {
        let state = self.0.lock();
        let watchers = state.watched.get(&backend).and_then(|watched| watched.get(&update.uri));
        if let Some(watcher) = watchers.into_iter().flatten().find(|watcher| watcher.number == number) {
            watcher.tell(&update.uri, update);
        }
    }

    /// Tells everybody that what they watch may have changed.
    fn tell_all(&self, backend: usize) {
        let state = self.0.lock();
        for (uri, watchers) in state.watched.get(&backend).into_iter().flatten() {
            if let Ok(update) = Update::missed(uri) {
                let update = Arc::new(update);
                watchers.iter().for_each(|watcher| watcher.tell(uri, &update));
            }
        }
    }
}

/// Passes on what the backend of this number tells, as long as there is the backend. What was read of its resources is
/// outdated before anybody is told to read it again.
pub(crate) async fn follow(
    core: Arc<Core>,
    backend: usize,
    reads: Arc<Reads>,
    mut notices: Receiver<Notice>,
) {
    loop {
        match notices.recv().await {
            Ok(Notice::Updated(update)) => {
                reads.changed(&update.uri);
                for endpoint in &core.snapshot.load().endpoints {
                    endpoint.watchers.tell(endpoint, backend, &update);
                }
            }
            Ok(Notice::Task(change)) => {
                for endpoint in &core.snapshot.load().endpoints {
                    endpoint.tasks.tell(endpoint, &core.seal, backend, &change);
                }
            }
            Ok(Notice::Progress { home, call, message }) => {
                for endpoint in &core.snapshot.load().endpoints {
                    endpoint.tasks.tell_progress(endpoint, &core.seal, (backend, home, call), &message);
                }
            }
            Ok(Notice::TaskLost(id)) => {
                for endpoint in &core.snapshot.load().endpoints {
                    endpoint.tasks.lost(backend, Some(&id));
                }
            }
            Ok(Notice::Log { session, message }) => {
                let level = message.envelope.params.as_ref().and_then(|params| params.level);
                let level = level.map(|span| span.of(&message.body));
                let snapshot = core.snapshot.load();
                let found = core.sessions.find(session).filter(|session| {
                    let endpoint = snapshot.numbered(session.endpoint);
                    let shown = endpoint.is_some_and(|endpoint| endpoint.shows_number(backend));
                    shown && Logs::want(session.logs(), level)
                });
                if let Some(session) = found {
                    session.inbox.put(Letter::Log(message));
                }
            }
            Err(RecvError::Lagged(_)) => {
                reads.all_changed();
                for endpoint in &core.snapshot.load().endpoints {
                    endpoint.watchers.tell_all(backend);
                    endpoint.tasks.lost(backend, None);
                }
            }
            Err(RecvError::Closed) => return,
        }
    }
}

#[cfg(test)]
mod tests;

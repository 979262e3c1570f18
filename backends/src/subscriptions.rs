//! The resources of one backend that somebody wants updates of: counted over everybody, asked for once upstream, and asked
//! for again in every new connection.

use crate::handshake::result_of;
use crate::inventory::Requester;
use crate::notice::{Notice, Update};
use crate::pending::Pending;
use crate::{BackendError, Message, SessionKey};
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use parking_lot::Mutex;
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{broadcast, watch};
use weir_protocol::{Method, json};

/// Notices that wait for a slow reader; beyond that the oldest are lost, and the reader is told so.
const NOTICES: usize = 1024;

/// So many resources are asked for at once.
const AT_ONCE: usize = 8;

/// What nobody wants any more is kept this long, since somebody may come back.
const LINGER: Duration = Duration::from_secs(1);

/// URIs, as the backend knows them.
pub(crate) type Uris = BTreeSet<Arc<str>>;

/// What a backend said to a subscription.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Standing {
    /// It has not been asked yet, or not been heard.
    Asked,
    /// It sends updates.
    Agreed,
    /// It does not. It is asked again in its next connection.
    Refused(BackendError),
}

#[derive(Debug)]
struct Entry {
    holders: usize,
    standing: Standing,
}

/// All subscriptions at one backend.
#[derive(Debug)]
pub(crate) struct Subscriptions {
    uris: Mutex<BTreeMap<Arc<str>, Entry>>,
    /// Most resources at once.
    limit: usize,
    /// What is wanted is no longer the same.
    wishes: watch::Sender<()>,
    /// The backend has said something to what is wanted.
    answers: watch::Sender<()>,
    notices: broadcast::Sender<Notice>,
}

/// A subscription, which ends when this is dropped.
#[derive(Debug)]
pub struct Subscribed {
    subscriptions: Arc<Subscriptions>,
    uri: Arc<str>,
}

impl Drop for Subscribed {
    fn drop(&mut self) {
        let mut uris = self.subscriptions.uris.lock();
        let last = uris.get_mut(&self.uri).is_some_and(|entry| {
            entry.holders -= 1;
            entry.holders == 0
        });
        if last {
            uris.remove(&self.uri);
            drop(uris);
            self.subscriptions.wishes.send_replace(());
        }
    }
}

impl Subscriptions {
    /// No subscriptions; at most `limit` resources at once.
    pub(crate) fn new(limit: usize) -> Self {
        Self {
            uris: Mutex::default(),
            limit,
            wishes: watch::Sender::new(()),
            answers: watch::Sender::new(()),
            notices: broadcast::Sender::new(NOTICES),
        }
    }

    /// What the backend tells from now on.
    pub(crate) fn notices(&self) -> broadcast::Receiver<Notice> {
        self.notices.subscribe()
    }

    /// Passes on what the backend told.
    pub(crate) fn tell(&self, notice: Notice) {
        let _ = self.notices.send(notice);
    }

    /// Passes on a log message that came in the session of `key`. It does not say which of the calls that are `pending` it
    /// belongs to. Where nobody can tell, it still belongs to the client that has this session for itself.
    pub(crate) fn log(&self, pending: &Pending, key: SessionKey, message: Message) {
        match (pending.log(key, message), key) {
            (Some(message), SessionKey::Client(session)) => {
                self.tell(Notice::Log { session, message: Arc::new(message) });
            }
            (Some(_), SessionKey::Shared) => {
                tracing::debug!("a log message that may belong to another client's call is dropped");
            }
            (None, _) => {}
        }
    }

    /// Passes on `notifications/resources/updated`.
    pub(crate) fn updated(&self, message: Message) {
        if let Some(update) = Update::read(message) {
            self.tell(Notice::Updated(Arc::new(update)));
        }
    }

    /// Subscribes to `uri` and waits, at most for `limit`, for what the backend says to it.
    pub(crate) async fn subscribe(
        self: &Arc<Self>,
        uri: Arc<str>,
        limit: Duration,
    ) -> Result<Subscribed, BackendError> {
        let mut answers = self.answers.subscribe();
        let held = self.hold(uri)?;
        let settled = async {
            loop {
                match self.uris.lock().get(&held.uri).map(|entry| entry.standing.clone()) {
                    Some(Standing::Asked) => {}
                    Some(Standing::Refused(error)) => return Err(error),
                    Some(Standing::Agreed) | None => return Ok(()),
                }
                if answers.changed().await.is_err() {
                    return Err(BackendError::Stopping);
                }
            }
        };
        let late = BackendError::Timeout { what: Method::ResourcesSubscribe.as_str(), after: limit };
        tokio::time::timeout(limit, settled).await.unwrap_or(Err(late))?;
        Ok(held)
    }

    fn hold(self: &Arc<Self>, uri: Arc<str>) -> Result<Subscribed, BackendError> {
        let mut uris = self.uris.lock();
        let full = uris.len() >= self.limit;
        match uris.get_mut(&uri) {
            Some(entry) => {
                entry.holders += 1;
                if matches!(entry.standing, Standing::Refused(_)) {
                    entry.standing = Standing::Asked;
                }
            }
            None if full => {
                return Err(BackendError::Busy { limit: self.limit, what: "resources are subscribed to" });
            }
            None => drop(uris.insert(uri.clone(), Entry { holders: 1, standing: Standing::Asked })),
        }
        drop(uris);
        self.wishes.send_replace(());
        Ok(Subscribed { subscriptions: self.clone(), uri })
    }

    /// What notices that other resources are wanted, from now on.
    pub(crate) fn wishes(&self) -> watch::Receiver<()> {
        self.wishes.subscribe()
    }

    /// What is wanted and was not refused in this connection.
    pub(crate) fn wanted(&self) -> Uris {
        let uris = self.uris.lock();
        let wanted = uris.iter().filter(|(_, entry)| !matches!(entry.standing, Standing::Refused(_)));
        wanted.map(|(uri, _)| uri.clone()).collect()
    }

    /// Waits until something else is wanted than what there is now, and answers it. Where it is only less, that may take a
    /// while. Cancel-safe.
    pub(crate) async fn next_wanted(&self, wishes: &mut watch::Receiver<()>, now: &Uris) -> Uris {
        loop {
            wishes.borrow_and_update();
            self.confirm(now);
            let wanted = self.wanted();
            if !wanted.is_subset(now) {
                return wanted;
            }
            if wanted == *now {
                let _ = wishes.changed().await;
            } else if tokio::time::timeout(LINGER, wishes.changed()).await.is_err() {
                return wanted;
            }
        }
    }

    /// What the backend agreed to still holds for whoever comes back to it.
    fn confirm(&self, agreed: &Uris) {
        let asked: Uris = {
            let uris = self.uris.lock();
            let asked = |uri: &Arc<str>| uris.get(uri).is_some_and(|entry| entry.standing == Standing::Asked);
            agreed.iter().filter(|uri| asked(uri)).cloned().collect()
        };
        if !asked.is_empty() {
            self.settle(asked.iter().map(|uri| (uri, Standing::Agreed)));
        }
    }

    /// A new connection is there, in which everything is asked for again. Answers what had been agreed on before, of which
    /// updates may have been missed.
    pub(crate) fn begin(&self) -> Uris {
        let mut agreed = Uris::new();
        for (uri, entry) in self.uris.lock().iter_mut() {
            match entry.standing {
                Standing::Agreed => drop(agreed.insert(uri.clone())),
                _ => entry.standing = Standing::Asked,
            }
        }
        agreed
    }

    /// Announces every one of `uris` that the backend still agrees to send updates of: some may have been missed.
    pub(crate) fn missed(&self, uris: &Uris) {
        for uri in uris {
            let agreed = self.uris.lock().get(uri).is_some_and(|entry| entry.standing == Standing::Agreed);
            if let (true, Ok(update)) = (agreed, Update::missed(uri)) {
                self.tell(Notice::Updated(Arc::new(update)));
            }
        }
    }

    fn settle<'a>(&self, answers: impl Iterator<Item = (&'a Arc<str>, Standing)>) {
        {
            let mut uris = self.uris.lock();
            for (uri, standing) in answers {
                if let Some(entry) = uris.get_mut(uri) {
                    entry.standing = standing;
                }
            }
        }
        self.answers.send_replace(());
    }

    /// The backend failed to answer for `uris`.
    pub(crate) fn refuse<'a>(&self, uris: impl Iterator<Item = &'a Arc<str>>, error: &BackendError) {
        self.settle(uris.map(|uri| (uri, Standing::Refused(error.clone()))));
    }

    /// The backend could not be asked for `wanted`, so that it goes on with what it `accepted` before. What of this is
    /// no longer wanted is still sent, but nobody is told of it; what is wished for meanwhile has yet to be asked for.
    pub(crate) fn failed(&self, wanted: &Uris, accepted: &mut Uris, error: &BackendError) {
        self.refuse(wanted.difference(accepted), error);
        let now = self.wanted();
        accepted.retain(|uri| now.contains(uri));
    }

    /// There is no connection in which updates could come.
    pub(crate) fn refuse_all(&self, error: &BackendError) {
        let all = self.wanted();
        self.refuse(all.iter(), error);
    }

    /// The members of `subscriptions/listen` for every list and for `uris`.
    pub(crate) fn listen_members(uris: &Uris) -> String {
        let mut members = String::from(
            r#""notifications":{"toolsListChanged":true,"promptsListChanged":true,"resourcesListChanged":true"#,
        );
        if !uris.is_empty() {
            let quoted: Vec<String> =
                uris.iter().map(|uri| String::from_utf8_lossy(&json::string(uri)).into_owned()).collect();
            members.push_str(",\"resourceSubscriptions\":[");
            members.push_str(&quoted.join(","));
            members.push(']');
        }
        members.push('}');
        members
    }

    /// Takes in the acknowledgement of a request to listen for `asked`; answers what was accepted of it.
    pub(crate) fn acknowledged(&self, asked: &Uris, acknowledgement: &Message) -> Uris {
        let raw = acknowledgement.envelope.params.as_ref().and_then(|params| params.notifications);
        let accepted: Acknowledged = raw
            .and_then(|span| serde_json::from_slice(span.of(&acknowledgement.body)).ok())
            .unwrap_or_default();
        let accepted: Uris = asked
            .iter()
            .filter(|uri| accepted.resource_subscriptions.iter().any(|one| **one == ***uri))
            .cloned()
            .collect();
        let refused = || Standing::Refused(BackendError::Unsupported("updates of this resource"));
        self.settle(
            asked.iter().map(|uri| (uri, if accepted.contains(uri) { Standing::Agreed } else { refused() })),
        );
        accepted
    }

    /// Subscribes and unsubscribes in one session of a legacy server, as it is wanted, until the session is lost. Every
    /// resource is asked for by itself: one that fails or is not answered holds up no other.
    pub(crate) async fn keep(&self, requester: &(impl Requester + Sync)) -> BackendError {
        let mut wishes = self.wishes();
        let mut missed = self.begin();
        let (mut done, mut under_way) = (Uris::new(), Uris::new());
        let mut answers = FuturesUnordered::new();
        let mut wanted = self.wanted();
        loop {
            let gone = done.difference(&wanted).map(|uri| (Method::ResourcesUnsubscribe, uri));
            let fresh = wanted.difference(&done).map(|uri| (Method::ResourcesSubscribe, uri));
            let places = AT_ONCE.saturating_sub(answers.len());
            let next: Vec<(Method, Arc<str>)> = gone
                .chain(fresh)
                .filter(|(_, uri)| !under_way.contains(*uri))
                .take(places)
                .map(|(method, uri)| (method, uri.clone()))
                .collect();
            for (method, uri) in next {
                done.remove(&uri);
                under_way.insert(uri.clone());
                answers.push(ask(requester, method, uri));
            }
            if answers.is_empty() {
                wanted = self.next_wanted(&mut wishes, &done).await;
                continue;
            }
            tokio::select! {
                biased;
                Some((method, uri, answer)) = answers.next() => {
                    under_way.remove(&uri);
                    match answer {
                        Err(error @ (BackendError::SessionLost | BackendError::Stopping)) => return error,
                        // A server that goes on sending does no harm: nobody is told.
                        _ if method == Method::ResourcesUnsubscribe => {}
                        Ok(()) => {
                            self.settle(std::iter::once((&uri, Standing::Agreed)));
                            if missed.remove(&uri) {
                                self.missed(&Uris::from([uri.clone()]));
                            }
                            done.insert(uri);
                        }
                        Err(error) => self.settle(std::iter::once((&uri, Standing::Refused(error)))),
                    }
                }
                _ = wishes.changed() => {}
            }
            self.confirm(&done);
            // What is no longer wanted lingers until there is nothing else to do.
            wanted = &self.wanted() | &done;
        }
    }
}

/// Asks for one resource, once more where the connection was lost.
async fn ask(
    requester: &(impl Requester + Sync),
    method: Method,
    uri: Arc<str>,
) -> (Method, Arc<str>, Result<(), BackendError>) {
    let once = || async {
        let answer = requester.request(method, members(&uri)).await?;
        result_of(&answer, method.as_str()).map(drop)
    };
    let mut answer = once().await;
    if matches!(answer, Err(BackendError::Gone(_) | BackendError::Unreachable(_))) {
        answer = once().await;
    }
    (method, uri, answer)
}

fn members(uri: &str) -> String {
    format!("\"uri\":{}", String::from_utf8_lossy(&json::string(uri)))
}

/// The filter that a server acknowledged, as far as it concerns resources.
#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Acknowledged {
    resource_subscriptions: Vec<String>,
}

#[cfg(test)]
mod tests;

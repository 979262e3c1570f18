//! The resources and tasks of one backend that somebody wants updates of: counted over everybody, asked for once upstream, and asked
//! for again in every new connection.

use crate::handshake::result_of;
use crate::inventory::Requester;
use crate::notice::{Notice, TaskChange, Update};
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

/// Something that a backend sends updates of, as the backend knows it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Subject {
    /// A resource, by its URI.
    Resource(Arc<str>),
    /// A task of a modern server, by its id.
    Task(Arc<str>),
}

pub(crate) type Subjects = BTreeSet<Subject>;

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
    entries: Mutex<BTreeMap<Subject, Entry>>,
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
    subject: Subject,
}

impl Drop for Subscribed {
    fn drop(&mut self) {
        let mut entries = self.subscriptions.entries.lock();
        let last = entries.get_mut(&self.subject).is_some_and(|entry| {
            entry.holders -= 1;
            entry.holders == 0
        });
        if last {
            entries.remove(&self.subject);
            drop(entries);
            self.subscriptions.wishes.send_replace(());
        }
    }
}

impl Subscriptions {
    /// No subscriptions; at most `limit` resources at once.
    pub(crate) fn new(limit: usize) -> Self {
        Self {
            entries: Mutex::default(),
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

    /// Passes on `notifications/resources/updated`, or `notifications/tasks` of a modern server.
    pub(crate) fn updated(&self, message: Message) {
        if message.envelope.method(&message.body) == Method::TaskChanged {
            if let Some(change) = TaskChange::read(message) {
                self.tell(Notice::Task(Arc::new(change)));
            }
        } else if let Some(update) = Update::read(message) {
            self.tell(Notice::Updated(Arc::new(update)));
        }
    }

    /// Hands over progress to its call. Where that goes on as a task that lives in the place of the number `home`, whoever began
    /// it is told.
    pub(crate) fn progress(&self, pending: &Pending, home: Option<u64>, message: Message) {
        let token = message.progress_token();
        let call = token.and_then(|token| token.text(&message.body).parse().ok());
        if let Some(call) = call
            && let Some(message) = pending.progress(call, message)
            && let Some(home) = home
        {
            self.tell(Notice::Progress { home, call, message: Arc::new(message) });
        }
    }

    /// Passes on `notifications/tasks/status` of a legacy server, whose tasks live in the place of the number `home`. Where that
    /// has none, nobody has begun a task there.
    pub(crate) fn task_told(&self, home: Option<u64>, message: Message) {
        if let Some(home) = home
            && let Some(change) = TaskChange::read(message)
        {
            self.tell(Notice::Task(Arc::new(TaskChange { home, ..change })));
        }
    }

    /// Subscribes to `subject` and waits, at most for `limit`, for what the backend says to it.
    pub(crate) async fn subscribe(
        self: &Arc<Self>,
        subject: Subject,
        limit: Duration,
    ) -> Result<Subscribed, BackendError> {
        let mut answers = self.answers.subscribe();
        let held = self.hold(subject)?;
        let settled = async {
            loop {
                match self.entries.lock().get(&held.subject).map(|entry| entry.standing.clone()) {
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

    fn hold(self: &Arc<Self>, subject: Subject) -> Result<Subscribed, BackendError> {
        let mut entries = self.entries.lock();
        let full = entries.len() >= self.limit;
        match entries.get_mut(&subject) {
            Some(entry) => {
                entry.holders += 1;
                if matches!(entry.standing, Standing::Refused(_)) {
                    entry.standing = Standing::Asked;
                }
            }
            None if full => {
                return Err(BackendError::Busy {
                    limit: self.limit,
                    what: "resources and tasks are subscribed to",
                });
            }
            None => drop(entries.insert(subject.clone(), Entry { holders: 1, standing: Standing::Asked })),
        }
        drop(entries);
        self.wishes.send_replace(());
        Ok(Subscribed { subscriptions: self.clone(), subject })
    }

    /// What notices that other resources are wanted, from now on.
    pub(crate) fn wishes(&self) -> watch::Receiver<()> {
        self.wishes.subscribe()
    }

    /// What is wanted and was not refused in this connection.
    pub(crate) fn wanted(&self) -> Subjects {
        let entries = self.entries.lock();
        let wanted = entries.iter().filter(|(_, entry)| !matches!(entry.standing, Standing::Refused(_)));
        wanted.map(|(subject, _)| subject.clone()).collect()
    }

    /// Waits until something else is wanted than what there is now, and answers it. Where it is only less, that may take a
    /// while. Cancel-safe.
    pub(crate) async fn next_wanted(&self, wishes: &mut watch::Receiver<()>, now: &Subjects) -> Subjects {
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
    fn confirm(&self, agreed: &Subjects) {
        let asked: Subjects = {
            let entries = self.entries.lock();
            let asked = |subject: &Subject| {
                entries.get(subject).is_some_and(|entry| entry.standing == Standing::Asked)
            };
            agreed.iter().filter(|subject| asked(subject)).cloned().collect()
        };
        if !asked.is_empty() {
            self.settle(asked.iter().map(|subject| (subject, Standing::Agreed)));
        }
    }

    /// A new connection is there, in which everything is asked for again. Answers what had been agreed on before, of which
    /// updates may have been missed.
    pub(crate) fn begin(&self) -> Subjects {
        let mut agreed = Subjects::new();
        for (subject, entry) in self.entries.lock().iter_mut() {
            match entry.standing {
                Standing::Agreed => drop(agreed.insert(subject.clone())),
                _ => entry.standing = Standing::Asked,
            }
        }
        agreed
    }

    /// Announces every one of `subjects` that the backend still agrees to send updates of: some may have been missed. What
    /// became of a task nobody but its server can say.
    pub(crate) fn missed(&self, subjects: &Subjects) {
        for subject in subjects {
            let agreed =
                self.entries.lock().get(subject).is_some_and(|entry| entry.standing == Standing::Agreed);
            match subject {
                _ if !agreed => {}
                Subject::Task(id) => self.tell(Notice::TaskLost(id.clone())),
                Subject::Resource(uri) => {
                    if let Ok(update) = Update::missed(uri) {
                        self.tell(Notice::Updated(Arc::new(update)));
                    }
                }
            }
        }
    }

    fn settle<'a>(&self, answers: impl Iterator<Item = (&'a Subject, Standing)>) {
        let mut lost = Vec::new();
        {
            let mut entries = self.entries.lock();
            for (subject, standing) in answers {
                if let Some(entry) = entries.get_mut(subject) {
                    if let (Standing::Agreed, Standing::Refused(_), Subject::Task(id)) =
                        (&entry.standing, &standing, subject)
                    {
                        lost.push(id.clone());
                    }
                    entry.standing = standing;
                }
            }
        }
        lost.into_iter().for_each(|id| self.tell(Notice::TaskLost(id)));
        self.answers.send_replace(());
    }

    /// The backend failed to answer for `subjects`.
    pub(crate) fn refuse<'a>(&self, subjects: impl Iterator<Item = &'a Subject>, error: &BackendError) {
        self.settle(subjects.map(|subject| (subject, Standing::Refused(error.clone()))));
    }

    /// The backend could not be asked for `wanted`, so that it goes on with what it `accepted` before. What of this is
    /// no longer wanted is still sent, but nobody is told of it; what is wished for meanwhile has yet to be asked for.
    pub(crate) fn failed(&self, wanted: &Subjects, accepted: &mut Subjects, error: &BackendError) {
        self.refuse(wanted.difference(accepted), error);
        let now = self.wanted();
        accepted.retain(|subject| now.contains(subject));
    }

    /// There is no connection in which updates could come.
    pub(crate) fn refuse_all(&self, error: &BackendError) {
        let all = self.wanted();
        self.refuse(all.iter(), error);
    }

    /// The members of `subscriptions/listen` for every list and for `subjects`.
    pub(crate) fn listen_members(subjects: &Subjects) -> String {
        let mut members = String::from(
            r#""notifications":{"toolsListChanged":true,"promptsListChanged":true,"resourcesListChanged":true"#,
        );
        let quoted = |text: &str| String::from_utf8_lossy(&json::string(text)).into_owned();
        let (mut uris, mut tasks) = (Vec::new(), Vec::new());
        for subject in subjects {
            match subject {
                Subject::Resource(uri) => uris.push(quoted(uri)),
                Subject::Task(id) => tasks.push(quoted(id)),
            }
        }
        for (key, values) in [("resourceSubscriptions", uris), ("taskIds", tasks)] {
            if !values.is_empty() {
                members.push_str(&format!(",\"{key}\":[{}]", values.join(",")));
            }
        }
        members.push('}');
        members
    }

    /// Takes in the acknowledgement of a request to listen for `asked`; answers what was accepted of it.
    pub(crate) fn acknowledged(&self, asked: &Subjects, acknowledgement: &Message) -> Subjects {
        let raw = acknowledgement.envelope.params.as_ref().and_then(|params| params.notifications);
        let accepted: Acknowledged = raw
            .and_then(|span| serde_json::from_slice(span.of(&acknowledgement.body)).ok())
            .unwrap_or_default();
        let accepted: Subjects = asked
            .iter()
            .filter(|subject| match subject {
                Subject::Resource(uri) => accepted.resource_subscriptions.iter().any(|one| **one == **uri),
                Subject::Task(id) => accepted.task_ids.iter().any(|one| **one == **id),
            })
            .cloned()
            .collect();
        let refused = |subject: &Subject| {
            Standing::Refused(BackendError::Unsupported(match subject {
                Subject::Resource(_) => "updates of this resource",
                Subject::Task(_) => "updates of this task",
            }))
        };
        self.settle(asked.iter().map(|subject| {
            (subject, if accepted.contains(subject) { Standing::Agreed } else { refused(subject) })
        }));
        accepted
    }

    /// Subscribes and unsubscribes in one session of a legacy server, as it is wanted, until the session is lost. Every
    /// resource is asked for by itself: one that fails or is not answered holds up no other.
    pub(crate) async fn keep(&self, requester: &(impl Requester + Sync)) -> BackendError {
        let mut wishes = self.wishes();
        let mut missed = self.begin();
        let (mut done, mut under_way) = (Subjects::new(), Subjects::new());
        let mut answers = FuturesUnordered::new();
        let mut wanted = self.wanted();
        loop {
            let gone = done.difference(&wanted).map(|subject| (Method::ResourcesUnsubscribe, subject));
            let fresh = wanted.difference(&done).map(|subject| (Method::ResourcesSubscribe, subject));
            let places = AT_ONCE.saturating_sub(answers.len());
            let next: Vec<(Method, Subject)> = gone
                .chain(fresh)
                .filter(|(_, subject)| !under_way.contains(*subject))
                .take(places)
                .map(|(method, subject)| (method, subject.clone()))
                .collect();
            for (method, subject) in next {
                done.remove(&subject);
                under_way.insert(subject.clone());
                answers.push(ask(requester, method, subject));
            }
            if answers.is_empty() {
                wanted = self.next_wanted(&mut wishes, &done).await;
                continue;
            }
            tokio::select! {
                biased;
                Some((method, subject, answer)) = answers.next() => {
                    under_way.remove(&subject);
                    match answer {
                        Err(error @ (BackendError::SessionLost | BackendError::Stopping)) => return error,
                        // A server that goes on sending does no harm: nobody is told.
                        _ if method == Method::ResourcesUnsubscribe => {}
                        Ok(()) => {
                            self.settle(std::iter::once((&subject, Standing::Agreed)));
                            if missed.remove(&subject) {
                                self.missed(&Subjects::from([subject.clone()]));
                            }
                            done.insert(subject);
                        }
                        Err(error) => self.settle(std::iter::once((&subject, Standing::Refused(error)))),
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
    subject: Subject,
) -> (Method, Subject, Result<(), BackendError>) {
    let Subject::Resource(uri) = &subject else {
        return (method, subject, Err(BackendError::Unsupported("updates of its tasks")));
    };
    let once = || async {
        let answer = requester.request(method, members(uri)).await?;
        result_of(&answer, method.as_str()).map(drop)
    };
    let mut answer = once().await;
    if matches!(answer, Err(BackendError::Gone(_) | BackendError::Unreachable(_))) {
        answer = once().await;
    }
    (method, subject, answer)
}

fn members(uri: &str) -> String {
    format!("\"uri\":{}", String::from_utf8_lossy(&json::string(uri)))
}

/// The filter that a server acknowledged, as far as it concerns resources and tasks.
#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Acknowledged {
    resource_subscriptions: Vec<String>,
    task_ids: Vec<String>,
}

#[cfg(test)]
mod tests;

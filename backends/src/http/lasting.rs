//! Sessions with a legacy server as the places where tasks live: whatever is asked about a task goes to the session that it was
//! begun in.

use super::post::Attempt;
use super::requester::InSession;
use super::session::UpstreamSession;
use super::{Shared, post};
use crate::credentials::Party;
use crate::errand::{Errand, Home, members};
use crate::exchange::{Exchange, Part};
use crate::homes::Becoming;
use crate::inventory::Requester;
use crate::pending::{Debtor, Pending};
use crate::{Augment, BackendError, Call, Message, SessionKey, message};
use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use std::sync::Arc;
use tokio::sync::OwnedSemaphorePermit;
use weir_protocol::{Era, Method};

/// A session that tasks are begun in.
#[derive(Debug)]
pub(super) struct Lasting {
    shared: Arc<Shared>,
    session: Arc<UpstreamSession>,
}

impl Lasting {
    pub(super) fn new(shared: Arc<Shared>, session: Arc<UpstreamSession>) -> Arc<Self> {
        Arc::new(Self { shared, session })
    }

    /// The session of the number `home`, where it is that of `party`: a session that was opened with one caller's credential is
    /// no other's.
    pub(super) fn find(shared: &Arc<Shared>, home: u64, party: &Party) -> Result<Arc<Self>, BackendError> {
        let session = shared.homes.find(home).filter(|session| !session.has_ended());
        let session = session.filter(|session| session.party().mark() == party.mark());
        let session = session.ok_or(BackendError::TaskGone)?;
        Ok(Self::new(shared.clone(), session))
    }

    async fn send(&self, call: &Call, party: Party) -> Result<Exchange, BackendError> {
        let Self { shared, session } = self;
        let id = shared.next_id();
        let body = message::of_call(call, id, Era::Legacy);
        let sent = match post::legacy(shared, session, id, body, Some(call), party).await {
            // No tool was run that could have used the same words.
            Ok(Attempt::Unplaced(_)) => Err(BackendError::SessionLost),
            sent => sent,
        };
        self.see(sent)?.into_exchange()
    }

    /// A task ends with the session that it lives in.
    fn see<T>(&self, sent: Result<T, BackendError>) -> Result<T, BackendError> {
        sent.map_err(|error| match error {
            BackendError::SessionLost => {
                self.shared.sessions.forget_everywhere(&self.session);
                BackendError::TaskGone
            }
            other => other,
        })
    }

    /// Sends a call about a task.
    pub(super) async fn call(
        self: Arc<Self>,
        call: &Call,
        place: OwnedSemaphorePermit,
        party: &Party,
    ) -> Result<Exchange, BackendError> {
        self.session.used_by(party);
        let sent = match self.send(call, party.clone()).await {
            // A lost connection is made good once, as for any other call.
            Err(BackendError::Gone(_)) if call.repeatable && !self.session.has_ended() => {
                self.send(call, party.clone()).await
            }
            sent => sent,
        };
        let part = call.legacy_task().map(|task| Part::About(task, call.method)).unwrap_or(Part::Watched);
        Ok(sent?.placed(place).at(self, part))
    }

    /// The exchange of a call that was sent in `session` and becomes a task there.
    pub(super) fn begin(
        shared: &Arc<Shared>,
        session: Arc<UpstreamSession>,
        call: Box<Call>,
        begun: Exchange,
        place: OwnedSemaphorePermit,
    ) -> Exchange {
        let home = Self::new(shared.clone(), session);
        match call.augment {
            Augment::No => begun.placed(place),
            Augment::Client => {
                let number = shared.homes.enter(&home.session, &home.session.home);
                // A session of its own ends with the client's anyway.
                let is_shared = home.session.aside.client() == SessionKey::Shared;
                let owner = is_shared.then(|| (call.session, shared.owners.clone()));
                begun.placed(place).at(home, Part::Becoming(Becoming { number, owner }))
            }
            Augment::Gateway(_) => {
                let errand = Errand::new(home, call, begun, &shared.timeouts);
                Exchange::errand(Box::new(errand), place)
            }
        }
    }
}

impl Attempt {
    /// The exchange, which has no place yet.
    pub(super) fn into_exchange(self) -> Result<Exchange, BackendError> {
        Ok(match self {
            Self::Done(outcome) => Exchange::ready(outcome),
            Self::Unplaced(own) => Exchange::ready(own?),
            Self::Stream(events) => Exchange::http(events),
            Self::Pending(call) => Exchange::pending(call),
        })
    }
}

impl Home for Lasting {
    fn ask(
        self: Arc<Self>,
        method: Method,
        members: String,
    ) -> BoxFuture<'static, Result<Message, BackendError>> {
        async move {
            let requester = InSession { shared: &self.shared, session: &self.session };
            self.see(requester.request(method, members).await)
        }
        .boxed()
    }

    fn fetch(self: Arc<Self>, call: Box<Call>) -> BoxFuture<'static, Result<Exchange, BackendError>> {
        async move { self.send(&call, self.session.party()).await }.boxed()
    }

    fn end_task(self: Arc<Self>, id: Arc<str>) {
        if self.session.features.legacy_tasks.cancel {
            let handle = self.shared.handle.clone();
            handle.spawn(async move {
                if let Ok(answer) = self.clone().ask(Method::TasksCancel, members(&id)).await {
                    self.pending().hear_about(&id, &answer, false);
                }
            });
        }
    }

    fn say(self: Arc<Self>, call: u64, body: Bytes) {
        Debtor::reply(self.session.clone(), call, body);
    }

    fn has_ended(&self) -> bool {
        self.session.has_ended()
    }

    fn pending(&self) -> &Pending {
        self.session.line.as_ref().map_or(self.session.aside.pending(), |line| line.pending())
    }
}

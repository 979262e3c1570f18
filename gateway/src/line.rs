//! A connection that carries all messages of one client, in both directions: what standard input and output and HTTP+SSE have
//! in common. The connection is the legacy client's session; modern requests may come over it as well.

use crate::client::{Client, Letters, Outbox};
use crate::drain::Admitted;
use crate::edge::{Batch, Mail, Post, legacy};
use crate::endpoint::Endpoint;
use crate::gateway::Core;
use crate::hub::{Hub, Outlook, Topic, Viewer};
use crate::rescue::{self, Fault};
use crate::session::{Session, Visit};
use crate::snapshot::Snapshot;
use crate::stream::Stream;
use bytes::Bytes;
use futures_util::poll;
use std::sync::Arc;
use std::time::Duration;
use weir_policies::Principal;
use weir_protocol::batch;

/// An open connection; dropped, it ends with its session and everything that runs in it.
pub(crate) struct Line {
    core: Arc<Core>,
    pub(crate) visit: Visit,
    /// Silence before the client is shown that the connection lives.
    pub(crate) keep_alive: Duration,
    hub: Arc<Hub>,
    outbox: Outbox,
}

impl Drop for Line {
    fn drop(&mut self) {
        self.core.end_session(self.visit.session.number);
        self.visit.session.cancel_all();
    }
}

impl Line {
    /// Opens a connection of `principal` to an endpoint of `snapshot`, neither of which it holds. Whoever holds the letters
    /// writes them to the client.
    pub(crate) fn open(
        core: &Arc<Core>,
        snapshot: &Snapshot,
        endpoint: &Endpoint,
        principal: &Arc<Principal>,
    ) -> Result<(Self, Letters), Fault> {
        let (outbox, letters) = Outbox::new(true);
        let visit = legacy::open(core, snapshot, endpoint, principal, Some(outbox.clone()))?;
        let (hub, keep_alive) = (endpoint.hub.clone(), snapshot.config.timeouts.keep_alive);
        Ok((Self { core: core.clone(), visit, keep_alive, hub, outbox }, letters))
    }

    /// Tells a client that opened the session with `initialize` what changes, until the endpoint is removed or weir stops.
    pub(crate) async fn announce(&self) {
        let session = &self.visit.session;
        let outlook = Outlook::now(&self.core, session.endpoint, Viewer::Session(session.clone()));
        let mut subscription = self.hub.subscribe(Some(outlook));
        // Open before the session is, so that nothing is missed.
        let reader = session.inbox.read();
        loop {
            tokio::select! {
                biased;
                () = session.agreed() => break,
                // What changes before a client has asked for anything is nothing to it.
                topics = subscription.next() => if topics.is_none() {
                    return;
                },
            }
        }
        let stream = Stream {
            topics: Topic::ALL.to_vec(),
            inbox: session.inbox.clone(),
            subscription: None,
            keep_alive: self.keep_alive,
            ended: Some(session.take_stream()),
        };
        let mut client = Client::Outbox(self.outbox.clone());
        // A client that is gone is noticed by whoever writes to it.
        let _ = stream.run(&mut client, &mut subscription, &self.core.drain, None).await;
        drop(reader);
    }
}

/// Understands what came from `principal`, whose connection this session is.
pub(crate) fn read(
    core: &Arc<Core>,
    snapshot: Arc<Snapshot>,
    session: &Arc<Session>,
    principal: &Arc<Principal>,
    body: Bytes,
) -> Result<Mail, Fault> {
    let endpoint = snapshot.numbered(session.endpoint).cloned().ok_or_else(rescue::stopping)?;
    if batch::is_batch(&body) {
        return Ok(Mail::Many(Box::new(Batch::read(
            core,
            snapshot,
            &endpoint,
            principal,
            core.sessions.enter(session),
            &body,
        )?)));
    }
    Ok(Mail::One(Post::read(core, snapshot, endpoint, principal.clone(), Some(session.clone()), body)?))
}

/// Begins to answer what came over the connection that is this session. When this returns, the messages were taken in the
/// order in which they came; what takes time goes on by itself. Only what asks nothing may come without a place.
pub(crate) async fn begin(core: &Arc<Core>, session: &Arc<Session>, mail: Mail, admitted: Option<Admitted>) {
    let Some(outbox) = session.outbox() else {
        return;
    };
    let visit = core.sessions.enter(session);
    let mut answering = Box::pin(async move {
        // A client that is gone is noticed by whoever writes to it.
        let _ = mail.answer(Client::Outbox(outbox), false).await;
        drop((visit, admitted));
    });
    if poll!(&mut answering).is_pending() {
        tokio::spawn(answering);
    }
}

/// Sends an answer that belongs to no request that could be read.
pub(crate) async fn say(session: &Session, answer: Bytes) {
    if let Some(mut outbox) = session.outbox() {
        // A client that is gone is noticed by whoever writes to it.
        let _ = outbox.answer(&[answer]).await;
    }
}

/// Refuses what came over a connection, with the client's own words where it can still be told whose it is.
pub(crate) async fn refuse(session: &Session, mail: Mail, fault: &Fault) {
    if let Some(outbox) = session.outbox() {
        // A client that is gone is noticed by whoever writes to it.
        let _ = mail.refuse(Client::Outbox(outbox), fault).await;
    }
}

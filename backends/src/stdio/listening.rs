//! What a child is asked to announce, and the asking again as that changes.

use super::child::Child;
use crate::inventory::Requester;
use crate::subscriptions::{Subjects, Subscriptions};
use crate::{BackendError, Message, message};
use parking_lot::Mutex;
use std::sync::Arc;
use tokio::sync::oneshot;
use tokio::task::AbortHandle;
use weir_protocol::{Era, Method};

/// A modern child's stream of notifications, and who keeps the subscriptions in it.
#[derive(Debug, Default)]
pub(crate) struct Listening {
    /// The request that the notifications belong to.
    current: Mutex<Option<u64>>,
    /// A request whose acknowledgement is waited for.
    asked: Mutex<Option<(u64, oneshot::Sender<Message>)>>,
    keeper: Mutex<Option<AbortHandle>>,
}

impl Listening {
    /// The first request has the number `id`.
    pub(super) fn begin(&self, id: u64) {
        *self.current.lock() = Some(id);
    }

    /// The child acknowledged a request.
    pub(super) fn acknowledged(&self, message: Message) {
        let meta = message.envelope.meta(&message.body).ok().flatten();
        let id = meta.and_then(|meta| meta.subscription()?.text(&message.body).parse().ok());
        let mut asked = self.asked.lock();
        if asked.as_ref().is_some_and(|(asked, _)| Some(*asked) == id)
            && let Some((_, waits)) = asked.take()
        {
            let _ = waits.send(message);
        }
    }

    /// The child has ended.
    pub(super) fn end(&self) {
        if let Some(keeper) = self.keeper.lock().take() {
            keeper.abort();
        }
    }
}

/// Sends requests of weir's own to a child, whose session is lost with its process.
struct InProcess<'a>(&'a Child);

impl Requester for InProcess<'_> {
    async fn request(&self, method: Method, members: String) -> Result<Message, BackendError> {
        self.0.request(method, members).await.map_err(|error| match error {
            BackendError::Gone(_) => BackendError::SessionLost,
            error => error,
        })
    }
}

impl Child {
    /// Subscribes in the background to what is wanted, as long as the child lives.
    pub(super) fn keep_subscriptions(self: &Arc<Self>) {
        let child = self.clone();
        let keeper = tokio::spawn(async move {
            let subscriptions = &child.recipe().subscriptions;
            match child.era() {
                Era::Legacy => drop(subscriptions.keep(&InProcess(&child)).await),
                Era::Modern => child.keep_listening(subscriptions).await,
            }
        });
        *self.listening.keeper.lock() = Some(keeper.abort_handle());
        // It may have ended meanwhile.
        if self.has_ended() {
            self.listening.end();
        }
    }

    /// Asks anew, as other resources are wanted: first the new request, then the end of the old one.
    async fn keep_listening(&self, subscriptions: &Subscriptions) {
        let mut wishes = subscriptions.wishes();
        let mut missed = subscriptions.begin();
        let mut accepted = Subjects::new();
        let mut wanted = subscriptions.wanted();
        loop {
            if wanted != accepted {
                match self.listen(&wanted).await {
                    Ok((id, acknowledgement)) => {
                        accepted = subscriptions.acknowledged(&wanted, &acknowledgement);
                        let former = self.listening.current.lock().replace(id);
                        if let Some(former) = former {
                            self.post(message::cancelled(former));
                        }
                    }
                    Err(error) => {
                        subscriptions.failed(&wanted, &mut accepted, &error);
                    }
                }
            }
            subscriptions.missed(&std::mem::take(&mut missed));
            wanted = subscriptions.next_wanted(&mut wishes, &accepted).await;
        }
    }

    /// Opens a stream of notifications; answers its number and its acknowledgement.
    async fn listen(&self, uris: &Subjects) -> Result<(u64, Message), BackendError> {
        let id = self.next_id();
        let (sender, acknowledged) = oneshot::channel();
        *self.listening.asked.lock() = Some((id, sender));
        let waiting = self.pending().insert(id)?;
        let members = Subscriptions::listen_members(uris);
        let limit = self.recipe().timeouts.list;
        let answered = async {
            self.send(message::request(id, Method::Listen.as_str(), &members, Era::Modern)).await?;
            tokio::select! {
                biased;
                Ok(message) = acknowledged => Ok(message),
                answer = waiting.answer() => Err(answer.err().unwrap_or(BackendError::Unsupported("updates of its resources"))),
            }
        };
        let late = BackendError::Timeout { what: Method::Listen.as_str(), after: limit };
        let answered = tokio::time::timeout(limit, answered).await.unwrap_or(Err(late));
        self.pending().remove(id);
        if answered.is_err() {
            self.post(message::cancelled(id));
        }
        answered.map(|message| (id, message))
    }
}

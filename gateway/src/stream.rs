//! Streams that carry announcements: the legacy GET stream and the modern `subscriptions/listen`.

use crate::client::{Client, Gone};
use crate::drain::{Drain, Phase, reached};
use crate::hub::{Subscription, Topic};
use crate::inbox::{Inbox, Reader};
use crate::session::Cancellable;
use crate::stay::{self, Stay};
use crate::tasks::TaskWatch;
use crate::watchers::Watch;
use bytes::Bytes;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;
use weir_protocol::meta;

/// A stream that is about to be written, with what has to live as long as it. It holds nothing of the snapshot that it
/// began with.
pub(crate) struct Listening {
    pub(crate) stream: Stream,
    pub(crate) subscription: Subscription,
    /// Reads the inbox from before it was acknowledged.
    pub(crate) reader: Reader,
    /// The resources that it tells of.
    pub(crate) watches: Vec<Watch>,
    /// The tasks that it tells of.
    pub(crate) tasks: Vec<TaskWatch>,
    /// Lets the client cancel it by its id.
    pub(crate) cancellable: Option<Cancellable>,
    /// How long the client may hear of anything; for ever over standard input.
    pub(crate) stay: Option<Stay>,
}

impl Listening {
    /// Writes the stream to its end.
    pub(crate) async fn run(self: Box<Self>, client: &mut Client<'_>, drain: &Drain) -> Result<(), Gone> {
        let Self { stream, mut subscription, reader, watches, tasks, cancellable, mut stay } = *self;
        // Boxed, so that what is rare does not make the future of every request larger.
        let ended = Box::pin(stream.run(client, &mut subscription, drain, stay.as_mut())).await;
        drop((reader, watches, tasks, cancellable));
        ended
    }
}

/// How a stream of announcements is written.
pub(crate) struct Stream {
    /// The lists that the client wants to hear of.
    pub(crate) topics: Vec<Topic>,
    /// What waits for this stream beside them.
    pub(crate) inbox: Arc<Inbox>,
    /// The modern request's raw id, which every message of its stream carries.
    pub(crate) subscription: Option<Bytes>,
    /// Silence before a comment.
    pub(crate) keep_alive: Duration,
    /// Notified when another stream takes the place of this one, the session ends, or the request is cancelled.
    pub(crate) ended: Option<Arc<Notify>>,
}

impl Stream {
    /// Writes announcements until the client goes or may not hear more, the stream is superseded, or its endpoint or weir
    /// ends. The stream has begun.
    pub(crate) async fn run(
        &self,
        client: &mut Client<'_>,
        subscription: &mut Subscription,
        drain: &Drain,
        mut stay: Option<&mut Stay>,
    ) -> Result<(), Gone> {
        let mut phase = drain.watch();
        let reader = self.inbox.read();
        loop {
            tokio::select! {
                // What has ended takes nothing more out of what waits: that is for the stream after it.
                biased;
                () = ended(self.ended.as_deref()) => return client.close().await,
                () = client.gone() => return Err(Gone),
                () = reached(&mut phase, Phase::Draining) => break,
                () = stay::over(stay.as_deref_mut()) => break,
                topics = subscription.next() => {
                    let Some(topics) = topics else {
                        break;
                    };
                    for topic in topics.into_iter().filter(|topic| self.topics.contains(topic)) {
                        client.push(self.notification(topic).as_bytes());
                    }
                }
                letters = reader.next() => {
                    let mut whole = true;
                    for letter in letters {
                        match letter.written(self.subscription.as_deref()) {
                            Some(message) => client.push(&message),
                            None => whole = false,
                        }
                    }
                    if !whole {
                        client.flush().await?;
                        break;
                    }
                }
                () = tokio::time::sleep(self.keep_alive) => {
                    client.keep_alive().await?;
                    continue;
                }
            }
            client.flush().await?;
        }
        let Some(id) = &self.subscription else {
            return client.close().await;
        };
        // A modern stream ends with the result of the request that opened it.
        let id = String::from_utf8_lossy(id);
        let result = format!(
            r#"{{"jsonrpc":"2.0","id":{id},"result":{{"resultType":"complete","_meta":{{"{}":{id}}}}}}}"#,
            meta::SUBSCRIPTION_ID
        );
        client.answer(200, &[result.into()]).await
    }

    /// An announcement in the legacy form.
    pub(crate) fn plain(topic: Topic) -> String {
        format!(r#"{{"jsonrpc":"2.0","method":"{}"}}"#, topic.method().as_str())
    }

    fn notification(&self, topic: Topic) -> String {
        let method = topic.method().as_str();
        match &self.subscription {
            None => Self::plain(topic),
            Some(id) => format!(
                r#"{{"jsonrpc":"2.0","method":"{method}","params":{{"_meta":{{"{}":{}}}}}}}"#,
                meta::SUBSCRIPTION_ID,
                String::from_utf8_lossy(id)
            ),
        }
    }
}

/// Waits until something that may be ended is. Cancel-safe.
pub(crate) async fn ended(notify: Option<&Notify>) {
    match notify {
        Some(notify) => notify.notified().await,
        None => std::future::pending().await,
    }
}

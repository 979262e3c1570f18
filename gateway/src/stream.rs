//! Streams that carry announcements: the legacy GET stream and the modern `subscriptions/listen`.

use crate::client::{Client, Gone};
use crate::drain::{Drain, Phase, reached};
use crate::hub::{Subscription, Topic};
use bytes::Bytes;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;
use weir_protocol::{meta, sse};

/// How a stream of announcements is written.
pub(crate) struct Stream {
    /// The lists that the client wants to hear of.
    pub(crate) topics: Vec<Topic>,
    /// The modern request's raw id, which every message of its stream carries.
    pub(crate) subscription: Option<Bytes>,
    /// Silence before a comment.
    pub(crate) keep_alive: Duration,
    /// Notified when another stream takes the place of this one, or the session ends.
    pub(crate) ended: Option<Arc<Notify>>,
}

impl Stream {
    /// Writes announcements until the client goes, the stream is superseded or weir stops. The stream has begun.
    pub(crate) async fn run(
        &self,
        client: &mut Client<'_>,
        mut subscription: Subscription,
        drain: &Drain,
    ) -> Result<(), Gone> {
        let mut phase = drain.watch();
        loop {
            let topics = tokio::select! {
                topics = subscription.next() => topics,
                () = client.gone() => return Err(Gone),
                () = ended(self.ended.as_deref()) => break,
                () = reached(&mut phase, Phase::Draining) => break,
                () = tokio::time::sleep(self.keep_alive) => {
                    client.write(Bytes::from_static(sse::KEEP_ALIVE), false).await?;
                    continue;
                }
            };
            let mut events = Vec::new();
            for topic in topics.into_iter().filter(|topic| self.topics.contains(topic)) {
                sse::write_message(&mut events, self.notification(topic).as_bytes());
            }
            if !events.is_empty() {
                client.write(events.into(), false).await?;
            }
        }
        let mut last = Vec::new();
        if let Some(id) = &self.subscription {
            // A modern stream ends with the result of the request that opened it.
            let id = String::from_utf8_lossy(id);
            let result = format!(
                r#"{{"jsonrpc":"2.0","id":{id},"result":{{"resultType":"complete","_meta":{{"{}":{id}}}}}}}"#,
                meta::SUBSCRIPTION_ID
            );
            sse::write_message(&mut last, result.as_bytes());
        }
        client.write(last.into(), true).await
    }

    fn notification(&self, topic: Topic) -> String {
        let method = topic.method().as_str();
        match &self.subscription {
            None => format!(r#"{{"jsonrpc":"2.0","method":"{method}"}}"#),
            Some(id) => format!(
                r#"{{"jsonrpc":"2.0","method":"{method}","params":{{"_meta":{{"{}":{}}}}}}}"#,
                meta::SUBSCRIPTION_ID,
                String::from_utf8_lossy(id)
            ),
        }
    }
}

async fn ended(notify: Option<&Notify>) {
    match notify {
        Some(notify) => notify.notified().await,
        None => std::future::pending().await,
    }
}

//! Telling open streams that a list changed.

use crate::catalog::List;
use tokio::sync::broadcast;
use weir_protocol::Method;

/// A kind of list whose change is announced; resources and templates are one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Topic {
    Tools,
    Prompts,
    Resources,
}

impl Topic {
    pub(crate) const ALL: [Self; 3] = [Self::Tools, Self::Prompts, Self::Resources];

    pub(crate) fn of(list: List) -> Self {
        match list {
            List::Tools => Self::Tools,
            List::Prompts => Self::Prompts,
            List::Resources | List::Templates => Self::Resources,
        }
    }

    pub(crate) fn method(self) -> Method {
        match self {
            Self::Tools => Method::ToolsChanged,
            Self::Prompts => Method::PromptsChanged,
            Self::Resources => Method::ResourcesChanged,
        }
    }
}

/// Fans announcements out to every open stream of one endpoint.
#[derive(Debug)]
pub(crate) struct Hub(broadcast::Sender<Topic>);

/// The receiving side of one stream.
#[derive(Debug)]
pub(crate) struct Subscription(broadcast::Receiver<Topic>);

/// A stream that falls further behind than this is told that everything changed.
const QUEUE: usize = 64;

impl Default for Hub {
    fn default() -> Self {
        Self(broadcast::Sender::new(QUEUE))
    }
}

impl Hub {
    pub(crate) fn announce(&self, topic: Topic) {
        let _ = self.0.send(topic);
    }

    pub(crate) fn subscribe(&self) -> Subscription {
        Subscription(self.0.subscribe())
    }
}

impl Subscription {
    /// The lists that changed; never empty. Cancel-safe.
    pub(crate) async fn next(&mut self) -> Vec<Topic> {
        match self.0.recv().await {
            Ok(topic) => vec![topic],
            Err(broadcast::error::RecvError::Lagged(_)) => Topic::ALL.to_vec(),
            // The hub lives as long as its endpoint, and the endpoint as long as its streams.
            Err(broadcast::error::RecvError::Closed) => std::future::pending().await,
        }
    }
}

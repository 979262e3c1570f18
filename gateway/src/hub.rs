//! Telling open streams that a list changed.

use crate::catalog::List;
use parking_lot::Mutex;
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

/// Fans announcements out to every open stream of one endpoint, through reloads, until the endpoint is removed.
#[derive(Debug)]
pub(crate) struct Hub(Mutex<Option<broadcast::Sender<Topic>>>);

/// The receiving side of one stream.
#[derive(Debug)]
pub(crate) struct Subscription(broadcast::Receiver<Topic>);

/// A stream that falls further behind than this is told that everything changed.
const QUEUE: usize = 64;

impl Default for Hub {
    fn default() -> Self {
        Self(Mutex::new(Some(broadcast::Sender::new(QUEUE))))
    }
}

impl Hub {
    pub(crate) fn announce(&self, topic: Topic) {
        if let Some(open) = &*self.0.lock() {
            let _ = open.send(topic);
        }
    }

    pub(crate) fn subscribe(&self) -> Subscription {
        let open = self.0.lock().as_ref().map(broadcast::Sender::subscribe);
        Subscription(open.unwrap_or_else(|| broadcast::Sender::new(1).subscribe()))
    }

    /// Ends every stream: the endpoint is removed.
    pub(crate) fn close(&self) {
        *self.0.lock() = None;
    }
}

impl Subscription {
    /// The lists that changed, never none of them; `None` once the endpoint is removed. Cancel-safe.
    pub(crate) async fn next(&mut self) -> Option<Vec<Topic>> {
        match self.0.recv().await {
            Ok(topic) => Some(vec![topic]),
            Err(broadcast::error::RecvError::Lagged(_)) => Some(Topic::ALL.to_vec()),
            Err(broadcast::error::RecvError::Closed) => None,
        }
    }
}

//! Telling open streams that a list changed, each of what its client sees.

use crate::catalog::List;
use crate::endpoint::Endpoint;
use crate::gateway::Core;
use crate::session::Session;
use parking_lot::Mutex;
use std::sync::Arc;
use tokio::sync::broadcast;
use weir_policies::Principal;
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

    /// The lists that it is about.
    fn lists(self) -> &'static [List] {
        match self {
            Self::Tools => &[List::Tools],
            Self::Prompts => &[List::Prompts],
            Self::Resources => &[List::Resources, List::Templates],
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
pub(crate) struct Subscription {
    announced: broadcast::Receiver<Topic>,
    outlook: Option<Outlook>,
}

/// What one client sees of the lists, so that it hears of what changes there and of nothing else. It holds no snapshot.
#[derive(Debug)]
pub(crate) struct Outlook {
    core: Arc<Core>,
    /// The number of the endpoint.
    endpoint: usize,
    viewer: Viewer,
    /// Digests of what it saw last, in the order of [`Topic::ALL`]; `None` where everybody sees everything.
    seen: [Option<Vec<u64>>; 3],
}

/// Whose outlook it is.
#[derive(Debug)]
pub(crate) enum Viewer {
    /// Somebody as they were known at the beginning.
    Caller(Arc<Principal>),
    /// Whoever opened a session, as is known of them by now.
    Session(Arc<Session>),
}

impl Viewer {
    fn principal(&self) -> Arc<Principal> {
        match self {
            Self::Caller(principal) => principal.clone(),
            Self::Session(session) => session.principal(),
        }
    }
}

impl Outlook {
    /// What `viewer` sees now of the endpoint of this number.
    pub(crate) fn now(core: &Arc<Core>, endpoint: usize, viewer: Viewer) -> Self {
        let snapshot = core.snapshot.load();
        let (current, principal) = (snapshot.numbered(endpoint), viewer.principal());
        let seen = Topic::ALL.map(|topic| digests(core, current?, &principal, topic));
        Self { core: core.clone(), endpoint, viewer, seen }
    }

    /// Whether what was announced has changed for this client; from now on it knows.
    fn differs(&mut self, topic: Topic) -> bool {
        let snapshot = self.core.snapshot.load();
        let Some(endpoint) = snapshot.numbered(self.endpoint) else {
            return true;
        };
        let now = digests(&self.core, endpoint, &self.viewer.principal(), topic);
        let seen = Topic::ALL.iter().zip(&mut self.seen).find(|(each, _)| **each == topic);
        seen.is_none_or(|(_, seen)| {
            let same = now.is_some() && *seen == now;
            *seen = now;
            !same
        })
    }
}

/// What a client sees of the lists that `topic` is about; `None` where everybody sees everything.
fn digests(core: &Core, endpoint: &Endpoint, principal: &Principal, topic: Topic) -> Option<Vec<u64>> {
    let catalog = endpoint.catalog();
    let digest = |list: &List| {
        let sight = core.visibility.sight(endpoint, &catalog, *list, principal)?;
        Some(sight.digest())
    };
    topic.lists().iter().map(digest).collect()
}

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

    /// From now on, for a client of this outlook, which was taken before; for one that sees everything without.
    pub(crate) fn subscribe(&self, outlook: Option<Outlook>) -> Subscription {
        let open = self.0.lock().as_ref().map(broadcast::Sender::subscribe);
        let announced = open.unwrap_or_else(|| broadcast::Sender::new(1).subscribe());
        Subscription { announced, outlook }
    }

    /// Ends every stream: the endpoint is removed.
    pub(crate) fn close(&self) {
        *self.0.lock() = None;
    }
}

impl Subscription {
    /// The lists that changed for this client, never none of them; `None` once the endpoint is removed. Cancel-safe.
    pub(crate) async fn next(&mut self) -> Option<Vec<Topic>> {
        loop {
            let mut topics = match self.announced.recv().await {
                Ok(topic) => vec![topic],
                Err(broadcast::error::RecvError::Lagged(_)) => Topic::ALL.to_vec(),
                Err(broadcast::error::RecvError::Closed) => return None,
            };
            topics.retain(|topic| self.outlook.as_mut().is_none_or(|outlook| outlook.differs(*topic)));
            if !topics.is_empty() {
                return Some(topics);
            }
        }
    }
}

//! What modern backends let be kept of their resources, over all endpoints: bounded in bytes, and in time by what each
//! backend said.
//!
//! S: MCP 2026-07-28 `server/utilities/caching`.

mod reading;
mod reads;

pub(crate) use reading::{Seat, start};
pub(crate) use reads::Reads;

use moka::sync::Cache as Store;
use reading::Wish;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;
use weir_backends::{Freshness, Message};
use weir_config::Config;
use weir_policies::Principal;

/// The longest URI whose reads are kept, in bytes.
const LONGEST: usize = 2048;

/// What an entry takes beside its message, about.
const OVERHEAD: usize = 1024;

/// So long reads of a resource that was not to be kept do not wait for each other; then one of them looks again.
const APART: Duration = Duration::from_secs(30);

/// Reads of resources, as backends answered them.
#[derive(Debug)]
pub(crate) struct Cache {
    /// `None` where nothing is kept.
    kept: Option<Store<Key, Kept>>,
    bounds: Bounds,
}

/// What the configuration says of the cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Bounds {
    /// Bytes of everything.
    all: usize,
    /// Bytes of one message.
    one: usize,
    longest: Duration,
}

impl Bounds {
    fn of(config: &Config) -> Self {
        let limits = &config.limits;
        Self { all: limits.cache, one: limits.cached, longest: config.timeouts.cache }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Key {
    /// The number of the backend, which no other ever has.
    backend: usize,
    /// The URI that the backend knows.
    uri: Arc<str>,
    /// Whom the answer is for; `None` where it is for everybody.
    owner: Option<Arc<Principal>>,
}

/// What is known of reading a resource.
#[derive(Debug, Clone)]
enum Kept {
    /// What its backend answers.
    Answer(Arc<Stored>),
    /// Until then: it may be kept for one principal, and not for others; each has an entry of its own.
    Private(Instant),
    /// Until then: it is not to be kept.
    Apart(Instant),
}

impl Kept {
    fn until(&self) -> Instant {
        match self {
            Self::Answer(answer) => answer.kept,
            Self::Private(until) | Self::Apart(until) => *until,
        }
    }

    fn weight(&self, key: &Key) -> usize {
        let message = match self {
            Self::Answer(answer) => answer.message.body.len(),
            Self::Private(_) | Self::Apart(_) => 0,
        };
        message + key.uri.len() + OVERHEAD
    }
}

/// A backend's answer to a read.
#[derive(Debug)]
pub(crate) struct Stored {
    message: Message,
    /// It is fresh until then, by its backend's word.
    until: Instant,
    /// It is kept no longer than this.
    kept: Instant,
    /// What the backend had changed when it was asked.
    asked: u64,
    /// Whom it is for; `None` where it is for everybody.
    owner: Option<Arc<Principal>>,
}

impl Stored {
    /// The message as it is true now: with what is left of its time to live. `None` where it is not good for `wish` any
    /// more, or never was.
    fn serve(&self, wish: &Wish) -> Option<Message> {
        let now = Instant::now();
        let own = self.owner.as_ref().is_none_or(|owner| *owner == wish.principal);
        if !own || now >= self.kept || wish.reads.changed_since(self.asked, &wish.uri) {
            return None;
        }
        let left = self.until.saturating_duration_since(now).as_millis();
        let ttl = self.message.envelope.result.as_ref()?.ttl_ms?.value;
        let mut body = self.message.body.to_vec();
        let place = body.get_mut(ttl.start()..ttl.end()).filter(|_| left > 0)?;
        // There is room: what is left has no more digits than what there was.
        let digits = left.to_string();
        place.fill(b' ');
        place.get_mut(..digits.len())?.copy_from_slice(digits.as_bytes());
        Some(Message { body: body.into(), envelope: self.message.envelope.clone() })
    }
}

/// What the cache says to a read.
#[derive(Debug)]
enum Look {
    /// This is the answer.
    Kept(Box<Message>),
    /// It has to ask its backend. Who shares the answer is told by the owner: everybody, or one principal.
    Missing(Option<Arc<Principal>>),
    /// The same, and nobody else can use what comes.
    Apart,
}

impl Cache {
    /// An empty cache, as large as `config` says.
    pub(crate) fn new(config: &Config) -> Self {
        Self::within(Bounds::of(config))
    }

    fn within(bounds: Bounds) -> Self {
        let store = || {
            Store::builder()
                .max_capacity(u64::try_from(bounds.all).unwrap_or(u64::MAX))
                .weigher(|key: &Key, kept: &Kept| u32::try_from(kept.weight(key)).unwrap_or(u32::MAX))
                .expire_after(Life)
                .build()
        };
        Self { kept: (bounds.all > 0).then(store), bounds }
    }

    /// Whether one made of `config` would be the same.
    pub(crate) fn is_of(&self, config: &Config) -> bool {
        self.bounds == Bounds::of(config)
    }

    /// Lets go of what a backend answered that is not there any more; nobody asks for it again.
    pub(crate) fn forget(&self, backend: usize) {
        if let Some(store) = &self.kept {
            for (key, _) in store.iter().filter(|(key, _)| key.backend == backend) {
                store.invalidate(&*key);
            }
        }
    }

    fn look(&self, wish: &Wish) -> Look {
        let Some(store) = &self.kept else {
            return Look::Apart;
        };
        let shared = store.get(&wish.key(None));
        let serve = |kept: &Option<Kept>| match kept {
            Some(Kept::Answer(answer)) => answer.serve(wish).map(|message| Look::Kept(message.into())),
            _ => None,
        };
        let now = Instant::now();
        let own = || serve(&store.get(&wish.key(Some(wish.principal.clone()))));
        serve(&shared).or_else(own).unwrap_or_else(|| match &shared {
            Some(Kept::Apart(until)) if now < *until => Look::Apart,
            Some(Kept::Private(until)) if now < *until => Look::Missing(Some(wish.principal.clone())),
            _ => Look::Missing(None),
        })
    }

    /// Keeps what a backend answered to `wish`, where it may be kept. `asked` is what the backend had changed before.
    fn keep(&self, wish: &Wish, asked: u64, message: &Message) -> Option<Arc<Stored>> {
        let store = self.kept.as_ref()?;
        let now = Instant::now();
        let hint = message.envelope.result.as_ref()?.hint(&message.body);
        let until = Freshness::of(hint, now).until.filter(|_| message.body.len() <= self.bounds.one);
        let Some(until) = until else {
            self.set_apart(wish);
            return None;
        };
        if wish.reads.changed_since(asked, &wish.uri) {
            return None;
        }
        let kept = now.checked_add(self.bounds.longest).map_or(until, |longest| until.min(longest));
        let owner = (!hint.public).then(|| wish.principal.clone());
        let key = wish.key(owner.clone());
        // A message may be a part of a larger buffer, which would stay with it.
        let message = Message { body: message.body.to_vec().into(), envelope: message.envelope.clone() };
        let answer = Arc::new(Stored { message, until, kept, asked, owner });
        store.insert(key, Kept::Answer(answer.clone()));
        if !hint.public {
            store.insert(wish.key(None), Kept::Private(kept));
        }
        // Otherwise what is too much is thrown out a while later.
        store.run_pending_tasks();
        Some(answer)
    }

    /// What comes to `wish` is not to be kept.
    fn set_apart(&self, wish: &Wish) {
        let until = Instant::now() + APART;
        if let Some(store) = &self.kept {
            store.insert(wish.key(None), Kept::Apart(until));
        }
    }
}

/// How long entries stay in the store.
struct Life;

impl moka::Expiry<Key, Kept> for Life {
    fn expire_after_create(&self, _: &Key, kept: &Kept, _: std::time::Instant) -> Option<Duration> {
        Some(kept.until().saturating_duration_since(Instant::now()))
    }

    fn expire_after_update(
        &self,
        _: &Key,
        kept: &Kept,
        _: std::time::Instant,
        _: Option<Duration>,
    ) -> Option<Duration> {
        Some(kept.until().saturating_duration_since(Instant::now()))
    }
}

#[cfg(test)]
mod tests;

//! A backend that weir starts as a child process.

mod child;
pub(crate) mod lines;
mod listening;
mod probe;

use crate::changes::Announcer;
use crate::departed::Departed;
use crate::inventory::Lists;
use crate::subscriptions::Subscriptions;
use crate::{
    Backend, BackendError, Call, Changes, Exchange, Inventory, Notice, SessionKey, Subject, Subscribed,
};
use async_trait::async_trait;
use child::{Child, Recipe};
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, broadcast, watch};
use tokio::time::Instant;
use weir_config::{EraSetting, SessionScope};
use weir_policies::Permit;
use weir_protocol::Era;
use weir_runtime::{Backoff, Guardian, ProcessSpec};

/// A call waits this long for a child that is about to be started again; beyond that it fails at once.
const SHORT_WAIT: Duration = Duration::from_secs(1);

/// A server that runs as a child process: one for everybody, or one for each client session.
#[derive(Debug)]
pub(crate) struct StdioBackend {
    core: Arc<Core>,
    scope: SessionScope,
    places: Arc<Semaphore>,
    handle: Handle,
}

#[derive(Debug)]
struct Core {
    recipe: Arc<Recipe>,
    setting: EraSetting,
    era: tokio::sync::Mutex<Option<Era>>,
    /// Places for the processes of client sessions.
    processes: Arc<Semaphore>,
    slots: Mutex<Slots>,
    lists: Lists,
}

#[derive(Debug, Default)]
struct Slots {
    of: HashMap<SessionKey, Arc<Slot>>,
    departed: Departed,
    closed: bool,
}

/// The place of one child, which is filled when first needed and again after the child ended.
#[derive(Debug)]
struct Slot {
    key: SessionKey,
    /// Nothing is started here any more. Beside the lock, so that a start under way ends at once.
    closed: watch::Sender<bool>,
    state: tokio::sync::Mutex<SlotState>,
}

#[derive(Debug)]
struct SlotState {
    child: Option<Arc<Child>>,
    started: Instant,
    backoff: Backoff,
    not_before: Instant,
}

impl Slot {
    fn new(key: SessionKey) -> Self {
        let now = Instant::now();
        let backoff = Backoff::new(Duration::from_millis(250), Duration::from_secs(30));
        let state = SlotState { child: None, started: now, backoff, not_before: now };
        Self { key, closed: watch::Sender::new(false), state: tokio::sync::Mutex::new(state) }
    }

    /// Stops the child, also one that is just being started, for good.
    async fn stop(&self) {
        self.closed.send_replace(true);
        let child = self.state.lock().await.child.take();
        if let Some(child) = child {
            child.stop().await;
        }
    }
}

impl Slots {
    fn get(&mut self, key: SessionKey) -> Result<Arc<Slot>, BackendError> {
        if self.closed {
            return Err(BackendError::Stopping);
        }
        if self.departed.contains(key) {
            return Err(BackendError::SessionEnded);
        }
        Ok(self.of.entry(key).or_insert_with(|| Arc::new(Slot::new(key))).clone())
    }
}

impl StdioBackend {
    pub(crate) fn connect(
        spec: &weir_config::Backend,
        stdio: &weir_config::StdioBackend,
        guardian: Guardian,
        handle: Handle,
    ) -> Arc<dyn Backend> {
        let recipe = Arc::new(Recipe {
            process: ProcessSpec {
                name: spec.name.clone(),
                command: stdio.command.clone(),
                args: stdio.args.clone(),
                env: stdio
                    .env
                    .iter()
                    .map(|(name, value)| (name.clone(), value.expose().to_owned()))
                    .collect(),
                cwd: stdio.cwd.clone(),
            },
            limits: spec.limits.clone(),
            timeouts: spec.timeouts.clone(),
            guardian,
            changes: Arc::new(Announcer::default()),
            subscriptions: Arc::new(Subscriptions::new(spec.limits.subscriptions)),
            running: Arc::default(),
            probe: false,
        });
        let core = Core {
            recipe,
            setting: spec.era,
            era: tokio::sync::Mutex::default(),
            processes: Arc::new(Semaphore::new(spec.limits.calls)),
            slots: Mutex::default(),
            lists: Lists::new(&spec.name, spec.limits.items),
        };
        let places = Arc::new(Semaphore::new(spec.limits.calls));
        Arc::new(Self { core: Arc::new(core), scope: spec.session, places, handle })
    }

    /// The child of `key`. It is started on the background runtime, so that neither a serving thread nor a client that
    /// goes away ends it.
    async fn child(&self, key: SessionKey) -> Result<Arc<Child>, BackendError> {
        let slot = self.core.slots.lock().get(key)?;
        if let Ok(state) = slot.state.try_lock()
            && let Some(child) = state.child.as_ref().filter(|child| !child.has_ended())
        {
            return Ok(child.clone());
        }
        let core = self.core.clone();
        let start = self.handle.spawn(async move { core.ensure(&slot).await });
        start.await.unwrap_or(Err(BackendError::Stopping))
    }
}

impl Core {
    /// The child of `slot`, started where there is none. A start ends with its slot.
    async fn ensure(&self, slot: &Slot) -> Result<Arc<Child>, BackendError> {
        let mut closed = slot.closed.subscribe();
        tokio::select! {
            biased;
            _ = closed.wait_for(|closed| *closed) => Err(match slot.key {
                SessionKey::Shared => BackendError::Stopping,
                SessionKey::Client(_) => BackendError::SessionEnded,
            }),
            filled = self.fill(slot) => filled,
        }
    }

    async fn fill(&self, slot: &Slot) -> Result<Arc<Child>, BackendError> {
        let mut state = slot.state.lock().await;
        if let Some(child) = &state.child {
            if !child.has_ended() {
                return Ok(child.clone());
            }
            let healthy = state.started.elapsed();
            state.not_before = Instant::now() + state.backoff.next_after(healthy);
            state.child = None;
        }
        let wait = state.not_before.saturating_duration_since(Instant::now());
        if wait > SHORT_WAIT {
            let seconds = wait.as_secs() + 1;
            return Err(BackendError::unreachable(format!(
                "its process ended; it is started again in {seconds} s"
            )));
        }
        tokio::time::sleep(wait).await;
        let place = self.place(slot.key)?;
        state.started = Instant::now();
        match self.start(place, slot.key).await {
            Ok(child) => {
                state.child = Some(child.clone());
                if slot.key == SessionKey::Shared {
                    child.keep_subscriptions();
                }
                Ok(child)
            }
            Err(error) => {
                state.not_before = Instant::now() + state.backoff.next();
                Err(error)
            }
        }
    }

    /// A place for the process of a client session. The one that serves everybody always has its own.
    fn place(&self, key: SessionKey) -> Result<Option<OwnedSemaphorePermit>, BackendError> {
        if key == SessionKey::Shared {
            return Ok(None);
        }
        let busy =
            BackendError::Busy { limit: self.recipe.limits.calls, what: "processes serve other sessions" };
        self.processes.clone().try_acquire_owned().map(Some).map_err(|_| busy)
    }

    async fn start(
        &self,
        place: Option<OwnedSemaphorePermit>,
        key: SessionKey,
    ) -> Result<Arc<Child>, BackendError> {
        let era = self.era().await?;
        let started = Child::start(&self.recipe, era, place, key).await;
        if started.is_err() {
            // A program that does not even shake hands in its era may have been replaced by another one.
            *self.era.lock().await = None;
        }
        started
    }

    /// The era, found out where it is not known. One probe is made for all who wait.
    async fn era(&self) -> Result<Era, BackendError> {
        match self.setting {
            EraSetting::Legacy => return Ok(Era::Legacy),
            EraSetting::Modern => return Ok(Era::Modern),
            EraSetting::Auto => {}
        }
        let mut known = self.era.lock().await;
        if let Some(era) = *known {
            return Ok(era);
        }
        let era = probe::era(&self.recipe).await?;
        *known = Some(era);
        Ok(era)
    }
}

#[async_trait]
impl Backend for StdioBackend {
    fn name(&self) -> &str {
        &self.core.recipe.process.name
    }

    async fn call(self: Arc<Self>, _permit: Permit, call: Box<Call>) -> Result<Exchange, BackendError> {
        let limit = self.core.recipe.limits.calls;
        let place = self
            .places
            .clone()
            .try_acquire_owned()
            .map_err(|_| BackendError::Busy { limit, what: "calls are under way" })?;
        let key = match self.scope {
            SessionScope::Client => call.session,
            SessionScope::Shared => SessionKey::Shared,
        };
        self.child(key).await?.call(&call, place).await
    }

    async fn inventory(&self) -> Result<Inventory, BackendError> {
        let child = self.child(SessionKey::Shared).await?;
        let features = child.features().ok_or(BackendError::Stopping)?;
        self.core.lists.fetch(&*child, features).await
    }

    async fn subscribe(&self, _permit: Permit, subject: Subject) -> Result<Subscribed, BackendError> {
        let child = self.child(SessionKey::Shared).await?;
        child.features().ok_or(BackendError::Stopping)?.can_subscribe(&subject)?;
        let recipe = &self.core.recipe;
        recipe.subscriptions.subscribe(subject, recipe.timeouts.list).await
    }

    fn notices(&self) -> broadcast::Receiver<Notice> {
        self.core.recipe.subscriptions.notices()
    }

    fn changes(&self) -> watch::Receiver<Changes> {
        self.core.recipe.changes.subscribe()
    }

    fn end_session(&self, key: SessionKey) {
        if self.scope == SessionScope::Shared {
            return;
        }
        let slot = {
            let mut slots = self.core.slots.lock();
            slots.departed.add(key);
            slots.of.remove(&key)
        };
        if let Some(slot) = slot {
            self.handle.spawn(async move { slot.stop().await });
        }
    }

    async fn close(&self) {
        let slots = {
            let mut slots = self.core.slots.lock();
            slots.closed = true;
            std::mem::take(&mut slots.of)
        };
        futures_util::future::join_all(slots.values().map(|slot| slot.stop())).await;
        // Starts that were given up are stopped by nobody's wait.
        let mut running = self.core.recipe.running.subscribe();
        let _ = running.wait_for(|count| *count == 0).await;
    }
}

#[cfg(test)]
mod tests;

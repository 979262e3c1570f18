//! A backend that weir starts as a child process.

mod child;
mod lines;
mod pending;
mod probe;

pub(crate) use pending::PendingCall;

use crate::changes::Announcer;
use crate::{Backend, BackendError, Call, Changes, Exchange, Inventory, SessionKey, inventory};
use async_trait::async_trait;
use child::{Child, Recipe};
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::{Semaphore, watch};
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
    slots: Mutex<HashMap<SessionKey, Arc<Slot>>>,
    closed: AtomicBool,
}

/// The place of one child, which is filled when first needed and again after the child ended.
#[derive(Debug)]
struct Slot {
    state: tokio::sync::Mutex<SlotState>,
}

#[derive(Debug)]
struct SlotState {
    child: Option<Arc<Child>>,
    started: Instant,
    backoff: Backoff,
    not_before: Instant,
}

impl Default for Slot {
    fn default() -> Self {
        let now = Instant::now();
        let backoff = Backoff::new(Duration::from_millis(250), Duration::from_secs(30));
        Self {
            state: tokio::sync::Mutex::new(SlotState { child: None, started: now, backoff, not_before: now }),
        }
    }
}

impl StdioBackend {
    pub(crate) fn new(
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
            probe: false,
        });
        let core = Core {
            recipe,
            setting: spec.era,
            era: tokio::sync::Mutex::default(),
            slots: Mutex::default(),
            closed: AtomicBool::new(false),
        };
        let places = Arc::new(Semaphore::new(spec.limits.calls));
        Arc::new(Self { core: Arc::new(core), scope: spec.session, places, handle })
    }

    /// The child of `key`. It is started on the background runtime, so that neither a serving thread nor a client that
    /// goes away ends it.
    async fn child(&self, key: SessionKey) -> Result<Arc<Child>, BackendError> {
        let slot = self.core.slots.lock().entry(key).or_default().clone();
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
    async fn ensure(&self, slot: &Slot) -> Result<Arc<Child>, BackendError> {
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
            return Err(BackendError::Unreachable(format!(
                "its process ended; it is started again in {seconds} s"
            )));
        }
        tokio::time::sleep(wait).await;
        if self.closed.load(Ordering::Acquire) {
            return Err(BackendError::Stopping);
        }
        state.started = Instant::now();
        match self.start().await {
            Ok(child) => {
                state.child = Some(child.clone());
                Ok(child)
            }
            Err(error) => {
                state.not_before = Instant::now() + state.backoff.next();
                Err(error)
            }
        }
    }

    async fn start(&self) -> Result<Arc<Child>, BackendError> {
        let mut known = self.era.lock().await;
        let era = match (self.setting, *known) {
            (EraSetting::Legacy, _) => Era::Legacy,
            (EraSetting::Modern, _) => Era::Modern,
            (EraSetting::Auto, Some(era)) => era,
            (EraSetting::Auto, None) => probe::era(&self.recipe).await?,
        };
        let started = Child::start(&self.recipe, era).await;
        // A program that does not even shake hands in its era may have been replaced by another one.
        *known = started.is_ok().then_some(era);
        started
    }
}

#[async_trait]
impl Backend for StdioBackend {
    fn name(&self) -> &str {
        &self.core.recipe.process.name
    }

    async fn call(self: Arc<Self>, _permit: Permit, call: Box<Call>) -> Result<Exchange, BackendError> {
        if self.core.closed.load(Ordering::Acquire) {
            return Err(BackendError::Stopping);
        }
        let limit = self.core.recipe.limits.calls;
        let place = self.places.clone().try_acquire_owned().map_err(|_| BackendError::Busy { limit })?;
        let key = match self.scope {
            SessionScope::Client => call.session,
            SessionScope::Shared => SessionKey::Shared,
        };
        self.child(key).await?.call(&call, place).await
    }

    async fn inventory(&self) -> Result<Inventory, BackendError> {
        let child = self.child(SessionKey::Shared).await?;
        let features = child.features().ok_or(BackendError::Stopping)?;
        inventory::fetch(&*child, features, self.core.recipe.limits.items).await
    }

    fn changes(&self) -> watch::Receiver<Changes> {
        self.core.recipe.changes.subscribe()
    }

    fn end_session(&self, key: SessionKey) {
        let slot = self.core.slots.lock().remove(&key);
        if let Some(slot) = slot {
            self.handle.spawn(async move { slot.stop().await });
        }
    }

    async fn close(&self) {
        self.core.closed.store(true, Ordering::Release);
        let slots: Vec<_> = self.core.slots.lock().drain().map(|(_, slot)| slot).collect();
        futures_util::future::join_all(slots.iter().map(|slot| slot.stop())).await;
    }
}

impl Slot {
    async fn stop(&self) {
        let child = self.state.lock().await.child.take();
        if let Some(child) = child {
            child.stop().await;
        }
    }
}

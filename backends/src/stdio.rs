//! A backend that weir starts as a child process.

mod child;
mod lasting;
pub(crate) mod lines;
mod listening;
mod probe;
mod slots;

use crate::changes::Announcer;
use crate::homes::Homes;
use crate::inventory::Lists;
use crate::message::Roots;
use crate::pool::{Pool, Ticket};
use crate::subscriptions::Subscriptions;
use crate::{
    Backend, BackendError, Call, Changes, Exchange, Inventory, Notice, SessionKey, Subject, Subscribed,
};
use async_trait::async_trait;
use child::{Child, Recipe};
use parking_lot::Mutex;
use slots::{Key, Slot, Slots};
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, broadcast, watch};
use tokio::time::Instant;
use weir_config::{EraSetting, SessionScope};
use weir_policies::Permit;
use weir_protocol::Era;
use weir_runtime::{Guardian, ProcessSpec};

/// A call waits this long for a child that is about to be started again; beyond that it fails at once.
const SHORT_WAIT: Duration = Duration::from_secs(1);

/// How long a call that was given up has to end before its child is replaced for the next that may be asked something.
const GRACE: Duration = Duration::from_secs(1);

/// A server that runs as a child process: one or some for everybody, or one for each client session.
#[derive(Debug)]
pub(crate) struct StdioBackend {
    core: Arc<Core>,
    scope: SessionScope,
    /// Deals out the children that serve everybody.
    pool: Arc<Pool>,
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
            homes: Homes::default(),
            owners: Arc::default(),
            roots: Roots::new(&spec.roots),
            handle: handle.clone(),
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
        let pool = Pool::new(stdio.instances, "of its processes (`instances`) have other calls");
        Arc::new(Self { core: Arc::new(core), scope: spec.session, pool, places, handle })
    }

    /// The child of `key`. It is started on the background runtime, so that neither a serving thread nor a client that
    /// goes away ends it.
    async fn child(&self, key: Key) -> Result<Arc<Child>, BackendError> {
        let slot = self.core.slots.lock().get(key)?;
        self.child_in(slot).await
    }

    async fn child_in(&self, slot: Arc<Slot>) -> Result<Arc<Child>, BackendError> {
        if let Ok(state) = slot.state.try_lock()
            && let Some(child) = state.child.as_ref().filter(|child| !child.has_ended())
        {
            return Ok(child.clone());
        }
        let core = self.core.clone();
        let start = self.handle.spawn(async move { core.ensure(&slot).await });
        start.await.unwrap_or(Err(BackendError::Stopping))
    }

    /// A child that serves everybody, for a call whose client can be asked, or cannot, and the right to call it.
    async fn shared_child(&self, asks: bool) -> Result<(Arc<Child>, Ticket), BackendError> {
        let timeouts = &self.core.recipe.timeouts;
        // To its client a call that waits is a silent one.
        let ticket = self.pool.enter(asks, timeouts.idle.min(timeouts.call)).await?;
        let slot =
            self.core.slots.lock().get(Key { client: SessionKey::Shared, instance: ticket.instance })?;
        let child = self.child_in(slot.clone()).await?;
        if !(asks && child.pending().is_in_doubt()) {
            return Ok((child, ticket));
        }
        // The ticket goes along: whatever becomes of this client, nobody else may meet the child that is replaced.
        let core = self.core.clone();
        let renewal = self.handle.spawn(async move { Ok((core.renew(&slot, child).await?, ticket)) });
        renewal.await.unwrap_or(Err(BackendError::Stopping))
    }

    async fn fetch(&self) -> Result<Inventory, BackendError> {
        let child = self.child(Key::OWN).await?;
        let features = child.features().ok_or(BackendError::Stopping)?;
        self.core.lists.fetch(&*child, features).await
    }

    /// The era, which the first who asks for it finds out.
    async fn era(&self) -> Result<Era, BackendError> {
        match self.core.setting {
            EraSetting::Legacy => return Ok(Era::Legacy),
            EraSetting::Modern => return Ok(Era::Modern),
            EraSetting::Auto => {}
        }
        if let Ok(known) = self.core.era.try_lock()
            && let Some(era) = *known
        {
            return Ok(era);
        }
        // The start of a child finds it out, and waits where the last one failed.
        self.child(Key::OWN).await.map(|child| child.era())
    }
}

impl Core {
    /// The child of `slot`, started where there is none. A start ends with its slot.
    async fn ensure(&self, slot: &Slot) -> Result<Arc<Child>, BackendError> {
        let mut closed = slot.closed.subscribe();
        tokio::select! {
            biased;
            _ = closed.wait_for(|closed| *closed) => Err(match slot.key.client {
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
        let place = self.place(slot.key.client)?;
        state.started = Instant::now();
        match self.start(place, slot.key.client).await {
            Ok(child) => {
                state.child = Some(child.clone());
                if slot.key == Key::OWN {
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

    /// Puts another child in the place of `child`, in which a call was given up that may still ask something: nobody could
    /// tell that from what the next call asks. The ends of such calls are waited for, but a server need not tell them
    /// (2025-11-25 `basic/utilities/cancellation`), and no wait would be long enough for one that goes on in secret. One that
    /// has never asked anybody keeps its process: what it may hold is worth more than its first question.
    async fn renew(&self, slot: &Slot, child: Arc<Child>) -> Result<Arc<Child>, BackendError> {
        // Nor may a question end the tasks of others; as long as there are any, what the server asks is refused where it does
        // not say to which task it belongs.
        let pending = child.pending();
        if pending.cleared(GRACE).await || !pending.may_ask_late() || pending.has_tasks() {
            return Ok(child);
        }
        tracing::info!(
            backend = self.recipe.process.name,
            "started anew: a call that was cancelled may still ask its client something"
        );
        {
            let mut state = slot.state.lock().await;
            if state.child.as_ref().is_some_and(|present| Arc::ptr_eq(present, &child)) {
                state.child = None;
                child.stop().await;
            }
        }
        self.recipe.changes.suspect();
        self.ensure(slot).await
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
        if let Some(home) = call.home {
            let child = self.core.recipe.homes.find(home).filter(|child| !child.has_ended());
            // What its server says of a task names the task, so that it needs no process to itself.
            return child.ok_or(BackendError::TaskGone)?.call(call, place).await;
        }
        let key = match self.scope {
            SessionScope::Client => call.session,
            SessionScope::Shared => SessionKey::Shared,
        };
        if key == SessionKey::Shared && self.era().await? == Era::Legacy {
            let (child, ticket) = self.shared_child(call.askable().can_be_asked()).await?;
            return Ok(child.call(call, place).await?.holding(Some(Box::new(ticket))));
        }
        self.child(Key::first(key)).await?.call(call, place).await
    }

    async fn inventory(&self) -> Result<Inventory, BackendError> {
        match self.fetch().await {
            // The child was replaced meanwhile.
            Err(BackendError::Stopping) if !self.core.slots.lock().closed => self.fetch().await,
            fetched => fetched,
        }
    }

    async fn subscribe(&self, _permit: Permit, subject: Subject) -> Result<Subscribed, BackendError> {
        let child = self.child(Key::OWN).await?;
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
            return self.core.recipe.owners.end(key);
        }
        let slot = {
            let mut slots = self.core.slots.lock();
            slots.departed.add(key);
            slots.of.remove(&Key::first(key))
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

//! The backends that run, from one configuration to the next.

use crate::attached::Attached;
use crate::decision;
use crate::drain::{Drain, Phase, reached};
use crate::endpoint::Endpoint;
use crate::error::GatewayError;
use crate::gateway::Core;
use crate::refresh::{self, Depot};
use crate::reload::Reloaded;
use crate::session::{self, Session};
use crate::snapshot::Snapshot;
use crate::stay;
use crate::watchers;
use futures_util::future::join_all;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::task::{AbortHandle, JoinSet};
use weir_backends::Outbound;
use weir_config::Config;
use weir_policies::{Authenticator, Fetch};
use weir_runtime::Guardian;

/// Calls that are given up have this long to tell their clients.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// A backend of the current snapshot.
#[derive(Debug)]
struct Member {
    attached: Arc<Attached>,
    /// Gives up its calls; closed once nobody holds it any more.
    give_up: watch::Sender<bool>,
    /// What keeps its lists up to date, and passes on what it tells.
    tasks: Vec<AbortHandle>,
}

/// All backends that run: those of the current snapshot, and those that only end their calls.
#[derive(Debug)]
pub(crate) struct Fleet {
    core: Arc<Core>,
    depot: Arc<Depot>,
    guardian: Guardian,
    background: Handle,
    address: SocketAddr,
    members: Vec<Member>,
    /// Closed once nobody holds the current snapshot any more.
    hold: watch::Sender<()>,
    /// The way to issuers of tokens.
    fetch: Arc<dyn Fetch>,
    /// How many endpoints and backends there have ever been.
    count: usize,
    leaving: JoinSet<()>,
}

impl Fleet {
    /// No backends yet; `hold` is that of the core's snapshot.
    pub(crate) fn new(
        core: Arc<Core>,
        guardian: Guardian,
        background: Handle,
        address: SocketAddr,
        hold: watch::Sender<()>,
    ) -> Self {
        let depot = Arc::default();
        let (members, leaving) = (Vec::new(), JoinSet::new());
        let fetch: Arc<dyn Fetch> = Arc::new(Outbound::new());
        Self { core, depot, guardian, background, address, members, hold, fetch, count: 0, leaving }
    }

    /// Makes `config` the current configuration, whole or not at all. Waits for the first lists of new backends, as long
    /// as `config` says and until `stop` counts.
    ///
    /// # Errors
    /// As [`Reloader::reload`](crate::Reloader::reload); what runs goes on as it did.
    pub(crate) async fn change(
        &mut self,
        config: Config,
        stop: &mut watch::Receiver<u32>,
    ) -> Result<Reloaded, GatewayError> {
        let current = self.core.snapshot.load_full();
        let fixed = current.config.fixed_differences(&config);
        if !fixed.is_empty() {
            return Err(GatewayError::Restart(fixed));
        }
        // Written so that it holds for addresses too that come from the command line.
        let exposed: Vec<String> = config.exposed().into_iter().map(str::to_owned).collect();
        if !exposed.is_empty() {
            return Err(GatewayError::Exposed { address: config.listener.address, endpoints: exposed });
        }
        let (backends, mut fresh) = self.backends(&config, &current)?;
        let endpoints = self.endpoints(&config, &current, &backends)?;
        let unchanged = fresh.is_empty() && current.config == config;
        if unchanged {
            return Ok(Reloaded::default());
        }
        // Nothing has been started so far.
        let stopped = self.first_lists(&mut fresh, config.timeouts.start, stop).await;
        let filled = if stopped { Err(GatewayError::Stopping) } else { self.install(&current, &endpoints) };
        if let Err(error) = filled {
            // Processes that a second signal does not wait for are killed when weir ends.
            tokio::select! {
                () = close(&fresh) => {}
                _ = stop.wait_for(|calls| *calls > 1) => {}
            }
            return Err(error);
        }
        Ok(self.take_over(config, &current, backends, endpoints, fresh))
    }

    /// The backends of `config`: kept where they would be the same, connected where not.
    fn backends(
        &mut self,
        config: &Config,
        current: &Snapshot,
    ) -> Result<(Vec<Arc<Attached>>, Vec<Member>), GatewayError> {
        let mut fresh = Vec::new();
        let mut all = Vec::new();
        for spec in &config.backends {
            if let Some(kept) = current.backends.iter().find(|backend| backend.is_of(spec)) {
                all.push(kept.clone());
                continue;
            }
            self.count += 1;
            let connected =
                Attached::connect(self.count, spec, &self.guardian, &self.core.grants, &self.background);
            let (attached, give_up) = connected.map_err(|error| GatewayError::Backend {
                name: spec.name.clone(),
                reason: error.to_string(),
            })?;
            all.push(attached.clone());
            fresh.push(Member { attached, give_up, tasks: Vec::new() });
        }
        Ok((all, fresh))
    }

    /// The endpoints of `config`: kept where nothing about them changes, empty where anything does.
    fn endpoints(
        &mut self,
        config: &Config,
        current: &Snapshot,
        backends: &[Arc<Attached>],
    ) -> Result<Vec<Arc<Endpoint>>, GatewayError> {
        let mut all = Vec::new();
        for spec in &config.endpoints {
            let of = |name: &String| backends.iter().find(|backend| backend.name() == name).cloned();
            let own: Vec<Arc<Attached>> = spec.backends.iter().filter_map(of).collect();
            let before = current.named(&spec.name);
            if let Some(kept) = before.filter(|before| before.is_of(spec, &own)) {
                all.push(kept.clone());
                continue;
            }
            self.count += 1;
            let authenticator = self.authenticator(spec, before)?;
            let before = before.map(Arc::as_ref);
            let policies = decision::policies(spec)?;
            let endpoint = Endpoint::new(spec.clone(), own, before, self.count, authenticator, policies);
            all.push(Arc::new(endpoint.map_err(|conflicts| unresolved(&spec.name, &conflicts))?));
        }
        Ok(all)
    }

    /// What finds out who calls an endpoint: the one `before`, where nothing about it changes.
    fn authenticator(
        &self,
        spec: &weir_config::Endpoint,
        before: Option<&Arc<Endpoint>>,
    ) -> Result<Arc<Authenticator>, GatewayError> {
        if let Some(before) = before.filter(|before| before.spec.auth == spec.auth) {
            return Ok(before.entrance.authenticator.clone());
        }
        let before = before.map(|before| &*before.entrance.authenticator);
        let made = Authenticator::new(&spec.auth, self.fetch.clone(), before);
        let authenticator = made
            .map_err(|error| GatewayError::Auth { endpoint: spec.name.clone(), reason: error.to_string() })?;
        // It ends with the authenticator, should this configuration not be taken.
        self.background.spawn(authenticator.upkeep());
        Ok(Arc::new(authenticator))
    }

    /// Starts the refreshing of lists and the following of notices, and waits for each new backend's first attempt; answers whether weir was told to
    /// stop meanwhile.
    async fn first_lists(
        &self,
        fresh: &mut [Member],
        patience: Duration,
        stop: &mut watch::Receiver<u32>,
    ) -> bool {
        let mut answers = Vec::new();
        for member in fresh {
            let answered = watch::Sender::new(false);
            answers.push((member.attached.clone(), answered.subscribe()));
            let keep = refresh::keep(member.attached.clone(), self.depot.clone(), answered);
            let (number, reads) = (member.attached.number, member.attached.reads.clone());
            let follow = watchers::follow(self.core.clone(), number, reads, member.attached.notices());
            member.tasks = vec![tokio::spawn(keep).abort_handle(), tokio::spawn(follow).abort_handle()];
        }
        let all = async {
            for (_, answered) in &mut answers {
                let _ = answered.wait_for(|answered| *answered).await;
            }
        };
        let in_time = tokio::select! {
            biased;
            _ = stop.wait_for(|calls| *calls > 0) => return true,
            in_time = tokio::time::timeout(patience, all) => in_time,
        };
        if in_time.is_err() {
            let slow = answers.iter().filter(|(_, answered)| !*answered.borrow());
            let slow: Vec<&str> = slow.map(|(attached, _)| attached.name()).collect();
            tracing::warn!(
                backends = slow.join(", "),
                "not waiting any longer; their lists follow when they come"
            );
        }
        false
    }

    /// Fills the new endpoints' catalogs; from now on they follow their backends instead of those before.
    fn install(&self, current: &Snapshot, endpoints: &[Arc<Endpoint>]) -> Result<(), GatewayError> {
        self.depot.replace(endpoints, || {
            let is_new =
                |endpoint: &&Arc<Endpoint>| !current.endpoints.iter().any(|old| Arc::ptr_eq(old, endpoint));
            for endpoint in endpoints.iter().filter(is_new) {
                endpoint.fill().map_err(|conflicts| unresolved(&endpoint.spec.name, &conflicts))?;
            }
            Ok(())
        })
    }

    /// Swaps the snapshot, tells clients, and lets go of what is not needed any more.
    fn take_over(
        &mut self,
        config: Config,
        current: &Snapshot,
        backends: Vec<Arc<Attached>>,
        endpoints: Vec<Arc<Endpoint>>,
        fresh: Vec<Member>,
    ) -> Reloaded {
        let patience = config.timeouts.drain;
        self.core.sessions.allow(session::allowance(&config));
        let (snapshot, hold) = Snapshot::new(config, self.address, backends, endpoints, Some(current));
        self.core.snapshot.store(snapshot.clone());
        let before = std::mem::replace(&mut self.hold, hold);
        let mut gone = Vec::new();
        for old in &current.endpoints {
            match snapshot.named(&old.spec.name) {
                Some(new) if Arc::ptr_eq(old, new) => {}
                Some(new) => {
                    new.tenure.begin();
                    new.watchers.revise(new);
                    new.tasks.revise(new, &self.core.seal);
                    new.announce_since(old);
                }
                None => {
                    old.hub.close();
                    gone.push(old.number);
                }
            }
        }
        while self.leaving.try_join_next().is_some() {}
        let ended = self.core.sessions.end_unless(|session| match snapshot.numbered(session.endpoint) {
            // Who opened a connection is looked at by whoever writes to it.
            Some(endpoint) => session.is_connection() || stay::is_known(endpoint, &session.principal()),
            None => !gone.contains(&session.endpoint),
        });
        if !ended.is_empty() {
            self.leaving.spawn(end_upstream(self.core.clone(), ended, before, patience));
        }
        let stays =
            |member: &Member| snapshot.backends.iter().any(|kept| Arc::ptr_eq(kept, &member.attached));
        let (stay, leave): (Vec<_>, Vec<_>) = std::mem::take(&mut self.members).into_iter().partition(stays);
        self.members = stay;
        let names = |members: &[Member]| members.iter().map(|m| m.attached.name().to_owned()).collect();
        let reloaded = Reloaded { changed: true, started: names(&fresh), ended: names(&leave) };
        self.members.extend(fresh);
        for member in leave {
            snapshot.cache.forget(member.attached.number);
            self.leaving.spawn(retire(member, patience, self.core.drain.clone()));
        }
        reloaded
    }

    /// Closes everything that runs.
    pub(crate) async fn close(mut self) {
        let left = async { while self.leaving.join_next().await.is_some() {} };
        tokio::join!(close(&self.members), left);
    }
}

fn unresolved(endpoint: &str, conflicts: &[crate::catalog::Conflict]) -> GatewayError {
    let conflicts = conflicts.iter().map(ToString::to_string).collect();
    GatewayError::Conflicts { endpoint: endpoint.to_owned(), conflicts }
}

/// Closes backends at once.
async fn close(members: &[Member]) {
    members.iter().flat_map(|member| &member.tasks).for_each(AbortHandle::abort);
    join_all(members.iter().map(|member| member.attached.backend.close())).await;
}

/// Whether everybody has let go in time; the end of weir cuts the time short.
async fn let_go<T>(hold: &watch::Sender<T>, patience: Duration, drain: &Drain) -> bool {
    let mut phase = drain.watch();
    tokio::select! {
        biased;
        () = hold.closed() => true,
        () = tokio::time::sleep(patience) => false,
        () = reached(&mut phase, Phase::Ending) => false,
    }
}

/// Closes a backend that is not in the configuration any more, after its running calls.
async fn retire(member: Member, patience: Duration, drain: Arc<Drain>) {
    let Member { attached, give_up, tasks } = member;
    tasks.iter().for_each(AbortHandle::abort);
    let backend = attached.backend.clone();
    drop(attached);
    if !let_go(&give_up, patience, &drain).await {
        tracing::warn!(backend = backend.name(), "giving up the calls that still run");
        give_up.send_replace(true);
        let _ = tokio::time::timeout(LAST_WORDS, give_up.closed()).await;
    }
    backend.close().await;
    tracing::info!(backend = backend.name(), "closed");
}

/// Ends the sessions of removed endpoints at the backends, after the calls that may still run in them.
async fn end_upstream(
    core: Arc<Core>,
    sessions: Vec<Arc<Session>>,
    hold: watch::Sender<()>,
    patience: Duration,
) {
    let_go(&hold, patience, &core.drain).await;
    for session in sessions {
        core.end_upstream(session.number);
    }
}

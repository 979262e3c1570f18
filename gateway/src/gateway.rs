//! The whole gateway: what it is made of, how it starts, how it ends.

use crate::connect::Pages;
use crate::drain::{Drain, Phase};
use crate::endpoint::Endpoint;
use crate::error::GatewayError;
use crate::fleet::Fleet;
use crate::listener::tls::Certificate;
use crate::listener::{self, Service, Tls};
use crate::pump::Parking;
use crate::reload::{self, Order, Reloader};
use crate::seal::Seal;
use crate::session::{self, Sessions};
use crate::snapshot::Snapshot;
use crate::stdio;
use crate::visibility::Visibility;
use arc_swap::ArcSwap;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tokio::runtime::Runtime;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use weir_backends::{Connector, FileGrants, Grants, MemoryGrants, Outbound, SessionKey};
use weir_config::Config;
use weir_runtime::Guardian;

/// Threads for what happens beside the calls: child processes, lists, streams of changes.
const BACKGROUND_THREADS: usize = 1;
/// How often users' grants are looked through.
const TENDING: Duration = Duration::from_secs(3600);
/// What is kept of them at the end takes no longer: two requests to an authorization server, and a write.
const KEEPING: Duration = Duration::from_secs(30);

/// What every request needs, and no reload takes away.
#[derive(Debug)]
pub(crate) struct Core {
    /// The current configuration as it runs.
    pub(crate) snapshot: ArcSwap<Snapshot>,
    pub(crate) sessions: Sessions,
    pub(crate) drain: Arc<Drain>,
    /// For what clients are given to bring back.
    pub(crate) seal: Arc<Seal>,
    /// What users granted.
    pub(crate) grants: Arc<dyn Grants>,
    /// Where users connect backends.
    pub(crate) pages: Pages,
    /// Calls that wait for what their modern clients were asked.
    pub(crate) parking: Parking,
    /// Who sees what of the lists.
    pub(crate) visibility: Visibility,
}

impl Core {
    /// Ends a client's session here and at every backend.
    pub(crate) fn end_session(&self, number: u128) {
        if let Some(session) = self.sessions.end(number) {
            self.end_upstream(session.number);
        }
    }

    /// Ends a session at every backend: a reload may have taken some away from its endpoint.
    pub(crate) fn end_upstream(&self, number: u128) {
        for backend in &self.snapshot.load().backends {
            backend.end_session(SessionKey::Client(number));
        }
    }
}

/// Tells a gateway to stop, while it starts or runs.
#[derive(Debug, Clone, Default)]
pub struct Stopper(watch::Sender<u32>);

impl Stopper {
    /// The first call lets what is under way finish; the second gives it up.
    pub fn stop(&self) {
        self.0.send_modify(|calls| *calls += 1);
    }

    /// Whether it was told to stop.
    pub fn is_stopped(&self) -> bool {
        *self.0.borrow() > 0
    }

    /// Counts how often it was told.
    pub(crate) fn watch(&self) -> watch::Receiver<u32> {
        self.0.subscribe()
    }
}

/// What a listening gateway has taken.
#[derive(Debug)]
struct Front {
    listener: TcpListener,
    address: SocketAddr,
    certificate: Option<Arc<Certificate>>,
}

impl Front {
    /// Takes the address and reads the certificate. Must be called within a tokio runtime.
    fn take(config: &Config) -> Result<Self, GatewayError> {
        let listener = listener::bind(config.listener.address)?;
        let address = listener.local_addr()?;
        let certificate = config.listener.tls.as_ref().map(Certificate::read).transpose()?;
        Ok(Self { listener, address, certificate })
    }
}

/// A gateway that has its address and its backends and is about to serve.
#[derive(Debug)]
pub struct Gateway {
    core: Arc<Core>,
    fleet: Fleet,
    background: Runtime,
    /// Absent for a gateway that serves standard input and output.
    front: Option<Front>,
    stopper: Stopper,
    reloader: Reloader,
    orders: mpsc::UnboundedReceiver<Order>,
}

impl Gateway {
    /// Takes the address, connects the backends and waits, as long as the configuration says and until `stopper` stops
    /// it, for their first lists. Must not be called within a tokio runtime.
    ///
    /// # Errors
    /// The address, the certificate or a backend's settings cannot be used, or the strategy `manual` leaves conflicts.
    pub fn start(config: Config, guardian: &Guardian, stopper: &Stopper) -> Result<Self, GatewayError> {
        Self::prepare(config, guardian, stopper, true)
    }

    /// The same without an address, for [`Gateway::run_stdio`].
    ///
    /// # Errors
    /// A backend's settings cannot be used, or the strategy `manual` leaves conflicts.
    pub fn start_unbound(
        config: Config,
        guardian: &Guardian,
        stopper: &Stopper,
    ) -> Result<Self, GatewayError> {
        Self::prepare(config, guardian, stopper, false)
    }

    fn prepare(
        config: Config,
        guardian: &Guardian,
        stopper: &Stopper,
        listening: bool,
    ) -> Result<Self, GatewayError> {
        let background = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(BACKGROUND_THREADS)
            .thread_name("background")
            .enable_all()
            .build()?;
        let entered = background.enter();
        let front = listening.then(|| Front::take(&config)).transpose()?;
        let address = front.as_ref().map_or(config.listener.address, |front| front.address);
        // The first configuration takes the place of one that serves nothing.
        let nothing = Config { backends: Vec::new(), endpoints: Vec::new(), ..config.clone() };
        let (snapshot, hold) = Snapshot::new(nothing, address, Vec::new(), Vec::new(), None);
        let core = Arc::new(Core {
            snapshot: ArcSwap::new(snapshot),
            sessions: Sessions::new(Arc::new(session::allowance(&config))),
            drain: Arc::new(Drain::new()),
            seal: Arc::new(Seal::new()?),
            grants: grants(&config)?,
            pages: Pages::new(listening),
            parking: Parking::default(),
            visibility: Visibility::default(),
        });
        drop(entered);
        let mut fleet =
            Fleet::new(core.clone(), guardian.clone(), background.handle().clone(), address, hold);
        match background.block_on(fleet.change(config, &mut stopper.watch())) {
            // Told to stop while it starts, it ends as it does while it runs.
            Ok(_) | Err(GatewayError::Stopping) => {}
            Err(error) => return Err(error),
        }
        let certificate = front.as_ref().and_then(|front| front.certificate.clone());
        let (reloader, orders) = Reloader::new(certificate);
        Ok(Self { core, fleet, background, front, stopper: stopper.clone(), reloader, orders })
    }

    /// The address that was taken; `None` where none is listened on.
    pub fn address(&self) -> Option<SocketAddr> {
        self.front.as_ref().map(|front| front.address)
    }

    /// Name and URL of every endpoint; none where no address is listened on.
    pub fn urls(&self) -> Vec<(String, String)> {
        let Some(Front { address, certificate, .. }) = &self.front else {
            return Vec::new();
        };
        let scheme = if certificate.is_some() { "https" } else { "http" };
        let of = |endpoint: &Arc<Endpoint>| {
            let spec = &endpoint.spec;
            (spec.name.clone(), format!("{scheme}://{address}{}", spec.path))
        };
        self.core.snapshot.load().endpoints.iter().map(of).collect()
    }

    /// What gives this gateway another configuration while it runs.
    pub fn reloader(&self) -> Reloader {
        self.reloader.clone()
    }

    /// Serves until stopped, then ends in good order: no new connections, streams end, calls finish within the
    /// configured time, upstream sessions are closed, processes stopped.
    ///
    /// # Errors
    /// The serving threads cannot be started, or the gateway was started without an address.
    pub fn run(mut self) -> Result<(), GatewayError> {
        let Some(Front { listener, certificate, .. }) = self.front.take() else {
            return Err(GatewayError::Unbound);
        };
        let config = self.core.snapshot.load().config.listener.clone();
        let (shutdown, shutdown_watch) = watch::channel(false);
        let (ended, ended_watch) = watch::channel(false);
        let tls = match certificate {
            Some(certificate) => {
                self.background.spawn(certificate.clone().follow());
                let acceptor = certificate.acceptor(config.http2)?;
                Some(Arc::new(Tls { acceptor, certificate }))
            }
            None => None,
        };
        let service = Service { core: self.core.clone(), tls, shutdown: shutdown_watch, ended: ended_watch };
        let threads = listener::serve(listener, config.workers, &service)?;
        self.background.spawn(sweep(self.core.clone()));
        // One that serves a part of the configuration does not know what other parts need.
        self.background.spawn(tend(self.core.clone(), true));
        self.serve(Some(shutdown), ended, threads);
        Ok(())
    }

    /// Serves the endpoint of this name on standard input and output until standard input ends, nothing can be written
    /// any more, a reload removes the endpoint, or it is stopped, which are all the same; then ends in good order.
    /// Nothing else may use the two.
    ///
    /// # Errors
    /// There is no such endpoint, or the serving thread cannot be started.
    pub fn run_stdio(self, endpoint: &str) -> Result<(), GatewayError> {
        let (ended, ended_watch) = watch::channel(false);
        let found = self.core.snapshot.load().named(endpoint).map(|endpoint| endpoint.number);
        let threads = match found {
            Some(number) => {
                let ends = stdio::Ends { stopper: self.stopper.clone(), ended: ended_watch };
                vec![stdio::serve(self.core.clone(), number, ends)?]
            }
            // Told to stop while it started, it has no endpoints.
            None if self.stopper.is_stopped() => Vec::new(),
            None => return Err(GatewayError::NoEndpoint(endpoint.to_owned())),
        };
        self.background.spawn(tend(self.core.clone(), false));
        self.serve(None, ended, threads);
        Ok(())
    }

    /// Takes reloads until stopped, then ends in good order and waits for the serving threads.
    fn serve(
        self,
        shutdown: Option<watch::Sender<bool>>,
        ended: watch::Sender<bool>,
        threads: Vec<std::thread::JoinHandle<()>>,
    ) {
        let reloads = self.background.spawn(reload::follow(self.fleet, self.orders, self.stopper.watch()));
        let mut stop = self.stopper.watch();
        self.background.block_on(async {
            let _ = stop.wait_for(|calls| *calls > 0).await;
            if let Some(shutdown) = &shutdown {
                shutdown.send_replace(true);
            }
            end(&self.core, reloads, &mut stop).await;
        });
        ended.send_replace(true);
        for thread in threads {
            let _ = thread.join();
        }
        self.background.shutdown_timeout(Duration::from_secs(1));
    }
}

/// Where users' grants are kept.
fn grants(config: &Config) -> Result<Arc<dyn Grants>, GatewayError> {
    Ok(match &config.grants {
        Some(store) => Arc::new(FileGrants::open(&store.file, store.key.expose())?),
        None => Arc::new(MemoryGrants::default()),
    })
}

/// Ends in good order; one more stop gives up what is under way.
async fn end(core: &Core, reloads: JoinHandle<Fleet>, stop: &mut watch::Receiver<u32>) {
    let patience = core.snapshot.load().config.timeouts.drain;
    tracing::info!("stopping: running calls may finish within {} s", patience.as_secs());
    let drain = &core.drain;
    drain.enter(Phase::Draining);
    tokio::select! {
        () = drain.idle() => {}
        () = tokio::time::sleep(patience) => tracing::warn!("giving up the calls that still run"),
        _ = stop.wait_for(|calls| *calls > 1) => tracing::warn!("stopping at once"),
    }
    drain.enter(Phase::Ending);
    let _ = tokio::time::timeout(Duration::from_secs(2), drain.idle()).await;
    // A process that is dropped is killed with its group, so that hurry leaves nothing behind.
    tokio::select! {
        () = async {
            close(reloads).await;
            keep_grants(core).await;
        } => {}
        _ = stop.wait_for(|calls| *calls > 1) => {}
    }
}

/// Closes every backend, once no reload is under way any more.
async fn close(reloads: JoinHandle<Fleet>) {
    if let Ok(fleet) = reloads.await {
        fleet.close().await;
    }
}

/// Notes what became of users' grants, and where weir `purges`, forgets what no backend needs any more. What is configured at that
/// moment counts, so that nothing has to wait for it at a reload.
async fn tend(core: Arc<Core>, purges: bool) {
    let fetch = Outbound::new();
    loop {
        let connectors = connectors(&core);
        note_seen(&connectors).await;
        if purges {
            weir_backends::purge(&*core.grants, &connectors, &fetch, SystemTime::now()).await;
        }
        if let Err(error) = core.grants.settle().await {
            tracing::warn!(%error, "grants are not written yet");
        }
        drop(connectors);
        tokio::time::sleep(TENDING).await;
    }
}

fn connectors(core: &Core) -> Vec<Arc<Connector>> {
    core.snapshot.load().backends.iter().filter_map(|backend| backend.connector()).collect()
}

async fn note_seen(connectors: &[Arc<Connector>]) {
    for connector in connectors {
        connector.note_seen().await;
    }
}

/// Waits for renewals under way and writes what is not written yet: whoever renews a grant loses the one before.
async fn keep_grants(core: &Core) {
    let kept = async {
        core.grants.renewals().finish().await;
        note_seen(&connectors(core)).await;
        core.grants.settle().await
    };
    match tokio::time::timeout(KEEPING, kept).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::error!(%error, "grants that were renewed are lost"),
        Err(_) => {
            tracing::error!("renewals of grants are given up, and their users may have to connect anew")
        }
    }
}

/// Ends idle sessions.
async fn sweep(core: Arc<Core>) {
    loop {
        let idle = core.snapshot.load().config.timeouts.session;
        let interval = (idle / 4).clamp(Duration::from_millis(250), Duration::from_secs(30));
        tokio::time::sleep(interval).await;
        for session in core.sessions.sweep(idle) {
            core.end_upstream(session.number);
        }
    }
}

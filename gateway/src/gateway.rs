//! The whole gateway: what it is made of, how it starts, how it ends.

use crate::app::App;
use crate::drain::{Drain, Phase};
use crate::endpoint::Endpoint;
use crate::error::GatewayError;
use crate::intake::Gatekeeper;
use crate::listener::tls::Certificate;
use crate::listener::{self, Service};
use crate::refresh::{self, Depot};
use crate::session::Sessions;
use std::collections::HashMap;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Runtime;
use tokio::sync::watch;
use weir_backends::{Backend, SessionKey};
use weir_config::{Config, Conflicts};
use weir_policies::Principal;
use weir_runtime::Guardian;

/// Threads for what happens beside the calls: child processes, lists, streams of changes.
const BACKGROUND_THREADS: usize = 1;

/// What every request needs.
#[derive(Debug)]
pub(crate) struct Core {
    pub(crate) config: Config,
    pub(crate) endpoints: Vec<Arc<Endpoint>>,
    /// Path → index of the endpoint.
    pub(crate) paths: HashMap<String, usize>,
    pub(crate) sessions: Sessions,
    pub(crate) drain: Arc<Drain>,
    pub(crate) gatekeeper: Gatekeeper,
    /// Who calls, on endpoints without authentication.
    pub(crate) principal: Arc<Principal>,
}

impl Core {
    /// Ends a client's session here and at every backend.
    pub(crate) fn end_session(&self, number: u128) {
        if let Some(session) = self.sessions.end(number) {
            self.end_upstream(session.endpoint, number);
        }
    }

    fn end_upstream(&self, endpoint: usize, number: u128) {
        for backend in self.endpoints.get(endpoint).iter().flat_map(|endpoint| &endpoint.backends) {
            backend.end_session(SessionKey::Client(number));
        }
    }
}

/// Tells a running gateway to stop.
#[derive(Debug, Clone)]
pub struct Stopper(watch::Sender<u32>);

impl Stopper {
    /// The first call lets what is under way finish; the second gives it up.
    pub fn stop(&self) {
        self.0.send_modify(|calls| *calls += 1);
    }
}

/// A gateway that has its address and its backends and is about to serve.
#[derive(Debug)]
pub struct Gateway {
    core: Arc<Core>,
    backends: Vec<Arc<dyn Backend>>,
    background: Runtime,
    listener: TcpListener,
    address: SocketAddr,
    certificate: Option<Arc<Certificate>>,
    stop: watch::Sender<u32>,
}

impl Gateway {
    /// Takes the address, connects the backends and waits, as long as the configuration says, for their first lists.
    /// Must not be called within a tokio runtime.
    ///
    /// # Errors
    /// The address, the certificate or a backend's settings cannot be used, or the strategy `manual` leaves conflicts.
    pub fn start(config: Config, guardian: &Guardian) -> Result<Self, GatewayError> {
        let background = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(BACKGROUND_THREADS)
            .thread_name("background")
            .enable_all()
            .build()?;
        let entered = background.enter();
        let listener = listener::bind(config.listener.address)?;
        let address = listener.local_addr()?;
        let certificate = config.listener.tls.as_ref().map(Certificate::read).transpose()?;
        let backends: Vec<Arc<dyn Backend>> = config
            .backends
            .iter()
            .map(|spec| {
                weir_backends::connect(spec, guardian, background.handle()).map_err(|error| {
                    GatewayError::Backend { name: spec.name.clone(), reason: error.to_string() }
                })
            })
            .collect::<Result<_, _>>()?;
        let endpoints = endpoints(&config, &backends)?;
        let paths =
            endpoints.iter().enumerate().map(|(at, endpoint)| (endpoint.spec.path.clone(), at)).collect();
        let core = Arc::new(Core {
            sessions: Sessions::new(config.limits.sessions, config.timeouts.session),
            drain: Arc::new(Drain::new(config.limits.requests)),
            gatekeeper: Gatekeeper::new(&config.listener, address, config.limits.headers),
            principal: Arc::new(Principal::anonymous()),
            endpoints,
            paths,
            config,
        });
        drop(entered);
        let stop = watch::Sender::new(0);
        let gateway = Self { core, backends, background, listener, address, certificate, stop };
        gateway.first_lists()?;
        Ok(gateway)
    }

    /// Starts the refreshing of lists and waits for each backend's first attempt, within the deadline.
    fn first_lists(&self) -> Result<(), GatewayError> {
        let config = &self.core.config;
        let names = config.backends.iter().map(|spec| spec.name.clone());
        let depot = Arc::new(Depot::new(names, self.core.endpoints.clone()));
        let mut answers = Vec::new();
        for (backend, spec) in self.backends.iter().zip(&config.backends) {
            let answered = watch::Sender::new(false);
            answers.push((spec.name.clone(), answered.subscribe()));
            let keep = refresh::keep(backend.clone(), depot.clone(), spec.timeouts.refresh, answered);
            self.background.spawn(keep);
        }
        let deadline = config.timeouts.start;
        self.background.block_on(async {
            let all = async {
                for (_, answered) in &mut answers {
                    let _ = answered.wait_for(|answered| *answered).await;
                }
            };
            if tokio::time::timeout(deadline, all).await.is_err() {
                let slow: Vec<&str> = answers
                    .iter()
                    .filter(|(_, answered)| !*answered.borrow())
                    .map(|(name, _)| name.as_str())
                    .collect();
                tracing::warn!(
                    backends = slow.join(", "),
                    "not waiting any longer; their lists follow when they come"
                );
            }
        });
        let manual =
            self.core.endpoints.iter().filter(|endpoint| endpoint.spec.conflicts == Conflicts::Manual);
        for endpoint in manual {
            if let Err(conflicts) = depot.rebuild(endpoint, &[]) {
                self.background.block_on(close(&self.backends));
                return Err(GatewayError::Conflicts {
                    endpoint: endpoint.spec.name.clone(),
                    conflicts: conflicts.iter().map(ToString::to_string).collect(),
                });
            }
        }
        Ok(())
    }

    /// The address that was taken.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Name and URL of every endpoint.
    pub fn urls(&self) -> Vec<(String, String)> {
        let scheme = if self.certificate.is_some() { "https" } else { "http" };
        let of = |endpoint: &Arc<Endpoint>| {
            let spec = &endpoint.spec;
            (spec.name.clone(), format!("{scheme}://{}{}", self.address, spec.path))
        };
        self.core.endpoints.iter().map(of).collect()
    }

    /// What stops this gateway.
    pub fn stopper(&self) -> Stopper {
        Stopper(self.stop.clone())
    }

    /// Serves until stopped, then ends in good order: no new connections, streams end, calls finish within the
    /// configured time, upstream sessions are closed, processes stopped.
    ///
    /// # Errors
    /// The serving threads cannot be started.
    pub fn run(self) -> Result<(), GatewayError> {
        let config = &self.core.config;
        let (shutdown, shutdown_watch) = watch::channel(false);
        let (ended, ended_watch) = watch::channel(false);
        let tls = match &self.certificate {
            Some(certificate) => {
                self.background.spawn(certificate.clone().follow());
                Some(Arc::new(certificate.acceptor(config.listener.http2)?))
            }
            None => None,
        };
        let service = Service {
            app: Arc::new(App::new(self.core.clone())),
            tls,
            drain: self.core.drain.clone(),
            shutdown: shutdown_watch,
            read: config.timeouts.read,
            write: config.timeouts.write,
            ended: ended_watch,
        };
        let threads = listener::serve(self.listener, config.listener.workers, &service)?;
        self.background.spawn(sweep(self.core.clone()));
        let mut stop = self.stop.subscribe();
        self.background.block_on(async {
            let _ = stop.wait_for(|calls| *calls > 0).await;
            tracing::info!("stopping: running calls may finish within {} s", config.timeouts.drain.as_secs());
            shutdown.send_replace(true);
            let drain = &self.core.drain;
            drain.enter(Phase::Draining);
            tokio::select! {
                () = drain.idle() => {}
                () = tokio::time::sleep(config.timeouts.drain) => tracing::warn!("giving up the calls that still run"),
                _ = stop.wait_for(|calls| *calls > 1) => tracing::warn!("stopping at once"),
            }
            drain.enter(Phase::Ending);
            let _ = tokio::time::timeout(Duration::from_secs(2), drain.idle()).await;
            // A process that is dropped is killed with its group, so that hurry leaves nothing behind.
            tokio::select! {
                () = close(&self.backends) => {}
                _ = stop.wait_for(|calls| *calls > 1) => {}
            }
        });
        ended.send_replace(true);
        for thread in threads {
            let _ = thread.join();
        }
        self.background.shutdown_timeout(Duration::from_secs(1));
        Ok(())
    }
}

fn endpoints(config: &Config, backends: &[Arc<dyn Backend>]) -> Result<Vec<Arc<Endpoint>>, GatewayError> {
    config
        .endpoints
        .iter()
        .map(|spec| {
            let of = |name: &String| backends.iter().find(|backend| backend.name() == name).cloned();
            let own = spec.backends.iter().filter_map(of).collect();
            Endpoint::new(spec.clone(), own).map(Arc::new).map_err(|conflicts| GatewayError::Conflicts {
                endpoint: spec.name.clone(),
                conflicts: conflicts.iter().map(ToString::to_string).collect(),
            })
        })
        .collect()
}

/// Closes every backend at once.
async fn close(backends: &[Arc<dyn Backend>]) {
    futures_util::future::join_all(backends.iter().map(|backend| backend.close())).await;
}

/// Ends idle sessions.
async fn sweep(core: Arc<Core>) {
    let interval =
        (core.config.timeouts.session / 4).clamp(Duration::from_millis(250), Duration::from_secs(30));
    loop {
        tokio::time::sleep(interval).await;
        for session in core.sessions.sweep() {
            core.end_upstream(session.endpoint, session.number);
        }
    }
}

//! Every backend of a configuration, asked once for its lists.

use crate::catalog::Stock;
use crate::error::GatewayError;
use futures_util::future::join_all;
use std::sync::Arc;
use std::time::Duration;
use weir_backends::{Backend, BackendError, Grants, Inventory, MemoryGrants};
use weir_config::{Config, Endpoint, Timeouts};
use weir_runtime::Guardian;

/// What the backends answered, in the order of the configuration.
#[derive(Debug)]
pub(super) struct Asked(Vec<Result<Arc<Inventory>, BackendError>>);

impl Asked {
    /// Starts and connects every backend as a gateway would, asks each once for its lists, and stops them all. It waits as
    /// long as a gateway waits at start; where that is not at all, the default time.
    pub(super) fn every(config: &Config, guardian: &Guardian) -> Result<Self, GatewayError> {
        let background =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let wait = match config.timeouts.start {
            Duration::ZERO => Timeouts::default().start,
            wait => wait,
        };
        // What users granted is for their calls alone.
        let grants: Arc<dyn Grants> = Arc::new(MemoryGrants::default());
        let backends: Vec<Result<Arc<dyn Backend>, BackendError>> = config
            .backends
            .iter()
            .map(|spec| weir_backends::connect(spec, guardian, &grants, background.handle()))
            .collect();
        let asked = background.block_on(async {
            let asked = join_all(backends.iter().map(|backend| ask(backend, wait))).await;
            join_all(backends.iter().flatten().map(|backend| backend.close())).await;
            asked
        });
        drop(backends);
        background.shutdown_timeout(Duration::from_secs(1));
        Ok(Self(asked))
    }

    /// What each answered.
    pub(super) fn answers(&self) -> impl Iterator<Item = Result<&Inventory, &BackendError>> {
        self.0.iter().map(|answer| answer.as_deref())
    }

    fn of(&self, config: &Config, name: &str) -> Option<&Result<Arc<Inventory>, BackendError>> {
        let at = config.backends.iter().position(|spec| spec.name == name)?;
        self.0.get(at)
    }

    /// Why a backend gave no answer; `None` where it gave one.
    pub(super) fn failure(&self, config: &Config, name: &str) -> Option<String> {
        self.of(config, name)?.as_ref().err().map(BackendError::explained)
    }

    /// What the backends of an endpoint offer.
    pub(super) fn stocks(&self, config: &Config, spec: &Endpoint) -> Vec<Stock> {
        let stock = |name: &String| {
            let inventory = self.of(config, name).and_then(|answer| answer.as_ref().ok().cloned());
            Stock { name: name.clone(), inventory }
        };
        spec.backends.iter().map(stock).collect()
    }
}

/// Everything that a backend offers, asked for once.
async fn ask(
    backend: &Result<Arc<dyn Backend>, BackendError>,
    wait: Duration,
) -> Result<Arc<Inventory>, BackendError> {
    let backend = backend.as_ref().map_err(Clone::clone)?;
    let timeout = || BackendError::Timeout { what: "its first lists", after: wait };
    let inventory = tokio::time::timeout(wait, backend.inventory()).await;
    inventory.unwrap_or_else(|_| Err(timeout())).map(Arc::new)
}

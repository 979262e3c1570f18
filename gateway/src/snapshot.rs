//! Everything that is made of one configuration; a request holds one snapshot from its first byte to its last.

use crate::attached::Attached;
use crate::cache::Cache;
use crate::endpoint::Endpoint;
use crate::intake::Gatekeeper;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::sync::watch;
use weir_config::Config;

/// One configuration as it runs. Its endpoints' catalogs are the only thing in it that moves on.
#[derive(Debug)]
pub(crate) struct Snapshot {
    pub(crate) config: Config,
    pub(crate) gatekeeper: Gatekeeper,
    /// In the order of the configuration, as are the endpoints.
    pub(crate) backends: Vec<Arc<Attached>>,
    pub(crate) endpoints: Vec<Arc<Endpoint>>,
    /// Goes on from one snapshot to the next, as long as its bounds stay.
    pub(crate) cache: Arc<Cache>,
    paths: HashMap<String, Arc<Endpoint>>,
    /// The other side sees when the last holder has let go.
    _held: watch::Receiver<()>,
}

impl Snapshot {
    /// What `config` says, over these backends and endpoints, for a listener at `address`, with the cache of the one `before`
    /// if that fits. With it comes what tells that
    /// nobody holds it any more.
    pub(crate) fn new(
        config: Config,
        address: SocketAddr,
        backends: Vec<Arc<Attached>>,
        endpoints: Vec<Arc<Endpoint>>,
        before: Option<&Self>,
    ) -> (Arc<Self>, watch::Sender<()>) {
        let (hold, held) = watch::channel(());
        let snapshot = Self {
            gatekeeper: Gatekeeper::new(&config.listener, address, config.limits.headers),
            paths: endpoints.iter().map(|each| (each.spec.path.clone(), each.clone())).collect(),
            cache: match before.filter(|before| before.cache.is_of(&config)) {
                Some(before) => before.cache.clone(),
                None => Arc::new(Cache::new(&config)),
            },
            config,
            backends,
            endpoints,
            _held: held,
        };
        (Arc::new(snapshot), hold)
    }

    /// The endpoint at this path.
    pub(crate) fn at(&self, path: &str) -> Option<&Arc<Endpoint>> {
        self.paths.get(path)
    }

    /// The endpoint of this number.
    pub(crate) fn numbered(&self, number: usize) -> Option<&Arc<Endpoint>> {
        self.endpoints.iter().find(|endpoint| endpoint.number == number)
    }

    /// The endpoint of this name.
    pub(crate) fn named(&self, name: &str) -> Option<&Arc<Endpoint>> {
        self.endpoints.iter().find(|endpoint| endpoint.spec.name == name)
    }
}

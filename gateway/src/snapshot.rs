//! Everything that is made of one configuration; a request holds one snapshot from its first byte to its last.

use crate::attached::Attached;
use crate::cache::Cache;
use crate::connect::Base;
use crate::endpoint::Endpoint;
use crate::entrance::WELL_KNOWN;
use crate::intake::Gatekeeper;
use bytes::Bytes;
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
    /// Where browsers reach weir, where that is known.
    pub(crate) base: Option<Base>,
    /// In the order of the configuration, as are the endpoints.
    pub(crate) backends: Vec<Arc<Attached>>,
    pub(crate) endpoints: Vec<Arc<Endpoint>>,
    /// Goes on from one snapshot to the next, as long as its bounds stay.
    pub(crate) cache: Arc<Cache>,
    paths: HashMap<String, Arc<Endpoint>>,
    /// By the paths at which clients look for what they have to know to log in.
    metadata: HashMap<String, Arc<Endpoint>>,
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
        let base = Base::of(&config.listener, address);
        let snapshot = Self {
            gatekeeper: Gatekeeper::new(&config.listener, address, base.as_ref(), config.limits.headers),
            base,
            paths: endpoints.iter().map(|each| (each.spec.path.clone(), each.clone())).collect(),
            metadata: metadata(&endpoints),
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

    /// What clients have to know to log in, where they look for it (RFC 9728 section 3.1).
    pub(crate) fn metadata(&self, path: &str) -> Option<&Bytes> {
        self.metadata.get(path).and_then(|endpoint| endpoint.entrance.metadata())
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

/// Where clients look for the metadata of endpoints: behind the well-known path stands the path of the endpoint, here or, where
/// weir is reached through something that changes paths, as clients know it. Without any path it is that of the first endpoint
/// that has any: clients of older revisions, and those at the root, ask so.
fn metadata(endpoints: &[Arc<Endpoint>]) -> HashMap<String, Arc<Endpoint>> {
    let mut all = HashMap::new();
    let with = || endpoints.iter().filter(|endpoint| endpoint.entrance.metadata().is_some());
    for endpoint in with() {
        let path = endpoint.spec.path.trim_end_matches('/');
        all.insert(format!("{WELL_KNOWN}{path}"), endpoint.clone());
        if endpoint.spec.sse {
            all.insert(format!("{WELL_KNOWN}{path}/sse"), endpoint.clone());
        }
    }
    for endpoint in with() {
        let path = endpoint.entrance.resource_path().unwrap_or_default();
        all.entry(format!("{WELL_KNOWN}{path}")).or_insert_with(|| endpoint.clone());
    }
    if let Some(first) = with().next() {
        all.entry(WELL_KNOWN.to_owned()).or_insert_with(|| first.clone());
    }
    all
}

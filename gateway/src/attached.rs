//! A backend as the gateway holds it: as long as anybody may still call it, it is not closed.

use crate::cache::Reads;
use crate::icons::Album;
use parking_lot::Mutex;
use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::sync::watch;
use weir_backends::{Backend, BackendError, Changes, Grants, Inventory};
use weir_config::Transport;
use weir_runtime::Guardian;

/// A connected backend, what it was connected with, and what it offers.
#[derive(Debug)]
pub(crate) struct Attached {
    /// Tells it apart from every other, also from those of the same name that went before.
    pub(crate) number: usize,
    pub(crate) backend: Arc<dyn Backend>,
    spec: weir_config::Backend,
    /// The certificate authorities that it trusts, where they are in a file.
    authorities: Option<Vec<u8>>,
    /// Its last good lists; `None` while it has never answered.
    inventory: Mutex<Option<Arc<Inventory>>>,
    /// A change of its lists was announced, or may have been missed, since they were fetched.
    outdated: AtomicBool,
    /// The changes that were taken in.
    heeded: Mutex<Changes>,
    /// What is known of the reads of its resources.
    pub(crate) reads: Arc<Reads>,
    /// Its icons, as far as an endpoint embeds them.
    pub(crate) icons: Album,
    /// Becomes true when calls that still run must be given up. The other side sees when the last holder has let go.
    given_up: watch::Receiver<bool>,
}

impl Deref for Attached {
    type Target = dyn Backend;

    fn deref(&self) -> &Self::Target {
        &*self.backend
    }
}

impl Attached {
    /// Makes the backend of `spec`, with a number of its own. Nothing is started or connected yet.
    pub(crate) fn connect(
        number: usize,
        spec: &weir_config::Backend,
        guardian: &Guardian,
        grants: &Arc<dyn Grants>,
        background: &tokio::runtime::Handle,
    ) -> Result<(Arc<Self>, watch::Sender<bool>), BackendError> {
        let (give_up, given_up) = watch::channel(false);
        let attached = Self {
            number,
            // Read before the backend reads them itself: a change in between is then seen at the next reload.
            authorities: authorities(spec),
            backend: weir_backends::connect(spec, guardian, grants, background)?,
            spec: spec.clone(),
            inventory: Mutex::default(),
            outdated: AtomicBool::new(false),
            heeded: Mutex::default(),
            reads: Arc::default(),
            icons: Album::default(),
            given_up,
        };
        Ok((Arc::new(attached), give_up))
    }

    /// Whether a backend made of `spec` would be the same.
    pub(crate) fn is_of(&self, spec: &weir_config::Backend) -> bool {
        self.spec == *spec && self.authorities == authorities(spec)
    }

    /// What it is configured to be.
    pub(crate) fn spec(&self) -> &weir_config::Backend {
        &self.spec
    }

    /// Headers of callers that it is told, in lower case.
    pub(crate) fn forwarded_headers(&self) -> &[String] {
        match &self.spec.transport {
            Transport::Http(http) => &http.forward_headers,
            Transport::Stdio(_) => &[],
        }
    }

    /// Its last good lists.
    pub(crate) fn inventory(&self) -> Option<Arc<Inventory>> {
        self.inventory.lock().clone()
    }

    /// Takes in new lists.
    pub(crate) fn put(&self, inventory: Inventory) {
        *self.inventory.lock() = Some(Arc::new(inventory));
    }

    /// Takes in that there are reasons to list again: nothing that depends on the lists or the resources is good any more.
    pub(crate) fn heed(&self, now: Changes) {
        let mut heeded = self.heeded.lock();
        if now.reasons > heeded.reasons {
            self.outdated.store(true, Ordering::Relaxed);
            if now.resources > heeded.resources || now.suspicions() > heeded.suspicions() {
                self.reads.all_changed();
            }
            *heeded = now;
        }
    }

    /// Its lists are those of now, unless there are `more` reasons already to fetch them again.
    pub(crate) fn catch_up(&self, more: bool) {
        self.outdated.store(more, Ordering::Relaxed);
    }

    /// Whether its lists may have changed since they were fetched.
    pub(crate) fn is_outdated(&self) -> bool {
        self.outdated.load(Ordering::Relaxed)
    }

    /// Whether calls that still run must end now.
    pub(crate) fn is_given_up(&self) -> bool {
        *self.given_up.borrow()
    }
}

/// What stands in the file of authorities now. One that cannot be read differs from any that could.
fn authorities(spec: &weir_config::Backend) -> Option<Vec<u8>> {
    match &spec.transport {
        Transport::Http(http) => std::fs::read(http.ca.as_ref()?).ok(),
        Transport::Stdio(_) => None,
    }
}

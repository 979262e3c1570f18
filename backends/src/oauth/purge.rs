//! Grants that nothing needs any more: kept for a while, then forgotten and revoked.

use super::grant::{Grant, Grants, Holder, seconds};
use super::token::Endpoint;
use super::{Connector, DEADLINE};
use futures_util::StreamExt;
use futures_util::future::join_all;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::SystemTime;
use weir_policies::{Fetch, Reach};

/// How long a grant is kept that no backend takes, or that is over and cannot be renewed, in seconds: a URL that was
/// changed by mistake, or for a while, costs no grant.
const KEPT: u64 = 30 * 24 * 3600;
/// So many changes are written together.
const TOGETHER: usize = 5000;

/// So many are revoked at once.
const REVOKED: usize = 8;

/// A grant of somebody.
type Owned = (Arc<Holder>, Arc<Grant>);

/// Looks through all grants. Notes which of them no backend of `connectors` takes, and forgets those that none took for thirty
/// days; they are revoked where the authorization server lets weir.
pub async fn purge(grants: &dyn Grants, connectors: &[Arc<Connector>], fetch: &dyn Fetch, now: SystemTime) {
    let now_seconds = seconds(now);
    let backends = connectors.iter().map(|connector| (connector.backend.as_str(), &**connector));
    let backends: HashMap<&str, &Connector> = backends.collect();
    let (mut noted, mut gone) = (Vec::new(), Vec::new());
    let mut page = grants.page(None);
    while let Some((last, _)) = page.last() {
        let next = grants.page(Some(last));
        for (holder, grant) in page {
            let connector = backends.get(holder.backend.as_str());
            let is_renewed =
                |connector: &&Connector| grant.refresh.is_some() && connector.client_of(&grant).is_some();
            let is_taken = connector.is_some_and(|connector| {
                connector.is_ours(&holder, &grant) && (!grant.is_over(now) || is_renewed(connector))
            });
            match grant.orphaned {
                Some(_) if is_taken => noted.push((holder, Grant { orphaned: None, ..(*grant).clone() })),
                None if !is_taken => {
                    noted.push((holder, Grant { orphaned: Some(now_seconds), ..(*grant).clone() }));
                }
                Some(since) if now_seconds.saturating_sub(since) >= KEPT => gone.push((holder, grant)),
                _ => {}
            }
        }
        if noted.len() >= TOGETHER {
            note(grants, std::mem::take(&mut noted)).await;
        }
        page = next;
        // There may be many, and others want the thread.
        tokio::task::yield_now().await;
    }
    note(grants, noted).await;
    let removed = join_all(gone.into_iter().map(|owned| forget(grants, owned))).await;
    let backends = &backends;
    let revoked = removed.into_iter().flatten().map(|(holder, grant)| async move {
        tracing::info!(backend = holder.backend, "a grant that no backend took for thirty days is forgotten");
        match backends.get(holder.backend.as_str()) {
            Some(connector) => connector.revoke(&grant).await,
            None if grant.client.lacks_secret() => {}
            None => {
                let reach = Reach { private: false, ca: None, deadline: DEADLINE };
                Endpoint { fetch, reach: &reach }.revoke(&grant, &grant.client).await;
            }
        }
    });
    // One that does not answer holds up few others.
    futures_util::stream::iter(revoked).for_each_concurrent(REVOKED, |revoked| revoked).await;
}

/// Keeps what was noted of grants, where they are still the same.
pub(super) async fn note(grants: &dyn Grants, noted: Vec<(Arc<Holder>, Grant)>) {
    let kept = noted.into_iter().map(|(holder, grant)| async move {
        let old = grant.access.clone();
        grants.replace(&holder, &old, grant).await
    });
    if let Some(error) = join_all(kept).await.into_iter().find_map(Result::err) {
        tracing::warn!(%error, "what became of grants cannot be written");
    }
}

/// Forgets a grant, where it is still the same.
async fn forget(grants: &dyn Grants, (holder, grant): Owned) -> Option<Owned> {
    let removed = grants.remove(&holder, Some(&grant.access)).await;
    if let Err(error) = removed.written {
        tracing::warn!(backend = holder.backend, %error, "a grant that is gone is still in the store");
    }
    removed.grant.map(|grant| (holder, grant))
}

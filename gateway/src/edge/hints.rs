//! The caching hints of what weir answers from its catalogs.
//!
//! S: MCP 2026-07-28 `server/utilities/caching`.

use crate::catalog::Catalog;
use crate::endpoint::Endpoint;
use tokio::time::Instant;
use weir_backends::Freshness;
use weir_protocol::Hint;

/// What is said of something in `catalog` that is as fresh as `freshness`. The only place that decides for whom: the scope
/// that the backends allow, and `private` as soon as not everybody sees the same, or callers are asked who they are: whatever keeps
/// an answer on the way asks nobody.
pub(super) fn of(endpoint: &Endpoint, catalog: &Catalog, freshness: Freshness) -> Hint {
    let said = freshness.hint(Instant::now());
    // What is announced to have changed, or was replaced, is nothing to keep.
    let stale =
        !endpoint.is_current(catalog) || endpoint.backends.iter().any(|backend| backend.is_outdated());
    Hint {
        ttl_ms: if stale { 0 } else { said.ttl_ms },
        public: said.public && endpoint.spec.auth.is_anonymous() && endpoint.policies.show_all_the_same(),
    }
}

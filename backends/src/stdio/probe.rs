//! Finding out the era of a stdio server without spending the process that will serve.
//!
//! S: MCP 2026-07-28 `basic/versioning`. Some servers exit on any request before `initialize`, others lock themselves to
//! the era of the first one; a sibling process takes the risk.

use super::child::{Child, Recipe};
use crate::homes::Homes;
use crate::{BackendError, SessionKey};
use std::sync::Arc;
use std::time::Duration;
use weir_protocol::Era;

/// A server that is silent this long is taken for a legacy one.
const PATIENCE: Duration = Duration::from_secs(5);

/// The era of the server: modern where a process of its own answers `server/discover` so, else legacy.
pub(crate) async fn era(recipe: &Recipe) -> Result<Era, BackendError> {
    let mut timeouts = recipe.timeouts.clone();
    timeouts.list = timeouts.list.min(PATIENCE);
    let probe = Arc::new(Recipe {
        process: recipe.process.clone(),
        limits: recipe.limits.clone(),
        timeouts,
        guardian: recipe.guardian.clone(),
        changes: Arc::default(),
        subscriptions: recipe.subscriptions.clone(),
        running: recipe.running.clone(),
        homes: Homes::default(),
        owners: Arc::default(),
        roots: recipe.roots.clone(),
        handle: recipe.handle.clone(),
        probe: true,
    });
    match Child::start(&probe, Era::Modern, None, SessionKey::Shared).await {
        Ok(child) => {
            child.stop().await;
            Ok(Era::Modern)
        }
        // It could not even be started: that is no evidence.
        Err(error @ BackendError::Unreachable(_)) => Err(error),
        Err(_) => Ok(Era::Legacy),
    }
}

//! Work that is done once for all who wait for it, and to its end even when they leave.

use crate::BackendError;
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared};
use tokio::runtime::Handle;

/// Work under way in the background; every clone yields what it ended with.
pub(crate) type Flight<T> = Shared<BoxFuture<'static, Result<T, BackendError>>>;

/// Begins `work` on `handle`.
pub(crate) fn launch<T: Clone + Send + Sync + 'static>(
    handle: &Handle,
    work: impl Future<Output = Result<T, BackendError>> + Send + 'static,
) -> Flight<T> {
    let task = handle.spawn(work);
    async move { task.await.unwrap_or(Err(BackendError::Stopping)) }.boxed().shared()
}

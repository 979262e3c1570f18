//! What weir does on signals.

use std::sync::mpsc::{self, Receiver};
use tokio::signal::unix::{SignalKind, signal};
use weir_gateway::Stopper;

/// Follows SIGTERM and SIGINT, which stop weir in good order and a second time at once, and SIGHUP: the answer has a
/// message for each.
pub(crate) fn follow(stopper: Stopper) -> anyhow::Result<Receiver<()>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let entered = runtime.enter();
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut hangup = signal(SignalKind::hangup())?;
    drop(entered);
    let (request, requests) = mpsc::channel();
    let follow = move || {
        runtime.block_on(async {
            loop {
                tokio::select! {
                    _ = terminate.recv() => stopper.stop(),
                    _ = interrupt.recv() => stopper.stop(),
                    _ = hangup.recv() => {
                        if request.send(()).is_err() {
                            tracing::info!("there is no configuration file to reload");
                        }
                    }
                }
            }
        });
    };
    std::thread::Builder::new().name("signals".to_owned()).spawn(follow)?;
    Ok(requests)
}

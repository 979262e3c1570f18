//! Reloading: one configuration after the other, each whole or not at all.

use crate::error::GatewayError;
use crate::fleet::Fleet;
use crate::listener::tls::Certificate;
use std::sync::Arc;
use tokio::sync::{mpsc, oneshot, watch};
use weir_config::Config;

/// What a reload changed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Reloaded {
    /// Whether anything at all was different.
    pub changed: bool,
    /// Names of the backends that were connected, because they are new or configured differently.
    pub started: Vec<String>,
    /// Names of the backends that are closed, because they are gone or configured differently.
    pub ended: Vec<String>,
}

/// A configuration to take, and where to tell what became of it.
#[derive(Debug)]
pub(crate) struct Order {
    config: Config,
    done: oneshot::Sender<Result<Reloaded, GatewayError>>,
}

/// Gives a running gateway another configuration.
#[derive(Debug, Clone)]
pub struct Reloader {
    orders: mpsc::UnboundedSender<Order>,
    certificate: Option<Arc<Certificate>>,
}

impl Reloader {
    /// With it comes what [`follow`] needs.
    pub(crate) fn new(certificate: Option<Arc<Certificate>>) -> (Self, mpsc::UnboundedReceiver<Order>) {
        let (orders, receiver) = mpsc::unbounded_channel();
        (Self { orders, certificate }, receiver)
    }

    /// Takes `config` as a whole, or leaves everything as it is. Waits for reloads that were asked for before, and for
    /// the first lists of new backends, as long as the configuration says. Certificate and key are read again. Must not
    /// be called within a tokio runtime.
    ///
    /// # Errors
    /// The configuration differs where only a restart can follow, a backend's settings cannot be used, the strategy
    /// `manual` leaves conflicts, or the gateway is stopping.
    pub fn reload(&self, config: Config) -> Result<Reloaded, GatewayError> {
        if let Some(certificate) = &self.certificate {
            certificate.read_again();
        }
        let (done, answer) = oneshot::channel();
        self.orders.send(Order { config, done }).map_err(|_| GatewayError::Stopping)?;
        answer.blocking_recv().unwrap_or(Err(GatewayError::Stopping))
    }
}

/// Carries out one order after the other until weir stops; answers the fleet, so that it can be closed.
pub(crate) async fn follow(
    mut fleet: Fleet,
    mut orders: mpsc::UnboundedReceiver<Order>,
    mut stop: watch::Receiver<u32>,
) -> Fleet {
    loop {
        let order = tokio::select! {
            biased;
            _ = stop.wait_for(|calls| *calls > 0) => return fleet,
            order = orders.recv() => order,
        };
        match order {
            Some(Order { config, done }) => {
                let changed = fleet.change(config, &mut stop).await;
                // Who asked may have stopped waiting; the change stands.
                let _ = done.send(changed);
            }
            None => {
                let _ = stop.wait_for(|calls| *calls > 0).await;
                return fleet;
            }
        }
    }
}

//! The data plane: HTTP in, one protocol inside, backends behind. The only crate that knows HTTP sessions.

mod answer;
mod app;
mod call;
mod catalog;
mod client;
mod cors;
mod drain;
mod edge;
mod endpoint;
mod error;
mod gateway;
mod hub;
mod intake;
mod listener;
mod pulse;
mod pump;
mod refresh;
mod rescue;
mod session;
mod stream;

pub use error::GatewayError;
pub use gateway::{Gateway, Stopper};

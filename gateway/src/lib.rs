//! The data plane: HTTP in, one protocol inside, backends behind. The only crate that knows HTTP sessions.

mod ancestry;
mod answer;
mod app;
mod attached;
mod cache;
mod call;
mod catalog;
mod client;
mod connect;
mod cors;
mod decision;
mod drain;
mod edge;
mod endpoint;
mod entrance;
mod error;
mod examine;
mod fleet;
mod gateway;
mod hub;
mod icons;
mod inbox;
mod inquiry;
mod intake;
mod lead;
mod line;
mod listener;
mod pulse;
mod pump;
mod refresh;
mod reload;
mod replay;
mod rescue;
mod seal;
mod session;
mod snapshot;
mod stay;
mod stdio;
mod stream;
mod tasks;
mod ticket;
mod visibility;
mod watchers;

pub use error::GatewayError;
pub use examine::{
    Attempt, Examination, ExaminedBackend, ExaminedEndpoint, Finding, HiddenBy, Judged, Leave, Nowhere,
    Offer, Offered, Settled, Severity, Supposed, Surveyed, Tried, Unplaced, examine, supposed_owner, survey,
};
pub use gateway::{Gateway, Stopper};
pub use reload::{Reloaded, Reloader};

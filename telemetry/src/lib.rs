//! What weir says about itself: its log, and the kinds that its errors and metrics are counted by.

mod kind;
mod log;
mod throttle;

pub use kind::Kind;
pub use log::{LogError, init};
pub use throttle::Throttle;

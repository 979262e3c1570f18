//! What operators write, read and checked into plain data: the [`Config`] the rest of weir runs from.

mod model;

pub use model::{
    Backend, BackendLimits, BackendTimeouts, Config, Conflicts, Endpoint, EraSetting, Filter, HttpBackend, Limits,
    Listener, Override, Secret, SessionScope, StdioBackend, Timeouts, Tls, Transport,
};

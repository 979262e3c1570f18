//! What operators write, read and checked into plain data: the [`Config`] the rest of weir runs from.

mod check;
mod diagnostic;
mod environment;
mod expansion;
mod file;
mod load;
mod mcp_servers;
mod model;
mod quantity;
mod reference;
mod report;
mod schema;
mod shape;
#[cfg(test)]
mod tests;
mod tree;

pub use diagnostic::{ConfigErrors, Diagnostic};
pub use environment::{Environment, ProcessEnvironment};
pub use load::{Loaded, load, parse};
pub use model::{
    Backend, BackendLimits, BackendTimeouts, Config, Conflicts, Endpoint, EraSetting, Filter, HttpBackend,
    Limits, Listener, Override, Secret, SessionScope, StdioBackend, Timeouts, Tls, Transport,
};
pub use reference::reference;
pub use schema::schema;

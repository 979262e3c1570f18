//! The MCP servers behind weir: each is one [`Backend`], spoken to in its own dialect, described in the words of the core.

mod backend;
mod cause;
mod changes;
mod credentials;
mod deadlines;
mod departed;
mod dial;
mod errand;
mod error;
mod exchange;
mod flight;
mod freshness;
mod handshake;
mod homes;
mod http;
mod icon;
mod inventory;
mod message;
mod notice;
mod oauth;
mod outbound;
mod oversize;
mod pending;
mod pool;
mod questions;
mod roots;
mod stdio;
mod subscriptions;
#[cfg(test)]
mod trial;
mod verbosity;

pub use backend::{Augment, Backend, Call, Input, SessionKey, connect, connect_http};
pub use cause::Cause;
pub use changes::Changes;
pub use credentials::CredentialError;
pub use error::BackendError;
pub use exchange::{Event, Exchange, Message, Outcome};
pub use freshness::Freshness;
pub use handshake::{Features, LegacyTasks, Transport};
pub use icon::IconError;
pub use inventory::{Inventory, ListFault};
pub use notice::{Notice, TaskChange, Update};
pub use oauth::{
    Access, Answer, Authority, Challenge, Client, ClientMethod, Connector, Departure, Discovery, FileGrants,
    Grant, Grants, Holder, Login, LoginSecrets, MemoryGrants, OauthError, Outline, Plan, Protection, Removed,
    Renewals, StoreError, Way, document, purge,
};
pub use outbound::Outbound;
pub use stdio::lines::{Line, Lines};
pub use subscriptions::{Subject, Subscribed};

//! The Model Context Protocol as bytes: messages are read once, borrowed, and changed by splicing; no I/O, no async.

pub mod batch;
pub mod caching;
pub mod capabilities;
pub mod code;
pub mod cursor;
pub mod envelope;
pub mod headers;
pub mod icons;
pub mod item;
pub mod json;
pub mod level;
pub mod list;
pub mod meta;
pub mod method;
pub mod mirror;
pub mod object;
pub mod parameters;

mod members;
pub mod result;
pub mod revision;
mod scan;
pub mod span;
pub mod splice;
pub mod sse;
pub mod uris;

pub use caching::Hint;
pub use capabilities::ClientCapabilities;
pub use envelope::{Envelope, EnvelopeError, Kind, Params};
pub use level::{Level, Logs};
pub use members::Member;
pub use meta::Meta;
pub use method::Method;
pub use mirror::Mirrors;
pub use result::{ResultHead, ResultType};
pub use revision::{Era, Revision};
pub use span::Span;
pub use splice::Splice;

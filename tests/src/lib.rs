//! The bench on which weir is tested end to end: the real binary between real MCP servers and clients, a raw HTTP client, and
//! a scripted server for what no real server does.

pub mod authority;
pub mod browser;
pub mod capable;
pub mod curl;
pub mod cutter;
pub mod driver;
pub mod http;
pub mod http2;
pub mod legacy;
pub mod message;
pub mod modern;
pub mod paired;
pub mod peers;
pub mod process;
pub mod protected;
pub mod provider;
pub mod scripted;
pub mod stdio;
pub mod suite;
pub mod table;
pub mod verdict;
pub mod wait;
pub mod weir;

pub use authority::Authority;
pub use browser::Browser;
pub use capable::Capable;
pub use cutter::Cutter;
pub use http::{Endpoint, Event, Request, Response};
pub use legacy::Legacy;
pub use message::{Answer, Speak};
pub use modern::Modern;
pub use paired::Paired;
pub use protected::Protected;
pub use provider::Provider;
pub use scripted::Scripted;
pub use stdio::Stdio;
pub use weir::Weir;

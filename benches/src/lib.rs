//! The load harness: what one hop costs, measured side by side for no hop, nginx as a plain reverse proxy, and weir.

pub mod access;
pub mod backends;
pub mod bench;
pub mod calls;
pub mod client;
pub mod drive;
pub mod echo;
pub mod error;
pub mod lists;
pub mod message;
pub mod nginx;
pub mod process;
pub mod report;
pub mod sessions;
pub mod token;
pub mod weir;

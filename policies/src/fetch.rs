//! How policies reach the network: a seam, since no floor as low as this one speaks HTTP.

use async_trait::async_trait;
use bytes::Bytes;
use std::fmt::Debug;
use std::path::PathBuf;
use std::time::Duration;

/// Requests to identity providers.
#[async_trait]
pub trait Fetch: Send + Sync + Debug {
    /// One request and its answer, whatever its status. No redirect is followed, the answer's body is bounded (1 MiB), and the
    /// request ends by its deadline.
    ///
    /// # Errors
    /// There is no whole answer, or `reach` does not allow the address.
    async fn fetch(
        &self,
        request: http::Request<Bytes>,
        reach: &Reach,
    ) -> Result<http::Response<Bytes>, FetchError>;
}

/// What a request may reach, and for how long it may try.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Reach {
    /// Whether private, loopback and link-local addresses are allowed, and `http`.
    pub private: bool,
    /// PEM file of one more authority to trust.
    pub ca: Option<PathBuf>,
    /// The whole request's time.
    pub deadline: Duration,
}

/// There is no answer to a request. No text shows what was sent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FetchError {
    /// The address, or its scheme, is not allowed.
    #[error("its address is not allowed: {0}")]
    Refused(String),
    /// No connection, or it broke.
    #[error("it cannot be reached: {0}")]
    Unreachable(String),
    /// The time was up.
    #[error("it did not answer in time")]
    Late,
    /// The answer is larger than allowed.
    #[error("its answer is too large")]
    Large,
}

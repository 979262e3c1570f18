//! The body of an answer, whichever client it came by.

use super::cause;
use super::wire::WireBody;
use crate::deadlines::Deadlines;
use crate::{BackendError, Cause};
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use hyper::body::Body as _;

/// A body still to be read.
#[derive(Debug)]
pub(crate) enum Body {
    Wire(WireBody),
    Hyper(hyper::body::Incoming),
}

impl Body {
    /// The next piece; `None` at the end. Cancel-safe.
    pub(crate) async fn chunk(&mut self) -> Option<Result<Bytes, BackendError>> {
        match self {
            Self::Wire(body) => body.chunk().await.transpose(),
            Self::Hyper(body) => loop {
                match body.frame().await? {
                    Ok(frame) => {
                        // Trailers say nothing that MCP reads.
                        if let Ok(data) = frame.into_data() {
                            return Some(Ok(data));
                        }
                    }
                    Err(error) => {
                        let cause = Cause::private("the connection broke", cause(&error));
                        return Some(Err(BackendError::Gone(cause)));
                    }
                }
            },
        }
    }

    /// How many bytes are still to come, where that is known.
    fn left(&self) -> Option<u64> {
        match self {
            Self::Wire(body) => body.left(),
            Self::Hyper(body) => body.size_hint().exact(),
        }
    }

    /// The whole body, of at most `limit` bytes.
    pub(crate) async fn collect(
        mut self,
        limit: usize,
        deadlines: &Deadlines,
    ) -> Result<Bytes, BackendError> {
        // What is announced as too much is not even begun.
        if self.left().is_some_and(|left| left > limit as u64) {
            return Err(BackendError::TooLarge { limit });
        }
        let mut first = Bytes::new();
        let mut all = BytesMut::new();
        while let Some(piece) = deadlines.watch(self.chunk()).await? {
            let piece = piece?;
            if first.len() + all.len() + piece.len() > limit {
                return Err(BackendError::TooLarge { limit });
            }
            if first.is_empty() && all.is_empty() {
                // Most answers arrive in one piece, which then needs no copy.
                first = piece;
            } else {
                if all.is_empty() {
                    all.extend_from_slice(&std::mem::take(&mut first));
                }
                all.extend_from_slice(&piece);
            }
        }
        Ok(if all.is_empty() { first } else { all.freeze() })
    }
}

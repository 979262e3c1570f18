//! The TCP side of a client's connection.
//!
//! pingora writes a response's head and body separately. This socket holds small writes back until they are flushed, so
//! that both leave in one system call, which on a short call is a good part of its whole cost.

use async_trait::async_trait;
use pingora_core::protocols::{
    GetProxyDigest, GetSocketDigest, GetTimingDigest, Peek, Shutdown, SocketDigest, Ssl, TimingDigest,
    UniqueID, UniqueIDType, raw_connect,
};
use std::io;
use std::os::fd::AsRawFd;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::Sleep;

/// Writes are held back up to this many bytes; a larger one goes out with what was held before it.
const HELD: usize = 8 << 10;

/// One TCP connection whose writes are joined.
#[derive(Debug)]
pub(crate) struct Socket {
    stream: TcpStream,
    held: Vec<u8>,
    /// How much of `held` has been sent.
    sent: usize,
    /// How long a client may take for its first bytes.
    first: Duration,
    /// How long the client may take nothing of what is written to it.
    patience: Duration,
    /// Runs while the client takes nothing.
    stalled: Option<Pin<Box<Sleep>>>,
}

impl Socket {
    pub(crate) fn new(stream: TcpStream, first: Duration, patience: Duration) -> Self {
        Self { stream, held: Vec::new(), sent: 0, first, patience, stalled: None }
    }

    /// Writes to the client; fails when it has taken nothing for too long.
    fn poll_out(&mut self, cx: &mut Context<'_>, from: Source<'_>) -> Poll<io::Result<usize>> {
        let bytes = match from {
            Source::Held => self.held.get(self.sent..).unwrap_or_default(),
            Source::Given(bytes) => bytes,
        };
        if let Poll::Ready(written) = Pin::new(&mut self.stream).poll_write(cx, bytes) {
            self.stalled = None;
            return Poll::Ready(written);
        }
        let patience = self.patience;
        let stalled = self.stalled.get_or_insert_with(|| Box::pin(tokio::time::sleep(patience)));
        ready!(stalled.as_mut().poll(cx));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }

    /// Sends what is held back.
    fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.sent < self.held.len() {
            let sent = ready!(self.poll_out(cx, Source::Held))?;
            if sent == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.sent += sent;
        }
        self.held.clear();
        self.sent = 0;
        // A connection that once sent a large answer does not keep its memory.
        if self.held.capacity() > 2 * HELD {
            self.held = Vec::new();
        }
        Poll::Ready(Ok(()))
    }
}

enum Source<'a> {
    Held,
    Given(&'a [u8]),
}

impl AsyncRead for Socket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Socket {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if self.held.len() + bytes.len() > HELD && !self.held.is_empty() {
            ready!(self.poll_send(cx))?;
        }
        if bytes.len() > HELD {
            return self.poll_out(cx, Source::Given(bytes));
        }
        self.held.extend_from_slice(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_send(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_send(cx))?;
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[async_trait]
impl Shutdown for Socket {
    async fn shutdown(&mut self) {
        let _ = AsyncWriteExt::shutdown(self).await;
    }
}

impl UniqueID for Socket {
    fn id(&self) -> UniqueIDType {
        self.stream.as_raw_fd()
    }
}

impl Ssl for Socket {}

impl GetTimingDigest for Socket {
    fn get_timing_digest(&self) -> Vec<Option<TimingDigest>> {
        Vec::new()
    }
}

impl GetProxyDigest for Socket {
    fn get_proxy_digest(&self) -> Option<Arc<raw_connect::ProxyDigest>> {
        None
    }
}

impl GetSocketDigest for Socket {
    fn get_socket_digest(&self) -> Option<Arc<SocketDigest>> {
        None
    }
}

/// After which pause a beginning that may become the HTTP/2 preface is looked at again.
const PAUSE: Duration = Duration::from_millis(10);

#[async_trait]
impl Peek for Socket {
    /// Fills `buf` without consuming anything. Only the HTTP/2 preface is ever looked for, so the wait ends as soon as
    /// what is there cannot be its beginning: a short HTTP/1 request must not wait for bytes that never come. `buf` then
    /// holds no preface, which is all that is asked.
    async fn try_peek(&mut self, buf: &mut [u8]) -> io::Result<bool> {
        const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
        let looking = async {
            loop {
                let length = self.stream.peek(buf).await?;
                let seen = buf.get(..length).unwrap_or_default();
                if length == 0 || length == buf.len() || !PREFACE.starts_with(seen) {
                    return Ok(true);
                }
                tokio::time::sleep(PAUSE).await;
            }
        };
        tokio::time::timeout(self.first, looking).await.unwrap_or(Err(io::ErrorKind::TimedOut.into()))
    }
}

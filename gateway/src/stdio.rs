//! Serving one client on standard input and output, for clients that only start processes. Messages are lines.
//!
//! S: MCP 2026-07-28 `basic/transports/stdio`; MCP 2025-11-25 `basic/transports` "stdio".

use crate::client::{Gone, Letters};
use crate::drain::Phase;
use crate::error::GatewayError;
use crate::gateway::{Core, Stopper};
use crate::intake;
use crate::line::{self, Line};
use crate::pulse;
use crate::rescue;
use crate::session::Session;
use bytes::Bytes;
use std::io;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::sync::watch;
use weir_backends::{Line as Received, Lines};
use weir_policies::Principal;
use weir_protocol::json;

/// How much is written at once; in each such piece a slow client has to take something in time.
const SLICE: usize = 64 << 10;
/// What waits at the end is written within this time, or lost.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// The two ends of the client's connection to the thread that serves it.
pub(crate) struct Ends {
    /// Is told to stop when nothing more comes from the client, or nothing more can be written to it.
    pub(crate) stopper: Stopper,
    /// Becomes true when the thread must end.
    pub(crate) ended: watch::Receiver<bool>,
}

/// Starts the thread that serves the endpoint of this number on standard input and output.
pub(crate) fn serve(core: Arc<Core>, endpoint: usize, ends: Ends) -> Result<JoinHandle<()>, GatewayError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let serve = move || {
        runtime.block_on(async {
            tokio::spawn(pulse::beat());
            run(&core, endpoint, ends, tokio::io::stdin(), tokio::io::stdout()).await;
        });
        // Reading from standard input cannot be called off; it ends with the process.
        runtime.shutdown_background();
    };
    Ok(std::thread::Builder::new().name("serve-stdio".to_owned()).spawn(serve)?)
}

async fn run(
    core: &Arc<Core>,
    endpoint: usize,
    Ends { stopper, mut ended }: Ends,
    input: impl AsyncRead + Unpin,
    output: impl AsyncWrite + Unpin,
) {
    let snapshot = core.snapshot.load_full();
    // Whoever started weir has proved enough of himself.
    let principal = Arc::new(Principal::anonymous());
    let opened =
        snapshot.numbered(endpoint).map(|endpoint| Line::open(core, &snapshot, endpoint, &principal));
    let (line, mut letters) = match opened.unwrap_or_else(|| Err(rescue::stopping())) {
        Ok(opened) => opened,
        Err(fault) => {
            tracing::error!(fault.message, "cannot serve on standard input and output");
            stopper.stop();
            return;
        }
    };
    let mut output = Output { to: output, write: snapshot.config.timeouts.write };
    let limit = snapshot.config.limits.body;
    // The connection outlives reloads; nothing of what they replace may wait for it.
    drop(snapshot);
    let session = line.visit.session.clone();
    let talking = async {
        let announce = async {
            line.announce().await;
            // Whose endpoint was removed has nothing more to say.
            if core.drain.phase() == Phase::Serving {
                tracing::info!("the endpoint is not in the configuration any more");
                stopper.stop();
            }
        };
        tokio::join!(receive(core, &session, limit, input, &stopper), announce);
        std::future::pending::<()>().await;
    };
    tokio::select! {
        Err(Gone) = output.write_all(&mut letters) => {
            tracing::debug!("standard output cannot be written to any more");
            drop(letters);
            session.cancel_all();
            stopper.stop();
            told(&mut ended).await;
        }
        () = talking => {}
        () = told(&mut ended) => {
            letters.close();
            let _ = tokio::time::timeout(LAST_WORDS, output.write_all(&mut letters)).await;
        }
    }
}

/// Waits until the thread must end. Cancel-safe.
async fn told(ended: &mut watch::Receiver<bool>) {
    let _ = ended.wait_for(|ended| *ended).await;
}

/// Takes every line, of at most `limit` bytes, until standard input ends. The end of the input stops weir, and at once where
/// it was stopping already: a client that left waits for nothing.
async fn receive(
    core: &Arc<Core>,
    session: &Arc<Session>,
    limit: usize,
    input: impl AsyncRead + Unpin,
    stopper: &Stopper,
) {
    let mut lines = Lines::new(input, limit);
    loop {
        match lines.next().await {
            Ok(Some(Received::Whole(body))) if body.len() <= limit => take(core, session, body).await,
            Ok(Some(_)) => {
                let fault = intake::too_large(limit);
                line::say(session, fault.body(None)).await;
            }
            Ok(None) => break,
            Err(error) => {
                tracing::warn!(%error, "standard input cannot be read");
                break;
            }
        }
    }
    stopper.stop();
}

/// Takes one line. A client that does not take its answers is not read from either. While weir stops, what asks nothing is
/// still taken: a client may cancel what it waits for.
async fn take(core: &Arc<Core>, session: &Arc<Session>, body: Bytes) {
    if body.trim_ascii().is_empty() {
        return;
    }
    let snapshot = core.snapshot.load_full();
    let limit = snapshot.config.limits.requests;
    match line::read(core, snapshot, session, &session.principal(), body) {
        Ok(mail) if mail.asks() && core.drain.phase() > Phase::Serving => {
            line::refuse(session, mail, &rescue::stopping()).await;
        }
        Ok(mail) => match core.drain.admit(limit) {
            None if mail.asks() => line::refuse(session, mail, &rescue::overloaded("requests", limit)).await,
            admitted => line::begin(core, session, mail, admitted).await,
        },
        Err(fault) => {
            tracing::debug!(code = fault.code, fault.message, "line refused");
            line::say(session, fault.body(None)).await;
        }
    }
}

/// Standard output, as lines.
struct Output<W> {
    to: W,
    /// How long a client may take nothing of what is written to it.
    write: Duration,
}

impl<W: AsyncWrite + Unpin> Output<W> {
    /// Writes every message until there are no more of them.
    async fn write_all(&mut self, letters: &mut Letters) -> Result<(), Gone> {
        while let Some(letter) = letters.next().await {
            let mut line = Vec::with_capacity(letter.message.len() + 1);
            json::write_flat(&mut line, &letter.message);
            line.push(b'\n');
            for piece in line.chunks(SLICE) {
                self.within(piece).await?;
            }
        }
        Ok(())
    }

    async fn within(&mut self, piece: &[u8]) -> Result<(), Gone> {
        let written = async {
            self.to.write_all(piece).await?;
            self.to.flush().await
        };
        match tokio::time::timeout(self.write, written).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) if error.kind() == io::ErrorKind::BrokenPipe => Err(Gone),
            Ok(Err(error)) => {
                tracing::warn!(%error, "cannot write to standard output");
                Err(Gone)
            }
            Err(_) => {
                let waited = self.write.as_secs_f64();
                tracing::warn!("the client has taken nothing from standard output for {waited} s");
                Err(Gone)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::Outbox;

    #[tokio::test]
    async fn messages_become_lines() {
        let (mut outbox, mut letters) = Outbox::new(true);
        outbox.answer(&["{\n\"a\":\r\n".into(), "1}".into()]).await.unwrap();
        outbox.answer(&["{}".into()]).await.unwrap();
        letters.close();
        let mut output = Output { to: Vec::new(), write: Duration::from_secs(1) };
        output.write_all(&mut letters).await.unwrap();
        assert_eq!(output.to, b"{ \"a\":  1}\n{}\n");
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_takes_nothing_is_given_up() {
        let (mut outbox, mut letters) = Outbox::new(true);
        outbox.answer(&[vec![b'x'; 100].into()]).await.unwrap();
        let (stuck, _unread) = tokio::io::duplex(10);
        let mut output = Output { to: stuck, write: Duration::from_secs(30) };
        assert!(output.write_all(&mut letters).await.is_err());
    }
}

//! A client that shares one connection between all its messages: they queue up whole for whoever writes them.

use super::Gone;
use bytes::Bytes;
use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

/// How many bytes may wait in one outbox; a larger message waits alone.
const ROOM: u32 = 4 << 20;
/// What a message takes up beside its bytes.
const OVERHEAD: usize = 128;

/// A message that waits to be written.
#[derive(Debug)]
pub(crate) struct Letter {
    pub(crate) message: Bytes,
    /// It answers a request; all others are notices.
    pub(crate) answers: bool,
    /// Its place, which is free again once it was written.
    _room: OwnedSemaphorePermit,
}

/// The end that messages are put into. Every clone leads to the same writer and pushes for itself.
#[derive(Debug)]
pub(crate) struct Outbox {
    letters: mpsc::UnboundedSender<Letter>,
    room: Arc<Semaphore>,
    takes_notices: bool,
    pushed: Vec<Bytes>,
}

impl Clone for Outbox {
    fn clone(&self) -> Self {
        Self {
            letters: self.letters.clone(),
            room: self.room.clone(),
            takes_notices: self.takes_notices,
            pushed: Vec::new(),
        }
    }
}

/// The end that a writer takes messages from. Once it is dropped, the client counts as gone.
#[derive(Debug)]
pub(crate) struct Letters(mpsc::UnboundedReceiver<Letter>);

impl Letters {
    /// The next message; `None` once no outbox is left and all is written. Cancel-safe.
    pub(crate) async fn next(&mut self) -> Option<Letter> {
        self.0.recv().await
    }

    /// Takes no more messages; those that wait can still be written.
    pub(crate) fn close(&mut self) {
        self.0.close();
    }

    /// The next message if one is there already.
    pub(crate) fn try_next(&mut self) -> Option<Letter> {
        self.0.try_recv().ok()
    }
}

impl Outbox {
    /// An outbox with its writer's end.
    pub(crate) fn new(takes_notices: bool) -> (Self, Letters) {
        let (letters, written) = mpsc::unbounded_channel();
        let room = Arc::new(Semaphore::new(ROOM as usize));
        (Self { letters, room, takes_notices, pushed: Vec::new() }, Letters(written))
    }

    pub(super) fn takes_notices(&self) -> bool {
        self.takes_notices
    }

    /// Waits until nobody writes any more.
    pub(crate) async fn gone(&self) {
        self.letters.closed().await;
    }

    /// Puts a message in as soon as there is room for it.
    async fn put(&self, message: Bytes, answers: bool) -> Result<(), Gone> {
        let size = u32::try_from(message.len() + OVERHEAD).unwrap_or(ROOM).min(ROOM);
        // Whoever waits for room here wakes when the writer goes, since its end then drops what it had not written.
        let room = self.room.clone().acquire_many_owned(size).await.map_err(|_| Gone)?;
        self.letters.send(Letter { message, answers, _room: room }).map_err(|_| Gone)
    }

    pub(crate) async fn answer(&mut self, parts: &[Bytes]) -> Result<(), Gone> {
        self.flush().await?;
        let whole = match parts {
            [one] => one.clone(),
            many => many.concat().into(),
        };
        self.put(whole, true).await
    }

    pub(super) fn push(&mut self, notice: &[u8]) {
        if self.takes_notices {
            self.pushed.push(Bytes::copy_from_slice(notice));
        }
    }

    pub(super) fn pushed(&self) -> usize {
        self.pushed.iter().map(|notice| notice.len() + OVERHEAD).sum()
    }

    pub(super) async fn flush(&mut self) -> Result<(), Gone> {
        for notice in std::mem::take(&mut self.pushed) {
            self.put(notice, false).await?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt;

    #[tokio::test]
    async fn messages_arrive_whole_and_in_order() {
        let (mut outbox, mut letters) = Outbox::new(true);
        outbox.push(b"1");
        outbox.push(b"2");
        assert!(letters.try_next().is_none(), "pushed, not flushed");
        outbox.answer(&["3".into(), "4".into()]).await.unwrap();
        drop(outbox);
        let mut seen = Vec::new();
        while let Some(letter) = letters.next().await {
            seen.push((letter.message, letter.answers));
        }
        assert_eq!(seen, [("1".into(), false), ("2".into(), false), ("34".into(), true)]);
    }

    #[tokio::test]
    async fn what_waits_is_bounded_and_does_not_outlive_the_writer() {
        let (mut outbox, mut letters) = Outbox::new(true);
        let huge = Bytes::from(vec![b'x'; 2 * ROOM as usize]);
        outbox.answer(&[huge]).await.unwrap();
        assert!(outbox.answer(&["late".into()]).now_or_never().is_none(), "there is no room left");
        drop(letters.next().await);
        outbox.answer(&["late".into()]).now_or_never().unwrap().unwrap();
        let rest = Bytes::from(vec![b'x'; ROOM as usize - 2 * OVERHEAD - 4]);
        outbox.answer(&[rest]).await.unwrap();
        let mut other = outbox.clone();
        let never = ["never".into()];
        let (waited, ()) = tokio::join!(other.answer(&never), async { drop(letters) });
        assert!(waited.is_err());
        outbox.gone().await;
    }

    #[tokio::test]
    async fn notices_that_nobody_takes_are_lost() {
        let (mut outbox, mut letters) = Outbox::new(false);
        outbox.push(b"1");
        outbox.answer(&["2".into()]).await.unwrap();
        assert_eq!(letters.next().await.unwrap().message, "2");
    }
}

//! What the streams of a legacy client said lately, so that one that broke off can be taken up again.
//!
//! S: MCP 2025-11-25 `basic/transports` "Resumability and Redelivery".

use bytes::Bytes;
use parking_lot::Mutex;
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::Instant;

/// Streams of one session that are remembered at once. The oldest that has ended is forgotten for a new one.
const STREAMS: usize = 32;

/// What one message costs beside its bytes.
const OVERHEAD: usize = size_of::<Bytes>();

/// How much is remembered, and for how long. The default is nothing.
#[derive(Debug, Default)]
pub(crate) struct Allowance {
    /// Bytes of one stream; zero remembers nothing.
    pub(crate) stream: usize,
    /// Bytes of all streams of the gateway.
    pub(crate) total: usize,
    /// How long after its end, or after its client went, a stream is remembered; zero remembers nothing.
    pub(crate) time: Duration,
    used: AtomicUsize,
}

impl Allowance {
    pub(crate) fn new(stream: usize, total: usize, time: Duration) -> Self {
        Self { stream, total, time, used: AtomicUsize::new(0) }
    }

    fn take(&self, bytes: usize) -> bool {
        let fits = |used: usize| used.checked_add(bytes).filter(|used| *used <= self.total);
        self.used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, fits).is_ok()
    }

    fn give_back(&self, bytes: usize) {
        self.used.fetch_sub(bytes, Ordering::Relaxed);
    }
}

/// The streams of one session.
#[derive(Debug)]
pub(crate) struct Replays {
    allowance: Arc<Allowance>,
    /// Most sessions never have a stream.
    shelf: Mutex<Option<Box<Shelf>>>,
}

#[derive(Debug, Default)]
struct Shelf {
    begun: u32,
    streams: VecDeque<Arc<Replay>>,
}

/// What the ids of a standing stream begin with.
const STANDING: char = 's';

/// Where an event id leads.
#[derive(Debug)]
pub(crate) enum Place {
    /// To the stream of a request, behind the event of this number.
    Answer(Arc<Replay>, u64),
    /// To the standing stream, behind the event of this number.
    Standing(Arc<Replay>, u64),
    /// To a standing stream that is forgotten.
    Forgotten,
    /// Nowhere: it is none of this session, or too long ago.
    Nowhere,
}

impl Replays {
    /// Nothing is remembered yet.
    pub(crate) fn new(allowance: Arc<Allowance>) -> Self {
        Self { allowance, shelf: Mutex::default() }
    }

    fn remembers(&self) -> bool {
        self.allowance.stream > 0 && !self.allowance.time.is_zero()
    }

    /// How long a stream that broke off is remembered.
    pub(crate) fn time(&self) -> Duration {
        self.allowance.time
    }

    /// Begins to remember the stream that answers a request; `None` where as many run as a session may have.
    pub(crate) fn begin(&self) -> Option<Arc<Replay>> {
        if !self.remembers() {
            return None;
        }
        let mut shelf = self.shelf.lock();
        let shelf = shelf.get_or_insert_default();
        shelf.forget(self.allowance.time);
        if shelf.streams.len() >= STREAMS {
            let ended = shelf.streams.iter().position(|replay| replay.state.lock().ended.is_some())?;
            shelf.streams.remove(ended);
        }
        shelf.add(&self.allowance, false)
    }

    /// The standing stream, and whether it is a new one, to which nobody writes yet.
    pub(crate) fn standing(&self) -> Option<(Arc<Replay>, bool)> {
        if !self.remembers() {
            return None;
        }
        let mut shelf = self.shelf.lock();
        let shelf = shelf.get_or_insert_default();
        shelf.forget(self.allowance.time);
        match shelf.streams.iter().find(|replay| replay.standing && !replay.has_ended()) {
            Some(known) => Some((known.clone(), false)),
            None => Some((shelf.add(&self.allowance, true)?, true)),
        }
    }

    /// Where an event id leads. Ids of other sessions, and of streams that are forgotten, lead nowhere.
    pub(crate) fn find(&self, id: &str) -> Place {
        let (standing, numbers) = match id.strip_prefix(STANDING) {
            Some(numbers) => (true, numbers),
            None => (false, id),
        };
        let numbers =
            numbers.split_once('-').and_then(|(stream, event)| Some((number_of(stream)?, number_of(event)?)));
        let Some((stream, event)) = numbers else {
            return Place::Nowhere;
        };
        let found = self.shelf.lock().as_mut().and_then(|shelf| {
            shelf.forget(self.allowance.time);
            let is_it =
                |replay: &&Arc<Replay>| u64::from(replay.number) == stream && replay.standing == standing;
            shelf.streams.iter().find(is_it).cloned()
        });
        match found {
            Some(replay) if standing && replay.has_ended() => Place::Forgotten,
            Some(replay) if standing => Place::Standing(replay, event),
            Some(replay) => Place::Answer(replay, event),
            None if standing => Place::Forgotten,
            None => Place::Nowhere,
        }
    }

    /// Forgets the streams that ended long enough ago.
    pub(crate) fn forget(&self) {
        if let Some(shelf) = self.shelf.lock().as_mut() {
            shelf.forget(self.allowance.time);
        }
    }
}

impl Shelf {
    fn forget(&mut self, time: Duration) {
        let stays = |replay: &Arc<Replay>| match replay.state.lock().ended {
            Some(ended) => ended.elapsed() < time,
            None => true,
        };
        self.streams.retain(stays);
    }

    fn add(&mut self, allowance: &Arc<Allowance>, standing: bool) -> Option<Arc<Replay>> {
        self.begun = self.begun.checked_add(1)?;
        let replay = Arc::new(Replay {
            number: self.begun,
            standing,
            allowance: allowance.clone(),
            state: Mutex::default(),
            grown: Notify::new(),
        });
        self.streams.push_back(replay.clone());
        Some(replay)
    }
}

/// A number as weir writes it: no sign, no leading zeros.
fn number_of(text: &str) -> Option<u64> {
    let plain = text == "0" || !text.starts_with(['0', '+']);
    text.parse().ok().filter(|_| plain)
}

/// One stream: its last messages, each with a number.
#[derive(Debug)]
pub(crate) struct Replay {
    /// Tells it apart from every other stream that the session ever had.
    number: u32,
    /// It stands beside the requests and answers none.
    standing: bool,
    allowance: Arc<Allowance>,
    state: Mutex<State>,
    grown: Notify,
}

#[derive(Debug, Default)]
struct State {
    /// The number of the message before the first that is held; the priming event has the number 0.
    before: u64,
    held: VecDeque<Bytes>,
    bytes: usize,
    ended: Option<Instant>,
    /// Told when another connection takes up the stream.
    reader: Option<Arc<Notify>>,
    /// Since when no connection reads it.
    left: Option<Instant>,
}

/// What follows an event.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Following {
    /// These messages, the first of which has this number.
    Messages(u64, Vec<Bytes>),
    /// Nothing, and nothing will.
    End,
    /// What followed is not remembered any more, or never was sent.
    Lost,
}

impl Replay {
    /// The id of the stream's event `number`.
    pub(crate) fn id(&self, number: u64) -> String {
        let kind = if self.standing { "s" } else { "" };
        format!("{kind}{}-{number}", self.number)
    }

    /// Whether nothing follows any more.
    fn has_ended(&self) -> bool {
        self.state.lock().ended.is_some()
    }

    /// Whether nobody has read it for `time`.
    pub(crate) fn is_abandoned(&self, time: Duration) -> bool {
        self.state.lock().left.is_some_and(|left| left.elapsed() >= time)
    }

    /// Remembers a message as far as there is room, and answers its number.
    pub(crate) fn push(&self, message: &[u8]) -> u64 {
        let mut state = self.state.lock();
        let cost = message.len() + OVERHEAD;
        while state.bytes + cost > self.allowance.stream && self.drop_first(&mut state) {}
        let mut fits = cost <= self.allowance.stream;
        while fits && !self.allowance.take(cost) {
            fits = self.drop_first(&mut state);
        }
        if fits {
            state.bytes += cost;
            state.held.push_back(Bytes::copy_from_slice(message));
        } else {
            while self.drop_first(&mut state) {}
            state.before += 1;
        }
        let number = state.before + state.held.len() as u64;
        drop(state);
        self.grown.notify_waiters();
        number
    }

    fn drop_first(&self, state: &mut State) -> bool {
        let Some(first) = state.held.pop_front() else {
            return false;
        };
        state.before += 1;
        state.bytes -= first.len() + OVERHEAD;
        self.allowance.give_back(first.len() + OVERHEAD);
        true
    }

    /// The number of the last message.
    pub(crate) fn last(&self) -> u64 {
        let state = self.state.lock();
        state.before + state.held.len() as u64
    }

    /// Nothing follows any more.
    pub(crate) fn end(&self) {
        self.state.lock().ended.get_or_insert_with(Instant::now);
        self.grown.notify_waiters();
    }

    /// Makes a connection the one that reads the stream; the one before is told to leave.
    pub(crate) fn take_up(&self) -> Arc<Notify> {
        let reader = Arc::new(Notify::new());
        let mut state = self.state.lock();
        state.left = None;
        if let Some(before) = state.reader.replace(reader.clone()) {
            before.notify_one();
        }
        reader
    }

    /// The connection `reader` does not read the stream any more.
    pub(crate) fn leave(&self, reader: &Arc<Notify>) {
        let mut state = self.state.lock();
        if state.reader.as_ref().is_some_and(|present| Arc::ptr_eq(present, reader)) {
            state.left = Some(Instant::now());
        }
    }

    /// What follows the event `number`; waits until something does. Cancel-safe.
    pub(crate) async fn following(&self, number: u64) -> Following {
        loop {
            let grown = self.grown.notified();
            {
                let state = self.state.lock();
                let last = state.before + state.held.len() as u64;
                if number < state.before || number > last {
                    return Following::Lost;
                }
                if number < last {
                    let skip = usize::try_from(number - state.before).unwrap_or(usize::MAX);
                    let messages = state.held.iter().skip(skip).cloned().collect();
                    return Following::Messages(number + 1, messages);
                }
                if state.ended.is_some() {
                    return Following::End;
                }
            }
            grown.await;
        }
    }
}

impl Drop for Replay {
    fn drop(&mut self) {
        self.allowance.give_back(self.state.get_mut().bytes);
    }
}

#[cfg(test)]
mod tests;

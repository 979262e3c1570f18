//! The questions that weir has put to the client of one session, and the calls that wait for the answers.

use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::Arc;
use tokio::sync::Notify;
use weir_backends::Message;

/// Questions of one session that may be open at once.
pub(super) const OPEN: usize = 64;

/// Why a client is not asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unasked {
    /// As many questions are open as a session may have.
    TooMany,
    /// The session has ended: its answers would not be taken.
    Ended,
}

/// All questions of one session.
#[derive(Debug, Default)]
pub(crate) struct Questions(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// The number of the latest question, which is its id; none is used twice.
    latest: u64,
    open: HashMap<u64, Arc<Mailbox>>,
    ended: bool,
}

/// The answers that came for one call.
#[derive(Debug, Default)]
pub(crate) struct Mailbox {
    arrived: Mutex<Arrived>,
    news: Notify,
}

/// What is in a mailbox.
#[derive(Debug, Default)]
pub(crate) struct Arrived {
    /// Responses, by the number of the question.
    pub(crate) answers: Vec<(u64, Message)>,
    /// None follows: the session has ended.
    pub(crate) ended: bool,
}

impl Questions {
    /// Opens a question whose answer goes to `mailbox`, and answers its number.
    ///
    /// # Errors
    /// The client cannot be asked.
    pub(super) fn open(&self, mailbox: &Arc<Mailbox>) -> Result<u64, Unasked> {
        let mut state = self.0.lock();
        if state.ended {
            return Err(Unasked::Ended);
        }
        if state.open.len() >= OPEN {
            return Err(Unasked::TooMany);
        }
        state.latest += 1;
        let number = state.latest;
        state.open.insert(number, mailbox.clone());
        Ok(number)
    }

    /// Nobody waits for this answer any more.
    pub(super) fn close(&self, number: u64) {
        self.0.lock().open.remove(&number);
    }

    /// Takes in a client's response. One that answers nothing, be it late, repeated or another session's, is dropped.
    pub(crate) fn answer(&self, response: Message) {
        let number = response.envelope.id.and_then(|id| number(id.text(&response.body)));
        let (waiting, open) = {
            let mut state = self.0.lock();
            (number.and_then(|number| Some((number, state.open.remove(&number)?))), state.open.len())
        };
        match waiting {
            Some((number, mailbox)) => mailbox.put(|arrived| arrived.answers.push((number, response))),
            None if open == 0 => tracing::debug!("a client answered what it was not asked, or not any more"),
            // It may have been meant for one of them, whose call then waits in vain.
            None => tracing::info!(open, "a client answered a question that is not open, while others are"),
        }
    }

    /// The session has ended; whoever waits hears that.
    pub(crate) fn end(&self) {
        let open = {
            let mut state = self.0.lock();
            state.ended = true;
            std::mem::take(&mut state.open)
        };
        for mailbox in open.into_values() {
            mailbox.put(|arrived| arrived.ended = true);
        }
    }
}

impl Mailbox {
    fn put(&self, put: impl FnOnce(&mut Arrived)) {
        put(&mut self.arrived.lock());
        self.news.notify_one();
    }

    /// Waits until there is something in it. Cancel-safe.
    pub(super) async fn filled(&self) {
        loop {
            {
                let arrived = self.arrived.lock();
                if arrived.ended || !arrived.answers.is_empty() {
                    return;
                }
            }
            self.news.notified().await;
        }
    }

    /// Takes out what is in it.
    pub(super) fn take(&self) -> Arrived {
        std::mem::take(&mut self.arrived.lock())
    }
}

/// The number that the raw `id` of a response says: as weir wrote it, or in quotes, as some clients keep every id.
fn number(id: &str) -> Option<u64> {
    let bare = id.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(id);
    bare.parse().ok().filter(|number: &u64| number.to_string() == bare)
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use futures_util::FutureExt;

    fn response(id: &str) -> Message {
        Message::parse(Bytes::from(format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{{}}}}"#))).unwrap()
    }

    #[test]
    fn each_answer_goes_to_its_call_once() {
        let (questions, one, other) = (Questions::default(), Arc::default(), Arc::default());
        let number = questions.open(&one).unwrap();
        assert_ne!(questions.open(&other).unwrap(), number);
        for wrong in
            [format!("\"0{number}\""), format!("-{number}"), format!("\"{number}.0\""), "99".to_owned()]
        {
            questions.answer(response(&wrong));
        }
        assert!(one.filled().now_or_never().is_none());
        questions.answer(response(&number.to_string()));
        questions.answer(response(&number.to_string()));
        one.filled().now_or_never().unwrap();
        assert_eq!(one.take().answers.len(), 1);
        assert!(other.filled().now_or_never().is_none());
        questions.end();
        other.filled().now_or_never().unwrap();
        assert!(other.take().ended);
        assert_eq!(questions.open(&one), Err(Unasked::Ended));
    }

    #[test]
    fn an_id_may_come_back_in_quotes() {
        let (questions, mailbox) = (Questions::default(), Arc::default());
        let number = questions.open(&mailbox).unwrap();
        questions.answer(response(&format!("\"{number}\"")));
        questions.answer(response(&number.to_string()));
        let answers = mailbox.take().answers;
        assert_eq!(
            answers.iter().map(|(number, _)| *number).collect::<Vec<_>>(),
            [number],
            "and counts once"
        );
    }

    #[test]
    fn questions_are_bounded() {
        let (questions, mailbox) = (Questions::default(), Arc::default());
        let numbers: Vec<u64> = (0..OPEN).map(|_| questions.open(&mailbox).unwrap()).collect();
        assert_eq!(questions.open(&mailbox), Err(Unasked::TooMany));
        questions.close(numbers[0]);
        assert_eq!(questions.open(&mailbox), Ok(OPEN as u64 + 1), "no number is used twice");
    }
}

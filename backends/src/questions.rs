//! What a server asks of a call's client, until it is answered.

use crate::Message;
use bytes::Bytes;
use weir_protocol::{Envelope, code};

/// So many questions of one call wait for answers; more are refused.
const MOST: usize = 16;
/// So many bytes of them wait; a larger one waits alone.
const BYTES: usize = 4 << 20;

/// The open questions of one call.
#[derive(Debug, Default)]
pub(crate) struct Questions(Vec<Question>);

#[derive(Debug)]
struct Question {
    /// As the server wrote it.
    id: Bytes,
    size: usize,
}

impl Questions {
    /// Takes in `message`, a request of the server; `false` where too many are open, or one of the same id.
    pub(crate) fn add(&mut self, message: &Message) -> bool {
        let Some(id) = message.envelope.id.map(|span| span.of(&message.body)) else {
            return false;
        };
        let size = message.body.len();
        let waiting: usize = self.0.iter().map(|question| question.size).sum();
        let fits = self.0.is_empty() || (self.0.len() < MOST && waiting + size <= BYTES);
        if !fits || self.0.iter().any(|question| question.id == id) {
            return false;
        }
        self.0.push(Question { id: Bytes::copy_from_slice(id), size });
        true
    }

    /// Whether `body` answers one that is open; from now on it is not.
    pub(crate) fn settle(&mut self, body: &[u8]) -> bool {
        let envelope = Envelope::parse(body).ok();
        envelope.and_then(|envelope| envelope.id).is_some_and(|id| self.withdraw(id.of(body)))
    }

    /// Whether the one with this raw `id` is open; from now on it is not.
    pub(crate) fn withdraw(&mut self, id: &[u8]) -> bool {
        let index = self.0.iter().position(|question| question.id == id);
        index.map(|index| self.0.swap_remove(index)).is_some()
    }

    /// Ends all that are open: what the server is told.
    pub(crate) fn refusals(&mut self) -> Vec<Bytes> {
        let words = "the call that this belongs to has ended";
        let refuse =
            |question: Question| code::error_answer(Some(&question.id), code::SERVER_ERROR, words, None);
        std::mem::take(&mut self.0).into_iter().map(refuse).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn question(id: &str, size: usize) -> Message {
        let fill = "x".repeat(size);
        let body =
            format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"roots/list","params":{{"x":"{fill}"}}}}"#);
        Message::parse(Bytes::from(body)).unwrap()
    }

    fn answer(id: &str) -> String {
        format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{{}}}}"#)
    }

    #[test]
    fn only_so_many_are_open() {
        let mut questions = Questions::default();
        assert!((0..MOST).all(|id| questions.add(&question(&id.to_string(), 1))));
        assert!(!questions.add(&question("\"x\"", 1)));
        assert!(!questions.settle(answer("\"1\"").as_bytes()), "a number is no text");
        assert!(questions.settle(answer("1").as_bytes()));
        assert!(!questions.settle(answer("1").as_bytes()), "it is answered once");
        assert!(questions.add(&question("\"x\"", 1)));
        assert_eq!(questions.refusals().len(), MOST);
        assert!(questions.refusals().is_empty());
    }

    #[test]
    fn large_ones_wait_alone() {
        let mut questions = Questions::default();
        assert!(questions.add(&question("1", 2 * BYTES)));
        assert!(!questions.add(&question("2", 1)));
        assert!(questions.settle(answer("1").as_bytes()));
        assert!(questions.add(&question("2", 1)));
        assert!(!questions.add(&question("2", 1)), "nobody could tell the answers apart");
    }
}

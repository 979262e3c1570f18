//! Whose answer a message was that is too long to be read: one oversized answer must not cost other calls anything.

/// How much of the beginning and of the end of such a message is looked at, in bytes.
pub(crate) const TAIL: usize = 256;

/// The number of the request that a message too long to be read answers, where its beginning or end shows it. Most
/// servers write `id` before or right behind the result. A request of the server's own has a number of its own too, which
/// says nothing.
pub(crate) fn id_of(head: &[u8], tail: &[u8]) -> Option<u64> {
    let head = std::str::from_utf8(head.get(..head.len().min(TAIL))?).ok()?;
    let tail = String::from_utf8_lossy(tail);
    // Before the first nested object the members are the message's own; behind the last one too.
    let own_head = head.get(1..)?.split('{').next()?;
    let own_tail =
        tail.trim_end().strip_suffix('}').and_then(|tail| tail.rsplit('}').next()).unwrap_or_default();
    let own = [own_head, own_tail];
    if own.iter().any(|members| members.contains("\"method\"")) {
        return None;
    }
    own.into_iter().find_map(|members| {
        let value = members.split("\"id\":").nth(1)?.trim_start();
        let digits = value.split(|letter: char| !letter.is_ascii_digit()).next()?;
        digits.parse().ok()
    })
}

/// The number of the request that a message answers which is not valid, where it looks like an answer at all.
pub(crate) fn id_of_broken(message: &[u8]) -> Option<u64> {
    let message = message.trim_ascii();
    let has = |key: &[u8]| memchr::memmem::find(message, key).is_some();
    let answers = message.starts_with(b"{") && has(b"\"jsonrpc\"") && !has(b"\"method\"");
    if answers { id_of(message, message) } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn its_beginning_or_end_tells() {
        let table: [(&[u8], &[u8], Option<u64>); 7] = [
            (br#"{"jsonrpc":"2.0","id":17,"result":{"content":"#, b"xxxx\"}]}}", Some(17)),
            (br#"{"result":{"id":3,"x":"#, br#"xx"}]},"jsonrpc":"2.0","id":18}"#, Some(18)),
            (br#"{"result":{"id":3,"x":"#, br#"xx","id":4}]}}"#, None),
            (
                br#"{"jsonrpc":"2.0","id":17,"method":"elicitation/create","params":{"x":"#,
                b"xxxx\"}]}}",
                None,
            ),
            (br#"{"id":17,"params":{"id":3,"x":"#, br#"xx"}]},"jsonrpc":"2.0","method":"ping"}"#, None),
            (br#"{"method":"ping","params":{"id":3,"x":"#, br#"xx"}]},"jsonrpc":"2.0","id":18}"#, None),
            (b"garbage", b"garbage", None),
        ];
        for (head, tail, id) in table {
            assert_eq!(id_of(head, tail), id, "{}", String::from_utf8_lossy(head));
        }
    }

    #[test]
    fn whose_a_broken_message_was() {
        let table: [(&[u8], Option<u64>); 6] = [
            (br#"{"jsonrpc":"2.0","id":17,"result":"text"}"#, Some(17)),
            (br#"{"jsonrpc":"2.0","id":17,"result":{"content":["#, Some(17)),
            (br#"{"id":17,"level":"info"}"#, None),
            (br#"{"jsonrpc":"2.0","id":17,"method":7}"#, None),
            (br#"> {"jsonrpc":"2.0","id":17,"result":{}}"#, None),
            (b"garbage", None),
        ];
        for (message, id) in table {
            assert_eq!(id_of_broken(message), id, "{}", String::from_utf8_lossy(message));
        }
    }

    proptest! {
        #[test]
        fn a_long_answer_is_told_by_its_own_id_alone(
            id in any::<u32>(),
            inner in any::<u32>(),
            filler in "[a-z ]{300,400}",
            first in any::<bool>(),
        ) {
            let result = format!(r#""result":{{"id":{inner},"x":["{filler}"],"y":{{"id":{inner}}}}}"#);
            let line = if first {
                format!(r#"{{"jsonrpc":"2.0","id":{id},{result}}}"#)
            } else {
                format!(r#"{{{result},"jsonrpc":"2.0","id":{id}}}"#)
            };
            prop_assert_eq!(id_of(line.as_bytes(), &line.as_bytes()[line.len() - TAIL..]), Some(u64::from(id)));
        }

        #[test]
        fn no_bytes_make_the_search_panic(
            head in prop::collection::vec(any::<u8>(), 0..300),
            tail in "[{}\":id0-9 é]{0,40}",
        ) {
            let _ = (id_of(&head, tail.as_bytes()), id_of(tail.as_bytes(), &head));
        }
    }
}

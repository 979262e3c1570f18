//! Cursors: nothing that weir did not write is read, whatever it looks like.

#![no_main]

use libfuzzer_sys::fuzz_target;
use std::sync::LazyLock;
use weir_protocol::cursor::{Cursor, CursorCodec};

static CODEC: LazyLock<CursorCodec> = LazyLock::new(CursorCodec::default);

fuzz_target!(|data: &[u8]| {
    if let Ok(text) = std::str::from_utf8(data) {
        assert_eq!(CODEC.decode(text, b"owner"), None, "its key is not known, so nobody can have written it");
    }
    let number = |from: usize| {
        data.get(from..)
            .into_iter()
            .flatten()
            .take(8)
            .fold(0u64, |number, &byte| number << 8 | u64::from(byte))
    };
    let cursor = Cursor { list: number(0) as u32, generation: number(4), offset: number(12) as u32 };
    let written = CODEC.encode(cursor, b"owner");
    assert_eq!(CODEC.decode(&written, b"owner"), Some(cursor));
    assert_eq!(CODEC.decode(&written, data), (data == b"owner").then_some(cursor));
    assert!(written.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte)));
    let at = number(16) as usize % written.len();
    for letter in [b'A', b'_', b'=', b' '] {
        let mut forged = written.clone().into_bytes();
        if forged[at] != letter {
            forged[at] = letter;
            assert_eq!(CODEC.decode(std::str::from_utf8(&forged).expect("it is ASCII"), b"owner"), None);
        }
    }
    assert_eq!(CODEC.decode(&format!("{written}A"), b"owner"), None);
    assert_eq!(CODEC.decode(&written[1..], b"owner"), None);
});

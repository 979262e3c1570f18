//! Values that mirror the body: every text has a header value, from which it is read back.

#![no_main]

use http::HeaderValue;
use libfuzzer_sys::fuzz_target;
use weir_protocol::headers::{decode, encode};

fuzz_target!(|text: &str| {
    let value = encode(text);
    let legal = HeaderValue::from_str(&value).expect("it is a header value");
    // Nothing on the way may trim it.
    assert_eq!(legal.to_str().expect("it is visible ASCII").trim(), value);
    assert!(!value.is_empty());
    assert_eq!(decode(&value).as_deref(), Some(text));
    if let Some(read) = decode(text) {
        assert_eq!(decode(&encode(&read)).as_deref(), Some(&*read));
    }
});

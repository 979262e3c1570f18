//! Signed tokens: what is read was written in the only way there is, and says the same to every reader.

#![no_main]

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use libfuzzer_sys::fuzz_target;
use serde_json::Value;
use weir_policies::Token;

fuzz_target!(|data: &[u8]| {
    if let Ok(text) = std::str::from_utf8(data) {
        check(text);
        // As a whole token it is rarely one: so its lines are taken for the parts of one too.
        let mut lines = text.splitn(3, '\n');
        let parts = [lines.next(), lines.next(), lines.next()].map(Option::unwrap_or_default);
        check(&parts.map(|part| URL_SAFE_NO_PAD.encode(part)).join("."));
    }
});

fn check(text: &str) {
    let Ok(token) = Token::read(text) else {
        return;
    };
    assert_eq!(format!("{}.{}", token.message, token.signature), text);
    let parts: Vec<&str> = text.split('.').collect();
    let [header, claims, _] = parts[..] else { panic!("it has {} parts", parts.len()) };
    let decoded: Vec<Vec<u8>> =
        parts.iter().map(|part| URL_SAFE_NO_PAD.decode(part).expect("it is base64url")).collect();
    for (part, bytes) in parts.iter().zip(&decoded) {
        assert_eq!(*part, URL_SAFE_NO_PAD.encode(bytes), "there is one way to write it");
    }
    let plain = |bytes: &[u8]| serde_json::from_slice::<Value>(bytes).expect("it is JSON");
    assert_eq!(plain(&decoded[1]), Value::Object(token.claims));
    let head = plain(&decoded[0]);
    assert_eq!(head["alg"], token.algorithm.as_str());
    assert_eq!(head.get("kid").and_then(Value::as_str), token.key_id.as_deref());
    assert!(head.get("crit").is_none() && head.get("enc").is_none());
    // A part more, a part less, other letters: no longer a token, or another one.
    assert!(Token::read(&format!("{text}.AAAA")).is_err());
    assert!(Token::read(&format!("{header}.{claims}")).is_err());
    assert!(Token::read(&format!("{text}=")).is_err());
    assert!(Token::read(&format!(" {text}")).is_err());
}

use super::*;
use crate::SessionKey;
use weir_protocol::Envelope;

fn call(body: &str, rename: Option<&str>) -> Call {
    let body = Bytes::copy_from_slice(body.as_bytes());
    let envelope = Envelope::parse(&body).unwrap();
    let name = envelope.params.as_ref().and_then(|params| params.name).unwrap();
    Call {
        meta: envelope.meta(&body).unwrap(),
        method: envelope.method(&body),
        target: None,
        rename: rename.map(|to| (name, Bytes::copy_from_slice(to.as_bytes()))),
        session: SessionKey::Shared,
        repeatable: false,
        envelope,
        body,
    }
}

fn built(body: &str, rename: Option<&str>, era: Era) -> String {
    String::from_utf8(of_call(&call(body, rename), 7, era).to_vec()).unwrap()
}

const LEGACY: &str = r#"{"method":"tools/call","jsonrpc":"2.0","id":"x","params":{"name":"a_echo", "arguments":{"z":1e400,"a":12345678901234567890123},"new":[1]}}"#;

#[test]
fn only_the_named_bytes_change() {
    assert_eq!(
        built(LEGACY, Some("\"echo\""), Era::Legacy),
        r#"{"method":"tools/call","jsonrpc":"2.0","id":7,"params":{"name":"echo", "arguments":{"z":1e400,"a":12345678901234567890123},"new":[1]}}"#
    );
}

#[test]
fn a_legacy_call_becomes_modern() {
    let hop = hop_members();
    assert_eq!(
        built(LEGACY, None, Era::Modern),
        LEGACY
            .replace(r#""id":"x""#, r#""id":7"#)
            .replace(r#""params":{"#, &format!(r#""params":{{"_meta":{{{hop}}},"#))
    );
    let with_token = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"_meta":{"progressToken":"t","k":1},"name":"n"}}"#;
    assert_eq!(
        built(with_token, None, Era::Modern),
        format!(
            r#"{{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{{"_meta":{{{hop},"progressToken":7,"k":1}},"name":"n"}}}}"#
        )
    );
    for odd in ["{}", r#"{"io.modelcontextprotocol/logLevel":"info"}"#] {
        let body = format!(
            r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"_meta":{odd},"name":"n"}}}}"#
        );
        let value: serde_json::Value = serde_json::from_str(&built(&body, None, Era::Modern)).unwrap();
        assert_eq!(
            value["params"]["_meta"]["io.modelcontextprotocol/protocolVersion"], "2026-07-28",
            "{odd}"
        );
    }
}

#[test]
fn a_modern_call_declares_only_what_weir_relays() {
    let modern = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"n","_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{"sampling":{}},"traceparent":"00"}}}"#;
    let sent: serde_json::Value = serde_json::from_str(&built(modern, None, Era::Modern)).unwrap();
    assert_eq!(sent["params"]["_meta"]["io.modelcontextprotocol/clientCapabilities"], serde_json::json!({}));
    assert_eq!(sent["params"]["_meta"]["traceparent"], "00");
    assert_eq!(
        built(modern, None, Era::Legacy),
        r#"{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"n","_meta":{"traceparent":"00"}}}"#
    );
}

#[test]
fn own_requests_are_json() {
    for era in [Era::Legacy, Era::Modern] {
        for members in
            [String::new(), initialize_members(), LISTEN_MEMBERS.to_owned(), r#""cursor":"x""#.to_owned()]
        {
            let body = request(3, "tools/list", &members, era);
            assert!(Envelope::parse(&body).is_ok(), "{body:?}");
        }
    }
    assert!(Envelope::parse(&cancelled(9)).is_ok() && Envelope::parse(INITIALIZED).is_ok());
}

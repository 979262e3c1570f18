use super::*;
use crate::SessionKey;
use proptest::prelude::*;
use serde_json::{Value, json};
use weir_protocol::{Envelope, Logs};

fn call(body: &str, rename: Option<&str>) -> Call {
    let body = Bytes::copy_from_slice(body.as_bytes());
    let envelope = Envelope::parse(&body).unwrap();
    let name = envelope.params.as_ref().and_then(|params| params.name).unwrap();
    Call {
        passed_on: Vec::new(),
        mirrors: None,
        meta: envelope.meta(&body).unwrap(),
        method: envelope.method(&body),
        target: None,
        rename: rename.map(|to| (name, Bytes::copy_from_slice(to.as_bytes()))),
        arguments: None,
        session: SessionKey::Shared,
        repeatable: false,
        logs: Logs::Unwanted,
        capabilities: ClientCapabilities::NONE,
        input: None,
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
fn a_modern_server_is_told_what_level_a_call_wants() {
    let key = r#""io.modelcontextprotocol/logLevel""#;
    for (logs, level) in [(Logs::Unsaid, "info"), (Logs::From(weir_protocol::Level::Error), "error")] {
        for body in [
            LEGACY,
            r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"_meta":{"k":1},"name":"n"}}"#,
        ] {
            let call = Call { logs, ..call(body, None) };
            let built = |era| String::from_utf8(of_call(&call, 7, era).to_vec()).unwrap();
            assert!(built(Era::Modern).contains(&format!(r#"{key}:"{level}""#)), "{}", built(Era::Modern));
            assert!(!built(Era::Legacy).contains(key));
        }
    }
    assert!(!built(LEGACY, None, Era::Modern).contains(key));
    let modern = format!(
        r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"_meta":{{"{}":"2026-07-28",{key}: "debug","{}":{{}}}},"name":"n"}}}}"#,
        meta::PROTOCOL_VERSION,
        meta::CLIENT_CAPABILITIES
    );
    assert_eq!(built(&modern, None, Era::Modern), modern.replace("\"id\":1", "\"id\":7"));
}

#[test]
fn a_legacy_call_becomes_modern() {
    let hop = hop_members(Logs::Unwanted, ClientCapabilities::NONE);
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
fn a_wish_for_a_task_of_2025_11_25_goes_no_further() {
    for task in [r#","task":{"ttl":60000}"#, r#","task":7"#] {
        let body = LEGACY.replace("[1]", &format!("[1]{task}"));
        for era in [Era::Legacy, Era::Modern] {
            assert_eq!(built(&body, None, era), built(LEGACY, None, era), "{task}");
        }
    }
}

#[test]
fn own_requests_are_json() {
    for era in [Era::Legacy, Era::Modern] {
        for members in
            [String::new(), initialize_members(ClientCapabilities::LISTING), r#""cursor":"x""#.to_owned()]
        {
            let body = request(3, "tools/list", &members, era);
            assert!(Envelope::parse(&body).is_ok(), "{body:?}");
        }
    }
    assert!(Envelope::parse(&cancelled(9)).is_ok() && Envelope::parse(INITIALIZED).is_ok());
}

/// A member of `_meta` as it is written, the hop's own among them.
fn member() -> impl Strategy<Value = (String, String)> {
    let key = prop_oneof![
        Just("progressToken".to_owned()),
        Just(meta::PROTOCOL_VERSION.to_owned()),
        Just(meta::CLIENT_CAPABILITIES.to_owned()),
        Just(meta::CLIENT_INFO.to_owned()),
        Just(meta::LOG_LEVEL.to_owned()),
        "[a-z]{1,3}",
    ];
    let value = prop_oneof![
        Just(r#""2026-07-28""#),
        Just("{}"),
        Just(r#"{ "sampling": {} }"#),
        Just("7"),
        Just("null")
    ];
    (key, value.prop_map(str::to_owned))
}

fn object(members: &[(String, String)], blank: &str) -> String {
    let members: Vec<String> =
        members.iter().map(|(key, value)| format!("{blank}\"{key}\"{blank}:{blank}{value}{blank}")).collect();
    format!("{{{}{blank}}}", members.join(","))
}

/// What `of_call` should make of the message.
fn edited(body: &str, rename: Option<&str>, era: Era) -> Value {
    let mut message: Value = serde_json::from_str(body).unwrap();
    message["id"] = json!(7);
    let params = message["params"].as_object_mut().unwrap();
    if let Some(name) = rename {
        params["name"] = serde_json::from_str(name).unwrap();
    }
    let own: Value =
        serde_json::from_str(&format!("{{{}}}", hop_members(Logs::Unwanted, ClientCapabilities::NONE)))
            .unwrap();
    let own = own.as_object().unwrap();
    if era == Era::Modern {
        params.entry("_meta").or_insert_with(|| json!({}));
    }
    let Some(Value::Object(there)) = params.get_mut("_meta") else {
        return message;
    };
    if let Some(token) = there.get_mut("progressToken") {
        *token = json!(7);
    }
    let modern = there.contains_key(meta::PROTOCOL_VERSION) && there.contains_key(meta::CLIENT_CAPABILITIES);
    match era {
        Era::Modern if modern => {
            for key in [meta::PROTOCOL_VERSION, meta::CLIENT_CAPABILITIES] {
                there[key] = own[key].clone();
            }
        }
        _ => {
            there.retain(|key, _| !own.contains_key(key) && key != meta::LOG_LEVEL);
            if era == Era::Modern {
                there.extend(own.clone());
            }
        }
    }
    message
}

proptest! {
    #[test]
    fn a_call_reads_as_if_its_tree_had_been_edited(
        members in prop::option::of(prop::collection::vec(member(), 0..7)),
        at in 0usize..3,
        rename in prop::option::of(prop_oneof![Just("\"echo\""), Just(r#""a\"b""#), Just("\"\"")]),
        blank in prop_oneof![Just(""), Just(" "), Just("\n\t")],
        modern in any::<bool>(),
    ) {
        let mut params = vec![
            ("name".to_owned(), "\"n\"".to_owned()),
            ("arguments".to_owned(), r#"{"z" : 12345678901234567890123, "_meta":{"progressToken":1}}"#.to_owned()),
        ];
        if let Some(mut members) = members {
            let mut keys = std::collections::BTreeSet::new();
            members.retain(|(key, _)| keys.insert(key.clone()));
            params.insert(at, ("_meta".to_owned(), object(&members, blank)));
        }
        let arguments = params.iter().find(|(key, _)| key == "arguments").unwrap().1.clone();
        let body = format!(r#"{{"method":"tools/call","params":{blank}{},"jsonrpc":"2.0","id":"x"}}"#, object(&params, blank));
        let era = if modern { Era::Modern } else { Era::Legacy };
        let sent = built(&body, rename, era);
        prop_assert_eq!(serde_json::from_str::<Value>(&sent).unwrap(), edited(&body, rename, era), "{}", sent);
        prop_assert!(sent.contains(&arguments), "arguments are never touched: {}", sent);
        prop_assert!(Envelope::parse(sent.as_bytes()).is_ok());
    }
}

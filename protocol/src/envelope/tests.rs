use super::*;

fn parse(body: &str) -> Result<Envelope, EnvelopeError> {
    Envelope::parse(body.as_bytes())
}

#[test]
fn a_call_is_read_as_spans() {
    let body = r#" {"jsonrpc":"2.0", "id" : "a\"b", "method":"tools/call","params":{"name":"echo",
        "arguments":{"n":12345678901234567890123,"name":"inner"},"_meta":{"progressToken":7}},"x":[1]} "#;
    let envelope = parse(body).unwrap();
    let bytes = body.as_bytes();
    assert_eq!(envelope.kind, Kind::Request);
    assert_eq!(envelope.id.unwrap().of(bytes), br#""a\"b""#);
    assert_eq!(envelope.method(bytes), Method::ToolsCall);
    let params = envelope.params.as_ref().unwrap();
    assert_eq!(params.name.unwrap().text(bytes), r#""echo""#);
    assert_eq!(params.arguments.unwrap().text(bytes), r#"{"n":12345678901234567890123,"name":"inner"}"#);
    assert!(body[params.start..].starts_with(r#""name""#));
    let meta = envelope.meta(bytes).unwrap().unwrap();
    assert_eq!(meta.progress_token.unwrap().text(bytes), "7");
}

#[test]
fn kinds() {
    let table = [
        (r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#, Kind::Request),
        (r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#, Kind::Notification),
        (r#"{"jsonrpc":"2.0","id":1,"result":{}}"#, Kind::Response),
        (r#"{"jsonrpc":"2.0","id":null,"error":{"code":1,"message":"m"}}"#, Kind::Response),
        (r#"{"m\u0065thod":"ping","jsonrpc":"2.0","id":-3}"#, Kind::Request),
    ];
    for (body, kind) in table {
        assert_eq!(parse(body).unwrap().kind, kind, "{body}");
    }
}

#[test]
fn null_is_absence() {
    let read = |body: &str| {
        let envelope = parse(body).unwrap();
        (envelope.kind, envelope.params.is_some(), envelope.result.is_some(), envelope.error.is_some())
    };
    let table = [
        (r#"{"jsonrpc":"2.0","id":1,"result":{"a":1},"error":null}"#, (Kind::Response, false, true, false)),
        (
            r#"{"jsonrpc":"2.0","id":1,"result":null,"error":{"code":1}}"#,
            (Kind::Response, false, false, true),
        ),
        (r#"{"jsonrpc":"2.0","method":"x","params":null}"#, (Kind::Notification, false, false, false)),
    ];
    for (body, expected) in table {
        assert_eq!(read(body), expected, "{body}");
    }
    let body = r#"{"jsonrpc":"2.0","error":null,"id":1,"result": {"tools":[]}}"#;
    let start = parse(body).unwrap().result.unwrap().start;
    assert!(body[start..].starts_with(r#""tools""#));
}

#[test]
fn what_is_no_message_says_why() {
    let table = [
        ("", -32700, "EOF"),
        ("{", -32700, "EOF"),
        ("nonsense", -32700, "expected"),
        ("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\"} x", -32700, "trailing"),
        ("[]", -32600, "batches"),
        ("[1,", -32700, "EOF"),
        ("7", -32600, "JSON-RPC message"),
        ("{}", -32600, "jsonrpc"),
        (r#"{"jsonrpc":"1.0","id":1,"method":"ping"}"#, -32600, "2.0"),
        (r#"{"jsonrpc":"2.0","id":null,"method":"ping"}"#, -32600, "`id`"),
        (r#"{"jsonrpc":"2.0","id":1.5,"method":"ping"}"#, -32600, "`id`"),
        (r#"{"jsonrpc":"2.0","id":{},"method":"ping"}"#, -32600, "`id`"),
        (r#"{"jsonrpc":"2.0","id":"\ud800","method":"ping"}"#, -32600, "`id`"),
        (r#"{"jsonrpc":"2.0","id":1,"method":7}"#, -32600, "`method`"),
        (r#"{"jsonrpc":"2.0","id":1}"#, -32600, "`method`"),
        (r#"{"jsonrpc":"2.0","id":1,"result":null}"#, -32600, "`result`"),
        (r#"{"jsonrpc":"2.0","method":"x","params":null,"params":{}}"#, -32600, "duplicate key `params`"),
        (r#"{"jsonrpc":"2.0","id":1,"id":2,"method":"ping"}"#, -32600, "duplicate key `id`"),
        (r#"{"jsonrpc":"2.0","id":1,"method":"x","params":[]}"#, -32600, "`params`"),
        (
            r#"{"jsonrpc":"2.0","id":1,"method":"x","params":{"name":"a","n\u0061me":"b"}}"#,
            -32600,
            "duplicate key `name`",
        ),
        (r#"{"jsonrpc":"2.0","id":1,"method":"x","params":{"_meta":3}}"#, -32600, "_meta"),
        (r#"{"jsonrpc":"2.0","id":1,"method":"x","p\u0061rams":{}}"#, -32600, "plainly"),
        (r#"{"jsonrpc":"2.0","id":1,"result":{},"error":{}}"#, -32600, "not both"),
        ("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"a\u{0}\"}", -32700, "control character"),
    ];
    for (body, code, text) in table {
        let error = parse(body).unwrap_err();
        assert_eq!(error.code(), code, "{body}: {error}");
        assert!(error.to_string().contains(text), "{body}: {error}");
    }
    assert_eq!(Envelope::parse(b"{\"a\":\"\xff\"}").unwrap_err().code(), -32700);
}

#[test]
fn a_key_is_not_written_in_another_case() {
    let guises = |key: &str| {
        let mut guises = vec![key.to_ascii_uppercase()];
        guises.extend(
            [('s', "\u{17f}"), ('k', "\u{212a}"), ('i', "\u{130}"), ('i', "\\u0131")]
                .map(|(plain, other)| key.replacen(plain, other, 1)),
        );
        guises.retain(|guise| guise != key);
        guises
    };
    let refused = |body: String, key: &str| {
        let error = parse(&body).unwrap_err();
        assert_eq!(error.code(), -32600, "{body}: {error}");
        assert!(error.to_string().contains(&format!("differs from `{key}` in case")), "{body}: {error}");
    };
    for key in KEYS {
        for guise in guises(key) {
            refused(format!(r#"{{"jsonrpc":"2.0","id":1,"method":"x","{guise}":{{"a":1}}}}"#), key);
            refused(format!(r#"{{"{guise}":77,"jsonrpc":"2.0","id":1,"result":{{}}}}"#), key);
        }
    }
    for key in PARAMS {
        let body =
            |key: &str| format!(r#"{{"jsonrpc":"2.0","id":1,"method":"x","params":{{"{key}":{{}}}}}}"#);
        for guise in guises(key) {
            refused(body(&guise), key);
        }
        assert!(parse(&body(key)).is_ok(), "{key}");
        assert!(parse(&body(&format!("{key}s"))).is_ok(), "{key}");
    }
    // What weir does not read is written as its reader likes.
    assert!(
        parse(
            r#"{"jsonrpc":"2.0","id":1,"method":"x","x":1,"X":2,"params":{"arguments":{"Name":1,"name":2}}}"#
        )
        .is_ok()
    );
}

#[test]
fn deep_nesting_does_not_overflow() {
    let body = format!(
        r#"{{"jsonrpc":"2.0","id":1,"method":"x","params":{{"a":{}{}}}}}"#,
        "[".repeat(200_000),
        "]".repeat(200_000)
    );
    assert!(parse(&body).is_ok());
    assert!(json::deeper_than(body.as_bytes(), 64));
}

#[test]
fn heads_stay_small() {
    // They are moved about on every call.
    assert!(size_of::<Envelope>() <= 264, "{}", size_of::<Envelope>());
}

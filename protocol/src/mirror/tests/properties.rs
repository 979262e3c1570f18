//! What weir writes as headers is what it accepts as headers, and no other value passes for it.

use crate::Mirrors;
use proptest::prelude::*;
use serde_json::{Value, json};

const LARGEST: i64 = (1 << 53) - 1;

fn mirrors() -> Mirrors {
    let schema = json!({"properties": {
        "s": {"type": "string", "x-mcp-header": "S"},
        "i": {"type": "integer", "x-mcp-header": "I"},
        "b": {"type": "boolean", "x-mcp-header": "B"},
        "o": {"properties": {"n": {"type": "string", "x-mcp-header": "N"}}},
    }});
    Mirrors::of_schema(schema.to_string().as_bytes()).unwrap().unwrap()
}

fn arguments() -> impl Strategy<Value = Value> {
    let nullable = |value: Option<Value>| value.unwrap_or(Value::Null);
    (
        prop::option::of(".*".prop_map(Value::from)).prop_map(nullable),
        prop::option::of((-LARGEST..=LARGEST).prop_map(Value::from)).prop_map(nullable),
        prop::option::of(any::<bool>().prop_map(Value::from)).prop_map(nullable),
        prop::option::of(".*".prop_map(Value::from)).prop_map(nullable),
    )
        .prop_map(|(s, i, b, n)| json!({"s": s, "i": i, "b": b, "o": {"n": n}, "other": [1, {"s": "x"}]}))
}

fn agree(mirrors: &Mirrors, written: &Value, read: &Value) -> bool {
    let (written, read) = (written.to_string(), read.to_string());
    let headers = mirrors.headers(Some(written.as_bytes())).unwrap();
    for (_, value) in &headers {
        assert!(value.bytes().all(|byte| (0x20..0x7f).contains(&byte)), "{value:?} may stand in a header");
    }
    let sent = |name: &str| -> Vec<Option<&str>> {
        headers.iter().filter(|(known, _)| *known == name).map(|(_, value)| Some(value.as_str())).collect()
    };
    mirrors.check(Some(read.as_bytes()), |name| sent(name).into_iter()).is_ok()
}

proptest! {
    #[test]
    fn headers_agree_with_their_own_arguments_alone(one in arguments(), other in arguments()) {
        let mirrors = mirrors();
        prop_assert!(agree(&mirrors, &one, &one));
        prop_assert_eq!(agree(&mirrors, &one, &other), one == other);
    }

    #[test]
    fn no_bytes_make_the_readers_panic(bytes in prop::collection::vec(any::<u8>(), 0..200), text in ".*") {
        let _ = Mirrors::of_schema(&bytes);
        let _ = mirrors().headers(Some(&bytes));
        let _ = mirrors().check(Some(text.as_bytes()), |_| std::iter::once(Some(text.as_str())));
    }
}

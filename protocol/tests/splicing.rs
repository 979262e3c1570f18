//! A spliced message means what the parsed and edited one means, and its untouched bytes stay as they were.

use proptest::prelude::*;
use serde_json::{Value, json};
use weir_protocol::{Envelope, Method, Splice};

/// Any JSON value, a few levels deep.
fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        ".*".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 32, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::btree_map(".*", inner, 0..6).prop_map(|map| json!(map)),
        ]
    })
}

proptest! {
    #[test]
    fn a_call_is_renamed_and_renumbered(
        id in prop_oneof![any::<i64>().prop_map(Value::from), ".{0,40}".prop_map(Value::from)],
        name in ".*",
        new_name in ".*",
        arguments in prop::collection::btree_map(".*", value(), 0..6),
        pretty in any::<bool>(),
    ) {
        let call = json!({
            "jsonrpc": "2.0", "id": id, "method": "tools/call",
            "params": {"name": name, "arguments": arguments, "other": [name]},
        });
        let body = if pretty { serde_json::to_vec_pretty(&call) } else { serde_json::to_vec(&call) }.unwrap();
        let envelope = Envelope::parse(&body).unwrap();
        prop_assert_eq!(envelope.method(&body), Method::ToolsCall);
        let params = envelope.params.as_ref().unwrap();
        let untouched = params.arguments.unwrap().of(&body).to_vec();

        let mut splice = Splice::new(&body);
        splice.replace(envelope.id.unwrap(), &b"7"[..]);
        splice.replace(params.name.unwrap(), weir_protocol::json::string(&new_name));
        let spliced = splice.finish();

        let mut edited = call;
        edited["id"] = json!(7);
        edited["params"]["name"] = json!(new_name);
        prop_assert_eq!(serde_json::from_slice::<Value>(&spliced).unwrap(), edited);
        let again = Envelope::parse(&spliced).unwrap();
        prop_assert_eq!(again.params.unwrap().arguments.unwrap().of(&spliced), &untouched[..]);
    }

    #[test]
    fn no_bytes_make_the_reader_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        if let Ok(envelope) = Envelope::parse(&bytes) {
            let _ = envelope.meta(&bytes);
        }
    }
}

//! A spliced message means what the parsed and edited one means, and its untouched bytes stay as they were.

use proptest::prelude::*;
use serde_json::{Value, json};
use weir_protocol::item::{Item, ItemChange};
use weir_protocol::{Envelope, Method, Splice, meta};

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

/// An object as it is written: its members in this order, with white space between the tokens.
fn object(members: &[(String, Value)], blank: &str) -> String {
    let member =
        |(key, value): &(String, Value)| format!("{blank}{}{blank}:{blank}{value}{blank}", json!(key));
    format!("{{{}{blank}}}", members.iter().map(member).collect::<Vec<_>>().join(","))
}

/// Members, each key once; the known ones often among them.
fn members(known: &[&'static str]) -> impl Strategy<Value = Vec<(String, Value)>> {
    let key =
        prop_oneof![3 => prop::sample::select(known.to_vec()).prop_map(str::to_owned), 1 => "[a-z\"é]{0,3}"];
    prop::collection::vec((key, value()), 0..8).prop_map(|mut members| {
        let mut seen = std::collections::BTreeSet::new();
        members.retain(|(key, _)| seen.insert(key.clone()));
        members
    })
}

fn blank() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec!["", " ", "\r\n\t"])
}

proptest! {
    #[test]
    fn a_result_changes_its_era(
        mut result in members(&["resultType", "ttlMs", "cacheScope", "content", "tools", "isError"]),
        meta in prop::option::of(members(&[meta::SERVER_INFO, "k"])),
        at in 0usize..8,
        cacheable in any::<bool>(),
        blank in blank(),
    ) {
        if let Some(meta) = &meta {
            let meta = Value::Object(meta.iter().cloned().collect());
            result.insert(at.min(result.len()), ("_meta".to_owned(), meta));
        }
        let body = format!(r#"{{"jsonrpc":"2.0","result":{blank}{},"id":1}}"#, object(&result, blank));
        let head = Envelope::parse(body.as_bytes()).unwrap().result.unwrap();

        let mut splice = Splice::new(body.as_bytes());
        head.make_legacy(&mut splice, body.as_bytes());
        let kept: Vec<(String, Value)> = result
            .iter()
            .filter(|(key, _)| !["resultType", "ttlMs", "cacheScope"].contains(&key.as_str()))
            .cloned()
            .collect();
        if kept.len() == result.len() {
            prop_assert!(splice.is_untouched());
        }
        let legacy: Value = serde_json::from_slice(&splice.finish()).unwrap();
        prop_assert_eq!(&legacy["result"], &Value::Object(kept.into_iter().collect()), "{}", body);

        let mut splice = Splice::new(body.as_bytes());
        head.make_modern(&mut splice, body.as_bytes(), cacheable, r#"{"name":"weir"}"#).unwrap();
        let modern: Value = serde_json::from_slice(&splice.finish()).unwrap();
        let mut expected: serde_json::Map<String, Value> = result.into_iter().collect();
        let mut default = |key: &str, value: Value| {
            expected.entry(key).or_insert(value);
        };
        default("resultType", json!("complete"));
        if cacheable {
            default("ttlMs", json!(0));
            default("cacheScope", json!("private"));
        }
        default("_meta", json!({}));
        expected["_meta"][meta::SERVER_INFO] = json!({"name": "weir"});
        prop_assert_eq!(&modern["result"], &Value::Object(expected), "{}", body);
    }

    #[test]
    fn the_hop_is_taken_out_of_meta(
        members in members(&[
            meta::PROTOCOL_VERSION, meta::CLIENT_CAPABILITIES, meta::CLIENT_INFO, meta::LOG_LEVEL,
            meta::RELATED_TASK, "progressToken",
        ]),
        blank in blank(),
    ) {
        let body = format!(
            r#"{{"jsonrpc":"2.0","method":"m","params":{{"_meta":{blank}{},"x":1}}}}"#,
            object(&members, blank)
        );
        let envelope = Envelope::parse(body.as_bytes()).unwrap();
        let read = envelope.meta(body.as_bytes()).unwrap().unwrap();
        let mut splice = Splice::new(body.as_bytes());
        read.strip_hop(&mut splice, body.as_bytes());
        let stripped: Value = serde_json::from_slice(&splice.finish()).unwrap();
        let hop = [meta::PROTOCOL_VERSION, meta::CLIENT_CAPABILITIES, meta::CLIENT_INFO, meta::LOG_LEVEL, meta::RELATED_TASK];
        let kept: serde_json::Map<String, Value> =
            members.into_iter().filter(|(key, _)| !hop.contains(&key.as_str())).collect();
        prop_assert_eq!(read.is_only_hop(), kept.is_empty());
        prop_assert_eq!(&stripped["params"]["_meta"], &Value::Object(kept));
        prop_assert_eq!(&stripped["params"]["x"], &json!(1));
    }

    #[test]
    fn an_item_is_changed(
        mut item in members(&["name", "title", "description", "inputSchema"]),
        annotations in prop::option::of(members(&["readOnlyHint", "title"])),
        name in prop::option::of(".{0,5}"),
        title in prop::option::of(".{0,5}"),
        set in members(&["readOnlyHint", "idempotentHint"]),
        blank in blank(),
    ) {
        if let Some(annotations) = annotations {
            item.push(("annotations".to_owned(), Value::Object(annotations.into_iter().collect())));
        }
        let raw = object(&item, blank);
        let change = ItemChange {
            name: name.clone(),
            title: title.clone(),
            annotations: set.iter().map(|(key, value)| (key.clone(), value.to_string())).collect(),
            ..ItemChange::default()
        };
        let changed = Item::parse(raw.clone().into()).unwrap().changed(&change);
        if change == ItemChange::default() {
            prop_assert_eq!(&changed[..], raw.as_bytes());
        }
        let mut expected = Value::Object(item.into_iter().collect());
        let mut put = |key: &str, value: Option<String>| {
            if let Some(value) = value {
                expected[key] = json!(value);
            }
        };
        put("name", name);
        put("title", title);
        for (key, value) in set {
            if !expected["annotations"].is_object() {
                expected["annotations"] = json!({});
            }
            expected["annotations"][key] = value;
        }
        prop_assert_eq!(serde_json::from_slice::<Value>(&changed).unwrap(), expected, "{}", raw);
    }

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

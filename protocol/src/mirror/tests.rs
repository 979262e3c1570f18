mod properties;

use super::*;
use serde_json::{Value, json};

fn of(properties: Value) -> Result<Option<Mirrors>, AnnotationError> {
    Mirrors::of_schema(json!({"type": "object", "properties": properties}).to_string().as_bytes())
}

fn mirrors() -> Mirrors {
    let schema = json!({
        "region": {"type": "string", "x-mcp-header": "Region"},
        "limit": {"type": "integer", "x-mcp-header": "Limit"},
        "dry": {"type": "boolean", "x-mcp-header": "Dry-Run"},
        "options": {"type": "object", "properties": {
            "zone": {"type": "string", "x-mcp-header": "Zone"},
            "deep": {"properties": {"er": {"type": "string", "x-mcp-header": "Deeper"}}},
        }},
        "plain": {"type": "string"},
    });
    of(schema).unwrap().unwrap()
}

fn headers(arguments: &str) -> Vec<(String, String)> {
    let mirrors = mirrors();
    let mut headers: Vec<_> = mirrors.headers(Some(arguments.as_bytes())).unwrap();
    headers.sort();
    headers.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

fn check(arguments: &str, sent: &[(&str, &str)]) -> Result<(), Mismatch> {
    let of_name = |name: &str| -> Vec<Option<&str>> {
        sent.iter().filter(|(known, _)| *known == name).map(|(_, value)| Some(*value)).collect()
    };
    mirrors().check(Some(arguments.as_bytes()), |name| of_name(name).into_iter())
}

#[test]
fn schemas_without_annotations_have_no_mirrors() {
    for schema in [
        r#"{"type":"object"}"#,
        r#"{"properties":{"x-mcp-header":{"type":"string"}}}"#,
        r#"{"properties":{"a":{"type":"string","default":{"x-mcp-header":"A"}}}}"#,
        r#"{"properties":{"a":{"type":"object","examples":[{"x-mcp-header":"A"}],"const":{"x-mcp-header":1}}}}"#,
        r#"{"description":"\u00e9"}"#,
        "true",
    ] {
        assert_eq!(Mirrors::of_schema(schema.as_bytes()), Ok(None), "{schema}");
    }
}

#[test]
fn annotations_keep_to_the_rules() {
    let property = |schema: Value| json!({"a": schema});
    let string = |name: Value| property(json!({"type": "string", "x-mcp-header": name}));
    let annotated = json!({"type": "string", "x-mcp-header": "A"});
    use AnnotationError::{Name, TooMany, Twice, Type, Unreachable};
    let a = || "\"a\"".to_owned();
    for name in [json!(""), json!("a b"), json!("a:b"), json!("é"), json!("a\r\nb"), json!(7), json!(null)] {
        assert_eq!(of(string(name.clone())), Err(Name(a())), "{name}");
    }
    for kind in [json!("number"), json!("object"), json!("array"), json!(["string", "null"]), json!(null)] {
        let schema = property(json!({"type": kind, "x-mcp-header": "A"}));
        assert_eq!(of(schema), Err(Type(a())), "{kind}");
    }
    let twice = json!({"a": annotated, "b": {"type": "string", "x-mcp-header": "a"}});
    assert!(matches!(of(twice), Err(Twice(_))));
    for beside in [
        json!({"items": {"properties": {"b": annotated}}}),
        json!({"items": [annotated]}),
        json!({"prefixItems": [annotated]}),
        json!({"anyOf": [annotated, {"type": "null"}]}),
        json!({"oneOf": [{"properties": {"b": annotated}}]}),
        json!({"allOf": [annotated]}),
        json!({"not": annotated}),
        json!({"if": annotated}),
        json!({"then": annotated}),
        json!({"additionalProperties": annotated}),
        json!({"patternProperties": {".*": annotated}}),
        json!({"$defs": {"b": annotated}}),
    ] {
        assert_eq!(of(property(beside.clone())), Err(Unreachable), "{beside}");
    }
    for schema in [annotated.clone(), json!({"$defs": {"b": {"properties": {"c": annotated}}}})] {
        assert_eq!(Mirrors::of_schema(schema.to_string().as_bytes()), Err(Unreachable), "{schema}");
    }
    let many: serde_json::Map<String, Value> = (0..65)
        .map(|number| (format!("p{number}"), json!({"type": "string", "x-mcp-header": format!("H{number}")})))
        .collect();
    assert_eq!(of(Value::Object(many)), Err(TooMany));
    let escaped = r#"{"properties":{"a":{"type":"number","x-mcp-\u0068eader":"A"}}}"#;
    assert_eq!(Mirrors::of_schema(escaped.as_bytes()), Err(Type(a())));
}

#[test]
fn headers_mirror_the_arguments() {
    let own = |headers: &[(&str, &str)]| -> Vec<(String, String)> {
        headers.iter().map(|(name, value)| (format!("mcp-param-{name}"), (*value).to_owned())).collect()
    };
    let arguments = r#" {"region":"us-west1","limit":42.0,"dry":true,"plain":"x",
        "options":{"zone":"Zürich","deep":{"er":" "}}}"#;
    assert_eq!(
        headers(arguments),
        own(&[
            ("deeper", "=?base64?IA==?="),
            ("dry-run", "true"),
            ("limit", "42"),
            ("region", "us-west1"),
            ("zone", "=?base64?WsO8cmljaA==?="),
        ])
    );
    assert_eq!(headers(r#"{"region":null,"options":7,"limit":[1],"dry":{}}"#), []);
    assert_eq!(headers(r#"{"region":5,"limit":"x"}"#), own(&[("limit", "x"), ("region", "5")]));
    assert_eq!(headers("[]"), []);
    assert_eq!(mirrors().headers(None), Ok(vec![]));
    for twice in [r#"{"region":"a","region":"b"}"#, r#"{"options":{},"options":{"zone":"a"}}"#] {
        assert!(matches!(mirrors().headers(Some(twice.as_bytes())), Err(Mismatch::Arguments(_))), "{twice}");
    }
}

#[test]
fn headers_must_agree_with_the_arguments() {
    let region = |value: &'static str| [("mcp-param-region", value)];
    let body = r#"{"region":"us-west1"}"#;
    let named = |make: fn(String) -> Mismatch| Err(make("mcp-param-region".into()));
    assert_eq!(check(body, &region("us-west1")), Ok(()));
    assert_eq!(check(body, &region(" us-west1\t")), Ok(()));
    assert_eq!(check(body, &region("=?base64?dXMtd2VzdDE=?=")), Ok(()));
    assert_eq!(check(body, &region("us-west2")), named(Mismatch::Differs));
    assert_eq!(check(body, &region("US-WEST1")), named(Mismatch::Differs));
    assert_eq!(check(body, &region("=?base64?***?=")), named(Mismatch::Unreadable));
    assert_eq!(check(body, &region("=?base64?dXMtd2VzdDF=?=")), named(Mismatch::Unreadable));
    assert_eq!(check(body, &[]), named(Mismatch::NotOnce));
    assert_eq!(check(body, &[region("us-west1"), region("us-west1")].concat()), named(Mismatch::NotOnce));
    for absent in ["{}", r#"{"region":null}"#] {
        assert_eq!(check(absent, &[]), Ok(()));
        assert_eq!(check(absent, &region("us-west1")), named(Mismatch::Surplus));
        assert_eq!(check(absent, &region("")), named(Mismatch::Surplus));
    }
    assert_eq!(check(r#"{"region":""}"#, &region("")), Ok(()));
    assert_eq!(check("{}", &[("mcp-param-unknown", "x"), ("mcp-param-plain", "y")]), Ok(()));
    assert!(matches!(check(r#"{"region":"a","region":"b"}"#, &region("a")), Err(Mismatch::Arguments(_))));
}

#[test]
fn integers_are_compared_as_numbers() {
    for (body, header, agrees) in [
        ("42", "42.0", true),
        ("42.0", "42", true),
        ("4.2e1", "42", true),
        ("-7", "-7", true),
        ("42", "43", false),
        ("42", "+42", false),
        ("42", "0x2a", false),
        ("42", "", false),
        ("9007199254740991", "9007199254740991", true),
        ("9007199254740993", "9007199254740992.0", false),
        ("123456789012345678901234567890", "123456789012345678901234567890", true),
        ("1e400", "1e400", true),
    ] {
        let checked = check(&format!(r#"{{"limit":{body}}}"#), &[("mcp-param-limit", header)]);
        assert_eq!(checked.is_ok(), agrees, "{body} {header}");
    }
    for (body, header, agrees) in [("true", "true", true), ("false", "False", false), ("true", "1", false)] {
        let checked = check(&format!(r#"{{"dry":{body}}}"#), &[("mcp-param-dry-run", header)]);
        assert_eq!(checked.is_ok(), agrees, "{body} {header}");
    }
}

use super::*;

fn kind(schema: &str) -> String {
    let schema = format!("{{\"properties\": {{\"a\": {schema}}}, \"required\": [\"a\"]}}");
    Record::of_schema(&schema).cedar()
}

#[test]
fn schemas_become_types() {
    for (schema, cedar) in [
        (r#"{"type": "string"}"#, r#"{ "a": String }"#),
        (r#"{"type": ["integer", "null"]}"#, r#"{ "a"?: Long }"#),
        (r#"{"anyOf": [{"type": "number"}, {"type": "null"}], "default": null}"#, r#"{ "a"?: decimal }"#),
        (r#"{"type": "array", "items": {"type": "boolean"}}"#, r#"{ "a": Set<Bool> }"#),
        (r#"{"enum": ["x", "y", null]}"#, r#"{ "a"?: String }"#),
        (r#"{"const": 3}"#, r#"{ "a": Long }"#),
        (
            r#"{"type": "object", "properties": {"b c": {"type": "string"}}}"#,
            r#"{ "a": { "b c"?: String } }"#,
        ),
        (r#"{"oneOf": [{"const": "x"}, {"const": "y"}]}"#, r#"{ "a": String }"#),
        (r#"{"anyOf": [{"type": "string"}, {"type": "integer"}]}"#, "{  }"),
        (r#"{"type": ["string", "integer"]}"#, "{  }"),
        (r#"{"type": "array"}"#, "{  }"),
        (r#"{"type": "object"}"#, "{  }"),
        (r##"{"$ref": "#/properties/a"}"##, "{  }"),
        (r#"{"$ref": "https://elsewhere"}"#, "{  }"),
        ("true", "{  }"),
        ("{}", "{  }"),
    ] {
        assert_eq!(kind(schema), cedar, "{schema}");
    }
    assert_eq!(Record::of_schema("no schema"), Record::default());
}

#[test]
fn numbers_that_cedar_can_write() {
    for (json, cedar) in [
        ("0", Some("0.0")),
        ("-1", Some("-1.0")),
        ("1.5", Some("1.5")),
        ("1.23456", None),
        ("1e3", None),
        ("-", None),
        ("\"1\"", None),
        ("null", None),
    ] {
        assert_eq!(decimal(json).as_deref(), cedar, "{json}");
    }
}

#[test]
fn strings_that_cedar_can_read() {
    assert_eq!(quoted("a\"b\\c\u{e9}\n"), r#""a\"b\\c\u{e9}\u{a}""#);
}

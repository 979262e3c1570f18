use super::*;

fn kind(schema: &str) -> String {
    let schema = format!("{{\"properties\": {{\"a\": {schema}}}, \"required\": [\"a\"]}}");
    Record::of_schema(&schema, &Wanted::everything()).cedar()
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
    assert_eq!(Record::of_schema("no schema", &Wanted::everything()), Record::default());
}

/// A schema that leads back to itself in many places describes more than anybody can hold.
#[test]
fn a_schema_without_end_is_not_read_to_its_end() {
    let many = |part: &str| vec![part; 300].join(", ");
    let members: Vec<String> = (0..300).map(|at| format!(r##""p{at}": {{"$ref": "#"}}"##)).collect();
    let members = format!(r#"{{"type": "object", "properties": {{{}}}}}"#, members.join(", "));
    let alternatives = format!(
        r#"{{"type": "object", "properties": {{"p0": {{"anyOf": [{}]}}}}}}"#,
        many(r##"{"$ref": "#"}"##)
    );
    let rest = format!(
        r#"{{"type": "object", "additionalProperties": {{"allOf": [{}]}}}}"#,
        many(r##"{"$ref": "#"}, {"type": "null"}"##)
    );
    let mut path = Wanted::default();
    path.add(&["p0", "p1", "p2"], false);
    let mut below = Wanted::default();
    below.add(&["p0"], true);
    // Members cost something also as deep down as nothing is read of them, and so do their names.
    let deep = |members: String| {
        let named: Vec<String> =
            (0..300).map(|at| format!(r##""q{at}": {{"$ref": "#/$defs/wide"}}"##)).collect();
        let inside = format!(r#"{{"type": "object", "properties": {{{}}}}}"#, named.join(", "));
        let outside = ["z", "y", "x", "w", "p0"].into_iter().fold(inside, |inside, name| {
            format!(r#"{{"type": "object", "properties": {{"{name}": {inside}}}}}"#)
        });
        let wide = format!(r#"{{"type": "object", "properties": {{{members}}}}}"#);
        outside.replacen('{', &format!(r#"{{"$defs": {{"wide": {wide}}}, "#), 1)
    };
    let wide = deep((0..300).map(|at| format!(r#""p{at}": {{}}"#)).collect::<Vec<_>>().join(", "));
    let long = deep(format!(r#""{}": {{}}"#, "p".repeat(100_000)));
    for schema in [&members, &alternatives, &rest, &wide, &long] {
        for wanted in [&Wanted::everything(), &below, &path] {
            let text = format!("{:?}", Record::of_schema(schema, wanted));
            assert!(text.matches("Field {").count() <= MOST_READ, "{}", text.len());
            assert!(text.len() <= 1 << 20, "{}", text.len());
        }
    }
    // Along the path of a policy there is little to read, however wide the schema is.
    let read = Record::of_schema(&members, &path);
    assert_eq!(read.cedar(), r#"{ "p0"?: { "p1"?: { "p2"?: {  } } } }"#);
    let of =
        |schema: &str| Record::of_schema(schema, &below).values(r#"{"p0": {"p0": {"p0": 1}}}"#, &below, "");
    assert!([&members, &alternatives, &rest].into_iter().all(|schema| of(schema).is_err()));
}

/// Misfits are logged, and a caller may call its arguments what it likes.
#[test]
fn no_name_of_the_callers_is_told() {
    let schema = r#"{"type": "object", "properties": {"own": {"type": "object", "properties": {"a": {"type": "string"}},
        "additionalProperties": {"type": "object", "properties": {"b": {"type": "string"}}}}}}"#;
    let mut wanted = Wanted::default();
    wanted.add(&["own"], true);
    let record = Record::of_schema(schema, &wanted);
    let misfit = |arguments: &str| record.values(arguments, &wanted, "").unwrap_err().0;
    for (arguments, told) in [
        (r#"{"own": {"a": 1}}"#, "own.a"),
        (r#"{"own": {"secret": 1}}"#, "own"),
        (r#"{"own": {"secret": {"b": 1}}}"#, "own.b"),
        (r#"{"own": {"secret": {"b": "x"}, "SECRET": {"b": "x"}}}"#, "own"),
        (r#"{"own": {"A": {}, "a": "x"}}"#, "own.a"),
    ] {
        assert_eq!(misfit(arguments), told, "{arguments}");
    }
}

#[test]
fn members_that_some_readers_take_for_each_other_do_not_fit() {
    let schema = r#"{"additionalProperties": {"type": "string"},
        "properties": {"path": {"type": "string"}, "\u00e4": {"type": "string"}}}"#;
    let record = Record::of_schema(schema, &Wanted::everything());
    let mut named = Wanted::default();
    for name in ["path", "\u{e4}", "x", "s", "k", "i", "\u{142}"] {
        named.add(&[name], true);
    }
    for (members, fine) in [
        (r#""path": "x", "other": "y""#, true),
        (r#""path": "x", "Path": "y""#, false),
        (r#""PATH": "y""#, false),
        (r#""x": "a", "X": "b""#, false),
        (r#""\u0141": "a", "\u0142": "b""#, false),
        (r#""\u017f": "a", "s": "b""#, false),
        (r#""\u212a": "a", "k": "b""#, false),
        (r#""\u0130": "a", "i": "b""#, false),
        (r#""\u0131": "a", "i": "b""#, false),
        (r#""\u00c4": "a""#, false),
        (r#""\u00e4": "a", "o": "b""#, true),
    ] {
        for wanted in [&named, &Wanted::everything()] {
            let values = record.values(&format!("{{{members}}}"), wanted, "");
            assert_eq!(values.is_ok(), fine, "{members} {}", wanted.whole);
        }
    }
    // What nobody wants may have any names.
    assert!(record.values(r#"{"o": "a", "O": "b"}"#, &named, "").is_ok());
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

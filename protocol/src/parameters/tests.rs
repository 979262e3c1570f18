use super::*;
use proptest::prelude::*;
use serde_json::{Map, Value as Json, json};

fn change(parameter: &str) -> ParameterChange {
    ParameterChange { parameter: parameter.into(), supply: Supply::Client, name: None, description: None }
}

fn supplied(parameter: &str, supply: Supply) -> ParameterChange {
    ParameterChange { supply, ..change(parameter) }
}

fn renamed(parameter: &str, name: &str) -> ParameterChange {
    ParameterChange { name: Some(name.into()), ..change(parameter) }
}

fn value(raw: &'static str) -> Value {
    Value::new(raw.as_bytes())
}

const SCHEMA: &str = r#"{ "type" : "object","x":1e400,"properties": {"a" : {"type":"string"} ,"b":{"default":0, "description":"old"},"c":true,"d":{}},"required":[ "a","b" , "c"],"dependentRequired":{"a":["b","d"],"d":["a"]},"additionalProperties":false}"#;

#[test]
fn schemas_are_rewritten_where_they_change() {
    let untouched = Parameters::fit(&[], Some(SCHEMA));
    assert_eq!((untouched.schema, untouched.misfits), (None, vec![]));
    let changes = [
        supplied("a", Supply::Fixed(value("\"secret\""))),
        ParameterChange { description: Some("new \"d\"".into()), ..renamed("b", "bee") },
        supplied("c", Supply::Default(value("[1]"))),
    ];
    let fitted = Parameters::fit(&changes, Some(SCHEMA));
    assert_eq!(fitted.misfits, []);
    assert_eq!(
        std::str::from_utf8(&fitted.schema.unwrap()).unwrap(),
        r#"{ "type" : "object","x":1e400,"properties": {"bee":{"default":0, "description":"new \"d\""},"c":{"default":[1]},"d":{}},"required":["d","bee"],"dependentRequired":{"d":[]},"additionalProperties":false}"#
    );
    assert!(!format!("{:?}", fitted.parameters).contains("secret"));
}

#[test]
fn what_does_not_fit_is_told_and_harmless() {
    let changes = [
        renamed("nowhere", "x"),
        supplied("gone", Supply::Fixed(value("1"))),
        renamed("a", "d"),
        supplied("b", Supply::Nobody),
    ];
    let fitted = Parameters::fit(&changes, Some(SCHEMA));
    assert_eq!(
        fitted.misfits.iter().map(ToString::to_string).collect::<Vec<_>>(),
        [
            "it has no parameter `nowhere`",
            "it has no parameter `gone`",
            "it requires the parameter `b`, which is hidden and has no value: calls will fail",
            "its parameter `a` cannot be called `d`, which another one is called",
        ]
    );
    let apply = |raw| fitted.parameters.apply(Some(raw));
    assert_eq!(apply(r#"{"a":1,"d":2,"x":3}"#), Ok(None));
    assert_eq!(apply(r#"{"gone":1}"#), Err(ArgumentsError::Withheld("gone".into())));
    for schema in [None, Some("[]"), Some("{}"), Some(r#"{"properties":[]}"#), Some("\"x\"")] {
        let fitted = Parameters::fit(&changes, schema);
        assert_eq!((fitted.schema, fitted.misfits.len()), (None, 4), "{schema:?}");
    }
    for odd in [r#""a""#, r#"[1,"a"]"#, "{}", "[ ]"] {
        let schema = format!(
            r#"{{"properties":{{"a":1,"b":{{}}}},"required":{odd},"dependentRequired":{{"a":["b"],"b":{odd}}}}}"#
        );
        let fixed = supplied("a", Supply::Fixed(value("1")));
        let seen = Parameters::fit(&[fixed], Some(&schema)).schema.unwrap();
        assert!(serde_json::from_slice::<Json>(&seen).is_ok(), "{seen:?}");
    }
}

#[test]
fn names_may_be_exchanged() {
    let swapped = Parameters::fit(&[renamed("a", "b"), renamed("b", "a")], Some(SCHEMA));
    assert_eq!(swapped.misfits, []);
    let arguments = swapped.parameters.apply(Some(r#"{"a":1,"b":2}"#)).unwrap().unwrap();
    assert_eq!(arguments, r#"{"b":1,"a":2}"#);
}

#[test]
fn arguments_become_those_of_the_tool() {
    let changes = [
        supplied("a", Supply::Fixed(value("\"s\""))),
        renamed("b", "bee"),
        ParameterChange { name: Some("see".into()), ..supplied("c", Supply::Default(value("[1]"))) },
        supplied("d", Supply::Nobody),
    ];
    let parameters = Parameters::fit(&changes, Some(SCHEMA)).parameters;
    let table: [(Option<&str>, Result<&str, &str>); 13] = [
        (None, Ok(r#"{"a":"s","c":[1]}"#)),
        (Some("null"), Ok(r#"{"a":"s","c":[1]}"#)),
        (Some("{ }"), Ok(r#"{"a":"s","c":[1] }"#)),
        (
            Some(r#"{ "bee" : 12345678901234567890123, "x":{"bee":1}}"#),
            Ok(r#"{ "b" : 12345678901234567890123, "x":{"bee":1},"a":"s","c":[1]}"#),
        ),
        (Some(r#"{"see":null}"#), Ok(r#"{"c":null,"a":"s"}"#)),
        (Some(r#"{"b\u0065e":1,"c":2 }"#), Ok(r#"{"b":1,"c":2,"a":"s" }"#)),
        (Some(r#"{"a":"s"}"#), Err("the argument `a` cannot be set by clients")),
        (Some(r#"{"\u0061":1}"#), Err("the argument `a` cannot be set by clients")),
        (Some(r#"{"d":1}"#), Err("the argument `d` cannot be set by clients")),
        (Some(r#"{"bee":1,"b":1}"#), Err("the arguments `bee` and `b` are the same; send one of them")),
        (Some(r#"{"b":1,"bee":1}"#), Err("the arguments `bee` and `b` are the same; send one of them")),
        (Some(r#"{"x":1,"x":1}"#), Err("`params.arguments` is not an object in which every key stands once")),
        (Some("[]"), Err("`params.arguments` is not an object in which every key stands once")),
    ];
    for (arguments, expected) in table {
        let applied = parameters.apply(arguments).map(|changed| changed.unwrap());
        let applied = applied.map_err(|error| error.to_string());
        assert_eq!(
            applied.as_deref().map_err(|error| &**error),
            expected.map(str::as_bytes),
            "{arguments:?}"
        );
    }
}

#[test]
fn policies_judge_a_parameter_by_one_name() {
    let changes = [
        renamed("a", "path"),
        supplied("b", Supply::Fixed(value("\"secret\""))),
        ParameterChange { supply: Supply::Default(value("[1]")), ..renamed("c", "sea") },
    ];
    let parameters = Parameters::fit(&changes, Some(SCHEMA)).parameters;
    let judged = |raw| {
        parameters.judged(raw).map(|judged| judged.map(|bytes| String::from_utf8(bytes.to_vec()).unwrap()))
    };
    let same = Ok(Some(r#"{"path":"/x","sea":[1]}"#.to_owned()));
    assert_eq!(judged(Some(r#"{"path":"/x"}"#)), same);
    assert_eq!(judged(Some(r#"{"a":"/x"}"#)), same, "its own name is no way around");
    assert_eq!(
        judged(None),
        Ok(Some(r#"{"sea":[1]}"#.to_owned())),
        "what is sent in the client's place counts"
    );
    assert_eq!(judged(Some(r#"{"sea":2,"d":3}"#)), Ok(None));
    for refused in [r#"{"a":1,"path":2}"#, r#"{"b":1}"#, r#"{"PATH":1}"#, r#"{"d":1,"d":2}"#, "[]"] {
        assert_eq!(judged(Some(refused)).is_err(), parameters.apply(Some(refused)).is_err(), "{refused}");
        assert!(judged(Some(refused)).is_err(), "{refused}");
    }
}

#[test]
fn another_case_is_no_way_around() {
    let schema = r#"{"properties":{"path":{},"PATH":{},"from":{},"to":{},"mode":{},"free":{}}}"#;
    let changes = [
        supplied("path", Supply::Fixed(value("1"))),
        renamed("from", "source"),
        renamed("to", "TO"),
        supplied("mode", Supply::Default(value("2"))),
        ParameterChange { description: Some("new".into()), ..change("free") },
        supplied("undeclared", Supply::Nobody),
    ];
    let fitted = Parameters::fit(&changes, Some(schema));
    let misfits = fitted.misfits;
    assert_eq!(misfits, [Misfit::Unknown("undeclared".into())]);
    for (key, expected) in [
        ("Path", Err("the argument `path` cannot be set by clients")),
        ("p\\u0041th", Err("the argument `path` cannot be set by clients")),
        ("Undeclared", Err("the argument `undeclared` cannot be set by clients")),
        ("From", Err("the argument `From` is unknown; write `source`")),
        ("SOURCE", Err("the argument `SOURCE` is unknown; write `source`")),
        ("To", Err("the argument `To` is unknown; write `TO`")),
        ("Mode", Err("the argument `Mode` is unknown; write `mode`")),
        ("PATH", Ok(r#"{"PATH":3,"path":1,"mode":2}"#)),
        ("TO", Ok(r#"{"to":3,"path":1,"mode":2}"#)),
        ("to", Ok(r#"{"to":3,"path":1,"mode":2}"#)),
        ("mode", Ok(r#"{"mode":3,"path":1}"#)),
        ("Free", Ok(r#"{"Free":3,"path":1,"mode":2}"#)),
    ] {
        let applied = fitted.parameters.apply(Some(&format!(r#"{{"{key}":3}}"#)));
        let applied = applied.map(|changed| String::from_utf8(changed.unwrap().to_vec()).unwrap());
        let applied = applied.map_err(|error| error.to_string());
        assert_eq!(applied.as_deref().map_err(|error| &**error), expected, "{key}");
    }
    let list = r#"[{"name":"city"},{"name":"CITY"}]"#;
    let fitted = Parameters::fit_prompt(&[supplied("city", Supply::Nobody)], Some(list));
    assert_eq!(fitted.parameters.admit("City"), Err(ArgumentsError::Withheld("city".into())));
    assert_eq!(fitted.parameters.admit("CITY"), Ok(()));
}

#[test]
fn prompts_are_rewritten_too() {
    let list =
        r#"[{"name":"a","required":true}, {"name":"b","description":"old","required":true},{"name":"c"},7]"#;
    let changes = [
        supplied("a", Supply::Fixed(value("\"x\""))),
        ParameterChange { description: Some("new".into()), ..supplied("b", Supply::Default(value("\"y\""))) },
        renamed("c", "d"),
        supplied("e", Supply::Nobody),
    ];
    let fitted = Parameters::fit_prompt(&changes, Some(list));
    assert_eq!(fitted.misfits, [Misfit::Unknown("e".into())]);
    assert_eq!(
        fitted.schema.unwrap(),
        r#"[ {"name":"b","description":"new","required":false},{"name":"c"},7]"#
    );
    let applied = fitted.parameters.apply(Some(r#"{"c":"z"}"#));
    assert_eq!(applied.unwrap().unwrap(), r#"{"c":"z","a":"x","b":"y"}"#);
    assert_eq!(fitted.parameters.apply(Some(r#"{"e":""}"#)), Err(ArgumentsError::Withheld("e".into())));
    for odd in [None, Some("{}"), Some("[]"), Some("null")] {
        assert_eq!(Parameters::fit_prompt(&changes, odd).misfits.len(), 4, "{odd:?}");
    }
}

fn name() -> impl Strategy<Value = String> {
    prop_oneof![Just("a"), Just("b"), Just("c"), Just("d\""), Just("ü"), Just("new")].prop_map(str::to_owned)
}

fn changes() -> impl Strategy<Value = Vec<ParameterChange>> {
    let supply = prop_oneof![
        Just(Supply::Client),
        Just(Supply::Nobody),
        Just(Supply::Fixed(value("{\"f\": 1e400}"))),
        Just(Supply::Default(value("0"))),
    ];
    let one = (supply, proptest::option::of(name()), any::<bool>());
    proptest::collection::btree_map(name(), one, 0..5).prop_map(|all| {
        all.into_iter()
            .map(|(parameter, (supply, name, described))| ParameterChange {
                name: name.filter(|name| !supply.is_withheld() && *name != parameter),
                description: described.then(|| "told".to_owned()),
                parameter,
                supply,
            })
            .collect()
    })
}

fn members() -> impl Strategy<Value = Vec<(String, String)>> {
    let raw =
        prop_oneof![Just("1"), Just(" [ 1 , \"a\" ]"), Just("12345678901234567890123"), Just("{\"a\":{}}")];
    proptest::collection::btree_map(name(), raw.prop_map(str::to_owned), 0..6)
        .prop_map(|all| all.into_iter().collect::<Vec<_>>())
        .prop_shuffle()
}

fn object(members: &[(String, String)]) -> String {
    let written: Vec<String> =
        members.iter().map(|(name, raw)| format!(" {} :{raw}", Json::from(name.as_str()))).collect();
    format!("{{{} }}", written.join(","))
}

proptest! {
    /// What a client may send by the schema it sees, and nothing else, reaches the tool under the tool's own names.
    #[test]
    fn schema_and_calls_agree(changes in changes(), declared in members(), sent in members()) {
        let names: Vec<&String> = declared.iter().map(|(name, _)| name).collect();
        let properties: Map<String, Json> =
            names.iter().map(|name| ((*name).clone(), json!({"own": name}))).collect();
        let schema = json!({"properties": properties, "required": names}).to_string();
        let fitted = Parameters::fit(&changes, Some(&schema));
        let seen: Json = fitted.schema.as_deref().map_or_else(
            || serde_json::from_str(&schema).unwrap(),
            |schema| serde_json::from_slice(schema).unwrap(),
        );
        let visible = seen["properties"].as_object().unwrap();
        let of = |own: &str| fitted.parameters.changes.iter().find(|change| change.parameter == own);
        for name in &names {
            let exposed = visible.iter().filter(|(_, property)| property["own"] == name.as_str());
            let withheld = of(name).is_some_and(|change| change.supply.is_withheld());
            prop_assert_eq!(exposed.count(), usize::from(!withheld));
        }
        for required in seen["required"].as_array().unwrap() {
            prop_assert!(visible.contains_key(required.as_str().unwrap()));
        }

        let raw = object(&sent);
        match fitted.parameters.apply(Some(&raw)) {
            Ok(applied) => {
                let applied = applied.map_or(raw, |bytes| String::from_utf8(bytes.to_vec()).unwrap());
                let reached = Object::read(&applied, Span::new(0, applied.len())).unwrap();
                for (name, value) in &sent {
                    let own = match visible.get(name) {
                        Some(property) => property["own"].as_str().unwrap(),
                        None => name,
                    };
                    let field = reached.get(own).unwrap();
                    prop_assert_eq!(field.value().text(applied.as_bytes()), value.trim());
                }
                for change in &fitted.parameters.changes {
                    let there = reached.get(&change.parameter).map(|field| field.value().text(applied.as_bytes()));
                    match &change.supply {
                        Supply::Fixed(_) => prop_assert_eq!(there, Some("{\"f\": 1e400}")),
                        Supply::Default(_) => prop_assert!(there.is_some()),
                        Supply::Nobody => prop_assert_eq!(there, None),
                        Supply::Client => {}
                    }
                }
            }
            Err(ArgumentsError::Withheld(name)) => prop_assert!(!visible.contains_key(&name)),
            Err(ArgumentsError::Both(new, own)) => {
                prop_assert!(sent.iter().any(|(name, _)| *name == new));
                prop_assert!(sent.iter().any(|(name, _)| *name == own));
            }
            Err(ArgumentsError::Case(..)) => prop_assert!(false, "all names are of lower case"),
            Err(ArgumentsError::Shape) => prop_assert!(false, "it is an object"),
        }
    }
}

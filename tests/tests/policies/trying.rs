//! `weir policy explain` and `weir policy test` beside the gateway: what they say is what comes of the call.

use super::{ALICE, ROOT, guarded, legacy, modern};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use weir_tests::process::Exit;
use weir_tests::weir::{complete, run, write_config};
use weir_tests::{Speak, Weir};

/// Who `ALICE` is, in claims.
const CLAIMS: &str = r#"{"sub": "alice", "groups": ["readers"], "scope": "mcp"}"#;

const POLICIES: &str = r#"
    @id("small") permit(principal, action == Action::"call_tool", resource == Tool::"one_spend")
        when { context.arguments.sum < 100 };
    permit(principal, action == Action::"call_tool", resource == Tool::"eraser");
    @id("force") forbid(principal, action == Action::"call_tool", resource == Tool::"eraser")
        when { context.arguments has force && context.arguments.force };
    permit(principal, action == Action::"call_tool", resource == Tool::"one_look") when { resource.read_only };
    @id("era") permit(principal, action == Action::"call_tool", resource == Tool::"one_touch")
        when { context.era == "legacy" && context has address && context.address.isLoopback() };
    permit(principal, action == Action::"complete", resource);
    permit(principal, action == Action::"get_prompt", resource == Prompt::"one_plan")
        when { context.arguments has topic && context.arguments.topic == "weather" };
    permit(principal in Group::"readers", action == Action::"read_resource", resource)
        when { resource.uri like "doc:///public/*" };
"#;

/// An endpoint with all that makes a call another one on its way.
fn configuration() -> Value {
    let overrides = json!({"one": {
        "spend": {"parameters": {"amount": {"name": "sum"}, "note": {"value": "by weir"}}},
        "delete": {"name": "eraser", "parameters": {"force": {"default": true}}},
    }});
    let prompts = json!({"one": {"plan": {"arguments": {"topic": {"default": "weather"}}}}});
    let more = json!({
        "tools": {"overrides": overrides, "deny": ["one_ask"]},
        "prompts": {"overrides": prompts},
        "resources": {"deny": ["vault:///hidden*"]},
    });
    guarded("legacy", POLICIES, more)
}

/// Calls as cases, and as the requests that they are about.
fn calls() -> Vec<(Value, &'static str, Value)> {
    let tool = |name: &str, arguments: Value| {
        let params = json!({"name": name, "arguments": arguments});
        (json!({"tool": name, "arguments": arguments}), "tools/call", params)
    };
    let prompt = |name: &str, arguments: Value| {
        let params = json!({"name": name, "arguments": arguments});
        (json!({"prompt": name, "arguments": arguments}), "prompts/get", params)
    };
    let read = |uri: &str| (json!({"resource": uri}), "resources/read", json!({"uri": uri}));
    let completed = |key: &str, name: &str| {
        let (kind, of) = if key == "prompt" { ("ref/prompt", "name") } else { ("ref/resource", "uri") };
        let argument = json!({"name": "name", "value": "x"});
        let params = json!({"ref": {"type": kind, of: name}, "argument": argument});
        (json!({key: name, "action": "complete"}), "completion/complete", params)
    };
    vec![
        tool("one_spend", json!({"sum": 5})),
        tool("one_spend", json!({"sum": 500})),
        tool("one_spend", json!({"amount": 5})),
        tool("one_spend", json!({"amount": 500})),
        tool("one_spend", json!({"sum": 5, "note": "by alice"})),
        tool("one_spend", json!({"sum": "5"})),
        tool("one_spend", json!({"Sum": 5})),
        tool("one_spend", json!({})),
        tool("one_spend", json!([5])),
        tool("one_spend", Value::Null),
        tool("eraser", json!({"path": "x"})),
        tool("eraser", json!({"path": "x", "force": false})),
        tool("eraser", json!({"path": "x", "force": true})),
        tool("one_look", json!({"path": "x"})),
        tool("one_touch", json!({"uri": "doc:///public/a"})),
        tool("one_seen", json!({})),
        // Hidden from everybody.
        tool("one_ask", json!({"path": "x"})),
        prompt("one_plan", json!({})),
        prompt("one_plan", json!({"topic": "secrets"})),
        prompt("one_secret", json!({"topic": "weather"})),
        read("doc:///public/a"),
        read("doc:///public/zzz"),
        read("DOC:///public/a"),
        read("doc:///public/%61"),
        read("doc:///public/x/../a"),
        read("doc:///public/../private/a"),
        read("doc:///private/a"),
        read("doc:///private/..%2Fpublic/a"),
        read("doc:///public//a"),
        read("vault:///a"),
        read("vault:///hidden"),
        completed("prompt", "one_plan"),
        completed("prompt", "one_secret"),
        completed("resource", "doc:///{folder}/{name}"),
        completed("resource", "vault:///{name}"),
        completed("resource", "doc:///public/a"),
        completed("resource", "doc:///private/a"),
    ]
}

/// A folder with a configuration, and what stands in it.
struct Folder {
    folder: tempfile::TempDir,
    config: PathBuf,
}

impl Folder {
    fn with(config: Value) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let config = write_config(folder.path(), &complete(config).to_string());
        Self { folder, config }
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let file = self.folder.path().join(name);
        std::fs::write(&file, text).unwrap();
        file
    }

    fn test(&self, cases: &Value, options: &[&str]) -> Exit {
        self.test_text(&cases.to_string(), options)
    }

    fn test_text(&self, text: &str, options: &[&str]) -> Exit {
        let file = self.write("cases.yaml", text);
        run(&[&["policy", "test", path(&file)], options].concat())
    }

    fn explain(&self, options: &[&str]) -> Exit {
        run(&[&["policy", "explain", path(&self.config)], options].concat())
    }
}

fn path(file: &Path) -> &str {
    file.to_str().unwrap()
}

fn explained(exit: &Exit) -> Value {
    serde_json::from_str(&exit.stdout).unwrap_or_else(|error| panic!("{error}: {exit:?}"))
}

#[test]
fn a_test_expects_what_the_gateway_does() {
    let folder = Folder::with(configuration());
    let weir = Weir::serve(configuration());
    let tools = legacy(&weir, ROOT).ask("tools/list", json!({}));
    folder.write("tools.json", &tools.result().to_string());
    let mut cases = Vec::new();
    for (era, client) in [
        ("legacy", Box::new(legacy(&weir, ALICE)) as Box<dyn Speak>),
        ("modern", Box::new(modern(&weir, ALICE))),
    ] {
        for (index, (mut case, method, params)) in calls().into_iter().enumerate() {
            let answer = client.ask(method, params);
            let denied = answer.message["error"].is_object();
            case["name"] = json!(format!("{era} {index} {case} {}", answer.message["error"]));
            case["as"] = serde_json::from_str(CLAIMS).unwrap();
            (case["era"], case["address"]) = (json!(era), json!("127.0.0.1"));
            case["expect"] = json!(if denied { "deny" } else { "allow" });
            cases.push(case);
        }
    }
    let allowed = cases.iter().filter(|case| case["expect"] == "allow").count();
    // More than a few of either kind, or nothing is shown.
    assert!(allowed > 15 && cases.len() - allowed > 30, "{allowed} of {}", cases.len());
    let mut file = json!({"config": folder.config, "cases": cases});
    let exit = folder.test(&file, &["--connect"]);
    assert_eq!(exit.status.code(), Some(0), "over the servers: {}{}", exit.stdout, exit.stderr);
    file["tools"] = json!("tools.json");
    let exit = folder.test(&file, &[]);
    assert_eq!(exit.status.code(), Some(0), "over a list of tools: {}{}", exit.stdout, exit.stderr);
}

#[test]
fn what_lists_show_is_what_a_test_finds_visible() {
    let folder = Folder::with(configuration());
    let weir = Weir::serve(configuration());
    let client = legacy(&weir, ALICE);
    let listed = |method: &str, list: &str, key: &str| -> Vec<Value> {
        let answer = client.ask(method, json!({}));
        answer.result()[list].as_array().unwrap().iter().map(|item| item[key].clone()).collect()
    };
    let mut shown = listed("tools/list", "tools", "name");
    shown.extend(listed("prompts/list", "prompts", "name"));
    shown.extend(listed("resources/list", "resources", "uri"));
    shown.extend(listed("resources/templates/list", "resourceTemplates", "uriTemplate"));
    let cases = [
        ("tool", "one_spend", None),
        ("tool", "one_seen", None),
        ("prompt", "one_plan", None),
        ("prompt", "one_secret", Some("complete")),
        ("resource", "doc:///public/a", Some("subscribe")),
        ("resource", "doc:///private/a", None),
        // It may be read, and is in no list.
        ("resource", "doc:///public/zzz", None),
        ("resource", "doc:///{folder}/{name}", None),
        ("resource", "doc:///{folder}/{name}", Some("complete")),
        ("resource", "vault:///{name}", None),
        ("resource", "vault:///{name}", Some("complete")),
    ];
    for (kind, name, action) in cases {
        let mut options = vec!["--as", CLAIMS, "--connect", "--json"];
        let flag = format!("--{kind}");
        options.extend([flag.as_str(), name]);
        options.extend(action.into_iter().flat_map(|action| ["--action", action]));
        let found = explained(&folder.explain(&options));
        assert_eq!(found["visible"], shown.contains(&json!(name)), "{name} {action:?}: {found}");
    }
}

#[test]
fn circumstances_are_said_in_cases_and_by_flags() {
    let policies = r#"
        @id("hours") permit(principal, action, resource == Tool::"one_look")
            when { context.time < datetime("2027-01-01T00:00:00Z") };
        @id("again") permit(principal, action, resource == Tool::"one_spend") when { context.retry };
        @id("old") permit(principal, action, resource == Tool::"one_touch") when { context.era == "legacy" };
        @id("near") permit(principal, action, resource == Tool::"one_seen")
            when { context has address && context.address.isInRange(ip("10.0.0.0/8")) };
    "#;
    let folder = Folder::with(guarded("legacy", policies, json!({})));
    let cases = [
        ("one_look", "time", json!("2026-12-31T23:59:59Z"), json!("2027-01-01")),
        ("one_spend", "retry", json!(true), json!(false)),
        ("one_touch", "era", json!("legacy"), json!("modern")),
        ("one_seen", "address", json!("10.1.2.3"), json!("192.0.2.1")),
    ];
    let mut all = Vec::new();
    for (tool, key, good, bad) in &cases {
        for (value, expect) in [(good, "allow"), (bad, "deny")] {
            let claims: Value = serde_json::from_str(CLAIMS).unwrap();
            all.push(json!({"as": claims, "tool": tool, *key: value, "expect": expect}));
            let (flag, text) = (format!("--{key}"), value.as_str().unwrap_or_default());
            let flags: &[&str] = match value {
                Value::Bool(true) => &[&flag],
                Value::Bool(false) => &[],
                _ => &[&flag, text],
            };
            let options = [&["--as", CLAIMS, "--tool", tool, "--json"], flags].concat();
            let found = explained(&folder.explain(&options));
            assert_eq!(found["allowed"], expect == "allow", "{tool} {value}: {found}");
        }
    }
    let exit = folder.test(&json!({"config": folder.config, "cases": all}), &[]);
    assert_eq!(exit.status.code(), Some(0), "{}{}", exit.stdout, exit.stderr);
}

#[test]
fn a_file_of_cases_is_read_to_the_letter() {
    let folder = Folder::with(guarded("legacy", "", json!({})));
    let case = |line: &str| {
        format!(
            "config: {}\ncases:\n  - tool: one_look\n    expect: deny\n    {line}\n",
            path(&folder.config)
        )
    };
    for (line, place, words) in [
        ("tme: 2027-01-01", "cases.yaml:5:5", "`time`"),
        ("time: tomorrow", "cases.yaml:5:11", "UTC"),
        ("era: old", "cases.yaml:5:10", "era"),
        ("retry: maybe", "cases.yaml:5:12", "retry"),
        ("address: home", "cases.yaml:5:14", "address"),
        ("prompt: one_plan", "cases.yaml:3:5", "one of"),
    ] {
        let exit = folder.test_text(&case(line), &[]);
        assert_eq!(exit.status.code(), Some(64), "{line}: {}{}", exit.stdout, exit.stderr);
        assert!(exit.stderr.contains(place) && exit.stderr.contains(words), "{line}: {}", exit.stderr);
    }
}

#[test]
fn where_arguments_cannot_be_judged_it_says_so_and_how_they_can() {
    let folder = Folder::with(configuration());
    let call = ["--as", CLAIMS, "--tool", "one_spend", "--args", r#"{"sum": 5}"#];
    let exit = folder.explain(&call);
    assert!(exit.stdout.starts_with("denied"), "{}", exit.stdout);
    assert!(exit.stderr.contains("--connect") && exit.stderr.contains("--tools FILE"), "{}", exit.stderr);
    let exit = folder.explain(&[&call[..], &["--connect"]].concat());
    assert!(exit.stdout.starts_with("allowed\n") && exit.stderr.is_empty(), "{}{}", exit.stdout, exit.stderr);
    // A denial for want of knowledge is not what a case may expect.
    let case =
        json!({"as": {"sub": "alice"}, "tool": "one_spend", "arguments": {"sum": 500}, "expect": "deny"});
    let file = json!({"config": folder.config, "cases": [case]});
    let exit = folder.test(&file, &[]);
    assert_eq!(exit.status.code(), Some(1), "{}", exit.stdout);
    assert!(exit.stdout.contains("--connect") && exit.stdout.contains("`tools`"), "{}", exit.stdout);
    assert_eq!(folder.test(&file, &["--connect"]).status.code(), Some(0));
}

/// What nobody said of a tool is not taken for what it says.
#[test]
fn what_a_tool_says_of_itself_has_to_be_known() {
    let folder = Folder::with(configuration());
    let case = |more: Value| {
        let mut case = json!({"as": {"sub": "alice"}, "tool": "one_look", "expect": "deny"});
        case.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        json!({"config": folder.config, "cases": [case]})
    };
    let exit = folder.test(&case(json!({})), &[]);
    assert!(exit.status.code() == Some(1) && exit.stdout.contains("says of itself"), "{}", exit.stdout);
    let exit = folder.explain(&["--as", CLAIMS, "--tool", "one_look"]);
    assert!(exit.stderr.contains("says of itself") && exit.stderr.contains("--connect"), "{}", exit.stderr);
    for (more, code) in [
        (json!({"annotations": {"readOnlyHint": false}}), 0),
        (json!({"annotations": {"readOnlyHint": true}}), 1),
        (json!({"annotations": {"readOnlyHint": true}, "expect": "allow", "visible": true}), 0),
    ] {
        let exit = folder.test(&case(more.clone()), &[]);
        assert_eq!(exit.status.code(), Some(code), "{more}: {}{}", exit.stdout, exit.stderr);
    }
    let exit = folder.test(&case(json!({"expect": "allow"})), &["--connect"]);
    assert_eq!(exit.status.code(), Some(0), "{}{}", exit.stdout, exit.stderr);
}

/// One case that cannot be tried does not keep the others from it.
#[test]
fn a_case_that_is_wrong_is_told_with_the_others() {
    let folder = Folder::with(guarded("legacy", "permit(principal, action, resource);", json!({})));
    let claims = json!({"sub": "alice"});
    let exit = folder.test(
        &json!({"config": folder.config, "cases": [
            {"name": "first", "as": claims, "tool": "one_look", "action": "subscribe", "expect": "deny"},
            {"name": "second", "as": claims, "tool": "one_look", "backend": "two", "expect": "deny"},
            {"name": "third", "as": claims, "tool": "one_look", "original": "see", "expect": "deny"},
            {"name": "fourth", "as": claims, "tool": "one_look", "expect": "deny"},
            {"name": "fifth", "as": claims, "tool": "one_look", "expect": "allow"},
        ]}),
        &[],
    );
    assert_eq!(exit.status.code(), Some(1), "{}{}", exit.stdout, exit.stderr);
    for words in [
        "first\n    `subscribe` cannot be done with it; known are call_tool",
        "second\n    the endpoint has no backend `two`, it has one",
        "third\n    there is no tool `one_look`; did you mean `one_see`?",
        "fourth\n  - expected deny\n  + found    allow\n    allowed by [",
        "1 of 5 as expected",
    ] {
        assert!(exit.stdout.contains(words), "{words}: {}", exit.stdout);
    }
}

#[test]
fn what_is_not_there_is_told_apart_from_what_is_denied() {
    let folder = Folder::with(configuration());
    let said = |options: &[&str]| {
        let exit = folder.explain(&[&["--as", CLAIMS], options].concat());
        (exit.status.code(), format!("{}{}", exit.stdout, exit.stderr))
    };
    for (options, code, words) in [
        (&["--tool", "one_lok", "--connect"][..], 1, "did you mean `one_look`?"),
        (&["--tool", "delete", "--connect"], 1, "did you mean `eraser`?"),
        (&["--tool", "one_delete", "--connect"], 1, "there is no tool `one_delete`"),
        (&["--prompt", "one_look", "--connect"], 1, "but a tool of this name"),
        (&["--tool", "look"], 1, "did you mean `one_look`?"),
        (&["--tool", "one_ask", "--connect"], 0, "denied: a filter or an override"),
        (&["--tool", "one_ask"], 0, "denied: a filter or an override"),
        (&["--resource", "doc:///private/..%2Fpublic/a"], 0, "denied: no list has"),
        (&["--tool", "one_look", "--backend", "two"], 1, "no backend `two`, it has one"),
    ] {
        let (found, text) = said(options);
        assert!(found == Some(code) && text.contains(words), "{options:?}: {found:?} {text}");
    }
    // A misspelt tool would be denied for ever.
    folder.write("tools.json", r#"{"tools": [{"name": "one_look", "inputSchema": {"type": "object"}}]}"#);
    for (more, options) in [(json!({}), &["--connect"][..]), (json!({"tools": "tools.json"}), &[])] {
        let case = json!({"as": {"sub": "alice"}, "tool": "one_lok", "annotations": {"readOnlyHint": true}, "expect": "deny"});
        let mut file = json!({"config": folder.config, "cases": [case]});
        file.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let exit = folder.test(&file, options);
        assert!(
            exit.status.code() == Some(1) && exit.stdout.contains("did you mean `one_look`?"),
            "{}",
            exit.stdout
        );
    }
}

/// A caller whose token has ended is refused, and not asked what policies say.
#[test]
fn a_token_that_has_ended_is_denied() {
    let mut config = guarded("legacy", "permit(principal, action, resource);", json!({}));
    config["endpoints"]["main"]["auth"] = json!({
        "resource": "https://weir.example.com/mcp",
        "issuers": [{"issuer": "https://idp.example.com"}],
    });
    let folder = Folder::with(config);
    let old = r#"{"sub": "ada", "exp": 1000}"#;
    let exit = folder.explain(&["--as", old, "--tool", "one_look"]);
    assert_eq!(exit.status.code(), Some(0), "{}", exit.stderr);
    assert!(
        exit.stdout.contains("denied: the caller would not be let in: the token has ended"),
        "{}",
        exit.stdout
    );
    let claims: Value = serde_json::from_str(old).unwrap();
    let case = |expect: &str| json!({"as": claims, "tool": "one_look", "expect": expect});
    let exit = folder.test(&json!({"config": folder.config, "cases": [case("deny"), case("allow")]}), &[]);
    assert!(exit.stdout.contains("the token has ended") && exit.stdout.contains("1 of 2"), "{}", exit.stdout);
    let fresh = folder.explain(&["--as", r#"{"sub": "ada"}"#, "--tool", "one_look"]);
    assert!(fresh.stdout.starts_with("allowed\n"), "{}", fresh.stdout);
}

#[test]
fn callers_who_would_not_be_let_in_are_told_of() {
    let folder = Folder::with(guarded("legacy", "permit(principal, action, resource);", json!({})));
    let exit = folder.explain(&["--as", "anonymous", "--tool", "one_look"]);
    assert!(exit.stdout.starts_with("denied: the endpoint lets in nobody"), "{}", exit.stdout);
    let case = json!({"tool": "one_look", "expect": "allow"});
    let exit = folder.test(&json!({"config": folder.config, "cases": [case]}), &[]);
    assert!(exit.stdout.contains("the endpoint lets in nobody"), "{}", exit.stdout);
    let exit = folder.explain(&["--as", r#"{"iss": "https://a.example"}"#, "--tool", "one_look"]);
    assert!(exit.stderr.contains("a token of https://a.example is refused there"), "{}", exit.stderr);
    let cut = folder.explain(&["--as", "eyJhbGciOiJub25lIn0.eyJzdWIi", "--tool", "one_look"]);
    assert_eq!(cut.status.code(), Some(1));
    assert!(!cut.stderr.contains("eyJ") && cut.stderr.contains("`anonymous`"), "{}", cut.stderr);
    let file = folder.write("claims.json", "{\"sub\": \"ada\",\n \"groups\": [}");
    let exit = folder.explain(&["--as", path(&file), "--tool", "one_look"]);
    assert!(
        exit.stderr.contains("line 2 column 13") && exit.stderr.contains("claims.json"),
        "{}",
        exit.stderr
    );
}

/// A test that passes says what the gateway does.
#[test]
fn a_case_may_not_expect_to_be_let_in_by_an_issuer_that_is_not_trusted() {
    let config = |auth: Value| {
        let mut config = guarded("legacy", "permit(principal, action, resource);", json!({}));
        let endpoint = config["endpoints"]["main"].as_object_mut().unwrap();
        endpoint.insert("auth".to_owned(), auth);
        endpoint.retain(|_, value| !value.is_null());
        config
    };
    let of_issuer = json!({
        "resource": "https://weir.example.com/mcp",
        "issuers": [{"issuer": "https://a.example"}],
    });
    let case = |claims: Value, expect: &str| json!({"as": claims, "tool": "one_look", "expect": expect});
    let (own, foreign) = (json!({"sub": "ada"}), json!({"sub": "ada", "iss": "https://b.example"}));
    for (auth, case, success, words) in [
        (of_issuer.clone(), case(own.clone(), "allow"), true, "1 of 1"),
        (of_issuer, case(foreign, "allow"), false, "a token of https://b.example is refused"),
        (Value::Null, case(own, "allow"), true, "note: the endpoint main asks nobody who they are"),
    ] {
        let folder = Folder::with(config(auth));
        let exit = folder.test(&json!({"config": folder.config, "cases": [case]}), &[]);
        let said = format!("{}{}", exit.stdout, exit.stderr);
        assert_eq!(exit.status.success(), success, "{said}");
        assert!(said.contains(words), "{words}: {said}");
    }
}

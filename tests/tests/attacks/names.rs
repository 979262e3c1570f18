//! Tools and prompts that a caller may not use, by every other name that might lead to them.

use crate::attack::{Attack, Fate, attack, run};
use crate::stage::{ALICE, MALLORY, RESOURCE, Stage, by, call, keys, request, wait_for_lists};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;
use weir_tests::{Endpoint, Request, modern};

/// `alice` may do everything; nobody else may use what a tag, an original name or an exposed name forbids.
const POLICIES: &str = r#"
    permit(principal, action, resource);
    @id("tagged") forbid(principal, action == Action::"call_tool", resource)
        when { resource.tags.contains("locked") && !principal.groups.contains("developers") };
    @id("original") forbid(principal, action in [Action::"call_tool", Action::"get_prompt"], resource)
        when { resource.original == "secret" && !principal.groups.contains("developers") };
    @id("exposed") forbid(principal, action, resource == Prompt::"main_open")
        unless { principal.groups.contains("developers") };
"#;

fn stage() -> Stage {
    let overrides = json!({"main": {
        "third": {"tags": ["locked"]},
        "work": {"name": "secret", "tags": ["locked"]},
        "ask": {"name": "alias_secret_ask", "tags": ["locked"]},
    }});
    let stage = Stage::new(json!({
        "auth": {"resource": RESOURCE, "api_keys": keys()},
        "policies": {"inline": POLICIES},
        "tools": {"overrides": overrides, "deny": ["other_third"]},
    }));
    wait_for_lists(&stage.weir.endpoint(), MALLORY);
    stage
}

/// A call whose parameters are written as they stand, with the headers for `name`.
fn raw(params: &str, name: &str) -> Request {
    raw_of("tools/call", params, name)
}

fn raw_of(method: &str, params: &str, name: &str) -> Request {
    let meta = modern::with_meta(json!({}), &json!({}))["_meta"].to_string();
    let body =
        format!(r#"{{"jsonrpc":"2.0","id":1,"method":"{method}","params":{{{params},"_meta":{meta}}}}}"#);
    modern::post(&body, method, Some(name))
}

/// The denied tools by their own names: as what does not exist.
fn denied(to: &Endpoint) -> Vec<Attack> {
    let mut cases = Vec::new();
    for name in ["main_secret", "other_secret", "secret", "alias_secret_ask"] {
        cases.push(attack(format!("the tool {name}"), to, by(MALLORY, call(name, json!({}))), Fate::Unknown));
    }
    for name in ["main_secret", "other_secret", "secret", "main:secret"] {
        let get = request("prompts/get", json!({"name": name}));
        cases.push(attack(format!("the prompt {name}"), to, by(MALLORY, get), Fate::Unknown));
        let reference = json!({"type": "ref/prompt", "name": name});
        let argument = json!({"name": "who", "value": "a"});
        let complete = request("completion/complete", json!({"ref": reference, "argument": argument}));
        cases.push(attack(format!("completion of {name}"), to, by(MALLORY, complete), Fate::Unknown));
    }
    cases
}

/// Other spellings of names.
fn spellings(to: &Endpoint) -> Vec<Attack> {
    let names = [
        "MAIN_SECRET",
        "Main_secret",
        "main_Secret",
        " main_secret",
        "main_secret ",
        "main_secret\u{0}",
        "main_secret\n",
        "main__secret",
        "main.secret",
        "main/secret",
        "main:secret",
        "main-secret",
        "./main_secret",
        "main_secret/",
        "main_main_secret",
        "weir_main_secret",
        "main_third",
        "third",
        "work",
        "main_work",
        "main_ask",
        "ask",
        "other_third",
        "main_s\u{435}cret",
        "m\u{430}in_secret",
        "main_secre\u{301}t",
        "main_\u{ff53}ecret",
        "main_se\u{200b}cret",
        "main_sec\u{ad}ret",
        "\u{202e}terces_niam",
        "main_\u{17f}ecret",
        "\u{feff}main_secret",
        "main_secret\u{fe0f}",
        "main%5Fsecret",
        "main_sec%72et",
        "main_secret?",
        "main_secret#x",
        "*",
        "main_*",
        "",
        "__proto__",
        "constructor",
        "..",
        "null",
    ];
    let mut cases = Vec::new();
    for name in names {
        // The header cannot hold all of them as they are; what it says must not matter for what is not there anyway.
        let params = json!({"name": name, "arguments": {}}).to_string();
        let request = raw(params.trim_start_matches('{').trim_end_matches('}'), &encoded(name));
        cases.push(attack(format!("the name {name:?}"), to, by(MALLORY, request), Fate::Failed));
    }
    cases
}

/// A value as a header mirrors it (2026-07-28 `basic/transports`).
pub fn encoded(value: &str) -> String {
    let plain =
        !value.is_empty() && value.bytes().all(|byte| (0x20..0x7f).contains(&byte)) && value.trim() == value;
    if plain { value.to_owned() } else { format!("=?base64?{}?=", STANDARD.encode(value)) }
}

/// Messages of which one reader sees another name than the next.
fn smuggled(to: &Endpoint) -> Vec<Attack> {
    let bodies = [
        ("`name` twice", r#""name":"main_open","name":"main_secret","arguments":{}"#),
        ("`name` twice, the other way round", r#""name":"main_secret","name":"main_open","arguments":{}"#),
        ("`name` twice, once in escapes", r#""name":"main_open","na\u006de":"main_secret","arguments":{}"#),
        ("`name` twice, first in escapes", r#""\u006eame":"main_secret","name":"main_open","arguments":{}"#),
        ("`Name` beside `name`", r#""name":"main_open","Name":"main_secret","arguments":{}"#),
        ("`NAME` before `name`", r#""NAME":"main_secret","name":"main_open","arguments":{}"#),
        ("`Name` alone", r#""Name":"main_secret","arguments":{}"#),
        ("a look-alike of `name`", r#""n\u0430me":"main_secret","arguments":{}"#),
        ("the denied name in escapes", r#""name":"main_s\u0065cret","arguments":{}"#),
        ("the denied name in surrogates", r#""name":"main_secret\ud800","arguments":{}"#),
        ("a list as name", r#""name":["main_open","main_secret"],"arguments":{}"#),
        ("an object as name", r#""name":{"main_open":"main_secret"},"arguments":{}"#),
        ("no name", r#""name":null,"arguments":{}"#),
        (
            "the name in `arguments` twice",
            r#""name":"main_open","arguments":{},"arguments":{"name":"main_secret"}"#,
        ),
    ];
    let mut cases: Vec<Attack> = bodies
        .into_iter()
        .map(|(name, params)| attack(name, to, by(MALLORY, raw(params, "main_open")), Fate::Failed))
        .collect();
    let meta = modern::with_meta(json!({}), &json!({}))["_meta"].to_string();
    let (open, secret) = [
        r#"{"name":"main_open","arguments":{},"_meta":META}"#,
        r#"{"name":"main_secret","arguments":{},"_meta":META}"#,
    ]
    .map(|params| params.replace("META", &meta))
    .into();
    for (name, members) in [
        ("`params` twice", format!(r#""method":"tools/call","params":{open},"params":{secret}"#)),
        (
            "`params` twice, the other way round",
            format!(r#""method":"tools/call","params":{secret},"params":{open}"#),
        ),
        (
            "`params` twice, once in escapes",
            format!(r#""method":"tools/call","params":{open},"p\u0061rams":{secret}"#),
        ),
        ("`Params` beside `params`", format!(r#""method":"tools/call","params":{open},"Params":{secret}"#)),
        ("`method` twice", format!(r#""method":"ping","method":"tools/call","params":{secret}"#)),
        (
            "`method` twice, once in escapes",
            format!(r#""m\u0065thod":"tools/call","method":"ping","params":{secret}"#),
        ),
        ("`METHOD` beside `method`", format!(r#""METHOD":"tools/call","method":"ping","params":{secret}"#)),
    ] {
        let body = format!(r#"{{"jsonrpc":"2.0","id":1,{members}}}"#);
        let request = modern::post(&body, "tools/call", Some("main_open"));
        cases.push(attack(name, to, by(MALLORY, request), Fate::Failed));
    }
    cases
}

/// Headers that say something else than the body.
fn mirrored(to: &Endpoint) -> Vec<Attack> {
    let open = || call("main_open", json!({}));
    let secret = || call("main_secret", json!({}));
    let mismatch = || Fate::Refused(400, Some(-32020));
    let cases = [
        ("Mcp-Name of an allowed tool", secret().replace("mcp-name", Some("main_open")), mismatch()),
        ("Mcp-Name of a denied tool", open().replace("mcp-name", Some("main_secret")), mismatch()),
        ("no Mcp-Name", secret().replace("mcp-name", None), mismatch()),
        (
            "two of Mcp-Name",
            secret().replace("mcp-name", Some("main_open")).header("mcp-name", "main_secret"),
            mismatch(),
        ),
        ("another Mcp-Method", secret().replace("mcp-method", Some("ping")), mismatch()),
        ("a list as Mcp-Method", secret().replace("mcp-method", Some("tools/list")), mismatch()),
        ("no Mcp-Method", secret().replace("mcp-method", None), mismatch()),
        (
            "the revision of another era",
            secret().replace("mcp-protocol-version", Some("2025-11-25")),
            Fate::Failed,
        ),
        ("no revision", secret().replace("mcp-protocol-version", None), Fate::Failed),
    ];
    cases.into_iter().map(|(name, request, fate)| attack(name, to, by(MALLORY, request), fate)).collect()
}

#[test]
fn what_is_denied_has_no_other_name() {
    let stage = stage();
    let to = stage.weir.endpoint();
    let pass = |who: &str, name: &str| {
        let holder = if who == ALICE { "alice" } else { "mallory" };
        attack(format!("{holder} calls {name}"), &to, by(who, call(name, json!({}))), Fate::Passes)
    };
    let mut cases = vec![
        pass(MALLORY, "main_open"),
        pass(MALLORY, "other_work"),
        pass(ALICE, "main_secret"),
        pass(ALICE, "secret"),
        pass(ALICE, "main_third"),
        attack(
            "an allowed prompt",
            &to,
            by(MALLORY, request("prompts/get", json!({"name": "other_open"}))),
            Fate::Passes,
        ),
    ];
    cases.extend(denied(&to));
    cases.extend(spellings(&to));
    cases.extend(smuggled(&to));
    cases.extend(mirrored(&to));
    let prompt = request("prompts/get", json!({"name": "main_open"}));
    cases.push(attack(
        "a prompt by its exposed name",
        &to,
        by(MALLORY, prompt),
        Fate::Refused(200, Some(-32602)),
    ));
    run(&stage, &cases, 80);
    let listed = |key: &str, method: &str| by(key, request(method, json!({}))).send(&to).text();
    for method in ["tools/list", "prompts/list"] {
        let (seen, all) = (listed(MALLORY, method), listed(ALICE, method));
        assert!(!seen.contains("secret") && !seen.contains("third"), "{method} shows what is denied: {seen}");
        assert!(all.contains("secret"), "{method} shows it to those who may: {all}");
    }
}

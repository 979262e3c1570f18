//! Policies that read arguments, and arguments that are made to slip through.

use crate::attack::{Attack, Fate, attack, run};
use crate::stage::{ALICE, MALLORY, RESOURCE, Stage, by, call, keys, plain, wait_for_lists};
use serde_json::{Value, json};
use weir_tests::{Endpoint, Request, modern};

/// Only what says that it is for the staging environment, and a small number of it, may be deployed.
const PERMIT: &str = r#"
    permit(principal, action, resource) when { principal.groups.contains("developers") };
    permit(principal, action == Action::"call_tool", resource == Tool::"open");
    permit(principal, action == Action::"call_tool", resource == Tool::"deploy") when {
        context.arguments has env && context.arguments.env == "staging" &&
        (if context.arguments has count then context.arguments.count < 10 else true) &&
        (if context.arguments has deep.env then context.arguments.deep.env == "staging" else true)
    };
"#;

/// All may be deployed but what is for production. What does not say what it is for is an error of the policy, which denies.
const FORBID: &str = r#"
    permit(principal, action, resource);
    forbid(principal, action == Action::"call_tool", resource == Tool::"deploy") when {
        context.arguments has env && context.arguments.env like "prod*"
    } unless { principal.groups.contains("developers") };
    forbid(principal, action == Action::"call_tool", resource == Tool::"deploy") when {
        context.arguments has count && context.arguments.count * 1000 > 9000
    } unless { principal.groups.contains("developers") };
"#;

fn stage(policies: &str) -> Stage {
    let stage = Stage::new(plain(json!({
        "auth": {"resource": RESOURCE, "api_keys": keys()},
        "policies": {"inline": policies},
    })));
    wait_for_lists(&stage.weir.endpoint(), ALICE);
    stage
}

/// A call of `deploy` whose arguments are written as they stand.
fn deploy(arguments: &str) -> Request {
    let meta = modern::with_meta(json!({}), &json!({}))["_meta"].to_string();
    let arguments = if arguments.is_empty() { String::new() } else { format!(r#""arguments":{arguments},"#) };
    let params = format!(r#"{{"name":"deploy",{arguments}"_meta":{meta}}}"#);
    let body = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{params}}}"#);
    by(MALLORY, modern::post(&body, "tools/call", Some("deploy")))
}

/// Arguments that no policy may take for good ones.
const ODD: [&str; 28] = [
    r#"{"env":["staging"]}"#,
    r#"{"env":{"env":"staging"}}"#,
    r#"{"env":null}"#,
    r#"{"env":1}"#,
    r#"{"env":true}"#,
    r#"{"env":"staging","count":"1"}"#,
    r#"{"env":"staging","count":10}"#,
    r#"{"env":"staging","count":9223372036854775807}"#,
    r#"{"env":"staging","count":9223372036854775808}"#,
    r#"{"env":"staging","count":18446744073709551617}"#,
    r#"{"env":"staging","count":100000000000000000000000000000000}"#,
    r#"{"env":"staging","count":1e30}"#,
    r#"{"env":"staging","count":9.5e2}"#,
    r#"{"env":"staging","count":10.5}"#,
    r#"{"env":"staging","count":[1]}"#,
    r#"{"env":"staging","env":"production"}"#,
    r#"{"env":"production","env":"staging"}"#,
    r#"{"env":"staging","\u0065nv":"production"}"#,
    r#"{"\u0065nv":"production","env":"staging"}"#,
    r#"{"env":"staging","count":1,"count":100}"#,
    r#"{"env":"production"}"#,
    r#"{"env":"pr\u006fduction"}"#,
    r#"{"env":"prod\ud800"}"#,
    r#"["staging"]"#,
    r#""staging""#,
    "1",
    "true",
    r#"{"env":"staging"},"arguments":{"env":"production"}"#,
];

/// Those that are not good where good ones must say what they are.
const UNSAID: [&str; 18] = [
    "",
    "{}",
    "null",
    r#"{"ENV":"staging"}"#,
    r#"{"Env":"staging"}"#,
    r#"{"env ":"staging"}"#,
    r#"{"env\u0000":"staging"}"#,
    r#"{"env":"Staging"}"#,
    r#"{"env":"staging "}"#,
    r#"{"env":"st\u0430ging"}"#,
    r#"{"env":""}"#,
    r#"{"env.env":"staging"}"#,
    r#"{"deep":{"env":"staging"}}"#,
    r#"{"arguments":{"env":"staging"}}"#,
    r#"{"env":"staging","deep":{"env":"production"}}"#,
    r#"{"env":"staging","deep":{"env":"production","env":"staging"}}"#,
    r#"{"env":"staging","deep":{"env":"staging","env":"production"}}"#,
    r#"{"env":"staging","deep":{"\u0065nv":"production"}}"#,
];

fn cases(to: &Endpoint, odd: &[&str]) -> Vec<Attack> {
    let pass = |name: &str, request: Request| attack(name, to, request, Fate::Passes);
    let mut cases = vec![
        pass("good arguments", deploy(r#"{"env":"staging","count":3}"#)),
        pass("good arguments in escapes", deploy(r#"{"\u0065nv":"st\u0061ging"}"#)),
        pass(
            "a tool whose arguments nobody reads",
            by(MALLORY, call("open", json!({"env": ["production"]}))),
        ),
        pass("who may do everything", by(ALICE, call("deploy", json!({"env": "production"})))),
    ];
    let mut nested = json!("staging");
    for _ in 0..60 {
        nested = json!({"env": nested});
    }
    let nested: Value = json!({"env": nested, "deep": nested});
    for arguments in odd.iter().map(|text| (*text).to_owned()).chain([nested.to_string()]) {
        let name: String = arguments.chars().take(100).collect();
        cases.push(attack(format!("deploy {name}"), to, deploy(&arguments), Fate::Failed));
    }
    cases
}

#[test]
fn arguments_that_a_permission_needs() {
    let stage = stage(PERMIT);
    let to = stage.weir.endpoint();
    let odd: Vec<&str> = ODD.into_iter().chain(UNSAID).collect();
    let mut cases = cases(&to, &odd);
    // Where nothing may be learnt: the answer is that for a tool that is not there.
    let unknown = by(MALLORY, call("deplox", json!({"env": "production"}))).send(&to).text();
    let denied = by(MALLORY, call("deploy", json!({"env": "production"}))).send(&to).text();
    assert_eq!(denied.replace("deploy", "deplox"), unknown);
    cases.push(attack(
        "the tool under another name",
        &to,
        by(MALLORY, call("DEPLOY", json!({"env": "staging"}))),
        Fate::Failed,
    ));
    run(&stage, &cases, 45);
    assert!(
        stage
            .reached()
            .iter()
            .all(|request| request.text().contains(ALICE_ARGUMENTS) || !is_production(&request.text()))
    );
}

/// What only `alice` may send.
const ALICE_ARGUMENTS: &str = r#""arguments":{"env":"production"}"#;

fn is_production(text: &str) -> bool {
    text.contains("deploy") && text.contains("production")
}

#[test]
fn arguments_that_a_prohibition_reads() {
    let stage = stage(FORBID);
    run(&stage, &cases(&stage.weir.endpoint(), &ODD), 28);
}

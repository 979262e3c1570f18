//! `weir policy who-can` and `what-can`, over a server that is asked.

use super::guarded;
use serde_json::{Value, json};
use weir_tests::weir::{run, write_config};

const POLICIES: &str = r#"
    permit(principal in Group::"readers", action == Action::"call_tool", resource) when { resource.read_only };
    permit(principal, action == Action::"call_tool", resource == Tool::"one_spend")
        when { principal.scopes.contains("spend") && context.arguments.amount < 100 };
    permit(principal, action == Action::"read_resource", resource) when { resource.uri like "vault:///a*" };
    forbid(principal, action, resource == Tool::"one_touch") when { principal has email && principal.email == "a@b.c" };
"#;

fn ask(arguments: &[&str]) -> (i32, String) {
    let folder = tempfile::tempdir().unwrap();
    let config = weir_tests::weir::complete(guarded("legacy", POLICIES, json!({})));
    let file = write_config(folder.path(), &config.to_string());
    let mut all = vec!["policy"];
    all.extend(arguments);
    all.extend(["--config", file.to_str().unwrap()]);
    let exit = run(&all);
    (exit.status.code().unwrap_or(-1), format!("{}{}", exit.stdout, exit.stderr))
}

fn json(arguments: &[&str]) -> Value {
    let (code, text) = ask(&[arguments, &["--json"]].concat());
    assert_eq!(code, 0, "{text}");
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

#[test]
fn who_can_answers_about_whom_the_policies_name() {
    let answer = &json(&["who-can", "--tool", "one_spend", "--as", r#"{"sub":"eve","scope":"spend"}"#])[0];
    let of = |answer: &Value, who: &str| {
        let lines = answer["who"].as_array().unwrap();
        let line = lines.iter().find(|line| line["who"] == who).unwrap_or_else(|| panic!("{who}: {answer}"));
        line["may"].as_str().unwrap().to_owned()
    };
    assert_eq!(answer["backend"], "one");
    for (who, may) in [
        ("anybody who shows who they are", "no"),
        ("group readers", "no"),
        ("scope spend", "sometimes"),
        ("caller eve", "sometimes"),
    ] {
        assert_eq!(of(answer, who), may, "{who}");
    }
    let read = answer["also_read"].as_array().unwrap();
    assert!(read.contains(&json!("email")) && read.contains(&json!("sub")), "{answer}");
    assert_eq!(of(&json(&["who-can", "--tool", "one_look"])[0], "group readers"), "yes");
    let (code, text) = ask(&["who-can", "--tool", "one_nothing"]);
    assert!(code == 1 && text.contains("no endpoint offers the tool `one_nothing`"), "{code} {text}");
    let (code, text) = ask(&["who-can", "--tool", "one_look"]);
    assert!(code == 0 && text.contains("group readers") && text.contains("email"), "{text}");
}

#[test]
fn what_can_lists_what_the_caller_sees() {
    let names = |caller: &str| -> Vec<String> {
        let answer = json(&["what-can", "--as", caller]);
        let items = answer[0]["items"].as_array().unwrap().iter();
        items
            .map(|item| format!("{} {}", item["name"].as_str().unwrap(), item["may"].as_str().unwrap()))
            .collect()
    };
    assert_eq!(
        names(r#"{"sub":"a","groups":["readers"],"scope":"spend","email":"a@b.c"}"#),
        ["one_look yes", "one_spend sometimes", "one_ask yes", "one_seen yes", "vault:///{name} sometimes",]
    );
    assert_eq!(names(r#"{"sub":"b"}"#), ["vault:///{name} sometimes"]);
    let (code, text) = ask(&["what-can", "--as", r#"{"sub":"b"}"#]);
    assert!(code == 0 && text.contains("endpoint main: 1 of 14 items"), "{text}");
}

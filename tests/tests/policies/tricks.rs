//! Other ways to what is denied.

use super::{ALICE, ROOT, clients, guarded, legacy, modern, seen};
use serde_json::{Value, json};
use weir_tests::{Legacy, Speak, Weir};

/// `delete` is shown as `eraser`, which nobody but root may call.
fn renamed() -> Weir {
    let overrides = json!({"one": {"delete": {"name": "eraser"}}});
    let policies = r#"
        permit(principal, action, resource) when { resource.name != "eraser" };
        forbid(principal, action, resource == Tool::"eraser") unless { principal.sub == "root" };
    "#;
    Weir::serve(guarded("modern", policies, json!({"tools": {"overrides": overrides}})))
}

#[test]
fn no_spelling_of_a_name_leads_around_a_denial() {
    let weir = renamed();
    let names = [
        "eraser",
        "Eraser",
        "ERASER",
        "delete",
        "one_delete",
        "one.delete",
        "one/delete",
        "one_eraser",
        "eraser ",
        " eraser",
        "eraser\u{0}",
        "eraser\u{200b}",
        "er\u{0430}ser",
        "\u{FF45}raser",
        "eraser\n",
        "erase\u{0072}\u{0301}",
        "../eraser",
        "eraser%00",
        "%65raser",
        "one_look/../eraser",
        "",
    ];
    for (index, client) in clients(&weir, ALICE).into_iter().enumerate() {
        // No header can hold those of the second kind.
        let writable = |name: &&&str| !name.contains(char::is_control) || index == 0;
        for name in names.iter().filter(writable) {
            let answer = client.call(name, json!({"path": "x"}));
            assert!(answer.message["error"].is_object(), "{name:?}: {}", answer.message);
        }
        let escaped = client.prepare("tools/call", json!({"name": "eraser", "arguments": {"path": "x"}})).0;
        let escaped = escaped.rewrite("\"name\":\"eraser\"", "\"name\":\"\\u0065raser\"");
        assert!(escaped.send(&weir.endpoint().bearing(ALICE)).error_code().is_some());
    }
    assert_eq!(seen(&weir), json!([]));
    assert_eq!(modern(&weir, ROOT).call("eraser", json!({"path": "x"})).text(), "deleted x");
}

#[test]
fn header_and_body_name_the_same_or_nothing_happens() {
    let weir = renamed();
    let to = weir.endpoint().bearing(ALICE);
    let client = modern(&weir, ALICE);
    let (look, _) = client.prepare("tools/call", json!({"name": "one_look", "arguments": {"path": "x"}}));
    let (erase, _) = client.prepare("tools/call", json!({"name": "eraser", "arguments": {"path": "x"}}));
    for request in
        [look.clone().replace("mcp-name", Some("eraser")), erase.replace("mcp-name", Some("one_look"))]
    {
        let answer = request.send(&to);
        assert_eq!((answer.status, answer.error_code()), (400, Some(-32020)), "{}", answer.text());
    }
    let body = |key: &str| format!("\"name\":\"one_look\",\"{key}\":\"eraser\"");
    for key in ["name", "Name", "NAME", "n\\u0061me"] {
        for client in clients(&weir, ALICE) {
            let (request, _) =
                client.prepare("tools/call", json!({"name": "one_look", "arguments": {"path": "x"}}));
            let answer = request.rewrite("\"name\":\"one_look\"", &body(key)).send(&to);
            assert!(answer.error_code().is_some(), "{key}: {}", answer.text());
        }
    }
    assert_eq!(seen(&weir), json!([]));
}

#[test]
fn each_message_of_a_batch_is_decided() {
    let weir = renamed();
    let client = Legacy::open(weir.endpoint().bearing(ALICE), "2025-03-26", json!({}));
    let call = |id: u64, name: &str| json!({"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": {"name": name, "arguments": {"path": "x"}}});
    let batch = json!([call(1, "one_look"), call(2, "eraser"), call(3, "delete"), call(4, "one_look")]);
    let answers: Value = client.post(&batch.to_string()).json();
    let of = |id: u64| answers.as_array().unwrap().iter().find(|answer| answer["id"] == id).unwrap().clone();
    for (id, name) in [(2, "eraser"), (3, "delete")] {
        assert_eq!(of(id)["error"]["message"], format!("unknown tool: {name}"));
    }
    for id in [1, 4] {
        assert_eq!(of(id)["result"]["content"][0]["text"], "looked at x");
    }
    assert_eq!(seen(&weir), json!([["tools/call", "look"], ["tools/call", "look"]]));
}

#[test]
fn a_name_that_several_offer_names_nobody() {
    let mut config = guarded("legacy", "permit(principal, action, resource);", json!({"conflicts": "none"}));
    config["backends"]["hidden"] = weir_tests::peers::fixture("guarded.py", &["legacy"]);
    config["endpoints"]["main"]["backends"] = json!(["one", "hidden"]);
    let weir = Weir::serve(config);
    let answer = legacy(&weir, ALICE).call("look", json!({"path": "x"}));
    assert_eq!(answer.message["error"]["message"], "unknown tool: look");
}

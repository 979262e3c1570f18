//! Calls that are decided by what they bring.

use super::{ALICE, BOB, ERAS, clients, guarded, looks_unknown, modern, seen};
use serde_json::{Value, json};
use weir_tests::{Modern, Speak, Weir};

#[test]
fn denied_and_unknown_look_the_same() {
    let policies = r#"permit(principal == Client::"nobody", action, resource);"#;
    for era in ERAS {
        let weir = Weir::serve(guarded(era, policies, json!({})));
        for client in clients(&weir, ALICE) {
            let same = |method: &str, params: &dyn Fn(&str) -> Value, there: &str| {
                looks_unknown(&*client, &weir, ALICE, method, params, there);
            };
            same("tools/call", &|name| json!({"name": name, "arguments": {"path": "x"}}), "one_look");
            same("tools/call", &|name| json!({"name": name, "arguments": "no object"}), "one_delete");
            same("prompts/get", &|name| json!({"name": name, "arguments": {"topic": "x"}}), "one_plan");
            same("resources/read", &|uri| json!({"uri": format!("doc:{uri}")}), "///public/a");
            let argument = json!({"name": "topic", "value": "x"});
            let prompt =
                |name: &str| json!({"ref": {"type": "ref/prompt", "name": name}, "argument": argument});
            same("completion/complete", &prompt, "one_plan");
            let template =
                |uri: &str| json!({"ref": {"type": "ref/resource", "uri": uri}, "argument": argument});
            same("completion/complete", &template, "vault:///{name}");
        }
        looks_unknown(
            &super::legacy(&weir, ALICE),
            &weir,
            ALICE,
            "resources/subscribe",
            |uri| json!({"uri": format!("doc:{uri}")}),
            "///public/a",
        );
        assert_eq!(seen(&weir), json!([]), "{era}: nothing reaches the server");
    }
}

/// A completion has no `arguments`, and some that cannot be read must not be a way around what is decided.
#[test]
fn a_completion_with_stray_arguments_is_decided_as_one_without() {
    let policies = r#"
        permit(principal, action, resource is Prompt);
        forbid(principal, action == Action::"get_prompt", resource == Prompt::"one_plan") when { principal.sub == "alice" };
        forbid(principal, action == Action::"complete", resource)
            unless { context has address && context.address.isInRange(ip("10.0.0.0/8")) };
        permit(principal, action == Action::"call_tool", resource == Tool::"one_look");
    "#;
    let elsewhere = policies.replace("10.0.0.0", "127.0.0.0");
    let overrides = json!({"one": {"plan": {"arguments": {"topic": {"default": "x"}}}}});
    for era in ERAS {
        // Alice may not see the prompt; Bob may, and nobody completes from here.
        for (key, policies, allowed) in
            [(ALICE, &*elsewhere, false), (BOB, policies, false), (BOB, &*elsewhere, true)]
        {
            let weir = Weir::serve(guarded(era, policies, json!({"prompts": {"overrides": overrides}})));
            for client in clients(&weir, key) {
                for stray in [json!([]), json!({}), json!("x"), json!({"Topic": 1, "topic": 2}), Value::Null]
                {
                    let answer = client.ask(
                        "completion/complete",
                        json!({
                            "ref": {"type": "ref/prompt", "name": "one_plan"},
                            "argument": {"name": "topic", "value": "a"},
                            "arguments": stray,
                        }),
                    );
                    if allowed {
                        assert_eq!(answer.result()["completion"]["values"][0], "plan completed", "{stray}");
                    } else {
                        assert_eq!(answer.message["error"]["message"], "unknown prompt: one_plan", "{stray}");
                    }
                }
            }
            assert!(allowed || seen(&weir) == json!([]), "{era}: nothing reaches the server");
        }
    }
}

#[test]
fn a_tool_that_some_arguments_open_is_listed_and_opened_by_them_alone() {
    let policies = r#"
        permit(principal, action == Action::"call_tool", resource == Tool::"one_spend")
            when { context.arguments.amount < 100 };
        forbid(principal, action == Action::"call_tool", resource == Tool::"one_spend")
            when { context.arguments has note && context.arguments.note like "*secret*" };
    "#;
    for era in ERAS {
        let weir = Weir::serve(guarded(era, policies, json!({})));
        for client in clients(&weir, ALICE) {
            assert_eq!(client.tool_names(), ["one_spend"]);
            let spend = |arguments: Value| client.call("one_spend", arguments);
            assert_eq!(spend(json!({"amount": 99})).text(), "spent 99");
            assert_eq!(spend(json!({"amount": 1, "note": "lunch"})).text(), "spent 1");
            for refused in [
                json!({"amount": 100}),
                json!({"amount": 1, "note": "a secret lunch"}),
                json!({"amount": "1"}),
                json!({"amount": 1.5}),
                json!({"amount": null}),
                json!({"amount": [1]}),
                json!({"amount": 1, "note": 7}),
                json!({"amount": 99_999_999_999_999_999_999_999_f64}),
                json!({"Amount": 1}),
                json!({}),
                json!([1]),
                Value::Null,
            ] {
                let answer = spend(refused.clone());
                let said = &answer.message["error"];
                assert_eq!(said["message"], "unknown tool: one_spend", "{refused}: {}", answer.message);
            }
            let twice = r#"{"amount":1,"amount":1000}"#;
            let (request, _) =
                client.prepare("tools/call", json!({"name": "one_spend", "arguments": "TWICE"}));
            let answer = request.rewrite("\"TWICE\"", twice).send(&weir.endpoint().bearing(ALICE));
            assert!(answer.error_code().is_some(), "{}", answer.text());
            assert_eq!(seen(&weir), json!([["tools/call", "spend"], ["tools/call", "spend"]]));
        }
    }
}

#[test]
fn arguments_are_judged_by_the_names_that_clients_see() {
    let parameters = json!({"path": {"name": "file", "default": "/secret"}});
    let overrides =
        json!({"one": {"delete": {"parameters": parameters, "name": "erase", "tags": ["write"]}}});
    let policies = r#"
        permit(principal, action == Action::"call_tool", resource) when { resource.tags.contains("write") };
        forbid(principal, action == Action::"call_tool", resource == Tool::"erase")
            when { context.arguments has file && context.arguments.file like "/secret*" };
    "#;
    let weir = Weir::serve(guarded("modern", policies, json!({"tools": {"overrides": overrides}})));
    for client in clients(&weir, BOB) {
        assert_eq!(client.tool_names(), ["erase"]);
        let erase = |arguments: Value| client.call("erase", arguments);
        assert_eq!(erase(json!({"file": "/tmp"})).text(), "deleted /tmp");
        assert_eq!(erase(json!({"path": "/tmp"})).text(), "deleted /tmp");
        for refused in [json!({"file": "/secret"}), json!({"path": "/secret"}), json!({})] {
            let answer = erase(refused.clone());
            assert_eq!(answer.message["error"]["message"], "unknown tool: erase", "{refused}");
        }
        // Whoever may call the tool hears what is wrong with the call.
        assert_eq!(erase(json!({"file": "/tmp", "path": "/secret"})).error(), -32602);
    }
    assert_eq!(
        seen(&weir),
        json!([
            ["tools/call", "delete"],
            ["tools/call", "delete"],
            ["tools/call", "delete"],
            ["tools/call", "delete"]
        ])
    );
}

#[test]
fn a_call_that_is_made_again_is_decided_again() {
    let policies = r#"
        permit(principal, action == Action::"call_tool", resource == Tool::"one_ask");
        forbid(principal, action, resource) when { context.retry && principal.sub == "bob" };
    "#;
    let weir = Weir::serve(guarded("modern", policies, json!({})));
    for (key, allowed) in [(ALICE, true), (BOB, false)] {
        let form = json!({"elicitation": {"form": {}}});
        let client = Modern::with_capabilities(weir.endpoint().bearing(key), form);
        let asked = client.call("one_ask", json!({"path": "x"}));
        assert_eq!(asked.result()["resultType"], "input_required");
        let again = json!({
            "name": "one_ask",
            "arguments": {"path": "x"},
            "requestState": asked.result()["requestState"],
            "inputResponses": {"who": {"action": "accept", "content": {"name": "me"}}},
        });
        let answer = client.ask("tools/call", again);
        if allowed {
            assert_eq!(answer.text(), "answered");
        } else {
            assert_eq!(answer.message["error"]["message"], "unknown tool: one_ask");
        }
    }
}

#[test]
fn nobody_can_claim_that_a_call_is_made_again() {
    let policies = r#"
        permit(principal, action == Action::"call_tool", resource);
        forbid(principal, action, resource == Tool::"one_look") unless { context.retry };
    "#;
    for era in ERAS {
        let weir = Weir::serve(guarded(era, policies, json!({})));
        let client = modern(&weir, ALICE);
        let call = json!({"name": "one_look", "arguments": {"path": "x"}});
        for claim in [
            json!({}),
            json!({"requestState": null}),
            json!({"inputResponses": null}),
            json!({"inputResponses": {}}),
            json!({"inputResponses": {"who": {"action": "accept", "content": {"name": "me"}}}}),
            json!({"requestState": null, "inputResponses": {}}),
            json!({"requestState": "made up", "inputResponses": {}}),
        ] {
            let mut params = call.clone();
            for (key, value) in claim.as_object().into_iter().flatten() {
                params[key] = value.clone();
            }
            let answer = client.ask("tools/call", params);
            assert!(answer.message["error"].is_object(), "{claim}: {}", answer.message);
        }
        assert_eq!(seen(&weir), json!([]), "{era}: nothing reaches the server");
    }
}

#[test]
fn a_scope_that_is_missing_is_asked_for() {
    let policies = r#"permit(principal, action, resource == Tool::"one_look") when { principal.scopes.contains("mcp") };"#;
    let weir = Weir::serve(guarded("modern", policies, json!({})));
    assert_eq!(modern(&weir, ALICE).call("one_look", json!({"path": "x"})).text(), "looked at x");
    for client in clients(&weir, BOB) {
        let (request, _) =
            client.prepare("tools/call", json!({"name": "one_look", "arguments": {"path": "x"}}));
        let answer = request.send(&weir.endpoint().bearing(BOB));
        assert_eq!(answer.status, 403, "{}", answer.text());
        let challenge = answer.header("www-authenticate").expect("a challenge");
        assert!(
            challenge.contains("error=\"insufficient_scope\"") && challenge.contains("scope=\"mcp\""),
            "{challenge}"
        );
        let other = client.call("one_delete", json!({"path": "x"}));
        assert_eq!(other.message["error"]["message"], "unknown tool: one_delete", "no scope helps");
    }
}

#[test]
fn the_era_and_the_address_count() {
    let policies = r#"
        permit(principal, action, resource == Tool::"one_look") when { context.era == "modern" };
        permit(principal, action, resource == Tool::"one_spend")
            when { context has address && context.address.isLoopback() };
        permit(principal, action, resource == Tool::"one_delete")
            when { context has address && context.address.isInRange(ip("10.0.0.0/8")) };
    "#;
    let weir = Weir::serve(guarded("legacy", policies, json!({})));
    let [old, new] = clients(&weir, ALICE);
    for client in [&old, &new] {
        assert_eq!(
            client.tool_names(),
            ["one_look", "one_delete", "one_spend"],
            "there are such circumstances"
        );
        assert_eq!(client.call("one_spend", json!({"amount": 1})).text(), "spent 1");
        assert_eq!(client.call("one_delete", json!({"path": "x"})).error(), -32602);
    }
    assert_eq!(new.call("one_look", json!({"path": "x"})).text(), "looked at x");
    assert_eq!(old.call("one_look", json!({"path": "x"})).error(), -32602);
}

//! Policies that change while clients are there, and policies that are only tried out.

use super::{ALICE, BOB, ERAS, ROOT, clients, guarded, legacy, modern, seen};
use serde_json::json;
use weir_tests::{Modern, Speak, Weir, peers, wait};

const LOOK: &str = r#"permit(principal in Group::"readers", action, resource == Tool::"one_look");"#;
const SPEND: &str = r#"permit(principal in Group::"readers", action, resource == Tool::"one_spend");"#;

#[test]
fn new_policies_hold_for_open_sessions_which_hear_of_it() {
    for era in ERAS {
        let weir = Weir::serve(guarded(era, LOOK, json!({})));
        let (old, new) = (legacy(&weir, ALICE), modern(&weir, ALICE));
        let mut old_stream = old.listen();
        let wanted = json!({"notifications": {"toolsListChanged": true, "promptsListChanged": true}});
        let (listen, _) = new.prepare("subscriptions/listen", wanted);
        let mut new_stream = listen.open(&weir.endpoint().bearing(ALICE)).events();
        new_stream.message();
        let bob = legacy(&weir, BOB);
        let mut bobs_stream = bob.listen();
        assert_eq!(old.tool_names(), ["one_look"]);

        weir.reconfigure(guarded(era, SPEND, json!({})));
        for stream in [&mut old_stream, &mut new_stream] {
            assert_eq!(stream.message()["method"], "notifications/tools/list_changed");
        }
        for client in [&old as &dyn Speak, &new] {
            assert_eq!(client.tool_names(), ["one_spend"]);
            assert_eq!(client.call("one_look", json!({"path": "x"})).error(), -32602);
            assert_eq!(client.call("one_spend", json!({"amount": 1})).text(), "spent 1");
        }
        assert_eq!(seen(&weir), json!([["tools/call", "spend"], ["tools/call", "spend"]]));

        // Nothing changed for him until now, and the first thing that he hears is what does.
        weir.reconfigure(guarded(
            era,
            &format!("{SPEND}permit(principal, action, resource is Prompt);"),
            json!({}),
        ));
        for stream in [&mut bobs_stream, &mut old_stream, &mut new_stream] {
            assert_eq!(stream.message()["method"], "notifications/prompts/list_changed");
        }
    }
}

#[test]
fn a_call_that_waits_for_its_client_is_decided_by_the_new_policies() {
    let ask = r#"permit(principal, action, resource == Tool::"one_ask");"#;
    let weir = Weir::serve(guarded("modern", ask, json!({})));
    let client =
        Modern::with_capabilities(weir.endpoint().bearing(ALICE), json!({"elicitation": {"form": {}}}));
    let asked = client.call("one_ask", json!({"path": "x"}));
    weir.reconfigure(guarded("modern", LOOK, json!({})));
    wait::until_true("the policies are taken", || client.tool_names() == ["one_look"]);
    let again = json!({
        "name": "one_ask",
        "arguments": {"path": "x"},
        "requestState": asked.result()["requestState"],
        "inputResponses": {"who": {"action": "accept", "content": {}}},
    });
    assert_eq!(client.ask("tools/call", again).message["error"]["message"], "unknown tool: one_ask");
}

#[test]
fn policies_that_cannot_be_used_change_nothing() {
    let weir = Weir::serve(guarded("legacy", LOOK, json!({})));
    weir.reconfigure(guarded("legacy", "permit(principal, action, resource) when { nonsense };", json!({})));
    wait::until_true("the policies are refused", || {
        weir.log().contains("nonsense") || weir.log().contains("polic")
    });
    for client in clients(&weir, ALICE) {
        assert_eq!(client.tool_names(), ["one_look"]);
    }
}

#[test]
fn shadow_policies_are_never_enforced() {
    let mut config = guarded("legacy", LOOK, json!({}));
    let shadow =
        "forbid(principal, action, resource); permit(principal, action, resource == Tool::\"one_delete\");";
    config["endpoints"]["main"]["policies"]["shadow"] = json!({"inline": shadow});
    let weir = Weir::serve(config);
    for client in clients(&weir, ALICE) {
        assert_eq!(client.tool_names(), ["one_look"]);
        assert_eq!(client.call("one_look", json!({"path": "x"})).text(), "looked at x");
        assert_eq!(client.call("one_delete", json!({"path": "x"})).error(), -32602);
    }
}

#[test]
fn a_task_lasts_as_long_as_its_tool_may_be_called() {
    const TASKS: &str = "io.modelcontextprotocol/tasks";
    let config = |policies: &str| {
        let mut config = guarded("modern", policies, json!({"conflicts": "none"}));
        config["backends"]["one"] = peers::fixture("tasks.py", &["stdio"]);
        config
    };
    let some = r#"permit(principal in Group::"readers", action, resource == Tool::"slow_compute")
        when { context.arguments.seconds < 10 };"#;
    let weir = Weir::serve(config(some));
    let client = |key: &str| {
        let capabilities = json!({"elicitation": {}, "extensions": {TASKS: {}}});
        Modern::with_capabilities(weir.endpoint().bearing(key), capabilities)
    };
    let (alice, bob) = (client(ALICE), client(BOB));
    assert_eq!(
        alice.call("slow_compute", json!({"seconds": 10})).message["error"]["message"],
        "unknown tool: slow_compute"
    );
    let made = alice.call("slow_compute", json!({"seconds": 1}));
    let id = made.result()["taskId"].as_str().unwrap_or_else(|| panic!("{}", made.message)).to_owned();
    let get = |client: &Modern| client.ask("tasks/get", json!({"taskId": id}));
    assert_eq!(get(&alice).result()["taskId"], *id, "its arguments are not decided about again");
    assert_eq!(get(&bob).message["error"]["message"], "unknown task");
    weir.reconfigure(config(LOOK));
    wait::until_true("the policies are taken", || alice.tool_names().is_empty());
    for method in ["tasks/get", "tasks/cancel", "tasks/update"] {
        let answer = alice.ask(method, json!({"taskId": id, "inputResponses": {}}));
        assert_eq!(answer.message["error"]["message"], "unknown task", "{method}");
    }
}

/// What is open was judged by what the key said then.
#[test]
fn a_key_that_loses_a_group_ends_what_was_open() {
    let policies = r#"
        permit(principal in Group::"readers", action, resource is Resource);
        permit(principal, action, resource is Tool);
    "#;
    for era in ERAS {
        let mut config = guarded(era, policies, json!({}));
        let weir = Weir::serve(config.clone());
        let alice = legacy(&weir, ALICE);
        let stream = alice.listen();
        let subscribe = json!({"uri": "doc:///public/a"});
        assert_eq!(alice.ask("resources/subscribe", subscribe.clone()).result(), &json!({}));
        let wanted = json!({"notifications": {"resourceSubscriptions": ["doc:///public/a"]}});
        let (listen, _) = modern(&weir, ALICE).prepare("subscriptions/listen", wanted);
        let mut listening = listen.open(&weir.endpoint().bearing(ALICE)).events();
        listening.message();
        let root = legacy(&weir, ROOT);
        let mut roots = root.listen();
        assert_eq!(root.ask("resources/subscribe", subscribe.clone()).result(), &json!({}));

        config["endpoints"]["main"]["auth"]["api_keys"][0]["groups"] = json!(["nobody"]);
        weir.reconfigure(config);
        assert!(stream.count() < 100 && listening.count() < 100, "{era}: both streams end");
        // Whose key says what it said notices nothing.
        modern(&weir, ROOT).call("one_touch", json!({"uri": "doc:///public/a"}));
        assert_eq!(roots.message()["params"]["uri"], "doc:///public/a");
        let back = legacy(&weir, ALICE);
        let refused = back.ask("resources/subscribe", subscribe);
        assert_eq!(refused.message["error"]["message"], "resource not found");
    }
}

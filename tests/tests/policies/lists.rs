//! Who sees what.

use super::{ALICE, BOB, ERAS, ROOT, clients, guarded, legacy, modern, uris};
use serde_json::{Value, json};
use weir_tests::http::Request;
use weir_tests::message::names;
use weir_tests::{Speak, Weir, peers, stdio::Stdio};

const POLICIES: &str = r#"
    permit(principal in Group::"readers", action == Action::"call_tool", resource) when { resource.read_only };
    permit(principal in Group::"readers", action == Action::"get_prompt", resource == Prompt::"one_plan");
    permit(principal in Group::"readers", action in [Action::"read_resource", Action::"subscribe"], resource)
        when { resource.uri like "doc:///public/*" };
    permit(principal, action == Action::"call_tool", resource)
        when { principal.groups.contains("writers") && !resource.read_only };
"#;

#[test]
fn groups_see_different_lists() {
    for era in ERAS {
        for page_size in [1, 2, 100] {
            let weir = Weir::serve(guarded(era, POLICIES, json!({"page_size": page_size})));
            for client in clients(&weir, ALICE) {
                assert_eq!(client.tool_names(), ["one_look", "one_ask", "one_touch", "one_seen"]);
                assert_eq!(names(&client.list("prompts/list", "prompts")), ["one_plan"]);
                let resources = client.list("resources/list", "resources");
                assert_eq!(uris(&resources, "uri"), ["doc:///public/a", "doc:///public/b"]);
            }
            for client in clients(&weir, BOB) {
                assert_eq!(client.tool_names(), ["one_delete", "one_spend"]);
                assert!(client.list("prompts/list", "prompts").is_empty());
                assert!(client.list("resources/list", "resources").is_empty());
                assert!(client.list("resources/templates/list", "resourceTemplates").is_empty());
            }
            for client in clients(&weir, ROOT) {
                assert_eq!(client.tool_names().len(), 6);
                assert_eq!(client.list("resources/list", "resources").len(), 4);
                assert_eq!(client.list("resources/templates/list", "resourceTemplates").len(), 2);
            }
        }
    }
}

#[test]
fn a_cursor_is_its_readers_and_leads_on_in_what_it_sees() {
    let weir = Weir::serve(guarded("legacy", POLICIES, json!({"page_size": 2})));
    let (alice, root) = (modern(&weir, ALICE), modern(&weir, ROOT));
    let page = |client: &dyn Speak, params: Value| client.ask("tools/list", params).message["result"].clone();
    let first = page(&alice, json!({}));
    assert_eq!(names(first["tools"].as_array().unwrap()), ["one_look", "one_ask"]);
    let cursor = &first["nextCursor"];
    let second = page(&alice, json!({"cursor": cursor}));
    assert_eq!(names(second["tools"].as_array().unwrap()), ["one_touch", "one_seen"]);
    assert!(second.get("nextCursor").is_none());
    assert_eq!(root.ask("tools/list", json!({"cursor": cursor})).error(), -32602);
}

#[test]
fn what_not_everybody_sees_is_nobodys_to_share() {
    let weir = Weir::serve(guarded("modern", POLICIES, json!({})));
    for method in
        ["tools/list", "prompts/list", "resources/list", "resources/templates/list", "server/discover"]
    {
        let answer = modern(&weir, ALICE).ask(method, json!({}));
        assert_eq!(answer.result()["cacheScope"], "private", "{method}");
    }
    // Who sees the same may still be the only one who comes in, and what may be read is not for everybody.
    let weir = Weir::serve(guarded("modern", "permit(principal, action, resource);", json!({})));
    let alice = modern(&weir, ALICE);
    for (method, params) in [
        ("tools/list", json!({})),
        ("server/discover", json!({})),
        ("resources/read", json!({"uri": "doc:///public/a"})),
        ("resources/read", json!({"uri": "doc:///public/a"})),
    ] {
        assert_eq!(alice.ask(method, params).result()["cacheScope"], "private", "{method}");
    }
}

#[test]
fn instructions_are_those_of_backends_of_which_something_is_seen() {
    let mut config = guarded("legacy", POLICIES, json!({}));
    config["backends"]["two"] = peers::fixture("guarded.py", &["modern"]);
    config["endpoints"]["main"]["backends"] = json!(["one", "two"]);
    let extra = "permit(principal == Client::\"#alice\", action, resource) when { false };
        forbid(principal, action, resource in Backend::\"two\") unless { principal.sub == \"root\" };";
    let written = format!("{}{POLICIES}{extra}", super::ROOT_MAY);
    config["endpoints"]["main"]["policies"]["inline"] = json!(written);
    let weir = Weir::serve(config);
    let of = |key: &str| {
        let old = legacy(&weir, key).welcome["instructions"].clone();
        let new = modern(&weir, key).ask("server/discover", json!({})).result()["instructions"].clone();
        assert_eq!(old, new);
        old
    };
    assert_eq!(of(ALICE), "one: instructions of legacy");
    assert_eq!(of(ROOT), "one: instructions of legacy\n\ntwo: instructions of modern");
}

#[test]
fn without_a_policy_nobody_sees_or_does_anything() {
    let mut config = guarded("legacy", "", json!({}));
    config["endpoints"]["main"].as_object_mut().unwrap().remove("policies");
    let weir = Weir::serve(config);
    for client in clients(&weir, ROOT) {
        assert!(client.tool_names().is_empty());
        assert_eq!(client.call("one_look", json!({"path": "x"})).error(), -32602);
    }
    assert!(legacy(&weir, ROOT).welcome.get("instructions").is_none());
    let open = Request::post("{}").send(&weir.endpoint());
    assert_eq!(open.status, 401);
}

#[test]
fn the_local_user_is_decided_about_too() {
    let policies = "permit(principal == Client::\"anonymous\", action, resource == Tool::\"one_look\");";
    let mut config = guarded("modern", policies, json!({}));
    config["endpoints"]["main"].as_object_mut().unwrap().remove("auth");
    let mut weir = Stdio::serve(config);
    weir.initialize(weir_tests::legacy::REVISION);
    let id = weir.request("tools/list", json!({}));
    let tools = weir.answer(&id)["result"].clone();
    assert_eq!(names(tools["tools"].as_array().unwrap()), ["one_look"]);
    let call = |weir: &mut Stdio, tool: &str| {
        let id = weir.modern("tools/call", json!({"name": tool, "arguments": {"path": "x"}}));
        weir.answer(&id)
    };
    assert_eq!(call(&mut weir, "one_look")["result"]["content"][0]["text"], "looked at x");
    assert_eq!(call(&mut weir, "one_delete")["error"]["message"], "unknown tool: one_delete");
}

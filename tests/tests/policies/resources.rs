//! Resources, their templates and their updates.

use super::{ALICE, BOB, ERAS, ROOT, clients, guarded, legacy, modern, seen, uris};
use serde_json::json;
use weir_tests::{Speak, Weir};

const POLICIES: &str = r#"
    permit(principal, action, resource is Resource);
    forbid(principal, action, resource is Resource) when { resource.uri like "doc:///private/*" }
        unless { principal.sub == "root" };
    forbid(principal in Group::"writers", action, resource is Resource) when { resource.uri like "vault:*" };
    permit(principal, action == Action::"call_tool", resource == Tool::"one_touch");
"#;

#[test]
fn no_spelling_of_a_uri_leads_around_a_denial() {
    for era in ERAS {
        let weir = Weir::serve(guarded(era, POLICIES, json!({})));
        for client in clients(&weir, ALICE) {
            let read = |uri: &str| client.ask("resources/read", json!({"uri": uri}));
            assert_eq!(read("doc:///public/a").result()["contents"][0]["text"], "what is in doc:///public/a");
            assert_eq!(
                read("doc:///other/a").result()["contents"][0]["uri"],
                "doc:///other/a",
                "by the template"
            );
            for uri in [
                "doc:///private/a",
                "doc:///private/unlisted",
                "DOC:///private/a",
                "Doc:///private/unlisted",
                "doc:///public/../private/a",
                "doc:///./private/a",
                "doc:///private/./a",
                "doc:///%70rivate/a",
                "doc:///private/%61",
                "doc:///private/with space",
                "doc:///private//a",
                "doc:////private/a",
                "doc:///private%2Fa",
                "doc:///public%2f..%2fprivate/a",
                "doc:///public\\..\\private/a",
                "doc:///public/%2e%2e/private/a",
            ] {
                let answer = read(uri);
                assert_eq!(
                    answer.message["error"]["message"], "resource not found",
                    "{uri}: {}",
                    answer.message
                );
            }
        }
        let reached = [["resources/read", "doc:///public/a"], ["resources/read", "doc:///other/a"]];
        let both = if era == "legacy" { [reached, reached].concat() } else { reached.to_vec() };
        assert_eq!(seen(&weir), json!(both), "{era}");
    }
}

#[test]
fn what_is_kept_for_one_caller_is_decided_for_the_next() {
    let policies = r#"permit(principal, action, resource) when { principal.sub == "alice" };"#;
    let weir = Weir::serve(guarded("modern", policies, json!({})));
    let read = |key: &str| modern(&weir, key).ask("resources/read", json!({"uri": "doc:///public/a"}));
    for _ in 0..2 {
        assert_eq!(read(ALICE).result()["contents"][0]["uri"], "doc:///public/a");
        assert_eq!(read(BOB).message["error"]["message"], "resource not found");
    }
    assert_eq!(seen(&weir), json!([["resources/read", "doc:///public/a"]]), "it was kept");
}

#[test]
fn templates_and_completion_follow_what_they_lead_to() {
    for era in ERAS {
        let weir = Weir::serve(guarded(era, POLICIES, json!({})));
        let argument = json!({"name": "name", "value": "x"});
        let vault = json!({"ref": {"type": "ref/resource", "uri": "vault:///{name}"}, "argument": argument});
        for client in clients(&weir, ALICE) {
            let templates = client.list("resources/templates/list", "resourceTemplates");
            assert_eq!(uris(&templates, "uriTemplate"), ["doc:///{folder}/{name}", "vault:///{name}"]);
            let completed = client.ask("completion/complete", vault.clone());
            assert_eq!(completed.result()["completion"]["values"][0], "vault:///{name} completed");
            let prompt = json!({"ref": {"type": "ref/prompt", "name": "one_plan"}, "argument": argument});
            assert_eq!(
                client.ask("completion/complete", prompt).message["error"]["message"],
                "unknown prompt: one_plan"
            );
        }
        for client in clients(&weir, BOB) {
            let templates = client.list("resources/templates/list", "resourceTemplates");
            assert_eq!(uris(&templates, "uriTemplate"), ["doc:///{folder}/{name}"]);
            assert_eq!(
                client.ask("completion/complete", vault.clone()).message["error"]["message"],
                "resource not found"
            );
            assert_eq!(
                client.ask("resources/read", json!({"uri": "vault:///x"})).message["error"]["message"],
                "resource not found"
            );
        }
    }
}

#[test]
fn a_template_is_seen_where_one_of_its_resources_may_be() {
    let policies = r#"permit(principal, action, resource == Resource::"vault:///one");"#;
    let weir = Weir::serve(guarded("legacy", policies, json!({})));
    for client in clients(&weir, ALICE) {
        assert!(client.list("resources/list", "resources").is_empty());
        let templates = client.list("resources/templates/list", "resourceTemplates");
        assert!(uris(&templates, "uriTemplate").contains(&"vault:///{name}".to_owned()), "{templates:?}");
        assert_eq!(
            client.ask("resources/read", json!({"uri": "vault:///one"})).result()["contents"][0]["uri"],
            "vault:///one"
        );
        assert_eq!(
            client.ask("resources/read", json!({"uri": "vault:///two"})).message["error"]["message"],
            "resource not found"
        );
    }
}

#[test]
fn completion_needs_what_it_completes_to_be_seen() {
    let policies = r#"
        permit(principal, action == Action::"complete", resource);
        permit(principal, action == Action::"get_prompt", resource == Prompt::"one_plan");
    "#;
    let weir = Weir::serve(guarded("modern", policies, json!({})));
    for client in clients(&weir, ALICE) {
        let complete = |name: &str| {
            let params = json!({"ref": {"type": "ref/prompt", "name": name}, "argument": {"name": "topic", "value": "x"}});
            client.ask("completion/complete", params)
        };
        assert_eq!(complete("one_plan").result()["completion"]["total"], 1);
        assert_eq!(complete("one_secret").message["error"]["message"], "unknown prompt: one_secret");
    }
}

#[test]
fn updates_go_to_those_who_may_watch() {
    for era in ERAS {
        let weir = Weir::serve(guarded(era, POLICIES, json!({})));
        let (alice, root) = (legacy(&weir, ALICE), legacy(&weir, ROOT));
        let (mut hears, mut root_hears) = (alice.listen(), root.listen());
        let denied = alice.ask("resources/subscribe", json!({"uri": "doc:///private/a"}));
        assert_eq!(denied.message["error"]["message"], "resource not found");
        // What it is a part of she may watch, and hears no more of than that.
        for (client, uri) in [(&alice, "doc:///"), (&alice, "doc:///public/a"), (&root, "doc:///private/a")] {
            assert_eq!(client.ask("resources/subscribe", json!({"uri": uri})).result(), &json!({}), "{uri}");
        }
        let wanted =
            json!({"notifications": {"resourceSubscriptions": ["doc:///private/a", "doc:///public/a"]}});
        let (listen, _) = modern(&weir, ALICE).prepare("subscriptions/listen", wanted);
        let mut stream = listen.open(&weir.endpoint().bearing(ALICE)).events();
        let accepted = stream.message()["params"]["notifications"].clone();
        assert_eq!(accepted, json!({"resourceSubscriptions": ["doc:///public/a"]}));
        for uri in ["doc:///private/a", "doc:///public/a"] {
            modern(&weir, ROOT).call("one_touch", json!({"uri": uri}));
        }
        assert_eq!(root_hears.message()["params"]["uri"], "doc:///private/a");
        assert_eq!(
            hears.message()["params"]["uri"],
            "doc:///",
            "something of it changed, and she may not know what"
        );
        assert_eq!(stream.message()["params"]["uri"], "doc:///public/a");
    }
}

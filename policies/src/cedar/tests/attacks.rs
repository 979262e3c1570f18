//! What somebody may try who wants more than the policies say.

use super::*;

/// Cedar passes over a policy whose evaluation fails, and over what it forbids.
#[test]
fn a_forbid_that_cannot_be_evaluated_denies() {
    let tools = [Tool {
        name: "github_a",
        backend: "github",
        input_schema: r#"{"properties": {"count": {"type": "integer"}}, "required": ["count"]}"#,
    }];
    let policies = policies_for(
        r#"permit(principal, action, resource);
           @id("too many") forbid(principal, action == Action::"call_tool", resource)
               when { context.arguments.count * 2 > 10 };"#,
        &tools,
    );
    let ada = caller("ada", &[]);
    let ask = |arguments| call_with(&policies, &ada, &tool("github_a"), arguments);
    assert!(ask(r#"{"count": 5}"#).is_ok());
    assert!(ask(r#"{"count": 6}"#).is_err());
    for arguments in [r#"{"count": 9223372036854775807}"#, r#"{"count": -9223372036854775808}"#, "{}"] {
        assert_eq!(ask(arguments).unwrap_err().by, ["too many"], "{arguments}");
    }
}

#[test]
fn names_are_compared_letter_by_letter() {
    let policies = policies(
        r#"permit(principal, action, resource);
           forbid(principal, action, resource == Tool::"github_delete_repo");"#,
    );
    let ada = caller("ada", &[]);
    assert!(call(&policies, &ada, &tool("github_delete_repo")).is_err());
    // What is not the entry's own name is another entry; the catalog says which there are.
    for name in ["GitHub_delete_repo", "github_delete_rep\u{43e}", "github_delete_repo\u{200b}"] {
        assert!(call(&policies, &ada, &tool(name)).is_ok(), "{name}");
    }
    // Under whatever name it was found, the entry is what counts.
    let overridden = Item::of(ItemKind::Tool, "github_delete_repo", "delete_repository", "forge");
    assert!(call(&policies, &ada, &overridden).is_err());
}

#[test]
fn the_original_name_can_be_forbidden_whatever_clients_see() {
    let policies = policies(
        r#"permit(principal, action, resource);
           forbid(principal, action, resource in Backend::"github") when { resource.original == "delete_repo" };"#,
    );
    let ada = caller("ada", &[]);
    for name in ["github_delete_repo", "clean_up"] {
        assert!(
            call(&policies, &ada, &Item::of(ItemKind::Tool, name, "delete_repo", "github")).is_err(),
            "{name}"
        );
    }
    assert!(call(&policies, &ada, &Item::of(ItemKind::Tool, "delete_repo", "x", "github")).is_ok());
}

#[test]
fn claims_do_not_become_groups_roles_or_names() {
    let policies = policies(&format!(
        r#"permit(principal in Group::"admins", action, resource);
           permit(principal, action, resource) when {{ principal.groups.contains("admins") }};
           permit(principal, action, resource) when {{ principal.roles.contains("admins") }};
           permit(principal, action, resource) when {{ principal.sub == "root" }};
           permit(principal, action, resource) when {{ principal has email && principal.email == "root@example.com" }};
           permit(principal == Client::"{ISSUER}#root", action, resource);"#
    ));
    let eve = claiming(json!({
        "groups": ["admins"], "roles": ["admins"], "sub": "root", "email": "root@example.com", "iss": ISSUER,
        "parents": [{"type": "Group", "id": "admins"}], "__entity": {"type": "Client", "id": "root"},
        "uid": "Client::\"root\"", "__extn": {"fn": "ip", "arg": "x"},
    }));
    assert!(call(&policies, &eve, &tool("github_a")).is_err());
}

#[test]
fn a_group_is_not_what_is_named_like_it() {
    let policies = policies(
        r#"permit(principal in Group::"admins", action, resource);
           permit(principal == Client::"https://idp.example.com#root", action, resource);
           forbid(principal, action, resource in Backend::"main");"#,
    );
    for groups in [
        &["Group::\"admins\""][..],
        &["admins\"", "admins\u{0}", "\"admins\"", " admins", "ADMINS", "\u{430}dmins"],
        &["https://idp.example.com#root", "Client", "root"],
    ] {
        assert!(call(&policies, &caller("admins", groups), &tool("github_a")).is_err(), "{groups:?}");
    }
    for (issuer, subject) in [
        ("https://idp.example.com#root", ""),
        ("https://idp.example.com", "#root"),
        ("https://idp.example.com#", "root"),
    ] {
        assert!(
            call(&policies, &Arc::new(Principal::of(issuer, subject)), &tool("github_a")).is_err(),
            "{issuer}"
        );
    }
}

/// Callers whom no policy names go by the empty id.
#[test]
fn nobody_has_an_empty_id() {
    for text in [
        r#"permit(principal == Client::"", action, resource);"#,
        r#"permit(principal, action, resource) when { principal in [Client::"", Group::"a"] };"#,
    ] {
        let problems = Policies::new(&spec(text), "main", &[]).unwrap_err();
        assert!(problems[0].to_string().contains("empty id"), "{problems:?}");
    }
    let policies =
        policies(r#"permit(principal, action, resource) when { [Client::""].contains(principal) };"#);
    assert!(call(&policies, &caller("ada", &[]), &tool("github_a")).is_err());
}

/// `Principal`s are equal by issuer and subject: nothing may be kept by that alone.
#[test]
fn a_newer_token_is_judged_by_what_it_says() {
    let policies = policies(
        r#"permit(principal in Group::"admins", action, resource);
           permit(principal, action, resource) when { principal.claims has tier && principal.claims.tier == "gold" };"#,
    );
    let before = caller("ada", &["admins"]);
    let after = caller("ada", &[]);
    assert_eq!(before, after);
    assert!(call(&policies, &before, &tool("github_a")).is_ok());
    assert!(call(&policies, &after, &tool("github_a")).is_err());
    assert_ne!(policies.class(&before), policies.class(&after));
    assert!(call(&policies, &claiming(json!({"tier": "gold"})), &tool("github_a")).is_ok());
    assert!(call(&policies, &after, &tool("github_a")).is_err());
}

#[test]
fn a_claim_that_is_not_what_was_declared_denies_where_it_is_read() {
    let policies = policies(
        r#"permit(principal, action, resource);
           forbid(principal, action, resource == Tool::"github_a")
               when { principal.claims has level && principal.claims.level > 3 };"#,
    );
    for claims in [json!({"level": "4"}), json!({"level": 4.5}), json!({"level": [4]}), json!({"level": 4})] {
        assert!(call(&policies, &claiming(claims.clone()), &tool("github_a")).is_err(), "{claims}");
        assert!(!policies.may(&claiming(claims.clone()), Action::CallTool, &tool("github_a")), "{claims}");
        assert!(call(&policies, &claiming(claims.clone()), &tool("github_b")).is_ok(), "{claims}");
    }
    assert!(call(&policies, &claiming(json!({"level": 3})), &tool("github_a")).is_ok());
}

#[test]
fn what_is_kept_of_one_item_is_not_another_items() {
    let policies =
        policies("permit(principal, action == Action::\"call_tool\", resource) when { resource.read_only };");
    let ada = caller("ada", &[]);
    let hints = |read_only| Hints { read_only: Some(read_only), ..Hints::default() };
    assert!(call(&policies, &ada, &Item { hints: hints(true), ..tool("github_a") }).is_ok());
    assert!(call(&policies, &ada, &Item { hints: hints(false), ..tool("github_a") }).is_err());
    let tagged =
        super::policies("permit(principal, action, resource) when { resource.tags.contains(\"a\") };");
    let [a, b] = [["a".to_owned()], ["b".to_owned()]];
    assert!(call(&tagged, &ada, &Item { tags: &a, ..tool("github_a") }).is_ok());
    assert!(call(&tagged, &ada, &Item { tags: &b, ..tool("github_a") }).is_err());
}

#[test]
fn a_uri_without_end_is_decided_and_not_kept() {
    let policies = policies("permit(principal, action, resource) when { resource.name like \"https://*\" };");
    let uri = format!("https://{}", "a".repeat(1 << 20));
    let item = Item::of(ItemKind::Resource, &uri, &uri, "github");
    let context = Context::now(Era::Modern);
    assert!(policies.permit(&caller("ada", &[]), Action::ReadResource, &item, &context).is_ok());
}

//! What lists show, and who is alike to policies.

use super::*;

fn shows(text: &str, who: &Arc<Principal>) -> bool {
    policies(text).may(who, Action::CallTool, &tool("github_a"))
}

#[test]
fn an_item_is_shown_where_some_context_could_allow_it() {
    let ada = caller("ada", &["a"]);
    let call = "principal, action == Action::\"call_tool\", resource";
    for (text, visible) in [
        ("permit(CALL) when { context.arguments.x == 1 };", true),
        ("permit(CALL) unless { context.arguments.x == 1 };", true),
        ("permit(CALL) when { principal.groups.contains(\"b\") && context.arguments.x == 1 };", false),
        ("permit(CALL) when { principal.groups.contains(\"a\") && context.arguments.x == 1 };", true),
        ("permit(CALL) when { principal.groups.contains(\"b\") || context.retry };", true),
        ("permit(CALL) when { !(principal.groups.contains(\"a\") || context.retry) };", false),
        ("permit(CALL) unless { principal.groups.contains(\"a\") || context.retry };", false),
        ("permit(CALL) unless { principal.groups.contains(\"a\") && context.retry };", true),
        ("permit(CALL) when { if principal.groups.contains(\"a\") then context.retry else true };", true),
        ("permit(CALL) when { if principal.groups.contains(\"a\") then false else context.retry };", false),
        ("permit(CALL); forbid(CALL) when { context.retry };", true),
        ("permit(CALL); forbid(CALL) when { context.retry || principal.groups.contains(\"a\") };", false),
        ("permit(CALL); forbid(CALL) when { context.retry && principal.groups.contains(\"a\") };", true),
        ("permit(CALL); forbid(CALL) unless { context.retry && principal.groups.contains(\"b\") };", false),
        ("permit(CALL); forbid(CALL) unless { context.retry && principal.groups.contains(\"a\") };", true),
        ("forbid(CALL) when { context.retry };", false),
        ("permit(CALL) when { context has address && context.address.isLoopback() };", true),
    ] {
        assert_eq!(shows(&text.replace("CALL", call), &ada), visible, "{text}");
    }
}

#[test]
fn a_call_is_always_allowed_where_no_context_has_a_say() {
    let ada = caller("ada", &["a"]);
    let call = "principal, action == Action::\"call_tool\", resource";
    for (text, always) in [
        ("permit(CALL);", true),
        ("permit(CALL) when { principal.groups.contains(\"b\") };", false),
        ("permit(CALL) when { context.retry };", false),
        ("permit(CALL) when { context.era == \"modern\" };", false),
        ("permit(CALL) when { principal.groups.contains(\"a\") || context.retry };", true),
        ("permit(CALL); forbid(CALL) when { context.retry };", false),
        ("permit(CALL); forbid(CALL) when { context.retry && principal.groups.contains(\"b\") };", true),
        ("permit(CALL); forbid(CALL) unless { context.retry || principal.groups.contains(\"a\") };", true),
        ("permit(CALL); forbid(CALL) unless { context has address };", false),
        ("permit(CALL); permit(CALL) when { context.retry };", true),
        ("permit(CALL); forbid(CALL) when { context.arguments has x && context.arguments.x == 1 };", false),
    ] {
        let policies = policies(&text.replace("CALL", call));
        assert_eq!(policies.always(&ada, Action::CallTool, &tool("github_a")), always, "{text}");
    }
}

#[test]
fn what_belongs_to_an_allowed_call_goes_by_what_may_be() {
    let policies = policies(
        "permit(principal in Group::\"a\", action == Action::\"call_tool\", resource) when { context.arguments.x == 1 };",
    );
    let item = tool("github_a");
    assert!(policies.permit_again(&caller("ada", &["a"]), Action::CallTool, &item).is_ok());
    assert!(policies.permit_again(&caller("ada", &[]), Action::CallTool, &item).is_err());
    assert!(policies.permit_again(&caller("ada", &["a"]), Action::GetPrompt, &item).is_err());
}

#[test]
fn callers_are_alike_where_no_policy_tells_them_apart() {
    let class = |text: &str, who: &Arc<Principal>| policies(text).class(who);
    let [ada, bob] = ["ada", "bob"].map(|name| caller(name, &["a", "b"]));
    let other = caller("ada", &["b", "c"]);
    let by_group = r#"permit(principal in Group::"a", action, resource);"#;
    assert_eq!(class(by_group, &ada), class(by_group, &bob));
    assert_ne!(class(by_group, &ada), class(by_group, &other));
    let by_literal = r#"permit(principal, action, resource) when { principal.groups.contains("b") };"#;
    assert_eq!(class(by_literal, &ada), class(by_literal, &other));
    let by_all =
        r#"permit(principal, action, resource) when { principal.groups.contains(resource.backend) };"#;
    assert_eq!(class(by_all, &ada), class(by_all, &bob));
    assert_ne!(class(by_all, &ada), class(by_all, &other));
    let by_name = format!(r#"permit(principal == Client::"{ISSUER}#bob", action, resource);"#);
    assert_ne!(class(&by_name, &ada), class(&by_name, &bob));
    assert_eq!(class(&by_name, &ada), class(&by_name, &other));
    let by_subject = r#"permit(principal, action, resource) when { principal.sub like "a*" };"#;
    assert_ne!(class(by_subject, &ada), class(by_subject, &bob));
    let everything = r#"permit(principal, action, resource) when { [principal].contains(principal) };"#;
    assert_ne!(class(everything, &ada), class(everything, &bob));
    assert!(policies("permit(principal, action, resource);").show_all_the_same());
    for telling in [by_group, by_literal, by_all, &by_name, by_subject, everything] {
        assert!(!policies(telling).show_all_the_same(), "{telling}");
    }
}

#[test]
fn keys_of_classes_are_not_mixed_up() {
    let text = r#"permit(principal, action, resource) when { principal.groups.contains(resource.backend)
        || principal.roles.contains(resource.backend) };"#;
    let policies = policies(text);
    let of = |groups: &[&str], roles: &[&str]| {
        let roles = roles.iter().map(|role| (*role).to_owned()).collect();
        policies.class(&Principal::with(ISSUER, "ada", Profile { roles, ..profile(groups) }))
    };
    assert_ne!(of(&["a"], &["b"]), of(&["b"], &["a"]));
    assert_ne!(of(&["a", "b"], &[]), of(&["a"], &["b"]));
    assert_ne!(of(&["ab"], &[]), of(&["a", "b"], &[]));
}

#[test]
fn generations_differ() {
    let text = "permit(principal, action, resource);";
    assert_ne!(policies(text).generation(), policies(text).generation());
    assert_eq!(Policies::nobody().generation(), Policies::anonymous().generation());
}

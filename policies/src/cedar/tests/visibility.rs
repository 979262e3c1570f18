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

/// Of what belongs to a call that was allowed, only the arguments are not known.
#[test]
fn what_belongs_to_an_allowed_call_is_decided_without_its_arguments_alone() {
    let again = |text: &str, who: &Arc<Principal>, context: Context<'_>| {
        let tools = [Tool {
            name: "github_a",
            backend: "github",
            input_schema: r#"{"type": "object", "properties": {"x": {"type": "integer"}}}"#,
        }];
        let call = "principal, action == Action::\"call_tool\", resource";
        let policies = policies_for(&text.replace("CALL", call), &tools);
        let allowed = policies.permit_again(who, Action::CallTool, &tool("github_a"), &context).is_ok();
        // What is allowed with some arguments is allowed without them.
        for arguments in ["{}", r#"{"x": 1}"#, r#"{"x": 2}"#] {
            let context = Context { arguments: Some(arguments), ..context };
            let called = policies.permit(who, Action::CallTool, &tool("github_a"), &context).is_ok();
            assert!(allowed || !called, "{text} {arguments}");
        }
        allowed
    };
    let ada = caller("ada", &["a"]);
    let outside = Context { address: Some([11, 0, 0, 1].into()), ..Context::now(Era::Modern) };
    let inside = Context { address: Some([10, 0, 0, 1].into()), ..outside };
    let office = r#"context has address && context.address.isInRange(ip("10.0.0.0/8"))"#;
    for (text, out, within) in [
        ("permit(CALL) when { OFFICE };", false, true),
        ("permit(CALL); forbid(CALL) unless { OFFICE };", false, true),
        ("permit(CALL) when { context.arguments has x && context.arguments.x == 1 && OFFICE };", false, true),
        ("permit(CALL) when { OFFICE } when { !(context.arguments has x) };", false, true),
        ("permit(CALL) unless { context.arguments has x || !(OFFICE) };", false, true),
        (
            "permit(CALL); forbid(CALL) unless { (context.arguments has x && context.arguments.x == 1) && OFFICE };",
            false,
            true,
        ),
        ("permit(CALL); forbid(CALL) when { context.arguments has x && !(OFFICE) };", true, true),
        ("permit(CALL) when { context.arguments has x || OFFICE };", true, true),
        ("permit(CALL) when { [context].contains(context) } when { OFFICE };", false, true),
        ("permit(principal in Group::\"b\", action, resource) when { OFFICE };", false, false),
        ("permit(CALL) when { context.retry };", false, false),
        (
            "permit(CALL) when { context.era == \"legacy\" || context.arguments has x && context.retry };",
            false,
            false,
        ),
        (
            "permit(CALL) when { context.time < datetime(\"2000-01-01\") && context.arguments has x };",
            false,
            false,
        ),
        ("permit(CALL) when { if OFFICE then context.arguments has x else false };", false, true),
        (
            "permit(CALL) when { context.arguments has x }; forbid(CALL) when { context.era == \"modern\" };",
            false,
            false,
        ),
        ("permit(CALL) when { resource.name == \"github_a\" };", true, true),
    ] {
        let text = text.replace("OFFICE", office);
        assert_eq!(again(&text, &ada, outside), out, "{text}");
        assert_eq!(again(&text, &ada, inside), within, "{text}");
    }
    let text = "permit(principal in Group::\"a\", action == Action::\"call_tool\", resource) when { context.arguments.x == 1 };";
    let policies = policies(text);
    let may = |who: &Arc<Principal>, action| {
        policies.permit_again(who, action, &tool("github_a"), &Context::now(Era::Legacy)).is_ok()
    };
    assert!(may(&ada, Action::CallTool) && !may(&ada, Action::GetPrompt));
    assert!(!may(&caller("ada", &[]), Action::CallTool));
    for open in [Policies::anonymous(), Policies::nobody()] {
        let may = open.permit_again(&ada, Action::CallTool, &tool("github_a"), &Context::now(Era::Legacy));
        assert!(may.is_err(), "ada is not anonymous");
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

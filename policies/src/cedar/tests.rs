//! Policies as operators write them, and calls as callers make them.

mod arguments;
mod attacks;
mod loading;
mod persons;
mod slicing;
mod templates;
mod visibility;

use super::{Cedar, Failure, Ordering, Verdict};
use crate::{Action, Context, Denied, Hints, Item, ItemKind, Policies, Principal, Profile, Tool};
use serde_json::{Value, json};
use std::sync::Arc;
use weir_config::{ClaimKind, PolicySource};
use weir_protocol::Era;

const ISSUER: &str = "https://idp.example.com";

fn source(text: &str) -> PolicySource {
    PolicySource { file: "policies/main.cedar".into(), text: text.to_owned(), lines_before: 0, indented: 0 }
}

fn spec(text: &str) -> weir_config::Policies {
    let claims = [("tier", ClaimKind::String), ("level", ClaimKind::Integer), ("teams", ClaimKind::Strings)];
    weir_config::Policies {
        sources: vec![source(text)],
        shadow: None,
        claims: claims.into_iter().map(|(name, kind)| (name.to_owned(), kind)).collect(),
    }
}

fn policies_for(text: &str, tools: &[Tool<'_>]) -> Policies {
    Policies::new(&spec(text), "main", tools).unwrap_or_else(|problems| {
        panic!(
            "{}",
            problems.iter().map(|problem| problem.diagnostic.to_string()).collect::<Vec<_>>().join("\n")
        )
    })
}

fn policies(text: &str) -> Policies {
    policies_for(text, &[])
}

fn profile(groups: &[&str]) -> Profile {
    Profile { groups: groups.iter().map(|group| (*group).to_owned()).collect(), ..Profile::default() }
}

fn caller(subject: &str, groups: &[&str]) -> Arc<Principal> {
    Arc::new(Principal::with(ISSUER, subject, profile(groups)))
}

fn claiming(claims: Value) -> Arc<Principal> {
    let Value::Object(claims) = claims else { panic!("claims are an object") };
    Arc::new(Principal::with(ISSUER, "ada", Profile { claims, ..Profile::default() }))
}

fn tool(name: &str) -> Item<'_> {
    Item::of(ItemKind::Tool, name, name.split_once('_').map_or(name, |(_, rest)| rest), "github")
}

fn call(policies: &Policies, who: &Arc<Principal>, item: &Item<'_>) -> Result<(), Denied> {
    call_with(policies, who, item, "{}")
}

fn call_with(
    policies: &Policies,
    who: &Arc<Principal>,
    item: &Item<'_>,
    arguments: &str,
) -> Result<(), Denied> {
    let context = Context { arguments: Some(arguments), ..Context::now(Era::Modern) };
    policies.permit(who, Action::CallTool, item, &context).map(drop)
}

#[test]
fn without_a_policy_nobody_may_do_anything() {
    let policies = policies("");
    assert_eq!(call(&policies, &caller("ada", &["admins"]), &tool("github_search")), Err(Denied::default()));
    assert!(!policies.may(&caller("ada", &[]), Action::CallTool, &tool("github_search")));
    assert!(call(&Policies::nobody(), &caller("ada", &[]), &tool("github_search")).is_err());
}

#[test]
fn groups_are_a_set_and_a_hierarchy() {
    for condition in [
        r#"permit(principal in Group::"developers", action, resource);"#,
        r#"permit(principal is Client in Group::"developers", action, resource);"#,
        r#"permit(principal, action, resource) when { principal.groups.contains("developers") };"#,
        r#"permit(principal, action, resource) when { principal in Group::"developers" };"#,
        r#"permit(principal, action, resource) when { principal.groups.containsAny(["x", "developers"]) };"#,
        r#"permit(principal, action, resource) when { principal in [Group::"x", Group::"developers"] };"#,
        r#"permit(principal, action, resource) unless { !(principal is Client in Group::"developers") };"#,
    ] {
        let policies = policies(condition);
        assert!(
            call(&policies, &caller("ada", &["developers", "y"]), &tool("github_a")).is_ok(),
            "{condition}"
        );
        for other in [&["Developers"][..], &["developers "], &["developer"], &[]] {
            assert!(
                call(&policies, &caller("eve", other), &tool("github_a")).is_err(),
                "{condition} {other:?}"
            );
        }
    }
}

#[test]
fn items_are_found_by_name_backend_endpoint_and_kind() {
    let prompt = Item::of(ItemKind::Prompt, "github_a", "a", "github");
    let elsewhere = Item::of(ItemKind::Tool, "jira_a", "a", "jira");
    for (scope, own, of_prompt, other) in [
        (r#"resource == Tool::"github_a""#, true, false, false),
        (r#"resource in Tool::"github_a""#, true, false, false),
        (r#"resource in Backend::"github""#, true, true, false),
        (r#"resource is Tool in Backend::"github""#, true, false, false),
        (r#"resource in Endpoint::"main""#, true, true, true),
        (r#"resource in Endpoint::"other""#, false, false, false),
        (r#"resource is Prompt"#, false, true, false),
        ("resource", true, true, true),
    ] {
        let policies = policies(&format!("permit(principal, action, {scope});"));
        let ada = caller("ada", &[]);
        assert_eq!(call(&policies, &ada, &tool("github_a")).is_ok(), own, "{scope}");
        assert_eq!(call(&policies, &ada, &elsewhere).is_ok(), other, "{scope}");
        let context = Context::now(Era::Modern);
        let got = policies.permit(&ada, Action::GetPrompt, &prompt, &context);
        assert_eq!(got.is_ok(), of_prompt, "{scope}");
    }
}

#[test]
fn what_a_tool_does_not_say_of_itself_is_assumed_to_be_bad() {
    let hints = |read_only, destructive| Hints { read_only, destructive, ..Hints::default() };
    let may = |policies: &Policies, hints| {
        call(policies, &caller("ada", &[]), &Item { hints, ..tool("github_a") }).is_ok()
    };
    let safe = policies(
        "permit(principal, action == Action::\"call_tool\", resource) when { !resource.destructive };",
    );
    assert!(!may(&safe, hints(None, None)));
    assert!(may(&safe, hints(Some(true), None)));
    assert!(may(&safe, hints(None, Some(false))));
    assert!(!may(&safe, hints(Some(true), Some(true))));
    let closed = policies(
        "permit(principal, action == Action::\"call_tool\", resource) when { !resource.open_world };",
    );
    assert!(!may(&closed, hints(Some(true), None)));
    let repeatable = policies(
        "permit(principal, action == Action::\"call_tool\", resource) when { resource.idempotent };",
    );
    assert!(!may(&repeatable, hints(None, None)) && may(&repeatable, hints(Some(true), None)));
}

#[test]
fn callers_have_an_id_that_holds_their_issuer() {
    let policies = policies(&format!("permit(principal == Client::\"{ISSUER}#ada\", action, resource);"));
    assert!(call(&policies, &caller("ada", &[]), &tool("github_a")).is_ok());
    for (issuer, subject) in
        [("https://evil.example.com", "ada"), ("", "ada"), (ISSUER, "Ada"), ("", "anonymous")]
    {
        let other = Arc::new(Principal::of(issuer, subject));
        assert!(call(&policies, &other, &tool("github_a")).is_err(), "{issuer} {subject}");
    }
    let anonymous = super::tests::policies("permit(principal == Client::\"anonymous\", action, resource);");
    assert!(call(&anonymous, &Arc::new(Principal::anonymous()), &tool("github_a")).is_ok());
    assert!(call(&anonymous, &caller("anonymous", &[]), &tool("github_a")).is_err());
}

#[test]
fn claims_that_are_declared_can_be_read() {
    let policies = policies(
        r#"permit(principal, action, resource) when { principal.claims has tier && principal.claims.tier == "gold" };
           permit(principal, action, resource) when { principal.claims has level && principal.claims.level > 3 };
           permit(principal, action, resource) when { principal.claims has teams && principal.claims.teams.contains("a") };"#,
    );
    for claims in
        [json!({"tier": "gold"}), json!({"level": 4}), json!({"teams": ["b", "a"]}), json!({"teams": "a"})]
    {
        assert!(call(&policies, &claiming(claims.clone()), &tool("github_a")).is_ok(), "{claims}");
    }
    for claims in
        [json!({}), json!({"tier": "silver"}), json!({"level": 3}), json!({"tier": null, "other": 1})]
    {
        assert!(call(&policies, &claiming(claims.clone()), &tool("github_a")).is_err(), "{claims}");
    }
}

#[test]
fn the_circumstances_can_be_read() {
    let policies = policies(
        r#"permit(principal, action, resource) when { context.era == "legacy" };
           permit(principal, action, resource) when {
               context has address && context.address.isInRange(ip("10.0.0.0/8"))
           };
           permit(principal, action, resource) when { context.time < datetime("1980-01-01") };"#,
    );
    let ada = caller("ada", &[]);
    let may =
        |context: Context<'_>| policies.permit(&ada, Action::CallTool, &tool("github_a"), &context).is_ok();
    let modern = Context::now(Era::Modern);
    assert!(!may(modern));
    assert!(may(Context::now(Era::Legacy)));
    assert!(may(Context { address: Some([10, 1, 2, 3].into()), ..modern }));
    assert!(may(Context { address: Some("::ffff:10.1.2.3".parse().unwrap()), ..modern }));
    assert!(!may(Context { address: Some([11, 1, 2, 3].into()), ..modern }));
    assert!(may(Context { time: std::time::UNIX_EPOCH, ..modern }));
}

/// Whoever calls can make a policy fail, as often as it likes.
#[test]
fn a_policy_that_fails_again_is_not_logged_again() {
    let cedar = Cedar::new(&spec("permit(principal, action, resource);"), "main", &[]).unwrap();
    let failed = vec![(0, Failure::Evaluation)];
    let verdict = Verdict { failed, ..Verdict::default() };
    let unsaid = |action, name| cedar.unsaid(&verdict, action, &tool(name)).len();
    assert_eq!(unsaid(Action::CallTool, "github_a"), 1);
    assert_eq!(unsaid(Action::CallTool, "github_a"), 0);
    assert_eq!(unsaid(Action::CallTool, "github_b"), 0);
    assert_eq!(unsaid(Action::GetPrompt, "github_a"), 1);
    let elsewhere = Item::of(ItemKind::Tool, "time_a", "a", "time");
    assert_eq!(cedar.unsaid(&verdict, Action::CallTool, &elsewhere).len(), 1);
    assert_eq!(cedar.failures.load(Ordering::Relaxed), 5);
}

#[test]
fn scopes_that_would_help_are_told() {
    let policies = policies(
        r#"permit(principal, action, resource) when { principal.scopes.contains("mcp") && principal.scopes.contains("write") };
           permit(principal, action, resource) when { principal.scopes.contains("admin") };
           forbid(principal, action, resource == Tool::"github_never");"#,
    );
    let with = |scopes: &[&str]| {
        let scopes = scopes.iter().map(|scope| (*scope).to_owned()).collect();
        Arc::new(Principal::with(ISSUER, "ada", Profile { scopes, ..Profile::default() }))
    };
    let missing =
        |scopes: &[&str], name| call(&policies, &with(scopes), &tool(name)).unwrap_err().missing_scopes;
    assert_eq!(missing(&["mcp"], "github_a"), ["write"]);
    assert_eq!(missing(&[], "github_a"), ["admin"]);
    assert!(missing(&[], "github_never").is_empty());
    assert!(call(&policies, &with(&["admin"]), &tool("github_a")).is_ok());
}

/// A client steps up once, so it is told everything at once that the call needs.
#[test]
fn scopes_of_several_policies_are_told_together() {
    let mut text = r#"
        permit(principal, action, resource) when { principal.scopes.contains("files:write") };
        forbid(principal, action, resource) unless { principal.scopes.contains("mfa") };
        forbid(principal, action, resource == Tool::"github_b") when { !principal.scopes.contains("b") };
        forbid(principal, action, resource) when { principal.scopes.containsAny(["guest", "trial"]) };
        permit(principal, action, resource == Tool::"github_c")
            when { if principal.scopes.contains("guest") then false else principal.scopes.contains("c") };
        permit(principal, action == Action::"call_tool", resource == Tool::"github_d")
            when { principal.scopes.containsAll(["d", "e"]) || principal.scopes.contains("guest") };
        permit(principal, action == Action::"get_prompt", resource) when { principal.scopes.contains("prompts") };
    "#
    .to_owned();
    for number in 0..40 {
        let who =
            format!("principal.scopes.contains(\"s{number}\") && principal.scopes.contains(\"t{number}\")");
        text.push_str(&format!(
            "permit(principal, action, resource == Tool::\"github_e\") when {{ {who} }};\n"
        ));
    }
    let text = text.replace(
        "permit(principal, action, resource) when",
        "permit(principal, action, resource) unless { resource.name == \"github_e\" } when",
    );
    let policies = policies(&text);
    let missing = |scopes: &[&str], name| {
        let scopes = scopes.iter().map(|scope| (*scope).to_owned()).collect();
        let who = Arc::new(Principal::with(ISSUER, "ada", Profile { scopes, ..Profile::default() }));
        call(&policies, &who, &tool(name)).unwrap_err().missing_scopes
    };
    assert_eq!(missing(&[], "github_a"), ["files:write", "mfa"]);
    assert_eq!(missing(&[], "github_b"), ["b", "files:write", "mfa"]);
    assert_eq!(missing(&["files:write"], "github_a"), ["mfa"]);
    assert_eq!(missing(&["mfa"], "github_a"), ["files:write"]);
    assert_eq!(missing(&["b", "files:write"], "github_b"), ["mfa"]);
    assert_eq!(missing(&["t39", "mfa"], "github_e"), ["s39"], "of a policy far behind, which wants least");
    assert!(missing(&["guest"], "github_a").is_empty(), "nothing helps");
    assert!(missing(&["trial"], "github_d").is_empty(), "nothing helps");
    let some = missing(&[], "github_e");
    assert!(some.len() == 3 && some.contains(&"mfa".to_owned()), "{some:?}");
}

#[test]
fn shadow_policies_are_never_enforced() {
    let permit = "permit(principal, action, resource);";
    for (own, shadow, allowed) in [(permit, "", true), ("", permit, false)] {
        let spec = weir_config::Policies { shadow: Some(vec![source(shadow)]), ..spec(own) };
        let policies = Policies::new(&spec, "main", &[]).unwrap();
        assert_eq!(call(&policies, &caller("ada", &[]), &tool("github_a")).is_ok(), allowed);
        assert_eq!(policies.shadow_differences(), 1);
    }
}

#[test]
fn a_decision_is_explained() {
    let policies = policies(
        r#"@id("staff") permit(principal in Group::"staff", action, resource);
           @id("no deletes") forbid(principal, action == Action::"call_tool", resource)
               when { resource.name like "*_delete_*" };
           @id("others") permit(principal in Group::"others", action, resource);"#,
    );
    let item = tool("github_delete_repo");
    let context = Context::now(Era::Modern);
    let explanation =
        policies.explain(&caller("ada", &["staff"]), Action::CallTool, &item, &context).unwrap();
    assert!(!explanation.allowed);
    assert_eq!(explanation.others, 1);
    let told: Vec<_> = explanation
        .policies
        .iter()
        .map(|policy| (policy.id.as_str(), policy.permits, policy.outcome.clone()))
        .collect();
    let applies = super::Outcome::Applies;
    assert_eq!(told, [("staff", true, applies.clone()), ("no deletes", false, applies)]);
    assert!(explanation.saw.to_string().contains("github_delete_repo"));
    let denied = call(&policies, &caller("ada", &["staff"]), &item).unwrap_err();
    assert_eq!(denied.by, ["no deletes"]);
    assert_eq!(denied.to_string(), "not allowed");
}

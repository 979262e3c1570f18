//! What is known of somebody who logged in and has not called.

use super::*;

fn may(text: &str, who: &Principal, item: &Item<'_>) -> (bool, bool) {
    let action = match item.kind {
        ItemKind::Tool => Action::CallTool,
        ItemKind::Prompt => Action::GetPrompt,
        ItemKind::Resource => Action::ReadResource,
    };
    let policies = policies(text);
    (policies.may_with_some_token(who, action, item), policies.may_something(who, item.kind, item.backend))
}

#[test]
fn whom_no_policy_lets_do_anything_may_nothing() {
    let (dev, stranger) = (caller("ada", &["dev"]), caller("eve", &[]));
    let item = tool("github_list");
    for text in [
        r#"permit(principal in Group::"dev", action, resource);"#,
        r#"permit(principal == Client::"https://idp.example.com#ada", action, resource);"#,
        r#"permit(principal, action, resource) when { principal.groups.contains("dev") };"#,
        r#"permit(principal, action, resource); forbid(principal, action, resource) unless { principal in Group::"dev" };"#,
        r#"permit(principal in Group::"dev", action, resource in Backend::"github");"#,
        r#"permit(principal in Group::"dev", action, resource) when { resource.backend == "github" };"#,
    ] {
        assert_eq!(may(text, &dev, &item), (true, true), "{text}");
        assert_eq!(may(text, &stranger, &item), (false, false), "{text}");
        assert!(!policies(text).may_something(&stranger, ItemKind::Tool, "jira"));
    }
    for text in [
        "forbid(principal, action, resource);",
        r#"permit(principal, action, resource in Backend::"jira");"#,
        r#"permit(principal, action, resource) when { resource in Backend::"jira" };"#,
        r#"permit(principal, action, resource) when { resource.backend == "jira" };"#,
        r#"permit(principal, action, resource in Endpoint::"other");"#,
        r#"permit(principal, action, resource); forbid(principal, action, resource in Backend::"github");"#,
    ] {
        assert_eq!(may(text, &dev, &item), (false, false), "{text}");
    }
    assert!(!Policies::nobody().may_something(&dev, ItemKind::Tool, "github"));
    assert!(!Policies::anonymous().may_something(&dev, ItemKind::Tool, "github"));
    assert!(Policies::anonymous().may_something(&Principal::anonymous(), ItemKind::Tool, "github"));
}

#[test]
fn what_is_the_tokens_own_does_not_decide() {
    let (ada, item) = (caller("ada", &[]), tool("github_list"));
    for text in [
        r#"permit(principal, action, resource) when { principal.scopes.contains("mcp") };"#,
        r#"permit(principal, action, resource) when { principal has client && principal.client == "app" };"#,
        r#"permit(principal, action, resource); forbid(principal, action, resource) unless { principal.scopes.contains("mcp") };"#,
        r#"permit(principal, action, resource); forbid(principal, action, resource) when { principal.scopes.contains("x") };"#,
        r#"permit(principal, action, resource) when { context.era == "modern" && principal.scopes.contains("a") };"#,
        r#"permit(principal, action, resource) unless { context.retry };"#,
    ] {
        assert_eq!(may(text, &ada, &item), (true, true), "{text}");
    }
    let text = r#"permit(principal, action, resource) when { principal.scopes.contains("mcp") && principal in Group::"dev" };"#;
    assert_eq!(may(text, &ada, &item), (false, false));
}

#[test]
fn an_item_counts_where_it_is_known() {
    let ada = caller("ada", &[]);
    for text in [
        r#"permit(principal, action, resource == Tool::"github_list");"#,
        r#"permit(principal, action, resource) when { resource == Tool::"github_list" };"#,
        r#"permit(principal, action, resource is Tool) when { resource.name == "github_list" };"#,
        r#"permit(principal, action, resource); forbid(principal, action, resource is Tool) unless { resource.name like "*list" };"#,
    ] {
        assert_eq!(may(text, &ada, &tool("github_list")), (true, true), "{text}");
        assert_eq!(may(text, &ada, &tool("github_drop")), (false, true), "{text}");
    }
    // One item that nobody may use does not hide the rest.
    let text =
        r#"permit(principal, action, resource); forbid(principal, action, resource == Tool::"github_drop");"#;
    assert_eq!(may(text, &ada, &tool("github_drop")), (false, true));
    let text = r#"permit(principal, action, resource is Prompt) when { resource.tags.contains("x") };"#;
    assert_eq!(may(text, &ada, &tool("github_list")), (false, false));
    assert!(may(text, &ada, &Item::of(ItemKind::Prompt, "github_plan", "plan", "github")).1);
    let text = r#"permit(principal, action, resource is Resource) when { resource.uri like "file:///a/*" };"#;
    let item = Item::of(ItemKind::Resource, "file:///{+path}", "file:///{+path}", "github");
    assert_eq!(may(text, &ada, &Item { template: true, ..item }), (true, true));
}

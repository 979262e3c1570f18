//! Whether templates are shown, and that this is found out once.

use super::super::decider::Decider;
use super::super::entities::Types;
use super::super::load::load;
use super::*;

fn decider(text: &str) -> Decider {
    let spec = spec(text);
    let (rules, _) = load(&[source(text)], &spec.claims, "main").unwrap();
    Decider::new(rules, spec.claims, Types::new("main").unwrap())
}

fn template(uri: &str) -> Item<'_> {
    Item { template: true, ..Item::of(ItemKind::Resource, uri, uri, "docs") }
}

fn leads(decider: &Decider, who: &Principal, uri: &str) -> bool {
    decider.may_lead(&decider.class(who), Action::ReadResource, &template(uri))
}

#[test]
fn a_template_is_shown_where_a_resource_that_begins_like_it_may_be_read() {
    let ada = caller("ada", &["a"]);
    for (text, shown) in [
        ("permit(ALL);", true),
        ("permit(principal, action, resource == Resource::\"doc:///a/1\");", true),
        ("permit(principal, action, resource == Resource::\"doc:///b/1\");", false),
        ("permit(principal, action, resource == Tool::\"doc:///a/1\");", false),
        ("permit(principal in Group::\"a\", action, resource == Resource::\"doc:///a/1\");", true),
        ("permit(principal in Group::\"b\", action, resource == Resource::\"doc:///a/1\");", false),
        ("permit(ALL); forbid(principal, action, resource == Resource::\"doc:///a/1\");", true),
        ("permit(ALL); forbid(principal, action, resource in Backend::\"docs\");", false),
        ("permit(ALL); forbid(principal, action, resource in Backend::\"other\");", true),
        ("permit(ALL) when { resource.uri like \"doc:///a/*\" };", true),
        ("permit(ALL) when { resource.uri like \"doc:///b/*\" };", false),
        ("permit(ALL) unless { resource.uri like \"doc:///a/*\" };", false),
        ("permit(ALL) unless { resource.uri like \"doc:///a/b*\" };", true),
        ("permit(ALL); forbid(ALL) when { resource.uri like \"doc:///*\" };", false),
        ("permit(ALL); forbid(ALL) when { resource.uri like \"doc:///a/b*\" };", true),
        ("permit(ALL); forbid(ALL) unless { resource.uri like \"doc:///b/*\" };", false),
        ("permit(ALL) when { resource.scheme == \"doc\" && principal.sub == \"ada\" };", true),
        ("permit(ALL) when { resource.scheme == \"doc\" && principal.sub == \"bob\" };", false),
        ("permit(ALL) when { resource.scheme == \"file\" && principal.sub == \"ada\" };", false),
        ("permit(ALL) when { principal.sub == \"ada\" && resource.scheme == \"file\" };", false),
        ("permit(ALL) when { principal.sub == \"bob\" || resource.uri like \"doc:///a/x*\" };", true),
        ("permit(ALL) when { principal.sub == \"bob\" } when { resource.uri like \"doc:*\" };", false),
        ("permit(ALL) when { context.retry && principal.sub == \"ada\" };", true),
        ("permit(ALL) when { context.retry && principal.sub == \"bob\" };", false),
        ("permit(ALL); forbid(ALL) when { principal.sub == \"ada\" };", false),
        ("permit(ALL); forbid(ALL) when { principal.sub == \"ada\" && context.retry };", true),
        (
            "permit(ALL); forbid(ALL) when { principal.sub == \"ada\" && resource.uri like \"doc:///a/b\" };",
            true,
        ),
        ("permit(ALL); forbid(ALL) when { principal.sub == \"ada\" && resource.uri like \"doc:*\" };", false),
        ("permit(ALL) when { resource.name == \"doc:///a/1\" };", true),
        ("permit(ALL) when { resource == Resource::\"doc:///b/1\" };", false),
        ("permit(principal, action == Action::\"subscribe\", resource);", false),
        (
            "permit(principal, action == Action::\"call_tool\", resource) when { context.arguments has x };",
            false,
        ),
        (
            "permit(ALL) when { principal.claims has level && principal.claims.level * 4611686018427387904 > 0 && resource.uri like \"doc:///b*\" };",
            false,
        ),
        ("forbid(ALL) when { resource.uri like \"doc:///b*\" };", false),
    ] {
        let text = text.replace("ALL", "principal, action == Action::\"read_resource\", resource");
        let decider = decider(&text);
        for _ in 0..2 {
            assert_eq!(leads(&decider, &ada, "doc:///a/{name}"), shown, "{text}");
        }
        for uri in ["doc:///a/", "doc:///a/1", "doc:///a/b", "doc:///a/b/c"] {
            let item = Item::of(ItemKind::Resource, uri, uri, "docs");
            let class = decider.class(&ada);
            let context = Context { retry: true, ..Context::now(Era::Modern) };
            let read = decider.decide(&class, Action::ReadResource, &item, &context).allows();
            assert!(shown || !read, "{text} {uri}");
        }
    }
}

/// What is done for each caller does not grow with policies that are about others or about something else, and what a policy
/// says of what begins so is found out once.
#[test]
fn what_policies_say_of_a_template_is_found_out_once() {
    const CALLERS: usize = 50;
    let mut text = String::new();
    for at in 0..100 {
        text.push_str(&format!(
            "permit(principal, action, resource is Resource) when {{ principal.sub == \"s{at}\" && resource.uri like \"doc:///{at}/*\" }};
             permit(principal, action, resource == Resource::\"far:///{at}\") when {{ principal.sub like \"s*\" }};
             permit(principal in Group::\"g{at}\", action, resource is Resource) when {{ resource.scheme == \"doc\" && principal.sub like \"s*\" }};\n"
        ));
    }
    let decider = decider(&text);
    for at in 0..CALLERS {
        let (name, group) = (format!("s{at}"), format!("g{}", at % 2));
        let who = caller(&name, &[&group]);
        for folder in 0..5 {
            assert!(leads(&decider, &who, &format!("doc:///{folder}/{{name}}")), "by the group");
        }
        assert!(!leads(&decider, &who, "vault:///{name}"));
    }
    // For each of six beginnings: the hundred policies about everybody, and those about the two groups.
    assert_eq!(decider.templates.known(), (6 * (100 + 2), 6 * 2));
}

/// Where the beginnings settle nothing, what is left of a policy is the same for all of them, however many there are.
#[test]
fn a_policy_is_written_over_once_for_all_beginnings() {
    const RULES: usize = 400;
    let rule = |at| {
        format!(
            "permit(principal, action, resource is Resource) when {{ principal.sub == \"s{at}\" && resource.uri like \"doc:///{at}/*\" }};\n"
        )
    };
    let decider = decider(&(0..RULES).map(rule).collect::<String>());
    let templates: Vec<String> = (0..30).map(|at| format!("doc:///{{team}}/{at}")).collect();
    // All begin alike, so they are told apart by how they are called.
    let look = |name: &str| {
        templates
            .iter()
            .enumerate()
            .filter(|(at, template)| {
                let called = format!("n{at}{template}");
                let item =
                    Item { uri: Some(template), ..Item::of(ItemKind::Resource, &called, template, "docs") };
                let item = Item { template: true, ..item };
                decider.may_lead(&decider.class(&caller(name, &[])), Action::ReadResource, &item)
            })
            .count()
    };
    assert_eq!((look("s7"), decider.templates.made()), (30, RULES as u64));
    assert_eq!((look("s399"), look("nobody")), (30, 0));
    assert_eq!(decider.templates.made(), RULES as u64);
    assert_eq!(decider.templates.known(), (30 * RULES as u64, 30));
}

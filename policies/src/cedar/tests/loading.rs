//! What is wrong with policies is told all at once, each with its place.

use super::*;
use cedar_policy::Schema;
use std::str::FromStr;

fn refused(text: &str) -> Vec<String> {
    let problems = Policies::new(&spec(text), "main", &[]).unwrap_err();
    problems.iter().map(|problem| problem.diagnostic.to_string()).collect()
}

#[test]
fn everything_is_told_at_once_with_file_line_and_column() {
    let told = refused(
        r#"// A comment; with a semicolon.
permit(principal, action, resource) when { resource.destuctive };
permit(principal, action, resource;

@id("a;b") permit(principal, action == Action::"call_tol", resource); @id("a;b") forbid(principal, action, resource)
    when { principal.group.contains("x") };
permit(principal == ?principal, action, resource);
permit(principal, action, resource) when { principal.claims.nothing == 1 };
permit(principal, action, resource)"#,
    );
    for (place, words) in [
        ("main.cedar:2:44:", "destuctive"),
        ("main.cedar:3:35:", "unexpected"),
        ("main.cedar:5:", "call_tol"),
        ("main.cedar:5:71:", "has this id already"),
        ("main.cedar:7:1:", "templates are not supported"),
        ("main.cedar:8:", "nothing"),
        ("main.cedar:9:", "unexpected"),
    ] {
        let found =
            told.iter().any(|told| told.starts_with(&format!("policies/{place}")) && told.contains(words));
        assert!(found, "{place} {words}: {told:#?}");
    }
    assert!(told.iter().any(|told| told.contains("did you mean") && told.contains("call_tool")), "{told:#?}");
    assert!(
        told.iter().any(|told| told.contains("2 | permit(principal, action, resource) when")),
        "{told:#?}"
    );
}

#[test]
fn policies_in_the_configuration_stand_where_they_are_written() {
    let own = PolicySource {
        file: "weir.yaml".into(),
        text: "permit(principal, action,\n  resource) when { resource.x };\n".to_owned(),
        lines_before: 10,
        indented: 8,
    };
    let spec = weir_config::Policies { sources: vec![own], ..spec("") };
    let problems = Policies::new(&spec, "main", &[]).unwrap_err();
    assert!(
        problems.iter().all(|problem| problem.to_string().starts_with("weir.yaml:12:28: ")),
        "{problems:?}"
    );
    assert!(!problems[0].to_string().contains("permit"), "what is logged does not hold the policy");
}

#[test]
fn shadow_policies_are_checked_too() {
    let spec = weir_config::Policies { shadow: Some(vec![source("permit(")]), ..spec("forbid(") };
    assert!(Policies::new(&spec, "main", &[]).unwrap_err().len() >= 2);
}

#[test]
fn a_policy_without_an_id_is_known_by_its_place() {
    let policies = policies("\nforbid(principal, action, resource); permit(principal, action, resource);");
    assert_eq!(call(&policies, &caller("ada", &[]), &tool("a_b")).unwrap_err().by, ["policies/main.cedar:2"]);
}

#[test]
fn a_policy_about_another_endpoint_is_odd() {
    let policies = policies(r#"permit(principal, action, resource in Endpoint::"mian");"#);
    assert!(
        policies.warnings().iter().any(|odd| odd.to_string().contains("fits no request")),
        "{policies:?}"
    );
}

#[test]
fn letters_that_look_like_others_are_odd() {
    let policies = policies("permit(principal in Group::\"\u{430}dmins\", action, resource);");
    assert!(!policies.warnings().is_empty());
}

#[test]
fn the_schema_can_be_printed_and_read() {
    let text = Policies::schema(&spec(""));
    Schema::from_str(&text).unwrap();
    assert!(
        text.contains(r#"type Claims = { "level"?: Long, "teams"?: Set<String>, "tier"?: String };"#),
        "{text}"
    );
    let odd = weir_config::Policies {
        claims: [("https://x/\"y\"\u{e9}".to_owned(), ClaimKind::Boolean)].into(),
        ..weir_config::Policies::default()
    };
    Schema::from_str(&Policies::schema(&odd)).unwrap();
}

/// Before any server has said what its tools take, what a policy makes of an argument is what the argument is.
#[test]
fn arguments_are_checked_against_their_use() {
    let on = |condition: &str| {
        format!("permit(principal, action == Action::\"call_tool\", resource) when {{ {condition} }};")
    };
    for condition in [
        r#"context.arguments.a == "x" && context.arguments.b > 3 && context.arguments.c"#,
        r#"context.arguments.a.lessThan(decimal("1.0"))"#,
        r#"context.arguments has a && context.arguments.a.contains("x") || context.arguments.b.containsAny([1])"#,
        r#"context.arguments has a.b && context.arguments.a.b like "x*""#,
        r#"principal.groups.contains(context.arguments.team)"#,
        r#"context.arguments.labels.containsAll(principal.groups)"#,
        r#"["a", "b"].contains(context.arguments["issue-number"])"#,
        r#"context.arguments.from == context.arguments.to"#,
        r#"if context.arguments.dry then true else context.arguments.count + 1 < 3"#,
        r#"principal.claims has level && context.arguments.level <= principal.claims.level"#,
    ] {
        let text = on(condition);
        policies(&text);
    }
    for condition in [
        r#"context.arguments.a == "x" && context.arguments.a > 3"#,
        r#"context.arguments has a || context.arguments.a == "x""#,
        r#"context.argument.a == "x""#,
        r#"ip(context.arguments.host).isLoopback()"#,
    ] {
        let text = on(condition);
        assert!(!refused(&text).is_empty(), "{condition}");
    }
    let reading = r#"permit(principal, action == Action::"read_resource", resource) when { context.arguments.a == 1 };"#;
    assert!(!refused(reading).is_empty());
}

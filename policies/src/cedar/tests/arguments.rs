//! Policies that read what a tool is called with.

use super::*;

const SCHEMA: &str = r##"{
    "type": "object",
    "properties": {
        "repo": {"type": "string"},
        "count": {"type": "integer"},
        "amount": {"type": "number"},
        "dry": {"type": "boolean"},
        "labels": {"type": "array", "items": {"type": "string"}},
        "note": {"anyOf": [{"type": "string"}, {"type": "null"}]},
        "options": {"$ref": "#/$defs/Options"},
        "anything": {}
    },
    "required": ["repo", "count"],
    "$defs": {"Options": {"type": "object", "properties": {"force": {"type": "boolean"}, "mode": {"enum": ["a", "b"]}}}}
}"##;

fn on(condition: &str) -> Policies {
    let tools = [Tool { name: "github_a", backend: "github", input_schema: SCHEMA }];
    let text =
        format!("permit(principal, action == Action::\"call_tool\", resource) when {{ {condition} }};");
    policies_for(&text, &tools)
}

fn allowed(policies: &Policies, arguments: &str) -> bool {
    call_with(policies, &caller("ada", &[]), &tool("github_a"), arguments).is_ok()
}

#[test]
fn arguments_have_the_types_of_the_input_schema() {
    for (condition, yes, no) in [
        (r#"context.arguments.repo == "weir""#, r#"{"repo": "weir"}"#, r#"{"repo": "other"}"#),
        (r#"context.arguments.repo == "weir""#, r#"{"repo": "\u0077eir"}"#, r#"{"repo": "weir "}"#),
        (r#"context.arguments.repo like "w*""#, r#"{"repo": "weir"}"#, r#"{"repo": "other"}"#),
        ("context.arguments.count < 10", r#"{"count": 9}"#, r#"{"count": 10}"#),
        (
            r#"context.arguments has amount && context.arguments.amount.lessThan(decimal("10.5"))"#,
            r#"{"amount": 10.49}"#,
            r#"{"amount": 11}"#,
        ),
        ("context.arguments has dry && context.arguments.dry", r#"{"dry": true}"#, r#"{"dry": false}"#),
        (
            r#"context.arguments has labels && context.arguments.labels.contains("x")"#,
            r#"{"labels": ["y", "x"]}"#,
            r#"{"labels": []}"#,
        ),
        (
            "context.arguments has options.force && context.arguments.options.force",
            r#"{"options": {"force": true}}"#,
            r#"{"options": {"force": false}}"#,
        ),
        (
            r#"context.arguments has options.mode && context.arguments.options.mode == "a""#,
            r#"{"options": {"mode": "a"}}"#,
            r#"{"options": {}}"#,
        ),
        ("!(context.arguments has note)", r#"{"note": null}"#, r#"{"note": "x"}"#),
        ("!(context.arguments has note)", "{}", r#"{"note": ""}"#),
    ] {
        let policies = on(condition);
        assert!(policies.warnings().is_empty(), "{condition}: {:?}", policies.warnings());
        assert!(allowed(&policies, yes), "{condition} {yes}");
        assert!(!allowed(&policies, no), "{condition} {no}");
        assert!(policies.may(&caller("ada", &[]), Action::CallTool, &tool("github_a")), "{condition}");
    }
}

/// Whatever a policy reads and cannot be read denies the call, also where the policy would not have been against it.
#[test]
fn what_is_not_as_the_tool_says_denies() {
    let policies = on(r#"!(context.arguments has repo && context.arguments.repo == "secret")
        && !(context.arguments has count && context.arguments.count > 5)
        && !(context.arguments has amount && context.arguments.amount.greaterThan(decimal("5.0")))
        && !(context.arguments has labels && context.arguments.labels.contains("x"))
        && !(context.arguments has options.force && context.arguments.options.force)"#);
    assert!(allowed(
        &policies,
        r#"{"repo": "weir", "count": 1, "amount": 1.5, "labels": [], "anything": {"a": 1}}"#
    ));
    assert!(allowed(&policies, "{}"));
    for arguments in [
        r#"{"repo": ["secret"]}"#,
        r#"{"repo": null}"#,
        r#"{"repo": {"a": "secret"}}"#,
        r#"{"repo": "weir", "repo": "secret"}"#,
        r#"{"repo": "weir", "\u0072epo": "secret"}"#,
        r#"{"repo": "weir", "Repo": "secret"}"#,
        r#"{"REPO": "secret"}"#,
        r#"{"count": 6.0}"#,
        r#"{"count": "6"}"#,
        r#"{"count": 9223372036854775808}"#,
        r#"{"count": 1e1}"#,
        r#"{"amount": 1e9}"#,
        r#"{"amount": 1.23456}"#,
        r#"{"amount": 922337203685477580.0}"#,
        r#"{"amount": "6"}"#,
        r#"{"labels": "x"}"#,
        r#"{"labels": ["y", 1]}"#,
        r#"{"labels": {"x": 1}}"#,
        r#"{"options": {"force": 1}}"#,
        r#"{"options": {"Force": true}}"#,
        r#"{"options": {"force": false, "force": true}}"#,
        r#"{"options": [true]}"#,
        "[]",
        "null",
        "",
        "{",
    ] {
        let denied = call_with(&policies, &caller("ada", &[]), &tool("github_a"), arguments);
        assert!(denied.is_err(), "{arguments}");
        assert_eq!(denied.unwrap_err().by, ["policies/main.cedar:1"], "{arguments}");
    }
}

#[test]
fn an_argument_that_is_missing_denies() {
    let policies = on("context.arguments.count < 10");
    assert!(allowed(&policies, r#"{"count": 1}"#));
    assert!(!allowed(&policies, "{}"));
    let ada = caller("ada", &[]);
    assert!(policies.permit(&ada, Action::CallTool, &tool("github_a"), &Context::now(Era::Modern)).is_err());
}

#[test]
fn a_tool_whose_arguments_are_not_known_is_denied_where_they_are_read() {
    let policies = on("!(context.arguments has repo)");
    assert!(allowed(&policies, "{}"));
    let ada = caller("ada", &[]);
    assert!(call(&policies, &ada, &tool("github_b")).is_err(), "it is not listed");
    let moved = Item { backend: "evil", ..tool("github_a") };
    assert!(call(&policies, &ada, &moved).is_err(), "another backend's tool of the name");
    let told = policies.learn(&[Tool { name: "github_b", backend: "github", input_schema: "{}" }]);
    assert!(call(&policies, &ada, &tool("github_b")).is_ok());
    assert!(
        call_with(&policies, &ada, &tool("github_b"), r#"{"repo": "x"}"#).is_err(),
        "it says nothing of `repo`"
    );
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].to_string().contains("has no argument `repo`"), "{told:?}");
}

#[test]
fn prompts_take_strings() {
    let policies = policies(
        r#"permit(principal, action == Action::"get_prompt", resource)
               when { context.arguments has topic && context.arguments.topic == "weir" };"#,
    );
    let prompt = Item::of(ItemKind::Prompt, "ask", "ask", "github");
    let may = |arguments| {
        let context = Context { arguments: Some(arguments), ..Context::now(Era::Modern) };
        policies.permit(&caller("ada", &[]), Action::GetPrompt, &prompt, &context).is_ok()
    };
    assert!(may(r#"{"topic": "weir", "other": 1}"#));
    assert!(!may(r#"{"topic": "x"}"#) && !may("{}") && !may(r#"{"topic": ["weir"]}"#));
}

#[test]
fn policies_that_do_not_fit_the_tools_are_told_with_their_place() {
    let tools = [
        Tool { name: "github_a", backend: "github", input_schema: SCHEMA },
        Tool {
            name: "github_b",
            backend: "github",
            input_schema: r#"{"properties": {"repo": {"type": "integer"}}}"#,
        },
    ];
    let text = "permit(principal, action == Action::\"call_tool\", resource == Tool::\"github_a\")\n    \
                when { context.arguments.repp == \"weir\" };\n\
                forbid(principal, action == Action::\"call_tool\", resource)\n    \
                when { context.arguments.repo == \"weir\" };\n\
                forbid(principal, action, resource == Tool::\"github_aa\");";
    let policies = policies_for(text, &tools);
    let told: Vec<String> = policies.warnings().iter().map(ToString::to_string).collect();
    for (place, words) in [
        ("main.cedar:2:", "`github_a` has no argument `repp`"),
        ("main.cedar:2:", "calls of `github_a` will be denied"),
        ("main.cedar:4:", "calls of `github_b` will be denied"),
        ("main.cedar:5:1", "there is no tool `github_aa`"),
    ] {
        assert!(told.iter().any(|told| told.contains(place) && told.contains(words)), "{words}: {told:#?}");
    }
    assert!(policies.learn(&tools).is_empty(), "each is told once");
}

#[test]
fn arguments_are_only_read_where_a_policy_does() {
    let policies = policies("permit(principal, action, resource) when { context.era == \"modern\" };");
    let ada = caller("ada", &[]);
    assert!(call_with(&policies, &ada, &tool("github_a"), "not JSON at all").is_ok());
}

#[test]
fn tools_that_are_alike_are_looked_at_once() {
    let names: Vec<String> = (0..500).map(|at| format!("github_{at:03}")).collect();
    let schema = |at| {
        if at % 2 == 0 {
            SCHEMA
        } else {
            r#"{"properties": {"repo": {"type": "boolean"}}, "required": ["repo"]}"#
        }
    };
    let tools: Vec<Tool<'_>> = (0..)
        .zip(&names)
        .map(|(at, name)| Tool { name, backend: "github", input_schema: schema(at) })
        .collect();
    let text = "permit(principal, action == Action::\"call_tool\", resource) when { context.arguments.repo == \"x\" };\n\
                forbid(principal, action == Action::\"call_tool\", resource)\n    \
                    when { context.arguments has repo && context.arguments.repo like \"y*\" };\n\
                permit(principal, action == Action::\"call_tool\", resource == Tool::\"github_001\")\n    \
                    when { context.arguments has repo && context.arguments.repo like \"z*\" };";
    let cedar = Cedar::new(&spec(text), "main", &tools).unwrap();
    assert_eq!(cedar.decider.judged.lock().len(), 2 + 2 + 1);
    let told: Vec<String> = cedar.warnings().iter().map(ToString::to_string).collect();
    assert_eq!(told.len(), 3, "{}", told.join(" / "));
    for (told, names) in told.iter().zip([
        "calls of `github_001`, `github_003`, `github_005` and 247 more will be denied",
        "calls of `github_001`, `github_003`, `github_005` and 247 more will be denied",
        "calls of `github_001` will be denied",
    ]) {
        assert!(told.contains(names), "{told}");
    }
    let context = |arguments| Context { arguments: Some(arguments), ..Context::now(Era::Modern) };
    let may = |name, arguments| {
        cedar.decide(&caller("ada", &[]), Action::CallTool, &tool(name), &context(arguments)).is_ok()
    };
    assert!(may("github_498", r#"{"repo": "x"}"#) && !may("github_499", r#"{"repo": "x"}"#));
}

/// Whoever calls says how many members there are, and whoever writes policies how many are read.
#[test]
fn a_member_among_very_many_is_found() {
    let policies = on(
        r#"!(context.arguments has repo && context.arguments.repo == "secret") && !(context.arguments has count)"#,
    );
    let many: Vec<String> = (0..100_000).map(|at| format!(r#""member{at}": {at}"#)).collect();
    let with = |member: &str| format!("{{{}, {member}}}", many.join(", "));
    assert!(allowed(&policies, &with(r#""repo": "weir""#)));
    for member in [r#""repo": "secret""#, r#""Repo": "weir""#, r#""count": 1"#, r#""COUNT": 1"#] {
        assert!(!allowed(&policies, &with(member)), "{member}");
    }
}

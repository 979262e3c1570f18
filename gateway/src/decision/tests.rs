use super::*;
use crate::catalog::Stock;
use weir_backends::{Features, Freshness, Inventory};
use weir_policies::Profile;
use weir_protocol::Revision;
use weir_protocol::item::split;

fn configured(text: &str) -> weir_config::Policies {
    let source = weir_config::PolicySource {
        file: "main.cedar".into(),
        text: text.to_owned(),
        lines_before: 0,
        indented: 0,
    };
    weir_config::Policies { sources: vec![source], ..weir_config::Policies::default() }
}

fn caller(groups: &[&str], scopes: &[&str]) -> Arc<Principal> {
    let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
    let profile = Profile { groups: words(groups), scopes: words(scopes), ..Profile::default() };
    Arc::new(Principal::with("https://idp.example.com", "ada", profile))
}

/// Who would be sent for scopes to complete an argument of something hidden would learn that it is there.
#[test]
fn no_scopes_are_asked_for_to_complete_what_is_hidden() {
    let text = r#"permit(principal, action == Action::"complete", resource) when { principal.scopes.contains("complete") };
        permit(principal in Group::"hr", action in [Action::"get_prompt", Action::"read_resource"], resource);"#;
    let policies = Policies::new(&configured(text), "e", &[]).unwrap();
    for kind in [ItemKind::Prompt, ItemKind::Resource] {
        let item = Item::of(kind, "x", "x", "b");
        let ask = |who| {
            let decided = decide(&policies, &who, Action::Complete, &item, &Context::now(Era::Modern));
            decided.map(|_| ()).map_err(|denied| denied.missing_scopes)
        };
        assert_eq!(ask(caller(&["hr"], &["complete"])), Ok(()));
        assert_eq!(ask(caller(&["hr"], &[])), Err(vec!["complete".to_owned()]));
        assert_eq!(ask(caller(&[], &[])), Err(Vec::new()));
        assert_eq!(ask(caller(&[], &["complete"])), Err(Vec::new()));
    }
}

fn backend(tools: &str, resources: &str) -> Inventory {
    let items = |text: &str| split(text.as_bytes()).unwrap().into_iter().collect::<Result<_, _>>().unwrap();
    Inventory {
        features: Features { tools: true, resources: true, ..Features::bare(Revision::LATEST) },
        tools: items(tools),
        prompts: Vec::new(),
        resources: items(resources),
        templates: Vec::new(),
        freshness: [Freshness::STALE; 4],
        faults: Vec::new(),
    }
}

#[test]
fn a_backend_is_of_use_to_whom_only_unlisted_resources_are_open() {
    let could = |text: &str, tools: &str, resources: &str| {
        let spec = Spec { policies: Some(configured(text)), ..Spec::over("e", "/mcp", ["b"]) };
        let policies = policies(&spec).unwrap();
        let endpoint =
            Endpoint::new(spec, Vec::new(), None, 1, crate::entrance::tests::open(), policies).unwrap();
        let inventory = Some(Arc::new(backend(tools, resources)));
        endpoint.fill_with(&[Stock { name: "b".to_owned(), inventory }]).unwrap();
        could_use(&endpoint, &endpoint.catalog(), 0, &caller(&["dev"], &[]))
    };
    let tool = r#"[{"name":"t","inputSchema":{"type":"object"}}]"#;
    let resource = r#"[{"uri":"doc:///ops/a","name":"a"}]"#;
    let read = r#"permit(principal in Group::"dev", action == Action::"read_resource", resource) when { resource.uri like "doc:///dev/*" };"#;
    let call =
        r#"permit(principal in Group::"dev", action == Action::"call_tool", resource == Tool::"b_u");"#;
    let others = r#"permit(principal in Group::"ops", action, resource);"#;
    for (text, tools, resources, expected) in [
        (read, tool, "[]", true),
        (read, tool, resource, true),
        // Of a list that could not be fetched, nothing is known.
        (call, "[]", resource, true),
        (call, tool, resource, false),
        (others, tool, resource, false),
        (others, "[]", "[]", false),
    ] {
        assert_eq!(could(text, tools, resources), expected, "{text} {tools} {resources}");
    }
}

//! What is found by the index, kept by class and decided in parts is what Cedar decides about everything at once.

use super::super::class::Class;
use super::super::decider::Decider;
use super::super::entities::{Types, circumstances};
use super::super::kind::Record;
use super::super::load::load;
use super::super::reads::Reads;
use super::super::schema;
use super::*;
use cedar_policy::{
    Authorizer, Context as Circumstances, Decision, Entities, PolicySet, Request, Schema, ValidationMode,
    Validator,
};
use proptest::prelude::*;
use proptest::sample::select;

fn principals() -> impl Strategy<Value = &'static str> {
    select(vec![
        "principal",
        "principal is Client",
        "principal in Group::\"a\"",
        "principal in Group::\"b\"",
        "principal is Client in Group::\"a\"",
        "principal == Client::\"https://idp.example.com#ada\"",
        "principal in Client::\"https://idp.example.com#bob\"",
        "principal == Client::\"anonymous\"",
    ])
}

fn actions() -> impl Strategy<Value = &'static str> {
    select(vec![
        "action",
        "action == Action::\"call_tool\"",
        "action in [Action::\"call_tool\", Action::\"read_resource\"]",
        "action in Action::\"subscribe\"",
    ])
}

fn resources() -> impl Strategy<Value = &'static str> {
    select(vec![
        "resource",
        "resource is Tool",
        "resource is Resource",
        "resource == Tool::\"x\"",
        "resource in Tool::\"y\"",
        "resource == Resource::\"x\"",
        "resource in Backend::\"m\"",
        "resource is Tool in Backend::\"n\"",
        "resource in Endpoint::\"main\"",
        "resource in Endpoint::\"other\"",
    ])
}

fn conditions() -> impl Strategy<Value = &'static str> {
    select(vec![
        "",
        "",
        "when { principal.groups.contains(\"a\") }",
        "unless { principal in Group::\"b\" }",
        "when { principal.groups.contains(resource.backend) }",
        "when { principal.roles.containsAny([\"r\", \"s\"]) }",
        "when { principal.sub == \"ada\" }",
        "when { principal has email && principal.email like \"*@x\" }",
        "when { principal == Client::\"https://idp.example.com#bob\" }",
        "when { resource in Backend::\"m\" || context.retry }",
        "when { context.retry && principal.scopes.contains(\"w\") }",
        "unless { context.retry || principal in [Group::\"a\", Group::\"b\"] }",
        "when { if context.retry then principal.claims has tier else resource.name == \"x\" }",
        "when { principal.claims has level && principal.claims.level * 4611686018427387904 > 0 }",
        "when { resource.tags.contains(\"t\") } unless { context.era == \"legacy\" }",
    ])
}

fn policy() -> impl Strategy<Value = String> {
    (any::<bool>(), principals(), actions(), resources(), conditions()).prop_map(
        |(permit, who, action, what, when)| {
            let effect = if permit { "permit" } else { "forbid" };
            format!("{effect}({who}, {action}, {what}) {when};\n")
        },
    )
}

fn somebody() -> impl Strategy<Value = Principal> {
    let words = |known: &'static [&'static str]| {
        proptest::sample::subsequence(known, 0..=known.len())
            .prop_map(|words| words.into_iter().map(str::to_owned).collect::<Vec<_>>())
    };
    let id = select(vec![(ISSUER, "ada"), (ISSUER, "bob"), ("https://other", "ada"), ("", "anonymous")]);
    let claims = select(vec![json!({}), json!({"tier": "x"}), json!({"level": 1}), json!({"level": 4})]);
    (id, words(&["a", "b", "c", "m"]), words(&["r", "z"]), words(&["w"]), any::<bool>(), claims).prop_map(
        |((issuer, subject), groups, roles, scopes, email, claims)| {
            let email = email.then(|| "a@x".to_owned());
            let Value::Object(claims) = claims else { unreachable!() };
            Principal::with(
                issuer,
                subject,
                Profile { email, groups, roles, scopes, claims, ..Profile::default() },
            )
        },
    )
}

struct Full {
    set: PolicySet,
    schema: Schema,
    types: Types,
    spec: weir_config::Policies,
}

impl Full {
    /// Every policy, on a caller of whom everything is told, with entities and a request that fit the schema.
    fn allows(&self, who: &Principal, action: Action, item: &Item<'_>, context: &Context<'_>) -> bool {
        let reads = Reads::whole_caller();
        let class = Class::of(&reads, &self.spec.claims, who);
        let (client, entity) = (self.types.client(&class).unwrap(), self.types.item(item).unwrap());
        let uids = (client.uid(), entity.uid());
        let entities = Entities::from_entities([client, entity], Some(&self.schema)).unwrap();
        let names = ["address", "era", "time", "retry"].map(str::to_owned).into();
        let mut pairs = circumstances(context, &names);
        if action == Action::CallTool {
            let none = cedar_policy::RestrictedExpression::new_record([]).unwrap();
            pairs.push(("arguments".to_owned(), none));
        }
        let context = Circumstances::from_pairs(pairs).unwrap();
        let request =
            Request::new(uids.0, self.types.action(action), uids.1, context, Some(&self.schema)).unwrap();
        let response = Authorizer::new().is_authorized(&request, &self.set, &entities);
        response.decision() == Decision::Allow && response.diagnostics().errors().next().is_none()
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn parts_decide_as_the_whole(
        texts in proptest::collection::vec(policy(), 1..14),
        callers in proptest::collection::vec(somebody(), 1..3),
        tagged in any::<bool>(),
    ) {
        let spec = spec(&texts.concat());
        let types = Types::new("main").unwrap();
        let schema = schema::read(&spec.claims, &Record::default(), &Record::default()).unwrap();
        // Of what is drawn, whatever is no good policy is left out.
        let drawn: PolicySet = texts.concat().parse().unwrap();
        let result = Validator::new(schema.clone()).validate(&drawn, ValidationMode::Strict);
        let bad: Vec<String> = result.validation_errors().map(|error| error.policy_id().to_string()).collect();
        let good: String = (0..)
            .zip(&texts)
            .filter(|(number, _)| !bad.contains(&format!("policy{number}")))
            .map(|(_, text)| text.as_str())
            .collect();
        let set: PolicySet = good.parse().unwrap();
        let (rules, _) = load(&[source(&good)], &spec.claims, "main").unwrap();
        let decider = Decider::new(rules, spec.claims.clone(), types.clone());
        let full = Full { set, schema, types, spec };
        let tags = if tagged { vec!["t".to_owned()] } else { Vec::new() };
        for who in &callers {
            for (action, kind) in [
                (Action::CallTool, ItemKind::Tool),
                (Action::ReadResource, ItemKind::Resource),
                (Action::SubscribeResource, ItemKind::Resource),
            ] {
                for (name, backend) in [("x", "m"), ("y", "n")] {
                    let item = Item { tags: &tags, ..Item::of(kind, name, name, backend) };
                    let class = decider.class(who);
                    let may = decider.may(&class, action, &item);
                    let mut any = false;
                    for (retry, era) in [(false, Era::Legacy), (true, Era::Legacy), (false, Era::Modern), (true, Era::Modern)] {
                        let context = Context { retry, ..Context::now(era) };
                        let whole = full.allows(who, action, &item, &context);
                        // None of these reads the arguments.
                        let again = decider.decide_again(&class, action, &item, &context).allows();
                        prop_assert_eq!(again, whole, "{} {:?} {:?}", good, who, item);
                        // Twice: once decided, once remembered.
                        for _ in 0..2 {
                            let decided = decider.decide(&class, action, &item, &context).allows();
                            any |= decided;
                            prop_assert_eq!(
                                decided, whole, "{} {:?} {:?} retry={} {:?}", good, who, item, retry, era
                            );
                        }
                    }
                    prop_assert!(may || !any, "{} {:?} {:?} is hidden", good, who, item);
                }
            }
        }
        // Who is alike is treated alike.
        for pair in callers.windows(2) {
            let [one, other] = pair else { continue };
            if decider.class(one).key() == decider.class(other).key() {
                let item = Item { tags: &tags, ..Item::of(ItemKind::Tool, "x", "x", "m") };
                let context = Context::now(Era::Modern);
                prop_assert_eq!(
                    full.allows(one, Action::CallTool, &item, &context),
                    full.allows(other, Action::CallTool, &item, &context)
                );
            }
        }
    }
}

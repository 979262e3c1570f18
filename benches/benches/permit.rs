//! Deciding a call by the number of policies.

mod settings;

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use std::hint::black_box;
use std::sync::Arc;
use weir_policies::{Action, Context, Item, ItemKind, Policies, Principal, Profile, Tool};
use weir_protocol::Era;

/// How many policies there are.
const COUNTS: [usize; 3] = [100, 1_000, 10_000];

/// Half of them permit a group a backend, a fifth forbid what is destructive, a fifth read an argument, a tenth name one tool.
/// Those that read an argument are about one tool of each backend: of 100, 1,000 and 10,000 policies, 1, 2 and 12 are evaluated
/// for the call that is decided by argument, so that its figures grow with these and not with the policies as a whole.
fn text(count: usize) -> String {
    let one = |number: usize| {
        let (group, backend) = (number % 97, number % 50);
        match number % 10 {
            0..=4 => format!(
                "permit(principal in Group::\"g{group}\", action, resource in Backend::\"b{backend}\");\n"
            ),
            5 | 6 => format!(
                "forbid(principal, action == Action::\"call_tool\", resource in Backend::\"b{backend}\") \
                 when {{ resource.destructive }} unless {{ principal.groups.contains(\"g{group}\") }};\n"
            ),
            7 | 8 => format!(
                "forbid(principal in Group::\"g{group}\", action == Action::\"call_tool\", resource == Tool::\"b{backend}_t\") \
                 when {{ context.arguments has path && context.arguments.path like \"/secret{number}/*\" }};\n"
            ),
            _ => format!("permit(principal, action, resource == Tool::\"b{backend}_t{number}\");\n"),
        }
    };
    (0..count).map(one).collect()
}

fn policies(count: usize) -> Policies {
    let source = weir_config::PolicySource { text: text(count), ..Default::default() };
    let spec = weir_config::Policies { sources: vec![source], ..Default::default() };
    let names: Vec<(String, String)> = (0..50).map(|at| (format!("b{at}_t"), format!("b{at}"))).collect();
    let schema = r#"{"properties": {"path": {"type": "string"}}}"#;
    let tools: Vec<_> =
        names.iter().map(|(name, backend)| Tool { name, backend, input_schema: schema }).collect();
    let policies = Policies::new(&spec, "main", &tools).unwrap_or_else(|_| Policies::nobody());
    assert_eq!(policies.count(), count, "the policies are in order");
    policies
}

fn caller() -> Arc<Principal> {
    let groups = [0, 7, 10, 17, 20].map(|group| format!("g{group}")).to_vec();
    Arc::new(Principal::with("https://idp.example.com", "ada", Profile { groups, ..Profile::default() }))
}

fn permit(criterion: &mut Criterion) {
    let who = caller();
    let context =
        Context { arguments: Some(r#"{"path": "/home/ada", "depth": 3}"#), ..Context::now(Era::Modern) };
    let hints = weir_policies::Hints { destructive: Some(false), ..Default::default() };
    let named = |name, backend| Item { hints, ..Item::of(ItemKind::Tool, name, "t", backend) };
    for (label, item) in [("by group", named("b0_other", "b0")), ("by argument", named("b17_t", "b17"))] {
        let mut group = criterion.benchmark_group(format!("permit {label}"));
        for count in COUNTS {
            let policies = policies(count);
            group.bench_with_input(BenchmarkId::from_parameter(count), &policies, |bencher, policies| {
                bencher.iter(|| policies.permit(black_box(&who), Action::CallTool, &item, &context).is_ok());
            });
        }
        group.finish();
    }
}

fn first_sight(criterion: &mut Criterion) {
    let who = caller();
    let context = Context::now(Era::Modern);
    let mut group = criterion.benchmark_group("permit at first sight");
    for count in COUNTS {
        let policies = policies(count);
        let mut number = 0_u64;
        group.bench_with_input(BenchmarkId::from_parameter(count), &policies, |bencher, policies| {
            bencher.iter(|| {
                number += 1;
                let name = format!("b0_{number}");
                let item = Item::of(ItemKind::Tool, &name, "t", "b0");
                policies.permit(black_box(&who), Action::CallTool, &item, &context).is_ok()
            });
        });
    }
    group.finish();
}

criterion_group!(name = benches; config = settings::settings(); targets = permit, first_sight);
criterion_main!(benches);

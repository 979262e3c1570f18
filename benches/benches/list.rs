//! A list of tools: taken apart when a backend sends it, and put together for a client.

mod settings;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use std::hint::black_box;
use weir_protocol::{item, list};

/// Tools in the measured lists.
const COUNTS: [usize; 3] = [60, 1_000, 10_000];
/// Bytes of each tool.
const TOOL: usize = 400;

/// A tool of [`TOOL`] bytes: its description is as long as it must be.
fn tool(index: usize) -> String {
    let render = |description: &str| {
        format!(
            concat!(
                r#"{{"name":"search_records_{:05}","title":"Search records","description":"{}","#,
                r#""inputSchema":{{"type":"object","properties":{{"query":{{"type":"string"}},"#,
                r#""limit":{{"type":"integer","minimum":1,"maximum":100}}}},"required":["query"]}},"#,
                r#""annotations":{{"readOnlyHint":true,"openWorldHint":false}}}}"#
            ),
            index, description
        )
    };
    let missing = TOOL.saturating_sub(render("").len());
    render(&"words ".chars().cycle().take(missing).collect::<String>())
}

fn tools(count: usize) -> Vec<String> {
    let tools: Vec<String> = (0..count).map(tool).collect();
    assert!(tools.iter().all(|tool| tool.len() == TOOL), "tools of {TOOL} bytes");
    tools
}

/// The result of a list but for its closing brace.
fn write_page(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("list write_page");
    for count in COUNTS {
        let tools = tools(count);
        group.throughput(Throughput::Bytes((count * TOOL) as u64));
        group.bench_with_input(BenchmarkId::from_parameter(count), &tools, |bencher, tools| {
            bencher.iter(|| list::write_page("tools", black_box(tools).iter().map(String::as_bytes)));
        });
    }
    group.finish();
}

/// The array of a list result into items; the figure includes freeing them.
fn split(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("item split");
    for count in COUNTS {
        let array = format!("[{}]", tools(count).join(","));
        let items = item::split(array.as_bytes());
        assert!(items.is_ok_and(|items| items.len() == count), "{count} tools");
        group.throughput(Throughput::Bytes(array.len() as u64));
        group.bench_with_input(BenchmarkId::from_parameter(count), &array, |bencher, array| {
            bencher.iter(|| item::split(black_box(array.as_bytes())));
        });
    }
    group.finish();
}

criterion_group!(name = benches; config = settings::settings(); targets = write_page, split);
criterion_main!(benches);

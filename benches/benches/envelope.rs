//! Reading a `tools/call` by the size of its arguments.

mod call;
mod settings;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use std::hint::black_box;
use weir_protocol::Envelope;

fn parse(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("envelope parse");
    for (label, size) in call::SIZES {
        let body = call::call(size);
        let read = Envelope::parse(&body);
        let arguments = read.is_ok_and(|envelope| {
            let span = envelope.params.and_then(|params| params.arguments);
            span.is_some_and(|span| span.of(&body).len() == size)
        });
        assert!(arguments, "a call with {label} of arguments");
        group.throughput(Throughput::Bytes(body.len() as u64));
        group.bench_with_input(BenchmarkId::from_parameter(label), &body, |bencher, body| {
            bencher.iter(|| Envelope::parse(black_box(body)));
        });
    }
    group.finish();
}

criterion_group!(name = benches; config = settings::settings(); targets = parse);
criterion_main!(benches);

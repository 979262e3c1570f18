//! Making the message to a backend of a client's call: its id, tool name and progress token change, nothing else.

mod call;
mod settings;

use bytes::Bytes;
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use std::hint::black_box;
use weir_protocol::{Envelope, Span, Splice};

/// Where the call is changed.
struct Places {
    id: Span,
    name: Span,
    token: Span,
}

impl Places {
    fn read(body: &[u8]) -> Option<Self> {
        let envelope = Envelope::parse(body).ok()?;
        let token = envelope.meta(body).ok()??.progress_token?;
        Some(Self { id: envelope.id?, name: envelope.params?.name?, token })
    }
}

fn upstream(body: &[u8], places: &Places, id: u64, name: &[u8]) -> Bytes {
    let mut splice = Splice::new(body);
    splice.replace(places.id, id.to_string().into_bytes());
    splice.replace(places.name, name);
    splice.replace(places.token, id.to_string().into_bytes());
    splice.finish()
}

fn build(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("splice upstream call");
    for (label, size) in call::SIZES {
        let body = call::call(size);
        let places = Places::read(&body);
        assert!(places.is_some(), "a call with an id, a name and a progress token");
        let Some(places) = places else { continue };
        group.throughput(Throughput::Bytes(body.len() as u64));
        group.bench_with_input(BenchmarkId::from_parameter(label), &body, |bencher, body| {
            bencher.iter(|| upstream(black_box(body), &places, black_box(1_234_567), b"\"search\""));
        });
    }
    group.finish();
}

criterion_group!(name = benches; config = settings::settings(); targets = build);
criterion_main!(benches);

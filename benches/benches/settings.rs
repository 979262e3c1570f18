//! How long and how often every bench measures: `cargo bench` takes under two minutes in all.

use criterion::Criterion;
use std::time::Duration;

/// Two seconds and twenty samples for each figure.
pub(crate) fn settings() -> Criterion {
    Criterion::default()
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2))
        .sample_size(20)
}

//! Programs that break the rules, as a table: each fault stays with its call or its list, and the next call works.

mod calls;
mod offers;

use serde_json::Value;
use std::time::Duration;
use weir_tests::peers;

/// A program that does as `scripts` say; see `peers/fixtures/puppet.py`.
fn puppet(scripts: &Value, timeouts: &[(&str, u64)]) -> Value {
    let mut backend = peers::fixture("puppet.py", &[&scripts.to_string()]);
    // Many start at once: what they do not need is not loaded.
    backend["args"].as_array_mut().expect("there are arguments").insert(0, "-SE".into());
    backend["era"] = "legacy".into();
    backend["limits"]["message"] = "64KiB".into();
    backend["timeouts"]["list"] = "60s".into();
    let timeouts: Vec<_> =
        timeouts.iter().map(|(name, limit)| (*name, Duration::from_millis(*limit))).collect();
    peers::bounded(backend, &timeouts)
}

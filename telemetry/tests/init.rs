//! The process's log as it is: set up once, with everything that speaks through the `log` crate.

use std::process::Command;
use weir_telemetry::LogError;

/// Set in the process that sets up its own log.
const PART: &str = "WEIR_TEST_LOGS";

#[test]
fn the_log_is_set_up_once_and_hears_log_records() {
    if std::env::var_os(PART).is_some() {
        weir_telemetry::init("warn", false).unwrap();
        assert!(matches!(weir_telemetry::init("warn", false), Err(LogError::Again)));
        log::info!(target: "pingora_core", "a connection");
        log::warn!(target: "pingora_core", "a refusal");
        tracing::info!("from weir");
        return;
    }
    let said = |filter: &str| {
        let output = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "the_log_is_set_up_once_and_hears_log_records", "--nocapture"])
            .env(PART, "1")
            .env("WEIR_LOG", filter)
            .output()
            .unwrap();
        assert!(output.status.success());
        String::from_utf8(output.stderr).unwrap()
    };
    let configured = said("");
    assert!(configured.contains("WARN pingora_core: a refusal"), "{configured}");
    assert!(!configured.contains("a connection") && !configured.contains("from weir"), "{configured}");
    let overridden = said("info");
    assert!(overridden.contains("from weir") && !overridden.contains("a connection"), "{overridden}");
}

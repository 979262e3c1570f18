use super::{LogError, parse, subscriber};
use parking_lot::Mutex;
use std::io::{self, Write};
use std::sync::Arc;

#[derive(Clone, Default)]
struct Sink(Arc<Mutex<Vec<u8>>>);

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What the log shows of one line at each level, by weir and by pingora.
fn shown(filter: &str, json: bool, ansi: bool) -> String {
    let sink = Sink::default();
    let writer = sink.clone();
    let subscriber = subscriber(parse(filter).unwrap(), json, ansi, move || writer.clone());
    tracing::subscriber::with_default(subscriber, || {
        tracing::debug!(target: "weir_gateway::router", "weir debug");
        tracing::info!(target: "weir_gateway::router", backend = "notes", "weir info");
        tracing::info!(target: "pingora_core::server", "pingora info");
        tracing::warn!(target: "pingora_core::server", "pingora warn");
    });
    String::from_utf8(sink.0.lock().clone()).unwrap()
}

#[track_caller]
fn check(filter: &str, expected: &[&str]) {
    let text = shown(filter, false, false);
    let all = ["weir debug", "weir info", "pingora info", "pingora warn"];
    let seen = all.into_iter().filter(|line| text.contains(line)).collect::<Vec<_>>();
    assert_eq!(seen, expected, "{filter}: {text}");
}

#[test]
fn the_filter_decides_and_pingora_is_quiet() {
    check("info", &["weir info", "pingora warn"]);
    check("debug", &["weir debug", "weir info", "pingora warn"]);
    check("WARN", &["pingora warn"]);
    check("info,weir_gateway=debug", &["weir debug", "weir info", "pingora warn"]);
    check("warn, pingora_core=info", &["pingora info", "pingora warn"]);
    check("off,pingora=trace", &["pingora info", "pingora warn"]);
}

#[test]
fn lines_are_text_or_json() {
    let text = shown("info", false, false);
    assert!(text.contains("INFO weir_gateway::router: weir info backend=\"notes\""), "{text}");
    assert!(!text.contains('\x1b'));
    assert!(shown("info", false, true).contains('\x1b'));
    let json = shown("info", true, false);
    let line = json.lines().next().unwrap();
    assert!(line.starts_with('{') && line.ends_with('}'), "{line}");
    assert!(line.contains(r#""level":"INFO","message":"weir info","backend":"notes""#), "{line}");
}

#[test]
fn a_filter_that_would_silence_everything_by_mistake_is_refused() {
    for filter in ["verbose", "", "info,weir_gateway", "info,,debug"] {
        let error = parse(filter).expect_err(filter);
        assert!(matches!(&error, LogError::Level { .. }), "{filter}: {error:?}");
    }
    let error = parse("weir=loud").expect_err("no such level");
    assert!(matches!(&error, LogError::Filter { .. }), "{error:?}");
}

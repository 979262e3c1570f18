//! What a server writes to standard error reaches the log.

use parking_lot::Mutex;
use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use weir_runtime::{Guardian, Process, ProcessSpec};

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn standard_error_reaches_the_log() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_writer(move || writer.clone())
        .without_time()
        .with_ansi(false)
        .finish();
    let _guard = tracing::subscriber::set_default(subscriber);

    let script = "import sys
sys.stderr.buffer.write(b'first\\n\\x1b[31mred \\xff\\n' + b'x' * 20000 + b'\\nlast words')";
    let spec = ProcessSpec {
        name: "demo".into(),
        command: "python3".into(),
        args: vec!["-c".into(), script.into()],
        env: vec![],
        cwd: None,
    };
    let guardian = Guardian::start(Path::new("cat"), &[]).unwrap();
    Process::spawn(&spec, &guardian).unwrap().stop(Duration::from_secs(60)).await;

    let text = String::from_utf8(log.0.lock().clone()).unwrap();
    let lines = text.lines().map(str::trim).collect::<Vec<_>>();
    let long = format!("{}… backend=\"demo\"", "x".repeat(8192));
    let expected = [
        "INFO backend: first backend=\"demo\"",
        "INFO backend: \\u{1b}[31mred \u{fffd} backend=\"demo\"",
        &format!("INFO backend: {long}"),
        "INFO backend: last words backend=\"demo\"",
    ];
    assert_eq!(lines, expected);
}

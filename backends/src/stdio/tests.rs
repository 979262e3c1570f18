//! Backends of real child processes.

mod asking;

use super::*;
use crate::trial::{CLIENT, call, retry};
use std::path::Path;

struct Trial {
    directory: tempfile::TempDir,
    backend: Arc<dyn Backend>,
}

impl Trial {
    /// A server with a process for each session, which does what `files` say.
    fn new(files: &[&str], change: impl FnOnce(&mut weir_config::Backend)) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().to_str().unwrap();
        let program = concat!(env!("CARGO_MANIFEST_DIR"), "/src/stdio/tests/server.py");
        let mut spec = weir_config::Backend::stdio("scripted", "python3", [program, path]);
        spec.session = SessionScope::Client;
        spec.era = EraSetting::Legacy;
        change(&mut spec);
        let guardian = Guardian::start(Path::new("cat"), &[]).unwrap();
        let grants: Arc<dyn crate::Grants> = Arc::new(crate::MemoryGrants::default());
        let backend = crate::connect(&spec, &guardian, &grants, &Handle::current()).unwrap();
        let trial = Self { directory, backend };
        files.iter().for_each(|file| trial.tell(file));
        trial
    }

    fn tell(&self, file: &str) {
        std::fs::write(self.directory.path().join(file), "").unwrap();
    }

    fn log(&self) -> Vec<String> {
        let log = std::fs::read_to_string(self.directory.path().join("log")).unwrap_or_default();
        log.lines().map(str::to_owned).collect()
    }

    /// Waits until the server has written down `line`.
    async fn until(&self, line: &str) {
        self.until_some(|present| present == line).await;
    }

    /// Waits until the server has written down such a line.
    async fn until_some(&self, is: impl Fn(&str) -> bool) {
        while !self.log().iter().any(|line| is(line)) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

#[tokio::test]
async fn a_child_that_closes_its_input_is_gone() {
    let trial = Trial::new(&["deaf"], |spec| {
        spec.session = SessionScope::Shared;
        spec.timeouts.stop = Duration::from_millis(100);
    });
    trial.backend.inventory().await.unwrap();
    trial.until("deaf").await;
    let error = call(&trial.backend, CLIENT).await.unwrap_err();
    assert_eq!(error, BackendError::gone("it closed its input"));
    trial.backend.close().await;
}

#[tokio::test]
async fn processes_of_sessions_are_bounded() {
    let trial = Trial::new(&[], |spec| spec.limits.calls = 1);
    trial.backend.inventory().await.unwrap();
    let first = call(&trial.backend, CLIENT).await.unwrap();
    assert_eq!(retry(&trial.backend, CLIENT).await, Err(BackendError::Replaced), "it never asked");
    assert_eq!(call(&trial.backend, CLIENT).await.unwrap().len(), first.len());
    let other = SessionKey::Client(2);
    let error = call(&trial.backend, other).await.unwrap_err();
    assert_eq!(error.to_string(), "is busy: 1 processes serve other sessions, try again later");
    trial.backend.end_session(CLIENT);
    while let Err(error) = call(&trial.backend, other).await {
        assert!(matches!(error, BackendError::Busy { .. }), "{error}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(call(&trial.backend, CLIENT).await, Err(BackendError::SessionEnded));
    trial.backend.close().await;
    assert_eq!(call(&trial.backend, other).await, Err(BackendError::Stopping));
    let log = trial.log();
    let count = |line: &str| log.iter().filter(|present| *present == line).count();
    assert_eq!((count("start"), count("end")), (3, 3), "{log:?}");
}

#[tokio::test]
async fn one_hanging_start_blocks_no_other() {
    let trial = Trial::new(&[], |spec| spec.era = EraSetting::Auto);
    trial.backend.inventory().await.unwrap();
    trial.tell("hang");
    let hanging = tokio::spawn({
        let backend = trial.backend.clone();
        async move { call(&backend, CLIENT).await }
    });
    trial.until("hanging").await;
    call(&trial.backend, SessionKey::Client(2)).await.unwrap();
    assert!(!hanging.is_finished());
    // Ended while it is being started, it is stopped all the same.
    trial.backend.end_session(CLIENT);
    hanging.abort();
    trial.backend.close().await;
}

#[tokio::test]
async fn a_start_ends_with_its_session_and_with_the_backend() {
    let trial = Trial::new(&[], |spec| spec.timeouts.list = Duration::from_secs(86_400));
    let calls = Mutex::new(Vec::new());
    let start = async |key| {
        trial.tell("hang");
        let backend = trial.backend.clone();
        calls.lock().push(tokio::spawn(async move { call(&backend, key).await }));
        // The server takes the file away.
        while trial.directory.path().join("hang").exists() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    start(CLIENT).await;
    trial.backend.end_session(CLIENT);
    start(SessionKey::Client(2)).await;
    start(SessionKey::Shared).await;
    trial.backend.close().await;
    let mut ends = Vec::new();
    for call in calls.into_inner() {
        ends.push(call.await.unwrap().unwrap_err());
    }
    assert_eq!(ends, [BackendError::SessionEnded, BackendError::SessionEnded, BackendError::Stopping]);
    let log = trial.log();
    let count = |line: &str| log.iter().filter(|present| *present == line).count();
    assert_eq!((count("start"), count("end")), (3, 3), "{log:?}");
}

#[tokio::test]
async fn a_list_that_nobody_waits_for_is_cancelled() {
    let trial = Trial::new(&["mute"], |spec| spec.timeouts.list = Duration::from_secs(2));
    let error = trial.backend.inventory().await.unwrap_err();
    assert!(matches!(error, BackendError::Timeout { what: "tools/list", .. }), "{error}");
    trial.until("notifications/cancelled").await;
    trial.backend.close().await;
}

#[tokio::test]
async fn a_probe_has_ended_before_the_server_starts() {
    let trial = Trial::new(&["linger"], |spec| {
        spec.era = EraSetting::Auto;
        spec.timeouts.list = Duration::from_secs(2);
    });
    trial.backend.inventory().await.unwrap();
    let log = trial.log();
    let expected =
        ["start", "server/discover", "end", "start", "initialize", "notifications/initialized", "tools/list"];
    assert_eq!(log, expected);
    trial.backend.close().await;
}

#[tokio::test]
async fn callers_learn_no_paths() {
    let trial = Trial::new(&[], |spec| {
        *spec = weir_config::Backend::stdio("absent", "no-such-program", ["x"]);
    });
    let error = call(&trial.backend, CLIENT).await.unwrap_err();
    assert_eq!(error.to_string(), "cannot be reached: its program cannot be started");
    assert!(error.detail().unwrap().contains("PATH"), "{error:?}");
}

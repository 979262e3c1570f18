use super::{Process, ProcessSpec};
use crate::{Guardian, RuntimeError};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::ChildStdout;

/// Longer than any test may take: a stop that has to wait this long never ends.
const NEVER: Duration = Duration::from_secs(3600);
/// The grace given to what is known to ignore it.
const SHORT: Duration = Duration::from_millis(20);

fn guardian() -> Guardian {
    Guardian::start(Path::new("cat"), &[]).unwrap()
}

fn spec(command: &str, args: &[&str]) -> ProcessSpec {
    let args = args.iter().map(ToString::to_string).collect();
    ProcessSpec { name: "demo".into(), command: command.into(), args, env: vec![], cwd: None }
}

fn shell(script: &str) -> (Process, Lines<BufReader<ChildStdout>>) {
    let mut process = Process::spawn(&spec("sh", &["-c", script]), &guardian()).unwrap();
    let lines = BufReader::new(process.take_stdout().unwrap()).lines();
    (process, lines)
}

async fn rest(mut lines: Lines<BufReader<ChildStdout>>) -> Vec<String> {
    let mut rest = Vec::new();
    while let Some(line) = lines.next_line().await.unwrap() {
        rest.push(line);
    }
    rest
}

#[tokio::test]
async fn speaks_through_its_pipes_with_environment_and_directory() {
    let folder = tempfile::tempdir().unwrap();
    let mut spec = spec("sh", &["-c", "read line; echo \"$line $GREETING ${PATH:+inherited}\"; pwd"]);
    spec.env = vec![("GREETING".into(), "hello".into())];
    spec.cwd = Some(folder.path().into());
    let mut process = Process::spawn(&spec, &guardian()).unwrap();
    let mut stdin = process.take_stdin().unwrap();
    let mut stdout = process.take_stdout().unwrap();
    assert!(process.take_stdin().is_none() && process.take_stdout().is_none());
    stdin.write_all(b"line\n").await.unwrap();
    let mut said = String::new();
    stdout.read_to_string(&mut said).await.unwrap();
    let directory = folder.path().canonicalize().unwrap();
    assert_eq!(said, format!("line hello inherited\n{}\n", directory.display()));
    assert!(process.wait().await.success());
}

#[tokio::test]
async fn a_child_carries_the_mark_of_its_guardian_whatever_it_is_configured_to() {
    let guardian = guardian();
    let mut spec = spec("sh", &["-c", "echo $WEIR_INSTANCE"]);
    spec.env = vec![("WEIR_INSTANCE".into(), "another".into())];
    let mut process = Process::spawn(&spec, &guardian).unwrap();
    let lines = BufReader::new(process.take_stdout().unwrap()).lines();
    assert_eq!(rest(lines).await, [guardian.instance().as_str()]);
}

#[tokio::test]
async fn wait_tells_the_status_and_can_be_dropped_halfway() {
    let (mut process, _lines) = shell("read line; exit 7");
    let stdin = process.take_stdin();
    assert!(tokio::time::timeout(Duration::ZERO, process.wait()).await.is_err());
    drop(stdin);
    assert_eq!(process.wait().await.code(), Some(7));
    assert_eq!(process.wait().await.code(), Some(7));
}

#[tokio::test]
async fn stop_closes_standard_input_first() {
    let (process, lines) =
        shell("trap 'echo terminated' TERM; while read line; do :; done; echo input ended");
    process.stop(NEVER).await;
    assert_eq!(rest(lines).await, ["input ended"]);
}

#[tokio::test]
async fn stop_then_terminates_the_whole_group() {
    // Both ignore the end of their input and leave at SIGTERM; `wait` returns when its trap has run.
    let script =
        "sh -c 'trap \"echo child terminated; exit\" TERM; echo ready; while :; do sleep 3600 & wait; done' &
        trap 'wait; echo leader terminated; exit' TERM; wait";
    let (process, mut lines) = shell(script);
    assert_eq!(lines.next_line().await.unwrap().unwrap(), "ready");
    let (_, said) = tokio::join!(process.stop(Duration::from_secs(2)), rest(lines));
    assert!(said.contains(&"child terminated".into()), "{said:?}");
}

#[tokio::test]
async fn stop_kills_what_ignores_everything() {
    let script =
        "trap '' TERM; sh -c 'trap \"\" TERM; echo ready; while :; do sleep 3600; done' & wait; wait";
    let (process, mut lines) = shell(script);
    assert_eq!(lines.next_line().await.unwrap().unwrap(), "ready");
    process.stop(SHORT).await;
    // The pipe ends when its last holder, the grandchild, is dead.
    assert_eq!(rest(lines).await, [""; 0]);
}

#[tokio::test]
async fn a_grandchild_that_ignores_sigterm_does_not_outlive_its_leader() {
    let script = "sh -c 'trap \"\" TERM HUP; echo ready; while :; do sleep 3600; done' & read line; exit 3";
    let (mut process, mut lines) = shell(script);
    assert_eq!(lines.next_line().await.unwrap().unwrap(), "ready");
    drop(process.take_stdin());
    assert_eq!(process.wait().await.code(), Some(3));
    assert_eq!(rest(lines).await, [""; 0]);
}

#[tokio::test]
async fn dropping_kills_the_group() {
    let (process, mut lines) = shell("sh -c 'echo ready; sleep 3600' & sleep 3600");
    assert_eq!(lines.next_line().await.unwrap().unwrap(), "ready");
    drop(process);
    assert_eq!(rest(lines).await, [""; 0]);
}

#[tokio::test]
async fn a_leader_killed_from_outside_is_told_by_its_signal() {
    let (mut process, _lines) = shell("exec sleep 3600");
    let stdin = process.take_stdin();
    assert!(Command::new("kill").args(["-KILL", &process.pid().to_string()]).status().unwrap().success());
    assert_eq!(process.wait().await.signal(), Some(9));
    drop(stdin);
}

#[tokio::test]
async fn the_guardian_is_told_of_start_and_end() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("reports");
    let script = "cat > \"$0\".part; mv \"$0\".part \"$0\"";
    let fifo = folder.path().join("done");
    assert!(Command::new("mkfifo").arg(&fifo).status().unwrap().success());
    let script = format!("{script}; echo > '{}'", fifo.display());
    let guardian = Guardian::start(Path::new("sh"), &["-c", &script, file.to_str().unwrap()]).unwrap();
    let process = Process::spawn(&spec("cat", &[]), &guardian).unwrap();
    let pid = process.pid();
    let mark = guardian.instance().to_string();
    process.stop(NEVER).await;
    drop(guardian);
    std::fs::read(&fifo).unwrap();
    assert_eq!(std::fs::read_to_string(&file).unwrap(), format!("={mark}\n+{pid}\n-{pid}\n"));
}

fn refused(spec: &ProcessSpec) -> RuntimeError {
    Process::spawn(spec, &guardian()).expect_err("it cannot start")
}

#[tokio::test]
async fn refusals_say_what_to_do() {
    let error = refused(&spec("no-such-program", &[]));
    assert!(matches!(&error, RuntimeError::NotFound { .. }), "{error:?}");
    let text = error.to_string();
    assert!(
        text.contains("`demo`") && text.contains("`no-such-program`") && text.contains("PATH ("),
        "{text}"
    );

    let error = refused(&spec("/no/such/program", &[]));
    assert!(error.to_string().contains("no such file"), "{error}");

    let mut elsewhere = spec("cat", &[]);
    elsewhere.cwd = Some(PathBuf::from("/no/such/directory"));
    let error = refused(&elsewhere);
    assert!(matches!(&error, RuntimeError::MissingDirectory { .. }), "{error:?}");
    elsewhere.cwd = Some(PathBuf::from("/dev/null"));
    assert!(matches!(refused(&elsewhere), RuntimeError::MissingDirectory { .. }));

    let folder = tempfile::tempdir().unwrap();
    let script = folder.path().join("server");
    std::fs::write(&script, "#!/no/such/interpreter\n").unwrap();
    let error = refused(&spec(script.to_str().unwrap(), &[]));
    assert!(matches!(&error, RuntimeError::PermissionDenied { .. }), "{error:?}");
    assert!(Command::new("chmod").arg("+x").arg(&script).status().unwrap().success());
    let error = refused(&spec(script.to_str().unwrap(), &[]));
    assert!(error.to_string().contains("interpreter"), "{error}");

    assert!(matches!(refused(&spec("cat", &["\0"])), RuntimeError::Spawn { .. }));
}

#[test]
fn values_of_variables_are_not_shown() {
    let mut spec = spec("cat", &[]);
    spec.env = vec![("TOKEN".into(), "hunter2".into())];
    let shown = format!("{spec:?}");
    assert!(shown.contains("TOKEN") && !shown.contains("hunter2"), "{shown}");
}

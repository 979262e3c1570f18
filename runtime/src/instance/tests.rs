use super::{Instance, VARIABLE, other_process};
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, Stdio};

/// Runs `script` in a group of its own with `mark`, and waits until it has said that it is ready.
fn start(script: &str, mark: &str) -> (Child, BufReader<std::process::ChildStdout>) {
    let mut child = Command::new("sh")
        .args(["-c", script])
        .env(VARIABLE, mark)
        .process_group(0)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    stdout.read_line(&mut line).unwrap();
    assert_eq!(line, "ready\n");
    (child, stdout)
}

#[test]
fn kills_those_with_the_mark_and_nobody_else() {
    let (own, other) = (Instance::random().unwrap(), Instance::random().unwrap());
    // The leader leaves at once, so that only the environment tells whose the one in the new session is.
    let detached = "setsid sh -c 'trap \"\" TERM HUP; echo ready; while :; do sleep 3600; done' & exit 0";
    let (mut leader, mut detached) = start(detached, own.as_str());
    assert!(leader.wait().unwrap().success());
    let (mut child, _stdout) = start("echo ready; exec sleep 3600", own.as_str());
    let close = format!("{own}0");
    let bystanders = [other.as_str(), &close, ""].map(|mark| start("echo ready; exec cat", mark));

    own.kill_all();

    assert_eq!(child.wait().unwrap().signal(), Some(9));
    let mut rest = String::new();
    // The pipe ends when its last holder is dead.
    detached.read_to_string(&mut rest).unwrap();
    assert_eq!(rest, "");
    for (mut child, mut stdout) in bystanders {
        child.stdin.take().unwrap().write_all(b"alive\n").unwrap();
        stdout.read_to_string(&mut rest).unwrap();
        assert_eq!(std::mem::take(&mut rest), "alive\n");
        assert!(child.wait().unwrap().success());
    }
}

#[test]
fn a_mark_is_not_made_twice() {
    let mark = Instance::random().unwrap();
    assert_ne!(mark, Instance::random().unwrap());
    assert_eq!(Instance::parse(mark.as_str()), Some(mark));
}

#[test]
fn neither_the_caller_nor_the_first_process_nor_what_is_no_process_is_another() {
    let own = std::process::id().to_string();
    for name in ["0", "1", "-1", "self", "", "99999999999", &own] {
        assert_eq!(other_process(name), None, "{name:?}");
    }
    assert_eq!(other_process("2").map(i32::from), Some(2).filter(|_| own != "2"));
}

use super::{Guardian, Wards, read_reports};
use crate::Group;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::Command;

fn wards(reports: &[u8]) -> Wards {
    let mut wards = Wards::default();
    read_reports(&mut &reports[..], &mut wards).unwrap();
    wards
}

fn left(reports: &[u8]) -> Vec<String> {
    wards(reports).groups.iter().map(ToString::to_string).collect()
}

#[test]
fn the_mark_is_read_whole_or_not_at_all() {
    let mark = "0123456789abcdef0123456789abcdef";
    let read = |reports: String| wards(reports.as_bytes()).instance;
    let whole = read(format!("={mark}\n+17\n"));
    assert_eq!(whole.as_ref().map(|instance| instance.as_str()), Some(mark));
    for broken in [format!("={mark}"), format!("={mark}0\n"), format!("={}\n", &mark[1..]), "=\n".into()] {
        assert_eq!(read(broken.clone()), None, "{broken:?}");
    }
}

#[test]
fn what_was_registered_and_not_released_is_left() {
    assert_eq!(left(b"+17\n+18\n-17\n+19\n"), ["18", "19"]);
    assert_eq!(left(b""), [""; 0]);
    assert_eq!(left(b"+17\n+17\n-17\n-17\n"), [""; 0]);
}

#[test]
fn lines_that_are_no_report_kill_nobody() {
    assert_eq!(left(b"+0\n+1\n+-5\n+\n17\n*17\n+17x\n+99999999999999\n\xff\xfe\n\n"), [""; 0]);
    assert_eq!(left(b"+17"), [""; 0], "a number cut off in the middle is another's");
    assert_eq!(left(format!("+{}\n+17\n", "9".repeat(100)).as_bytes()), ["17"]);
}

/// The next incarnation of a guardian that writes its process id and then what it is told to a named pipe.
fn reports(fifo: &Path) -> (i32, impl Iterator<Item = String> + use<>) {
    let mut lines = BufReader::new(File::open(fifo).unwrap()).lines().map(Result::unwrap);
    (lines.next().unwrap().parse().unwrap(), lines)
}

#[test]
fn a_guardian_that_dies_is_replaced_and_told_everything() {
    let folder = tempfile::tempdir().unwrap();
    let fifo = folder.path().join("reports");
    assert!(Command::new("mkfifo").arg(&fifo).status().unwrap().success());
    let script = "exec 3>\"$0\"; echo $$ >&3; exec cat >&3";
    let guardian = Guardian::start(Path::new("sh"), &["-c", script, fifo.to_str().unwrap()]).unwrap();

    let mark = format!("={}", guardian.instance());
    let (pid, mut lines) = reports(&fifo);
    for id in [70_001, 70_002, 70_003] {
        guardian.register(Group::of(id).unwrap());
    }
    guardian.release(Group::of(70_002).unwrap());
    let told = lines.by_ref().take(5).collect::<Vec<_>>();
    assert_eq!(told, [&mark, "+70001", "+70002", "+70003", "-70002"]);

    nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), nix::sys::signal::Signal::SIGKILL).unwrap();
    assert_eq!(lines.next(), None);

    let (successor, mut lines) = reports(&fifo);
    assert_ne!(successor, pid);
    assert_eq!(lines.by_ref().take(3).collect::<Vec<_>>(), [&mark, "+70001", "+70003"]);
    drop(guardian);
    assert_eq!(lines.next(), None, "the guardian ends with its last handle");
}

#[test]
fn a_program_that_does_not_exist_is_an_error() {
    assert!(Guardian::start(Path::new("/nonexistent/guardian"), &[]).is_err());
}

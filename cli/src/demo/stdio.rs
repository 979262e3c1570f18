//! Messages as lines on standard input and output.

use super::reply::Outlet;
use super::server::Server;
use super::session::Session;
use std::io::{self, BufRead, Read, Write};
use std::sync::mpsc::{Receiver, sync_channel};

/// Longest message taken, in bytes.
const LONGEST_LINE: usize = 1024 * 1024;
/// Messages that wait for a slow reader before the server waits itself.
const WAITING: usize = 64;

/// Serves one client until standard input ends.
pub(super) fn serve<S: Server>(server: S) -> anyhow::Result<()> {
    let (lines, outgoing) = sync_channel(WAITING);
    let writer = std::thread::spawn(move || write_lines(&outgoing, &mut io::stdout().lock()));
    let mut session = Session::new(server, Outlet::new(lines));
    let read = read_lines(&mut io::stdin().lock(), |line| session.receive(line));
    // The last message is out when nobody is left who could send another.
    session.close();
    match writer.join() {
        // A client that left without listening to the end is none of our failures.
        Ok(Err(error)) if error.kind() != io::ErrorKind::BrokenPipe => return Err(error.into()),
        _ => {}
    }
    Ok(read?)
}

fn write_lines(lines: &Receiver<String>, output: &mut impl Write) -> io::Result<()> {
    for line in lines {
        writeln!(output, "{line}")?;
        output.flush()?;
    }
    Ok(())
}

/// Hands over every line; one that is too long is handed over as `None`.
fn read_lines(input: &mut impl BufRead, mut receive: impl FnMut(Option<&[u8]>)) -> io::Result<()> {
    let mut line = Vec::new();
    let limit = LONGEST_LINE as u64 + 1;
    loop {
        line.clear();
        if input.by_ref().take(limit).read_until(b'\n', &mut line)? == 0 {
            return Ok(());
        }
        if line.last() != Some(&b'\n') && line.len() > LONGEST_LINE {
            input.skip_until(b'\n')?;
            receive(None);
        } else if !line.trim_ascii().is_empty() {
            receive(Some(&line));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{LONGEST_LINE, read_lines};

    fn lengths(input: &str) -> Vec<Option<usize>> {
        let mut lengths = Vec::new();
        read_lines(&mut input.as_bytes(), |line| lengths.push(line.map(|line| line.trim_ascii().len())))
            .unwrap();
        lengths
    }

    #[test]
    fn lines_are_bounded() {
        assert_eq!(lengths("{}\n\n  \r\n[1]"), [Some(2), Some(3)]);
        let fits = "x".repeat(LONGEST_LINE);
        assert_eq!(lengths(&format!("{fits}\nab\n")), [Some(LONGEST_LINE), Some(2)]);
        assert_eq!(lengths(&format!("{fits}{fits}{fits}\nab\n")), [None, Some(2)]);
        assert_eq!(lengths(&format!("{fits}x")), [None]);
    }
}

//! A process group: what is killed when a server ends.

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use std::fmt;

/// A process group that weir started, named by its leader's process id; never weir's own group, never "everybody".
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Group(i32);

impl Group {
    /// The group whose leader is the process `pid`. `None` for 0 and 1, which the system reads as "my own group" and
    /// "every process", and for what is no process id.
    pub fn of(pid: u32) -> Option<Self> {
        i32::try_from(pid).ok().filter(|pid| *pid > 1).map(Self)
    }

    /// Sends `signal` to every member. A group without members is not an error: there is nobody left to tell.
    pub(crate) fn signal(self, signal: Signal) {
        if let Err(error) = killpg(Pid::from_raw(self.0), signal)
            && error != nix::errno::Errno::ESRCH
        {
            tracing::warn!(group = self.0, %signal, %error, "a process group could not be signalled");
        }
    }
}

impl fmt::Display for Group {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::Group;

    #[test]
    fn ids_that_mean_more_than_one_group_are_refused() {
        assert_eq!(Group::of(0), None);
        assert_eq!(Group::of(1), None);
        assert_eq!(Group::of(u32::MAX), None);
        assert_eq!(Group::of(2).map(|group| group.to_string()).as_deref(), Some("2"));
    }
}

//! The lock that one weir holds on its store.

use super::StoreError;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// Holds the store as long as it lives; the system lets go of it whichever way weir ends. The lock is on a file of its own, since
/// the store's is replaced with each write.
#[derive(Debug)]
pub(super) struct Lock(#[expect(dead_code, reason = "it is held, not used")] File);

impl Lock {
    /// Takes the lock of the store at `path`, or says who has it.
    pub(super) fn hold(path: &Path) -> Result<Self, StoreError> {
        let mut name = path.file_name().map(ToOwned::to_owned).unwrap_or_default();
        name.push(".lock");
        let beside = path.with_file_name(name);
        let failed = |source| StoreError::File { path: beside.clone(), source };
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false).mode(0o600);
        let mut file = options.open(&beside).map_err(failed)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let (path, process) = (path.to_owned(), holder(&file));
                return Err(StoreError::InUse { path, lock: beside, process });
            }
            Err(TryLockError::Error(error)) => return Err(failed(error)),
        }
        // For whoever finds it locked. On a disk that is full, which is no reason not to use what is there, it says nothing.
        let written = file.set_len(0).and_then(|()| writeln!(file, "{}", std::process::id()));
        if let Err(error) = written {
            tracing::debug!(file = %beside.display(), %error, "the number of this process cannot be written");
        }
        Ok(Self(file))
    }
}

/// The number that whoever holds it has written there.
fn holder(file: &File) -> Option<u32> {
    let mut text = String::new();
    file.take(16).read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}

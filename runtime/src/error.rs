//! Why a server could not be started.

use std::io;
use std::path::PathBuf;

/// Why a server could not be started. Every text names the backend and says what to do.
#[derive(Debug, thiserror::Error)]
pub enum RuntimeError {
    /// No program of that name, or a script whose interpreter is missing.
    #[error("backend `{backend}`: cannot find the program `{command}`: {hint}")]
    NotFound {
        /// The backend's configured name.
        backend: String,
        /// The program as configured.
        command: String,
        /// Where it was looked for and what would help.
        hint: String,
    },
    /// The working directory is not a directory.
    #[error(
        "backend `{backend}`: the working directory {cwd:?} does not exist or is no directory; create it or change `cwd`"
    )]
    MissingDirectory {
        /// The backend's configured name.
        backend: String,
        /// The directory as configured.
        cwd: PathBuf,
    },
    /// The program or its working directory may not be used by weir's user.
    #[error(
        "backend `{backend}`: no permission to run `{command}`; check that it is an executable file (`chmod +x`) \
         and that weir's user may enter its directory and `cwd`"
    )]
    PermissionDenied {
        /// The backend's configured name.
        backend: String,
        /// The program as configured.
        command: String,
    },
    /// The system refused for another reason (out of processes, arguments too long, and so on).
    #[error("backend `{backend}`: cannot start `{command}`")]
    Spawn {
        /// The backend's configured name.
        backend: String,
        /// The program as configured.
        command: String,
        /// What the system said.
        source: io::Error,
    },
}

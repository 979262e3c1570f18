//! Small MCP servers inside weir, for a first configuration that needs nothing installed.
//!
//! weir starts them like any other program that speaks MCP on standard input and output, and they answer in both
//! eras of the protocol.

mod arguments;
mod clock;
mod notes;
mod reply;
mod server;
mod session;
mod stdio;

use clap::ValueEnum;

/// The servers there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Demo {
    /// Tells, converts and counts down time.
    Clock,
    /// Keeps notes for as long as it runs.
    Notes,
}

/// Serves on standard input and output until the input ends.
pub(crate) fn run(demo: Demo) -> anyhow::Result<()> {
    match demo {
        Demo::Clock => stdio::serve(clock::Clock::new()),
        Demo::Notes => stdio::serve(notes::Notes::default()),
    }
}

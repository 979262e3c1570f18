//! weir, the binary: reads the command line and runs what it names.

mod args;
mod attempt;
mod check;
mod connect;
mod demo;
mod examination;
mod follow;
mod import;
mod key;
mod line;
mod policy;
mod serve;
mod signals;
mod stdio;
mod watch;

use args::{Args, Command};
use clap::Parser;
use std::io::Write;
use std::process::ExitCode;

/// What an operator wrote cannot be used: `EX_USAGE` of sysexits.h.
const USAGE: u8 = 64;

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    let args = match Args::try_parse() {
        Ok(args) => args,
        Err(error) => {
            let _ = error.print();
            return if error.use_stderr() { ExitCode::from(USAGE) } else { ExitCode::SUCCESS };
        }
    };
    match run(args.command) {
        Ok(code) => code,
        Err(error) => {
            say_error(&format!("error: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Serve(serve) => serve::run(serve),
        Command::Stdio(stdio) => stdio::run(stdio),
        Command::Check { config, connect } if connect.connect => examination::run(&config.file(), &connect),
        Command::Check { config, .. } => Ok(check::run(&config.file())),
        Command::Import(import) => import::run(&import),
        Command::Key(key) => key::run(&key),
        Command::Schema => {
            say(&serde_json::to_string_pretty(&weir_config::schema())?);
            Ok(ExitCode::SUCCESS)
        }
        Command::Policy(command) => policy::run(command),
        Command::Tools { endpoint, json } => attempt::tools(&endpoint, json),
        Command::Call { name, arguments, endpoint } => attempt::call(&endpoint, &name, arguments),
        Command::Guard => Ok(weir_runtime::run_guardian().map(|()| ExitCode::SUCCESS)?),
        Command::Demo { name } => demo::run(name).map(|()| ExitCode::SUCCESS),
    }
}

/// Prints a line for the person or program that called. A reader that has gone away is no error.
fn say(text: &str) {
    let _ = writeln!(std::io::stdout(), "{text}");
}

/// Prints a line about what went wrong.
fn say_error(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}

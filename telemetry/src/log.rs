//! The process's log: lines on standard error, as text or JSON.

use std::io::{self, IsTerminal};
use tracing::Subscriber;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::ParseError;
use tracing_subscriber::fmt::MakeWriter;

/// The variable that overrides the configured filter.
const VARIABLE: &str = "WEIR_LOG";

/// What is quiet unless the filter says otherwise. A target covers everything that begins like it: every pingora
/// crate reports each connection of each client.
const QUIET: &str = "pingora=warn";

/// Why the log could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The filter names no level.
    #[error(
        "the log filter {filter:?} is not valid at {part:?}: write a level (error, warn, info, debug, trace, off), \
         or `target=level` pairs separated by commas"
    )]
    Level {
        /// The whole filter.
        filter: String,
        /// The part that is not understood.
        part: String,
    },
    /// The filter cannot be read for another reason.
    #[error("the log filter {filter:?} is not valid")]
    Filter {
        /// The whole filter.
        filter: String,
        /// What is wrong with it.
        source: ParseError,
    },
    /// The process has a log already.
    #[error("the log was set up before")]
    Again,
}

/// Sets up the process's log on standard error, once: what `filter` lets through (a level such as `info`, or
/// `info,weir_gateway=debug`), one JSON object a line if `json`, else text, coloured on a terminal. The environment
/// variable `WEIR_LOG` replaces `filter`. Libraries that speak through the `log` crate are included.
///
/// # Errors
///
/// The filter is not valid, or the log was set up before.
pub fn init(filter: &str, json: bool) -> Result<(), LogError> {
    let replaced = std::env::var(VARIABLE).ok().filter(|filter| !filter.trim().is_empty());
    let filter = parse(replaced.as_deref().unwrap_or(filter))?;
    let no_color = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let ansi = io::stderr().is_terminal() && !no_color;
    tracing::subscriber::set_global_default(subscriber(filter, json, ansi, io::stderr))
        .map_err(|_| LogError::Again)?;
    tracing_log::LogTracer::init().map_err(|_| LogError::Again)
}

fn subscriber<W>(filter: EnvFilter, json: bool, ansi: bool, writer: W) -> Box<dyn Subscriber + Send + Sync>
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_ansi(ansi).with_writer(writer);
    if json { Box::new(builder.json().flatten_event(true).finish()) } else { Box::new(builder.finish()) }
}

fn parse(filter: &str) -> Result<EnvFilter, LogError> {
    let parts = filter.split(',').map(str::trim).collect::<Vec<_>>();
    for part in &parts {
        // A word alone would be taken for a target whose every line is shown, and everything else would be silent.
        // Nothing at all would be taken for the level `error`.
        if part.is_empty() || !part.contains(['=', '[']) && part.parse::<LevelFilter>().is_err() {
            return Err(LogError::Level { filter: filter.into(), part: (*part).into() });
        }
    }
    // What comes later wins, so the filter can make a quiet target speak.
    EnvFilter::builder()
        .parse(format!("{QUIET},{}", parts.join(",")))
        .map_err(|source| LogError::Filter { filter: filter.into(), source })
}

#[cfg(test)]
mod tests;

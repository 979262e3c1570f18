//! The command line.

mod policy;

pub(crate) use policy::{ClientEra, Explain, Policy, Test, Wanted, WhatCan, WhoCan};

use crate::demo::Demo;
use clap::{Parser, Subcommand, ValueEnum};
use serde_json::{Map, Value};
use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;
use weir_config::Origin;

/// The endpoint that `weir tools` and `weir call` ask.
const DEFAULT_URL: &str = "http://127.0.0.1:4483/mcp";

/// An MCP gateway: one endpoint for AI clients, any number of MCP servers behind it, old and new alike.
#[derive(Debug, Parser)]
#[command(name = "weir", version, arg_required_else_help = true)]
pub(crate) struct Args {
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Serve the endpoints of a configuration.
    Serve(Serve),
    /// Serve one endpoint on standard input and output, for clients that start processes.
    ///
    /// No address is listened on. Both eras of the protocol are spoken, one message a line; weir ends when standard input
    /// does.
    Stdio(Stdio),
    /// Check a configuration and serve nothing.
    ///
    /// Every fault is told with its line. The exit code is 0 when there is none, 64 otherwise.
    ///
    /// With --connect, every backend is started or connected too and asked for its lists, and what each endpoint would show is
    /// told. The exit code is 1 then when the file is wrong, a backend does not answer or something else is an error.
    Check {
        /// The configuration.
        #[command(flatten)]
        config: RequiredConfig,
        /// Whether backends are tried.
        #[command(flatten)]
        connect: Connect,
    },
    /// Turn another program's configuration into weir's own.
    ///
    /// It takes the servers of an MCP client (Claude, Cursor, VS Code and others) or a configuration of ToolHive's vmcp,
    /// and tells what could not be carried over. Literal secrets are not copied: they become references to environment
    /// variables. The exit code is 0 when a file was written, 1 when the source is of no use.
    Import(Import),
    /// Make an API key for an endpoint's `auth.api_keys`.
    ///
    /// It prints the key, once, and the line for the configuration, which holds a digest of it.
    Key(Key),
    /// Print the JSON Schema of the configuration.
    ///
    /// An editor that knows the schema completes and checks the file while it is written.
    Schema,
    /// Check, explain and test what callers may do.
    #[command(subcommand)]
    Policy(Policy),
    /// List the tools of a running endpoint.
    Tools {
        /// The endpoint.
        #[command(flatten)]
        endpoint: Endpoint,
        /// Print the list as JSON, as the endpoint gave it.
        #[arg(long)]
        json: bool,
    },
    /// Call a tool of a running endpoint and print its result.
    Call {
        /// The tool's name, as `weir tools` prints it.
        name: String,
        /// The tool's arguments: a JSON object, such as '{"offset": "+02:00"}'.
        #[arg(long = "args", value_name = "JSON", default_value = "{}", hide_default_value = true)]
        arguments: Arguments,
        /// The endpoint.
        #[command(flatten)]
        endpoint: Endpoint,
    },
    /// Kill weir's child processes should weir die; weir starts it itself.
    #[command(hide = true)]
    Guard,
    /// Serve a built-in demo server on standard input and output.
    #[command(hide = true)]
    Demo {
        /// Which one.
        #[arg(value_enum)]
        name: Demo,
    },
}

/// `weir serve`.
#[derive(Debug, clap::Args)]
pub(crate) struct Serve {
    /// What to serve.
    #[command(flatten)]
    pub(crate) config: OptionalConfig,
    /// Listen on this address and port instead of the configured one.
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub(crate) address: Option<SocketAddr>,
    /// Do not follow the configuration file; reload on SIGHUP only.
    #[arg(long)]
    pub(crate) no_watch: bool,
    /// How to log.
    #[command(flatten)]
    pub(crate) log: Log,
}

/// `weir stdio`.
#[derive(Debug, clap::Args)]
pub(crate) struct Stdio {
    /// What to serve.
    #[command(flatten)]
    pub(crate) config: OptionalConfig,
    /// The endpoint's name; may be left out where there is only one.
    #[arg(long, value_name = "NAME")]
    pub(crate) endpoint: Option<String>,
    /// Do not follow the configuration file; reload on SIGHUP only.
    #[arg(long)]
    pub(crate) no_watch: bool,
    /// How to log.
    #[command(flatten)]
    pub(crate) log: Log,
}

/// How to log.
#[derive(Debug, clap::Args)]
pub(crate) struct Log {
    /// What to log: error, warn, info, debug, trace or off, and per part as in `info,weir_gateway=debug`.
    ///
    /// The environment variable WEIR_LOG goes before it.
    #[arg(long = "log", value_name = "LEVEL", default_value = "info")]
    pub(crate) level: String,
    /// How log lines are written to standard error.
    #[arg(long = "log-format", value_enum, value_name = "FORMAT", default_value_t = LogFormat::Text)]
    pub(crate) format: LogFormat,
}

impl Log {
    /// Logs to standard error from now on.
    pub(crate) fn begin(&self) -> anyhow::Result<()> {
        Ok(weir_telemetry::init(&self.level, self.format == LogFormat::Json)?)
    }
}

/// `weir check --connect`.
#[derive(Debug, clap::Args)]
pub(crate) struct Connect {
    /// Start and connect every backend, ask for its lists, and tell what each endpoint would show.
    #[arg(long)]
    pub(crate) connect: bool,
    /// Print what was found as JSON.
    #[arg(long, requires = "connect")]
    pub(crate) json: bool,
    /// Let warnings fail the check too.
    #[arg(long, requires = "connect")]
    pub(crate) strict: bool,
    /// What to log meanwhile, as for `weir serve`: `info` shows what programs write to standard error.
    #[arg(long, requires = "connect", value_name = "LEVEL", default_value = "off")]
    pub(crate) log: String,
}

/// `weir import`.
#[derive(Debug, clap::Args)]
pub(crate) struct Import {
    /// The file to import.
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
    /// Where to write weir's configuration; `-` is standard output.
    #[arg(long, short = 'o', value_name = "FILE", default_value = "weir.yaml")]
    pub(crate) output: PathBuf,
    /// What kind of file it is; without this, its content tells.
    #[arg(long, value_enum, value_name = "KIND")]
    pub(crate) from: Option<Kind>,
    /// Overwrite the output if it is there already.
    #[arg(long)]
    pub(crate) force: bool,
}

/// `weir key`.
#[derive(Debug, clap::Args)]
pub(crate) struct Key {
    /// Whose key it is: the caller's name in policies and in the log.
    #[arg(value_name = "NAME")]
    pub(crate) name: String,
    /// A group of its holder; may be repeated.
    #[arg(long = "group", value_name = "GROUP")]
    pub(crate) groups: Vec<String>,
    /// A role of its holder; may be repeated.
    #[arg(long = "role", value_name = "ROLE")]
    pub(crate) roles: Vec<String>,
    /// A scope that it is good for; may be repeated.
    #[arg(long = "scope", value_name = "SCOPE")]
    pub(crate) scopes: Vec<String>,
    /// When it ends: a day such as 2027-01-31, or a time such as 2027-01-31T12:00:00Z.
    #[arg(long, value_name = "TIME")]
    pub(crate) expires: Option<String>,
    /// Print name, key and digest as JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

/// A kind of file that can be imported.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Kind {
    /// The servers of an MCP client: `mcpServers`, VS Code's `servers`, Claude Code's `projects`.
    McpServers,
    /// ToolHive's vmcp: its configuration, or Kubernetes manifests.
    Toolhive,
}

impl From<Kind> for Origin {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::McpServers => Self::McpServers,
            Kind::Toolhive => Self::ToolHive,
        }
    }
}

/// A configuration file that may be left out, named with or without its flag.
#[derive(Debug, clap::Args)]
#[group(required = false, multiple = false)]
pub(crate) struct OptionalConfig {
    /// The configuration file; without one, weir serves its built-in demo servers.
    #[arg(long = "config", short = 'c', value_name = "FILE")]
    flag: Option<PathBuf>,
    /// The configuration file, without the flag.
    #[arg(value_name = "FILE")]
    positional: Option<PathBuf>,
}

impl OptionalConfig {
    /// The file, if one was named.
    pub(crate) fn file(self) -> Option<PathBuf> {
        self.flag.or(self.positional)
    }
}

/// A configuration file that must be there, named with or without its flag.
#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false)]
pub(crate) struct RequiredConfig {
    /// The configuration file.
    #[arg(value_name = "FILE")]
    positional: Option<PathBuf>,
    /// The configuration file, as for `weir serve`.
    #[arg(long = "config", short = 'c', value_name = "FILE")]
    flag: Option<PathBuf>,
}

impl RequiredConfig {
    /// The file; the command line is refused when none was named.
    pub(crate) fn file(&self) -> PathBuf {
        self.flag.as_ref().or(self.positional.as_ref()).cloned().unwrap_or_default()
    }
}

/// A running endpoint.
#[derive(Debug, clap::Args)]
pub(crate) struct Endpoint {
    /// The endpoint's URL.
    #[arg(long, value_name = "URL", default_value = DEFAULT_URL)]
    pub(crate) url: String,
    /// A header to send with every request, such as 'Authorization: Bearer ...'; may be repeated.
    #[arg(long = "header", short = 'H', value_name = "NAME: VALUE")]
    pub(crate) headers: Vec<Header>,
}

/// How log lines are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// A header of a request. Its value may be a secret, so it is not shown.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Header {
    /// Its name.
    pub(crate) name: String,
    /// Its value, without space around it.
    pub(crate) value: String,
}

impl fmt::Debug for Header {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Header").field("name", &self.name).finish_non_exhaustive()
    }
}

impl FromStr for Header {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, value) = text.split_once(':').ok_or("write it as 'Name: value'")?;
        let (name, value) = (name.trim(), value.trim());
        let token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
        if name.is_empty() || !name.bytes().all(token) {
            return Err("its name must be letters, digits and hyphens, as in 'Name: value'".into());
        }
        if value.chars().any(char::is_control) {
            return Err("its value must be one line".into());
        }
        Ok(Self { name: name.into(), value: value.into() })
    }
}

/// A tool's arguments.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Arguments(pub(crate) Map<String, Value>);

impl FromStr for Arguments {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match serde_json::from_str(text) {
            Ok(Value::Object(arguments)) => Ok(Self(arguments)),
            Ok(_) => Err("it must be a JSON object, such as '{\"name\": \"value\"}'".into()),
            Err(error) => Err(format!("it is not valid JSON: {error}")),
        }
    }
}

#[cfg(test)]
mod tests;

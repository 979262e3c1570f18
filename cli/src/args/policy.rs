//! `weir policy`.

use super::{Arguments, RequiredConfig};
use clap::{Subcommand, ValueEnum};
use std::net::IpAddr;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::SystemTime;

/// What to do with policies.
#[derive(Debug, Subcommand)]
pub(crate) enum Policy {
    /// Check the policies of a configuration against their schema.
    ///
    /// Every fault is told with its file, line and column. The exit code is 0 when there is none, 64 otherwise.
    Check {
        /// The configuration.
        #[command(flatten)]
        config: RequiredConfig,
        /// The tools of an endpoint, as `weir tools --json` prints them: what policies read of arguments is checked against
        /// their input schemas.
        #[arg(long, value_name = "FILE")]
        tools: Option<PathBuf>,
        /// The endpoint that the tools are of; may be left out where there is only one.
        #[arg(long, value_name = "NAME", requires = "tools")]
        endpoint: Option<String>,
    },
    /// Print the schema that policies are checked against.
    Schema {
        /// The configuration.
        #[command(flatten)]
        config: RequiredConfig,
        /// The endpoint; may be left out where there is only one.
        #[arg(long, value_name = "NAME")]
        endpoint: Option<String>,
    },
    /// Say why a call is allowed or denied, policy by policy.
    ///
    /// No signature is verified: what the claims say is believed. What is shown holds the caller's claims and the arguments, as
    /// far as policies read them. The exit code is 0, whatever the decision is.
    Explain(Explain),
    /// Try calls, and tell where policies decide otherwise than expected.
    ///
    /// The file names a configuration and lists calls, each with `expect: allow` or `expect: deny`. The exit code is 0 when
    /// everything is as expected, 1 when something is not, 64 when a file is wrong.
    Test(Test),
    /// Say who may use an item, over what the backends offer right now.
    ///
    /// Every backend is started or connected and asked for its lists. The answer is about the groups, roles, scopes and callers
    /// that the policies name, and about those named with --as: `yes`, `no`, or `sometimes` where it depends on the arguments or
    /// the circumstances. The exit code is 1 when no endpoint offers the item.
    WhoCan(WhoCan),
    /// Say what somebody may use, over what the backends offer right now.
    ///
    /// Every backend is started or connected and asked for its lists.
    WhatCan(WhatCan),
}

/// `weir policy who-can`.
#[derive(Debug, clap::Args)]
pub(crate) struct WhoCan {
    /// The configuration.
    #[command(flatten)]
    pub(crate) config: RequiredConfig,
    /// What it is about.
    #[command(flatten)]
    pub(crate) wanted: Wanted,
    /// Somebody to be told of too: a file of claims as JSON, the JSON itself, a signed token, or `anonymous`.
    #[arg(long = "as", value_name = "CLAIMS")]
    pub(crate) callers: Vec<String>,
    /// Only this endpoint.
    #[arg(long, value_name = "NAME")]
    pub(crate) endpoint: Option<String>,
    /// Print the answer as JSON.
    #[arg(long)]
    pub(crate) json: bool,
    /// What to log meanwhile, as for `weir serve`.
    #[arg(long, value_name = "LEVEL", default_value = "off")]
    pub(crate) log: String,
}

/// `weir policy what-can`.
#[derive(Debug, clap::Args)]
pub(crate) struct WhatCan {
    /// The configuration.
    #[command(flatten)]
    pub(crate) config: RequiredConfig,
    /// Who calls: a file of claims as JSON, the JSON itself, a signed token, or `anonymous`.
    #[arg(long = "as", value_name = "CLAIMS")]
    pub(crate) caller: String,
    /// Only this endpoint.
    #[arg(long, value_name = "NAME")]
    pub(crate) endpoint: Option<String>,
    /// Print the answer as JSON.
    #[arg(long)]
    pub(crate) json: bool,
    /// What to log meanwhile, as for `weir serve`.
    #[arg(long, value_name = "LEVEL", default_value = "off")]
    pub(crate) log: String,
}

/// `weir policy test`.
#[derive(Debug, clap::Args)]
pub(crate) struct Test {
    /// The file of calls, in YAML.
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
    /// Start and connect the endpoint's servers and ask them what they offer, in place of the list of tools that the file names.
    #[arg(long)]
    pub(crate) connect: bool,
    /// What to log meanwhile, as for `weir serve`.
    #[arg(long, requires = "connect", value_name = "LEVEL", default_value = "off")]
    pub(crate) log: String,
}

/// `weir policy explain`.
#[derive(Debug, clap::Args)]
pub(crate) struct Explain {
    /// The configuration.
    #[command(flatten)]
    pub(crate) config: RequiredConfig,
    /// Who calls: a file of claims as JSON, the JSON itself, a signed token, or `anonymous`.
    #[arg(long = "as", value_name = "CLAIMS")]
    pub(crate) caller: String,
    /// What is wanted.
    #[command(flatten)]
    pub(crate) wanted: Wanted,
    /// Instead of what is usual: `subscribe` to a resource, or `complete` an argument.
    #[arg(long, value_name = "ACTION")]
    pub(crate) action: Option<String>,
    /// The tool's arguments: a JSON object.
    #[arg(long = "args", value_name = "JSON", default_value = "{}", hide_default_value = true)]
    pub(crate) arguments: Arguments,
    /// The endpoint; may be left out where there is only one.
    #[arg(long, value_name = "NAME")]
    pub(crate) endpoint: Option<String>,
    /// The backend, where neither the name nor the configuration tells.
    #[arg(long, value_name = "NAME")]
    pub(crate) backend: Option<String>,
    /// The endpoint's tools, as `weir tools --json` prints them: what they take, and what they say of themselves.
    #[arg(long, value_name = "FILE")]
    pub(crate) tools: Option<PathBuf>,
    /// Start and connect the endpoint's servers and ask them what they offer.
    #[arg(long, conflicts_with = "tools")]
    pub(crate) connect: bool,
    /// What to log meanwhile, as for `weir serve`.
    #[arg(long, requires = "connect", value_name = "LEVEL", default_value = "off")]
    pub(crate) log: String,
    /// Where the caller connects from.
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) address: Option<IpAddr>,
    /// Which era of the protocol the caller's client speaks.
    #[arg(long, value_enum, value_name = "ERA", default_value_t = ClientEra::Modern)]
    pub(crate) era: ClientEra,
    /// When the call is made: a time in UTC such as 2027-01-31T12:00:00Z, or a day; default: now.
    #[arg(long, value_name = "TIME")]
    pub(crate) time: Option<Moment>,
    /// The call is made again with what its server asked for.
    #[arg(long)]
    pub(crate) retry: bool,
    /// Print the explanation as JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

/// The era of a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ClientEra {
    /// 2025-11-25 and earlier.
    Legacy,
    /// 2026-07-28.
    Modern,
}

/// A time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Moment(pub(crate) SystemTime);

impl FromStr for Moment {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        weir_config::moment(text).map(Self).ok_or("write it in UTC, as 2027-01-31T12:00:00Z or 2027-01-31")
    }
}

/// What is wanted.
#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false)]
pub(crate) struct Wanted {
    /// A tool, by the name that clients see.
    #[arg(long, value_name = "NAME")]
    pub(crate) tool: Option<String>,
    /// A prompt, by the name that clients see.
    #[arg(long, value_name = "NAME")]
    pub(crate) prompt: Option<String>,
    /// A resource, by the URI that clients see.
    #[arg(long, value_name = "URI")]
    pub(crate) resource: Option<String>,
}

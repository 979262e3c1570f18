//! The load harness's command line.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "the report and the progress are this program's output"
)]

use anyhow::{Context, Result, bail};
use clap::{Parser, Subcommand, ValueEnum};
use std::io::{Write, stdout};
use std::net::Ipv4Addr;
use std::path::PathBuf;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use weir_benches::bench::Bench;
use weir_benches::drive::Drive;
use weir_benches::echo::Echo;
use weir_benches::message::{Era, Target};
use weir_benches::process::{Pins, Placement};
use weir_benches::report::{Section, summary};
use weir_benches::{access, backends, calls, lists, sessions};

/// Measures what a hop through weir costs, next to nginx and no hop at all.
#[derive(Debug, Parser)]
#[command(name = "load")]
struct Arguments {
    #[command(subcommand)]
    part: Option<Part>,
    /// The weir binary; without it, only direct and nginx are measured.
    #[arg(long)]
    weir: Option<PathBuf>,
    /// The nginx binary.
    #[arg(long, default_value = "/usr/sbin/nginx")]
    nginx: PathBuf,
    /// How long each run lasts.
    #[arg(long, default_value_t = 5.0)]
    seconds: f64,
    /// How many runs of each variant the medians are of.
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Only these measurements.
    #[arg(long, value_enum, value_delimiter = ',')]
    only: Vec<Measurement>,
    /// Only this era.
    #[arg(long, value_enum)]
    era: Option<Era>,
    /// How programs share the processors.
    #[arg(long, value_enum, default_value_t = Placement::Apart)]
    placement: Placement,
}

/// What the harness starts this binary again for.
#[derive(Debug, Subcommand)]
enum Part {
    /// Be the echo server; the port is printed.
    Echo {
        /// The port on 127.0.0.1; 0 takes a free one.
        #[arg(long, default_value_t = 0)]
        port: u16,
        /// How many tools are listed.
        #[arg(long, default_value_t = 60)]
        tools: usize,
        /// Answer only this era.
        #[arg(long, value_enum)]
        era: Option<Era>,
        /// Show this JWK set, as an issuer of tokens does.
        #[arg(long)]
        keys: Option<String>,
    },
    /// Be the closed-loop client; it starts when it reads a line and prints what it found as JSON.
    Drive {
        /// What to do, as JSON.
        drive: String,
    },
    /// Open legacy sessions and leave them.
    Sessions {
        /// The port on 127.0.0.1.
        #[arg(long)]
        port: u16,
        /// The endpoint's path.
        #[arg(long, default_value = "/mcp")]
        path: String,
        /// How many sessions.
        #[arg(long, default_value_t = 10_000)]
        count: usize,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Measurement {
    /// `tools/call` at 1, 16 and 64 connections.
    Calls,
    /// `tools/list` of 60 and 1,000 tools.
    Lists,
    /// Memory of 10,000 idle legacy sessions.
    Sessions,
    /// `tools/call` with 1, 10 and 100 backends.
    Backends,
    /// `tools/call` and `tools/list` of callers who log in, under policies.
    Access,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let mut terminated = signal(SignalKind::terminate())?;
    let part = arguments.part.is_some();
    // Ended here rather than by the signal itself, so that the programs that were started end too.
    tokio::select! {
        done = run(arguments) => done,
        _ = terminated.recv() => if part { Ok(()) } else { bail!("terminated") },
        _ = tokio::signal::ctrl_c() => bail!("interrupted"),
    }
}

async fn run(arguments: Arguments) -> Result<()> {
    match arguments.part {
        None => report(arguments).await,
        Some(Part::Echo { port, tools, era, keys }) => {
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?;
            println!("{}", listener.local_addr()?.port());
            Ok(Echo::new(era, tools).showing(keys).serve(listener).await?)
        }
        Some(Part::Drive { drive }) => {
            let drive: Drive =
                serde_json::from_str(&drive).context("the argument of `drive` is not as it must be")?;
            let outcome = drive.run(&mut stdout()).await?;
            println!("{}", serde_json::to_string(&outcome)?);
            Ok(())
        }
        Some(Part::Sessions { port, path, count }) => {
            Ok(sessions::open(&Target::new(port, path), count, &mut stdout()).await?)
        }
    }
}

async fn report(arguments: Arguments) -> Result<()> {
    if arguments.rounds == 0 || !(0.1..=600.0).contains(&arguments.seconds) {
        bail!("at least one round, and 0.1 to 600 seconds");
    }
    let bench = Bench {
        load: std::env::current_exe()?,
        nginx: arguments.nginx,
        weir: arguments.weir.map(std::path::absolute).transpose()?,
        eras: arguments.era.map_or_else(|| vec![Era::Legacy, Era::Modern], |era| vec![era]),
        seconds: arguments.seconds,
        rounds: arguments.rounds,
        pins: Pins::detect(arguments.placement),
        progress: |what| eprintln!("… {what}"),
    };
    println!("# Load\n");
    println!("{} rounds of {} s, variants in turn, medians of the rounds.", bench.rounds, bench.seconds);
    println!("{}\n", bench.pins.describe());
    let wanted = |measurement| arguments.only.is_empty() || arguments.only.contains(&measurement);
    let (mut goals, mut failed) = (Vec::new(), false);
    for measurement in Measurement::value_variants().iter().filter(|measurement| wanted(**measurement)) {
        let section = match measurement {
            Measurement::Calls => calls::measure(&bench).await,
            Measurement::Lists => lists::measure(&bench).await,
            Measurement::Sessions => sessions::measure(&bench).await,
            Measurement::Backends => backends::measure(&bench).await,
            Measurement::Access => access::measure(&bench).await,
        };
        // One measurement that cannot be made does not take the others along.
        let section = section.unwrap_or_else(|error| Section {
            title: format!("{measurement:?}"),
            text: format!("FAILED: {error}\n"),
            goals: Vec::new(),
            failed: true,
        });
        println!("## {}\n\n{}", section.title, section.text);
        stdout().flush()?;
        goals.extend(section.goals);
        failed |= section.failed;
    }
    println!("## Summary\n\n{}", summary(&goals));
    if failed {
        bail!("a measurement failed; the report says why");
    }
    Ok(())
}

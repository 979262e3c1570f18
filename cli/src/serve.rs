//! `weir serve`: from a configuration to a running gateway.

use crate::args::{LogFormat, Serve};
use crate::{USAGE, check, connect, say};
use anyhow::Context;
use std::path::Path;
use std::process::ExitCode;
use tokio::signal::unix::{Signal, SignalKind, signal};
use weir_config::{Backend, Config, Endpoint};
use weir_gateway::{Gateway, Stopper};
use weir_runtime::Guardian;

/// Serves until a signal ends it.
pub(crate) fn run(serve: Serve) -> anyhow::Result<ExitCode> {
    weir_telemetry::init(&serve.log, serve.log_format == LogFormat::Json)?;
    let program = std::env::current_exe().context("cannot find weir's own program file")?;
    let file = serve.config.file();
    let demo = file.is_none();
    let mut config = match file {
        None => demo_config(&program),
        Some(file) => match check::load(&file) {
            Some(loaded) => loaded.config,
            None => return Ok(ExitCode::from(USAGE)),
        },
    };
    if let Some(address) = serve.address {
        config.listener.address = address;
    }
    // Signals are followed before anything is started, so that none of them finds weir unprepared.
    let signals = Signals::follow()?;
    let guardian =
        Guardian::start(&program, &["guard"]).context("cannot start the guardian of child processes")?;
    let gateway = Gateway::start(config, &guardian)?;
    if !gateway.address().ip().is_loopback() {
        tracing::warn!(
            "the listener is not on loopback and nobody is asked who they are: every caller may call every tool"
        );
    }
    signals.stop_on_signal(gateway.stopper())?;
    announce(&gateway, demo);
    gateway.run()?;
    Ok(ExitCode::SUCCESS)
}

/// The endpoint that weir serves when it is told nothing: its demo servers, as ordinary backends.
fn demo_config(program: &Path) -> Config {
    let program = program.to_string_lossy();
    let server = |name: &str| Backend::stdio(name, &*program, ["demo".to_owned(), name.to_owned()].to_vec());
    Config {
        listener: Default::default(),
        backends: ["clock", "notes"].map(server).to_vec(),
        endpoints: vec![Endpoint::over("demo", "/mcp", ["clock", "notes"].map(String::from).to_vec())],
        limits: Default::default(),
        timeouts: Default::default(),
    }
}

fn announce(gateway: &Gateway, demo: bool) {
    let urls = gateway.urls();
    for (name, url) in &urls {
        say(&format!("endpoint {name}: {url}"));
    }
    if let Some((_, url)) = urls.first() {
        say("");
        say(&connect::lines(url));
    }
    if demo {
        say(
            "No configuration was named, so two demo servers are served. Write your own: weir serve --config weir.yaml",
        );
    }
}

/// SIGTERM and SIGINT, which end weir in good order; a second one ends it at once.
struct Signals {
    runtime: tokio::runtime::Runtime,
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    /// From now on both signals wait to be followed instead of ending the process.
    fn follow() -> anyhow::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let entered = runtime.enter();
        let (terminate, interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
        drop(entered);
        Ok(Self { runtime, terminate, interrupt })
    }

    /// Every signal, also one that came before, stops the gateway.
    fn stop_on_signal(self, stopper: Stopper) -> anyhow::Result<()> {
        let Self { runtime, mut terminate, mut interrupt } = self;
        let follow = move || {
            runtime.block_on(async {
                loop {
                    tokio::select! {
                        _ = terminate.recv() => {}
                        _ = interrupt.recv() => {}
                    }
                    stopper.stop();
                }
            });
        };
        std::thread::Builder::new().name("signals".to_owned()).spawn(follow)?;
        Ok(())
    }
}

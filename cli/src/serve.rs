//! `weir serve`: from a configuration to a running gateway.

use crate::args::Serve;
use crate::follow::{Follower, Source};
use crate::watch::Watch;
use crate::{USAGE, check, connect, say, signals};
use anyhow::Context;
use std::path::Path;
use std::process::ExitCode;
use weir_config::{Backend, Config, Endpoint};
use weir_gateway::{Gateway, Stopper};
use weir_runtime::Guardian;

/// Serves until a signal ends it.
pub(crate) fn run(serve: Serve) -> anyhow::Result<ExitCode> {
    serve.log.begin()?;
    let program = std::env::current_exe().context("cannot find weir's own program file")?;
    let source = serve.config.file().map(|file| Source { file, address: serve.address, only: None });
    let (mut config, mut watch) = (demo_config(&program), Watch::default());
    if let Some(source) = &source {
        let Some(loaded) = check::load(&source.file) else {
            return Ok(ExitCode::from(USAGE));
        };
        watch.follow(&loaded.watched);
        config = source.apply(loaded.config);
    } else if let Some(address) = serve.address {
        config.listener.address = address;
    }
    // Signals are followed before anything is started, so that none of them finds weir unprepared.
    let stopper = Stopper::default();
    let requests = signals::follow(stopper.clone())?;
    let guardian =
        Guardian::start(&program, &["guard"]).context("cannot start the guardian of child processes")?;
    let gateway = Gateway::start(config, &guardian, &stopper)?;
    if !stopper.is_stopped() {
        announce(&gateway, source.is_none());
        let watch = (!serve.no_watch).then_some(watch);
        Follower::start(source, &gateway, watch, requests)?;
    }
    gateway.run()?;
    Ok(ExitCode::SUCCESS)
}

/// The endpoint that weir serves when it is told nothing: its demo servers, as ordinary backends.
pub(crate) fn demo_config(program: &Path) -> Config {
    let program = program.to_string_lossy();
    let server = |name: &str| Backend::stdio(name, &*program, ["demo".to_owned(), name.to_owned()].to_vec());
    Config {
        listener: Default::default(),
        backends: ["clock", "notes"].map(server).to_vec(),
        endpoints: vec![Endpoint::over("demo", "/mcp", ["clock", "notes"].map(String::from).to_vec())],
        limits: Default::default(),
        timeouts: Default::default(),
        grants: None,
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

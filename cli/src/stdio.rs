//! `weir stdio`: one endpoint for the client that started weir.

use crate::args::Stdio;
use crate::follow::{self, Follower, Only, Source};
use crate::watch::Watch;
use crate::{USAGE, check, say_error, serve, signals};
use anyhow::Context;
use std::process::ExitCode;
use weir_config::Endpoint;
use weir_gateway::{Gateway, Stopper};
use weir_runtime::Guardian;

/// Serves until standard input ends or a signal comes.
pub(crate) fn run(stdio: Stdio) -> anyhow::Result<ExitCode> {
    stdio.log.begin()?;
    let program = std::env::current_exe().context("cannot find weir's own program file")?;
    let (mut config, mut watch) = (serve::demo_config(&program), Watch::default());
    let file = stdio.config.file();
    if let Some(file) = &file {
        let Some(loaded) = check::load(file) else {
            return Ok(ExitCode::from(USAGE));
        };
        watch.follow(&loaded.watched);
        config = loaded.config;
    }
    let endpoint = match choose(&config.endpoints, stdio.endpoint.as_deref()) {
        Ok(endpoint) => endpoint.name.clone(),
        Err(reason) => {
            say_error(&format!("error: {reason}"));
            return Ok(ExitCode::from(USAGE));
        }
    };
    let config = follow::only(config, &endpoint);
    let stores = config.grants.is_some();
    // Signals are followed before anything is started, so that none of them finds weir unprepared.
    let stopper = Stopper::default();
    let requests = signals::follow(stopper.clone())?;
    let guardian =
        Guardian::start(&program, &["guard"]).context("cannot start the guardian of child processes")?;
    let gateway = Gateway::start_unbound(config, &guardian, &stopper)?;
    if !stopper.is_stopped() {
        let source = file.map(|file| Source {
            file,
            address: None,
            only: Some(Only { endpoint: endpoint.clone(), stores }),
        });
        let watch = (!stdio.no_watch).then_some(watch);
        Follower::start(source, &gateway, watch, requests)?;
    }
    gateway.run_stdio(&endpoint)?;
    Ok(ExitCode::SUCCESS)
}

/// The endpoint of this name, or the only one.
fn choose<'a>(endpoints: &'a [Endpoint], name: Option<&str>) -> Result<&'a Endpoint, String> {
    let known = || endpoints.iter().map(|endpoint| endpoint.name.as_str()).collect::<Vec<_>>().join(", ");
    match (name, endpoints) {
        (None, [only]) => Ok(only),
        (None, _) => Err(format!("name the endpoint to serve with --endpoint: {}", known())),
        (Some(name), _) => endpoints
            .iter()
            .find(|endpoint| endpoint.name == name)
            .ok_or_else(|| format!("there is no endpoint `{name}`, only: {}", known())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_endpoint_is_named_where_there_are_several() {
        let two = ["a", "b"].map(|name| Endpoint::over(name, format!("/{name}"), ["x"]));
        assert_eq!(choose(&two, Some("b")).unwrap().name, "b");
        assert_eq!(choose(&two[..1], None).unwrap().name, "a");
        assert_eq!(choose(&two, None).unwrap_err(), "name the endpoint to serve with --endpoint: a, b");
        assert_eq!(choose(&two, Some("c")).unwrap_err(), "there is no endpoint `c`, only: a, b");
    }
}

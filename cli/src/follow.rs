//! Following the configuration file of a running gateway.

use crate::watch::Watch;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;
use weir_config::{Backend, Config, ConfigErrors, Listener, Loaded, ProcessEnvironment, Transport};
use weir_gateway::{Gateway, GatewayError, Reloader};

/// How often the files are looked at.
const INTERVAL: Duration = Duration::from_millis(500);
/// While the file has errors, so many looks pass before it is read again: what it lacks may lie in a file that nobody
/// watches yet, because it was not there.
const PATIENCE: u32 = 10;

/// Where a configuration comes from.
#[derive(Debug)]
pub(crate) struct Source {
    /// The file.
    pub(crate) file: PathBuf,
    /// The address that goes before the configured one.
    pub(crate) address: Option<SocketAddr>,
    /// The one endpoint that is served, on standard input and output.
    pub(crate) only: Option<Only>,
}

/// The one endpoint that is served.
#[derive(Debug)]
pub(crate) struct Only {
    pub(crate) endpoint: String,
    /// Whether this weir has the store of grants; what it has it keeps, whatever becomes of its backends.
    pub(crate) stores: bool,
}

impl Source {
    /// The configuration as it is to run.
    pub(crate) fn apply(&self, mut config: Config) -> Config {
        if let Some(address) = self.address {
            config.listener.address = address;
        }
        match &self.only {
            Some(Only { endpoint, stores }) => {
                let grants = config.grants.clone().filter(|_| *stores);
                let config = only(config, endpoint);
                Config { grants: grants.or(config.grants.clone()), ..config }
            }
            None => config,
        }
    }
}

/// The configuration without what somebody who only reaches the endpoint of this name, without a listener, cannot use. The store of
/// grants is one of them where no user grants anything: it belongs to one weir at a time, and each client may have a weir of its own.
pub(crate) fn only(mut config: Config, endpoint: &str) -> Config {
    config.endpoints.retain(|known| known.name == endpoint);
    let used =
        |backend: &Backend| config.endpoints.iter().any(|known| known.backends.contains(&backend.name));
    config.backends.retain(used);
    if !config.backends.iter().any(is_granted) {
        config.grants = None;
    }
    config.listener = Listener::default();
    config
}

fn is_granted(backend: &Backend) -> bool {
    matches!(&backend.transport, Transport::Http(http) if http.auth.are_granted())
}

/// Reloads when asked to or when a file changes, until weir stops.
pub(crate) struct Follower {
    source: Source,
    reloader: Reloader,
    /// The files that the running configuration was read from; `None` where they are not followed.
    watch: Option<Watch>,
    /// One message for every request to reload.
    requests: Receiver<()>,
}

/// Why a configuration is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reason {
    Asked,
    Changed,
    /// It had errors when it was last read.
    Doubt,
}

impl Follower {
    /// Follows `source`, where there is one, in a thread of its own. Without `watch` only `requests` count.
    pub(crate) fn start(
        source: Option<Source>,
        gateway: &Gateway,
        watch: Option<Watch>,
        requests: Receiver<()>,
    ) -> std::io::Result<()> {
        if let Some(source) = source {
            let follower = Self { source, reloader: gateway.reloader(), watch, requests };
            std::thread::Builder::new().name("reload".to_owned()).spawn(|| follower.run())?;
        }
        Ok(())
    }

    /// Follows until weir stops.
    fn run(mut self) {
        let mut errors: Option<ConfigErrors> = None;
        let mut looks = 0;
        loop {
            let reason = match self.wait() {
                Some(reason) => Some(reason),
                None if errors.is_some() && self.watch.is_some() => {
                    looks = (looks + 1) % PATIENCE;
                    (looks == 0).then_some(Reason::Doubt)
                }
                None => None,
            };
            let Some(reason) = reason else {
                continue;
            };
            match weir_config::load(&self.source.file, &ProcessEnvironment) {
                Ok(loaded) => {
                    errors = None;
                    if !self.take(loaded, reason) {
                        return;
                    }
                }
                Err(found) => {
                    if reason != Reason::Doubt || errors.as_ref() != Some(&found) {
                        self.refuse(&found);
                    }
                    errors = Some(found);
                }
            }
        }
    }

    /// Waits for one interval, or for a request. Requests that came meanwhile are one.
    fn wait(&mut self) -> Option<Reason> {
        match self.requests.recv_timeout(INTERVAL) {
            Ok(()) => {
                while self.requests.try_recv().is_ok() {}
                return Some(Reason::Asked);
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => std::thread::sleep(INTERVAL),
        }
        self.watch.as_mut()?.has_changed().then_some(Reason::Changed)
    }

    /// Gives a configuration to the gateway; false once weir stops.
    fn take(&mut self, loaded: Loaded, reason: Reason) -> bool {
        if let Some(watch) = &mut self.watch {
            watch.follow(&loaded.watched);
        }
        let file = self.source.file.display();
        match self.reloader.reload(self.source.apply(loaded.config)) {
            Ok(done) if done.changed => {
                for warning in &loaded.warnings {
                    tracing::warn!("{warning}");
                }
                let (started, ended) = (done.started.join(", "), done.ended.join(", "));
                tracing::info!(%file, started, ended, "the configuration was reloaded");
            }
            Ok(_) if reason == Reason::Changed => {
                tracing::debug!(%file, "the configuration means what it meant")
            }
            Ok(_) => tracing::info!(%file, "the configuration means what it meant, nothing changes"),
            Err(GatewayError::Stopping) => return false,
            Err(error) => tracing::error!(
                %file,
                "the configuration is not reloaded, the running one stays: {}",
                chain(&error)
            ),
        }
        true
    }

    fn refuse(&self, errors: &ConfigErrors) {
        let count = errors.diagnostics().len();
        let plural = if count == 1 { "" } else { "s" };
        let then = if self.watch.is_some() { "" } else { ", then send SIGHUP" };
        tracing::error!(
            "the configuration is not reloaded, the running one stays: mend {count} error{plural}{then}\n{errors}"
        );
    }
}

/// An error with what it came of.
fn chain(error: &dyn std::error::Error) -> String {
    std::iter::successors(error.source(), |error| error.source())
        .fold(error.to_string(), |text, source| format!("{text}: {source}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    fn config(tracker: &str) -> Config {
        let text = format!(
            "{{oauth: {{store: {{file: grants, key: 0123456789abcdef0123456789abcdef}}}},
              backends: {{clock: {{command: a}}, tracker: {{url: 'https://tracker.example/mcp', auth: {tracker}}}}},
              endpoints: {{time: {{path: /time, backends: [clock]}}, work: {{path: /work, backends: [tracker]}}}}}}"
        );
        weir_config::parse(&text, Path::new("weir.yaml"), &|_: &str| None)
            .expect("the text is in order")
            .config
    }

    #[test]
    fn one_endpoint_alone_needs_the_store_where_its_users_grant_something() {
        assert!(only(config("{oauth: {}}"), "time").grants.is_none());
        assert!(only(config("{oauth: {}}"), "work").grants.is_some());
        // What it has it keeps over a reload; what it needs only then takes a restart, which the gateway says.
        let after = |stores, tracker| {
            let only = Some(Only { endpoint: "work".to_owned(), stores });
            Source { file: PathBuf::new(), address: None, only }.apply(config(tracker)).grants
        };
        assert!(after(true, "{bearer: x}").is_some() && after(true, "{oauth: {}}").is_some());
        assert!(after(false, "{bearer: x}").is_none() && after(false, "{oauth: {}}").is_some());
    }
}

//! `weir check`: everything that is wrong with a configuration, at once.

use crate::policy::{self, Toolbox};
use crate::{USAGE, say, say_error};
use std::path::Path;
use std::process::ExitCode;
use weir_backends::FileGrants;
use weir_config::{Config, Loaded, ProcessEnvironment};

/// Reads a configuration and its policies; tells its warnings, or everything that is wrong with it.
pub(crate) fn load(file: &Path) -> Option<Loaded> {
    let loaded = read(file)?;
    policy::report(&loaded.config, &Toolbox::default(), None).map(|_| loaded)
}

/// Reads a configuration without understanding its policies; tells its warnings, or everything that is wrong with it.
pub(crate) fn read(file: &Path) -> Option<Loaded> {
    match weir_config::load(file, &ProcessEnvironment) {
        Ok(loaded) => {
            for warning in &loaded.warnings {
                say_error(&format!("warning: {warning}"));
            }
            Some(loaded)
        }
        Err(errors) => {
            for error in errors.diagnostics() {
                say_error(&error.to_string());
            }
            let count = errors.diagnostics().len();
            say_error(&format!("{}: {count} error{}", file.display(), if count == 1 { "" } else { "s" }));
            None
        }
    }
}

/// Looks whether users' grants could be opened, also while another weir has them; tells what is wrong.
pub(crate) fn store(config: &Config) -> bool {
    let Some(store) = &config.grants else {
        return true;
    };
    match FileGrants::examine(&store.file, store.key.expose()) {
        Ok(false) => true,
        Ok(true) => {
            let file = store.file.display();
            say_error(&format!(
                "warning: `oauth.store`: {file} is open to others than its owner: `chmod 600` it"
            ));
            true
        }
        Err(error) => {
            say_error(&format!("error: `oauth.store`: {error}"));
            false
        }
    }
}

/// `weir check FILE`.
pub(crate) fn run(file: &Path) -> ExitCode {
    match load(file).filter(|loaded| store(&loaded.config)) {
        Some(Loaded { config, .. }) => {
            let (backends, endpoints) = (config.backends.len(), config.endpoints.len());
            say(&format!("{}: in order ({backends} backends, {endpoints} endpoints)", file.display()));
            ExitCode::SUCCESS
        }
        None => ExitCode::from(USAGE),
    }
}

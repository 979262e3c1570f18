//! Looking at every backend once and at what the endpoints would show, without serving anything.

mod access;
mod asked;
mod attempt;
mod endpoint;
mod finding;
mod items;
mod schema;
mod supposed;
#[cfg(test)]
mod tests;

pub use access::{Leave, Offered, Surveyed, survey};
pub use attempt::{Attempt, Nowhere, Tried};
pub use finding::{Finding, HiddenBy, Judged, Settled, Severity};
pub use supposed::{Supposed, Unplaced, supposed_owner};

use crate::catalog::List;
use crate::error::GatewayError;
use asked::Asked;
use serde::Serialize;
use weir_backends::{BackendError, Inventory};
use weir_config::{Config, Transport};
use weir_protocol::{Era, Method};
use weir_runtime::Guardian;

/// What was found of a whole configuration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Examination {
    /// Each backend, in the order of the configuration.
    pub backends: Vec<ExaminedBackend>,
    /// Each endpoint, in the order of the configuration.
    pub endpoints: Vec<ExaminedEndpoint>,
}

/// What was found of one backend.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ExaminedBackend {
    /// Its configured name.
    pub name: String,
    /// How it is reached: `stdio` or `http`.
    pub transport: &'static str,
    /// What it offers; `None` where it could not be asked.
    pub offer: Option<Offer>,
    /// What is wrong with it, the private detail included: it may name addresses, folders and programs.
    pub problems: Vec<Judged>,
}

/// What a backend offers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Offer {
    /// `modern` or `legacy`.
    pub era: &'static str,
    /// The revision that it is spoken to in.
    pub revision: &'static str,
    /// The name and version that it gives itself.
    pub server: Option<String>,
    /// How many tools it lists.
    pub tools: usize,
    /// How many prompts it lists.
    pub prompts: usize,
    /// How many resources it lists.
    pub resources: usize,
    /// How many resource templates it lists.
    pub templates: usize,
    /// Whether it has instructions for the model.
    pub instructions: bool,
}

/// What was found of one endpoint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ExaminedEndpoint {
    /// Its configured name.
    pub name: String,
    /// Its path.
    pub path: String,
    /// How many tools clients see.
    pub tools: usize,
    /// How many prompts clients see.
    pub prompts: usize,
    /// How many resources clients see.
    pub resources: usize,
    /// How many resource templates clients see.
    pub templates: usize,
    /// What is to be known of it, list by list.
    pub findings: Vec<Judged>,
}

impl Examination {
    /// How many findings are of this severity.
    pub fn count(&self, severity: Severity) -> usize {
        let of_backends = self.backends.iter().flat_map(|backend| &backend.problems);
        let of_endpoints = self.endpoints.iter().flat_map(|endpoint| &endpoint.findings);
        of_backends.chain(of_endpoints).filter(|judged| judged.severity == severity).count()
    }
}

/// Starts and connects every backend as a gateway would, asks each once for its lists, stops them all, and builds each
/// endpoint's catalog. It waits as long as a gateway waits at start; where that is not at all, the default time.
/// Must not be called within a tokio runtime.
///
/// # Errors
/// The system refuses threads.
pub fn examine(config: &Config, guardian: &Guardian) -> Result<Examination, GatewayError> {
    let asked = Asked::every(config, guardian)?;
    let backends = config.backends.iter().zip(asked.answers());
    let examined = backends.map(|(spec, answer)| self::backend(spec, answer)).collect();
    let endpoints = config.endpoints.iter().map(|spec| endpoint::examine(spec, &asked.stocks(config, spec)));
    Ok(Examination { backends: examined, endpoints: endpoints.collect() })
}

fn backend(spec: &weir_config::Backend, asked: Result<&Inventory, &BackendError>) -> ExaminedBackend {
    let transport = match &spec.transport {
        Transport::Stdio(_) => "stdio",
        Transport::Http(_) => "http",
    };
    let name = spec.name.clone();
    match asked {
        Ok(inventory) => {
            let faults = inventory.faults.iter().map(|fault| {
                let (list, text) = (key(fault.method), fault.text.clone());
                if fault.whole {
                    Judged::error(Finding::ListFailed { list, text })
                } else {
                    Judged::warning(Finding::ItemsInvalid { list, text })
                }
            });
            let problems = faults.collect();
            ExaminedBackend { name, transport, offer: Some(offer(inventory)), problems }
        }
        Err(error) => {
            let problem = Judged::error(Finding::Unreachable { text: error.explained() });
            ExaminedBackend { name, transport, offer: None, problems: vec![problem] }
        }
    }
}

/// The key of the items that a method lists.
fn key(method: Method) -> &'static str {
    match method {
        Method::PromptsList => List::Prompts.key(),
        Method::ResourcesList => List::Resources.key(),
        Method::TemplatesList => List::Templates.key(),
        _ => List::Tools.key(),
    }
}

fn offer(inventory: &Inventory) -> Offer {
    let features = &inventory.features;
    Offer {
        era: match features.revision.era() {
            Era::Modern => "modern",
            Era::Legacy => "legacy",
        },
        revision: features.revision.as_str(),
        server: features.server.clone(),
        tools: inventory.tools.len(),
        prompts: inventory.prompts.len(),
        resources: inventory.resources.len(),
        templates: inventory.templates.len(),
        instructions: features.instructions.is_some(),
    }
}

//! One endpoint: what its catalog shows, what it leaves out, and which of its rules do nothing.

use super::items::{Names, Uris};
use super::{ExaminedEndpoint, Finding, Judged, Settled};
use crate::catalog::{self, Catalog, Conflict, List, Stock};
use crate::decision;
use weir_config::{Conflicts, Endpoint};
use weir_policies::{Policies, PolicyProblem};

/// Looks at one endpoint over what its backends offer.
pub(super) fn examine(spec: &Endpoint, stocks: &[Stock]) -> ExaminedEndpoint {
    let mut findings = Vec::new();
    let built = catalog::build(spec, stocks, 0);
    let catalog = match built {
        Ok((catalog, conflicts)) => {
            findings.extend(conflicts.iter().map(|conflict| judge(conflict, &spec.conflicts)));
            Some(catalog)
        }
        Err(conflicts) => {
            findings.extend(conflicts.iter().map(|conflict| judge(conflict, &spec.conflicts)));
            // What else there is to say is said of the endpoint without what keeps it from being served.
            let lenient = Endpoint { conflicts: Conflicts::None, ..spec.clone() };
            catalog::build(&lenient, stocks, 0).ok().map(|(catalog, _)| catalog)
        }
    };
    let count = |list| catalog.as_ref().map_or(0, |catalog: &Catalog| catalog.shelf(list).entries.len());
    if let Some(catalog) = &catalog {
        for list in [List::Tools, List::Prompts] {
            Names { spec, stocks, catalog, list }.examine(&mut findings);
        }
        Uris { spec, stocks, catalog }.examine(&mut findings);
        policies(spec, stocks, catalog, &mut findings);
    }
    ExaminedEndpoint {
        name: spec.name.clone(),
        path: spec.path.clone(),
        tools: count(List::Tools),
        prompts: count(List::Prompts),
        resources: count(List::Resources),
        templates: count(List::Templates),
        findings,
    }
}

/// Policies in the light of the tools. Where a backend gave no answer, nobody knows which tools there are.
fn policies(spec: &Endpoint, stocks: &[Stock], catalog: &Catalog, findings: &mut Vec<Judged>) {
    let Some(policies) =
        spec.policies.as_ref().filter(|_| stocks.iter().all(|stock| stock.inventory.is_some()))
    else {
        return;
    };
    let found = |problem: PolicyProblem| {
        let PolicyProblem { id: policy, diagnostic } = problem;
        let file = diagnostic.file.display().to_string();
        let (line, column) = (diagnostic.line, diagnostic.column);
        Finding::Policy {
            policy,
            file,
            line,
            column,
            text: diagnostic.message,
            advice: diagnostic.suggestion,
        }
    };
    match Policies::new(policies, &spec.name, &[]) {
        Ok(policies) => {
            let odd = decision::teach(spec, &policies, catalog);
            findings.extend(odd.into_iter().map(|problem| Judged::warning(found(problem))));
        }
        Err(problems) => {
            findings.extend(problems.into_iter().map(|problem| Judged::error(found(problem))));
        }
    }
}

fn judge(conflict: &Conflict, strategy: &Conflicts) -> Judged {
    let Conflict { list, name, backends } = conflict.clone();
    let Some(first) = backends.first().cloned() else {
        return Judged::error(Finding::Pattern { text: name });
    };
    let found = |settled| Finding::Conflict { list, name, backends, settled };
    match strategy {
        Conflicts::Priority => Judged::note(found(Settled::First { backend: first })),
        Conflicts::Manual => Judged::error(found(Settled::Unresolved)),
        Conflicts::Prefix(_) | Conflicts::None => Judged::warning(found(Settled::Refused)),
    }
}

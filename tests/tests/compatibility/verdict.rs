//! What is to come of a client, a backend and a behaviour.

use crate::behaviours::Behaviour;
use crate::parties::Client;

/// What is to come of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It works.
    Works,
    /// It cannot work, for this reason, and who calls is told so.
    Told(&'static str),
}

const NO_ELICITATION: &str = "Elicitation came with 2025-06-18: a client of an older revision cannot declare it, so it is not asked. \
    The tool learns that it cannot ask, and the caller gets its error.";

const NO_URL: &str = "Elicitation at a URL came with 2025-11-25: a client of an older revision cannot declare it, so it is not \
    asked. The tool learns that it cannot ask, and the caller gets its error.";

/// What is to come of a behaviour with a client. It is the same before every server.
pub(crate) fn expected(client: &Client, behaviour: &Behaviour) -> Verdict {
    match behaviour.kind {
        Some(kind) if client.knows(kind) => Verdict::Works,
        Some(_) if !client.knows("form") => Verdict::Told(NO_ELICITATION),
        Some(_) => Verdict::Told(NO_URL),
        None => Verdict::Works,
    }
}

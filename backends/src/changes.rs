//! Reasons to fetch a backend's inventory again.

use tokio::sync::watch;
use weir_protocol::Method;

/// How often there was a reason to list again; a reader compares two of these.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Changes {
    /// Every reason, announced or not: a change may have been missed while no stream was open.
    pub reasons: u64,
    /// Announced changes of the tools.
    pub tools: u64,
    /// Announced changes of the prompts.
    pub prompts: u64,
    /// Announced changes of the resources or templates.
    pub resources: u64,
}

impl Changes {
    /// The reasons that were no announcement: something may have been missed.
    pub fn suspicions(&self) -> u64 {
        self.reasons.saturating_sub(self.tools + self.prompts + self.resources)
    }
}

/// Counts [`Changes`].
#[derive(Debug, Default)]
pub(crate) struct Announcer(watch::Sender<Changes>);

impl Announcer {
    /// A change may have been missed.
    pub(crate) fn suspect(&self) {
        self.0.send_modify(|changes| changes.reasons += 1);
    }

    /// The server announced a change by this notification.
    pub(crate) fn announce(&self, method: Method) {
        self.0.send_modify(|changes| {
            changes.reasons += 1;
            match method {
                Method::ToolsChanged => changes.tools += 1,
                Method::PromptsChanged => changes.prompts += 1,
                Method::ResourcesChanged => changes.resources += 1,
                _ => {}
            }
        });
    }

    /// A receiver that has seen everything until now.
    pub(crate) fn subscribe(&self) -> watch::Receiver<Changes> {
        self.0.subscribe()
    }
}

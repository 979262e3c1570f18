//! Finding out which era a server speaks, and keeping it.
//!
//! S: MCP 2026-07-28 `basic/versioning` and `basic/transports/streamable-http` "Backward Compatibility".

use super::{Shared, post};
use crate::error::is_era_evidence;
use crate::flight::{Flight, launch};
use crate::{BackendError, Features, Message, Transport, message};
use parking_lot::Mutex;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;
use weir_config::EraSetting;
use weir_protocol::{Era, Method, Revision, code};

/// A failed attempt answers the calls of so much time; only then do they make another.
const FAILURE: Duration = Duration::from_secs(1);
/// A server found to be legacy is asked again after so long: it may have been replaced by a modern one that serves both
/// eras, which nothing else would show.
const LEGACY: Duration = Duration::from_secs(300);

/// What is known of a server's era. Calls use what was found out last; only the inventory looks again.
#[derive(Debug)]
pub(crate) struct Verdict {
    setting: EraSetting,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    known: Option<Known>,
    detection: Option<Flight<Features>>,
    failed: Option<(Instant, BackendError)>,
}

#[derive(Debug)]
struct Known {
    features: Features,
    since: Instant,
    /// Something went wrong since.
    doubted: bool,
}

impl Verdict {
    /// Nothing is known yet.
    pub(crate) fn new(setting: EraSetting) -> Self {
        Self { setting, state: Mutex::default() }
    }

    /// The era, where it is known.
    pub(crate) fn era(&self) -> Option<Era> {
        self.state.lock().known.as_ref().map(|known| known.features.revision.era())
    }

    /// The transport, where it is known.
    pub(crate) fn transport(&self) -> Option<Transport> {
        self.state.lock().known.as_ref().map(|known| known.features.transport)
    }

    /// The era for a call, found out where it is not known. One attempt is made for all who wait.
    pub(crate) async fn find(&self, shared: &Arc<Shared>) -> Result<Era, BackendError> {
        let detection = {
            let mut state = self.state.lock();
            if let Some(known) = &state.known {
                return Ok(known.features.revision.era());
            }
            match &state.failed {
                Some((at, error)) if at.elapsed() < FAILURE => return Err(error.clone()),
                _ => state.detection(shared),
            }
        };
        detection.await.map(|features| features.revision.era())
    }

    /// What the server says of itself, asked again where there is doubt.
    pub(crate) async fn look(&self, shared: &Arc<Shared>) -> Result<Features, BackendError> {
        let (detection, known) = {
            let mut state = self.state.lock();
            let known = state.known.as_ref().filter(|known| !known.doubted && !self.is_old(known));
            let known = known.map(|known| known.features.clone());
            match known {
                Some(known) if !has_run_out(&known) => return Ok(known),
                known => (state.detection(shared), known),
            }
        };
        // What only ran out is still the best that is known where it cannot be had anew.
        match (detection.await, known) {
            (Err(_), Some(known)) => Ok(known),
            (found, _) => found,
        }
    }

    fn is_old(&self, known: &Known) -> bool {
        self.setting == EraSetting::Auto
            && known.features.revision.era() == Era::Legacy
            && known.since.elapsed() >= LEGACY
    }

    /// A request failed with `error`. Whatever answers at this address next may be another program of another era; calls
    /// keep to what is known unless the error speaks against it. Answers whether it does.
    pub(crate) fn doubt(&self, error: &BackendError) -> bool {
        let refuted = error.contradicts_era();
        if refuted {
            self.state.lock().known = None;
        } else {
            self.outdate();
        }
        refuted
    }

    /// The server says something else of itself than before; the next inventory asks it.
    pub(crate) fn outdate(&self) {
        if let Some(known) = &mut self.state.lock().known {
            known.doubted = true;
        }
    }

    fn settle(&self, found: &Result<Features, BackendError>) {
        let mut state = self.state.lock();
        state.detection = None;
        match found {
            Ok(features) => {
                state.failed = None;
                let features = features.clone();
                state.known = Some(Known { features, since: Instant::now(), doubted: false });
            }
            Err(error) => state.failed = Some((Instant::now(), error.clone())),
        }
    }
}

/// Whether a modern server said how long its `server/discover` holds, and that time is over.
fn has_run_out(features: &Features) -> bool {
    features.freshness.until.is_some_and(|until| until <= Instant::now())
}

impl State {
    /// The attempt under way, begun where there is none.
    fn detection(&mut self, shared: &Arc<Shared>) -> Flight<Features> {
        let begin = || {
            let own = shared.clone();
            launch(&shared.handle, async move {
                let found = detect(&own).await;
                own.verdict.settle(&found);
                found
            })
        };
        self.detection.get_or_insert_with(begin).clone()
    }
}

/// Opens the connection in the era that is configured, or in the newest that the server answers.
async fn detect(shared: &Arc<Shared>) -> Result<Features, BackendError> {
    let features = match shared.verdict.setting {
        EraSetting::Legacy => legacy(shared).await?,
        EraSetting::Modern => discover(shared).await?.ok_or_else(|| {
            BackendError::Protocol(
                "`era: modern` is configured, but server/discover was not answered so".to_owned(),
            )
        })?,
        EraSetting::Auto => match discover(shared).await? {
            Some(features) => features,
            None => legacy(shared).await?,
        },
    };
    let before = (shared.verdict.era(), shared.verdict.transport());
    if before != (Some(features.revision.era()), Some(features.transport)) {
        let (revision, transport) = (features.revision.as_str(), features.transport.as_str());
        tracing::info!(backend = shared.name, revision, transport, "connected");
        if before.1 == Some(Transport::Sse) && features.transport != Transport::Sse {
            // Its stream would stay open for nothing.
            shared.sessions.abandon_shared();
        }
    }
    Ok(features)
}

async fn legacy(shared: &Arc<Shared>) -> Result<Features, BackendError> {
    let session = shared.sessions.own(shared).await?;
    Ok(session.features.clone())
}

/// Asks the modern way. `None` means a legacy server; an error means that nothing was learnt: a refused credential, a
/// broken gateway or silence say nothing about the era.
async fn discover(shared: &Shared) -> Result<Option<Features>, BackendError> {
    let mut asked_again = false;
    loop {
        let answer = match ask(shared).await {
            Ok(answer) => answer,
            Err(BackendError::SessionLost | BackendError::Protocol(_)) => return Ok(None),
            Err(BackendError::Refused { status }) if is_era_evidence(status) => return Ok(None),
            Err(error) => return Err(error),
        };
        let error = answer.envelope.error.map(|span| span.of(&answer.body));
        let error = error.and_then(|error| serde_json::from_slice::<Refusal>(error).ok()).unwrap_or_default();
        match error.code {
            // It names the revision that it was asked in; a client is to choose one of these and ask again (2026-07-28
            // `basic/versioning`).
            Some(code::UNSUPPORTED_VERSION) if error.names_ours() && !asked_again => asked_again = true,
            Some(code::HEADER_MISMATCH | code::MISSING_CAPABILITY | code::UNSUPPORTED_VERSION) => {
                return Err(BackendError::Protocol(
                    "it speaks a modern revision, but none that weir does, or rejects weir's headers"
                        .to_owned(),
                ));
            }
            _ => return Ok(Features::of_discover(&answer)),
        }
    }
}

async fn ask(shared: &Shared) -> Result<Message, BackendError> {
    let id = shared.next_id();
    let body = message::request(id, Method::Discover.as_str(), "", Era::Modern);
    let limit = shared.timeouts.list;
    let asked = async { post::modern(shared, Method::Discover, None, id, body).await?.into_message().await };
    tokio::time::timeout(limit, asked)
        .await
        .unwrap_or(Err(BackendError::Timeout { what: "server/discover", after: limit }))
}

/// What is read of an error.
#[derive(Default, serde::Deserialize)]
#[serde(default)]
struct Refusal {
    code: Option<i32>,
    data: Option<serde_json::Value>,
}

impl Refusal {
    /// Whether the revision that weir speaks is among those that the server says it supports.
    fn names_ours(&self) -> bool {
        let supported = self.data.as_ref().and_then(|data| data.get("supported")?.as_array());
        supported.is_some_and(|all| all.iter().any(|one| one == Revision::LATEST.as_str()))
    }
}

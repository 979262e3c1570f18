//! Finding out which era a server speaks.
//!
//! S: MCP 2026-07-28 `basic/versioning` and `basic/transports/streamable-http` "Backward Compatibility".

use super::{Shared, post, session};
use crate::{BackendError, Features, message};
use weir_config::EraSetting;
use weir_protocol::{Era, Method, code};

/// Opens the connection in the era that `setting` pins, or in the newest that the server answers.
pub(crate) async fn detect(shared: &Shared, setting: EraSetting) -> Result<Features, BackendError> {
    let features = match setting {
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
    tracing::info!(
        backend = shared.name,
        revision = features.revision.as_str(),
        "connected"
    );
    Ok(features)
}

async fn legacy(shared: &Shared) -> Result<Features, BackendError> {
    let session = session::open(shared).await?;
    let features = session.features.clone();
    shared.sessions.adopt(session);
    Ok(features)
}

/// Asks the modern way. `None` means a legacy server; an error means that nothing was learnt: a refused credential, a
/// broken gateway or silence say nothing about the era.
async fn discover(shared: &Shared) -> Result<Option<Features>, BackendError> {
    let id = shared.next_id();
    let body = message::request(id, Method::Discover.as_str(), "", Era::Modern);
    let limit = shared.timeouts.list;
    let asked = async {
        post::modern(shared, Method::Discover, None, id, body)
            .await?
            .into_message()
            .await
    };
    let answer = tokio::time::timeout(limit, asked)
        .await
        .unwrap_or(Err(BackendError::Timeout {
            what: "server/discover",
            after: limit,
        }));
    match answer {
        Ok(answer) => {
            let error: Option<i32> = answer
                .envelope
                .error
                .and_then(|span| serde_json::from_slice::<serde_json::Value>(span.of(&answer.body)).ok())
                .and_then(|error| i32::try_from(error.get("code")?.as_i64()?).ok());
            match error {
                Some(code::HEADER_MISMATCH | code::MISSING_CAPABILITY | code::UNSUPPORTED_VERSION) => {
                    Err(BackendError::Protocol(
                        "it speaks a modern revision, but none that weir does, or rejects weir's headers"
                            .to_owned(),
                    ))
                }
                _ => Ok(Features::of_discover(&answer)),
            }
        }
        Err(BackendError::SessionLost | BackendError::Protocol(_)) => Ok(None),
        Err(BackendError::Refused { status })
            if (400..500).contains(&status) && !matches!(status, 401 | 403 | 429) =>
        {
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

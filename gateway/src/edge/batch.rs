//! Batches of the revision 2025-03-26: an array of messages is taken apart, its messages run side by side, and their answers
//! are put together.
//!
//! S: MCP 2025-03-26 `basic/transports` "Sending Messages to the Server"; JSON-RPC 2.0 section 6.

use super::{Post, legacy};
use crate::client::{Client, Gone, Letter, Letters, Outbox};
use crate::endpoint::Endpoint;
use crate::gateway::Core;
use crate::pulse;
use crate::rescue::{self, Fault};
use crate::session::Visit;
use crate::snapshot::Snapshot;
use crate::stay::{self, Stay};
use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;
use weir_policies::Principal;
use weir_protocol::{Kind, Method, Revision, batch, code, json};

/// A batch whose messages were read.
pub(crate) struct Batch {
    core: Arc<Core>,
    snapshot: Arc<Snapshot>,
    posts: Vec<Post>,
    /// Answers to what cannot be done.
    refused: Vec<Bytes>,
    /// Keeps the session while the batch is answered.
    _visit: Visit,
}

impl Batch {
    /// Reads a batch that came from `principal` in a session of `endpoint`, which is one of `snapshot`. What is wrong with
    /// one message is its own affair; the others are answered.
    pub(crate) fn read(
        core: &Arc<Core>,
        snapshot: Arc<Snapshot>,
        endpoint: &Arc<Endpoint>,
        principal: &Arc<Principal>,
        visit: Visit,
        body: &Bytes,
    ) -> Result<Self, Fault> {
        let session = &visit.session;
        if session.revision() != Some(Revision::V2025_03_26) {
            let message = "batches belong to the revision 2025-03-26 alone, send one message at a time";
            return Err(Fault::new(400, code::INVALID_REQUEST, message));
        }
        let spans = batch::split(body, snapshot.config.limits.batch)?;
        let (mut posts, mut refused) = (Vec::with_capacity(spans.len()), Vec::new());
        for span in spans {
            let element = body.slice(span.start()..span.end());
            let (endpoint, principal) = (endpoint.clone(), principal.clone());
            match Post::read(core, snapshot.clone(), endpoint, principal, Some(session.clone()), element) {
                Ok(post) => posts.push(post),
                Err(fault) => refused.push(fault.body(None)),
            }
        }
        let mut ids: HashMap<Id, usize> = HashMap::new();
        for id in posts.iter().filter_map(Id::of) {
            *ids.entry(id).or_default() += 1;
        }
        posts.retain(|post| {
            let Some(message) = objection(post, &ids) else {
                return true;
            };
            let fault = Fault::new(400, code::INVALID_REQUEST, message);
            refused.push(fault.body(Some(&post.id())));
            false
        });
        Ok(Self { core: core.clone(), snapshot, posts, refused, _visit: visit })
    }

    /// Answers all messages at once, as an array; a batch that asks nothing has no answer.
    pub(crate) async fn answer(self, client: &mut Client<'_>) -> Result<(), Gone> {
        let Self { core, snapshot, posts, refused, _visit } = self;
        let (outbox, letters) = Outbox::new(client.takes_notices());
        let running: FuturesUnordered<_> =
            posts.iter().map(|post| element(&core, post, Client::Outbox(outbox.clone()))).collect();
        let keep_alive = snapshot.config.timeouts.keep_alive;
        // All of them came from one principal.
        let stay = |client: &Client<'_>| posts.first().map(|post| post.stay(client));
        let answers = collect(client, running, letters, refused, keep_alive, stay).await?;
        if answers.is_empty() {
            return client.close().await;
        }
        client.answer(200, &array(answers)).await
    }

    /// Says where it comes from.
    pub(super) fn come_from(&mut self, address: Option<IpAddr>) {
        self.posts.iter_mut().for_each(|post| post.address = address);
    }

    /// Whether anything in it has an answer.
    pub(crate) fn asks(&self) -> bool {
        !self.refused.is_empty() || self.posts.iter().any(|post| post.envelope.kind == Kind::Request)
    }

    /// Refuses what it asks; what asks nothing is heard all the same.
    pub(crate) async fn refuse(self, client: &mut Client<'_>, fault: &Fault) -> Result<(), Gone> {
        let Self { posts, refused: mut answers, _visit, .. } = self;
        for post in &posts {
            if post.envelope.kind == Kind::Request {
                answers.push(fault.body(Some(&post.id())));
            } else {
                legacy::post(post, &mut Client::Away(None)).await?;
            }
        }
        client.refuse(fault.status, array(answers).concat().into()).await
    }
}

/// Adds what the messages answer to `answers` until all of them are done; notices go on to the client at once.
async fn collect(
    client: &mut Client<'_>,
    mut running: FuturesUnordered<impl Future>,
    mut letters: Letters,
    mut answers: Vec<Bytes>,
    keep_alive: Duration,
    stay: impl Fn(&Client<'_>) -> Option<Stay>,
) -> Result<Vec<Bytes>, Gone> {
    let pulse = pulse::here();
    let mut silence = Duration::ZERO;
    // Of batches that last, and are answered by a stream.
    let mut staying = None;
    let mut streaming = None;
    while !running.is_empty() {
        let told = tokio::select! {
            biased;
            // First, so that calls which never stop talking are not waited for.
            () = stay::over(staying.as_mut()) => Err(Gone),
            Some(letter) = letters.next() => {
                sort(client, &mut answers, letter);
                while let Some(letter) = letters.try_next() {
                    sort(client, &mut answers, letter);
                }
                silence = Duration::ZERO;
                let flushed = client.flush().await;
                // Where a client is told more than it reads, no beat is ever heard.
                if staying.is_none()
                    && client.is_streaming()
                    && streaming.get_or_insert_with(Instant::now).elapsed() >= pulse::PERIOD
                {
                    staying = stay(client);
                }
                flushed
            }
            _ = running.next() => Ok(()),
            () = client.gone() => Err(Gone),
            () = pulse.notified() => {
                if staying.is_none() && client.is_streaming() {
                    staying = stay(client);
                }
                silence += pulse::PERIOD;
                if silence < keep_alive {
                    continue;
                }
                silence = Duration::ZERO;
                client.keep_alive().await
            }
        };
        if let Err(Gone) = told {
            // Each call finds that nobody waits any more, and does what its era wants.
            drop(letters);
            while running.next().await.is_some() {}
            return Err(Gone);
        }
    }
    while let Some(letter) = letters.try_next() {
        sort(client, &mut answers, letter);
    }
    Ok(answers)
}

/// Answers as one array, in parts.
fn array(answers: Vec<Bytes>) -> Vec<Bytes> {
    let mut parts = Vec::with_capacity(2 * answers.len() + 1);
    for answer in answers {
        parts.push(Bytes::from_static(if parts.is_empty() { b"[" } else { b"," }));
        parts.push(answer);
    }
    parts.push(Bytes::from_static(b"]"));
    parts
}

/// Puts a message where it belongs: among the answers, or on its way as a notice.
fn sort(client: &mut Client<'_>, answers: &mut Vec<Bytes>, letter: Letter) {
    if letter.answers {
        answers.push(letter.message);
    } else {
        client.push(&letter.message);
    }
}

/// Answers one message. Each request takes a place among the requests under way, as if it had come alone.
async fn element(core: &Arc<Core>, post: &Post, mut client: Client<'_>) -> Result<(), Gone> {
    let limit = post.snapshot.config.limits.requests;
    let admitted = core.drain.admit(limit);
    if post.envelope.kind == Kind::Request && admitted.is_none() {
        let fault = rescue::overloaded("requests", limit);
        return post.fault(&mut client, &fault).await;
    }
    legacy::post(post, &mut client).await
}

/// Why a request may not be part of a batch.
fn objection(post: &Post, ids: &HashMap<Id, usize>) -> Option<&'static str> {
    let id = Id::of(post)?;
    if ids.get(&id).is_some_and(|count| *count > 1) {
        // Answers could not be told apart, so nothing runs that may be thought to have run once.
        return Some("another request of this batch has the same id");
    }
    if post.envelope.method(&post.body) == Method::Initialize {
        return Some("`initialize` must not be part of a batch");
    }
    post.names_modern().then_some("a request of this revision stands alone, it is no part of a batch")
}

/// The id of a request, whichever way it is written.
#[derive(PartialEq, Eq, Hash)]
enum Id {
    Text(String),
    Number(Bytes),
}

impl Id {
    fn of(post: &Post) -> Option<Self> {
        if post.envelope.kind != Kind::Request {
            return None;
        }
        let raw = post.id();
        Some(json::as_str(&raw).map_or(Self::Number(raw.clone()), |text| Self::Text(text.into_owned())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::poll;
    use std::pin::pin;
    use tokio::sync::Notify;

    #[tokio::test]
    async fn calls_go_on_where_the_client_cannot_be_written_to() {
        let (to_client, written) = Outbox::new(true);
        let mut client = Client::Outbox(to_client);
        let (outbox, letters) = Outbox::new(true);
        let mut call = Client::Outbox(outbox);
        let (released, ended) = (Notify::new(), Notify::new());
        let running: FuturesUnordered<_> = std::iter::once(async {
            released.notified().await;
            ended.notify_one();
        })
        .collect();
        let mut collecting =
            pin!(collect(&mut client, running, letters, Vec::new(), Duration::from_secs(3600), |_| None));
        assert!(poll!(&mut collecting).is_pending());
        call.push(b"{}");
        call.flush().await.unwrap();
        drop(written);
        assert!(poll!(&mut collecting).is_pending(), "the call is not dropped");
        assert!(call.answer(200, &["{}".into()]).await.is_err(), "it finds that nobody waits any more");
        released.notify_one();
        assert!(collecting.await.is_err());
        ended.notified().await;
    }
}

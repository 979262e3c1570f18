//! What a GET opens: the standing stream of a session, or the rest of a stream that broke off.
//!
//! S: MCP 2025-11-25 `basic/transports` "Listening for Messages from the Server", "Resumability and Redelivery".

use super::{refuse, visit};
use crate::client::{Client, Gone, Http};
use crate::drain::{Phase, reached};
use crate::endpoint::Endpoint;
use crate::gateway::Core;
use crate::hub::{Hub, Outlook, Subscription, Topic, Viewer};
use crate::replay::{Following, Place, Replay};
use crate::rescue::Fault;
use crate::session::Session;
use crate::snapshot::Snapshot;
use crate::stay::{Bond, Stay};
use crate::stream::Stream;
use futures_util::FutureExt;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;
use weir_backends::Update;
use weir_policies::Principal;
use weir_protocol::{Revision, code, headers};

/// Answers a GET.
pub(crate) async fn get(
    core: &Arc<Core>,
    snapshot: Arc<Snapshot>,
    endpoint: Arc<Endpoint>,
    principal: &Arc<Principal>,
    mut http: Http<'_>,
) -> Result<(), Gone> {
    if !http.read_accepts().stream {
        let fault =
            Fault::new(406, code::INVALID_REQUEST, "a GET is answered by a `text/event-stream`; accept it");
        return refuse(http, &fault).await;
    }
    let visit = match visit(core, &endpoint, principal, http.headers()) {
        Ok(visit) => visit,
        Err(fault) => return refuse(http, &fault).await,
    };
    let session = &visit.session;
    let (hub, keep_alive) = (endpoint.hub.clone(), snapshot.config.timeouts.keep_alive);
    let stay = Stay::new(core, &endpoint, principal, http.peer(), Bond::Session(session.clone()));
    // A stream outlives reloads; nothing of what they replace may wait for it.
    drop((snapshot, endpoint));
    let place = http.header(headers::LAST_EVENT_ID).map(|id| session.replays.find(id));
    let standing = Standing { core, hub: &hub, keep_alive, session };
    match place {
        None => standing.open(http, stay, false).await,
        Some(Place::Forgotten) => standing.open(http, stay, true).await,
        Some(Place::Standing(replay, event)) => standing.read(http, stay, &replay, event, false).await,
        Some(Place::Answer(replay, event)) => take_up(core, keep_alive, http, stay, &replay, event).await,
        Some(Place::Nowhere) => refuse(http, &forgotten()).await,
    }
}

fn forgotten() -> Fault {
    let message = "what follows this `Last-Event-ID` is not remembered any more; send the request again";
    Fault::new(400, code::SERVER_ERROR, message)
}

/// A session's standing stream. One task writes it, whoever reads it: so nothing is lost, and nothing comes twice, where one
/// connection follows another.
struct Standing<'a> {
    core: &'a Arc<Core>,
    hub: &'a Hub,
    keep_alive: Duration,
    session: &'a Arc<Session>,
}

impl Standing<'_> {
    /// Opens the stream where it is now. A client that `missed` something hears what that may have been.
    async fn open(&self, http: Http<'_>, stay: Stay, missed: bool) -> Result<(), Gone> {
        let Some((replay, is_new)) = self.session.replays.standing() else {
            return self.write(http, stay).await;
        };
        if is_new {
            self.record(&replay);
        }
        let last = replay.last();
        self.read(http, stay, &replay, last, missed).await
    }

    fn subscribe(&self) -> Subscription {
        let outlook = Outlook::now(self.core, self.session.endpoint, Viewer::Session(self.session.clone()));
        self.hub.subscribe(Some(outlook))
    }

    fn stream(&self) -> Stream {
        Stream {
            topics: Topic::ALL.to_vec(),
            inbox: self.session.inbox.clone(),
            subscription: None,
            keep_alive: self.keep_alive,
            ended: Some(self.session.take_stream()),
        }
    }

    /// Writes the stream straight to the client, where nothing may be remembered.
    async fn write(&self, http: Http<'_>, mut stay: Stay) -> Result<(), Gone> {
        let mut subscription = self.subscribe();
        let stream = self.stream();
        let mut client = Client::Http(http);
        client.begin().await?;
        stream.run(&mut client, &mut subscription, &self.core.drain, Some(&mut stay)).await
    }

    /// Begins to write the stream, until its session or endpoint ends or nobody has read it for long.
    fn record(&self, replay: &Arc<Replay>) {
        let mut subscription = self.subscribe();
        let reader = self.session.inbox.read();
        let (stream, time) = (self.stream(), self.session.replays.time());
        let (core, replay) = (self.core.clone(), replay.clone());
        tokio::spawn(async move {
            let mut away = Client::Away(Some(replay.clone()));
            let mut run = Box::pin(stream.run(&mut away, &mut subscription, &core.drain, None));
            loop {
                tokio::select! {
                    _ = &mut run => break,
                    () = tokio::time::sleep(time) => if replay.is_abandoned(time) {
                        break;
                    },
                }
            }
            replay.end();
            drop(reader);
        });
    }

    /// Reads the stream from behind the event `last` on.
    async fn read(
        &self,
        http: Http<'_>,
        mut stay: Stay,
        replay: &Replay,
        mut last: u64,
        missed: bool,
    ) -> Result<(), Gone> {
        let reading = Reading { replay, reader: replay.take_up() };
        let mut client = Client::Http(http);
        client.begin().await?;
        if self.session.revision() >= Some(Revision::V2025_11_25) {
            client.prime(&replay.id(last));
        }
        if missed {
            self.tell_all(&mut client);
        }
        client.flush().await?;
        loop {
            let following = tokio::select! {
                biased;
                () = reading.reader.notified() => return client.close().await,
                () = stay.over() => return client.close().await,
                following = replay.following(last) => following,
                () = client.gone() => return Err(Gone),
                () = tokio::time::sleep(self.keep_alive) => {
                    client.keep_alive().await?;
                    continue;
                }
            };
            match following {
                Following::Messages(first, messages) => {
                    client.repeat(replay, first, &messages);
                    last = first + messages.len() as u64 - 1;
                }
                Following::Lost => {
                    last = replay.last();
                    self.tell_all(&mut client);
                }
                Following::End => return client.close().await,
            }
            client.flush().await?;
        }
    }

    /// Nobody knows what was missed: it may have been a change of anything that the client has to do with.
    fn tell_all(&self, client: &mut Client<'_>) {
        for topic in Topic::ALL {
            client.push(Stream::plain(topic).as_bytes());
        }
        for update in self.session.watches.uris().iter().filter_map(|uri| Update::missed(uri).ok()) {
            client.push(&update.message.body);
        }
    }
}

/// A connection that reads a stream as long as this lives.
struct Reading<'a> {
    replay: &'a Replay,
    reader: Arc<Notify>,
}

impl Drop for Reading<'_> {
    fn drop(&mut self) {
        self.replay.leave(&self.reader);
    }
}

/// Continues the stream that answers a request, behind the event `last`, until the answer has been sent.
async fn take_up(
    core: &Arc<Core>,
    keep_alive: Duration,
    http: Http<'_>,
    mut stay: Stay,
    replay: &Replay,
    mut last: u64,
) -> Result<(), Gone> {
    if let Some(Following::Lost) = replay.following(last).now_or_never() {
        return refuse(http, &forgotten()).await;
    }
    let ousted = replay.take_up();
    let mut phase = core.drain.watch();
    let mut client = Client::Http(http);
    client.begin().await?;
    loop {
        let following = tokio::select! {
            biased;
            () = stay.over() => return client.close().await,
            following = replay.following(last) => following,
            () = ousted.notified() => return client.close().await,
            () = client.gone() => return Err(Gone),
            () = reached(&mut phase, Phase::Ending) => return client.close().await,
            () = tokio::time::sleep(keep_alive) => {
                client.keep_alive().await?;
                continue;
            }
        };
        let Following::Messages(first, messages) = following else {
            return client.close().await;
        };
        client.repeat(replay, first, &messages);
        client.flush().await?;
        last = first + messages.len() as u64 - 1;
    }
}

//! Streams of changes.

use super::server::live_stream;
use super::*;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use weir_policies::{Action, Context, Item, ItemKind, Policies, Principal};

/// The streams of a server; dropping one ends it.
type Streams = Arc<Mutex<Vec<UnboundedSender<String>>>>;

/// Opens another stream.
fn open(streams: &Streams) -> Answer {
    let (sender, feed) = unbounded_channel();
    streams.lock().push(sender);
    live_stream(feed)
}

fn say(streams: &Streams, number: usize, message: &str) {
    streams.lock()[number].send(format!("data: {message}\n\n")).unwrap();
}

const PING: &str = r#"{"jsonrpc":"2.0","id":"p","method":"ping"}"#;
const CHANGED: &str = r#"{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}"#;

#[tokio::test]
async fn a_request_on_a_legacy_stream_is_answered_in_its_session() {
    let (sessions, streams) = (AtomicU64::new(0), Streams::default());
    let own = streams.clone();
    let server = Server::start(move |request| match request.verb() {
        "GET" => open(&own),
        _ => legacy(request, &sessions),
    })
    .await;
    let backend = backend(&server, |_| {});
    backend.inventory().await.unwrap();
    server.until("GET", 1).await;
    say(&streams, 0, PING);
    server.until("", 2).await;
    let answer = server.requests().into_iter().find(|request| request.is("") && request.verb() == "POST");
    let answer = answer.unwrap();
    assert_eq!((answer.id(), answer.header("mcp-session-id")), ("\"p\"", Some("s1")));
    assert_eq!(server.count("initialize"), 1);
}

#[tokio::test]
async fn a_request_on_a_modern_stream_opens_no_session() {
    let streams = Streams::default();
    let own = streams.clone();
    let server = Server::start(move |request| match request.method() {
        "subscriptions/listen" => open(&own),
        _ => modern(request),
    })
    .await;
    let backend = backend(&server, |_| {});
    backend.inventory().await.unwrap();
    let mut changes = backend.changes();
    server.until("subscriptions/listen", 1).await;
    say(&streams, 0, PING);
    say(&streams, 0, CHANGED);
    changes.wait_for(|changes| changes.tools == 1).await.unwrap();
    assert_eq!(server.count("initialize"), 0);
}

#[tokio::test]
async fn a_stream_is_heard_until_another_takes_its_place() {
    for ends in [false, true] {
        let (streams, gate) = (Streams::default(), Arc::new(Semaphore::new(1)));
        let (own, passes) = (streams.clone(), gate.clone());
        let server = Server::start(move |request| match request.method() {
            "server/discover" => {
                let capabilities = r#"{"tools":{},"resources":{"subscribe":true}}"#;
                let features =
                    format!(r#"{{"supportedVersions":["2026-07-28"],"capabilities":{capabilities}}}"#);
                result(request, &features)
            }
            "subscriptions/listen" => open(&own).held(&passes),
            _ => modern(request),
        })
        .await;
        let backend = backend(&server, |_| {});
        backend.inventory().await.unwrap();
        let mut changes = backend.changes();
        server.until("subscriptions/listen", 1).await;
        say(&streams, 0, CHANGED);
        changes.wait_for(|changes| changes.tools == 1).await.unwrap();
        let principal = Arc::new(Principal::anonymous());
        let item = Item::of(ItemKind::Resource, "a", "a", "b");
        let now = Context::now(Era::Modern);
        let permit =
            Policies::anonymous().permit_again(&principal, Action::SubscribeResource, &item, &now).unwrap();
        let (held, ()) =
            tokio::join!(backend.subscribe(permit, crate::Subject::Resource("a".into())), async {
                server.until("subscriptions/listen", 2).await;
                say(&streams, 0, CHANGED);
                changes.wait_for(|changes| changes.tools == 2).await.unwrap();
                if ends {
                    // A sender in its place that nobody listens to.
                    streams.lock()[0] = unbounded_channel().0;
                }
                let accepted = r#"{"notifications":{"resourceSubscriptions":["a"]}}"#;
                let method = "notifications/subscriptions/acknowledged";
                say(&streams, 1, &format!(r#"{{"jsonrpc":"2.0","method":"{method}","params":{accepted}}}"#));
                gate.add_permits(1);
            });
        held.unwrap();
        let asked = server.requests().into_iter().filter(|request| request.verb() == "POST");
        assert_eq!(asked.filter(|request| request.is("subscriptions/listen")).count(), 2, "ends: {ends}");
    }
}

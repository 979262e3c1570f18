use super::*;
use bytes::Bytes;
use futures_util::FutureExt;

const LIMIT: Duration = Duration::from_secs(10);

/// A legacy server that writes down what it is asked. It refuses what is called `no`, does not answer `mute`, breaks the
/// connection of `gone` each time and of `once` the first time, and has lost the session of `lost`.
#[derive(Default)]
struct Asked(Mutex<Vec<String>>);

impl Asked {
    fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock())
    }
}

impl Requester for Asked {
    async fn request(&self, method: Method, members: String) -> Result<Message, BackendError> {
        let answer = match members.contains("\"no\"") {
            true => r#""error":{"code":-32602,"message":"no"}"#,
            false => r#""result":{}"#,
        };
        let asked = format!("{} {members}", method.as_str());
        let again = self.0.lock().contains(&asked);
        self.0.lock().push(asked);
        match members.split('"').nth(3) {
            Some(uri) if uri.starts_with("mute") => std::future::pending().await,
            Some("lost") => return Err(BackendError::SessionLost),
            Some("gone") => return Err(BackendError::gone("broken")),
            Some("once") if !again => return Err(BackendError::unreachable("broken")),
            _ => {}
        }
        Message::parse(Bytes::from(format!(r#"{{"jsonrpc":"2.0","id":1,{answer}}}"#)))
    }
}

fn uri(text: &str) -> Subject {
    Subject::Resource(text.into())
}

/// Subscribes while a session is kept, and lets the session run on until it has nothing to do.
async fn subscribed(
    subscriptions: &Arc<Subscriptions>,
    session: &mut (impl Future<Output = BackendError> + Unpin),
    text: &str,
) -> Result<Subscribed, BackendError> {
    tokio::select! {
        biased;
        error = session => Err(error),
        held = subscriptions.subscribe(uri(text), LIMIT) => held,
    }
}

#[tokio::test(start_paused = true)]
async fn however_many_subscribe_the_server_is_asked_once() {
    let (subscriptions, server) = (Arc::new(Subscriptions::new(2)), Asked::default());
    let mut session = Box::pin(subscriptions.keep(&server));
    let first = subscribed(&subscriptions, &mut session, "a").await.unwrap();
    let second = subscribed(&subscriptions, &mut session, "a").await.unwrap();
    assert_eq!(server.take(), [r#"resources/subscribe "uri":"a""#]);
    drop(first);
    assert!((&mut session).now_or_never().is_none());
    assert!(server.take().is_empty());
    drop(second);
    let back = subscribed(&subscriptions, &mut session, "a").await.unwrap();
    assert!(server.take().is_empty(), "it came back soon");
    drop(back);
    assert!(tokio::time::timeout(2 * LINGER, &mut session).await.is_err());
    assert_eq!(server.take(), [r#"resources/unsubscribe "uri":"a""#]);
}

#[tokio::test]
async fn what_is_refused_or_too_much_is_not_kept() {
    let (subscriptions, server) = (Arc::new(Subscriptions::new(1)), Asked::default());
    let mut session = Box::pin(subscriptions.keep(&server));
    let refused = subscribed(&subscriptions, &mut session, "no").await.unwrap_err();
    assert!(matches!(refused, BackendError::Answered { code: -32602, .. }));
    assert!(subscriptions.entries.lock().is_empty());
    let _held = subscribed(&subscriptions, &mut session, "a").await.unwrap();
    let full = subscribed(&subscriptions, &mut session, "b").await.unwrap_err();
    assert!(matches!(full, BackendError::Busy { limit: 1, .. }));
    server.take();
    subscriptions.refuse_all(&BackendError::Stopping);
    assert!(subscriptions.wanted().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_server_that_is_not_there_is_not_waited_for_without_end() {
    let subscriptions = Arc::new(Subscriptions::new(1));
    let late = subscriptions.subscribe(uri("a"), LIMIT).await.unwrap_err();
    assert!(matches!(late, BackendError::Timeout { .. }));
    assert!(subscriptions.entries.lock().is_empty());
}

#[tokio::test]
async fn a_new_session_is_asked_again_and_the_gap_is_announced() {
    let (subscriptions, server) = (Arc::new(Subscriptions::new(9)), Asked::default());
    let mut notices = subscriptions.notices();
    let mut session = Box::pin(subscriptions.keep(&server));
    let _held = subscribed(&subscriptions, &mut session, "a\"b").await.unwrap();
    drop(session);
    assert!(notices.try_recv().is_err(), "nothing was missed yet");
    server.take();
    let mut again = Box::pin(subscriptions.keep(&server));
    assert!((&mut again).now_or_never().is_none());
    assert_eq!(server.take(), [r#"resources/subscribe "uri":"a\"b""#]);
    let Ok(Notice::Updated(update)) = notices.try_recv() else { panic!("no update") };
    assert_eq!(&*update.uri, "a\"b");
    assert_eq!(
        update.message.body,
        r#"{"jsonrpc":"2.0","method":"notifications/resources/updated","params":{"uri":"a\"b"}}"#
    );
}

#[tokio::test]
async fn an_acknowledgement_says_what_was_accepted() {
    let subscriptions = Arc::new(Subscriptions::new(9));
    let asked: Subjects = ["a", "b"].into_iter().map(uri).collect();
    assert_eq!(
        Subscriptions::listen_members(&asked),
        r#""notifications":{"toolsListChanged":true,"promptsListChanged":true,"resourcesListChanged":true,"resourceSubscriptions":["a","b"]}"#
    );
    let acknowledgement = |filter: &str| {
        let body = format!(
            r#"{{"jsonrpc":"2.0","method":"notifications/subscriptions/acknowledged","params":{{"notifications":{filter}}}}}"#
        );
        Message::parse(Bytes::from(body)).unwrap()
    };
    let some = acknowledgement(r#"{"resourceSubscriptions":["b","c"]}"#);
    let (a, b) = (subscriptions.subscribe(uri("a"), LIMIT), subscriptions.subscribe(uri("b"), LIMIT));
    let (a, b, accepted) = tokio::join!(a, b, async { subscriptions.acknowledged(&asked, &some) });
    assert!(matches!(a, Err(BackendError::Unsupported(_))) && b.is_ok());
    assert_eq!(accepted.into_iter().collect::<Vec<_>>(), [uri("b")]);
    for none in [r#"{"toolsListChanged":true}"#, r#"{"resourceSubscriptions":7}"#] {
        assert!(subscriptions.acknowledged(&asked, &acknowledgement(none)).is_empty(), "{none}");
    }
}

#[tokio::test]
async fn what_is_wished_for_during_a_failure_is_not_taken_for_agreed() {
    let subscriptions = Arc::new(Subscriptions::new(9));
    let (_old, _new) = (subscriptions.hold(uri("old")).unwrap(), subscriptions.hold(uri("new")).unwrap());
    let mut accepted = Subjects::from([uri("old"), uri("left")]);
    let mut wishes = subscriptions.wishes();
    let wanted = subscriptions.wanted();
    let _late = subscriptions.hold(uri("late")).unwrap();
    subscriptions.failed(&wanted, &mut accepted, &BackendError::SessionLost);
    assert_eq!(accepted, Subjects::from([uri("old")]), "nobody wants the other any more");
    let next = subscriptions.next_wanted(&mut wishes, &accepted).await;
    assert_eq!(next, Subjects::from([uri("late"), uri("old")]));
    let standing = |text| subscriptions.entries.lock().get(&uri(text)).unwrap().standing.clone();
    assert_eq!(standing("late"), Standing::Asked);
    assert_eq!(standing("new"), Standing::Refused(BackendError::SessionLost));
}

#[tokio::test]
async fn a_broken_or_silent_answer_for_one_resource_costs_the_others_nothing() {
    let (subscriptions, server) = (Arc::new(Subscriptions::new(9)), Asked::default());
    let _mute = subscriptions.hold(uri("mute")).unwrap();
    let mut session = Box::pin(subscriptions.keep(&server));
    let _first = subscribed(&subscriptions, &mut session, "a").await.unwrap();
    let gone = subscribed(&subscriptions, &mut session, "gone").await.unwrap_err();
    assert_eq!(gone, BackendError::gone("broken"));
    let _again = subscribed(&subscriptions, &mut session, "once").await.unwrap();
    let asked = server.take();
    let times = |text: &str| asked.iter().filter(|asked| asked.contains(text)).count();
    assert_eq!((asked.len(), times("mute"), times("gone"), times("once")), (6, 1, 2, 2));
    let back = subscribed(&subscriptions, &mut session, "a").await.unwrap();
    assert!(server.take().is_empty(), "it is agreed on already");
    drop(back);
    let lost = subscribed(&subscriptions, &mut session, "lost").await.unwrap_err();
    assert_eq!(lost, BackendError::SessionLost, "this ends the session");
}

#[tokio::test]
async fn not_more_than_so_many_are_asked_for_at_once() {
    let (subscriptions, server) = (Arc::new(Subscriptions::new(99)), Asked::default());
    let mut session = Box::pin(subscriptions.keep(&server));
    let held: Vec<_> =
        (0..3 * AT_ONCE).map(|n| subscriptions.hold(uri(&format!("mute{n}"))).unwrap()).collect();
    assert!((&mut session).now_or_never().is_none());
    assert_eq!((server.take().len(), held.len()), (AT_ONCE, 3 * AT_ONCE));
}

use super::*;

fn alice() -> Arc<Principal> {
    Arc::new(Principal::of("https://issuer", "alice"))
}

#[tokio::test(start_paused = true)]
async fn sessions_are_bounded_and_end_when_idle() {
    let (sessions, alice) = (Sessions::new(Arc::default()), alice());
    let first = sessions.open(0, &alice, None, 2).unwrap().unwrap();
    let second = sessions.open(1, &alice, None, 2).unwrap().unwrap();
    assert!(sessions.open(0, &alice, None, 2).unwrap().is_none());
    let id = first.session.id();
    assert!(sessions.visit(0, &alice, &id).is_some());
    assert!(sessions.visit(1, &alice, &id).is_none(), "a session belongs to its endpoint");
    for id in ["nonsense", "", &"+".repeat(32), &"é".repeat(16)] {
        assert!(sessions.visit(0, &alice, id).is_none(), "{id}");
    }
    drop(second);
    tokio::time::advance(Duration::from_secs(11)).await;
    let ended = sessions.sweep(Duration::from_secs(10));
    assert_eq!(ended.len(), 1, "the first is still in use");
    assert_eq!(ended[0].endpoint, 1);
    assert!(sessions.end(first.session.number).is_some());
    assert!(sessions.visit(0, &alice, &id).is_none());
    assert!(sessions.open(0, &alice, None, 2).unwrap().is_some());
}

#[tokio::test]
async fn sessions_end_with_their_endpoint_and_so_do_their_streams() {
    let (sessions, alice) = (Sessions::new(Arc::default()), alice());
    let open = |endpoint| sessions.open(endpoint, &alice, None, 2).unwrap();
    let (stays, goes) = (open(0).unwrap(), open(1).unwrap());
    let stream = goes.session.take_stream();
    let ended = sessions.end_unless(|session| session.endpoint == 0);
    assert_eq!(ended.iter().map(|session| session.number).collect::<Vec<_>>(), [goes.session.number]);
    stream.notified().await;
    assert!(sessions.visit(1, &alice, &goes.session.id()).is_none());
    assert!(sessions.visit(0, &alice, &stays.session.id()).is_some());
    assert!(open(0).is_some(), "its place is free again");
}

#[test]
fn cancellation_reaches_the_call_of_that_id_only() {
    let (sessions, alice) = (Sessions::new(Arc::default()), alice());
    let visit = sessions.open(0, &alice, None, 1).unwrap().unwrap();
    let (one, two) = (visit.session.cancellable(b"1"), visit.session.cancellable(b"\"1\""));
    visit.session.cancel(b"1");
    let notified = |call: &Cancellable| {
        let mut waits = std::pin::pin!(call.cancelled.notified());
        waits.as_mut().enable()
    };
    assert!(notified(&one));
    assert!(!notified(&two));
    drop((one, two));
    assert!(visit.session.calls.lock().is_empty());
}

#[tokio::test]
async fn anothers_session_does_not_exist() {
    let (sessions, alice) = (Sessions::new(Arc::default()), alice());
    let visit = sessions.open(0, &alice, None, 1).unwrap().unwrap();
    let id = visit.session.id();
    let others = [
        ("https://issuer", "bob"),
        ("https://other", "alice"),
        ("https://issuera", "lice"),
        ("", "anonymous"),
    ];
    for (issuer, subject) in others {
        assert!(sessions.visit(0, &Principal::of(issuer, subject), &id).is_none(), "{issuer} {subject}");
    }
    assert!(sessions.visit(0, &Principal::of("https://issuer", "alice"), &id).is_some());
}

//! What arrives, and whose it is.

use super::mailbox::{BYTES, EVENTS};
use super::*;
use futures_util::FutureExt;

fn message(method: &str) -> Message {
    let body = format!(r#"{{"jsonrpc":"2.0","method":"{method}","params":{{"level":"info"}}}}"#);
    Message::parse(Bytes::from(body)).unwrap()
}

fn log() -> Message {
    message("notifications/message")
}

#[test]
fn a_log_message_goes_to_the_only_call() {
    for key in [SessionKey::Shared, SessionKey::Client(1)] {
        let pending = Pending::default();
        assert!(pending.log(key, log()).is_some(), "nobody is there");
        let _own = pending.insert(1).unwrap();
        let first = pending.insert_call(2, false, Logs::Unsaid, ClientCapabilities::NONE, None).unwrap();
        assert!(pending.log(key, log()).is_none());
        assert!(matches!(first.0.next().now_or_never(), Some(Ok(Event::Log(_)))));
        let second = pending.insert_call(3, false, Logs::Unwanted, ClientCapabilities::NONE, None).unwrap();
        assert!(pending.log(key, log()).is_some(), "it may be either's");
        assert!(pending.answer(2, Err(BackendError::Stopping)));
        assert!(pending.log(key, log()).is_none(), "the only call wants none, so nobody gets it");
        assert!(second.0.next().now_or_never().is_none());
    }
}

#[test]
fn what_a_call_logs_that_was_given_up_is_nobody_elses() {
    let pending = Pending::default();
    let call = |id| pending.insert_call(id, false, Logs::Unsaid, ClientCapabilities::NONE, None).unwrap();
    let is_passed_on = |key| pending.log(key, log()).is_none();
    let shared = || is_passed_on(SessionKey::Shared);
    let _own = pending.insert(1).unwrap();
    let (_cancelled, _lost, _refused, _current) = (call(2), call(3), call(4), call(5));
    pending.remove(1);
    pending.give_up(4, BackendError::Refused { status: 400 });
    pending.give_up(3, BackendError::gone("x"));
    pending.remove(2);
    pending.remove(2);
    assert!(!shared());
    assert!(is_passed_on(SessionKey::Client(1)), "it is the same client's");
    assert!(!pending.answer(2, Err(BackendError::Stopping)), "late");
    assert!(!shared(), "another one is left");
    assert!(!pending.answer(3, Err(BackendError::Stopping)), "late");
    assert!(shared());

    let many = 10..=(10 + GIVEN_UP as u64);
    many.clone().for_each(|id| {
        call(id);
        pending.remove(id);
    });
    many.for_each(|id| assert!(!pending.answer(id, Err(BackendError::Stopping))));
    assert!(!shared(), "there were too many to know");
}

#[test]
fn events_come_before_the_answer_and_are_bounded() {
    let pending = Pending::default();
    let call = pending.insert_call(1, true, Logs::Unwanted, ClientCapabilities::NONE, None).unwrap();
    let unwanted = pending.insert_call(2, false, Logs::Unwanted, ClientCapabilities::NONE, None).unwrap();
    for _ in 0..=EVENTS {
        let _ = pending.progress(1, message("notifications/progress"));
        let _ = pending.progress(2, message("notifications/progress"));
    }
    assert!(
        pending.answer(1, Err(BackendError::Stopping)) && !pending.answer(1, Err(BackendError::Stopping))
    );
    let mut events = 0;
    let answer = loop {
        match call.0.next().now_or_never().unwrap() {
            Ok(_) => events += 1,
            Err(answer) => break answer,
        }
    };
    assert_eq!((events, answer.err()), (EVENTS, Some(BackendError::Stopping)));
    assert!(unwanted.0.next().now_or_never().is_none());
}

#[test]
fn large_events_are_bounded_by_their_size() {
    let pending = Pending::default();
    let call = pending.insert_call(1, true, Logs::Unwanted, ClientCapabilities::NONE, None).unwrap();
    let drain = || std::iter::from_fn(|| call.0.next().now_or_never()).count();
    for (size, kept) in [(BYTES / 4, 3), (2 * BYTES, 1), (BYTES / 4, 3)] {
        for _ in 0..10 {
            let _ = pending.progress(1, message(&"x".repeat(size)));
        }
        assert_eq!(drain(), kept, "of {size} bytes each");
    }
}

#[test]
fn a_question_that_is_taken_back_is_found() {
    let pending = Pending::default();
    let read = |body: String| Message::parse(Bytes::from(body)).unwrap();
    let ask = |id: &str| {
        let body = format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"roots/list"}}"#);
        pending.ask(SessionKey::Client(1), read(body)).is_none()
    };
    let take_back = |id: &str| {
        let params = format!(r#"{{"requestId":{id}}}"#);
        let method = "notifications/cancelled";
        pending.withdraw(&read(format!(r#"{{"jsonrpc":"2.0","method":"{method}","params":{params}}}"#)));
    };
    let call = pending.insert_call(2, false, Logs::Unwanted, ClientCapabilities::ROOTS, None).unwrap();
    let next = || call.0.next().now_or_never();
    assert!(ask("\"a\"") && ask("7"));
    take_back("\"a\"");
    assert!(
        matches!(next(), Some(Ok(Event::Asked(question))) if question.body.ends_with(br#"7,"method":"roots/list"}"#))
    );
    assert!(next().is_none(), "nobody heard of the other one");
    take_back("\"7\"");
    assert!(next().is_none(), "a number is no text");
    take_back("7");
    assert!(matches!(next(), Some(Ok(Event::Withdrawn(id))) if id == "7"));
    take_back("7");
    assert!(next().is_none() && call.refusals().is_empty());
}

#[test]
fn a_task_has_ended_once_its_result_was_asked_for() {
    let answer = |members: &str| Message::parse(format!(r#"{{"jsonrpc":"2.0",{members}}}"#).into()).unwrap();
    let begun = || answer(r#""id":1,"result":{"task":{"taskId":"t","status":"working"}}"#);
    let error = |code: i64| answer(&format!(r#""id":2,"error":{{"code":{code},"message":"m"}}"#));
    let result = || answer(r#""id":2,"result":{"content":[]}"#);
    let (about, fetch) = (|| Topic::About("t".into()), || Topic::Result("t".into()));
    for (topic, message, stays) in [
        (about(), error(-32603), true),
        (about(), error(-32602), false),
        (fetch(), error(-32007), false),
        (fetch(), result(), false),
        (Topic::Result("other".into()), result(), true),
    ] {
        let pending = Pending::default();
        pending.hear_of_task(&begun());
        let waiting =
            pending.insert_call(2, false, Logs::Unwanted, ClientCapabilities::NONE, Some(topic.clone()));
        assert!(pending.answer(2, Ok(message)));
        assert_eq!(pending.has_task("t"), stays, "{topic:?}");
        drop(waiting);
    }
}

#[test]
fn what_is_said_of_a_task_may_follow_at_once() {
    let pending = Pending::default();
    let asked = |meta: &str| {
        let params = format!(r#"{{"message":"m","requestedSchema":{{}},"_meta":{{{meta}}}}}"#);
        let body = format!(r#"{{"jsonrpc":"2.0","id":"q","method":"elicitation/create","params":{params}}}"#);
        Message::parse(body.into()).unwrap()
    };
    let form = ClientCapabilities::FORM;
    let call = pending.insert_call(7, true, Logs::Unsaid, form, Some(Topic::Becoming)).unwrap();
    let begun = r#"{"jsonrpc":"2.0","id":7,"result":{"task":{"taskId":"t","status":"working"}}}"#;
    assert!(pending.answer(7, Ok(Message::parse(begun.into()).unwrap())));
    let related = format!(r#""{}":{{"taskId":"t"}}"#, weir_protocol::meta::RELATED_TASK);
    assert!(pending.ask(SessionKey::Shared, asked(&related)).is_none());
    assert!(pending.ask(SessionKey::Shared, asked("")).is_some(), "it may be anybody's");
    assert!(matches!(call.0.next().now_or_never(), Some(Err(Ok(_)))), "the answer alone");
    let follower = pending.follow(7, true, Logs::Unsaid, form, "t".into()).unwrap();
    assert!(matches!(follower.0.next().now_or_never(), Some(Ok(Event::Asked(_)))));
    // Whoever waited for the answer does not end what follows.
    pending.leave(7, &call, true);
    assert!(pending.progress(7, log()).is_none());
    pending.remove(7);
    assert!(pending.progress(7, log()).is_some());
}

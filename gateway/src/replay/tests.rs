use super::*;
use futures_util::FutureExt;

const TIME: Duration = Duration::from_secs(60);

fn message(text: &str) -> Bytes {
    Bytes::copy_from_slice(text.as_bytes())
}

fn now(replay: &Replay, number: u64) -> Option<Following> {
    replay.following(number).now_or_never()
}

#[tokio::test(start_paused = true)]
async fn a_stream_is_taken_up_after_any_event_it_remembers() {
    let allowance = Arc::new(Allowance::new(2 * (OVERHEAD + 1), 1 << 20, TIME));
    let replays = Replays::new(allowance.clone());
    let replay = replays.begin().unwrap();
    assert_eq!(now(&replay, 0), None);
    assert_eq!((replay.push(&message("a")), replay.push(&message("b"))), (1, 2));
    assert_eq!(now(&replay, 0), Some(Following::Messages(1, vec![message("a"), message("b")])));
    assert_eq!(now(&replay, 1), Some(Following::Messages(2, vec![message("b")])));
    assert_eq!(now(&replay, 3), Some(Following::Lost), "it was never sent");
    assert_eq!(replay.push(&message("c")), 3);
    assert_eq!(now(&replay, 0), Some(Following::Lost), "there is room for two");
    assert_eq!(now(&replay, 2), Some(Following::Messages(3, vec![message("c")])));
    assert_eq!(now(&replay, 3), None);
    replay.end();
    assert_eq!(now(&replay, 3), Some(Following::End));
    tokio::time::advance(TIME).await;
    assert!(matches!(replays.find("1-3"), Place::Nowhere));
}

#[test]
fn ids_lead_to_their_own_stream_only() {
    let allowance = Arc::new(Allowance::new(1 << 10, 1 << 20, TIME));
    let replays = Replays::new(allowance.clone());
    let (one, two) = (replays.begin().unwrap(), replays.begin().unwrap());
    one.push(&message("a"));
    assert_eq!((one.id(1), two.id(0)), ("1-1".to_owned(), "2-0".to_owned()));
    assert!(matches!(replays.find("1-1"), Place::Answer(found, 1) if Arc::ptr_eq(&found, &one)));
    assert!(matches!(replays.find("s7-0"), Place::Forgotten));
    for id in ["", "-", "1", "1-", "-1", "3-0", "01-1", "1-+1", "1-1-1", "1-99999999999999999999"] {
        assert!(matches!(replays.find(id), Place::Nowhere), "{id}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_standing_stream_goes_on_where_it_was_left() {
    let replays = Replays::new(Arc::new(Allowance::new(1 << 10, 1 << 20, TIME)));
    let (standing, is_new) = replays.standing().unwrap();
    assert!(is_new && !replays.standing().unwrap().1);
    assert_eq!((standing.push(b"a"), standing.id(1)), (1, "s1-1".to_owned()));
    let (first, second) = (standing.take_up(), standing.take_up());
    standing.leave(&first);
    tokio::time::advance(TIME).await;
    assert!(!standing.is_abandoned(TIME), "another one reads it");
    standing.leave(&second);
    assert!(!standing.is_abandoned(TIME));
    tokio::time::advance(TIME).await;
    assert!(standing.is_abandoned(TIME));
    assert!(matches!(replays.find("s1-1"), Place::Standing(found, 1) if Arc::ptr_eq(&found, &standing)));
    assert!(matches!(replays.find("1-1"), Place::Nowhere), "it answers no request");
    standing.end();
    assert!(matches!(replays.find("s1-1"), Place::Forgotten));
    let (again, is_new) = replays.standing().unwrap();
    assert!(is_new && again.id(0) == "s2-0");
    assert!(matches!(replays.find("s1-0"), Place::Forgotten), "an old id is never one of the new stream");
}

#[test]
fn everything_is_bounded_and_given_back() {
    let allowance = Arc::new(Allowance::new(1 << 10, 2 << 10, TIME));
    let replays = Replays::new(allowance.clone());
    let large = message(&"x".repeat(900));
    let streams: Vec<_> = (0..STREAMS).map(|_| replays.begin().unwrap()).collect();
    for stream in &streams {
        stream.push(&large);
    }
    assert!(allowance.used.load(Ordering::Relaxed) <= 2 << 10);
    assert!(matches!(now(&streams[0], 0), Some(Following::Messages(1, _))));
    assert_eq!(now(&streams[5], 0), Some(Following::Lost), "the gateway's room is used up");
    assert!(replays.begin().is_none(), "all of them run");
    streams[7].end();
    assert!(replays.begin().is_some());
    assert!(matches!(replays.find("8-0"), Place::Nowhere));
    // What is larger than a stream's room is not remembered, and neither is what came before it.
    let stream = &streams[0];
    assert_eq!(stream.push(&message(&"x".repeat(2000))), 2);
    assert_eq!(
        (now(stream, 0), now(stream, 1), now(stream, 2)),
        (Some(Following::Lost), Some(Following::Lost), None)
    );
    drop((streams, replays));
    assert_eq!(allowance.used.load(Ordering::Relaxed), 0);
    assert!(Replays::new(Arc::default()).begin().is_none());
}

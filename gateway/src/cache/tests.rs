use super::reads::{Landing, Place};
use super::*;
use proptest::prelude::*;
use weir_protocol::Hint;

const BOUNDS: Bounds = Bounds { all: 1 << 20, one: 64 << 10, longest: Duration::from_secs(3600) };

fn wish(uri: &str) -> Wish {
    let principal = Arc::new(Principal::anonymous());
    Wish { backend: 1, uri: uri.into(), principal, reads: Arc::default() }
}

fn of(wish: &Wish, subject: &str) -> Wish {
    Wish { principal: Arc::new(Principal::of("https://issuer", subject)), ..wish.clone() }
}

fn answer(ttl_ms: u64, public: bool, text: &str) -> Message {
    let hint = Hint { ttl_ms, public }.members();
    let body = format!(
        r#"{{"jsonrpc":"2.0","id":7,"result":{{"resultType":"complete",{hint},"contents":["{text}"]}}}}"#
    );
    Message::parse(body.into()).unwrap()
}

fn keep(cache: &Cache, wish: &Wish, message: &Message) -> bool {
    cache.keep(wish, wish.reads.changes(), message).is_some()
}

fn served(cache: &Cache, wish: &Wish) -> Option<String> {
    match cache.look(wish) {
        Look::Kept(message) => Some(String::from_utf8(message.body.to_vec()).unwrap()),
        _ => None,
    }
}

#[test]
fn what_may_be_kept_is_served_with_what_is_left_of_its_time() {
    let (cache, wish) = (Cache::within(BOUNDS), wish("a:b"));
    assert!(matches!(cache.look(&wish), Look::Missing(None)));
    assert!(keep(&cache, &wish, &answer(60_000, true, "x")));
    let Look::Kept(message) = cache.look(&wish) else {
        panic!("it was kept");
    };
    let hint = message.envelope.result.as_ref().unwrap().hint(&message.body);
    assert!(hint.public && hint.ttl_ms <= 60_000, "{hint:?}");
    assert!(message.body.ends_with(br#","contents":["x"]}}"#));
    // Another backend's resource of this URI is another.
    assert!(served(&cache, &Wish { backend: 2, ..wish.clone() }).is_none());
    cache.forget(2);
    assert!(served(&cache, &wish).is_some());
    cache.forget(1);
    assert!(served(&cache, &wish).is_none());
}

#[test]
fn what_is_left_fits_where_the_whole_stood() {
    let wish = wish("a:b");
    let now = Instant::now();
    let left = |left: Duration| {
        let (until, kept) = (now + left, now + Duration::from_secs(60));
        let message = answer(300_000, true, "x");
        let answer = Stored { message, until, kept, asked: 0, owner: None };
        let message = answer.serve(&wish)?;
        let body: serde_json::Value = serde_json::from_slice(&message.body).unwrap();
        assert_eq!(body["result"]["contents"], serde_json::json!(["x"]));
        body["result"]["ttlMs"].as_u64()
    };
    for seconds in [5, 50, 300] {
        let left = left(Duration::from_secs(seconds)).unwrap();
        assert!(left <= seconds * 1000 && left > 0, "{left} of {seconds} s");
    }
    assert_eq!(left(Duration::ZERO), None);
}

#[test]
fn nothing_is_kept_longer_than_is_configured() {
    let (cache, wish) = (Cache::within(Bounds { longest: Duration::ZERO, ..BOUNDS }), wish("a:b"));
    keep(&cache, &wish, &answer(60_000, true, "x"));
    assert!(served(&cache, &wish).is_none());
}

#[test]
fn what_is_private_is_its_owners() {
    let (cache, wish) = (Cache::within(BOUNDS), wish("a:b"));
    let (ann, bob) = (of(&wish, "ann"), of(&wish, "bob"));
    assert!(keep(&cache, &ann, &answer(60_000, false, "ann's")));
    assert!(served(&cache, &ann).unwrap().contains("ann's"));
    // Nor does bob wait for what ann asks.
    let Look::Missing(Some(owner)) = cache.look(&bob) else {
        panic!("bob has nothing yet");
    };
    assert_eq!(owner, bob.principal);
    assert!(keep(&cache, &bob, &answer(60_000, false, "bob's")));
    assert!(served(&cache, &ann).unwrap().contains("ann's"));
    assert!(served(&cache, &bob).unwrap().contains("bob's"));
    // An answer that somebody waited for is no exception.
    let kept = cache.keep(&ann, 0, &answer(60_000, false, "ann's")).unwrap();
    assert!(kept.serve(&bob).is_none() && kept.serve(&ann).is_some());

    assert!(keep(&cache, &ann, &answer(60_000, true, "everybody's")));
    assert!(served(&cache, &bob).unwrap().contains("everybody's"));
}

#[test]
fn what_is_not_to_be_kept_is_not_waited_for() {
    let cache = Cache::within(BOUNDS);
    let large = "x".repeat(BOUNDS.one);
    let legacy = Message::parse(r#"{"jsonrpc":"2.0","id":7,"result":{"contents":[]}}"#.into()).unwrap();
    for (at, message) in [answer(0, true, "x"), answer(60_000, true, &large), legacy].iter().enumerate() {
        let wish = wish(&format!("a:{at}"));
        assert!(!keep(&cache, &wish, message));
        assert!(matches!(cache.look(&wish), Look::Apart));
        // What may be kept later is.
        assert!(keep(&cache, &wish, &answer(60_000, true, "x")));
        assert!(served(&cache, &wish).is_some());
    }
    let off = Cache::within(Bounds { all: 0, ..BOUNDS });
    assert!(!keep(&off, &wish("a:b"), &answer(60_000, true, "x")));
    assert!(matches!(off.look(&wish("a:b")), Look::Apart));
}

#[test]
fn updates_end_what_they_concern() {
    for (update, concerns) in [
        ("doc:///a/b", true),
        // A part of it, and what it is a part of.
        ("doc:///a/b/c", true),
        ("doc:///a/b#c", true),
        ("doc:///a", true),
        ("doc:///a/", true),
        ("doc:///", true),
        ("doc:///a/bc", false),
        ("doc:///a/c", false),
        ("doc:///b", false),
    ] {
        let (cache, wish) = (Cache::within(BOUNDS), wish("doc:///a/b"));
        assert!(keep(&cache, &wish, &answer(60_000, true, "x")));
        wish.reads.changed(&update.into());
        assert_eq!(served(&cache, &wish).is_none(), concerns, "{update}");
        assert!(keep(&cache, &wish, &answer(60_000, true, "y")));
        assert!(served(&cache, &wish).is_some(), "what is read later knows of {update}");
        wish.reads.all_changed();
        assert!(served(&cache, &wish).is_none());
    }
}

#[test]
fn what_changes_while_it_is_read_is_not_kept() {
    let (cache, wish) = (Cache::within(BOUNDS), wish("a:b"));
    let asked = wish.reads.changes();
    wish.reads.changed(&"a:b".into());
    assert!(cache.keep(&wish, asked, &answer(60_000, true, "x")).is_none());
    assert!(served(&cache, &wish).is_none());
    wish.reads.changed(&"a:c".into());
    let asked = wish.reads.changes();
    wish.reads.changed(&"a:c".into());
    assert!(cache.keep(&wish, asked, &answer(60_000, true, "x")).is_some());
}

#[test]
fn no_more_is_kept_than_there_is_room_for() {
    let bounds = Bounds { all: 256 << 10, ..BOUNDS };
    let (cache, text) = (Cache::within(bounds), "x".repeat(10 << 10));
    for at in 0..200 {
        keep(&cache, &wish(&format!("a:{at}")), &answer(60_000, true, &text));
        let store = cache.kept.as_ref().unwrap();
        assert!(store.weighted_size() <= 256 << 10, "{} bytes", store.weighted_size());
    }
    let kept = (0..200).filter(|at| served(&cache, &wish(&format!("a:{at}"))).is_some()).count();
    assert!((1..=25).contains(&kept), "{kept} are kept");
}

#[test]
fn changes_are_counted_in_bounded_memory() {
    let (cache, first) = (Cache::within(BOUNDS), wish("doc:///kept"));
    assert!(keep(&cache, &first, &answer(60_000, true, "x")));
    for at in 0..3000 {
        first.reads.changed(&format!("other:///{at}").into());
    }
    assert!(served(&cache, &first).is_some(), "so many are told apart");
    for at in 3000..6000 {
        first.reads.changed(&format!("other:///{at}").into());
    }
    assert!(served(&cache, &first).is_none(), "of more nobody knows what they were");
}

#[test]
fn a_change_with_a_long_uri_concerns_what_it_is_a_part_of() {
    let (cache, whole, other) = (Cache::within(BOUNDS), wish("doc:///a"), wish("doc:///b"));
    let other = Wish { reads: whole.reads.clone(), ..other };
    for wish in [&whole, &other] {
        assert!(keep(&cache, wish, &answer(60_000, true, "x")));
    }
    whole.reads.changed(&format!("doc:///a/{}", "x".repeat(1 << 20)).into());
    assert!(served(&cache, &whole).is_none() && served(&cache, &other).is_some());
}

#[test]
fn who_asks_first_asks_for_all_and_leaves_its_place_to_the_next() {
    let reads: Arc<Reads> = Arc::default();
    let spot = || ("a:b".into(), None);
    let Place::First(lead) = reads.join(spot()) else {
        panic!("nobody else asks");
    };
    let Place::Behind(landing) = reads.join(spot()) else {
        panic!("somebody asks");
    };
    assert!(
        matches!(reads.join(("a:c".into(), None)), Place::First(_)),
        "another resource is another matter"
    );
    drop(lead);
    assert!(landing.has_changed().is_err(), "it went away without a word");
    let Place::First(lead) = reads.join(spot()) else {
        panic!("the place is free");
    };
    let Place::Behind(landing) = reads.join(spot()) else {
        panic!("somebody asks");
    };
    lead.land(None);
    assert!(matches!(*landing.borrow(), Landing::Nothing));
    assert_eq!(reads.aloft(), 0);
}

proptest! {
    /// Whatever changes, what is served was asked for after the last change that concerns it.
    #[test]
    fn nothing_is_served_that_is_older_than_a_change(steps in prop::collection::vec((0..3_u8, "[ab](/[ab]){0,2}"), 1..60)) {
        let cache = Cache::within(BOUNDS);
        let reads: Arc<Reads> = Arc::default();
        let mut versions: Vec<(String, usize)> = Vec::new();
        for (at, (kind, path)) in steps.into_iter().enumerate() {
            let uri = format!("doc:///{path}");
            let wish = Wish { reads: reads.clone(), ..wish(&uri) };
            let within = |outer: &str, inner: &str| inner == outer || inner.starts_with(&format!("{outer}/"));
            match kind {
                0 => {
                    reads.changed(&uri.as_str().into());
                    versions.retain(|(known, _)| !within(known, &uri) && !within(&uri, known));
                }
                1 => {
                    keep(&cache, &wish, &answer(60_000, true, &at.to_string()));
                    versions.retain(|(known, _)| *known != uri);
                    versions.push((uri, at));
                }
                _ => {
                    let version = versions.iter().find(|(known, _)| *known == uri).map(|(_, at)| format!("[\"{at}\"]"));
                    let body = served(&cache, &wish);
                    prop_assert_eq!(body.is_some(), version.is_some());
                    prop_assert!(version.is_none_or(|version| body.unwrap_or_default().contains(&version)));
                }
            }
        }
    }
}

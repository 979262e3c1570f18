use super::*;
use futures_util::FutureExt;
use weir_protocol::Era;

fn enter(watchers: &Arc<Watchers>, uri: &str, inbox: &Arc<Inbox>, backend: usize) -> Watch {
    let (principal, inbox) = (Arc::new(Principal::anonymous()), inbox.clone());
    let circumstances = Circumstances { era: Era::Legacy, address: None, retry: false };
    let wish = Wish { uri: uri.into(), principal, circumstances, inbox, place: None };
    watchers.enter(wish, (backend, &uri.into()))
}

/// What somebody hears who watches this, when that changes.
fn hears(watched: &str, changed: &str, may_know: bool) -> Option<String> {
    let watchers = Arc::new(Watchers::default());
    let inbox = Arc::new(Inbox::default());
    let reader = inbox.read();
    let _watch = enter(&watchers, watched, &inbox, 3);
    let update = Arc::new(Update::missed(&changed.into()).unwrap());
    watchers.0.lock().tell(4, &update, |_, _| may_know);
    assert!(reader.next().now_or_never().is_none(), "another backend's");
    watchers.0.lock().tell(3, &update, |_, uri| {
        assert_eq!(uri, changed);
        may_know
    });
    let letters = reader.next().now_or_never()?;
    let [Letter::Update { update, .. }] = letters.iter().collect::<Vec<_>>()[..] else {
        panic!("one update")
    };
    Some(update.uri.to_string())
}

fn told(watched: &str, changed: &str) -> bool {
    let heard = hears(watched, changed, true);
    let heard_at_least = hears(watched, changed, false);
    assert_eq!(heard_at_least.as_deref(), heard.as_ref().map(|_| watched), "nothing is lost or revealed");
    heard.inspect(|uri| assert_eq!(uri, changed)).is_some()
}

#[test]
fn an_update_reaches_who_watches_it_or_what_it_is_part_of() {
    for (watched, changed, reached) in [
        ("file:///a/b", "file:///a/b", true),
        ("file:///a", "file:///a/b", true),
        ("file:///a/", "file:///a/b/c", true),
        ("doc:x", "doc:x#page", true),
        ("doc:x", "doc:x?q=1", true),
        ("file:///a/b", "file:///a/bc", false),
        ("file:///a/b", "file:///a", false),
        ("file:///a/b/c", "file:///a/b", false),
        ("", "file:///a", false),
    ] {
        assert_eq!(told(watched, changed), reached, "{watched} {changed}");
    }
}

#[test]
fn a_watch_ends_when_it_is_dropped() {
    let watchers = Arc::new(Watchers::default());
    let inbox = Arc::new(Inbox::default());
    let reader = inbox.read();
    let enter = || enter(&watchers, "a:b", &inbox, 0);
    let (one, two) = (enter(), enter());
    drop(one);
    watchers.tell_all(0);
    assert_eq!(reader.next().now_or_never().unwrap().len(), 1);
    drop(two);
    watchers.tell_all(0);
    assert!(reader.next().now_or_never().is_none());
    assert!(watchers.0.lock().watched.is_empty() && watchers.0.lock().wishes.is_empty());
}

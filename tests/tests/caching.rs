//! Caching hints of modern servers: what is kept is not asked for again, and clients hear how long it is good.

use serde_json::{Value, json};
use std::sync::Barrier;
use weir_tests::peers::HttpPeer;
use weir_tests::weir::config;
use weir_tests::{Legacy, Modern, Speak, Weir, peers, wait};

const UPDATED: &str = "notifications/resources/updated";

/// The caching server, and a weir over it.
struct Cached {
    server: HttpPeer,
    weir: Weir,
}

impl Cached {
    fn new() -> Self {
        Self::bounded(json!({}), json!({}))
    }

    fn bounded(limits: Value, timeouts: Value) -> Self {
        let server = peers::caching_http(600_000, "public");
        let weir = Weir::serve(bounded(&server, limits, timeouts));
        Self { server, weir }
    }

    fn modern(&self) -> Modern {
        Modern::new(self.weir.endpoint())
    }

    fn legacy(&self) -> Legacy {
        Legacy::new(self.weir.endpoint())
    }

    /// How often the server was asked for a resource.
    fn reads(&self, uri: &str) -> u64 {
        let all: Value = serde_json::from_str(self.modern().call("reads", json!({})).text()).expect("JSON");
        all[uri].as_u64().unwrap_or_default()
    }
}

fn bounded(server: &HttpPeer, limits: Value, timeouts: Value) -> Value {
    let mut config = config(json!({"caching": {"url": server.url()}}), json!({"conflicts": "none"}));
    config["limits"] = limits;
    config["timeouts"] = timeouts;
    config
}

/// What a read answers; the server counts in it.
fn read(client: &dyn Speak, uri: &str) -> String {
    text(client.ask("resources/read", json!({"uri": uri})).result())
}

fn text(result: &Value) -> String {
    result["contents"][0]["text"].as_str().unwrap_or_else(|| panic!("a text, not {result}")).to_owned()
}

fn is_read(text: &str, times: u64) -> bool {
    text.starts_with(&format!("read {times} of "))
}

#[test]
fn a_read_is_served_without_asking_again() {
    let cached = Cached::new();
    let (modern, legacy) = (cached.modern(), cached.legacy());
    for (uri, scope) in [("doc:///public/600000/a", "public"), ("doc:///private/600000/a", "private")] {
        let mut left = 600_000;
        let mut texts = Vec::new();
        for _ in 0..3 {
            let answer = modern.ask("resources/read", json!({"uri": uri}));
            let result = answer.result();
            assert_eq!((&result["cacheScope"], &result["resultType"]), (&json!(scope), &json!("complete")));
            let ttl = result["ttlMs"].as_u64().expect("a time to live");
            assert!(ttl <= left && ttl > 0, "{ttl} ms of {left} ms");
            left = ttl;
            texts.push(text(result));
        }
        // A legacy client is served as well, and hears nothing of how long that is good.
        let answer = legacy.ask("resources/read", json!({"uri": uri}));
        texts.push(text(answer.result()));
        for key in ["ttlMs", "cacheScope", "resultType"] {
            assert_eq!(answer.result().get(key), None, "{key}");
        }
        assert!(texts.iter().all(|text| is_read(text, 1)), "{texts:?}");
        assert_eq!(cached.reads(uri), 1);
    }
    // What a legacy client asked for first is there for a modern one, and for one that wants to hear of progress and logs.
    let uri = "doc:///public/600000/b";
    assert!(is_read(&read(&legacy, uri), 1));
    assert!(is_read(&read(&modern, uri), 1));
    let meta = json!({"progressToken": "t", "io.modelcontextprotocol/logLevel": "debug", "traceparent": "x"});
    let answer = modern.ask("resources/read", json!({"uri": uri, "_meta": meta}));
    assert!(is_read(&text(answer.result()), 1) && answer.events.is_empty());
    assert_eq!(cached.reads(uri), 1);
}

#[test]
fn a_read_is_asked_for_again_when_its_time_is_over() {
    let cached = Cached::new();
    let (client, uri) = (cached.modern(), "doc:///public/300/a");
    let later = |times| {
        wait::until_true("it is read again", || {
            let answer = client.ask("resources/read", json!({"uri": uri}));
            let ttl = answer.result()["ttlMs"].as_u64().expect("a time to live");
            assert!(ttl > 0 && ttl <= 300, "{ttl}");
            is_read(&text(answer.result()), times)
        });
    };
    (1..4).for_each(later);

    let bounded = Cached::bounded(json!({}), json!({"cache": "100ms"}));
    let client = bounded.modern();
    wait::until_true("it is read again", || is_read(&read(&client, "doc:///public/600000/a"), 2));
}

#[test]
fn what_must_not_be_kept_is_not() {
    let cached = Cached::new();
    let client = cached.modern();
    let ask = |params: Value| client.ask("resources/read", params);
    for uri in ["doc:///public/0/a", "doc:///private/0/a"] {
        for times in 1..4 {
            let answer = ask(json!({"uri": uri}));
            assert_eq!(answer.result()["ttlMs"], 0);
            assert!(is_read(&text(answer.result()), times));
        }
    }
    let failing = "doc:///public/600000/fail/a";
    for times in 1..4 {
        assert_eq!(ask(json!({"uri": failing})).error(), -32602);
        assert_eq!(cached.reads(failing), times);
    }
    // A server that needs input, and what it says once it has it.
    let asking = "doc:///public/600000/ask/a";
    for times in 1..4 {
        let answer = ask(json!({"uri": asking}));
        assert_eq!(answer.result()["resultType"], "input_required");
        let state = answer.result()["requestState"].clone();
        let answer = ask(json!({"uri": asking, "requestState": state, "inputResponses": {}}));
        assert!(is_read(&text(answer.result()), 2 * times));
    }
    // Nor a request that says more than which resource it wants, whatever is there already.
    let plain = "doc:///public/600000/b";
    assert!(is_read(&read(&client, plain), 1));
    for (times, more) in [(2, json!({"lines": 3})), (3, json!({"_meta": {"com.example/tenant": "a"}}))] {
        let mut params = more;
        params["uri"] = json!(plain);
        assert!(is_read(&text(ask(params).result()), times));
    }
    assert!(is_read(&read(&client, plain), 1));
}

#[test]
fn updates_end_what_they_concern_before_anybody_hears_of_them() {
    let cached = Cached::new();
    let (client, legacy) = (cached.modern(), cached.legacy());
    let (watched, other) = ("doc:///public/600000/a", "doc:///public/600000/b");
    let listen = json!({"notifications": {"resourceSubscriptions": [watched]}});
    let (request, _) = client.prepare("subscriptions/listen", listen);
    let mut stream = request.open(client.endpoint()).events();
    assert_eq!(stream.message()["method"], "notifications/subscriptions/acknowledged");
    for times in 1..5 {
        assert!(is_read(&read(&client, watched), times));
        assert!(is_read(&read(&legacy, watched), times));
        assert!(is_read(&read(&client, other), 1));
        client.call("touch", json!({"uri": watched}));
        assert_eq!(stream.message()["method"], UPDATED);
    }
}

#[test]
fn a_changed_list_of_resources_ends_all_reads() {
    let cached = Cached::new();
    let client = cached.modern();
    let (request, _) =
        client.prepare("subscriptions/listen", json!({"notifications": {"resourcesListChanged": true}}));
    let mut stream = request.open(client.endpoint()).events();
    assert_eq!(stream.message()["method"], "notifications/subscriptions/acknowledged");
    for times in 1..4 {
        for uri in ["doc:///public/600000/a", "doc:///private/600000/b"] {
            assert!(is_read(&read(&client, uri), times));
            assert!(is_read(&read(&client, uri), times));
        }
        client.call("relist", json!({}));
        assert_eq!(stream.message()["method"], "notifications/resources/list_changed");
    }
}

#[test]
fn a_server_that_was_away_is_asked_again() {
    let mut cached = Cached::new();
    let (client, uri) = (cached.modern(), "doc:///public/600000/a");
    let before = read(&client, uri);
    cached.server.restart();
    let mut after = String::new();
    wait::until_true("the new server is asked", || {
        after = read(&client, uri);
        after != before
    });
    assert!(is_read(&after, 1));
    assert_eq!(read(&client, uri), after);
}

#[test]
fn a_reload_keeps_what_belongs_to_a_backend_that_stays() {
    let cached = Cached::new();
    let (client, uri) = (cached.modern(), "doc:///public/600000/a");
    assert!(is_read(&read(&client, uri), 1));
    let mut config = bounded(&cached.server, json!({"sessions": 7}), json!({}));
    config["endpoints"]["main"]["instructions"] = json!("reloaded");
    cached.weir.reconfigure(config.clone());
    let reloaded = |text: &str| {
        wait::until_true("it is reloaded", || {
            client.ask("server/discover", json!({})).result()["instructions"] == text
        });
    };
    reloaded("reloaded");
    assert!(is_read(&read(&client, uri), 1));
    // Another backend, if only because it is configured otherwise.
    config["backends"]["caching"]["limits"] = json!({"items": 5});
    config["endpoints"]["main"]["instructions"] = json!("again");
    cached.weir.reconfigure(config.clone());
    reloaded("again");
    assert!(is_read(&read(&client, uri), 2));
    assert!(is_read(&read(&client, uri), 2));
    config["limits"]["cache"] = json!(0);
    config["endpoints"]["main"]["instructions"] = json!("off");
    cached.weir.reconfigure(config);
    reloaded("off");
    assert!(is_read(&read(&client, uri), 3));
    assert!(is_read(&read(&client, uri), 4));
}

#[test]
fn many_who_read_at_once_are_one_read() {
    let cached = Cached::new();
    let uri = "doc:///public/600000/gate/a";
    let clients: Vec<Modern> = (0..50).map(|_| cached.modern()).collect();
    let together = Barrier::new(clients.len());
    std::thread::scope(|scope| {
        let readers: Vec<_> = clients
            .iter()
            .map(|client| {
                let together = &together;
                scope.spawn(move || {
                    together.wait();
                    read(client, uri)
                })
            })
            .collect();
        wait::until_true("somebody asks", || cached.reads(uri) > 0);
        cached.modern().call("open", json!({}));
        for reader in readers {
            assert!(is_read(&reader.join().expect("it reads"), 1));
        }
    });
    assert_eq!(cached.reads(uri), 1);
}

#[test]
fn nobody_depends_on_who_asked_first() {
    let cached = Cached::new();
    let (first, second) = (cached.modern(), cached.modern());
    let uri = "doc:///public/600000/gate/a";
    std::thread::scope(|scope| {
        let (request, _) = first.prepare("resources/read", json!({"uri": uri}));
        let leaving = request.begin(first.endpoint());
        wait::until_true("the first asks", || cached.reads(uri) == 1);
        let reader = scope.spawn(|| read(&second, uri));
        drop(leaving);
        wait::until_true("the second asks itself", || cached.reads(uri) == 2);
        cached.modern().call("open", json!({}));
        assert!(is_read(&reader.join().expect("it reads"), 2));
    });
    // Nor does anybody wait for one who wants log messages, and may never take them from its stream.
    let (cached, meta) = (Cached::new(), json!({"io.modelcontextprotocol/logLevel": "debug"}));
    let (first, second) = (cached.modern(), cached.modern());
    std::thread::scope(|scope| {
        let (request, _) = first.prepare("resources/read", json!({"uri": uri, "_meta": meta}));
        let listening = request.begin(first.endpoint());
        wait::until_true("the first asks", || cached.reads(uri) == 1);
        let reader = scope.spawn(|| read(&second, uri));
        wait::until_true("the second asks itself", || cached.reads(uri) == 2);
        cached.modern().call("open", json!({}));
        assert!(is_read(&reader.join().expect("it reads"), 2));
        drop(listening);
    });
    // Nor is anybody told that another's read failed, or what it must not share.
    for uri in ["doc:///public/600000/fail/a", "doc:///private/0/a"] {
        let together = Barrier::new(10);
        std::thread::scope(|scope| {
            for _ in 0..10 {
                scope.spawn(|| {
                    let client = cached.modern();
                    together.wait();
                    client.ask("resources/read", json!({"uri": uri}));
                });
            }
        });
        assert_eq!(cached.reads(uri), 10, "{uri}");
    }
}

#[test]
fn what_is_kept_is_bounded_in_bytes() {
    let mut cached = Cached::new();
    let twice = |cached: &Cached, name: &str| {
        let large = |at: u64| format!("doc:///public/600000/large/{name}/{at}");
        let client = cached.modern();
        for at in (0..20).chain(0..20) {
            read(&client, &large(at));
        }
        (0..20).map(|at| cached.reads(&large(at))).sum::<u64>()
    };
    assert_eq!(twice(&cached, "all"), 20);
    let mut bounds = |limits: Value| {
        cached.weir = Weir::serve(bounded(&cached.server, limits.clone(), json!({})));
        twice(&cached, &limits["cache"].as_str().unwrap_or("none").replace("KiB", ""))
    };
    let little = bounds(json!({"cache": "256KiB"}));
    assert!(little >= 35, "20 of 50 KiB do not fit into 256 KiB, but were read {little} times only");
    assert_eq!(bounds(json!({"cache": "1024KiB", "cached": "50KiB"})), 40);
    assert_eq!(bounds(json!({"cache": 0})), 40);
}

/// `ttlMs` and `cacheScope` of a modern answer.
fn hint(client: &Modern, method: &str, params: Value) -> (u64, String) {
    let answer = client.ask(method, params);
    let result = answer.result();
    let scope = result["cacheScope"].as_str().expect("a scope").to_owned();
    (result["ttlMs"].as_u64().expect("a time to live"), scope)
}

#[test]
fn lists_say_how_long_they_are_good() {
    let (long, short) = (peers::caching_http(6_000_000, "public"), peers::caching_http(500_000, "public"));
    let own = peers::caching_http(6_000_000, "private");
    let over = |backends: Value| Weir::serve(config(backends, json!({"page_size": 1})));
    let (long, short, own) =
        (json!({"url": long.url()}), json!({"url": short.url()}), json!({"url": own.url()}));
    let lists = ["tools/list", "resources/list", "resources/templates/list", "server/discover"];

    let weir = over(json!({"a": long, "b": short}));
    let client = Modern::new(weir.endpoint());
    for (method, most) in lists.into_iter().zip([500_000, 1_000_000, 500_000, 500_000]) {
        let (ttl, scope) = hint(&client, method, json!({}));
        assert!(ttl > 0 && ttl <= most, "{method}: {ttl}");
        assert_eq!(scope, "public", "{method}");
        assert!(hint(&client, method, json!({})).0 <= ttl, "{method}");
    }
    // Nobody has prompts, so nobody says for how long.
    assert_eq!(hint(&client, "prompts/list", json!({})), (0, "private".to_owned()));

    let weir = over(json!({"a": long}));
    let client = Modern::new(weir.endpoint());
    let (ttl, _) = hint(&client, "tools/list", json!({}));
    assert!(ttl > 1_000_000 && ttl <= 6_000_000, "{ttl}");

    let weir = over(json!({"a": long, "b": own}));
    let client = Modern::new(weir.endpoint());
    let first = client.ask("tools/list", json!({}));
    let next = json!({"cursor": first.result()["nextCursor"]});
    for params in [json!({}), next] {
        let (ttl, scope) = hint(&client, "tools/list", params);
        assert!(ttl > 0, "{ttl}");
        assert_eq!(scope, "private", "the same on every page");
    }

    let weir = over(json!({"a": long, "b": peers::fixture("watched.py", &["legacy"])}));
    let client = Modern::new(weir.endpoint());
    for method in lists {
        assert_eq!(hint(&client, method, json!({})), (0, "private".to_owned()), "{method}");
    }
}

#[test]
fn lists_are_fetched_again_when_they_have_run_out() {
    let server = peers::caching_http(1000, "public");
    let weir = Weir::over(json!({"caching": {"url": server.url()}}));
    let client = Modern::new(weir.endpoint());
    let listed = || weir_tests::message::names(&client.list("resources/list", "resources"));
    assert_eq!(listed(), ["first"]);
    client.call("add", json!({"name": "second"}));
    wait::until_true("the second is listed", || listed() == ["first", "second"]);
    wait::until_true("the lists are fresh again", || hint(&client, "tools/list", json!({})).0 > 0);
}

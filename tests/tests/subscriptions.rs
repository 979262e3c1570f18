//! Updates of resources: to the clients that subscribed to them, in the form of their era, with the server asked once.

use parking_lot::Mutex;
use serde_json::{Value, json};
use std::io::BufReader;
use std::sync::Arc;
use std::time::Duration;
use weir_tests::driver::{self, MODES, SDKS, Sdk};
use weir_tests::http::{Body, Events};
use weir_tests::weir::config;
use weir_tests::{Legacy, Modern, Scripted, Speak, Weir, modern, peers, scripted, stdio, wait};

const ERAS: [&str; 2] = ["legacy", "modern"];
const ID: &str = "io.modelcontextprotocol/subscriptionId";
const UPDATED: &str = "notifications/resources/updated";

type Stream = Events<BufReader<Body>>;

fn watched(era: &str) -> Weir {
    Weir::over(json!({"watched": peers::fixture("watched.py", &[era])}))
}

/// Opens a modern subscription to these resources; answers its stream, its id and what was acknowledged.
fn listen(client: &Modern, uris: Value) -> (Stream, Value, Value) {
    let (request, id) =
        client.prepare("subscriptions/listen", json!({"notifications": {"resourceSubscriptions": uris}}));
    let mut stream = request.open(client.endpoint()).events();
    let first = stream.message();
    assert_eq!(first["method"], "notifications/subscriptions/acknowledged", "{first}");
    assert_eq!(first["params"]["_meta"][ID], id);
    (stream, id, first["params"]["notifications"].clone())
}

fn subscribe(client: &Legacy, uri: &str) {
    assert_eq!(client.ask("resources/subscribe", json!({"uri": uri})).result(), &json!({}));
}

/// What the fixture was asked since it was asked for that last.
fn asked(client: &dyn Speak) -> Value {
    serde_json::from_str(client.call("asked", json!({})).text()).expect("JSON")
}

/// Waits until the fixture was asked just this.
fn is_asked(client: &dyn Speak, expected: &Value) {
    let mut seen = Vec::new();
    wait::until_true("the server is asked", || {
        seen.extend(asked(client).as_array().expect("a list").iter().cloned());
        assert!(seen.len() <= expected.as_array().expect("a list").len(), "{seen:?}, not {expected}");
        json!(seen) == *expected
    });
}

#[test]
fn each_era_hears_in_its_own_form() {
    for era in ERAS {
        let weir = watched(era);
        let (legacy, modern) = (Legacy::new(weir.endpoint()), Modern::new(weir.endpoint()));
        assert_eq!(legacy.welcome["capabilities"]["resources"]["subscribe"], true);
        let discovered = modern.ask("server/discover", json!({}));
        assert_eq!(discovered.result()["capabilities"]["resources"]["subscribe"], true);

        let mut legacy_stream = legacy.listen();
        subscribe(&legacy, "doc:///a");
        subscribe(&legacy, "doc:///a");
        let (mut modern_stream, id, accepted) = listen(&modern, json!(["doc:///b", "doc:///a", "doc:///a"]));
        assert_eq!(accepted, json!({"resourceSubscriptions": ["doc:///b", "doc:///a"]}), "{era}");

        for uri in ["doc:///a", "doc:///a/part"] {
            legacy.call("touch", json!({"uri": uri}));
            let update = legacy_stream.message();
            assert_eq!(update["method"], UPDATED);
            assert_eq!((&update["params"]["uri"], &update["params"]["title"]), (&json!(uri), &json!("T")));
            assert!(update["params"]["_meta"].get(ID).is_none(), "{update}");
            let update = modern_stream.message();
            assert_eq!((&update["method"], &update["params"]["uri"]), (&json!(UPDATED), &json!(uri)));
            assert_eq!((&update["params"]["title"], &update["params"]["_meta"][ID]), (&json!("T"), &id));
        }
        // Nobody hears of what is another's, and nobody of what he gave up.
        modern.call("touch", json!({"uri": "doc:///b"}));
        assert_eq!(modern_stream.message()["params"]["uri"], "doc:///b");
        legacy.ask("resources/unsubscribe", json!({"uri": "doc:///a"})).result();
        legacy.call("touch", json!({"uri": "doc:///a"}));
        assert_eq!(modern_stream.message()["params"]["uri"], "doc:///a");
        subscribe(&legacy, "doc:///b");
        legacy.call("touch", json!({"uri": "doc:///b"}));
        assert_eq!(legacy_stream.message()["params"]["uri"], "doc:///b", "{era}");
    }
}

#[test]
fn the_server_is_asked_once_however_many_watch() {
    for era in ERAS {
        let weir = watched(era);
        let clients: Vec<Modern> = (0..4).map(|_| Modern::new(weir.endpoint())).collect();
        let sessions: Vec<Legacy> = (0..3).map(|_| Legacy::new(weir.endpoint())).collect();
        let first = |uris: &[&str]| match era {
            "legacy" => uris.iter().map(|uri| json!(["subscribe", uri])).collect::<Vec<_>>(),
            _ => vec![json!(["listen"])],
        };
        let streams: Vec<_> = clients.iter().map(|client| listen(client, json!(["doc:///a"]))).collect();
        sessions.iter().for_each(|session| subscribe(session, "doc:///a"));
        match era {
            "legacy" => is_asked(&clients[0], &json!(first(&["doc:///a"]))),
            // The new subscription comes first, then the end of the old one.
            _ => is_asked(&clients[0], &json!([["listen"], ["listen", "doc:///a"], ["end"]])),
        }
        // One client has several subscriptions, and each carries its own id.
        let (mut other, other_id, _) = listen(&clients[0], json!(["doc:///b"]));
        match era {
            "legacy" => is_asked(&clients[0], &json!([["subscribe", "doc:///b"]])),
            _ => is_asked(&clients[0], &json!([["listen", "doc:///a", "doc:///b"], ["end", "doc:///a"]])),
        }
        clients[0].call("touch", json!({"uri": "doc:///b"}));
        assert_eq!(other.message()["params"]["_meta"][ID], other_id);
        clients[0].call("touch", json!({"uri": "doc:///a"}));
        for (mut stream, id, _) in streams {
            assert_eq!(stream.message()["params"]["_meta"][ID], id, "{era}");
        }
        // The streams are gone; the sessions still watch.
        sessions[0].ask("resources/unsubscribe", json!({"uri": "doc:///a"})).result();
        assert_eq!(sessions[1].delete().status, 204);
        assert_eq!(asked(&clients[0]), json!([]), "{era}");
        assert_eq!(sessions[2].delete().status, 204);
        match era {
            "legacy" => is_asked(&clients[0], &json!([["unsubscribe", "doc:///a"]])),
            _ => is_asked(&clients[0], &json!([["listen", "doc:///b"], ["end", "doc:///a", "doc:///b"]])),
        }
    }
}

#[test]
fn subscriptions_outlive_the_server() {
    for era in ERAS {
        let weir = watched(era);
        let (legacy, modern) = (Legacy::new(weir.endpoint()), Modern::new(weir.endpoint()));
        let mut legacy_stream = legacy.listen();
        subscribe(&legacy, "doc:///a");
        let (mut modern_stream, ..) = listen(&modern, json!(["doc:///a"]));
        modern.call("die", json!({}));
        // Something may have been missed meanwhile.
        for stream in [&mut legacy_stream, &mut modern_stream] {
            let missed = stream.message_where(|message| message["method"] == UPDATED);
            assert_eq!(missed["params"]["uri"], "doc:///a", "{era}");
        }
        modern.call("touch", json!({"uri": "doc:///a"}));
        for stream in [&mut legacy_stream, &mut modern_stream] {
            let update = stream.message_where(|message| message["method"] == UPDATED);
            assert_eq!(update["params"]["title"], "T", "{era}");
        }
    }
}

#[test]
fn what_cannot_be_watched_is_refused_or_left_out() {
    for era in ERAS {
        let mut config = config(
            json!({"watched": peers::fixture("watched.py", &[era])}),
            json!({"conflicts": "none", "resources": {"allow": ["doc:///**"]}}),
        );
        config["limits"]["subscriptions"] = json!(2);
        let weir = Weir::serve(config);
        let (legacy, modern) = (Legacy::new(weir.endpoint()), Modern::new(weir.endpoint()));
        let refused = |uri: &str| {
            let answer = legacy.ask("resources/subscribe", json!({"uri": uri}));
            (answer.error(), answer.message["error"]["message"].as_str().expect("a message").to_owned())
        };
        assert_eq!(
            refused("secret:///a").0,
            legacy.ask("resources/read", json!({"uri": "secret:///a"})).error()
        );
        let (code, message) = refused("doc:///no");
        assert!(code == -32603 && message.starts_with("backend `watched`"), "{era}: {message}");
        assert_eq!(legacy.ask("resources/subscribe", json!({})).error(), -32602);
        let long = format!("doc:///{}", "a".repeat(2048 - 7));
        let longer = format!("{long}a");
        assert_eq!(refused(&longer).0, -32602);
        let (_, _, accepted) = listen(&modern, json!([longer, long]));
        assert_eq!(accepted, json!({"resourceSubscriptions": [long]}), "{era}");
        assert_eq!(legacy.ask("resources/unsubscribe", json!({"uri": "never:///seen"})).result(), &json!({}));
        subscribe(&legacy, "doc:///a");
        subscribe(&legacy, "doc:///b");
        let (code, message) = refused("doc:///c");
        assert!(code == -32000 && message.contains("limit of 2"), "{message}");

        let (_, _, accepted) = listen(&modern, json!(["secret:///a", "doc:///a"]));
        assert_eq!(accepted, json!({"resourceSubscriptions": ["doc:///a"]}), "{era}");
        let (_, _, accepted) = listen(&modern, json!(["doc:///no"]));
        assert_eq!(accepted, json!({}), "{era}");
        let (_, _, accepted) = listen(&modern, json!(["doc:///a", "doc:///b", "doc:///c"]));
        assert_eq!(accepted, json!({"resourceSubscriptions": ["doc:///a", "doc:///b"]}), "{era}");
        let wrong = json!({"notifications": {"resourceSubscriptions": "doc:///a"}});
        assert_eq!(modern.ask("subscriptions/listen", wrong).error(), -32602);
    }
}

#[test]
fn a_part_that_is_not_shown_is_told_of_as_the_whole() {
    for (resources, prefix) in [(json!({}), ""), (json!({"uris": "prefix"}), "weir+watched:")] {
        let mut resources = resources;
        resources["deny"] = json!(["doc:///a/secret/**"]);
        let weir = Weir::serve(config(
            json!({"watched": peers::fixture("watched.py", &["modern"])}),
            json!({"conflicts": "none", "resources": resources}),
        ));
        let (legacy, modern) = (Legacy::new(weir.endpoint()), Modern::new(weir.endpoint()));
        let mut legacy_stream = legacy.listen();
        let watched = format!("{prefix}doc:///a");
        subscribe(&legacy, &watched);
        let (mut modern_stream, ..) = listen(&modern, json!([watched]));
        for (changed, told) in [("doc:///a/secret/b", "doc:///a"), ("doc:///a/part", "doc:///a/part")] {
            modern.call("touch", json!({"uri": changed}));
            for stream in [&mut legacy_stream, &mut modern_stream] {
                let update = stream.message_where(|message| message["method"] == UPDATED);
                assert_eq!(update["params"]["uri"], format!("{prefix}{told}"), "{update}");
            }
        }
    }
}

#[test]
fn a_filter_may_ask_for_what_weir_does_not_know() {
    let weir = watched("modern");
    let client = Modern::new(weir.endpoint());
    let filter =
        json!({"taskIds": ["t"], "odd": {"a": 1}, "toolsListChanged": true, "promptsListChanged": false});
    let (request, _) = client.prepare("subscriptions/listen", json!({"notifications": filter}));
    let mut stream = request.open(&weir.endpoint()).events();
    assert_eq!(stream.message()["params"]["notifications"], json!({"toolsListChanged": true}));
    // It ends with its result.
    weir.terminate();
    let end = stream.message();
    assert_eq!(
        (&end["result"]["resultType"], end["result"]["_meta"].get(ID)),
        (&json!("complete"), end.get("id"))
    );
}

#[test]
fn a_client_may_tell_what_nobody_needs() {
    let weir = watched("legacy");
    let client = Legacy::new(weir.endpoint());
    client.tell("notifications/roots/list_changed", json!({}));
    client.tell("notifications/of/something/else", json!({"a": 1}));
    assert_eq!(client.call("asked", json!({})).text(), "[]");
}

#[test]
fn server_everything_sends_its_updates() {
    let server = peers::everything_http();
    for backend in [peers::everything_stdio(), json!({"url": server.url(), "session": "shared"})] {
        let weir = Weir::over(json!({"everything": backend}));
        let client = Legacy::new(weir.endpoint());
        let mut stream = client.listen();
        let uri = |number: u32| format!("demo://resource/dynamic/text/{number}");
        subscribe(&client, &uri(1));
        subscribe(&client, &uri(2));
        client.call("toggle-subscriber-updates", json!({}));
        let updated = |message: &Value| message["method"] == UPDATED;
        assert_eq!(stream.message_where(updated)["params"]["uri"], uri(1));
        assert_eq!(stream.message_where(updated)["params"]["uri"], uri(2));
        client.ask("resources/unsubscribe", json!({"uri": uri(1)})).result();
        // Switched off and on again, it sends at once.
        client.call("toggle-subscriber-updates", json!({}));
        client.call("toggle-subscriber-updates", json!({}));
        assert_eq!(stream.message_where(updated)["params"]["uri"], uri(2));
    }
}

#[test]
fn subscriptions_outlive_a_server_over_http() {
    let mut server = peers::everything_http();
    let weir = Weir::over(json!({"everything": {"url": server.url(), "session": "shared"}}));
    let (legacy, modern) = (Legacy::new(weir.endpoint()), Modern::new(weir.endpoint()));
    let mut legacy_stream = legacy.listen();
    let uri = "demo://resource/dynamic/text/1";
    subscribe(&legacy, uri);
    let (mut modern_stream, ..) = listen(&modern, json!([uri]));
    server.restart();
    for stream in [&mut legacy_stream, &mut modern_stream] {
        let missed = stream.message_where(|message| message["method"] == UPDATED);
        assert_eq!(missed["params"]["uri"], uri);
    }
    legacy.call("toggle-subscriber-updates", json!({}));
    for stream in [&mut legacy_stream, &mut modern_stream] {
        stream.message_where(|message| message["method"] == UPDATED);
    }
}

#[test]
fn every_client_library_hears_of_updates() {
    let server = peers::conformance_http();
    let uri = "test://watched-resource";
    for era in ERAS {
        let backend = json!({"url": server.url(), "era": era, "session": "shared"});
        let weir = Weir::over(json!({"conformance": backend}));
        for (sdk, mode) in SDKS.into_iter().flat_map(|sdk| MODES.map(|mode| (sdk, mode))) {
            let steps = [driver::watch(uri, "touch", json!({"uri": uri}))];
            let report = driver::session(sdk, mode, &weir.url(), &steps);
            assert_eq!(report.ok(0), uri, "{sdk:?} {mode} over {era}");
        }
    }
}

#[test]
fn programs_that_start_weir_hear_of_updates_and_logs() {
    for era in ERAS {
        let backends = json!({"watched": peers::fixture("watched.py", &[era])});
        let (_directory, words) = stdio::command_line(config(backends, json!({"conflicts": "none"})));
        let steps = [
            driver::watch("doc:///a", "touch", json!({"uri": "doc:///a"})),
            driver::log("warning", "log", json!({"levels": ["info", "error", "alert"]})),
        ];
        for (sdk, mode) in SDKS.into_iter().flat_map(|sdk| MODES.map(|mode| (sdk, mode))) {
            let report = driver::session(sdk, mode, &json!(words).to_string(), &steps);
            assert_eq!(report.ok(0), "doc:///a", "{sdk:?} {mode} over {era}");
            // The TypeScript client loses notices that it reads together with the answer behind them.
            if sdk == Sdk::Python {
                assert_eq!(report.ok(1), &json!([{"at": "error"}, {"at": "alert"}]), "{mode} over {era}");
            }
        }
    }
}

#[test]
fn a_modern_server_over_http_has_one_stream_for_everybody() {
    // What the server saw: streams that were opened for these resources, and streams that were closed.
    let seen: Arc<Mutex<Vec<Value>>> = Arc::default();
    let log = Arc::clone(&seen);
    let rest = scripted::modern(json!([]), |request, reply| reply.result(request, json!({})));
    let server = Scripted::start(move |request, reply| {
        let listed = |result: Value| {
            let mut all = json!({"resultType": "complete", "ttlMs": 0, "cacheScope": "public"});
            all.as_object_mut().expect("an object").extend(result.as_object().expect("an object").clone());
            all
        };
        match request.rpc_method().as_str() {
            "server/discover" => reply.result(
                request,
                listed(json!({"supportedVersions": [modern::REVISION], "capabilities": {"resources": {"subscribe": true}}})),
            ),
            "subscriptions/listen" => {
                let message = request.json();
                let uris = message["params"]["notifications"]["resourceSubscriptions"].clone();
                log.lock().push(json!(["open", uris]));
                let has = |uri: &str| uris.as_array().is_some_and(|uris| uris.contains(&json!(uri)));
                if has("doc:///error") {
                    let error = json!({"jsonrpc": "2.0", "id": message["id"], "error": {"code": -32603, "message": "no"}});
                    return reply.json(error.to_string());
                }
                reply.open_events();
                if !has("doc:///silence") {
                    let meta = json!({ID: message["id"]});
                    let params = json!({"notifications": {"resourceSubscriptions": uris}, "_meta": meta});
                    let method = "notifications/subscriptions/acknowledged";
                    reply.event(json!({"jsonrpc": "2.0", "method": method, "params": params}));
                    let update = json!({"uri": "doc:///a", "_meta": meta});
                    reply.event(json!({"jsonrpc": "2.0", "method": UPDATED, "params": update}));
                }
                reply.wait_for_close();
                log.lock().push(json!(["close", uris]));
            }
            _ => rest(request, reply),
        }
    });
    let backend = peers::bounded(server.backend(), &[("list", Duration::from_secs(2))]);
    let weir = Weir::over(json!({"scripted": backend}));
    let sees = |expected: Value| {
        wait::until_true("the server sees that", || json!(*seen.lock()) == expected);
    };
    let clients: Vec<Modern> = (0..3).map(|_| Modern::new(weir.endpoint())).collect();
    let mut streams = Vec::new();
    for client in &clients {
        let (stream, id, accepted) = listen(client, json!(["doc:///a"]));
        assert_eq!(accepted, json!({"resourceSubscriptions": ["doc:///a"]}));
        streams.push((stream, id));
    }
    let (a, both) = (json!(["doc:///a"]), json!(["doc:///a", "doc:///b"]));
    sees(json!([["open", null], ["open", a], ["close", null]]));
    // What the server does not agree to costs nobody the stream.
    for uri in ["doc:///error", "doc:///silence"] {
        assert_eq!(listen(&clients[0], json!([uri])).2, json!({}), "{uri}");
    }
    let (error, silence) = (json!(["doc:///a", "doc:///error"]), json!(["doc:///a", "doc:///silence"]));
    sees(json!([
        ["open", null],
        ["open", a],
        ["close", null],
        ["open", error],
        ["open", silence],
        ["close", silence]
    ]));
    seen.lock().clear();
    let (_other, ..) = listen(&clients[0], json!(["doc:///b"]));
    sees(json!([["open", both], ["close", a]]));
    // The server told of a change with the new stream.
    for (stream, id) in &mut streams {
        assert_eq!(stream.message()["params"], json!({"uri": "doc:///a", "_meta": {ID: id}}));
    }
}

#[test]
fn subscriptions_outlive_a_modern_server_over_http() {
    let mut server = peers::conformance_http();
    let weir = Weir::over(json!({"conformance": {"url": server.url(), "era": "modern"}}));
    let client = Modern::new(weir.endpoint());
    let uri = "test://watched-resource";
    let (mut stream, ..) = listen(&client, json!([uri]));
    server.restart();
    assert_eq!(stream.message()["params"]["uri"], uri, "something may have been missed");
    client.call("touch", json!({"uri": uri}));
    assert_eq!(stream.message()["params"]["uri"], uri);
}

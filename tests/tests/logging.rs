//! Log messages of a server: to the client that asked for them, from the level it asked for, and to nobody else.

use serde_json::{Value, json};
use weir_tests::driver::{self, MODES, SDKS};
use weir_tests::{Answer, Legacy, Modern, Speak, Weir, peers};

const ERAS: [&str; 2] = ["legacy", "modern"];

fn logged(answer: &Answer) -> Vec<&Value> {
    let messages = answer.events.iter().filter(|event| event["method"] == "notifications/message");
    messages.map(|message| &message["params"]["data"]).collect()
}

fn log_three(level: Option<&str>) -> Value {
    let mut params = json!({"name": "test_tool_with_logging", "arguments": {}});
    if let Some(level) = level {
        params["_meta"]["io.modelcontextprotocol/logLevel"] = json!(level);
    }
    params
}

#[test]
fn a_modern_client_asks_for_a_level_call_by_call() {
    let server = peers::conformance_http();
    for era in ERAS {
        let weir = Weir::over(json!({"conformance": {"url": server.url(), "era": era}}));
        let client = Modern::new(weir.endpoint());
        let three = [
            json!("Tool execution started"),
            json!("Tool processing data"),
            json!("Tool execution completed"),
        ];
        let asked = client.ask("tools/call", log_three(Some("debug")));
        assert_eq!(logged(&asked), three.iter().collect::<Vec<_>>(), "{era}");
        let above = client.ask("tools/call", log_three(Some("error")));
        assert!(logged(&above).is_empty(), "{era}: {:?}", above.events);
        let unasked = client.ask("tools/call", log_three(None));
        assert!(logged(&unasked).is_empty(), "{era}: {:?}", unasked.events);
    }
}

#[test]
fn a_legacy_client_sets_a_level_for_its_session() {
    let server = peers::conformance_http();
    for era in ERAS {
        let weir = Weir::over(json!({"conformance": {"url": server.url(), "era": era}}));
        let client = Legacy::new(weir.endpoint());
        client.ask("logging/setLevel", json!({"level": "debug"})).result();
        assert_eq!(logged(&client.ask("tools/call", log_three(None))).len(), 3, "{era}");
        client.ask("logging/setLevel", json!({"level": "error"})).result();
        assert!(logged(&client.ask("tools/call", log_three(None))).is_empty(), "{era}");
    }
}

#[test]
fn a_level_that_does_not_exist_is_refused() {
    let weir = Weir::over(json!({"everything": peers::everything_stdio()}));
    let client = Legacy::new(weir.endpoint());
    assert_eq!(client.ask("logging/setLevel", json!({"level": "deafening"})).error(), -32602);
}

/// The data of the log messages that come before an answer, from the fixture that says at which level it logs.
fn levels(answer: &Answer) -> Vec<&str> {
    logged(answer).into_iter().map(|data| data["at"].as_str().expect("a level")).collect()
}

fn watched(era: &str) -> Weir {
    Weir::over(json!({"watched": peers::fixture("watched.py", &[era])}))
}

#[test]
fn a_legacy_client_that_sets_no_level_hears_what_is_worth_knowing() {
    for era in ERAS {
        let weir = watched(era);
        let client = Legacy::new(weir.endpoint());
        assert_eq!(client.welcome["capabilities"]["logging"], json!({}));
        let all = json!({"levels": ["debug", "info", "emergency"]});
        let answer = client.call("log", all.clone());
        assert_eq!(levels(&answer), ["info", "emergency"], "{era}");
        // Members that weir does not know stay.
        assert_eq!(answer.events[0]["params"]["logger"], "l");
        assert_eq!(answer.text(), if era == "modern" { "\"info\"" } else { "null" });
        assert!(!client.call("asked", json!({})).text().contains("level"), "{era}");

        client.ask("logging/setLevel", json!({"level": "debug"})).result();
        assert_eq!(levels(&client.call("log", all.clone())), ["debug", "info", "emergency"], "{era}");
        client.ask("logging/setLevel", json!({"level": "alert"})).result();
        assert_eq!(levels(&client.call("log", all)), ["emergency"], "{era}");
    }
}

#[test]
fn the_server_is_told_the_most_that_anybody_wants() {
    let weir = watched("legacy");
    let modern = Modern::new(weir.endpoint());
    let log = |level: &str| {
        let params = json!({"name": "log", "arguments": {"levels": ["debug", "error"]}, "_meta": {"io.modelcontextprotocol/logLevel": level}});
        modern.ask("tools/call", params)
    };
    assert_eq!(levels(&log("error")), ["error"]);
    assert_eq!(levels(&log("debug")), ["debug", "error"]);
    assert_eq!(levels(&log("error")), ["error"]);
    assert!(logged(&modern.call("log", json!({"levels": ["error"]}))).is_empty());
    // Others share the session, so it never logs less than they hear who ask for nothing.
    let expected = json!([["level", "info"], ["level", "debug"]]);
    assert_eq!(
        serde_json::from_str::<Value>(modern.call("asked", json!({})).text()).expect("JSON"),
        expected
    );
}

#[test]
fn a_modern_server_hears_what_the_client_wrote() {
    let weir = watched("modern");
    let client = Modern::new(weir.endpoint());
    let log = |meta: Value| {
        client.ask("tools/call", json!({"name": "log", "arguments": {"levels": ["error"]}, "_meta": meta}))
    };
    assert_eq!(log(json!({"io.modelcontextprotocol/logLevel": "warning"})).text(), "\"warning\"");
    assert_eq!(log(json!({"k": 1})).text(), "null");
    let refused = log(json!({"io.modelcontextprotocol/logLevel": "deafening"}));
    assert_eq!((refused.status, refused.error()), (400, -32602));
}

#[test]
fn a_message_that_may_be_anybodys_is_nobodys() {
    // Two calls at once in one process: over standard output nobody can tell whose message is whose.
    for (session, expected) in [("shared", 0), ("client", 4)] {
        let mut backend = peers::fixture("watched.py", &["legacy"]);
        backend["session"] = json!(session);
        let weir = Weir::over(json!({"watched": backend}));
        let client = Legacy::new(weir.endpoint());
        let mut stream = client.listen();
        let arguments = json!({"levels": ["debug", "error", "alert"], "together": true});
        let answers = std::thread::scope(|scope| {
            let calls = [0; 2].map(|_| scope.spawn(|| client.call("log", arguments.clone())));
            calls.map(|call| call.join().expect("an answer"))
        });
        assert!(answers.iter().all(|answer| levels(answer).is_empty()), "{session}: {answers:?}");
        // A process that belongs to one session logs for that session.
        for _ in 0..expected {
            let message = stream.message();
            assert_eq!(message["method"], "notifications/message");
            assert_ne!(message["params"]["level"], "debug", "nobody asked for it");
        }
        assert_eq!(levels(&client.call("log", json!({"levels": ["error"]}))), ["error"], "{session}");
    }
}

#[test]
fn every_client_library_hears_the_log() {
    let server = peers::conformance_http();
    for era in ERAS {
        let weir = Weir::over(json!({"conformance": {"url": server.url(), "era": era}}));
        for (sdk, mode) in SDKS.into_iter().flat_map(|sdk| MODES.map(|mode| (sdk, mode))) {
            let steps = [driver::log("info", "test_tool_with_logging", json!({}))];
            let report = driver::session(sdk, mode, &weir.url(), &steps);
            let logged = report.ok(0).as_array().expect("messages");
            assert_eq!(logged.len(), 3, "{sdk:?} {mode} over {era}: {logged:?}");
        }
    }
}

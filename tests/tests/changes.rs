//! Lists that change while clients look: what they are told, and which list they see.

use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use weir_tests::scripted::{self, tool};
use weir_tests::weir::config;
use weir_tests::{Legacy, Modern, Scripted, Speak, Weir, peers, wait};

#[test]
fn a_client_that_pages_through_a_change_sees_one_list() {
    let mut config = config(
        json!({"changing": peers::fixture("changing.py", &["legacy"])}),
        json!({"conflicts": "none", "page_size": 1}),
    );
    config["endpoints"]["main"]["backends"] = json!(["changing"]);
    let weir = Weir::serve(config);
    let clients: [Box<dyn Speak>; 2] =
        [Box::new(Modern::new(weir.endpoint())), Box::new(Legacy::new(weir.endpoint()))];
    for client in clients {
        let first = client.ask("tools/list", json!({}));
        let cursor = json!({"cursor": first.result()["nextCursor"]});
        let add = |name: &str| {
            client.call("add_tool", json!({"name": name}));
            wait::until_true("the new tool is listed", || client.tool_names().contains(&name.to_owned()));
        };
        let remove = |name: &str| {
            client.call("remove_tool", json!({"name": name}));
            wait::until_true("the old tool is gone", || !client.tool_names().contains(&name.to_owned()));
        };
        add("later");
        let second = client.ask("tools/list", cursor.clone());
        assert_eq!(second.result()["tools"][0]["name"], "remove_tool");
        assert_eq!(second.result()["nextCursor"], Value::Null, "the list of then ends here");
        // The seven catalogs before the current one are kept.
        for _ in 0..4 {
            remove("later");
            add("later");
        }
        assert_eq!(client.ask("tools/list", cursor).error(), -32602);
        remove("later");
    }
}

#[test]
fn a_legacy_client_hears_of_changes_on_its_stream() {
    for era in ["legacy", "modern"] {
        let weir = Weir::over(json!({"changing": peers::fixture("changing.py", &[era])}));
        let client = Legacy::new(weir.endpoint());
        assert_eq!(client.welcome["capabilities"]["tools"]["listChanged"], true);
        let mut stream = client.listen();
        client.call("add_tool", json!({"name": "later"}));
        assert_eq!(stream.message()["method"], "notifications/tools/list_changed");
        assert_eq!(client.tool_names(), ["add_tool", "remove_tool", "later"]);
        assert_eq!(client.call("later", json!({})).text(), "this is later");
        client.call("remove_tool", json!({"name": "later"}));
        assert_eq!(stream.message()["method"], "notifications/tools/list_changed");
        assert_eq!(client.tool_names(), ["add_tool", "remove_tool"]);
    }
}

#[test]
fn a_modern_client_hears_of_the_changes_it_asked_for() {
    for era in ["legacy", "modern"] {
        let weir = Weir::over(json!({"changing": peers::fixture("changing.py", &[era])}));
        let client = Modern::new(weir.endpoint());
        let listen = |filter: Value| client.prepare("subscriptions/listen", json!({"notifications": filter}));
        let (request, id) = listen(json!({"toolsListChanged": true}));
        let mut stream = request.open(&weir.endpoint()).events();
        let first = stream.message();
        assert_eq!(first["method"], "notifications/subscriptions/acknowledged");
        assert_eq!(first["params"]["notifications"]["toolsListChanged"], true);

        client.call("add_tool", json!({"name": "later"}));
        let change = stream.message();
        assert_eq!(change["method"], "notifications/tools/list_changed");
        assert_eq!(change["params"]["_meta"]["io.modelcontextprotocol/subscriptionId"], id);
        assert_eq!(client.tool_names(), ["add_tool", "remove_tool", "later"]);
    }
}

#[test]
fn a_backend_that_comes_later_is_announced() {
    // A program that is not there yet, and a server that is not well yet.
    let folder = tempfile::tempdir().expect("a folder");
    let script = folder.path().join("later.py");
    let mut program = peers::fixture("echo.py", &["legacy"]);
    let real = program["args"][0].as_str().expect("a path").to_owned();
    program["args"][0] = json!(script);
    appears(program, "line", || {
        std::os::unix::fs::symlink(&real, &script).expect("the program can be put there");
    });

    let well = Arc::new(AtomicBool::new(false));
    let seen = Arc::clone(&well);
    let script = scripted::modern(json!([tool("one")]), |request, reply| {
        reply.result(request, json!({"resultType": "complete", "content": []}));
    });
    let server = Scripted::start(move |request, reply| {
        if seen.load(Ordering::Relaxed) {
            script(request, reply);
        } else {
            reply.body(503, "text/plain", "not yet");
        }
    });
    appears(server.backend(), "one", || well.store(true, Ordering::Relaxed));
}

/// Checks that clients of both eras hear of a backend that is there only after `arrive`, and can call its tool.
fn appears(backend: Value, tool: &str, arrive: impl Fn()) {
    let weir = Weir::over(json!({"later": backend, "time": peers::time()}));
    let (legacy, modern) = (Legacy::new(weir.endpoint()), Modern::new(weir.endpoint()));
    let mut legacy_stream = legacy.listen();
    let listen = json!({"notifications": {"toolsListChanged": true}});
    let (request, _) = modern.prepare("subscriptions/listen", listen);
    let mut modern_stream = request.open(&weir.endpoint()).events();
    modern_stream.message();
    assert_eq!(modern.tool_names(), ["get_current_time", "convert_time"]);
    arrive();
    for stream in [&mut legacy_stream, &mut modern_stream] {
        stream.message_where(|message| message["method"] == "notifications/tools/list_changed");
    }
    for client in [&legacy as &dyn Speak, &modern] {
        assert!(client.tool_names().contains(&tool.to_owned()));
        assert!(!client.call(tool, json!({})).failed());
    }
}

//! Icons in the lists themselves: fetched from their own server, and from nowhere else.

use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use weir_tests::scripted::{self, Received, Reply, tool};
use weir_tests::weir::config;
use weir_tests::{Legacy, Modern, Scripted, Speak, Weir, stdio, wait};

/// "image" in base64 is `aW1hZ2U=`.
const PNG: &str = "data:image/png;base64,aW1hZ2U=";
const SVG: &str = "data:image/svg+xml;base64,aW1hZ2U=";
const LARGEST: usize = 64 << 10;

fn both(weir: &Weir) -> [Box<dyn Speak>; 2] {
    [Box::new(Modern::new(weir.endpoint())), Box::new(Legacy::new(weir.endpoint()))]
}

/// Tools by their name, each with one icon at that path of `origin`, and one with several icons.
fn tools(origin: &str, elsewhere: &str) -> Value {
    let with = |name: &str, icons: Value| {
        let mut tool = tool(name);
        tool["icons"] = icons;
        tool
    };
    let paths = ["good", "again", "edge", "large", "endless", "redirect", "page", "missing", "compressed"];
    let mut tools: Vec<Value> =
        paths.iter().map(|path| with(path, json!([{"src": format!("{origin}/{path}")}]))).collect();
    tools.push(with("elsewhere", json!([{"src": elsewhere}])));
    tools.push(with("data", json!([{"src": "data:image/gif;base64,AA=="}])));
    tools.push(with(
        "several",
        json!([
            {"src": elsewhere},
            {"src": format!("{origin}/good"), "sizes": ["48x48"], "theme": "dark"},
            {"src": "data:,x"},
            {"src": "icons/relative.png"},
            {"src": format!("{origin}/vector?a=b#c"), "mimeType": "image/svg+xml"},
        ]),
    ));
    json!(tools)
}

/// What clients see of them, by name: the icons, `null` where there are none.
fn expected() -> Value {
    let edge = format!("data:image/webp;base64,{}", "AAAA".repeat(LARGEST / 3) + "AA==");
    json!({
        "good": [{"src": PNG}],
        "again": [{"src": PNG}],
        "edge": [{"src": edge}],
        "large": null, "endless": null, "redirect": null, "page": null, "missing": null, "compressed": null,
        "elsewhere": null,
        "data": [{"src": "data:image/gif;base64,AA=="}],
        "several": [
            {"src": PNG, "sizes": ["48x48"], "theme": "dark"},
            {"src": "data:,x"},
            {"src": SVG, "mimeType": "image/svg+xml"},
        ],
    })
}

fn icons(client: &dyn Speak) -> Value {
    let tools = client.list("tools/list", "tools");
    tools.iter().map(|tool| (tool["name"].as_str().unwrap().to_owned(), tool["icons"].clone())).collect()
}

fn image(request: &Received, reply: &mut Reply<'_>) {
    match &*request.path {
        "/good" | "/again" | "/moved" => reply.body(200, "image/png", "image"),
        "/vector?a=b" => reply.body(200, "Image/SVG+XML; charset=utf-8", "image"),
        "/edge" => reply.body(200, "image/webp", vec![0; LARGEST]),
        "/large" => reply.body(200, "image/png", vec![0; LARGEST + 1]),
        "/endless" => {
            reply.raw("HTTP/1.1 200 OK\r\ncontent-type: image/png\r\nconnection: close\r\n\r\n");
            reply.flood(&[0; 1024]);
        }
        "/redirect" => {
            let head =
                "HTTP/1.1 302 Found\r\nlocation: /moved\r\ncontent-type: image/png\r\ncontent-length: 0";
            reply.raw(format!("{head}\r\n\r\n"));
        }
        "/page" => reply.body(200, "text/html", "image"),
        "/compressed" => {
            let head =
                "HTTP/1.1 200 OK\r\ncontent-type: image/png\r\ncontent-encoding: gzip\r\ncontent-length: 5";
            reply.raw(format!("{head}\r\n\r\nimage"));
        }
        _ => reply.body(404, "image/png", "image"),
    }
}

/// A server of `era` whose tools are what `tools` makes of its own origin; icons are answered by `image`.
fn server(
    era: &'static str,
    tools: impl Fn(&str) -> Value + Send + Sync + 'static,
    image: impl Fn(&Received, &mut Reply<'_>) + Send + Sync + 'static,
) -> Scripted {
    Scripted::start(move |request, reply| {
        if request.path != "/mcp" {
            return image(request, reply);
        }
        let tools = tools(&format!("http://{}", request.header("host").unwrap()));
        let other = |_: &Received, reply: &mut Reply<'_>| reply.body(500, "text/plain", "");
        match era {
            "modern" => scripted::modern(tools, other)(request, reply),
            _ => scripted::legacy(tools, other)(request, reply),
        }
    })
}

fn inline(backends: Value) -> Weir {
    Weir::serve(config(backends, json!({"conflicts": "none", "icons": "inline"})))
}

fn count(server: &Scripted, path: &str) -> usize {
    server.received().iter().filter(|request| request.path == path).count()
}

#[test]
fn icons_of_the_servers_own_origin_are_embedded() {
    for era in ["modern", "legacy"] {
        let stranger = Scripted::start(|_, reply| reply.body(200, "image/png", "image"));
        let elsewhere = stranger.url().replace("/mcp", "/icon.png");
        let server = server(era, move |origin| tools(origin, &elsewhere), image);
        let mut backend = server.backend();
        backend["headers"] = json!({"authorization": "Bearer s3cr3t"});
        backend["timeouts"] = json!({"refresh": "1s"});
        let weir = inline(json!({"drawn": backend}));
        for client in both(&weir) {
            wait::until_true("the icons are there", || icons(&*client)["good"] != Value::Null);
            assert_eq!(icons(&*client), expected(), "{era}");
        }
        let lists = server.received_of("tools/list").len();
        wait::until_true("the lists are fetched again", || {
            server.received_of("tools/list").len() >= lists + 2
        });
        let paths = ["/good", "/vector?a=b", "/large", "/redirect", "/page", "/missing"];
        assert_eq!(paths.map(|path| count(&server, path)), [1; 6], "{era}: each is fetched once");
        assert_eq!(count(&server, "/moved"), 0, "{era}: a redirect is not followed");
        assert!(stranger.received().is_empty(), "{era}: {:?}", stranger.received());
        for request in server.received() {
            let is_icon = request.path != "/mcp";
            assert_eq!(request.header("authorization").is_none(), is_icon, "{request:?}");
            assert_eq!(request.header("accept").unwrap().contains("image/png"), is_icon, "{request:?}");
            assert!(!is_icon || request.method == "GET", "{request:?}");
        }
        assert_eq!(weir.log().matches("icons are left out").count(), 1, "{}", weir.log());
    }
}

#[test]
fn lists_do_not_wait_for_icons_and_clients_hear_of_them() {
    let open = Arc::new(AtomicBool::new(false));
    let gate = open.clone();
    let tools = |origin: &str| {
        let mut tool = tool("t");
        tool["icons"] = json!([{"src": format!("{origin}/good")}]);
        json!([tool])
    };
    let server = server("modern", tools, move |request, reply| {
        wait::until_true("the icon may come", || gate.load(Ordering::Relaxed));
        image(request, reply);
    });
    let weir = inline(json!({"drawn": server.backend()}));
    wait::until_true("the icon is asked for", || count(&server, "/good") == 1);
    let (modern, legacy) = (Modern::new(weir.endpoint()), Legacy::new(weir.endpoint()));
    let mut old_stream = legacy.listen();
    let filter = json!({"notifications": {"toolsListChanged": true}});
    let (request, _) = modern.prepare("subscriptions/listen", filter);
    let mut new_stream = request.open(&weir.endpoint()).events();
    assert_eq!(new_stream.message()["method"], "notifications/subscriptions/acknowledged");
    assert_eq!(icons(&modern), json!({"t": null}));
    assert_eq!(icons(&legacy), json!({"t": null}));

    open.store(true, Ordering::Relaxed);
    assert_eq!(new_stream.message()["method"], "notifications/tools/list_changed");
    assert_eq!(old_stream.message()["method"], "notifications/tools/list_changed");
    assert_eq!(icons(&modern), json!({"t": [{"src": PNG}]}));
    assert_eq!(icons(&legacy), json!({"t": [{"src": PNG}]}));
}

#[test]
fn a_silent_icon_does_not_keep_the_others_back() {
    let tools = |origin: &str| {
        json!(["good", "silent"].map(|path| {
            let mut tool = tool(path);
            tool["icons"] = json!([{"src": format!("{origin}/{path}")}]);
            tool
        }))
    };
    let server = server("modern", tools, |request, reply| match &*request.path {
        "/silent" => reply.wait_for_close(),
        _ => image(request, reply),
    });
    let mut backend = server.backend();
    backend["timeouts"] = json!({"list": "2s"});
    let weir = inline(json!({"drawn": backend}));
    for client in both(&weir) {
        wait::until_true("the other icon is there", || {
            icons(&*client) == json!({"good": [{"src": PNG}], "silent": null})
        });
    }
    wait::until_true("it is told", || weir.log().contains("did not answer within 2 s (an icon)"));
}

#[test]
fn a_server_with_many_icons_is_asked_for_some_and_a_few_at_once() {
    let tools = |origin: &str| {
        let with = |at: usize| {
            let mut tool = tool(&format!("t{at}"));
            tool["icons"] = json!([{"src": format!("{origin}/{at}")}]);
            tool
        };
        (0..300).map(with).collect()
    };
    let (now, most) = (AtomicUsize::new(0), Arc::new(AtomicUsize::new(0)));
    let seen = most.clone();
    let server = server("modern", tools, move |_, reply| {
        seen.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
        wait::until_true("several are asked for at once", || seen.load(Ordering::SeqCst) >= 4);
        now.fetch_sub(1, Ordering::SeqCst);
        reply.body(200, "image/png", "image");
    });
    let weir = inline(json!({"drawn": server.backend()}));
    for client in both(&weir) {
        let shown = || icons(&*client).as_object().unwrap().values().filter(|icons| !icons.is_null()).count();
        wait::until_true("the icons are there", || shown() > 0);
        assert_eq!(shown(), 256);
    }
    assert_eq!(server.received().iter().filter(|request| request.method == "GET").count(), 256);
    assert_eq!(most.load(Ordering::SeqCst), 4);
    assert!(weir.log().contains("more than 256"), "{}", weir.log());
}

#[test]
fn icons_of_prompts_and_resources_are_embedded_too() {
    let server = Scripted::start(|request, reply| {
        let icons = json!([{"src": format!("http://{}/good", request.header("host").unwrap())}]);
        let (member, item) = match &*request.rpc_method() {
            _ if request.path != "/mcp" => return image(request, reply),
            "server/discover" => {
                let result = json!({
                    "resultType": "complete", "ttlMs": 60_000, "cacheScope": "public",
                    "supportedVersions": [weir_tests::modern::REVISION],
                    "capabilities": {"prompts": {}, "resources": {}},
                });
                return reply.result(request, result);
            }
            "prompts/list" => ("prompts", json!({"name": "p", "icons": icons})),
            "resources/list" => ("resources", json!({"uri": "a:b", "name": "r", "icons": icons})),
            "resources/templates/list" => {
                ("resourceTemplates", json!({"uriTemplate": "a:{b}", "name": "t", "icons": icons}))
            }
            _ => return scripted::modern(json!([]), |_, _| {})(request, reply),
        };
        let result =
            json!({"resultType": "complete", "ttlMs": 60_000, "cacheScope": "public", member: [item]});
        reply.result(request, result);
    });
    let weir = inline(json!({"drawn": server.backend()}));
    for client in both(&weir) {
        for (method, member) in [
            ("prompts/list", "prompts"),
            ("resources/list", "resources"),
            ("resources/templates/list", "resourceTemplates"),
        ] {
            wait::until_true("the icon is there", || {
                client.list(method, member)[0]["icons"] == json!([{"src": PNG}])
            });
        }
    }
    assert_eq!(count(&server, "/good"), 1);
}

#[test]
fn a_reload_fetches_icons_and_lets_go_of_them() {
    let tools = |origin: &str| {
        let mut tool = tool("t");
        tool["icons"] = json!([{"src": format!("{origin}/good")}]);
        json!([tool])
    };
    let server = server("modern", tools, image);
    let over = |icons: &str| {
        config(json!({"drawn": server.backend()}), json!({"conflicts": "none", "icons": icons}))
    };
    let weir = Weir::serve(over("keep"));
    let client = Modern::new(weir.endpoint());
    let kept = icons(&client);
    assert!(kept["t"][0]["src"].as_str().unwrap().ends_with("/good"), "{kept}");
    weir.reconfigure(over("inline"));
    wait::until_true("the icon is embedded", || icons(&client) == json!({"t": [{"src": PNG}]}));
    weir.reconfigure(over("drop"));
    wait::until_true("the icon is gone", || icons(&client) == json!({"t": null}));
    weir.reconfigure(over("keep"));
    wait::until_true("the icon is the server's", || icons(&client) == kept);
    assert_eq!(count(&server, "/good"), 1);
}

#[test]
fn a_program_makes_weir_fetch_nothing() {
    let server = server("modern", |origin| tools(origin, "https://example.com/icon.png"), image);
    let inner = config(json!({"drawn": server.backend()}), json!({"conflicts": "none"}));
    let (_directory, words) = stdio::command_line(inner);
    let weir = inline(json!({"program": {"command": words[0], "args": words[1..]}}));
    wait::until_true("it is told", || weir.log().contains("icons are left out"));
    for client in both(&weir) {
        let icons = icons(&*client);
        assert_eq!(icons["good"], Value::Null);
        assert_eq!(icons["several"], json!([{"src": "data:,x"}]));
    }
    assert!(server.received().iter().all(|request| request.path == "/mcp"), "{:?}", server.received());
    assert_eq!(weir.log().matches("icons are left out").count(), 1, "{}", weir.log());
}

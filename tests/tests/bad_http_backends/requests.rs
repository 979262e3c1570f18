//! Floods of what a server may send.

use serde_json::json;
use weir_tests::scripted::{self, GOOD, Step, json as answer, play, send, tool};
use weir_tests::{Legacy, Scripted, Speak, Weir};

/// Requests of a server that come faster than it takes the answers do not become work without bounds.
#[test]
fn a_flood_of_requests_is_bounded() {
    let stream = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n";
    let ping = "data: {\"jsonrpc\":\"2.0\",\"id\":\"p\",\"method\":\"ping\"}\n\n";
    let steps = [send(stream), send(ping.repeat(5000)), send(format!("data: {GOOD}\n\n")), Step::Close];
    let good = [answer(GOOD)];
    let tools = json!([tool("bad"), tool("good")]);
    let answers = scripted::legacy(tools, move |request, reply| {
        let bad = request.json()["params"]["name"] == "bad";
        play(if bad { &steps } else { &good }, request, reply);
    });
    let server = Scripted::start(move |request, reply| match request.json()["id"].as_str() {
        // The answers to its pings are taken and never acknowledged.
        Some("p") => reply.wait_for_close(),
        _ => answers(request, reply),
    });
    let weir = Weir::over(json!({"flooding": {"url": server.url(), "era": "legacy"}}));
    let client = Legacy::new(weir.endpoint());
    assert_eq!(client.call("bad", json!({})).text(), "done");
    assert_eq!(client.call("good", json!({})).text(), "done");
    let answers = server.received().iter().filter(|request| request.json()["id"] == "p").count();
    assert!((1..=100).contains(&answers), "{answers} answers at once");
}

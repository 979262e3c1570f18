//! What servers ask of legacy clients: real requests on the stream of the call, whichever era the server is of.

mod answers;
mod endings;
mod real;
mod rounds;

use serde_json::{Value, json};
use std::io::BufReader;
use weir_tests::http::{Body, Events};
use weir_tests::scripted::{self, Received, Reply, tool};
use weir_tests::{Legacy, Scripted, Speak, Weir, legacy};

type Stream = Events<BufReader<Body>>;

/// A client that can be asked everything.
fn client(weir: &Weir) -> Legacy {
    let capabilities =
        json!({"elicitation": {"form": {}, "url": {}}, "sampling": {"tools": {}}, "roots": {}});
    Legacy::open(weir.endpoint(), legacy::REVISION, capabilities)
}

/// Begins a call without arguments; answers its stream and its id.
fn begin(client: &Legacy, tool: &str) -> (Stream, Value) {
    let (request, id) = client.prepare("tools/call", json!({"name": tool, "arguments": {}}));
    (request.open(client.endpoint()).events(), id)
}

/// The next request on a stream; notifications before it are skipped.
fn question(stream: &mut Stream) -> Value {
    stream.message_where(|message| message.get("method").is_some() && message.get("id").is_some())
}

/// The answer to the request with this id; whatever comes before it is skipped.
fn answer(stream: &mut Stream, id: &Value) -> Value {
    stream.message_where(|message| message["id"] == *id && message.get("method").is_none())
}

/// A legacy server with the tool `ask`, which does what `script` says. It takes responses as servers do.
fn asking(script: impl Fn(&Received, &mut Reply<'_>) + Send + Sync + 'static) -> Scripted {
    let rest = scripted::legacy(json!([tool("ask")]), script);
    Scripted::start(move |request, reply| {
        if request.method == "POST" && request.rpc_method().is_empty() {
            reply.body(202, "text/plain", "");
        } else {
            rest(request, reply);
        }
    })
}

/// The end of a call of the tool `ask`.
fn done(request: &Received) -> String {
    let result = json!({"content": [{"type": "text", "text": "done"}]});
    json!({"jsonrpc": "2.0", "id": request.json()["id"], "result": result}).to_string()
}

/// What the model is told of a call of a tool that failed at its client.
fn told(answer: &Value) -> &str {
    assert_eq!(answer["result"]["isError"], true, "{answer}");
    answer["result"]["content"][0]["text"].as_str().unwrap_or_default()
}

/// A form with this raw id and message.
fn form(id: &str, message: &str) -> String {
    format!(
        r#"{{"jsonrpc":"2.0","id":{id},"method":"elicitation/create","params":{{"message":"{message}","requestedSchema":{{"type":"object","properties":{{}}}}, "x":1.0}}}}"#
    )
}

/// The responses that a server got, as they were written.
fn responses(server: &Scripted) -> Vec<String> {
    let of = |request: &Received| request.method == "POST" && request.rpc_method().is_empty();
    server.received().iter().filter(|request| of(request)).map(Received::text).collect()
}

//! A legacy server with a tool that asks its client what the caller wrote down.

use parking_lot::Mutex;
use serde_json::{Value, json};
use std::sync::Arc;
use weir_tests::scripted::{self, Received, Reply, tool};
use weir_tests::{Answer, Modern, Scripted, Speak, Weir, wait};

/// The server; its tool `ask` takes `rounds`, a list of lists of requests, sends those of one round at once, waits until they
/// are answered, and tells at the end how. `after` is sent before the result; `die` ends the stream instead of answering.
pub struct Asker {
    pub server: Scripted,
    heard: Arc<Mutex<Vec<Value>>>,
}

impl Asker {
    pub fn start() -> Self {
        let heard: Arc<Mutex<Vec<Value>>> = Arc::default();
        let log = heard.clone();
        let tools = json!([tool("ask"), tool("other")]);
        let rest = scripted::legacy(tools, move |request, reply| ask(request, reply, &log));
        let log = heard.clone();
        let server = Scripted::start(move |request, reply| {
            let message = request.json();
            if request.method == "POST" && message.get("id").is_some() && message.get("method").is_none() {
                log.lock().push(message);
                return reply.body(202, "text/plain", "");
            }
            if message["method"] == "notifications/cancelled" {
                log.lock().push(message);
            }
            rest(request, reply);
        });
        Self { server, heard }
    }

    /// weir over it, with these timeouts and limits at the front.
    pub fn weir(&self, timeouts: Value, limits: Value) -> Weir {
        Weir::serve(self.config(timeouts, limits))
    }

    pub fn config(&self, timeouts: Value, limits: Value) -> Value {
        let endpoint = json!({"backends": ["asker"], "path": "/mcp", "conflicts": "none"});
        let second = json!({"backends": ["asker"], "path": "/second", "conflicts": "none"});
        json!({
            "backends": {"asker": self.server.backend()},
            "endpoints": {"main": endpoint, "second": second},
            "timeouts": timeouts,
            "limits": limits,
        })
    }

    /// How often the tools were called.
    pub fn calls(&self) -> usize {
        self.server.received_of("tools/call").len()
    }

    /// What the clients answered; refusals are not theirs.
    pub fn answers(&self) -> Vec<Value> {
        self.heard.lock().iter().filter(|message| message.get("result").is_some()).cloned().collect()
    }

    /// How many calls were cancelled.
    pub fn cancelled(&self) -> usize {
        self.heard.lock().iter().filter(|message| message["method"] == "notifications/cancelled").count()
    }
}

fn ask(request: &Received, reply: &mut Reply<'_>, heard: &Mutex<Vec<Value>>) {
    let message = request.json();
    let (id, arguments) = (message["id"].clone(), &message["params"]["arguments"]);
    reply.open_events();
    let mut told = Vec::new();
    let rounds = arguments["rounds"].as_array().cloned().unwrap_or_default();
    for (round, questions) in rounds.iter().enumerate() {
        let questions = questions.as_array().cloned().unwrap_or_default();
        let ids: Vec<Value> = (0..questions.len()).map(|at| json!(format!("q-{id}-{round}-{at}"))).collect();
        for (question, id) in questions.iter().zip(&ids) {
            let mut question = question.clone();
            question["jsonrpc"] = json!("2.0");
            question["id"] = id.clone();
            reply.event(question);
        }
        if arguments["die"] == true {
            return reply.close();
        }
        if arguments["careless"] == true {
            break;
        }
        for wanted in ids {
            let answer = wait::until("an answer, or the call is cancelled", || {
                let heard = heard.lock();
                let is_answer = |message: &&Value| message["id"] == wanted;
                let is_cancel = |message: &&Value| message["params"]["requestId"] == id;
                heard.iter().find(|message| is_answer(message) || is_cancel(message)).cloned()
            });
            if answer.get("method").is_some() {
                return reply.close();
            }
            told.push(answer);
        }
        if !arguments["progress"].is_null() {
            let token = &message["params"]["_meta"]["progressToken"];
            let params = json!({"progressToken": token, "progress": round + 1});
            reply.event(json!({"jsonrpc": "2.0", "method": "notifications/progress", "params": params}));
        }
    }
    let bare: Vec<Value> = told
        .iter()
        .map(|answer| answer.get("result").or(answer.get("error")).cloned().unwrap_or_default())
        .collect();
    let content = json!([{"type": "text", "text": json!(bare).to_string()}]);
    reply.event(json!({"jsonrpc": "2.0", "id": id, "result": {"content": content}}));
    reply.close();
}

/// A form that asks for a name.
pub fn form(text: &str) -> Value {
    let schema = json!({"type": "object", "properties": {"name": {"type": "string"}}});
    json!({"method": "elicitation/create", "params": {"message": text, "requestedSchema": schema}})
}

pub fn sampling() -> Value {
    let content = json!({"type": "text", "text": "hello"});
    let params = json!({"messages": [{"role": "user", "content": content}], "maxTokens": 5});
    json!({"method": "sampling/createMessage", "params": params})
}

pub fn roots() -> Value {
    json!({"method": "roots/list"})
}

/// The parameters of a call that asks `rounds`.
pub fn call(rounds: Value) -> Value {
    json!({"name": "ask", "arguments": {"rounds": rounds}})
}

/// A modern client that can be asked everything.
pub fn client(weir: &Weir) -> Modern {
    let all = json!({"elicitation": {"form": {}, "url": {}}, "sampling": {}, "roots": {}});
    Modern::with_capabilities(weir.endpoint(), all)
}

/// The keys of what is asked.
pub fn keys(asked: &Answer) -> Vec<String> {
    let result = asked.result();
    assert_eq!(result["resultType"], "input_required", "{}", asked.message);
    assert!(result["requestState"].is_string(), "{}", asked.message);
    result["inputRequests"].as_object().into_iter().flatten().map(|(key, _)| key.clone()).collect()
}

/// The same call again, with these answers.
pub fn retry(params: &Value, asked: &Answer, responses: Value) -> Value {
    let mut params = params.clone();
    params["inputResponses"] = responses;
    params["requestState"] = asked.result()["requestState"].clone();
    params
}

/// The same call again, with everything answered: with the number of the answer under `n`.
pub fn answered(params: &Value, asked: &Answer) -> Value {
    let responses = keys(asked).into_iter().enumerate().map(|(at, key)| (key, accept(at))).collect();
    retry(params, asked, responses)
}

pub fn accept(number: usize) -> Value {
    json!({"action": "accept", "content": {"n": number}})
}

/// Asks, and checks that the client is asked.
pub fn begin(client: &Modern, params: &Value) -> Answer {
    let asked = client.ask("tools/call", params.clone());
    assert!(!keys(&asked).is_empty(), "{}", asked.message);
    asked
}

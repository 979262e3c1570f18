//! JSON-RPC as the tests see it: what a client of any era asks, and what it gets.

use crate::http::Response;
use serde_json::{Value, json};

/// What came back for one request.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The status of the HTTP answer.
    pub status: u16,
    /// The notifications and requests that came before the answer.
    pub events: Vec<Value>,
    /// The answer itself, with `result` or `error`.
    pub message: Value,
}

impl Answer {
    /// Takes the last message of a response as the answer and checks that it is one to the request `id`.
    pub fn of(response: &Response, id: &Value) -> Self {
        let mut events = response.messages();
        let message = events.pop().unwrap_or_else(|| panic!("an answer, not {response:?}"));
        assert_eq!(message["jsonrpc"], "2.0", "{message}");
        assert_eq!(&message["id"], id, "the answer carries the request's id: {message}");
        Self { status: response.status, events, message }
    }

    /// The result. Panics when it is an error.
    pub fn result(&self) -> &Value {
        self.message.get("result").unwrap_or_else(|| panic!("a result, not {}", self.message))
    }

    /// The code of the error. Panics when it is a result.
    pub fn error(&self) -> i64 {
        self.message["error"]["code"].as_i64().unwrap_or_else(|| panic!("an error, not {}", self.message))
    }

    /// The text of the result's first content block.
    pub fn text(&self) -> &str {
        let text = self.result()["content"][0]["text"].as_str();
        text.unwrap_or_else(|| panic!("a text, not {}", self.message))
    }

    /// Whether the call went wrong, in whichever way: as a JSON-RPC error or as a result that says so.
    pub fn failed(&self) -> bool {
        self.message.get("error").is_some() || self.message["result"]["isError"] == true
    }
}

/// A client that can ask, in whichever era.
pub trait Speak {
    /// Sends one request and waits for its answer.
    fn ask(&self, method: &str, params: Value) -> Answer;

    /// The URL-and-headers form of the same request, not sent yet; the id is the second part.
    fn prepare(&self, method: &str, params: Value) -> (crate::Request, Value);

    /// Calls a tool.
    fn call(&self, tool: &str, arguments: Value) -> Answer {
        self.ask("tools/call", json!({"name": tool, "arguments": arguments}))
    }

    /// All items of a list, every page.
    fn list(&self, method: &str, member: &str) -> Vec<Value> {
        let mut items = Vec::new();
        let mut params = json!({});
        loop {
            let answer = self.ask(method, params);
            let page = answer.result()[member].as_array();
            items.extend(page.unwrap_or_else(|| panic!("{member}, not {}", answer.message)).iter().cloned());
            match &answer.result()["nextCursor"] {
                Value::Null => return items,
                cursor => params = json!({"cursor": cursor}),
            }
        }
    }

    /// The names of all tools, in the order of the list.
    fn tool_names(&self) -> Vec<String> {
        names(&self.list("tools/list", "tools"))
    }
}

/// The `name` members of a list's items.
pub fn names(items: &[Value]) -> Vec<String> {
    items.iter().map(|item| item["name"].as_str().expect("an item has a name").to_owned()).collect()
}

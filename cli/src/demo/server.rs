//! What a demo server has to say for itself; [`super::session`] does the rest.

use super::reply::{Failure, Reply};
use serde_json::{Map, Value};

/// One demo server.
pub(super) trait Server {
    /// Its name, as in `weir demo NAME`.
    const NAME: &'static str;
    /// Its name for people.
    const TITLE: &'static str;
    /// What a model should know before it uses the server.
    const INSTRUCTIONS: &'static str;
    /// Whether it announces changes of its list of resources.
    const ANNOUNCES: bool;

    /// Its `ServerCapabilities`.
    fn capabilities(&self) -> Value;

    /// Its tools, as in `tools/list`.
    fn tools(&self) -> Value;

    /// Answers a request that is not about the protocol itself.
    fn answer(&mut self, request: &Request, reply: &Reply) -> Step;

    /// Gives up the request `id`, if it is under way.
    fn cancel(&mut self, _id: &Value) {}
}

/// A request whose envelope was found in order.
#[derive(Debug)]
pub(super) struct Request {
    /// Its method.
    pub(super) method: String,
    /// Its parameters; none is the same as an empty object.
    pub(super) params: Map<String, Value>,
    /// Whether it was sent in the modern era (2026-07-28).
    pub(super) modern: bool,
}

impl Request {
    /// A parameter that must be a string.
    pub(super) fn text(&self, name: &str) -> Result<&str, Failure> {
        self.params
            .get(name)
            .and_then(Value::as_str)
            .ok_or_else(|| Failure::invalid(format!("`params.{name}` must be a string")))
    }

    /// A parameter that is an object or absent.
    pub(super) fn object(&self, name: &str) -> Result<Map<String, Value>, Failure> {
        match self.params.get(name) {
            None => Ok(Map::new()),
            Some(Value::Object(object)) => Ok(object.clone()),
            Some(_) => Err(Failure::invalid(format!("`params.{name}` must be an object"))),
        }
    }
}

/// How a request goes on.
pub(super) enum Step {
    /// It is answered.
    Done(Result<Value, Failure>),
    /// It is answered, and the list of resources is another one now.
    Changed(Value),
    /// It will be answered through a copy of its reply.
    Later,
}

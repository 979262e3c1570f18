//! A fast MCP server that answers from memory: `tools/list` of a chosen size and a tool `echo` that returns its
//! arguments as text. It serves both eras on every path, or one of them.

mod dialect;
mod tools;

use crate::error::BenchError;
use crate::message::Era;
use crate::token::KEYS;
use bytes::Bytes;
use dialect::Message;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::header::{ALLOW, CONTENT_TYPE, HeaderValue};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use std::convert::Infallible;
use std::sync::Arc;
use tokio::net::TcpListener;

/// Largest request body that is read, in bytes.
const BODY_LIMIT: usize = 4 * 1024 * 1024;

/// The echo server: what it answers, rendered once.
#[derive(Debug)]
pub struct Echo {
    /// The only era that is answered; `None` answers both.
    era: Option<Era>,
    /// The JSON array of its tools.
    tools: String,
    /// The keys of the harness's own issuer.
    keys: Option<String>,
}

impl Echo {
    /// A server that answers one era or both and lists `tools` tools, of which the first is `echo`.
    pub fn new(era: Option<Era>, tools: usize) -> Self {
        Self { era, tools: tools::render(tools), keys: None }
    }

    /// The same, which also shows these keys at [`KEYS`].
    pub fn showing(self, keys: Option<String>) -> Self {
        Self { keys, ..self }
    }

    /// Serves connections until the task is dropped.
    ///
    /// # Errors
    /// When a connection cannot be accepted.
    pub async fn serve(self, listener: TcpListener) -> Result<(), BenchError> {
        let echo = Arc::new(self);
        loop {
            let (stream, _) = listener.accept().await.map_err(BenchError::io("accept a connection"))?;
            stream.set_nodelay(true).map_err(BenchError::io("set TCP_NODELAY"))?;
            let echo = Arc::clone(&echo);
            tokio::spawn(async move {
                let service = service_fn(|request| {
                    let echo = Arc::clone(&echo);
                    async move { Ok::<_, Infallible>(echo.handle(request).await) }
                });
                let mut http = hyper::server::conn::http1::Builder::new();
                // A client that breaks its connection is no failure of the server.
                let _broken =
                    http.timer(TokioTimer::new()).serve_connection(TokioIo::new(stream), service).await;
            });
        }
    }

    async fn handle(&self, request: Request<Incoming>) -> Response<Full<Bytes>> {
        let (head, body) = request.into_parts();
        match head.method {
            Method::POST => {}
            Method::GET if head.uri.path() == KEYS && self.keys.is_some() => {
                return json(StatusCode::OK, self.keys.clone().unwrap_or_default());
            }
            Method::DELETE if self.era != Some(Era::Modern) => return empty(StatusCode::OK),
            _ => {
                let mut response = empty(StatusCode::METHOD_NOT_ALLOWED);
                response.headers_mut().insert(ALLOW, HeaderValue::from_static("POST, DELETE"));
                return response;
            }
        }
        let Ok(body) = Limited::new(body, BODY_LIMIT).collect().await else {
            return empty(StatusCode::PAYLOAD_TOO_LARGE);
        };
        let body = body.to_bytes();
        let Ok(message) = serde_json::from_slice::<Message<'_>>(&body) else {
            return dialect::error(StatusCode::BAD_REQUEST, None, -32700, "Parse error", None);
        };
        dialect::answer(self, &head.headers, &message)
    }
}

fn empty(status: StatusCode) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::new()));
    *response.status_mut() = status;
    response
}

fn json(status: StatusCode, body: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::Connection;
    use crate::message::{FIRST_ID, Target, Template};

    async fn answer(era: Era, request: fn(&Target) -> Template) -> (u16, String) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let target = Target::new(listener.local_addr().unwrap().port(), "/mcp");
        tokio::spawn(Echo::new(Some(era), 1).serve(listener));
        let mut connection = Connection::open(&target).await.unwrap();
        let answer = connection.exchange(request(&target).with_id(FIRST_ID)).await.unwrap();
        (answer.status, String::from_utf8(answer.body.to_vec()).unwrap())
    }

    #[tokio::test]
    async fn the_other_era_is_refused_as_servers_do() {
        let (status, body) = answer(Era::Modern, Template::initialize).await;
        assert!(status == 400 && body.contains("-32022") && body.contains("2026-07-28"), "{status} {body}");
        let (status, body) = answer(Era::Legacy, |target| Template::list(target, None)).await;
        assert!(status == 400 && body.contains("-32000"), "{status} {body}");
        let (status, _) = answer(Era::Legacy, Template::get).await;
        assert_eq!(status, 405);
    }
}

//! A server whose every answer is scripted.

use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::Arc;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::sync::{Semaphore, watch};

/// A request as it came.
#[derive(Debug, Clone)]
pub(super) struct Request {
    pub(super) connection: usize,
    verb: String,
    target: String,
    headers: HashMap<String, String>,
    method: String,
    id: String,
    /// The body; `null` where it is no JSON.
    pub(super) body: serde_json::Value,
}

impl Request {
    pub(super) fn verb(&self) -> &str {
        &self.verb
    }

    /// Path and query.
    pub(super) fn target(&self) -> &str {
        &self.target
    }

    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(String::as_str)
    }

    /// The JSON-RPC method; empty where there is none.
    pub(super) fn method(&self) -> &str {
        &self.method
    }

    /// The raw id.
    pub(super) fn id(&self) -> &str {
        &self.id
    }

    pub(super) fn is(&self, what: &str) -> bool {
        self.verb == what || self.method == what
    }
}

/// What is answered.
#[derive(Debug)]
pub(super) struct Answer {
    status: u16,
    headers: Vec<(String, String)>,
    /// `None` stays silent.
    body: Option<String>,
    gate: Option<Arc<Semaphore>>,
    end: Option<Arc<Semaphore>>,
    /// The connection ends before the body does.
    broken: bool,
    /// More of the body, as it comes, until the sender is gone.
    feed: Option<UnboundedReceiver<String>>,
}

impl Answer {
    pub(super) fn silence() -> Self {
        Self { status: 0, headers: Vec::new(), body: None, gate: None, end: None, broken: false, feed: None }
    }

    /// Sent once `gate` lets it pass.
    pub(super) fn held(mut self, gate: &Arc<Semaphore>) -> Self {
        self.gate = Some(gate.clone());
        self
    }

    /// Without its last chunk until `gate` lets that pass.
    pub(super) fn ending(mut self, gate: &Arc<Semaphore>) -> Self {
        self.end = Some(gate.clone());
        self
    }

    pub(super) fn with(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    pub(super) fn without(mut self, name: &str) -> Self {
        self.headers.retain(|(present, _)| present != name);
        self
    }
}

pub(super) fn json(body: &str) -> Answer {
    Answer {
        status: 200,
        headers: Vec::new(),
        body: Some(body.to_owned()),
        gate: None,
        end: None,
        broken: false,
        feed: None,
    }
    .with("content-type", "application/json")
}

/// A JSON-RPC error to `request`.
pub(super) fn error(request: &Request, status: u16, code: i64, message: &str) -> Answer {
    let error = format!(r#"{{"code":{code},"message":"{message}"}}"#);
    let mut answer = json(&format!(r#"{{"jsonrpc":"2.0","id":{},"error":{error}}}"#, request.id()));
    answer.status = status;
    answer
}

/// Cut off in its body.
pub(super) fn broken(mut answer: Answer) -> Answer {
    answer.broken = true;
    answer
}

/// The whole stream, which then ends.
pub(super) fn event_stream(events: &str) -> Answer {
    json(events).without("content-type").with("content-type", "text/event-stream")
}

/// A stream that lasts until the other end of `feed` is gone, or the client is: then `CLOSED` counts as a request.
pub(super) fn live_stream(feed: UnboundedReceiver<String>) -> Answer {
    Answer { feed: Some(feed), ..event_stream("") }
}

pub(super) fn refusal(status: u16, text: &str) -> Answer {
    Answer {
        status,
        headers: Vec::new(),
        body: Some(text.to_owned()),
        gate: None,
        end: None,
        broken: false,
        feed: None,
    }
    .with("content-type", "text/plain")
}

#[derive(Debug)]
pub(super) struct Server {
    pub(super) url: String,
    requests: Arc<Mutex<Vec<Request>>>,
    seen: watch::Receiver<usize>,
    /// Sessions that are being ended: now, and at most.
    endings: Arc<Mutex<(usize, usize)>>,
}

impl Server {
    /// Answers every request with `script`.
    pub(super) async fn start(script: impl Fn(&Request) -> Answer + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/mcp", listener.local_addr().unwrap());
        let requests = Arc::new(Mutex::new(Vec::new()));
        let (counter, seen) = watch::channel(0);
        let endings = Arc::new(Mutex::new((0, 0)));
        let shared = Arc::new((script, counter));
        let (log, own) = (requests.clone(), endings.clone());
        tokio::spawn(async move {
            for connection in 0.. {
                let (mut stream, _) = listener.accept().await.unwrap();
                let (shared, log, endings) = (shared.clone(), log.clone(), own.clone());
                tokio::spawn(async move {
                    while let Some(request) = read(&mut stream, connection).await {
                        let ending = usize::from(request.verb == "DELETE");
                        {
                            let (now, most) = &mut *endings.lock();
                            *now += ending;
                            *most = (*most).max(*now);
                        }
                        log.lock().push(request.clone());
                        shared.1.send_modify(|count| *count += 1);
                        let answer = shared.0(&request);
                        if let Some(gate) = &answer.gate {
                            gate.acquire().await.unwrap().forget();
                        }
                        endings.lock().0 -= ending;
                        let (broken, live) = (answer.broken, answer.feed.is_some());
                        write(&mut stream, answer).await;
                        if live {
                            log.lock().push(Request { verb: "CLOSED".to_owned(), ..request });
                            shared.1.send_modify(|count| *count += 1);
                        }
                        if broken || live {
                            return;
                        }
                    }
                });
            }
        });
        Self { url, requests, seen, endings }
    }

    /// The most sessions that were being ended at one moment.
    pub(super) fn most_endings(&self) -> usize {
        self.endings.lock().1
    }

    pub(super) fn requests(&self) -> Vec<Request> {
        self.requests.lock().clone()
    }

    /// How many requests with this verb or JSON-RPC method came.
    pub(super) fn count(&self, what: &str) -> usize {
        self.requests.lock().iter().filter(|request| request.is(what)).count()
    }

    /// Waits for so many of them.
    pub(super) async fn until(&self, what: &str, count: usize) {
        self.seen.clone().wait_for(|_| self.count(what) >= count).await.unwrap();
    }

    /// The sessions that were ended, in order.
    pub(super) fn ended(&self) -> Vec<String> {
        let of = |request: &Request| request.header("mcp-session-id").map(str::to_owned);
        self.requests.lock().iter().filter(|request| request.verb == "DELETE").filter_map(of).collect()
    }
}

/// The next request of a connection; `None` at its end.
async fn read(stream: &mut TcpStream, connection: usize) -> Option<Request> {
    let mut read = Vec::new();
    let end = loop {
        if let Some(end) = read.windows(4).position(|part| part == b"\r\n\r\n") {
            break end + 4;
        }
        if stream.read_buf(&mut read).await.ok()? == 0 {
            return None;
        }
    };
    let head = String::from_utf8(read[..end].to_vec()).unwrap();
    let headers: HashMap<String, String> = head
        .lines()
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
        .collect();
    let length: usize = headers.get("content-length").map_or(0, |length| length.parse().unwrap());
    while read.len() < end + length {
        if stream.read_buf(&mut read).await.ok()? == 0 {
            return None;
        }
    }
    let body: serde_json::Value = serde_json::from_slice(&read[end..]).unwrap_or_default();
    Some(Request {
        connection,
        verb: head.split(' ').next().unwrap().to_owned(),
        target: head.split(' ').nth(1).unwrap().to_owned(),
        headers,
        method: body["method"].as_str().unwrap_or_default().to_owned(),
        id: body["id"].to_string(),
        body,
    })
}

async fn write(stream: &mut TcpStream, answer: Answer) {
    let Some(body) = answer.body else {
        return;
    };
    let mut out = format!("HTTP/1.1 {} status\r\n", answer.status);
    for (name, value) in answer.headers {
        out.push_str(&format!("{name}: {value}\r\n"));
    }
    if answer.status == 204 {
        out.push_str("\r\n");
        let _ = stream.write_all(out.as_bytes()).await;
        return;
    }
    out.push_str("transfer-encoding: chunked\r\n\r\n");
    if !body.is_empty() {
        out.push_str(&format!("{:x}\r\n{body}\r\n", body.len()));
    }
    if let Some(mut feed) = answer.feed {
        let _ = stream.write_all(std::mem::take(&mut out).as_bytes()).await;
        let (mut reader, mut writer) = stream.split();
        let mut nothing = [0];
        loop {
            tokio::select! {
                piece = feed.recv() => match piece {
                    Some(piece) => {
                        let chunk = format!("{:x}\r\n{piece}\r\n", piece.len());
                        let _ = writer.write_all(chunk.as_bytes()).await;
                    }
                    None => break,
                },
                _ = reader.read(&mut nothing) => break,
            }
        }
    }
    if let Some(gate) = answer.end {
        let _ = stream.write_all(std::mem::take(&mut out).as_bytes()).await;
        gate.acquire().await.unwrap().forget();
    }
    if !answer.broken {
        out.push_str("0\r\n\r\n");
    }
    let _ = stream.write_all(out.as_bytes()).await;
}

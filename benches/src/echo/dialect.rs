//! What the echo server answers in each era.

use super::{Echo, empty, json};
use crate::message::{Era, MODERN};
use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{HeaderMap, HeaderValue};
use hyper::{Response, StatusCode};
use serde::Deserialize;
use serde_json::value::RawValue;
use std::borrow::Cow;

type Answer = Response<Full<Bytes>>;

const SERVER: &str = r#"{"name":"weir-bench-echo","version":"0"}"#;

/// A JSON-RPC message.
#[derive(Deserialize)]
pub(super) struct Message<'a> {
    #[serde(borrow)]
    id: Option<&'a RawValue>,
    #[serde(borrow, default)]
    method: Cow<'a, str>,
    #[serde(borrow, default)]
    params: Params<'a>,
}

#[derive(Deserialize, Default)]
struct Params<'a> {
    #[serde(borrow)]
    name: Option<Cow<'a, str>>,
    #[serde(borrow)]
    arguments: Option<&'a RawValue>,
    #[serde(borrow, rename = "protocolVersion")]
    version: Option<Cow<'a, str>>,
    #[serde(borrow, default, rename = "_meta")]
    meta: Meta<'a>,
}

#[derive(Deserialize, Default)]
struct Meta<'a> {
    #[serde(borrow, rename = "io.modelcontextprotocol/protocolVersion")]
    version: Option<Cow<'a, str>>,
    #[serde(borrow, rename = "io.modelcontextprotocol/clientCapabilities")]
    capabilities: Option<&'a RawValue>,
}

/// Answers one message in the era that it opens with.
pub(super) fn answer(echo: &Echo, headers: &HeaderMap, message: &Message<'_>) -> Answer {
    let Some(id) = message.id.filter(|_| !message.method.is_empty()) else {
        return empty(StatusCode::ACCEPTED);
    };
    let enveloped =
        header(headers, "mcp-protocol-version") == Some(MODERN) || message.params.meta.version.is_some();
    match echo.era {
        Some(Era::Modern) => modern(echo, headers, id, message),
        Some(Era::Legacy) => legacy(echo, headers, id, message),
        None if enveloped => modern(echo, headers, id, message),
        None => legacy(echo, headers, id, message),
    }
}

fn legacy(echo: &Echo, headers: &HeaderMap, id: &RawValue, message: &Message<'_>) -> Answer {
    if message.method == "initialize" {
        return initialize(id, message);
    }
    if !headers.contains_key("mcp-session-id") {
        let text = "Bad Request: Server not initialized";
        return error(StatusCode::BAD_REQUEST, Some(id), -32000, text, None);
    }
    match message.method.as_ref() {
        "ping" => result(id, "{}"),
        "tools/list" => result(id, &format!(r#"{{"tools":{}}}"#, echo.tools)),
        "tools/call" => call(id, message, ""),
        _ => error(StatusCode::OK, Some(id), -32601, "Method not found", None),
    }
}

fn initialize(id: &RawValue, message: &Message<'_>) -> Answer {
    let version = match message.params.version.as_deref() {
        Some("2025-06-18") => "2025-06-18",
        _ => "2025-11-25",
    };
    let mut response = result(
        id,
        &format!(
            r#"{{"protocolVersion":"{version}","capabilities":{{"tools":{{"listChanged":true}}}},"serverInfo":{SERVER}}}"#
        ),
    );
    let mut random = [0; 16];
    let session = match getrandom::fill(&mut random) {
        Ok(()) => format!("{:032x}", u128::from_ne_bytes(random)),
        Err(_) => return empty(StatusCode::INTERNAL_SERVER_ERROR),
    };
    if let Ok(session) = HeaderValue::from_str(&session) {
        response.headers_mut().insert("mcp-session-id", session);
    }
    response
}

fn modern(echo: &Echo, headers: &HeaderMap, id: &RawValue, message: &Message<'_>) -> Answer {
    if let Some(refusal) = refuse(headers, id, message) {
        return refusal;
    }
    match message.method.as_ref() {
        "server/discover" => result(
            id,
            &format!(
                concat!(
                    r#"{{"resultType":"complete","supportedVersions":["{}"],"capabilities":{{"tools":{{}}}},"#,
                    r#""ttlMs":0,"cacheScope":"private","serverInfo":{},"#,
                    r#""_meta":{{"io.modelcontextprotocol/serverInfo":{}}}}}"#
                ),
                MODERN, SERVER, SERVER
            ),
        ),
        "tools/list" => result(
            id,
            &format!(
                r#"{{"resultType":"complete","tools":{},"ttlMs":60000,"cacheScope":"public"}}"#,
                echo.tools
            ),
        ),
        "tools/call" => call(id, message, r#""resultType":"complete","#),
        _ => error(StatusCode::NOT_FOUND, Some(id), -32601, "Method not found", None),
    }
}

/// The checks that a modern server makes of `_meta` and the headers, in the order that peers use.
fn refuse(headers: &HeaderMap, id: &RawValue, message: &Message<'_>) -> Option<Answer> {
    let refusal = |code, text| Some(error(StatusCode::BAD_REQUEST, Some(id), code, text, None));
    let unsupported = |requested: &str| {
        let requested = serde_json::Value::from(requested);
        let data = format!(r#"{{"supported":["{MODERN}"],"requested":{requested}}}"#);
        Some(error(StatusCode::BAD_REQUEST, Some(id), -32022, "Unsupported protocol version", Some(&data)))
    };
    let Some(version) = message.params.meta.version.as_deref() else {
        if message.method == "initialize" {
            return unsupported(message.params.version.as_deref().unwrap_or_default());
        }
        return refusal(-32602, "_meta lacks io.modelcontextprotocol/protocolVersion");
    };
    if message.params.meta.capabilities.is_none() {
        return refusal(-32602, "_meta lacks io.modelcontextprotocol/clientCapabilities");
    }
    if header(headers, "mcp-protocol-version") != Some(version) {
        return refusal(-32020, "MCP-Protocol-Version does not match _meta");
    }
    if header(headers, "mcp-method") != Some(&message.method) {
        return refusal(-32020, "Mcp-Method does not match the body");
    }
    if message.method == "tools/call" && header(headers, "mcp-name") != message.params.name.as_deref() {
        return refusal(-32020, "Mcp-Name does not match the body");
    }
    if version != MODERN {
        return unsupported(version);
    }
    None
}

/// Answers `tools/call` of `echo`: the arguments as text, after `prefix` inside the result.
fn call(id: &RawValue, message: &Message<'_>, prefix: &str) -> Answer {
    if message.params.name.as_deref() != Some("echo") {
        return error(StatusCode::OK, Some(id), -32602, "Unknown tool", None);
    }
    let text = serde_json::Value::from(message.params.arguments.map_or("{}", RawValue::get));
    result(id, &format!(r#"{{{prefix}"content":[{{"type":"text","text":{text}}}]}}"#))
}

fn result(id: &RawValue, result: &str) -> Answer {
    json(StatusCode::OK, ["{\"jsonrpc\":\"2.0\",\"id\":", id.get(), ",\"result\":", result, "}"].concat())
}

/// A JSON-RPC error; `text` and `data` need no escaping.
pub(super) fn error(
    status: StatusCode,
    id: Option<&RawValue>,
    code: i32,
    text: &str,
    data: Option<&str>,
) -> Answer {
    let id = id.map_or("null", RawValue::get);
    let data = data.map(|data| format!(r#","data":{data}"#)).unwrap_or_default();
    let body = format!(r#"{{"jsonrpc":"2.0","id":{id},"error":{{"code":{code},"message":"{text}"{data}}}}}"#);
    json(status, body)
}

fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

//! JSON-RPC error codes of MCP, and error answers as bytes.
//!
//! S: JSON-RPC 2.0 section 5.1; MCP 2026-07-28 `basic/index` "Error Codes"; MCP 2025-11-25 `server/resources`.

use crate::json::write_string;
use bytes::Bytes;

/// Invalid JSON was received.
pub const PARSE_ERROR: i32 = -32700;
/// The JSON is not a valid request.
pub const INVALID_REQUEST: i32 = -32600;
/// The method does not exist.
pub const METHOD_NOT_FOUND: i32 = -32601;
/// The parameters are invalid; also unknown tools, cursors and, since 2026-07-28, resources.
pub const INVALID_PARAMS: i32 = -32602;
/// Something broke inside weir or behind it.
pub const INTERNAL_ERROR: i32 = -32603;
/// A legacy server error without a code of its own.
pub const SERVER_ERROR: i32 = -32000;
/// Resource not found, until 2025-11-25.
pub const RESOURCE_NOT_FOUND: i32 = -32002;
/// A routing header is missing, malformed or differs from the body (2026-07-28).
pub const HEADER_MISMATCH: i32 = -32020;
/// The client lacks a capability that the call needs (2026-07-28).
pub const MISSING_CAPABILITY: i32 = -32021;
/// The user has to visit a URL first (2025-11-25).
pub const URL_ELICITATION_REQUIRED: i32 = -32042;
/// The asked revision is not spoken (2026-07-28).
pub const UNSUPPORTED_VERSION: i32 = -32022;

/// An error answer: `id` and `data` are raw JSON; `None` for `id` writes `null`.
pub fn error_answer(id: Option<&[u8]>, code: i32, message: &str, data: Option<&[u8]>) -> Bytes {
    let mut out = Vec::with_capacity(96 + message.len() + data.map_or(0, <[u8]>::len));
    out.extend_from_slice(b"{\"jsonrpc\":\"2.0\",\"id\":");
    out.extend_from_slice(id.unwrap_or(b"null"));
    out.extend_from_slice(b",\"error\":");
    write_error(&mut out, code, message, data);
    out.push(b'}');
    out.into()
}

/// An error object: `{"code":…,"message":…,"data":…}`.
pub fn error_object(code: i32, message: &str, data: Option<&[u8]>) -> Bytes {
    let mut out = Vec::with_capacity(48 + message.len() + data.map_or(0, <[u8]>::len));
    write_error(&mut out, code, message, data);
    out.into()
}

fn write_error(out: &mut Vec<u8>, code: i32, message: &str, data: Option<&[u8]>) {
    out.extend_from_slice(b"{\"code\":");
    out.extend_from_slice(code.to_string().as_bytes());
    out.extend_from_slice(b",\"message\":");
    write_string(out, message);
    if let Some(data) = data {
        out.extend_from_slice(b",\"data\":");
        out.extend_from_slice(data);
    }
    out.push(b'}');
}

/// A result answer: `id` and `result` are raw JSON.
pub fn result_answer(id: &[u8], result: &[u8]) -> Bytes {
    let mut out = Vec::with_capacity(40 + id.len() + result.len());
    out.extend_from_slice(b"{\"jsonrpc\":\"2.0\",\"id\":");
    out.extend_from_slice(id);
    out.extend_from_slice(b",\"result\":");
    out.extend_from_slice(result);
    out.push(b'}');
    out.into()
}

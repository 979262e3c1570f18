//! What browsers need to hear before they let a page talk to weir from another origin.
//!
//! S: WHATWG Fetch section 3.2 "CORS protocol". Only origins that the operator allowed get these headers.

use crate::client::{Gone, insert};
use http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_HEADERS, VARY,
};
use http::{HeaderMap, HeaderName, HeaderValue};
use pingora_http::ResponseHeader;

/// The headers that any request may have.
const ALLOWED: &str = "accept, authorization, content-type, last-event-id, mcp-method, mcp-name, mcp-protocol-version, mcp-session-id, x-api-key";
/// How many headers that mirror parameters one request may have; a tool has no more.
const MIRRORS: usize = 64;

/// On every answer to an allowed origin.
pub(crate) fn stamp(head: &mut ResponseHeader, origin: &HeaderValue) -> Result<(), Gone> {
    insert(head, ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone())?;
    insert(head, VARY, HeaderValue::from_static("origin"))?;
    let exposed = HeaderValue::from_static("mcp-session-id, mcp-protocol-version, www-authenticate");
    insert(head, ACCESS_CONTROL_EXPOSE_HEADERS, exposed)
}

/// On the answer to the question before a request.
pub(crate) fn stamp_preflight(head: &mut ResponseHeader, asked: &HeaderMap) -> Result<(), Gone> {
    insert(head, ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("POST, GET, DELETE"))?;
    let allowed = HeaderValue::try_from(allowed(asked)).map_err(|_| Gone)?;
    insert(head, ACCESS_CONTROL_ALLOW_HEADERS, allowed)?;
    head.append_header(VARY, ACCESS_CONTROL_REQUEST_HEADERS.as_str()).map_err(|_| Gone)?;
    insert(head, ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("600"))
}

/// The headers that a request may have. Those that mirror parameters have names of the tool's choice, so that they are
/// allowed as they are asked for (2026-07-28 `server/tools` "x-mcp-header"); a browser takes no `*` beside `authorization`.
fn allowed(asked: &HeaderMap) -> String {
    let mut allowed = ALLOWED.to_owned();
    let values = asked.get_all(ACCESS_CONTROL_REQUEST_HEADERS).iter();
    let names = values.filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(','));
    for name in
        names.filter_map(|name| HeaderName::try_from(name.trim()).ok()).filter(is_mirror).take(MIRRORS)
    {
        allowed.push_str(", ");
        allowed.push_str(name.as_str());
    }
    allowed
}

fn is_mirror(name: &HeaderName) -> bool {
    name.as_str().starts_with("mcp-param-")
}

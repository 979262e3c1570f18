//! What browsers need to hear before they let a page talk to weir from another origin.
//!
//! S: WHATWG Fetch section 3.2 "CORS protocol". Only origins that the operator allowed get these headers.

use crate::client::{Gone, insert};
use http::HeaderValue;
use http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, VARY,
};
use pingora_http::ResponseHeader;

/// On every answer to an allowed origin.
pub(crate) fn stamp(head: &mut ResponseHeader, origin: &HeaderValue) -> Result<(), Gone> {
    insert(head, ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone())?;
    insert(head, VARY, HeaderValue::from_static("origin"))?;
    let exposed = HeaderValue::from_static("mcp-session-id, mcp-protocol-version, www-authenticate");
    insert(head, ACCESS_CONTROL_EXPOSE_HEADERS, exposed)
}

/// On the answer to the question before a request.
pub(crate) fn stamp_preflight(head: &mut ResponseHeader) -> Result<(), Gone> {
    insert(head, ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("POST, GET, DELETE"))?;
    let allowed = HeaderValue::from_static(
        "accept, authorization, content-type, last-event-id, mcp-method, mcp-name, mcp-protocol-version, mcp-session-id",
    );
    insert(head, ACCESS_CONTROL_ALLOW_HEADERS, allowed)?;
    insert(head, ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("600"))
}

//! The modern edge: 2026-07-28, every request stands alone.
//!
//! S: MCP 2026-07-28 `basic/index`, `basic/versioning`, `basic/transports/streamable-http`.

use super::{Post, discover_result, listing};
use crate::client::{Client, Gone};
use crate::hub::Topic;
use crate::rescue::{self, Fault};
use crate::stream::Stream;
use bytes::Bytes;
use http::HeaderMap;
use serde::Deserialize;
use weir_backends::SessionKey;
use weir_protocol::{Era, Kind, Method, Revision, code, headers, json, meta, sse};

/// Answers one POST.
pub(crate) async fn post(post: &Post, client: &mut Client<'_>) -> Result<(), Gone> {
    match post.envelope.kind {
        // The one notification that a client may send cancels by id, which over HTTP closing the stream does.
        Kind::Notification => client.empty(202).await,
        Kind::Response => {
            let fault =
                Fault::new(400, code::INVALID_REQUEST, "a client sends no responses in this revision");
            post.fault(client, &fault).await
        }
        Kind::Request => match check(post, client.headers()) {
            Ok(method) => dispatch(post, client, method).await,
            Err(fault) => post.fault(client, &fault).await,
        },
    }
}

/// The ladder of checks: required `_meta`, headers against body, revision, method.
fn check(post: &Post, headers: &HeaderMap) -> Result<Method, Fault> {
    let body = &post.body;
    let missing = |key: &str| Fault::new(400, code::INVALID_PARAMS, format!("`params._meta` lacks `{key}`"));
    let read = post.meta.as_ref();
    let version =
        read.and_then(|read| read.protocol_version).ok_or_else(|| missing(meta::PROTOCOL_VERSION))?;
    let version = json::as_str(version.of(body)).ok_or_else(|| missing(meta::PROTOCOL_VERSION))?;
    let capabilities = read.and_then(|read| read.client_capabilities);
    if !capabilities.is_some_and(|span| span.of(body).starts_with(b"{")) {
        return Err(missing(meta::CLIENT_CAPABILITIES));
    }
    agrees(headers, headers::PROTOCOL_VERSION, &version)?;
    let name = post.envelope.method_name(body).unwrap_or_default();
    agrees(headers, headers::METHOD, &name)?;
    if version != Revision::LATEST.as_str() {
        let asked = String::from_utf8_lossy(&json::string(&version)).into_owned();
        let data = format!(r#"{{"supported":["{}"],"requested":{asked}}}"#, Revision::LATEST.as_str());
        let fault = Fault::new(400, code::UNSUPPORTED_VERSION, "unsupported protocol version");
        return Err(Fault { data: Some(data.into()), ..fault });
    }
    let method = Method::parse(&name);
    if !method.is_request_of(Era::Modern) {
        return Err(rescue::unknown_method(Era::Modern, &name));
    }
    let target = post.envelope.params.as_ref().and_then(|params| match method {
        Method::ToolsCall | Method::PromptsGet => params.name,
        Method::ResourcesRead => params.uri,
        _ => None,
    });
    if let Some(target) = target.and_then(|span| json::as_str(span.of(body))) {
        agrees(headers, headers::NAME, &target)?;
    }
    Ok(method)
}

/// Refuses a header that is missing, repeated, malformed or different from the body.
fn agrees(headers: &HeaderMap, name: &'static str, expected: &str) -> Result<(), Fault> {
    let mismatch = |what: &str| Fault::new(400, code::HEADER_MISMATCH, format!("header `{name}` {what}"));
    let mut values = headers.get_all(name).iter();
    let (Some(value), None) = (values.next(), values.next()) else {
        return Err(mismatch("must be sent exactly once"));
    };
    let value = value.to_str().ok().map(str::trim).and_then(headers::decode);
    match value {
        None => Err(mismatch("is not readable")),
        Some(value) if value == expected => Ok(()),
        Some(_) => Err(mismatch("differs from the body")),
    }
}

async fn dispatch(post: &Post, client: &mut Client<'_>, method: Method) -> Result<(), Gone> {
    if let Some(list) = listing::list_of(method) {
        return listing::answer(post, client, list, Era::Modern).await;
    }
    match method {
        Method::Discover => post.result(client, &discover_result(&post.endpoint.catalog())).await,
        Method::Listen => listen(post, client).await,
        _ => {
            let cacheable = method == Method::ResourcesRead;
            post.call(client, method, cacheable, SessionKey::Shared, None).await
        }
    }
}

/// The filter of `subscriptions/listen`, as far as weir honours it.
#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Filter {
    tools_list_changed: bool,
    prompts_list_changed: bool,
    resources_list_changed: bool,
}

/// Opens a stream of announcements (2026-07-28 `basic/patterns/subscriptions`).
async fn listen(post: &Post, client: &mut Client<'_>) -> Result<(), Gone> {
    let raw = post.envelope.params.as_ref().and_then(|params| params.notifications);
    let filter: Result<Filter, _> = match raw {
        Some(span) => serde_json::from_slice(span.of(&post.body)),
        None => Ok(Filter::default()),
    };
    let filter = match filter {
        Ok(filter) => filter,
        Err(error) => {
            let fault = rescue::invalid_params(format!("`params.notifications` is not a filter: {error}"));
            return post.fault(client, &fault).await;
        }
    };
    if !post.accepts.stream {
        let fault =
            Fault::new(406, code::INVALID_REQUEST, "this request is answered by a `text/event-stream`");
        return post.fault(client, &fault).await;
    }
    let wanted = [
        (filter.tools_list_changed, Topic::Tools, "toolsListChanged"),
        (filter.prompts_list_changed, Topic::Prompts, "promptsListChanged"),
        (filter.resources_list_changed, Topic::Resources, "resourcesListChanged"),
    ];
    let accepted: Vec<(Topic, &str)> =
        wanted.into_iter().filter_map(|(wanted, topic, key)| wanted.then_some((topic, key))).collect();
    // Subscribed before it is acknowledged, so that nothing is missed in between.
    let subscription = post.endpoint.hub.subscribe();
    client.begin_stream().await?;
    let id = post.id();
    let keys: Vec<String> = accepted.iter().map(|(_, key)| format!("\"{key}\":true")).collect();
    let acknowledged = format!(
        r#"{{"jsonrpc":"2.0","method":"{}","params":{{"notifications":{{{}}},"_meta":{{"{}":{}}}}}}}"#,
        Method::Acknowledged.as_str(),
        keys.join(","),
        meta::SUBSCRIPTION_ID,
        String::from_utf8_lossy(&id)
    );
    let mut first = Vec::new();
    sse::write_message(&mut first, acknowledged.as_bytes());
    client.write(Bytes::from(first), false).await?;
    let stream = Stream {
        topics: accepted.into_iter().map(|(topic, _)| topic).collect(),
        subscription: Some(id),
        keep_alive: post.core.config.timeouts.keep_alive,
        ended: None,
    };
    stream.run(client, subscription, &post.core.drain).await
}

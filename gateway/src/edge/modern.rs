//! The modern edge: 2026-07-28, every request stands alone.
//!
//! S: MCP 2026-07-28 `basic/index`, `basic/versioning`, `basic/transports/streamable-http`.

use super::{Post, discover_result, listing};
use crate::call::{Manner, Routed};
use crate::catalog::View;
use crate::client::{Client, Gone};
use crate::hub::{Outlook, Topic, Viewer};
use crate::inbox::Inbox;
use crate::rescue::{self, Fault};
use crate::stay::{Bond, Stay};
use crate::stream::{self, Listening, Stream};
use crate::tasks::{self, TaskWatch};
use crate::watchers::{self, Watch};
use http::HeaderMap;
use serde::Deserialize;
use std::collections::HashSet;
use std::sync::Arc;
use weir_backends::SessionKey;
use weir_policies::Principal;
use weir_protocol::{
    ClientCapabilities, Era, Kind, Level, Logs, Method, Revision, code, headers, json, meta,
};

/// Answers one POST, or begins the stream that is its answer.
pub(crate) async fn post(post: &Post, client: &mut Client<'_>) -> Result<Option<Box<Listening>>, Gone> {
    let answered = match post.envelope.kind {
        // The one notification that a client may send cancels by id. Over HTTP closing the stream does that.
        Kind::Notification => {
            if let (Some(session), Method::Cancelled) = (&post.session, post.envelope.method(&post.body)) {
                session.cancel(post.cancels());
            }
            client.close().await
        }
        Kind::Response => {
            let fault =
                Fault::new(400, code::INVALID_REQUEST, "a client sends no responses in this revision");
            post.fault(client, &fault).await
        }
        Kind::Request => match check(post, client.headers()) {
            Ok(Method::Listen) => return Box::pin(listen(post, client)).await,
            Ok(method) => dispatch(post, client, method).await,
            Err(fault) => post.fault(client, &fault).await,
        },
    };
    answered.map(|()| None)
}

/// The ladder of checks: required `_meta`, headers against body, revision, method.
fn check(post: &Post, headers: Option<&HeaderMap>) -> Result<Method, Fault> {
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
    let level = read.and_then(|read| read.log_level).map(|span| span.of(body));
    if level.is_some_and(|level| Level::of_raw(level).is_none()) {
        let message = format!("`{}` names no level", meta::LOG_LEVEL);
        return Err(Fault::new(400, code::INVALID_PARAMS, message));
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
        method if method.is_about_a_task() => params.task_id,
        _ => None,
    });
    if let Some(target) = target.and_then(|span| json::as_str(span.of(body))) {
        agrees(headers, headers::NAME, &target)?;
    }
    Ok(method)
}

/// Refuses a header that is missing, repeated, malformed or different from the body, where there are headers.
fn agrees(headers: Option<&HeaderMap>, name: &'static str, expected: &str) -> Result<(), Fault> {
    let Some(headers) = headers else {
        return Ok(());
    };
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

/// Takes in what the client's headers say of a call: those that its backend is to be told go with it. Refuses a modern call
/// whose `Mcp-Param-*` headers differ from the arguments that the client sent; those that the tool does not ask for are
/// nobody's concern.
pub(super) fn heard(
    mut routed: Routed,
    era: Era,
    post: &Post,
    headers: Option<&HeaderMap>,
) -> Result<Routed, Fault> {
    if let (Era::Modern, Some(mirrors), Some(headers)) = (era, &routed.mirrors, headers) {
        let arguments = post.envelope.params.as_ref().and_then(|params| params.arguments);
        let arguments = arguments.map(|span| span.of(&post.body));
        let sent = |name: &str| headers.get_all(name).iter().map(|value| value.to_str().ok());
        mirrors
            .check(arguments, sent)
            .map_err(|mismatch| Fault::new(400, code::HEADER_MISMATCH, mismatch.to_string()))?;
    }
    if let Some(headers) = headers {
        for name in routed.backend.forwarded_headers() {
            let values = headers.get_all(name).iter().map(|value| (name.clone(), value.clone()));
            routed.call.passed_on.extend(values);
        }
    }
    Ok(routed)
}

async fn dispatch(post: &Post, client: &mut Client<'_>, method: Method) -> Result<(), Gone> {
    if let Some(list) = listing::list_of(method) {
        return listing::answer(post, client, list, View::Modern).await;
    }
    match method {
        Method::Discover => post.result(client, &discover_result(post)).await,
        _ => {
            let cacheable = method == Method::ResourcesRead;
            let level = post.meta.as_ref().and_then(|meta| meta.log_level);
            let level = level.and_then(|span| Level::of_raw(span.of(&post.body)));
            let logs = level.map_or(Logs::Unwanted, Logs::From);
            let capabilities = capabilities(post);
            let (session, declared) = (SessionKey::Shared, capabilities);
            let tasks = false;
            let manner = Manner { method, cacheable, session, logs, capabilities, declared, tasks };
            post.call(client, manner, post.cancellable()).await
        }
    }
}

fn capabilities(post: &Post) -> ClientCapabilities {
    let capabilities = post.meta.as_ref().and_then(|meta| meta.client_capabilities);
    let capabilities = capabilities.map(|span| span.of(&post.body)).unwrap_or_default();
    ClientCapabilities::parse(capabilities, Revision::LATEST)
}

/// The filter of `subscriptions/listen`, as far as weir honours it.
#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Filter {
    tools_list_changed: bool,
    prompts_list_changed: bool,
    resources_list_changed: bool,
    resource_subscriptions: Vec<String>,
    task_ids: Vec<String>,
}

/// Opens a stream of announcements (2026-07-28 `basic/patterns/subscriptions`).
async fn listen(post: &Post, client: &mut Client<'_>) -> Result<Option<Box<Listening>>, Gone> {
    let raw = post.envelope.params.as_ref().and_then(|params| params.notifications);
    let filter: Result<Filter, _> = match raw {
        Some(span) => serde_json::from_slice(span.of(&post.body)),
        None => Ok(Filter::default()),
    };
    let filter = match filter {
        Ok(filter) => filter,
        Err(error) => {
            let fault = rescue::invalid_params(format!("`params.notifications` is not a filter: {error}"));
            return post.fault(client, &fault).await.map(|()| None);
        }
    };
    // Where no backend has tasks this is a filter like any other that weir does not know.
    let speaks_of_tasks = !filter.task_ids.is_empty() && post.endpoint.catalog().offers.tasks;
    if let (true, Err(fault)) = (speaks_of_tasks, tasks::declared(capabilities(post))) {
        return post.fault(client, &fault).await.map(|()| None);
    }
    if !client.takes_notices() {
        let fault =
            Fault::new(406, code::INVALID_REQUEST, "this request is answered by a `text/event-stream`");
        return post.fault(client, &fault).await.map(|()| None);
    }
    let wanted = [
        (filter.tools_list_changed, Topic::Tools, "toolsListChanged"),
        (filter.prompts_list_changed, Topic::Prompts, "promptsListChanged"),
        (filter.resources_list_changed, Topic::Resources, "resourcesListChanged"),
    ];
    let accepted: Vec<(Topic, &str)> =
        wanted.into_iter().filter_map(|(wanted, topic, key)| wanted.then_some((topic, key))).collect();
    // Subscribed before it is acknowledged, so that nothing is missed in between.
    let outlook = Outlook::now(&post.core, post.endpoint.number, Viewer::Caller(post.principal.clone()));
    let subscription = post.endpoint.hub.subscribe(Some(outlook));
    let inbox = Arc::new(Inbox::default());
    let reader = inbox.read();
    // From here on, so that what is cancelled while backends are waited for ends too.
    let cancellable = post.cancellable();
    let cancelled = cancellable.as_ref().map(|cancellable| cancellable.cancelled.clone());
    let limit = post.snapshot.config.limits.subscriptions;
    let left = limit.saturating_sub(filter.resource_subscriptions.len());
    let (watched, tasks) = tokio::select! {
        watched = async {
            tokio::join!(
                watch(post, filter.resource_subscriptions, &inbox),
                watch_tasks(post, filter.task_ids, left, &inbox)
            )
        } => watched,
        () = stream::ended(cancelled.as_deref()) => return client.close().await.map(|()| None),
        () = client.gone() => return Err(Gone),
    };
    let id = post.id();
    let mut keys: Vec<String> = accepted.iter().map(|(_, key)| format!("\"{key}\":true")).collect();
    if !watched.is_empty() {
        let uris: Vec<String> = watched.iter().map(|(uri, _)| quoted(uri)).collect();
        keys.push(format!("\"resourceSubscriptions\":[{}]", uris.join(",")));
    }
    if !tasks.is_empty() {
        let ids: Vec<String> = tasks.iter().map(|(id, _)| quoted(id)).collect();
        keys.push(format!("\"taskIds\":[{}]", ids.join(",")));
    }
    let acknowledged = format!(
        r#"{{"jsonrpc":"2.0","method":"{}","params":{{"notifications":{{{}}},"_meta":{{"{}":{}}}}}}}"#,
        Method::Acknowledged.as_str(),
        keys.join(","),
        meta::SUBSCRIPTION_ID,
        String::from_utf8_lossy(&id)
    );
    client.push(acknowledged.as_bytes());
    client.flush().await?;
    let stream = Stream {
        topics: accepted.into_iter().map(|(topic, _)| topic).collect(),
        inbox,
        subscription: Some(id),
        keep_alive: post.snapshot.config.timeouts.keep_alive,
        ended: cancelled,
    };
    let watches = watched.into_iter().map(|(_, watch)| watch).collect();
    let tasks = tasks.into_iter().map(|(_, watch)| watch).collect();
    // Whoever speaks over standard input is known by that alone.
    let (core, endpoint, principal) = (&post.core, &post.endpoint, &post.principal);
    let is_asked = client.headers().is_some() || *principal.as_ref() != Principal::anonymous();
    let stay = is_asked.then(|| Stay::new(core, endpoint, principal, client.peer(), Bond::Stream));
    Ok(Some(Box::new(Listening { stream, subscription, reader, watches, tasks, cancellable, stay })))
}

fn quoted(text: &str) -> String {
    String::from_utf8_lossy(&json::string(text)).into_owned()
}

/// Watches those of `uris` whose owners are known and agree to send updates; at most as many as a request may have.
async fn watch(post: &Post, uris: Vec<String>, inbox: &Arc<Inbox>) -> Vec<(String, Watch)> {
    let mut known = HashSet::new();
    let distinct = uris.into_iter().filter(|uri| known.insert(uri.clone()));
    let watches = distinct.take(post.snapshot.config.limits.subscriptions).map(|uri| async move {
        let circumstances = post.circumstances(Era::Modern, false);
        let watch = watchers::watch(post, circumstances, &post.principal, &uri, inbox).await.ok()?;
        Some((uri, watch))
    });
    futures_util::future::join_all(watches).await.into_iter().flatten().collect()
}

/// The same for those of the tasks `ids` that the client may ask about, at most `most`.
async fn watch_tasks(
    post: &Post,
    ids: Vec<String>,
    most: usize,
    inbox: &Arc<Inbox>,
) -> Vec<(String, TaskWatch)> {
    let (mut known, capabilities) = (HashSet::new(), capabilities(post));
    let distinct = ids.into_iter().filter(|id| known.insert(id.clone()));
    let watches = distinct.take(most).map(|id| async move {
        let watch =
            tasks::watch(&post.core, &post.endpoint, &post.principal, &id, capabilities, inbox).await?;
        Some((id, watch))
    });
    futures_util::future::join_all(watches).await.into_iter().flatten().collect()
}

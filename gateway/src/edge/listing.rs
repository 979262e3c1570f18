//! Lists, answered from the catalog: no backend is asked, and what was written once for callers who see the same is not
//! written again.

use super::{Post, hints};
use crate::answer::SERVER_INFO;
use crate::catalog::{List, View};
use crate::client::{Client, Gone};
use crate::rescue::{self, Fault};
use bytes::Bytes;
use weir_protocol::{Era, Method, json, meta};

/// The list that a method asks for.
pub(super) fn list_of(method: Method) -> Option<List> {
    match method {
        Method::ToolsList => Some(List::Tools),
        Method::PromptsList => Some(List::Prompts),
        Method::ResourcesList => Some(List::Resources),
        Method::TemplatesList => Some(List::Templates),
        _ => None,
    }
}

/// Answers one page of `list`.
pub(super) async fn answer(post: &Post, client: &mut Client<'_>, list: List, view: View) -> Result<(), Gone> {
    match page(post, list, view) {
        Ok(parts) => client.answer(200, &parts).await,
        Err(fault) => post.fault(client, &fault).await,
    }
}

fn page(post: &Post, list: List, view: View) -> Result<[Bytes; 3], Fault> {
    let endpoint = &post.endpoint;
    let cursor =
        post.envelope.params.as_ref().and_then(|params| params.cursor).map(|span| span.of(&post.body));
    let (catalog, first) = match cursor {
        None | Some(b"null") => (endpoint.catalog(), 0),
        Some(raw) => {
            json::as_str(raw).and_then(|cursor| endpoint.resume(list, &post.principal, &cursor)).ok_or_else(
                || rescue::invalid_params("this cursor is not valid any more; list again from the start"),
            )?
        }
    };
    let visibility = &post.core.visibility;
    let sight = visibility.sight(endpoint, &catalog, list, &post.principal);
    let page = visibility
        .page(sight.as_deref(), &catalog, list, first)
        .ok_or_else(|| rescue::invalid_params("this cursor leads nowhere; list again from the start"))?;
    let mut head = b"{\"jsonrpc\":\"2.0\",\"id\":".to_vec();
    head.extend_from_slice(&post.id());
    head.extend_from_slice(b",\"result\":");
    let mut tail = String::new();
    if let Some(next) = page.next {
        tail.push_str(&format!(
            ",\"nextCursor\":\"{}\"",
            endpoint.cursor(list, &post.principal, &catalog, next)
        ));
    }
    if view.era() == Era::Modern {
        tail.push_str(&format!(
            r#","resultType":"complete",{},"_meta":{{"{}":{SERVER_INFO}}}"#,
            hints::of(endpoint, &catalog, catalog.freshness(list)).members(),
            meta::SERVER_INFO
        ));
    }
    tail.push_str("}}");
    Ok([head.into(), page.body(view).clone(), tail.into()])
}

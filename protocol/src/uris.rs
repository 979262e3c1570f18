//! URIs of resources with the name of their backend before them, wherever they stand in what a backend says.
//!
//! S: MCP 2026-07-28 `server/tools` "Resource Links" and "Embedded Resources", `server/prompts`, `server/resources`; the MCP
//! Apps extension for the resource of a user interface.

use crate::object::{self, Object};
use crate::{Method, Span, Splice};

/// The extension of MCP Apps, and its key before it had an object of its own.
const INTERFACE: (&str, &str, &str) = ("ui", "resourceUri", "ui/resourceUri");

/// Puts `prefix` before the URI whose JSON string is at `span`. What is no string stays. The prefix must hold nothing that
/// JSON escapes.
pub(crate) fn prefix(splice: &mut Splice<'_>, source: &[u8], span: Span, prefix: &str) {
    if span.of(source).first() == Some(&b'"') {
        splice.insert(span.start() + 1, prefix.as_bytes().to_vec());
    }
}

/// The same for the resource of the user interface that the `_meta` at `span` names.
pub(crate) fn prefix_interface(splice: &mut Splice<'_>, source: &str, span: Span, with: &str) {
    let (outer, inner, flat) = INTERFACE;
    let Ok(meta) = Object::read(source, span) else {
        return;
    };
    if let Some(field) = meta.get(flat) {
        prefix(splice, source.as_bytes(), field.value(), with);
    }
    if let Some(interface) = meta.get(outer).and_then(|field| Object::read(source, field.value()).ok()) {
        prefix_member(splice, source, &interface, inner, with);
    }
}

/// The resource of the user interface that the `_meta` of `item`, a raw JSON object, names.
pub fn interface(item: &str) -> Option<String> {
    // Most items have none, and are not read.
    memchr::memmem::find(item.as_bytes(), INTERFACE.1.as_bytes())?;
    let (outer, inner, flat) = INTERFACE;
    let read = |span: Span| Object::read(item, span).ok();
    let meta = read(read(Span::new(0, item.len()))?.get("_meta")?.value())?;
    let nested = || Some(read(meta.get(outer)?.value())?.get(inner)?.value());
    let named = nested().or_else(|| Some(meta.get(flat)?.value()))?;
    crate::json::as_str(named.of(item.as_bytes())).map(|uri| uri.into_owned())
}

fn prefix_member(splice: &mut Splice<'_>, source: &str, object: &Object<'_>, key: &str, with: &str) {
    if let Some(field) = object.get(key) {
        prefix(splice, source.as_bytes(), field.value(), with);
    }
}

/// Puts `prefix` before every URI of a resource in the result at `span` of the answer to `method`: links and embedded
/// resources of tools and prompts, what was read, and the resource of a user interface. Free text and structured content
/// are left alone.
pub fn prefix_result(splice: &mut Splice<'_>, source: &str, span: Span, method: Method, with: &str) {
    let Ok(result) = Object::read(source, span) else {
        return;
    };
    let list = |key: &str| {
        let span = result.get(key).map(|field| field.value());
        span.and_then(|span| object::elements(source, span).ok()).unwrap_or_default()
    };
    match method {
        Method::ToolsCall | Method::TasksResult => {
            list("content").into_iter().for_each(|at| block(splice, source, at, with))
        }
        Method::PromptsGet => {
            for message in list("messages").into_iter().filter_map(|at| Object::read(source, at).ok()) {
                let content = message.get("content").map(|field| field.value());
                if let Some(at) = content {
                    block(splice, source, at, with);
                }
            }
        }
        Method::ResourcesRead => {
            for contents in list("contents").into_iter().filter_map(|at| Object::read(source, at).ok()) {
                prefix_member(splice, source, &contents, "uri", with);
            }
        }
        // The result of a task is that of the call that it carries out.
        Method::TasksGet => {
            if let Some(field) = result.get("result") {
                prefix_result(splice, source, field.value(), Method::ToolsCall, with);
            }
        }
        _ => return,
    }
    if let Some(field) = result.get("_meta") {
        prefix_interface(splice, source, field.value(), with);
    }
}

/// A content block: a link carries its URI itself, an embedded resource in `resource`.
fn block(splice: &mut Splice<'_>, source: &str, at: Span, with: &str) {
    let Ok(block) = Object::read(source, at) else {
        return;
    };
    let kind = block.get("type").and_then(|field| crate::json::as_str(field.value().of(source.as_bytes())));
    match kind.as_deref() {
        Some("resource_link") => prefix_member(splice, source, &block, "uri", with),
        Some("resource") => {
            if let Some(resource) = block.get("resource")
                && let Ok(resource) = Object::read(source, resource.value())
            {
                prefix_member(splice, source, &resource, "uri", with);
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prefixed(result: &str, method: Method) -> String {
        let mut splice = Splice::new(result.as_bytes());
        prefix_result(&mut splice, result, Span::new(0, result.len()), method, "weir+b:");
        String::from_utf8(splice.finish().to_vec()).unwrap()
    }

    #[test]
    fn the_interface_of_a_tool() {
        for (meta, uri) in [
            (r#"{"ui":{"resourceUri":"ui://a"},"ui/resourceUri":"ui://b"}"#, Some("ui://a")),
            (r#"{"ui":{},"ui/resourceUri":"ui://b"}"#, Some("ui://b")),
            (r#"{"ui":{"resourceUri":7}}"#, None),
            (r#"{"resourceUri":"ui://a"}"#, None),
            ("7", None),
        ] {
            assert_eq!(
                interface(&format!(r#"{{"name":"resourceUri","_meta":{meta}}}"#)).as_deref(),
                uri,
                "{meta}"
            );
        }
    }

    #[test]
    fn every_uri_of_a_resource_and_nothing_else() {
        let link = r#"{"type":"resource_link","uri":"a:1","x":{"uri":"a:1"}}"#;
        let embedded = r#"{ "resource" : {"text":"a:1", "uri": "a:\u0031"},"type":"resource"}"#;
        let text = r#"{"type":"text","text":"a:1","uri":"a:1"}"#;
        let meta = r#""_meta":{"ui":{"resourceUri":"ui://x"},"ui/resourceUri":"ui://x","y":"ui://x"}"#;
        let content = format!("[{link},{embedded},{text},7]");
        let tool = format!(r#"{{"content":{content},"structuredContent":{{"uri":"a:1"}},{meta}}}"#);
        let expected = tool
            .replace(r#""uri":"a:1","x""#, r#""uri":"weir+b:a:1","x""#)
            .replace(r#""uri": "a:\u"#, r#""uri": "weir+b:a:\u"#)
            .replace(r#"resourceUri":"ui"#, r#"resourceUri":"weir+b:ui"#);
        assert_eq!(prefixed(&tool, Method::ToolsCall), expected);
        assert_eq!(prefixed(&tool, Method::Complete), tool);
        let task = |result: &str| format!(r#"{{"taskId":"a:1","content":{content},"result":{result}}}"#);
        assert_eq!(prefixed(&task(&tool), Method::TasksGet), task(&expected));
        let prompt = format!(r#"{{"messages":[{{"role":"user","content":{link}}},1,{{"content":{text}}}]}}"#);
        assert_eq!(
            prefixed(&prompt, Method::PromptsGet),
            prompt.replace(r#""uri":"a:1","x""#, r#""uri":"weir+b:a:1","x""#)
        );
        let read = r#"{"contents":[{"uri":"a:1","text":"a:1"},{"uri":null}]}"#;
        assert_eq!(prefixed(read, Method::ResourcesRead), read.replacen("a:1", "weir+b:a:1", 1));
        assert_eq!(prefixed("{\"contents\":{}}", Method::ResourcesRead), "{\"contents\":{}}");
    }
}

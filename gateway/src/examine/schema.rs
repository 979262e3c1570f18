//! Whether clients can do anything with a tool's schemas.
//!
//! S: MCP 2025-11-25 `server/tools` "Tool": `inputSchema` is a JSON Schema of an object.

use serde_json::Value;

/// What is wrong with the schemas of a tool, given as its raw JSON; the first problem counts.
pub(super) fn problem(tool: &[u8]) -> Option<&'static str> {
    let tool: Value = serde_json::from_slice(tool).ok()?;
    let strings = |value: &Value| value.as_array().is_some_and(|items| items.iter().all(Value::is_string));
    let Some(input) = tool.get("inputSchema") else {
        return Some("it has no `inputSchema`");
    };
    let Some(schema) = input.as_object() else {
        return Some("its `inputSchema` is no object");
    };
    if schema.get("type").and_then(Value::as_str) != Some("object") {
        return Some("its `inputSchema` is not of the type `object`");
    }
    if schema.get("properties").is_some_and(|properties| !properties.is_object()) {
        return Some("`properties` of its `inputSchema` is no object");
    }
    if schema.get("required").is_some_and(|required| !strings(required)) {
        return Some("`required` of its `inputSchema` is no list of names");
    }
    if tool.get("outputSchema").is_some_and(|output| !output.is_object()) {
        return Some("its `outputSchema` is no object");
    }
    None
}

#[cfg(test)]
mod tests {
    use super::problem;

    #[test]
    fn schemas_that_clients_cannot_use() {
        for (tool, expected) in [
            (r#"{"name":"x"}"#, Some("it has no `inputSchema`")),
            (r#"{"inputSchema":true}"#, Some("its `inputSchema` is no object")),
            (r#"{"inputSchema":{}}"#, Some("its `inputSchema` is not of the type `object`")),
            (
                r#"{"inputSchema":{"type":"object","properties":[]}}"#,
                Some("`properties` of its `inputSchema` is no object"),
            ),
            (
                r#"{"inputSchema":{"type":"object","required":"x"}}"#,
                Some("`required` of its `inputSchema` is no list of names"),
            ),
            (
                r#"{"inputSchema":{"type":"object"},"outputSchema":1}"#,
                Some("its `outputSchema` is no object"),
            ),
            (r#"{"inputSchema":{"type":"object","properties":{"a":{}},"required":["a"]}}"#, None),
        ] {
            assert_eq!(problem(tool.as_bytes()), expected, "{tool}");
        }
    }
}

//! The tools that the echo server lists.

use std::fmt::Write;

/// The JSON array of `count` tools of about 400 bytes each; the first is `echo`.
pub(super) fn render(count: usize) -> String {
    let mut tools = String::from("[");
    for index in 0..count {
        let comma = if index == 0 { "" } else { "," };
        let (name, title) = match index {
            0 => ("echo".to_owned(), "Echo".to_owned()),
            _ => (format!("search_records_{index:04}"), format!("Search records {index}")),
        };
        // Writing to a `String` cannot fail.
        let _infallible = write!(
            tools,
            concat!(
                r#"{}{{"name":"{}","title":"{}","description":"Looks for records that match the query and returns "#,
                r#"them as text, newest first.","inputSchema":{{"type":"object","properties":{{"#,
                r#""query":{{"type":"string","description":"Words to look for"}},"#,
                r#""limit":{{"type":"integer","minimum":1,"maximum":100}},"#,
                r#""archived":{{"type":"boolean","default":false}}}},"required":["query"]}},"#,
                r#""annotations":{{"readOnlyHint":true,"openWorldHint":false}}}}"#
            ),
            comma, name, title
        );
    }
    tools.push(']');
    tools
}

#[cfg(test)]
mod tests {
    use super::render;

    #[test]
    fn tools_have_the_promised_size_and_names() {
        let rendered = render(1000);
        let tools: Vec<serde_json::Value> = serde_json::from_str(&rendered).unwrap();
        assert_eq!(tools.len(), 1000);
        assert_eq!(tools[0]["name"], "echo");
        assert_eq!(tools[999]["name"], "search_records_0999");
        let mean = rendered.len() / 1000;
        assert!((380..=460).contains(&mean), "{mean} bytes each");
    }
}

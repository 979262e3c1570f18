//! What to paste to connect a client to a running endpoint.

use serde_json::json;

/// The name under which clients know the endpoint.
const NAME: &str = "weir";

/// Lines that connect the common clients to the endpoint at `url`, ready to paste into a POSIX shell or a file.
pub(crate) fn lines(url: &str) -> String {
    let cursor = json!({ "mcpServers": { NAME: { "url": url } } });
    let code = json!({ "name": NAME, "type": "http", "url": url });
    let quoted = quote(url);
    format!(
        "MCP Inspector   npx @modelcontextprotocol/inspector --cli {quoted} --transport http --method tools/list\n\
         Claude Code     claude mcp add --transport http {NAME} {quoted}\n\
         Cursor          in ~/.cursor/mcp.json: {cursor}\n\
         VS Code         code --add-mcp {}\n",
        quote(&code.to_string()),
    )
}

/// One word of a POSIX shell; a plain one stays as it is.
fn quote(word: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._:/@%+,=".contains(&byte);
    if !word.is_empty() && word.bytes().all(plain) {
        word.into()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::{lines, quote};
    use std::process::Command;

    #[test]
    fn every_client_gets_its_line() {
        let expected = r#"MCP Inspector   npx @modelcontextprotocol/inspector --cli http://127.0.0.1:4483/mcp --transport http --method tools/list
Claude Code     claude mcp add --transport http weir http://127.0.0.1:4483/mcp
Cursor          in ~/.cursor/mcp.json: {"mcpServers":{"weir":{"url":"http://127.0.0.1:4483/mcp"}}}
VS Code         code --add-mcp '{"name":"weir","type":"http","url":"http://127.0.0.1:4483/mcp"}'
"#;
        assert_eq!(lines("http://127.0.0.1:4483/mcp"), expected);
    }

    #[test]
    fn a_shell_reads_a_word_as_it_was() {
        for word in
            ["plain", "http://[::1]:4483/mcp", "a b", "it's", "$(reboot)", "`x`", "?*&;|<>\"\\", "", "~/x"]
        {
            let said =
                Command::new("sh").args(["-c", &format!("printf %s {}", quote(word))]).output().unwrap();
            assert_eq!(String::from_utf8(said.stdout).unwrap(), word);
        }
    }
}

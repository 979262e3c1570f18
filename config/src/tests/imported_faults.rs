//! What an import must not do, and what it makes of files that are not quite in order.

use super::imported_clients::{body, import, in_order, remarks, variables};
use super::imported_toolhive::VMCP;
use crate::import_text;
use std::path::Path;

#[test]
fn secrets_are_never_copied_and_never_shared_by_mistake() {
    let imported = import(
        "mcp.json",
        r#"{"mcpServers": {
  "a": {"command": "x", "env": {"API_KEY": "s3cr3t-1"}},
  "b": {"command": "x", "env": {"API_KEY": "s3cr3t-2"}},
  "c": {"command": "x", "env": {"API_KEY": "s3cr3t-1"}, "args": ["--token", "s3cr3t-3", "--password=s3cr3t-4"]},
  "d": {"command": "x", "args": ["-e", "GITHUB_TOKEN=s3cr3t-5", "--header", "Authorization: Bearer s3cr3t-6"]},
  "e": {"url": "https://ada:s3cr3t-7@example.com/hooks/s3cr3t7f3a9b2c8d1e4f/mcp?token=s3cr3t-8"}
}}"#,
    );
    let shown: String = imported.remarks.iter().map(ToString::to_string).collect();
    for text in [&imported.text, &shown, &format!("{:?}", imported.variables)] {
        assert!(!text.contains("s3cr3t"), "{text}");
    }
    assert_eq!(
        variables(&imported),
        [
            "API_KEY",
            "B_API_KEY",
            "C_PASSWORD",
            "C_TOKEN",
            "D_AUTHORIZATION",
            "E_BASIC",
            "E_TOKEN",
            "E_URL_SECRET",
            "GITHUB_TOKEN"
        ]
    );
    assert!(imported.text.contains("- --password=${C_PASSWORD}"), "{}", imported.text);
    assert!(imported.text.contains("url: https://example.com/hooks/${E_URL_SECRET}/mcp?token=${E_TOKEN}"));
    assert!(imported.text.contains("Authorization: Basic ${E_BASIC}"));
}

#[test]
fn secrets_beside_references_are_not_copied() {
    let imported = import(
        "mcp.json",
        r#"{"mcpServers": {
  "a": {"command": "npx", "args": ["postgres://ada:s3cr3t-1@${DB}/x", "--api-key=s3cr3t-2${X}", "--token", "${Y}s3cr3t-3"],
        "env": {"URI": "mysql://ada:s3cr3t-4@${DB}/x", "PASSWORD": "s3cr3t-5${X}", "TWO": "sk-s3cr3t-6 ${Z}",
                "PGPASSWORD": "s3cr3t-7", "SECRET_ID": "s3cr3t-8", "FIVE": "Server=h;Password=s3cr3t-9;User=${U}",
                "SIX": "token ghp_s3cr3t", "SEVEN": "${Q:-ghp_s3cr3t}", "API_KEY": "${K:-s3cr3t}"}},
  "b": {"url": "https://example.com/mcp/${P:-a/b}/sk-s3cr3t?api_key=s3cr3t&x=${Q}&token=${T}",
        "headers": {"Authorization": "Bearer s3cr3t${R}", "X-Api-Key": "${R}", "Cookie": "${C} s3cr3t"}},
  "c": {"command": "npx -y server --token s3cr3t"},
  "d": {"command": "x", "args": ["--header", "Authorization: Bearer ${R}", "https://${HOST}/x"],
        "env": {"PASSWORD": "${PASSWORD}", "DB": "postgres://ada:${PASSWORD}@db/x"}}
}}"#,
    );
    let shown: String = imported.remarks.iter().map(ToString::to_string).collect();
    for text in [&imported.text, &shown, &format!("{:?}", imported.variables)] {
        assert!(!text.contains("s3cr3t"), "{text}");
    }
    for kept in [
        "https://example.com/mcp/${P:-a/b}/${B_URL_SECRET}?api_key=${B_API_KEY}&x=${Q}&token=${T}",
        "Authorization: Bearer ${B_TOKEN}",
        "X-Api-Key: ${R}",
        "command: ${C_COMMAND}",
        "- \"Authorization: Bearer ${R}\"",
        "- https://${HOST}/x",
        "DB: postgres://ada:${PASSWORD}@db/x",
    ] {
        assert!(imported.text.contains(kept), "{kept}\n{}", imported.text);
    }
}

#[test]
fn what_weir_would_refuse_is_left_out_and_said() {
    let imported = import(
        "mcp.json",
        r##"{"mcpServers": {
  "a": {"url": "https://example.com/mcp", "headers": {"Host": "x", "Ä": "y", "X-Ok": "z"}},
  "b": {"url": "ftp://example.com"},
  "c": {"type": "ws", "url": "wss://example.com"},
  "d": {"type": "stdio"},
  "e f": {"command": "run me", "env": {"A=B": "x"}, "surprise": 1},
  "git": {"command": "x"},
  "git_hub": {"command": "x", "cwd": "/no/such/folder"}
}}"##,
    );
    assert_eq!(
        body(&imported),
        r#"backends:
  a:
    url: https://example.com/mcp
    headers:
      X-Ok: z
  e-f:
    command: run me
  git:
    command: x
  # cwd: /no/such/folder (left out: it is not there)
  git_hub:
    command: x

endpoints:
  default:
    path: /mcp
    # With the default format the names of two backends could not be told apart.
    conflicts:
      strategy: prefix
      format: "{backend}__"
"#
    );
    assert_eq!(
        remarks(&imported),
        [
            "2:55: this was left out: weir writes the header `Host` itself",
            "2:68: this was left out: `Ä` is not the name of a header",
            "3:9: the address of the server `b` is none of HTTP: it was left out",
            "4:9: weir does not know the transport `ws`: the server was left out",
            "5:3: the server `d` has neither a program nor an address",
            "6:3: the server `e f` is called `e-f` now",
            "6:11: this looks like a command line; weir starts the program of exactly this name",
            "6:40: this was left out: `A=B` is not the name of an environment variable",
            "6:53: `surprise` was left out: weir does not know this setting",
            "8:31: this was left out: cannot work in `/no/such/folder`: it does not exist",
        ]
    );
}

#[test]
fn what_has_the_wrong_form_is_said() {
    let imported = import(
        "mcp.json",
        r#"{"mcpServers": {
  "a": {"command": "x", "args": "-y", "env": ["A=1"]},
  "b": {"command": "x", "args": ["-y", {}, 1, true], "env": {"A": [1], "B": null, "C": false}},
  "c": "npx",
  "d": {"command": "x", "env": {"KEY": "${API_KEY:-s3cr3t}", "LEVEL": "${LEVEL:-info}", "D": "${}${"}}
}}"#,
    );
    assert_eq!(
        body(&imported),
        r#"backends:
  a:
    command: x
  b:
    command: x
    args:
      - -y
      - "1"
      - "true"
    env:
      C: "false"
  d:
    command: x
    env:
      KEY: ${API_KEY}
      LEVEL: ${LEVEL:-info}
      D: $${}$${
"#
    );
    assert_eq!(
        remarks(&imported),
        [
            "2:25: expected a list, found a string: `args` was left out",
            "2:39: expected a mapping, found a list: `env` was left out",
            "3:40: expected a text, found a mapping: it was left out",
            "3:62: expected a text, found a list: it was left out",
            "4:3: the server `c` has neither a program nor an address",
            "5:33: the default of `${API_KEY}` looks like a secret and was not copied",
        ]
    );
}

#[test]
fn files_of_no_use_are_refused() {
    for (text, expected) in [
        ("{}", "x.json:1:1: this is no file that weir can import"),
        ("backends: {a: {command: x}}", "x.json:1:1: this is weir's own configuration already"),
        (r#"{"mcpServers": {"a": {}}}"#, "x.json:1:1: it names no server that weir could use"),
        (r#"{"mcpServers": {"a": "#, "x.json:2:1: not valid YAML"),
        ("", "x.json:1:1: the file is empty"),
    ] {
        let errors = import_text(text, Path::new("x.json"), None).unwrap_err().to_string();
        assert!(errors.starts_with(expected), "{text}: {errors}");
    }
    let errors = crate::import(Path::new("/no/such/file"), None).unwrap_err().to_string();
    assert!(errors.contains("/no/such/file:1:1: cannot read the file: it does not exist"), "{errors}");
}

#[test]
fn whatever_is_taken_out_of_a_file_what_is_written_is_in_order() {
    let client = r#"{"mcpServers": {"a b": {"command": "x", "args": ["--key=abc", "${X"], "env": {"T": "${input:t}"}},
"c": {"url": "https://u:p@example.com/x?key=1", "headers": {"A": "b"}, "type": "sse", "includeTools": ["x"]}}}"#;
    for text in [client, VMCP] {
        for at in (0..text.len()).step_by(11) {
            for gone in [1, 9, text.len() - at] {
                let end = (at + gone).min(text.len());
                let mutilated = format!("{}{}", &text[..at], &text[end..]);
                if let Ok(imported) = import_text(&mutilated, Path::new("x"), None) {
                    in_order(&imported);
                }
            }
        }
    }
}

#[test]
fn no_server_gets_what_another_one_wrote() {
    let imported = import(
        "x.json",
        r#"{"mcpServers": {
            "a": {"command": "a", "env": {"PASSWORD": "s3cr3t"}},
            "b": {"command": "b", "env": {"PASSWORD": "${env:PASSWORD}"}}}}"#,
    );
    assert!(imported.text.contains("PASSWORD: ${A_PASSWORD}"), "{}", imported.text);
    assert!(imported.text.contains("PASSWORD: ${PASSWORD}"), "{}", imported.text);
}

//! Files of MCP clients, as their users have them, imported.

use crate::{Imported, Origin, import_text, parse};
use std::path::Path;

/// Imports a file; what is written must be in order.
pub(super) fn import(name: &str, text: &str) -> Imported {
    let imported = import_text(text, Path::new(name), None).unwrap_or_else(|errors| panic!("{errors}"));
    in_order(&imported);
    assert_eq!(import_text(text, Path::new(name), None).as_ref(), Ok(&imported));
    imported
}

/// What is written is a configuration once its variables are set.
pub(super) fn in_order(imported: &Imported) {
    let everything = |name: &str| {
        let value = match name {
            "HOME" => "/",
            url if url.ends_with("URL") => "https://example.com",
            _ => "x",
        };
        Some(value.to_owned())
    };
    if let Err(errors) = parse(&imported.text, Path::new("weir.yaml"), &everything) {
        panic!("{errors}\n{}", imported.text);
    }
}

/// The text below the head.
pub(super) fn body(imported: &Imported) -> &str {
    imported.text.split_once("\n\n").map_or("", |(_, body)| body)
}

/// Place and words of each remark, without advice.
pub(super) fn remarks(imported: &Imported) -> Vec<String> {
    let shown = |remark: &crate::Diagnostic| {
        assert!(remark.suggestion.is_some(), "{remark}");
        format!("{}:{}: {}", remark.line, remark.column, remark.message)
    };
    imported.remarks.iter().map(shown).collect()
}

/// The variables to set.
pub(super) fn variables(imported: &Imported) -> Vec<&str> {
    imported.variables.iter().map(|variable| variable.name.as_str()).collect()
}

#[test]
fn claude_desktop() {
    let imported = import(
        "claude_desktop_config.json",
        r#"{
  "globalShortcut": "Ctrl+Space",
  "mcpServers": {
    "filesystem": {
      "command": "npx",
      "args": ["-y", "@modelcontextprotocol/server-filesystem", "/home/ada/Documents", "C:\\Users\\ada"]
    },
    "github": {
      "command": "docker",
      "args": ["run", "-i", "--rm", "-e", "GITHUB_PERSONAL_ACCESS_TOKEN", "ghcr.io/github/github-mcp-server"],
      "env": {"GITHUB_PERSONAL_ACCESS_TOKEN": "ghp_16C7e42F292c6912E7", "LOG_LEVEL": "debug", "RETRIES": 3}
    },
    "postgres": {
      "command": "npx",
      "args": ["-y", "@modelcontextprotocol/server-postgres", "postgresql://ada:hunter2@localhost/mydb"]
    }
  }
}"#,
    );
    assert_eq!(imported.origin, Origin::McpServers);
    assert_eq!(
        imported.text,
        r#"# Carried over from claude_desktop_config.json by `weir import`.
# Environment variables to set before weir starts:
#   GITHUB_PERSONAL_ACCESS_TOKEN: the variable `GITHUB_PERSONAL_ACCESS_TOKEN` of the server `github`
#   POSTGRES_ARGUMENT: an argument of the server `postgres`
# `weir check --connect` tries it: it starts and asks every backend.

backends:
  filesystem:
    command: npx
    args:
      - -y
      - "@modelcontextprotocol/server-filesystem"
      - /home/ada/Documents
      - "C:\\Users\\ada"
  github:
    command: docker
    args:
      - run
      - -i
      - --rm
      - -e
      - GITHUB_PERSONAL_ACCESS_TOKEN
      - ghcr.io/github/github-mcp-server
    env:
      GITHUB_PERSONAL_ACCESS_TOKEN: ${GITHUB_PERSONAL_ACCESS_TOKEN}
      LOG_LEVEL: debug
      RETRIES: "3"
  postgres:
    command: npx
    args:
      - -y
      - "@modelcontextprotocol/server-postgres"
      - ${POSTGRES_ARGUMENT}
"#
    );
    let secret = "the value looks like a secret and was not copied: it became";
    assert_eq!(
        remarks(&imported),
        [
            format!("11:15: {secret} `${{GITHUB_PERSONAL_ACCESS_TOKEN}}`"),
            format!("15:63: {secret} `${{POSTGRES_ARGUMENT}}`"),
        ]
    );
}

#[test]
fn cursor_and_windsurf() {
    let imported = import(
        "mcp.json",
        r#"{"mcpServers": {
  "linear": {"url": "https://mcp.linear.app/mcp", "headers": {"Authorization": "Bearer lin_api_1234", "X-Team": "core"}},
  "sse": {"serverUrl": "https://example.com/sse", "type": "sse"},
  "time": {"command": "uvx", "args": ["mcp-server-time"], "env": {"TZ": "${env:TZ}"}, "disabled": false,
           "alwaysAllow": ["get_current_time"], "autoApprove": []},
  "gemini": {"httpUrl": "https://example.com/mcp?api_key=abc&verbose=1", "timeout": 5000, "trust": true,
             "includeTools": ["search"], "excludeTools": ["delete"]},
  "off": {"command": "x", "disabled": true}
}}"#,
    );
    assert_eq!(
        body(&imported),
        r#"backends:
  linear:
    url: https://mcp.linear.app/mcp
    headers:
      Authorization: Bearer ${LINEAR_TOKEN}
      X-Team: core
  sse:
    url: https://example.com/sse
  time:
    command: uvx
    args:
      - mcp-server-time
    env:
      TZ: ${TZ}
  gemini:
    url: https://example.com/mcp?api_key=${GEMINI_API_KEY}&verbose=1

endpoints:
  default:
    path: /mcp
    tools:
      allow:
        - "linear_*"
        - "sse_*"
        - "time_*"
        - gemini_search
      overrides:
        gemini:
          delete:
            hide: true
"#
    );
    assert_eq!(
        remarks(&imported),
        [
            "2:63: the value looks like a secret and was not copied: it became `${LINEAR_TOKEN}`",
            "5:12: `alwaysAllow` was left out: which calls need no approval is the client's affair",
            "6:14: the value looks like a secret and was not copied: it became `${GEMINI_API_KEY}`",
            "6:74: `timeout` was left out: clients measure it in different units, and of different things",
            "6:91: `trust` was left out: which calls need no approval is the client's affair",
            "8:3: the server `off` is disabled, and was left out",
        ]
    );
    assert_eq!(variables(&imported), ["GEMINI_API_KEY", "LINEAR_TOKEN", "TZ"]);
}

#[test]
fn vs_code() {
    let text = r#"// The servers of this workspace.
{
	"inputs": [
		{"type": "promptString", "id": "gh-token", "description": "GitHub token", "password": true},
		{"type": "promptString", "id": "region", "description": "Region", "default": "eu-west-1"},
	],
	"servers": {
		"github": {
			"type": "http", /* streamable */
			"url": "https://api.githubcopilot.com/mcp/",
			"headers": {"Authorization": "Bearer ${input:gh-token}"}
		},
		"aws": {
			"command": "${workspaceFolder}/bin/aws",
			"args": ["--region", "${input:region}", "--home", "${userHome}", "$${literal", "// no comment"],
			"envFile": "${workspaceFolder}/.env",
			"cwd": "~/.",
			"gallery": true
		}
	}
}
"#;
    let imported = import("mcp.json", text);
    assert_eq!(
        body(&imported),
        r#"backends:
  github:
    url: https://api.githubcopilot.com/mcp/
    headers:
      Authorization: Bearer ${GH_TOKEN}
  # It needs the variables of ${workspaceFolder}/.env in weir's environment.
  aws:
    command: ${WORKSPACE_FOLDER}/bin/aws
    args:
      - --region
      - ${REGION:-eu-west-1}
      - --home
      - ${HOME}
      - $$${literal
      - // no comment
    cwd: ${HOME}/.
"#
    );
    assert_eq!(
        remarks(&imported),
        [
            "11:16: `${input:gh-token}` asks the user for a value, which a gateway cannot: it became `${GH_TOKEN}`",
            "14:4: `${workspaceFolder}` is a folder of the client's, which a gateway has not",
            "15:25: `${input:region}` asks the user for a value, which a gateway cannot: it became `${REGION}`",
            "16:4: `envFile` was left out: weir does not read files of variables",
        ]
    );
    let optional: Vec<&str> =
        imported.variables.iter().filter(|it| it.optional).map(|it| &*it.name).collect();
    assert_eq!(optional, ["REGION"]);

    let settings = r#"{"editor.fontSize": 12, "mcp": {"servers": {"a": {"command": "x"}}, "inputs": []}}"#;
    assert_eq!(body(&import("settings.json", settings)), "backends:\n  a:\n    command: x\n");
}

#[test]
fn claude_code_with_projects() {
    let imported = import(
        ".claude.json",
        r#"{
  "numStartups": 7,
  "mcpServers": {"notes": {"type": "stdio", "command": "notes", "args": [], "env": {}}},
  "projects": {
    "/home/ada/one": {
      "history": [{"display": "hello"}],
      "mcpServers": {
        "notes": {"type": "stdio", "command": "notes", "args": [], "env": {}},
        "db": {"type": "http", "url": "${DB_URL:-https://db.example.com}/mcp"}
      }
    },
    "/home/ada/two": {"mcpServers": {"db": {"type": "stdio", "command": "db", "env": {"KEY": "one"}}}},
    "/home/ada/three": {"mcpServers": {}}
  }
}"#,
    );
    assert_eq!(
        body(&imported),
        r#"backends:
  notes:
    command: notes
  # of the project /home/ada/one
  db:
    url: ${DB_URL:-https://db.example.com}/mcp
  # of the project /home/ada/two
  db-2:
    command: db
    env:
      KEY: ${KEY}
"#
    );
    assert_eq!(
        remarks(&imported),
        [
            "12:38: the server `db` of the project `/home/ada/two` is called `db-2` now",
            "12:87: the value looks like a secret and was not copied: it became `${KEY}`",
        ]
    );
}

#[test]
fn a_single_tool_may_stand_without_its_list() {
    for (choice, expected) in [
        (r#""includeTools": "read""#, "      allow:\n        - a_read\n"),
        (r#""includeTools": ["read!"]"#, "      allow:\n        - \"a_read!\"\n"),
        (r#""includeTools": [{}]"#, "      deny:\n        - \"*\"\n"),
        (
            r#""excludeTools": "read""#,
            "      overrides:\n        a:\n          read:\n            hide: true\n",
        ),
    ] {
        let text = format!(r#"{{"mcpServers": {{"a": {{"command": "x", {choice}}}}}}}"#);
        let imported = import("mcp.json", &text);
        assert!(imported.text.ends_with(&format!("    tools:\n{expected}")), "{}", imported.text);
    }
}

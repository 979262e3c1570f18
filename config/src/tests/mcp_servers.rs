//! The file of MCP clients.

use super::{errors, read, warnings};
use crate::{Backend, Conflicts, Endpoint, Secret, Transport};

#[test]
fn servers_become_backends_of_one_endpoint() {
    let text = r#"{"mcpServers": {
  "time": {"command": "mcp-server-time", "args": ["-p", "${env:PORT}"], "env": {"T": "${TOKEN}"}, "type": "stdio"},
  "a": {"url": "https://example.com/a", "headers": {"Authorization": "Bearer ${TOKEN}"}, "type": "streamable-http"},
  "b": {"serverUrl": "https://example.com/b", "type": "http", "disabled": false},
  "c": {"httpUrl": "https://example.com/c", "type": "streamableHttp"},
  "off": {"command": "${NONE}", "disabled": true}
}}"#;
    let config = read(text).unwrap_or_else(|errors| panic!("{errors}")).config;
    let mut time = Backend::stdio("time", "mcp-server-time", ["-p", "9000"]);
    if let Transport::Stdio(transport) = &mut time.transport {
        transport.env.push(("T".to_owned(), Secret::new("hunter2".to_owned())));
    }
    let http = |name: &str| Backend::http(name, format!("https://example.com/{name}").parse().unwrap());
    let mut a = http("a");
    if let Transport::Http(transport) = &mut a.transport {
        transport.headers.push(("Authorization".to_owned(), Secret::new("Bearer hunter2".to_owned())));
    }
    assert_eq!(config.backends, [time, a, http("b"), http("c")]);
    assert_eq!(config.endpoints, [Endpoint::over("default", "/mcp", ["time", "a", "b", "c"])]);
    assert_eq!(warnings(text), "");
}

#[test]
fn what_only_a_client_understands_is_warned_of() {
    let text = r#"{"inputs": [], "mcpServers": {
  "My Server": {"command": "x", "autoApprove": ["*"]}
}}"#;
    assert_eq!(
        warnings(text),
        "\
weir.yaml:1:2: unknown field `inputs`
1 | {\"inputs\": [], \"mcpServers\": {
  |  ^
  = help: it is ignored

weir.yaml:2:3: the server `My Server` is called `My-Server` here
2 |   \"My Server\": {\"command\": \"x\", \"autoApprove\": […]}
  |   ^

weir.yaml:2:33: unknown field `autoApprove`
2 |   \"My Server\": {\"command\": \"x\", \"autoApprove\": […]}
  |                                 ^
  = help: it is ignored"
    );
    assert_eq!(read(text).unwrap().config.backends, [Backend::stdio("My-Server", "x", [""; 0])]);
}

#[test]
fn names_that_cannot_be_told_apart_get_another_format() {
    let text = "mcpServers:\n  git: {command: x}\n  git_hub: {command: y}\n";
    let loaded = read(text).unwrap();
    assert_eq!(loaded.config.endpoints[0].conflicts, Conflicts::Prefix("{backend}__".to_owned()));
    assert_eq!(
        warnings(text),
        "\
weir.yaml:3:3: names of this server and another cannot be told apart with the format `{backend}_`
3 |   git_hub: {command: y}
  |   ^
  = help: names are written as `{backend}__` instead"
    );
}

#[test]
fn a_server_of_the_older_transport_is_reached_by_its_url() {
    let text = r#"{"mcpServers": {"a": {"type": "sse", "url": "http://x/sse"}}}"#;
    let loaded = read(text).unwrap();
    assert_eq!(loaded.config.backends, [Backend::http("a", "http://x/sse".parse().unwrap())]);
    assert_eq!(warnings(text), "");
}

#[test]
fn what_a_gateway_cannot_do_is_refused() {
    for (text, expected) in [
        ("mcpServers: {}", "1:1: no server is configured"),
        ("mcpServers: {a: {type: stdio}}", "1:24: a server of type `stdio` needs `command`"),
        ("mcpServers: {a: {type: http, command: x}}", "1:24: a server of this type needs `url`"),
        ("mcpServers: {a: {}}", "1:14: a backend needs `command` or `url`"),
        ("mcpServers: {a: {type: sse, command: x}}", "1:24: a server of this type needs `url`"),
        (
            "mcpServers: {a: {type: ws}}",
            "1:24: `ws` is not one of `stdio`, `http`, `streamable-http`, `streamableHttp`, `sse`",
        ),
        ("mcpServers: {a: {url: 'http://x', httpUrl: 'http://y'}}", "1:35: `httpUrl` is a second address"),
        ("mcpServers: {a b: {command: x}, a-b: {command: x}}", "1:33: `a b` and `a-b` both become `a-b`"),
        (
            "mcpServers: {a: {command: x, env: {K: '${input:key}'}}}",
            "1:39: `${input:key}` asks the user for a value, which a gateway cannot",
        ),
        ("mcpServers: {a: {command: x}}\nlistener: {}", "2:1: `listener` does not go with `mcpServers`"),
    ] {
        let errors = errors(text);
        assert_eq!(errors.lines().next().unwrap(), format!("weir.yaml:{expected}"), "{text}");
    }
}

//! The `mcpServers` file of MCP clients, as the configuration of a gateway.

use crate::check::{BackendDefaults, Checker, Format, as_name, backend, members, of_backends};
use crate::file::{self, SecretText, Text};
use crate::model::{Config, Conflicts, Endpoint};
use crate::report::{Finding, Report, quote};
use crate::tree::{Key, Node, Path, Value};
use schemars::JsonSchema;
use serde::Deserialize;
use std::collections::{BTreeMap, HashMap};

/// The key that tells this kind of file.
pub(crate) const ROOT: &str = "mcpServers";

/// The file; keys that only a client understands are ignored with a warning.
#[derive(Deserialize, JsonSchema)]
pub(crate) struct File {
    #[serde(rename = "mcpServers")]
    servers: BTreeMap<String, Server>,
}

/// One server.
#[derive(Deserialize, JsonSchema)]
struct Server {
    #[serde(rename = "type")]
    kind: Option<Kind>,
    command: Option<String>,
    args: Option<Vec<Text>>,
    env: Option<BTreeMap<String, SecretText>>,
    cwd: Option<String>,
    url: Option<String>,
    #[serde(rename = "serverUrl")]
    server_url: Option<String>,
    #[serde(rename = "httpUrl")]
    http_url: Option<String>,
    headers: Option<BTreeMap<String, SecretText>>,
    #[expect(
        dead_code,
        reason = "servers with `true` are left out before; known here, so that it is not warned of"
    )]
    disabled: Option<bool>,
}

/// How a server is reached, in the words of different clients.
#[derive(Clone, Copy, PartialEq, Deserialize, JsonSchema)]
enum Kind {
    #[serde(rename = "stdio")]
    Stdio,
    #[serde(rename = "http")]
    Http,
    #[serde(rename = "streamable-http")]
    StreamableHttp,
    #[serde(rename = "streamableHttp")]
    StreamableHttpCamel,
    #[serde(rename = "sse")]
    Sse,
}

/// Leaves out the servers that are disabled, before anything about them is looked at.
pub(crate) fn leave_out_disabled(root: &mut Node, report: &mut Report) {
    let Value::Table(entries) = &mut root.value else {
        return;
    };
    let Some(Node { value: Value::Table(servers), .. }) = entries.get_mut(ROOT) else {
        return;
    };
    servers.retain(|(_, server)| {
        let disabled = server.get("disabled").is_some_and(
            |(_, node)| matches!(&node.value, Value::Scalar { text, plain: true } if text == "true"),
        );
        if disabled {
            report.hide(server.extent);
        }
        !disabled
    });
}

/// Reports weir's own keys: beside `mcpServers` they would do nothing.
pub(crate) fn refuse_mixture<'k>(root: &Node, own: impl Iterator<Item = &'k String>, report: &mut Report) {
    let keys: Vec<&Key> = own.filter_map(|name| root.get(name)).map(|(key, _)| key).collect();
    for key in keys {
        let message = format!("{} does not go with `{ROOT}`", quote(&key.text));
        let finding = Finding::new(key.extent.start, &Path::root(&key.text), message);
        report.error(finding.help(format!("write the servers under `backends`, or keep to `{ROOT}` alone")));
    }
}

/// The configuration: the servers behind one endpoint, everything else as by default.
pub(crate) fn config(checker: &mut Checker<'_>, mut file: File) -> Config {
    let here = Path::root(ROOT);
    let written = members(checker, &here, "servers");
    if written.is_empty() {
        checker.error(checker.at_key(&here, "no server is configured"));
    }
    let mut backends = Vec::with_capacity(written.len());
    let mut taken: HashMap<String, String> = HashMap::new();
    let mut names = Vec::with_capacity(written.len());
    for key in written {
        let here = here.key(&key);
        let name = name(checker, &here, &key);
        if let Some(earlier) = taken.insert(name.clone(), key.clone()) {
            let message = format!("{} and {} both become {}", quote(&earlier), quote(&key), quote(&name));
            checker.error(checker.at_key(&here, message).help("rename one"));
        }
        if let Some(server) = file.servers.remove(&key)
            && let Some(server) = reached(checker, &here, server)
        {
            backends.extend(backend(checker, &here, &name, server, &BackendDefaults::default()));
        }
        names.push(name);
    }
    let mut endpoint = Endpoint::over(Endpoint::NAME, Endpoint::PATH, names);
    endpoint.conflicts = conflicts(checker, &here, &endpoint.backends);
    of_backends(backends, endpoint)
}

/// The server as a backend is written in weir's own file.
fn reached(checker: &mut Checker<'_>, here: &Path, server: Server) -> Option<file::Backend> {
    let Server { kind, command, args, env, cwd, url, server_url, http_url, headers, disabled: _ } = server;
    let urls = [("url", url), ("serverUrl", server_url), ("httpUrl", http_url)];
    let mut urls = urls.into_iter().filter_map(|(key, url)| Some((key, url?)));
    let url = urls.next();
    if let Some((key, _)) = urls.next() {
        let finding = checker.at_key(&here.key(key), format!("{} is a second address", quote(key)));
        checker.error(finding.help("keep one of `url`, `serverUrl` and `httpUrl`"));
    }
    let place = here.key("type");
    match kind {
        Some(Kind::Stdio) if command.is_none() => {
            checker.error(checker.at(&place, "a server of type `stdio` needs `command`"));
            return None;
        }
        Some(Kind::Http | Kind::StreamableHttp | Kind::StreamableHttpCamel | Kind::Sse) if url.is_none() => {
            checker.error(checker.at(&place, "a server of this type needs `url`"));
            return None;
        }
        _ => {}
    }
    let url = url.map(|(_, url)| url);
    Some(file::Backend { command, args, env, cwd, url, headers, ..file::Backend::default() })
}

/// The server's name with the characters that a backend's name may have.
fn name(checker: &mut Checker<'_>, here: &Path, written: &str) -> String {
    let name = as_name(written);
    if name.is_empty() {
        checker.error(checker.at_key(here, "the server has no name"));
    } else if name != written {
        checker.warning(
            checker.at_key(here, format!("the server {} is called {} here", quote(written), quote(&name))),
        );
    }
    name
}

/// The format that tells the servers apart: such a file has no place to write one.
fn conflicts(checker: &mut Checker<'_>, here: &Path, names: &[String]) -> Conflicts {
    let clash = Format::parse(Conflicts::FORMAT).ok().and_then(|format| format.clash(names));
    let Some((_, second)) = clash else {
        return Conflicts::default();
    };
    let key = checker.root.find(here).and_then(|node| match &node.value {
        Value::Table(entries) => entries.iter().nth(second).map(|(key, _)| here.key(&key.text)),
        _ => None,
    });
    let place = key.unwrap_or_else(|| here.clone());
    let message = format!(
        "names of this server and another cannot be told apart with the format `{}`",
        Conflicts::FORMAT
    );
    let finding = checker.at_key(&place, message);
    match Format::unambiguous(names) {
        Some(format) => {
            checker.warning(finding.help(format!("names are written as {} instead", quote(format))));
            Conflicts::Prefix(format.to_owned())
        }
        None => {
            checker.error(finding.help("rename it"));
            Conflicts::default()
        }
    }
}

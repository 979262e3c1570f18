//! curl as a client, for what the raw client does not speak: TLS and HTTP/2.

use crate::Endpoint;
use crate::modern::{self, Modern};
use crate::process::Process;
use serde_json::{Value, json};
use std::path::Path;
use std::process::Command;

/// An answer as curl tells it.
#[derive(Debug)]
pub struct Answered {
    /// The status code.
    pub status: u16,
    /// The version of HTTP: `1.1` or `2`.
    pub version: String,
    /// The body.
    pub body: String,
}

impl Answered {
    /// The result of the JSON-RPC answer in the body.
    pub fn result(&self) -> Value {
        let mut answer: Value =
            serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("no JSON ({error}) in {self:?}"));
        answer["result"].take()
    }
}

/// A modern request of `client`, to be sent with curl; `options` are curl's own.
pub fn request(client: &Modern, method: &str, params: Value, options: &[&str]) -> Command {
    let message = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": client.with_meta(params)});
    let mut command = Command::new("curl");
    command
        .args(["--silent", "--show-error", "--no-buffer", "--max-time", "60", "--noproxy", "*"])
        .args(["--header", "content-type: application/json"])
        .args(["--header", "accept: application/json, text/event-stream"])
        .args(["--header", &format!("mcp-protocol-version: {}", modern::REVISION)])
        .args(["--header", &format!("mcp-method: {method}")]);
    if let Some(name) = message["params"]["name"].as_str() {
        command.args(["--header", &format!("mcp-name: {name}")]);
    }
    command
        .args(["--data", &message.to_string(), "--write-out", "\n%{http_code} %{http_version}"])
        .args(options)
        .arg(client.endpoint().url());
    command
}

/// What curl exits with where an HTTP/2 stream ends in a way that it does not like (CURLE_HTTP2_STREAM).
const STREAM_LOST: i32 = 92;

/// Some versions of curl lose an answer over HTTP/2 that comes before all of the request is sent, now and then.
const ATTEMPTS: usize = 6;

/// Lists tools with curl; `Err` has what curl says when no answer came.
pub fn list_tools(to: &Endpoint, options: &[&str]) -> Result<Answered, String> {
    let list = || Process::run(&mut request(&Modern::new(to.clone()), "tools/list", json!({}), options), "");
    let mut exit = list();
    for _ in 1..ATTEMPTS {
        if exit.status.code() != Some(STREAM_LOST) {
            break;
        }
        exit = list();
    }
    if !exit.status.success() {
        return Err(exit.stderr);
    }
    let (body, told) = exit.stdout.rsplit_once('\n').expect("curl tells the status");
    let (status, version) = told.split_once(' ').expect("and the version");
    Ok(Answered {
        status: status.parse().expect("a status is a number"),
        version: version.to_owned(),
        body: body.to_owned(),
    })
}

/// Writes a certificate for 127.0.0.1 that vouches for itself, and its key, as `cert.pem` and `key.pem` into a folder.
pub fn certify(folder: &Path) {
    // Without the defaults of openssl, which would make it an authority's: rustls takes none of those for a server's.
    let config = "[req]\nprompt = no\ndistinguished_name = name\nx509_extensions = server\n[name]\nCN = weir-tests\n\
        [server]\nbasicConstraints = critical, CA:FALSE\nsubjectAltName = IP:127.0.0.1\n";
    let settings = folder.join("openssl.cnf");
    std::fs::write(&settings, config).expect("the settings can be written");
    let mut command = Command::new("openssl");
    command
        .args(["req", "-x509", "-nodes", "-days", "2"])
        .args(["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"])
        .arg("-config")
        .arg(settings)
        .arg("-keyout")
        .arg(folder.join("key.pem"))
        .arg("-out")
        .arg(folder.join("cert.pem"));
    let exit = Process::run(&mut command, "");
    assert!(exit.status.success(), "openssl: {}", exit.stderr);
}

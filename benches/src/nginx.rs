//! nginx, as a plain reverse proxy in front of the echo server and as a server of files.

use crate::bench::free_port;
use crate::client::wait_for_port;
use crate::error::BenchError;
use crate::message::Target;
use crate::process::{Pins, Program};
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;
use tempfile::TempDir;

const START: Duration = Duration::from_secs(10);

/// A running nginx with one worker.
#[derive(Debug)]
pub struct Nginx {
    /// The master process.
    pub program: Program,
    /// Where it listens.
    port: u16,
    /// Its configuration, logs and files.
    _directory: TempDir,
}

impl Nginx {
    /// Starts nginx before the server on `upstream`; `list` is served as the file `/files/list.json`.
    ///
    /// # Errors
    /// When it cannot be started or does not listen in time.
    pub async fn start(nginx: &Path, pins: Pins, upstream: u16, list: &[u8]) -> Result<Self, BenchError> {
        let directory = tempfile::tempdir().map_err(BenchError::io("create a directory"))?;
        let root = directory.path();
        // A worker of a master that runs as root is another user and must be able to read the files.
        fs::set_permissions(root, Permissions::from_mode(0o755))
            .map_err(BenchError::io("open a directory"))?;
        fs::create_dir(root.join("files")).map_err(BenchError::io("create a directory"))?;
        fs::write(root.join("files/list.json"), list).map_err(BenchError::io("write a file"))?;
        let port = free_port()?;
        let config = root.join("nginx.conf");
        fs::write(&config, configuration(root, port, upstream)).map_err(BenchError::io("write a file"))?;
        let args = [
            "-p".into(),
            root.into(),
            "-c".into(),
            config.into(),
            "-e".into(),
            root.join("error.log").into(),
        ];
        let program = Program::start(nginx, &args, pins.hop, Some(&root.join("error.log")))?;
        let this = Self { program, port, _directory: directory };
        if let Err(error) = wait_for_port(&this.target("/mcp"), START).await {
            let log = fs::read_to_string(this._directory.path().join("error.log")).unwrap_or_default();
            return Err(BenchError::Failed(format!("nginx does not listen: {error}\n{log}")));
        }
        Ok(this)
    }

    /// A path that it serves.
    pub fn target(&self, path: &str) -> Target {
        Target::new(self.port, path)
    }
}

/// The numbers of requests per connection are without bound on both sides, so that no connection is opened anew.
fn configuration(root: &Path, port: u16, upstream: u16) -> String {
    let root = root.display();
    format!(
        "daemon off;
worker_processes 1;
pid {root}/nginx.pid;
error_log {root}/error.log warn;
events {{ worker_connections 1024; }}
http {{
    access_log off;
    default_type application/json;
    sendfile on;
    tcp_nopush on;
    keepalive_requests 1000000000;
    client_body_temp_path {root}/body;
    proxy_temp_path {root}/proxy;
    fastcgi_temp_path {root}/fastcgi;
    uwsgi_temp_path {root}/uwsgi;
    scgi_temp_path {root}/scgi;
    upstream echo {{
        server 127.0.0.1:{upstream};
        keepalive 64;
        keepalive_requests 1000000000;
    }}
    server {{
        listen 127.0.0.1:{port};
        location /files/ {{ root {root}; }}
        location / {{
            proxy_pass http://echo;
            proxy_http_version 1.1;
            proxy_set_header Connection \"\";
        }}
    }}
}}
"
    )
}

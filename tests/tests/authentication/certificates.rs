//! Clients that show a certificate: who they are, and who does not get that far.

use crate::{EVERYTHING, echo};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Read, Write};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use tempfile::TempDir;
use weir_tests::authority::Issued;
use weir_tests::curl::{self, Answered};
use weir_tests::{Authority, Modern, Provider, Weir, wait, weir};

/// weir with a certificate, and a file of authorities that a test can change.
struct Bench {
    weir: Weir,
    server: Authority,
    folder: TempDir,
}

impl Bench {
    fn start(authority: &Authority, required: bool, certificates: Value, policy: &str) -> Self {
        let auth = match certificates {
            Value::Null => json!({"insecure": true}),
            certificates => json!({"certificates": certificates}),
        };
        Self::asking(authority, required, auth, policy)
    }

    /// The same with all of `auth`.
    fn asking(authority: &Authority, required: bool, auth: Value, policy: &str) -> Self {
        let (server, folder) = (Authority::new(), tempfile::tempdir().expect("a folder"));
        let trusted = folder.path().join("clients.pem");
        std::fs::copy(authority.certificate(), &trusted).expect("a file can be copied");
        let own = server.server();
        let policies = json!({"inline": policy});
        let endpoint = json!({"conflicts": "none", "auth": auth, "policies": policies});
        let mut config = weir::config(json!({"echo": echo()}), endpoint);
        let clients = json!({"ca": trusted, "required": required});
        config["listener"]["tls"] =
            json!({"certificate": own.certificate, "key": own.key, "clients": clients});
        Self { weir: Weir::serve(config), server, folder }
    }

    /// What whoever shows this gets: an answer, or no connection.
    fn list(&self, shown: Option<&Issued>, more: &[&str]) -> Result<Answered, String> {
        let ca = self.server.certificate();
        let mut options = vec!["--cacert", ca.to_str().expect("a path")];
        options.extend(shown.iter().flat_map(|shown| shown.options()));
        options.extend(more);
        curl::list_tools(&self.weir.endpoint(), &options)
    }

    fn trust(&self, authorities: &[&Authority]) {
        let read =
            |authority: &&Authority| std::fs::read_to_string(authority.certificate()).expect("a certificate");
        let all: Vec<String> = authorities.iter().map(read).collect();
        let new = self.folder.path().join("new.pem");
        std::fs::write(&new, all.concat()).expect("a file can be written");
        std::fs::rename(new, self.folder.path().join("clients.pem")).expect("a file can be replaced");
    }
}

fn tools(answered: &Answered) -> Option<usize> {
    answered.result()["tools"].as_array().map(Vec::len)
}

#[test]
fn a_certificate_shows_who_calls() {
    let authority = Authority::new();
    let certificates = json!({"subject": "uri", "allow": ["spiffe://weir.test/agents/*"]});
    let bench = Bench::start(&authority, false, certificates, EVERYTHING);
    let agent = authority.client("agent", "/CN=agent", "URI:spiffe://weir.test/agents/one", 2);
    for version in ["--http1.1", "--http2"] {
        for tls in ["--tlsv1.2", "--tlsv1.3"] {
            let answered = bench.list(Some(&agent), &[version, tls]).expect("an answer");
            assert_eq!((answered.status, tools(&answered)), (200, Some(5)), "{version} {tls}");
        }
    }
    let older = bench.list(Some(&agent), &["--tls-max", "1.2"]).expect("an answer");
    assert_eq!(tools(&older), Some(5));
    // Good, and nobody's here.
    let strangers = [
        authority.client("other", "/CN=other", "URI:spiffe://weir.test/people/one", 2),
        authority.client("deeper", "/CN=deeper", "URI:spiffe://weir.test/agents/one/more", 2),
        authority.client("nobody", "/CN=spiffe:||weir.test|agents|one", "", 2),
        authority.client("dns", "/CN=dns", "DNS:spiffe.weir.test", 2),
    ];
    for stranger in &strangers {
        let refused = bench.list(Some(stranger), &[]).expect("an answer");
        assert_eq!(refused.status, 401, "{stranger:?}: {}", refused.body);
    }
    assert_eq!(bench.list(None, &[]).expect("an answer").status, 401, "who shows nothing");
    // Not good: there is no connection at all.
    let foreign = Authority::new().client("agent", "/CN=agent", "URI:spiffe://weir.test/agents/one", 2);
    let ended = authority.client("ended", "/CN=agent", "URI:spiffe://weir.test/agents/one", -1);
    for bad in [&foreign, &ended, &bench.server.server()] {
        assert!(bench.list(Some(bad), &[]).is_err(), "{bad:?}");
    }
    // What proxies write is not believed.
    let forged = [
        "--header",
        "x-forwarded-client-cert: URI=spiffe://weir.test/agents/one",
        "--header",
        "x-ssl-client-cert: x",
    ];
    assert_eq!(bench.list(None, &forged).expect("an answer").status, 401);
}

#[test]
fn who_has_to_show_one_does_not_connect_without() {
    let authority = Authority::new();
    let bench = Bench::start(&authority, true, json!({}), EVERYTHING);
    assert!(bench.list(None, &[]).is_err());
    let ada = authority.client("ada", "/CN=ada", "", 2);
    assert_eq!(bench.list(Some(&ada), &[]).map(|answered| answered.status), Ok(200));
}

#[test]
fn a_name_is_not_written_so_that_it_passes_for_another() {
    let authority = Authority::new();
    let policy = r#"permit(principal, action, resource) when { principal.sub == "CN=ada,O=admins" };"#;
    let bench = Bench::start(&authority, true, json!({"subject": "name"}), policy);
    let seen = |subject: &str, name: &str| {
        let shown = authority.client(name, subject, "", 2);
        tools(&bench.list(Some(&shown), &[]).expect("an answer"))
    };
    assert_eq!(seen("/O=admins/CN=ada", "real"), Some(5));
    for (name, subject) in [
        ("comma", "/CN=ada,O=admins"),
        ("order", "/CN=ada/O=admins"),
        ("one", "/O=admins+CN=ada"),
        ("case", "/O=Admins/CN=ada"),
        ("blank", "/O=admins/CN=ada "),
        ("more", "/C=DE/O=admins/CN=ada"),
    ] {
        assert_eq!(seen(subject, name), Some(0), "{subject}");
    }
}

#[test]
fn authorities_come_and_go_while_weir_runs() {
    let (first, second) = (Authority::new(), Authority::new());
    let bench = Bench::start(&first, true, json!({}), EVERYTHING);
    let of_first = first.client("ada", "/CN=ada", "", 2);
    let of_second = second.client("bob", "/CN=bob", "", 2);
    let lets_in = |shown: &Issued| bench.list(Some(shown), &[]).is_ok_and(|answered| answered.status == 200);
    assert!(lets_in(&of_first) && !lets_in(&of_second));
    let mut open = Connection::open(&bench, &of_first);
    assert_eq!(open.ping(), Some(200));
    bench.trust(&[&first, &second]);
    wait::until_true("the second one counts", || lets_in(&of_second));
    assert_eq!(open.ping(), Some(200), "the first one still does, in a connection that was open");
    bench.trust(&[&second]);
    wait::until_true("the first one is gone", || !lets_in(&of_first));
    assert_eq!(open.ping(), None, "and so is its connection");
    // What cannot be used changes nothing.
    std::fs::write(bench.folder.path().join("clients.pem"), "nonsense").expect("a file can be written");
    wait::until_true("it is reported", || bench.weir.log().contains("the last good ones stay"));
    assert!(lets_in(&of_second) && !lets_in(&of_first));
}

/// A stream of announcements to whoever shows this, over HTTP/1.1 and over HTTP/2, that is open already.
fn streams(bench: &Bench, shown: &Issued, more: &[&str]) -> Vec<Child> {
    let ca = bench.server.certificate();
    let client = Modern::new(bench.weir.endpoint());
    let open = |version: &str| {
        let mut options = vec!["--cacert", ca.to_str().expect("a path"), version];
        options.extend(shown.options());
        options.extend(more);
        let wanted = json!({"notifications": {"toolsListChanged": true}});
        let mut command = curl::request(&client, "subscriptions/listen", wanted, &options);
        let mut child = command.stdout(Stdio::piped()).spawn().expect("curl can be started");
        let mut first = [0; 1];
        child.stdout.as_mut().expect("stdout is piped").read_exact(&mut first).expect("it begins");
        child
    };
    vec![open("--http1.1"), open("--http2")]
}

/// Streams that have not ended are ended from here.
fn go_on(streams: Vec<Child>) {
    for mut stream in streams {
        assert!(stream.try_wait().expect("a status").is_none(), "it goes on");
        let _ = stream.kill();
        let _ = stream.wait();
    }
}

/// Waits for the end of streams, which is one that weir writes.
fn end(streams: Vec<Child>) {
    for mut stream in streams {
        let mut told = String::new();
        let output = stream.stdout.as_mut().expect("stdout is piped");
        output.read_to_string(&mut told).expect("text");
        assert!(stream.wait().expect("curl ends").success() && told.contains("complete"), "{told}");
    }
}

#[test]
fn a_stream_ends_with_the_authority_of_its_client() {
    for required in [true, false] {
        let (first, second) = (Authority::new(), Authority::new());
        let bench = Bench::start(&first, required, json!({}), EVERYTHING);
        bench.trust(&[&first, &second]);
        let (of_first, of_second) =
            (first.client("ada", "/CN=ada", "", 2), second.client("bob", "/CN=bob", "", 2));
        wait::until_true("both count", || bench.list(Some(&of_second), &[]).is_ok());
        let (goes, stays) = (streams(&bench, &of_first, &[]), streams(&bench, &of_second, &[]));
        bench.trust(&[&second]);
        end(goes);
        go_on(stays);
    }
}

#[test]
fn a_stream_ends_with_the_certificate_that_its_token_is_bound_to() {
    let (authority, provider) = (Authority::new(), Provider::start());
    let bench = Bench::asking(&authority, false, crate::auth(&provider, json!({})), EVERYTHING);
    let ada = authority.client("ada", "/CN=ada", "", 2);
    let bound = json!({"cnf": {"x5t#S256": ada.thumbprint()}});
    let token = |claims: &Value| {
        let request = json!({"account": "alice", "resource": crate::RESOURCE, "claims": claims});
        format!("authorization: Bearer {}", provider.mint(request))
    };
    let (bound, free) = (token(&bound), token(&json!({})));
    let refused = bench.list(None, &["--header", &bound]).expect("an answer");
    assert_eq!(refused.status, 401, "it needs the certificate");
    let goes = streams(&bench, &ada, &["--header", &bound]);
    let stays = streams(&bench, &ada, &["--header", &free]);
    bench.trust(&[&Authority::new()]);
    end(goes);
    go_on(stays);
}

#[test]
fn a_stream_and_its_connection_end_with_the_certificate() {
    let authority = Authority::new();
    // Whoever comes has to show one, whether the endpoint asks for it or not.
    for certificates in [json!({}), Value::Null] {
        let bench = Bench::start(&authority, true, certificates, EVERYTHING);
        let short = authority.client_for("ada", "/CN=ada", "", 15);
        let mut open = Connection::open(&bench, &short);
        assert_eq!(open.ping(), Some(200));
        end(streams(&bench, &short, &[]));
        wait::until_true("no further request is taken", || open.ping().is_none());
    }
}

/// A TLS connection that stays open from one request to the next.
struct Connection {
    child: Child,
    output: BufReader<std::process::ChildStdout>,
}

impl Connection {
    fn open(bench: &Bench, shown: &Issued) -> Self {
        let ca: PathBuf = bench.server.certificate();
        let mut child = Command::new("openssl")
            .args(["s_client", "-quiet", "-connect", &bench.weir.endpoint().address.to_string(), "-CAfile"])
            .arg(ca)
            .arg("-cert")
            .arg(&shown.certificate)
            .arg("-key")
            .arg(&shown.key)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("openssl can be started");
        let output = BufReader::new(child.stdout.take().expect("stdout is piped"));
        Self { child, output }
    }

    /// The status of the answer to a request; `None` where the connection has ended.
    fn ping(&mut self) -> Option<u16> {
        let input = self.child.stdin.as_mut().expect("stdin is piped");
        // Its answer has no body, so that the next answer begins behind its head.
        input
            .write_all(b"OPTIONS /mcp HTTP/1.1\r\nhost: 127.0.0.1\r\norigin: http://localhost\r\n\r\n")
            .ok()?;
        input.flush().ok()?;
        let mut status = None;
        loop {
            let mut line = String::new();
            if self.output.read_line(&mut line).ok()? == 0 {
                return None;
            }
            let line = line.trim_end();
            match status {
                None => status = Some(line.split(' ').nth(1)?.parse().ok()?),
                Some(204) if line.is_empty() => return Some(200),
                Some(status) if line.is_empty() => return Some(status),
                Some(_) => {}
            }
        }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

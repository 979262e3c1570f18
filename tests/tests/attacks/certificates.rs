//! Certificates of clients that nobody vouches for, that have ended, or that are somebody else's.

use crate::stage::{ALL, Stage};
use serde_json::json;
use std::path::Path;
use std::process::Command;
use weir_tests::curl::{self, certify};
use weir_tests::process::Process;
use weir_tests::{Modern, wait};

/// Makes an authority of this name.
fn authority(folder: &Path, name: &str) {
    openssl(
        folder,
        &[
            "req",
            "-x509",
            "-nodes",
            "-days",
            "2",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:prime256v1",
            "-subj",
            &format!("/CN={name}"),
            "-addext",
            "basicConstraints=critical,CA:TRUE",
            "-keyout",
            &format!("{name}.key"),
            "-out",
            &format!("{name}.pem"),
        ],
    );
}

/// Times between which it is now.
const NOW: (&str, &str) = ("20200101000000Z", "20900101000000Z");
/// How an authority signs.
const SIGNING: &str = "[ca]\ndefault_ca=all\n[all]\ndatabase=index.txt\nserial=serial\nnew_certs_dir=.\ndefault_md=sha256\n\
    unique_subject=no\npolicy=any\n[any]\ncommonName=supplied\n";

/// Makes a certificate for `dns`, of an authority, that is good between two times.
fn leaf(folder: &Path, name: &str, authority: &str, dns: &str, (start, end): (&str, &str)) {
    let write =
        |file: &str, text: &str| std::fs::write(folder.join(file), text).expect("a file can be written");
    let extensions = "basicConstraints=critical,CA:FALSE\nextendedKeyUsage=clientAuth\nsubjectAltName=DNS:";
    write("leaf.cnf", &format!("{extensions}{dns}\n"));
    write("ca.cnf", SIGNING);
    write("index.txt", "");
    let (key, request) = (format!("{name}.key"), format!("{name}.csr"));
    openssl(
        folder,
        &[
            "req",
            "-new",
            "-nodes",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:prime256v1",
            "-subj",
            "/CN=agent",
            "-keyout",
            &key,
            "-out",
            &request,
        ],
    );
    let (signer, signing_key, made) =
        (format!("{authority}.pem"), format!("{authority}.key"), format!("{name}.pem"));
    openssl(
        folder,
        &[
            "ca",
            "-batch",
            "-notext",
            "-rand_serial",
            "-config",
            "ca.cnf",
            "-extfile",
            "leaf.cnf",
            "-cert",
            &signer,
            "-keyfile",
            &signing_key,
            "-in",
            &request,
            "-out",
            &made,
            "-startdate",
            start,
            "-enddate",
            end,
        ],
    );
}

fn openssl(folder: &Path, arguments: &[&str]) {
    let exit = Process::run(Command::new("openssl").current_dir(folder).args(arguments), "");
    assert!(exit.status.success(), "openssl {arguments:?}: {}", exit.stderr);
}

/// Calls a tool with curl; the status, or none where the connection did not come about.
fn call(stage: &Stage, folder: &Path, options: &[&str]) -> Option<u16> {
    let client = Modern::new(stage.weir.endpoint());
    let server = folder.join("cert.pem");
    let mut all = vec!["--cacert", server.to_str().expect("a path")];
    all.extend(options);
    let mut command = curl::request(&client, "tools/call", json!({"name": "open", "arguments": {}}), &all);
    command.current_dir(folder);
    // Some versions of curl lose an answer over HTTP/2 that comes before all of the request is sent; they end with 92 then.
    let exit = wait::until("curl loses nothing", || {
        Some(Process::run(&mut command, "")).filter(|exit| exit.status.code() != Some(92))
    });
    if !exit.status.success() {
        return None;
    }
    let (_, told) = exit.stdout.rsplit_once('\n').expect("curl tells the status");
    told.split(' ').next().and_then(|status| status.parse().ok())
}

fn attempt(required: bool) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path();
    certify(path);
    authority(path, "good");
    authority(path, "other");
    leaf(path, "agent", "good", "agent.test", NOW);
    leaf(path, "guest", "good", "guest.test", NOW);
    leaf(path, "stranger", "other", "agent.test", NOW);
    leaf(path, "past", "good", "agent.test", ("20200101000000Z", "20210101000000Z"));
    leaf(path, "future", "good", "agent.test", ("20900101000000Z", "20910101000000Z"));
    let stage = Stage::listening(
        json!({
            "conflicts": "priority",
            "auth": {"certificates": {"subject": "dns", "allow": ["agent.test"]}},
            "policies": {"inline": ALL},
        }),
        json!({"tls": {
            "certificate": path.join("cert.pem"), "key": path.join("key.pem"),
            "clients": {"ca": path.join("good.pem"), "required": required},
        }}),
    );
    let good = ["--cert", "agent.pem", "--key", "agent.key"];
    wait::until_true("a good certificate opens", || {
        call(&stage, path, &good) == Some(200) && stage.executed() > 0
    });
    let cases: [(&str, Vec<&str>); 9] = [
        ("none", vec![]),
        ("of another authority", vec!["--cert", "stranger.pem", "--key", "stranger.key"]),
        ("an authority's own", vec!["--cert", "other.pem", "--key", "other.key"]),
        ("one that has ended", vec!["--cert", "past.pem", "--key", "past.key"]),
        ("one that is not good yet", vec!["--cert", "future.pem", "--key", "future.key"]),
        ("one of another name", vec!["--cert", "guest.pem", "--key", "guest.key"]),
        ("the server's own", vec!["--cert", "cert.pem", "--key", "key.pem"]),
        (
            "told in a header",
            vec!["--header", "x-forwarded-client-cert: Subject=\"CN=agent\";DNS=agent.test"],
        ),
        (
            "told by a proxy",
            vec!["--header", "ssl-client-verify: SUCCESS", "--header", "ssl-client-s-dn: CN=agent"],
        ),
    ];
    for (name, options) in cases {
        for version in ["--http1.1", "--http2"] {
            let before = stage.executed();
            let options: Vec<&str> = options.iter().copied().chain([version]).collect();
            let status = call(&stage, path, &options);
            assert!(matches!(status, None | Some(401)), "{name}, {version}: {status:?}");
            let shows_none = options.len() == 1 || options[0] == "--header";
            assert!(!shows_none || (status.is_none() == required), "{name}, {version}: {status:?}");
            assert_eq!(stage.executed(), before, "{name} reached a server");
        }
    }
    assert_eq!(call(&stage, path, &good), Some(200));
}

#[test]
fn certificates_that_are_required() {
    attempt(true);
}

#[test]
fn certificates_that_are_asked_for() {
    attempt(false);
}

//! The listener over TLS and HTTP/2, and weir as a client of such a server: weir behind weir.

use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use tempfile::TempDir;
use weir_tests::curl::{self, certify};
use weir_tests::process::Process;
use weir_tests::{Modern, Speak, Weir, peers, wait, weir};

fn echo(listener: Value) -> Value {
    let mut config =
        weir::config(json!({"echo": peers::fixture("echo.py", &["legacy"])}), json!({"conflicts": "none"}));
    config["listener"] = listener;
    config
}

/// weir with a certificate of its own, whose file is the last part.
fn secured(mut listener: Value) -> (Weir, TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("a folder");
    certify(folder.path());
    let certificate = folder.path().join("cert.pem");
    listener["tls"] = json!({"certificate": certificate, "key": folder.path().join("key.pem")});
    (Weir::serve(echo(listener)), folder, certificate)
}

fn count(answered: &curl::Answered) -> Option<usize> {
    answered.result()["tools"].as_array().map(Vec::len)
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a path")
}

#[test]
fn tls_is_spoken_with_the_newest_version_of_http() {
    let (weir, _folder, certificate) = secured(json!({}));
    assert!(weir.url().starts_with("https://"), "{}", weir.url());
    for (wanted, spoken) in [("--http1.1", "1.1"), ("--http2", "2")] {
        for version in ["--tlsv1.2", "--tlsv1.3"] {
            let options = ["--cacert", text(&certificate), wanted, version];
            let answered = curl::list_tools(&weir.endpoint(), &options).expect("an answer");
            assert_eq!((answered.status, answered.version.as_str()), (200, spoken));
            assert_eq!(count(&answered), Some(5), "{answered:?}");
        }
    }
    let refused = curl::list_tools(&weir.endpoint(), &[]);
    assert!(refused.is_err(), "a certificate that nobody trusts is not accepted: {refused:?}");
}

#[test]
fn http2_can_be_switched_off() {
    let (weir, _folder, certificate) = secured(json!({"http2": false}));
    let answered = curl::list_tools(&weir.endpoint(), &["--cacert", text(&certificate), "--http2"]);
    assert_eq!(answered.expect("an answer").version, "1.1");

    let weir = Weir::serve(echo(json!({"h2c": false})));
    let refused = curl::list_tools(&weir.endpoint(), &["--http2-prior-knowledge"]);
    assert!(refused.is_err(), "{refused:?}");
}

#[test]
fn http2_is_spoken_without_tls_to_those_who_know() {
    let weir = Weir::serve(echo(json!({})));
    let answered = curl::list_tools(&weir.endpoint(), &["--http2-prior-knowledge"]).expect("an answer");
    assert_eq!((answered.status, answered.version.as_str()), (200, "2"));
    assert_eq!(count(&answered), Some(5), "{answered:?}");
    let plain = curl::list_tools(&weir.endpoint(), &["--http1.1"]).expect("an answer");
    assert_eq!((plain.status, plain.version.as_str()), (200, "1.1"));
}

#[test]
fn a_call_over_http2_streams_and_is_cancelled_by_leaving() {
    let folder = tempfile::tempdir().expect("a folder");
    let weir = Weir::over(json!({"slow": peers::fixture("slow.py", &[text(folder.path()), "legacy"])}));
    let client = Modern::new(weir.endpoint());
    let call = json!({"name": "wait", "arguments": {"steps": 2}, "_meta": {"progressToken": "mine"}});
    let mut command = curl::request(&client, "tools/call", call, &["--http2-prior-knowledge"]);
    let leaving = Process::start(&mut command, "");
    wait::until_true("progress arrives while the call runs", || {
        leaving.stdout().matches("notifications/progress").count() == 2
    });
    drop(leaving);
    wait::until_true("the call is cancelled", || folder.path().join("cancelled").exists());

    // The end of a stream says how it was answered.
    std::fs::write(folder.path().join("release"), "").expect("a file can be written");
    let exit = Process::run(&mut command, "");
    assert!(exit.stdout.contains("released") && exit.stdout.ends_with("\n200 2"), "{}", exit.stdout);
}

#[test]
fn a_new_certificate_takes_the_place_of_the_old_one() {
    let (weir, folder, certificate) = secured(json!({}));
    let old = folder.path().join("old.pem");
    std::fs::copy(&certificate, &old).expect("the certificate can be copied");
    let trusts = |certificate: &Path| {
        curl::list_tools(&weir.endpoint(), &["--cacert", text(certificate)])
            .is_ok_and(|answered| answered.status == 200)
    };
    assert!(trusts(&old));
    certify(folder.path());
    wait::until_true("the new certificate is served", || trusts(&certificate));
    assert!(!trusts(&old));

    // One that cannot be used is told, and changes nothing.
    let good = folder.path().join("good.pem");
    std::fs::rename(&certificate, &good).expect("the certificate can be renamed");
    std::fs::write(&certificate, "no certificate").expect("a file can be written");
    let told = || weir.log().contains("the new TLS certificate is not used").then_some(());
    wait::poll(wait::DEADLINE, &mut { told }).unwrap_or_else(|| panic!("nothing is told: {}", weir.log()));
    assert!(trusts(&good));
}

#[test]
fn a_certificate_that_cannot_be_used_is_fatal_at_start() {
    let folder = tempfile::tempdir().expect("a folder");
    let certificate = folder.path().join("cert.pem");
    std::fs::write(&certificate, "no certificate").expect("a file can be written");
    let mut config = echo(json!({"tls": {"certificate": certificate, "key": certificate}}));
    config["listener"]["address"] = json!("127.0.0.1:0");
    let file = weir::write_config(folder.path(), &config.to_string());
    let exit = weir::run(&["serve", "--config", text(&file)]);
    assert!(!exit.status.success() && exit.stderr.contains("cert.pem"), "{}", exit.stderr);
}

#[test]
fn a_backend_is_reached_over_tls_and_http2() {
    let (secured, _folder, certificate) = secured(json!({}));
    let plain = Weir::serve(echo(json!({})));
    let backends = [
        json!({"url": secured.url(), "ca": certificate}),
        json!({"url": secured.url(), "ca": certificate, "http2": false}),
        json!({"url": plain.url(), "http2": true}),
    ];
    for backend in backends {
        let weir = Weir::over(json!({"behind": backend}));
        let client = Modern::new(weir.endpoint());
        assert_eq!(client.tool_names().len(), 5, "{backend}: {}", weir.log());
        let answer = client.call("params", json!({"far": "away"}));
        assert!(answer.text().contains(r#"{"far":"away"}"#), "{backend}: {}", answer.text());
    }
}

#[test]
fn a_backend_whose_certificate_nobody_vouches_for_is_not_used() {
    let (secured, _folder, _certificate) = secured(json!({}));
    let weir = Weir::over(json!({"behind": {"url": secured.url()}}));
    assert_eq!(Modern::new(weir.endpoint()).tool_names(), Vec::<String>::new());
    wait::until_true("the reason is logged", || weir.log().to_lowercase().contains("certificate"));
}

#[test]
fn authorities_that_change_are_trusted_instead() {
    let (secured, _folder, certificate) = secured(json!({}));
    let folder = tempfile::tempdir().expect("a folder");
    certify(folder.path());
    let ca = folder.path().join("cert.pem");
    let weir = Weir::over(json!({"behind": {"url": secured.url(), "ca": ca}}));
    let client = Modern::new(weir.endpoint());
    assert_eq!(client.tool_names(), Vec::<String>::new());
    std::fs::copy(certificate, &ca).expect("the certificate can be copied");
    wait::until_true("the server is trusted", || client.tool_names().len() == 5);
}

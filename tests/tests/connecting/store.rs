//! The file of users' grants: who may have it, and what is said of one that cannot be used.

use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use tempfile::TempDir;
use weir_tests::process::Process;
use weir_tests::{Stdio, Weir, peers, weir};

const KEY: &str = "0123456789abcdef0123456789abcdef";

/// A configuration with this store, in a folder of its own.
fn config(folder: &Path, file: &Path, key: &str) -> Value {
    let echo = peers::fixture("echo.py", &["modern"]);
    let mut config = weir::config(json!({"echo": echo}), json!({"conflicts": "none"}));
    config["listener"]["address"] = json!("127.0.0.1:0");
    config["oauth"] = json!({"store": {"file": file, "key": key}});
    fs::create_dir_all(folder).expect("a directory can be made");
    config
}

/// What weir says of it with this command.
fn says(command: &str, folder: &TempDir, file: &Path, key: &str) -> (Option<i32>, String) {
    let own = folder.path().join("config");
    let config = config(&own, file, key);
    let config = weir::write_config(&own, &config.to_string());
    let config = config.to_str().expect("a path");
    let arguments =
        if command == "check" { vec!["check", config] } else { vec!["serve", "--config", config] };
    let exit = weir::run(&arguments);
    (exit.status.code(), exit.stderr)
}

#[test]
fn one_weir_has_the_store_and_anybody_may_check_it() {
    let folder = tempfile::tempdir().expect("a directory can be made");
    let file = folder.path().join("grants");
    let first = Weir::serve(config(&folder.path().join("config"), &file, KEY));
    let (code, said) = says("serve", &folder, &file, KEY);
    assert_ne!(code, Some(0));
    for words in ["grants is in use by another weir", "grants.lock", &format!("process {}", first.pid())] {
        assert!(said.contains(words), "{said}");
    }
    assert_eq!(says("check", &folder, &file, KEY).0, Some(0), "it only looks");
    // However it ends, it lets go.
    first.kill();
    first.finish();
    let second = Weir::serve(config(&folder.path().join("config"), &file, KEY));
    second.terminate();
    assert!(second.finish().status.success());
}

#[test]
fn a_weir_whose_users_grant_nothing_leaves_the_store_to_others() {
    let folder = tempfile::tempdir().expect("a directory can be made");
    let file = folder.path().join("grants");
    let own = folder.path().join("config");
    let first = Weir::serve(config(&own, &file, KEY));
    let mut clients = [(); 2].map(|()| Stdio::serve(config(&own, &file, KEY)));
    for client in &mut clients {
        client.initialize("2025-11-25");
        let list = client.request("tools/list", json!({}));
        assert_ne!(client.answer(&list)["result"]["tools"], json!([]));
    }
    // One that needs it is told what to do.
    let mut needy = config(&own, &file, KEY);
    needy["backends"]["wiki"] = json!({"url": "https://127.0.0.1:9/mcp", "auth": {"oauth": {}}});
    needy["endpoints"]["main"]["backends"] = json!(["echo", "wiki"]);
    let needy = weir::write_config(&own, &needy.to_string());
    let exit = weir::run(&["stdio", "--config", needy.to_str().expect("a path")]);
    assert_ne!(exit.status.code(), Some(0));
    assert!(
        exit.stderr.contains("in use by another weir") && exit.stderr.contains("weir serve"),
        "{}",
        exit.stderr
    );
    first.terminate();
    assert!(first.finish().status.success());
    for mut client in clients {
        client.terminate();
        assert!(client.finish().0.success());
    }
}

#[test]
fn what_is_wrong_with_a_store_is_told_before_weir_serves() {
    let folder = tempfile::tempdir().expect("a directory can be made");
    let file = folder.path().join("grants");
    assert_eq!(says("check", &folder, &file, KEY), (Some(0), String::new()), "it is made when it is needed");
    assert_eq!(fs::read_dir(folder.path()).expect("a directory").count(), 1, "looking makes nothing");
    fs::write(&file, "weir grants 1\nand what is not sealed with any key").expect("a file can be written");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).expect("its mode can be set");
    for command in ["check", "serve"] {
        let (code, said) = says(command, &folder, &file, KEY);
        assert_ne!(code, Some(0));
        assert!(said.contains("does not open with this key"), "{said}");
        let (code, said) = says(command, &folder, &folder.path().join("none/grants"), KEY);
        assert_ne!(code, Some(0));
        assert!(said.contains("cannot be used"), "{said}");
    }
    // Reading it would never end.
    let odd = folder.path().join("odd");
    assert!(Process::run(std::process::Command::new("mkfifo").arg(&odd), "").status.success());
    let (code, said) = says("check", &folder, &odd, KEY);
    assert_ne!(code, Some(0), "{said}");
    assert!(said.contains("it is no file"), "{said}");
}

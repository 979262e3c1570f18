//! When the configuration is read again: files that change, however they do, and signals.

use serde_json::{Value, json};
use std::os::unix::fs::symlink;
use weir_tests::process::children;
use weir_tests::weir::{complete, config, write_config};
use weir_tests::{Legacy, Modern, Speak, Weir, peers, wait};

fn echo() -> Value {
    peers::fixture("echo.py", &["legacy"])
}

fn over(backends: Value) -> Value {
    config(backends, json!({"conflicts": "none"}))
}

fn has(client: &dyn Speak, tool: &str) -> bool {
    client.tool_names().iter().any(|name| name == tool)
}

fn logged(weir: &Weir, text: &str) {
    wait::until_true(&format!("weir logs {text:?}"), || weir.log().contains(text));
}

/// Waits until a process below weir was started with the argument `silent`.
fn until_silent(pid: i32) {
    let silent = |child: &i32| {
        std::fs::read_to_string(format!("/proc/{child}/cmdline")).is_ok_and(|line| line.contains("silent"))
    };
    wait::until_true("the silent one is started", || children(pid).iter().any(silent));
}

#[test]
fn files_are_followed_however_they_change() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = |name: &str| folder.path().join(name);
    let write = |name: &str, text: &str| std::fs::write(at(name), text).expect("a file can be written");
    // As Kubernetes mounts a ConfigMap, with a secret beside it that is written in place.
    let version = |name: &str, variable: &str| {
        let mut backend = echo();
        backend["env"] = json!({variable: {"file": at("secret")}});
        std::fs::create_dir(at(name)).expect("a folder can be made");
        write(&format!("{name}/weir.yaml"), &complete(over(json!({"echo": backend}))).to_string());
    };
    write("secret", "one");
    version("..1", "FIRST");
    version("..2", "SECOND");
    symlink("..1", at("..data")).expect("a link can be made");
    symlink("..data/weir.yaml", at("weir.yaml")).expect("a link can be made");
    let weir = Weir::serve_file(&at("weir.yaml"));
    let client = Modern::new(weir.endpoint());
    let becomes = |name: &str, value: &str| {
        wait::until_true(&format!("{name} is {value}"), || {
            let answer = client.call("environment", json!({"name": name}));
            answer.message["result"]["content"][0]["text"] == value
        });
    };
    becomes("FIRST", "one");
    write("secret", "two");
    becomes("FIRST", "two");
    symlink("..2", at("..new")).expect("a link can be made");
    std::fs::rename(at("..new"), at("..data")).expect("a link can be replaced");
    becomes("SECOND", "two");
}

#[test]
fn a_signal_reloads_where_files_are_not_followed() {
    let weir = Weir::serve_with(over(json!({"echo": echo()})), &["--no-watch"]);
    let client = Legacy::new(weir.endpoint());
    weir.reconfigure(over(json!({"echo": echo(), "changing": peers::fixture("changing.py", &["legacy"])})));
    assert!(!has(&client, "add_tool"));
    weir.hang_up();
    wait::until_true("the new tool is listed", || has(&client, "add_tool"));
    weir.hang_up();
    logged(&weir, "nothing changes");
    let demo = Weir::demo();
    demo.hang_up();
    logged(&demo, "there is no configuration file to reload");
}

#[test]
fn a_signal_ends_a_start_and_a_reload_at_once() {
    let silent = peers::fixture("misbehaving.py", &["silent"]);
    let mut config = over(json!({"silent": silent, "echo": echo()}));
    config["backends"]["silent"]["timeouts"] = json!({"list": "10m", "stop": "100ms"});
    config["timeouts"]["start"] = json!("10m");
    let weir = Weir::serve(over(json!({"echo": echo()})));
    weir.reconfigure(config.clone());
    until_silent(weir.pid());
    weir.terminate();
    let exit = weir.finish();
    assert_eq!(exit.status.code(), Some(0), "{}", exit.stderr);

    let folder = tempfile::tempdir().expect("a folder");
    let file = write_config(folder.path(), &complete(config).to_string());
    let exit = Weir::stop_at_start(&file, until_silent);
    assert_eq!(exit.status.code(), Some(0), "{}", exit.stderr);
}

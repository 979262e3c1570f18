//! Backends that ask: which roots they are told, and that no client answers what another is asked.

use serde_json::json;
use weir_tests::{Legacy, Modern, Speak, Weir, peers, wait};

#[test]
fn configured_roots_become_the_folders_of_a_server() {
    let (first, second) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
    let file = second.path().join("file.txt");
    std::fs::write(&file, "from a root").expect("the file can be written");
    let mut backend = peers::filesystem(first.path());
    backend["roots"] = json!([{"uri": format!("file://{}", second.path().display()), "name": "second"}]);
    let weir = Weir::over(json!({"files": backend}));
    let client = Modern::new(weir.endpoint());
    // It asks behind the handshake, and not before weir serves.
    wait::until_true("the server takes over the roots", || {
        let answer = client.call("read_text_file", json!({"path": file}));
        !answer.failed() && answer.text() == "from a root"
    });
    let outside = client.call("list_directory", json!({"path": first.path()}));
    assert!(outside.failed(), "roots replace the arguments: {}", outside.message);
}

#[test]
fn configured_roots_are_told_over_http() {
    let server = peers::everything_http();
    let weir = Weir::over(json!({"everything": {
        "url": server.url(), "session": "shared", "roots": ["file:///srv/of/weir"],
    }}));
    let client = Legacy::new(weir.endpoint());
    wait::until_true("the server knows the roots", || {
        client.call("get-roots-list", json!({})).message.to_string().contains("file:///srv/of/weir")
    });
}

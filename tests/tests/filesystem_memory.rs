//! Two servers with state behind one endpoint: files in a folder and a knowledge graph in a file.

use serde_json::json;
use weir_tests::driver::{self, MODES, SDKS};
use weir_tests::{Legacy, Modern, Speak, Weir, peers};

#[test]
fn a_file_written_through_weir_is_on_the_disk() {
    let folder = tempfile::tempdir().expect("a folder");
    let weir = Weir::over(json!({"files": peers::filesystem(folder.path())}));
    let clients: [Box<dyn Speak>; 2] =
        [Box::new(Legacy::new(weir.endpoint())), Box::new(Modern::new(weir.endpoint()))];
    for (number, client) in clients.iter().enumerate() {
        let file = folder.path().join(format!("note-{number}.txt"));
        let content = "line one\nline two — ünïcödé\n";
        let written = client.call("write_file", json!({"path": file, "content": content}));
        assert!(!written.failed(), "{}", written.message);
        assert_eq!(std::fs::read_to_string(&file).expect("the file is there"), content);
        assert_eq!(client.call("read_text_file", json!({"path": file})).text(), content);
    }
}

#[test]
fn a_large_file_arrives_whole() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("large.txt");
    let content = "All work and no play makes a gateway dull. ".repeat(50_000);
    std::fs::write(&file, &content).expect("the file can be written");
    let weir = Weir::over(json!({"files": peers::filesystem(folder.path())}));
    assert_eq!(Modern::new(weir.endpoint()).call("read_text_file", json!({"path": file})).text(), content);
    assert_eq!(Legacy::new(weir.endpoint()).call("read_text_file", json!({"path": file})).text(), content);
}

#[test]
fn what_is_outside_the_folder_stays_the_servers_refusal() {
    let folder = tempfile::tempdir().expect("a folder");
    let weir = Weir::over(json!({"files": peers::filesystem(folder.path())}));
    let answer = Modern::new(weir.endpoint()).call("read_text_file", json!({"path": "/etc/hostname"}));
    assert!(answer.failed(), "{}", answer.message);
    assert!(answer.message.to_string().contains("Access denied"), "{}", answer.message);
}

#[test]
fn every_client_remembers_and_finds() {
    let folder = tempfile::tempdir().expect("a folder");
    let weir = Weir::over(json!({
        "files": peers::filesystem(folder.path()),
        "memory": peers::memory(&folder.path().join("graph.jsonl")),
    }));
    for sdk in SDKS {
        for mode in MODES {
            let name = format!("{sdk:?} in {mode}");
            let entity = json!({"name": name, "entityType": "client", "observations": ["was here"]});
            let steps = [
                driver::tools(),
                driver::call("create_entities", json!({"entities": [entity]})),
                driver::call("search_nodes", json!({"query": name})),
                driver::read("memory://knowledge-graph"),
                driver::call("list_directory", json!({"path": folder.path()})),
            ];
            let report = driver::session(sdk, mode, &weir.url(), &steps);
            assert_eq!(report.ok(2)["structuredContent"]["entities"], json!([entity]), "{name}");
            let graph = report.ok(3)["contents"][0]["text"].as_str().expect("the graph is a text");
            assert!(graph.contains(&name), "{name}: {graph}");
            assert!(report.text(4).contains("graph.jsonl"), "{name}: {}", report.text(4));
        }
    }
}

//! Servers of the Python world, which speak both eras: weir is told which one to use with them, or finds out.

use serde_json::{Value, json};
use std::path::Path;
use std::process::Command;
use weir_tests::driver::{self, MODES, SDKS};
use weir_tests::{Legacy, Modern, Speak, Weir, peers};

const ERAS: [&str; 3] = ["auto", "modern", "legacy"];

#[test]
fn time_is_told_in_every_era() {
    for era in ERAS {
        let weir = Weir::over(json!({"time": of_era(peers::time(), era)}));
        for sdk in SDKS {
            for mode in MODES {
                let arguments =
                    json!({"source_timezone": "UTC", "time": "12:00", "target_timezone": "Asia/Tokyo"});
                let steps = [driver::tools(), driver::call("convert_time", arguments)];
                let report = driver::session(sdk, mode, &weir.url(), &steps);
                let who = format!("{sdk:?} {mode} over {era}");
                assert_eq!(report.ok(0)["tools"].as_array().map(Vec::len), Some(2), "{who}");
                let difference = &report.ok(1)["structuredContent"]["time_difference"];
                assert_eq!(difference, "+9.0h", "{who}");
            }
        }
    }
}

#[test]
fn a_repository_is_read_in_every_era() {
    let repository = tempfile::tempdir().expect("a folder");
    git(repository.path(), &["init", "--quiet"]);
    std::fs::write(repository.path().join("file.txt"), "first\n").expect("a file");
    git(repository.path(), &["add", "."]);
    git(repository.path(), &["commit", "--quiet", "--message", "The first commit"]);
    for era in ERAS {
        let weir = Weir::over(json!({"git": of_era(peers::git(repository.path()), era)}));
        for client in clients(&weir) {
            let log = client.call("git_log", json!({"repo_path": repository.path()}));
            assert!(log.text().contains("The first commit"), "{era}: {}", log.message);
        }
    }
}

#[test]
fn fastmcp_over_http_serves_in_every_era() {
    let server = peers::fastmcp_http();
    for era in ERAS {
        let weir = Weir::over(json!({"fast": of_era(json!({"url": server.url()}), era)}));
        for sdk in SDKS {
            for mode in MODES {
                use_fastmcp(sdk, mode, &weir.url(), &format!("{sdk:?} {mode} over {era}"));
            }
        }
    }
}

#[test]
fn fastmcp_over_stdio_serves_in_every_era() {
    for era in ERAS {
        let weir = Weir::over(json!({"fast": of_era(peers::fastmcp_stdio(), era)}));
        for client in clients(&weir) {
            let sum = client.call("add", json!({"a": 40, "b": 2}));
            assert_eq!(sum.result()["structuredContent"], json!({"result": 42}), "{era}");
        }
    }
}

fn use_fastmcp(sdk: driver::Sdk, mode: &str, url: &str, who: &str) {
    let steps = [
        driver::call("add", json!({"a": 1, "b": 2})),
        driver::call("greet", json!({"name": "weir"})),
        driver::call_with_progress("count", json!({"to": 4})),
        driver::call("fail", json!({"reason": "on purpose"})),
        driver::prompt("review", json!({"subject": "a gateway"})),
        driver::read("fast://motto"),
        driver::read("fast://square/12"),
    ];
    let report = driver::session(sdk, mode, url, &steps);
    assert_eq!(report.ok(0)["structuredContent"], json!({"result": 3}), "{who}");
    assert_eq!(report.ok(1)["structuredContent"], json!({"greeting": "Hello, weir!"}), "{who}");
    assert_eq!(report.text(2), "counted to 4", "{who}");
    assert_eq!(report.progress(2), [1.0, 2.0, 3.0, 4.0], "{who}");
    assert_eq!(report.ok(3)["isError"], true, "{who}");
    assert!(report.text(3).contains("on purpose"), "{who}");
    assert_eq!(report.ok(4)["messages"][0]["content"]["text"], "Review this: a gateway", "{who}");
    assert_eq!(report.ok(5)["contents"][0]["text"], "slow is smooth", "{who}");
    assert_eq!(report.ok(6)["contents"][0]["text"], "144", "{who}");
}

fn clients(weir: &Weir) -> [Box<dyn Speak>; 2] {
    [Box::new(Legacy::new(weir.endpoint())), Box::new(Modern::new(weir.endpoint()))]
}

fn of_era(mut backend: Value, era: &str) -> Value {
    backend["era"] = json!(era);
    backend
}

fn git(repository: &Path, arguments: &[&str]) {
    let identity = ["-c", "user.name=Tester", "-c", "user.email=tester@example.com"];
    let status = Command::new("git").arg("-C").arg(repository).args(identity).args(arguments).status();
    assert!(status.expect("git runs").success(), "git {arguments:?}");
}

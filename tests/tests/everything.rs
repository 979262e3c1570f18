//! server-everything behind weir, over both transports, as real clients of both eras see it.

use serde_json::{Value, json};
use weir_tests::driver::{self, MODES, Report, SDKS, Sdk};
use weir_tests::message::names;
use weir_tests::{Weir, peers};

#[test]
fn every_client_uses_it_over_stdio() {
    let weir = Weir::over(json!({"everything": peers::everything_stdio()}));
    use_everything(&weir.url());
}

#[test]
fn every_client_uses_it_over_http() {
    let server = peers::everything_http();
    let weir = Weir::over(json!({"everything": {"url": server.url()}}));
    use_everything(&weir.url());
}

#[test]
fn every_client_uses_it_over_sse() {
    let server = peers::everything_sse();
    let weir = Weir::over(json!({"everything": {"url": server.url()}}));
    use_everything(&weir.url());
}

#[test]
fn inspector_lists_and_calls() {
    let weir = Weir::over(json!({"everything": peers::everything_stdio()}));
    for era in ["legacy", "auto", "modern"] {
        let listed = driver::inspector(era, &weir.url(), &["--method", "tools/list"]);
        assert!(names_of(&listed, "tools").contains(&"get-sum".to_owned()), "{era}: {listed}");

        let call = ["--method", "tools/call", "--tool-name", "get-sum", "--tool-arg", "a=2", "b=3"];
        let sum = driver::inspector(era, &weir.url(), &call);
        assert_eq!(sum["content"][0]["text"], "The sum of 2 and 3 is 5.", "{era}");

        let read = ["--method", "resources/read", "--uri", "demo://resource/dynamic/text/7"];
        let resource = driver::inspector(era, &weir.url(), &read);
        assert_eq!(resource["contents"][0]["mimeType"], "text/plain", "{era}: {resource}");
    }
}

fn use_everything(url: &str) {
    for sdk in SDKS {
        for mode in MODES {
            use_everything_with(sdk, mode, url);
        }
    }
}

fn use_everything_with(sdk: Sdk, mode: &str, url: &str) {
    let steps = [
        driver::tools(),
        driver::call("echo", json!({"message": "grüße"})),
        driver::call("get-sum", json!({"a": 2, "b": 3})),
        driver::call_with_progress("trigger-long-running-operation", json!({"duration": 0.03, "steps": 3})),
        driver::call("get-structured-content", json!({"location": "New York"})),
        driver::call("get-tiny-image", json!({})),
        json!({"do": "prompts"}),
        driver::prompt("args-prompt", json!({"city": "Rome"})),
        json!({"do": "resources"}),
        driver::read("demo://resource/dynamic/text/1"),
        json!({"do": "templates"}),
        driver::complete_prompt("completable-prompt", "department", "E"),
    ];
    let report = driver::session(sdk, mode, url, &steps);
    let spoken = if mode == "legacy" { "2025-11-25" } else { "2026-07-28" };
    assert_eq!(report.version, spoken, "{sdk:?} {mode}");
    check(&report, &format!("{sdk:?} {mode}"));
}

fn check(report: &Report, who: &str) {
    let tools = names_of(report.ok(0), "tools");
    assert!(tools.contains(&"echo".to_owned()) && tools.contains(&"get-sum".to_owned()), "{who}: {tools:?}");
    assert_eq!(report.text(1), "Echo: grüße", "{who}");
    assert_eq!(report.text(2), "The sum of 2 and 3 is 5.", "{who}");
    assert_eq!(
        report.text(3),
        "Long running operation completed. Duration: 0.03 seconds, Steps: 3.",
        "{who}"
    );
    assert_eq!(report.progress(3), [1.0, 2.0, 3.0], "{who}");
    assert!(report.ok(4)["structuredContent"]["temperature"].is_number(), "{who}");
    let image =
        report.ok(5)["content"].as_array().expect("content").iter().find(|block| block["type"] == "image");
    assert_eq!(image.expect("an image")["mimeType"], "image/png", "{who}");
    let prompts = names_of(report.ok(6), "prompts");
    assert_eq!(prompts, ["simple-prompt", "args-prompt", "completable-prompt", "resource-prompt"], "{who}");
    assert_eq!(report.ok(7)["messages"][0]["content"]["text"], "What's weather in Rome?", "{who}");
    assert!(names_of(report.ok(8), "resources").contains(&"architecture.md".to_owned()), "{who}");
    assert_eq!(report.ok(9)["contents"][0]["uri"], "demo://resource/dynamic/text/1", "{who}");
    assert_eq!(names_of(report.ok(10), "resourceTemplates").len(), 2, "{who}");
    assert_eq!(report.ok(11)["completion"]["values"], json!(["Engineering"]), "{who}");
}

fn names_of(result: &Value, member: &str) -> Vec<String> {
    names(result[member].as_array().unwrap_or_else(|| panic!("{member}, not {result}")))
}

//! Real servers and real clients.

use serde_json::{Value, json};
use weir_tests::driver::{self, Report, SDKS};
use weir_tests::weir::config;
use weir_tests::{Weir, peers, stdio};

/// What server-everything asks for.
fn questions() -> [Value; 4] {
    [
        driver::call("trigger-elicitation-request", json!({})),
        driver::call_answering("trigger-elicitation-request", json!({}), "decline"),
        driver::call_answering("trigger-elicitation-request", json!({}), "cancel"),
        driver::call("trigger-sampling-request", json!({"prompt": "hi"})),
    ]
}

fn check(report: &Report) {
    let block = |step: usize| report.ok(step)["content"].to_string();
    assert!(block(0).contains("- Name: Ada"), "{}", block(0));
    assert!(block(1).contains("User declined"), "{}", block(1));
    assert!(block(2).contains("User cancelled"), "{}", block(2));
    assert!(block(3).contains("sampled: Resource trigger-sampling-request context: hi"), "{}", block(3));
    for (step, method) in ["elicitation/create"; 3].into_iter().chain(["sampling/createMessage"]).enumerate()
    {
        // Soon after its start the server asks for roots as well, during whichever call is under way then.
        let asked: Vec<_> =
            report.asked(step).into_iter().filter(|(method, _)| method != "roots/list").collect();
        assert_eq!(asked.iter().map(|(method, _)| method.as_str()).collect::<Vec<_>>(), [method]);
        let untouched = "Please provide inputs for the following fields:";
        assert!(method.starts_with("sampling") || asked[0].1 == untouched, "{asked:?}");
    }
}

/// server-everything as a program. It asks for roots soon after its start, which is no question to a client.
fn program() -> Value {
    let mut backend = peers::everything_stdio();
    backend["roots"] = json!(["file:///srv"]);
    backend
}

#[test]
fn clients_answer_a_legacy_program() {
    let weir = Weir::over(json!({"everything": program()}));
    for sdk in SDKS {
        check(&driver::asked_session(sdk, "legacy", &weir.url(), &questions()));
        check(&driver::asked_session(sdk, "legacy", &format!("sse:{}/sse", weir.url()), &questions()));
    }
}

#[test]
fn clients_answer_a_legacy_server_over_http() {
    let server = peers::everything_http();
    let weir = Weir::over(json!({"everything": {"url": server.url()}}));
    for sdk in SDKS {
        check(&driver::asked_session(sdk, "legacy", &weir.url(), &questions()));
    }
}

/// This tool asks on the session's own stream, not on that of the call.
#[test]
fn what_is_asked_beside_a_call_reaches_its_client() {
    let server = peers::everything_http();
    let weir = Weir::over(json!({"everything": {"url": server.url()}}));
    for (sdk, mode) in SDKS.into_iter().flat_map(|sdk| ["legacy", "2026-07-28"].map(|mode| (sdk, mode))) {
        let report =
            driver::asked_session(sdk, mode, &weir.url(), &[driver::call("get-roots-list", json!({}))]);
        assert!(report.text(0).contains("file:///work"), "{sdk:?} {mode}: {}", report.text(0));
        assert!(report.asked(0).iter().all(|(method, _)| method == "roots/list"), "{sdk:?} {mode}");
    }
}

#[test]
fn clients_that_start_weir_answer() {
    let backends = json!({"everything": program()});
    let (_directory, words) = stdio::command_line(config(backends, json!({"conflicts": "none"})));
    for sdk in SDKS {
        check(&driver::asked_session(sdk, "legacy", &json!(words).to_string(), &questions()));
    }
}

#[test]
fn clients_answer_a_modern_server() {
    let server = peers::conformance_http();
    let weir = Weir::over(json!({"conformance": {"url": server.url(), "era": "modern"}}));
    let steps = [
        driver::call("test_input_required_result_elicitation", json!({})),
        driver::call("test_streaming_elicitation", json!({})),
        driver::call("test_input_required_result_sampling", json!({})),
        driver::call("test_input_required_result_list_roots", json!({})),
        driver::call("test_input_required_result_multi_round", json!({})),
        driver::call("test_input_required_result_multiple_inputs", json!({})),
        driver::call("test_input_required_result_request_state", json!({})),
        driver::prompt("test_input_required_result_prompt", json!({})),
    ];
    for sdk in SDKS {
        let report = driver::asked_session(sdk, "legacy", &weir.url(), &steps);
        let expected = [
            ("Hello, Ada!", 1),
            ("Hello, Ada!", 1),
            ("The model says: sampled: What is the capital of France?", 1),
            ("Roots: file:///work", 1),
            ("Both rounds are done.", 2),
            ("All three are here.", 3),
            ("state-ok", 1),
        ];
        for (step, (text, asked)) in expected.into_iter().enumerate() {
            assert_eq!((report.text(step), report.asked(step).len()), (text, asked), "{sdk:?} {step}");
        }
        let prompt = report.ok(7)["messages"].to_string();
        assert!(prompt.contains("Context: Ada"), "{sdk:?}: {prompt}");
    }
}

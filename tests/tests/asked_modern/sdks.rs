//! Real modern clients, asked by a real legacy server.

use serde_json::json;
use weir_tests::driver::{SDKS, asked_session, call, call_answering};
use weir_tests::{Weir, peers};

const MODE: &str = "2026-07-28";

#[test]
fn real_clients_answer_a_real_legacy_server() {
    let http = peers::everything_http();
    let sse = peers::everything_sse();
    for (transport, backend) in [
        ("stdio", peers::everything_stdio()),
        ("http", json!({"url": http.url()})),
        ("sse", json!({"url": sse.url()})),
    ] {
        let weir = Weir::over(json!({"everything": backend}));
        for sdk in SDKS {
            let steps = [
                call_answering("trigger-elicitation-request", json!({}), "accept"),
                call_answering("trigger-elicitation-request", json!({}), "decline"),
                call("trigger-sampling-request", json!({"prompt": "hello", "maxTokens": 10})),
            ];
            let report = asked_session(sdk, MODE, &weir.url(), &steps);
            let about = format!("{sdk:?} over {transport}");
            assert_eq!(report.version, MODE, "{about}");
            assert!(
                report.text(0).contains("provided the requested information"),
                "{about}: {}",
                report.text(0)
            );
            assert_eq!(report.asked(0)[0].0, "elicitation/create", "{about}");
            assert!(report.text(1).contains("declined"), "{about}: {}", report.text(1));
            assert_eq!(report.asked(2), [("sampling/createMessage".to_owned(), String::new())], "{about}");
            assert!(report.text(2).contains("sampled: "), "{about}: {}", report.text(2));
        }
    }
}

#[test]
fn real_clients_answer_a_real_modern_server() {
    let server = peers::conformance_http();
    let weir = Weir::over(json!({"conformance": {"url": server.url(), "era": "modern"}}));
    for sdk in SDKS {
        let steps = [
            call("test_input_required_result_elicitation", json!({})),
            call("test_input_required_result_multi_round", json!({})),
            call("test_input_required_result_multiple_inputs", json!({})),
        ];
        let report = asked_session(sdk, MODE, &weir.url(), &steps);
        assert_eq!(report.text(0), "Hello, Ada!", "{sdk:?}");
        assert_eq!(report.text(1), "Both rounds are done.", "{sdk:?}");
        assert_eq!(report.text(2), "All three are here.", "{sdk:?}");
    }
}

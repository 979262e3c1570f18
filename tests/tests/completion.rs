//! Completion of arguments, which may depend on those that were chosen before.

use serde_json::{Value, json};
use weir_tests::driver::{self, MODES, SDKS};
use weir_tests::weir::config;
use weir_tests::{Legacy, Modern, Speak, Weir, peers};

fn values(answer: &Value) -> Vec<&str> {
    let values = answer["completion"]["values"].as_array().unwrap_or_else(|| panic!("values, not {answer}"));
    values.iter().map(|value| value.as_str().expect("a text")).collect()
}

fn complete(client: &dyn Speak, reference: &Value, argument: &str, start: &str, context: &Value) -> Value {
    let mut params = json!({"ref": reference, "argument": {"name": argument, "value": start}});
    if !context.is_null() {
        params["context"] = json!({"arguments": context});
    }
    client.ask("completion/complete", params).result().clone()
}

#[test]
fn a_prompt_under_another_name_completes_by_what_was_chosen() {
    let backends = json!({"everything": peers::everything_stdio(), "time": peers::time()});
    let weir = Weir::serve(config(
        backends,
        json!({"conflicts": {"strategy": "prefix", "format": "{backend}.{name}"}}),
    ));
    let clients: [Box<dyn Speak>; 2] =
        [Box::new(Legacy::new(weir.endpoint())), Box::new(Modern::new(weir.endpoint()))];
    for client in &clients {
        let prompt = json!({"type": "ref/prompt", "name": "everything.completable-prompt"});
        let name = |context: Value| complete(&**client, &prompt, "name", "", &context);
        assert_eq!(values(&name(json!({"department": "Sales"}))), ["David", "Eve", "Frank"]);
        assert_eq!(values(&name(json!({"department": "Support"}))), ["John", "Kim", "Lee"]);
        assert!(values(&name(Value::Null)).is_empty());
        let template = json!({"type": "ref/resource", "uri": "demo://resource/dynamic/text/{resourceId}"});
        assert_eq!(values(&complete(&**client, &template, "resourceId", "7", &Value::Null)), ["7"]);
    }
}

#[test]
fn what_is_withheld_is_not_completed_either() {
    let arguments = json!({"department": {"value": "Sales"}});
    let overrides = json!({"everything": {"completable-prompt": {"arguments": arguments}}});
    let weir = Weir::serve(config(
        json!({"everything": peers::everything_stdio()}),
        json!({"conflicts": "none", "prompts": {"overrides": overrides}}),
    ));
    let clients: [Box<dyn Speak>; 2] =
        [Box::new(Legacy::new(weir.endpoint())), Box::new(Modern::new(weir.endpoint()))];
    let reference = json!({"type": "ref/prompt", "name": "completable-prompt"});
    let guised = json!({"type": "ref/prompt", "name": "completable-prompt", "Name": "other"});
    for client in &clients {
        for (argument, context) in [
            (json!({"name": "department", "value": ""}), json!({})),
            (json!({"name": "name", "value": ""}), json!({"arguments": {"department": "Support"}})),
            (json!({"name": "name", "value": ""}), json!({"arguments": {"a": "", "department": null}})),
        ] {
            let params = json!({"ref": reference, "argument": argument, "context": context});
            let refused = client.ask("completion/complete", params);
            assert_eq!(refused.error(), -32602, "{argument} {context}");
            assert!(refused.message.to_string().contains("`department`"), "{}", refused.message);
        }
        for params in [
            json!({"ref": guised, "argument": {"name": "name", "value": ""}}),
            json!({"ref": reference, "argument": {"name": 1, "value": ""}}),
            json!({"ref": reference, "argument": {"name": "name", "value": ""}, "context": []}),
            json!({"ref": reference, "argument": {"name": "name", "value": ""}, "context": {"arguments": 1}}),
        ] {
            assert_eq!(client.ask("completion/complete", params.clone()).error(), -32602, "{params}");
        }
        assert!(values(&complete(&**client, &reference, "name", "", &json!({}))).is_empty());
    }
}

#[test]
fn both_eras_of_a_server_get_the_context() {
    let server = peers::conformance_http();
    for era in ["legacy", "modern"] {
        let weir = Weir::over(json!({"conformance": {"url": server.url(), "era": era}}));
        let clients: [Box<dyn Speak>; 2] =
            [Box::new(Legacy::new(weir.endpoint())), Box::new(Modern::new(weir.endpoint()))];
        let references = [
            json!({"type": "ref/prompt", "name": "test_prompt_with_arguments"}),
            json!({"type": "ref/resource", "uri": "test://template/{id}/data"}),
        ];
        for (client, reference) in
            clients.iter().flat_map(|client| references.iter().map(move |one| (client, one)))
        {
            let found = complete(&**client, reference, "arg2", "part", &json!({"arg1": "x"}));
            assert_eq!(values(&found), ["party with arg1=x"], "{era} {reference}");
            let found = complete(&**client, reference, "arg2", "par", &Value::Null);
            assert_eq!(values(&found), ["paris", "park", "party"], "{era} {reference}");
        }
    }
}

#[test]
fn client_libraries_complete_with_context() {
    let weir = Weir::over(json!({"everything": peers::everything_stdio()}));
    for (sdk, mode) in SDKS.into_iter().flat_map(|sdk| MODES.map(|mode| (sdk, mode))) {
        let mut step = driver::complete_prompt("completable-prompt", "name", "G");
        step["context"] = json!({"department": "Marketing"});
        let report = driver::session(sdk, mode, &weir.url(), &[step]);
        assert_eq!(values(report.ok(0)), ["Grace"], "{sdk:?} {mode}");
    }
}

//! Parked calls while something else happens: many of them, abandoned ones, and the end of whoever they need.

use super::asker::{Asker, answered, begin, call, client, form, keys, retry};
use nix::sys::signal::Signal;
use nix::unistd::Pid;
use serde_json::json;
use std::path::Path;
use weir_tests::process::{children, is_running};
use weir_tests::scripted::{self, Received, Reply, tool};
use weir_tests::{Answer, Endpoint, Modern, Request, Scripted, Speak, Weir, peers, wait, weir};

fn message(answer: &Answer) -> &str {
    answer.message["error"]["message"].as_str().unwrap_or_default()
}

#[test]
fn parked_calls_are_answered_in_any_order() {
    let asker = Asker::start();
    let weir = asker.weir(json!({}), json!({}));
    let client = client(&weir);
    let calls: Vec<_> = (0..12)
        .map(|number| {
            let params = call(json!([[form(&format!("question {number}"))]]));
            let asked = begin(&client, &params);
            (number, params, asked)
        })
        .collect();
    for (number, params, asked) in calls.iter().rev() {
        let request = asked.result()["inputRequests"]["elicitation-1"]["params"]["message"].clone();
        assert_eq!(request, json!(format!("question {number}")));
        let responses = json!({"elicitation-1": {"action": "accept", "content": {"mine": number}}});
        let done = client.ask("tools/call", retry(params, asked, responses));
        assert!(done.text().contains(&format!("\"mine\":{number}")), "{}", done.message);
    }
}

#[test]
fn a_backend_that_dies_meanwhile_is_named() {
    let asker = Asker::start();
    let weir = asker.weir(json!({}), json!({}));
    let client = client(&weir);
    let mut params = call(json!([[form("a")]]));
    params["arguments"]["die"] = json!(true);
    let first = client.ask("tools/call", params.clone());
    let done = if first.message.get("result").is_some() {
        client.ask("tools/call", answered(&params, &first))
    } else {
        first
    };
    assert_eq!(done.error(), -32603, "{}", done.message);
    assert!(message(&done).contains("`asker`"), "{}", done.message);
}

#[test]
fn a_program_that_dies_meanwhile_is_named_and_started_again() {
    let question = r#"{"jsonrpc":"2.0","id":"q","method":"elicitation/create","params":{"message":"m","requestedSchema":{}}}"#;
    let scripts = json!({"tools/call bad": [["write", format!("{question}\n")], ["await", "no such text"]]});
    let weir = Weir::over(json!({"puppet": peers::fixture("puppet.py", &[&scripts.to_string()])}));
    let client = client(&weir);
    let params = json!({"name": "bad", "arguments": {}});
    let asked = begin(&client, &params);
    let is_puppet = |pid: &i32| {
        std::fs::read(format!("/proc/{pid}/cmdline"))
            .is_ok_and(|line| String::from_utf8_lossy(&line).contains("puppet.py"))
    };
    let puppet = children(weir.pid()).into_iter().find(is_puppet).expect("the program runs");
    nix::sys::signal::kill(Pid::from_raw(puppet), Signal::SIGKILL).expect("it can be killed");
    wait::until_true("it is gone", || !is_running(puppet));
    let done = client.ask("tools/call", answered(&params, &asked));
    assert_eq!(done.error(), -32603, "{}", done.message);
    assert!(message(&done).contains("`puppet`"), "{}", done.message);
    wait::until_true("it is started again", || !client.call("good", json!({})).failed());
}

#[test]
fn a_program_whose_question_was_abandoned_can_ask_again() {
    let mut config =
        weir::config(json!({"everything": peers::everything_stdio()}), json!({"conflicts": "none"}));
    config["timeouts"]["input"] = json!("1s");
    let weir = Weir::serve(config);
    let client = client(&weir);
    let params = json!({"name": "trigger-elicitation-request", "arguments": {}});
    begin(&client, &params);
    wait::until_true("its time is over", || weir.log().contains("never answered"));
    begin(&client, &params);
}

#[test]
fn what_the_server_takes_back_is_not_asked_again() {
    let question = |id: &str| {
        let mut question = form(id);
        question["jsonrpc"] = json!("2.0");
        question["id"] = json!(id);
        question
    };
    let rest = scripted::legacy(json!([tool("ask")]), move |_: &Received, reply: &mut Reply<'_>| {
        reply.open_events();
        reply.event(question("q-1"));
        reply.wait_for("take it back");
        let params = json!({"requestId": "q-1"});
        reply.event(json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": params}));
        reply.event(question("q-2"));
        reply.wait_for_close();
    });
    let server = Scripted::start(rest);
    let mut config = weir::config(json!({"server": server.backend()}), json!({"conflicts": "none"}));
    config["limits"]["rounds"] = json!(1000);
    let weir = Weir::serve(config);
    let client = client(&weir);
    let params = json!({"name": "ask", "arguments": {}});
    let mut asked = begin(&client, &params);
    assert_eq!(keys(&asked), ["elicitation-1"]);
    Request::post("take it back").send(&Endpoint::parse(&server.url()));
    wait::until_true("only the second is asked", || {
        asked = client.ask("tools/call", retry(&params, &asked, json!({})));
        keys(&asked) == ["elicitation-2"]
    });
}

#[test]
fn who_goes_away_after_the_answer_cancels() {
    let asker = Asker::start();
    let weir = asker.weir(json!({}), json!({}));
    let client = client(&weir);
    let params = call(json!([[form("a")], [form("b")]]));
    let asked = begin(&client, &params);
    // The second request is given up while the call goes on; its questions find nobody.
    let (request, _) = client.prepare("tools/call", answered(&params, &asked));
    drop(request.begin(&weir.endpoint()));
    wait::until_true("the call is answered", || asker.answers().len() == 1);
    let again = client.ask("tools/call", answered(&params, &asked));
    assert!(again.failed(), "{}", again.message);
}

#[test]
fn stopping_weir_does_not_wait_for_parked_calls() {
    let asker = Asker::start();
    let weir = asker.weir(json!({"drain": "10m"}), json!({}));
    begin(&client(&weir), &call(json!([[form("a")]])));
    weir.terminate();
    let exit = weir.finish();
    assert_eq!(exit.status.code(), Some(0), "{}", exit.stderr);
    wait::until_true("the backend is told", || asker.cancelled() == 1);
}

#[test]
fn a_reload_that_takes_the_backend_away_ends_its_parked_calls() {
    let asker = Asker::start();
    let echo = peers::fixture("echo.py", &["legacy"]);
    let mut config = asker.config(json!({"drain": "100ms"}), json!({}));
    config["backends"]["echo"] = echo;
    let weir = Weir::serve(config.clone());
    let client = client(&weir);
    let params = call(json!([[form("a")]]));
    let (asked, other) = (begin(&client, &params), begin(&client, &params));
    for endpoint in ["main", "second"] {
        config["endpoints"][endpoint]["backends"] = json!(["echo"]);
    }
    if let Some(backends) = config["backends"].as_object_mut() {
        backends.remove("asker");
    }
    weir.reconfigure(config);
    weir.hang_up();
    wait::until_true("the tool is gone", || !client.tool_names().contains(&"ask".to_owned()));
    let gone = client.ask("tools/call", answered(&params, &asked));
    assert!(gone.failed() && message(&gone).contains("ask"), "{}", gone.message);
    wait::until_true("both calls are cancelled", || asker.cancelled() == 2);
    assert!(client.ask("tools/call", answered(&params, &other)).failed());
    assert!(asker.answers().iter().all(|answer| answer.get("result").is_none()));
}

#[test]
fn a_reload_that_leaves_the_backend_leaves_its_parked_calls() {
    let asker = Asker::start();
    let weir = asker.weir(json!({}), json!({}));
    let client = client(&weir);
    let params = call(json!([[form("a")]]));
    let asked = begin(&client, &params);
    let mut config = asker.config(json!({}), json!({}));
    config["endpoints"]["main"]["instructions"] = json!("anew");
    weir.reconfigure(config);
    weir.hang_up();
    wait::until_true("it is reloaded", || {
        client.ask("server/discover", json!({})).result()["instructions"]
            .as_str()
            .is_some_and(|text| text.contains("anew"))
    });
    assert!(!client.ask("tools/call", answered(&params, &asked)).failed());
}

/// How many file descriptors a process has.
fn descriptors(pid: i32) -> usize {
    std::fs::read_dir(Path::new("/proc").join(pid.to_string()).join("fd")).map_or(0, Iterator::count)
}

/// Calls that are parked, and then answered, left alone until their time is over, or given up by their clients. 300 of
/// them; `WEIR_PARKED_CALLS` says how many else.
#[test]
fn nothing_of_parked_calls_remains() {
    let calls: usize =
        std::env::var("WEIR_PARKED_CALLS").ok().and_then(|count| count.parse().ok()).unwrap_or(300);
    let asker = Asker::start();
    let limit = 64;
    let weir = asker.weir(json!({"input": "400ms"}), json!({"parked": limit}));
    let client = client(&weir);
    let params = call(json!([[form("a")]]));
    // Once around, so that what is opened for good is open.
    let asked = begin(&client, &params);
    assert!(!client.ask("tools/call", answered(&params, &asked)).failed());
    let (before, below) = (descriptors(weir.pid()), children(weir.pid()).len());
    let mut abandoned = 0;
    for number in 0..calls {
        let asked = client.ask("tools/call", params.clone());
        if asked.result()["resultType"] != "input_required" {
            assert!(asked.text().contains("-32601"), "no place: {}", asked.message);
            continue;
        }
        if number % 3 == 0 {
            abandoned += 1;
        } else {
            let done = client.ask("tools/call", answered(&params, &asked));
            assert!(!done.failed() || message(&done).contains("requestState"), "{}", done.message);
            abandoned += usize::from(done.failed());
        }
    }
    wait::until_true("all that were abandoned are cancelled", || asker.cancelled() == abandoned);
    wait::until_true("nothing stays open", || descriptors(weir.pid()) <= before + 4);
    assert_eq!(children(weir.pid()).len(), below);
    // All places are free again.
    let all: Vec<Answer> = (0..limit).map(|_| begin(&client, &params)).collect();
    assert_eq!(all.len(), limit);
    assert!(is_running(weir.pid()));
    let openings = asker.server.received_of("initialize").len();
    assert!(openings <= 4, "{openings} sessions");
}

#[test]
fn a_client_without_capabilities_costs_nothing() {
    let asker = Asker::start();
    let weir = asker.weir(json!({}), json!({"parked": 1}));
    let params = call(json!([[form("a")]]));
    for _ in 0..3 {
        let done = Modern::new(weir.endpoint()).ask("tools/call", params.clone());
        assert!(done.text().contains("-32601"), "{}", done.message);
    }
    begin(&client(&weir), &params);
}

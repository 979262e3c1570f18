//! One line of a table, and the runner that takes all lines through one weir.

use crate::http2::{self, Act};
use serde_json::{Value, json};
use std::time::Duration;
use weir_tests::http2::{DATA, END_STREAM};
use weir_tests::scripted::{GOOD, Http2, Received, Reply, Step, json as answer, play, tool};
use weir_tests::verdict::{Expect, SILENT};
use weir_tests::{Endpoint, Legacy, Modern, Scripted, Speak, Weir, peers, table, weir};

/// An era of the server, as the configuration writes it.
pub type Era = &'static str;
/// Servers of both eras.
pub const BOTH: &[Era] = &["modern", "legacy"];
/// Servers of 2026-07-28 alone.
pub const MODERN: &[Era] = &["modern"];
/// Servers of 2025-11-25 alone.
pub const LEGACY: &[Era] = &["legacy"];

/// What becomes of the connection that the bad call used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum After {
    /// The next call uses it too.
    Kept,
    /// The next call uses another one.
    Dropped,
    /// Either, depending on what arrives when.
    Either,
}

/// One way to break the rules.
#[derive(Debug)]
pub struct Case {
    pub name: &'static str,
    pub eras: &'static [Era],
    pub steps: Vec<Step>,
    pub expect: Expect,
    pub after: After,
    /// The call is bounded to a second of silence and two in all.
    pub hurried: bool,
}

/// A case; see the tables for what its parts mean.
pub fn case(name: &'static str, steps: impl Into<Vec<Step>>, expect: Expect, after: After) -> Case {
    Case { name, eras: BOTH, steps: steps.into(), expect, after, hurried: false }
}

impl Case {
    /// Only servers of these eras do so, or are expected to be met so.
    pub fn of(mut self, eras: &'static [Era]) -> Self {
        self.eras = eras;
        self
    }

    /// The server has little time.
    pub fn hurried(mut self) -> Self {
        self.hurried = true;
        self
    }
}

/// A server of one case and one era, with the name that it has as a backend.
struct Trial<'a> {
    case: &'a Case,
    era: Era,
    backend: String,
    server: Scripted,
}

impl<'a> Trial<'a> {
    fn start(case: &'a Case, era: Era, number: usize) -> Self {
        let steps = case.steps.clone();
        let answer = move |request: &Received, reply: &mut Reply<'_>| {
            let good = request.json()["params"]["name"] == "good";
            let (good_steps, steps) = ([answer(GOOD)], &steps[..]);
            play(if good { &good_steps } else { steps }, request, reply);
        };
        let tools = json!([tool("bad"), tool("good")]);
        let server =
            if era == "modern" { Scripted::modern(tools, answer) } else { Scripted::legacy(tools, answer) };
        Self { case, era, backend: format!("{era}{number}"), server }
    }

    fn config(&self) -> Value {
        let mut backend = self.server.backend();
        backend["era"] = json!(self.era);
        backend["limits"]["message"] = json!("64KiB");
        if self.case.hurried {
            let limits = [("idle", 1000), ("call", 2000)];
            let limits = limits.map(|(name, limit)| (name, Duration::from_millis(limit)));
            backend = peers::bounded(backend, &limits);
        }
        backend
    }

    /// Calls the good tool, the bad one and the good one again. Answers what went wrong.
    fn judge(&self, client: &dyn Speak, modern: bool, endpoint: &Endpoint) -> Vec<String> {
        let call = |tool: &str, expect: &Expect| {
            let params = json!({"name": format!("{}_{tool}", self.backend), "arguments": {}});
            let (request, _) = client.prepare("tools/call", params);
            let response = request.send(endpoint);
            let body = match response.header("content-type") {
                Some("text/event-stream") => response.messages().pop().unwrap_or_default().to_string().into(),
                _ => response.body,
            };
            expect.complaint(&self.backend, modern, response.status, &body)
        };
        let complaints = [
            ("the call before", call("good", &Expect::Works)),
            ("the call", call("bad", &self.case.expect)),
            ("the call after", call("good", &Expect::Works)),
            ("the connection", self.wrong_connection()),
        ];
        let client = if modern { "a modern client" } else { "a legacy client" };
        let told = complaints.into_iter().filter_map(|(what, complaint)| Some((what, complaint?)));
        let name = self.case.name;
        told.map(|(what, complaint)| format!("{name} ({} server, {client}): {what}: {complaint}", self.era))
            .collect()
    }

    fn wrong_connection(&self) -> Option<String> {
        let calls = self.server.received_of("tools/call");
        let [.., bad, good] = &calls[..] else {
            return Some("there were no calls".to_owned());
        };
        let after = if bad.connection == good.connection { After::Kept } else { After::Dropped };
        let right = self.case.after == After::Either || self.case.after == after;
        (!right).then(|| format!("expected {:?}, was {after:?}", self.case.after))
    }
}

/// Runs all cases, each with a server of its own, against one weir and tells of all that failed together.
pub fn run(cases: Vec<Case>) {
    let trials: Vec<Trial<'_>> = cases
        .iter()
        .flat_map(|case| case.eras.iter().map(move |era| (case, *era)))
        .enumerate()
        .map(|(number, (case, era))| Trial::start(case, era, number))
        .collect();
    let backends = trials.iter().map(|trial| (trial.backend.clone(), trial.config()));
    let mut config = weir::config(Value::Object(backends.collect()), json!({}));
    // All calls come from one thread, so that each finds the connections of the one before.
    config["listener"]["workers"] = json!(1);
    let weir = Weir::serve(config);
    let modern = Modern::new(weir.endpoint());
    let legacy = Legacy::new(weir.endpoint());
    table::judge(&trials, |trial| {
        let mut told = trial.judge(&modern, true, &weir.endpoint());
        told.extend(trial.judge(&legacy, false, &weir.endpoint()));
        told
    });
}

/// As [`run`], with servers that speak HTTP/2.
pub fn run_http2(cases: Vec<(&'static str, Act, Expect)>) {
    let trials: Vec<_> = cases
        .into_iter()
        .enumerate()
        .map(|(number, (name, act, expect))| {
            let tools = json!([tool("bad"), tool("good")]);
            let server = Http2::start(tools, move |stream| {
                if stream.request["params"]["name"] == "bad" {
                    return act(stream);
                }
                stream.head_of_json();
                stream.frame(DATA, END_STREAM, http2::good(stream));
            });
            (name, expect, format!("b{number}"), server)
        })
        .collect();
    let backends = trials.iter().map(|(_, expect, backend, server)| {
        let mut config = server.backend();
        config["limits"]["message"] = json!("64KiB");
        if matches!((expect, &SILENT), (Expect::Fails(text), Expect::Fails(silent)) if text == silent) {
            config = peers::bounded(config, &[("idle", Duration::from_secs(1))]);
        }
        (backend.clone(), config)
    });
    let mut config = weir::config(Value::Object(backends.collect()), json!({}));
    config["listener"]["workers"] = json!(1);
    let weir = Weir::serve(config);
    let (modern, legacy) = (Modern::new(weir.endpoint()), Legacy::new(weir.endpoint()));
    table::judge(&trials, |(name, expect, backend, _)| {
        let mut complaints = Vec::new();
        let clients: [(&dyn Speak, bool); 2] = [(&modern, true), (&legacy, false)];
        for (client, is_modern) in clients {
            for (tool, expect) in [("good", &Expect::Works), ("bad", expect), ("good", &Expect::Works)] {
                let params = json!({"name": format!("{backend}_{tool}"), "arguments": {}});
                let (request, _) = client.prepare("tools/call", params);
                let response = request.send(&weir.endpoint());
                let complaint = expect.complaint(backend, is_modern, response.status, &response.body);
                complaints.extend(complaint.map(|complaint| format!("{name}: {tool}: {complaint}")));
            }
        }
        complaints
    });
}

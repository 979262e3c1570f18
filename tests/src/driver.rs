//! Real clients, driven by a list of steps: the SDKs of Python and TypeScript, and Inspector's command line.

use crate::peers;
use crate::process::{Exit, Process};
use serde_json::{Value, json};
use std::process::Command;

/// A client library.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sdk {
    /// The Python SDK.
    Python,
    /// The TypeScript SDK.
    TypeScript,
}

/// Both client libraries.
pub const SDKS: [Sdk; 2] = [Sdk::Python, Sdk::TypeScript];

/// How a client library negotiates: always `initialize`, whatever the server speaks, or 2026-07-28 and nothing else.
pub const MODES: [&str; 3] = ["legacy", "auto", "2026-07-28"];

/// What a client reports of its steps.
#[derive(Debug)]
pub struct Report {
    /// The revision it spoke.
    pub version: String,
    steps: Vec<Value>,
}

impl Report {
    /// The result of a step. Panics when it was refused.
    pub fn ok(&self, step: usize) -> &Value {
        self.steps[step].get("ok").unwrap_or_else(|| panic!("step {step} was refused: {}", self.steps[step]))
    }

    /// The code and message of a step's error. Panics when it succeeded.
    pub fn error(&self, step: usize) -> (i64, &str) {
        let error =
            self.steps[step].get("error").unwrap_or_else(|| panic!("step {step}: {}", self.steps[step]));
        (error["code"].as_i64().unwrap_or_default(), error["message"].as_str().unwrap_or_default())
    }

    /// The `progress` numbers that a step reported.
    pub fn progress(&self, step: usize) -> Vec<f64> {
        let events = self.steps[step]["progress"].as_array().expect("the step was a call");
        events.iter().filter_map(|event| event["progress"].as_f64()).collect()
    }

    /// What the client was asked during a step: the methods, and the messages of elicitations.
    pub fn asked(&self, step: usize) -> Vec<(String, String)> {
        let asked = self.steps[step]["asked"].as_array().expect("every step says what was asked");
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        asked.iter().map(|question| (text(&question[0]), text(&question[1]))).collect()
    }

    /// The text of the first content block of a call's result.
    pub fn text(&self, step: usize) -> &str {
        let text = self.ok(step)["content"][0]["text"].as_str();
        text.unwrap_or_else(|| panic!("a text, not {}", self.steps[step]))
    }
}

/// Connects a client to `target` in `mode` and takes it through the steps, both described in `peers/drivers/session.py`.
pub fn session(sdk: Sdk, mode: &str, target: &str, steps: &[Value]) -> Report {
    run_session(sdk, &[target, mode], steps)
}

/// The same with a client that can be asked everything, and answers as described there.
pub fn asked_session(sdk: Sdk, mode: &str, target: &str, steps: &[Value]) -> Report {
    run_session(sdk, &[target, mode, "asked"], steps)
}

fn run_session(sdk: Sdk, arguments: &[&str], steps: &[Value]) -> Report {
    let (mut command, script) = match sdk {
        Sdk::Python => (peers::python(), "session.py"),
        Sdk::TypeScript => (peers::node(), "session.mjs"),
    };
    command.arg(peers::peers().join("drivers").join(script)).args(arguments);
    let exit = Process::run(&mut command, &json!(steps).to_string());
    assert!(exit.status.success(), "{sdk:?} {arguments:?}: {}\n{}", exit.status, exit.stderr);
    let mut report = parse(&exit);
    let version = report["version"].as_str().expect("a version was negotiated").to_owned();
    let Value::Array(steps) = report["steps"].take() else {
        panic!("no steps in {report}");
    };
    Report { version, steps }
}

/// Has a client that knows a URL alone find out how to log in, do so as `account`, and list the tools. What it reports stands
/// in `peers/drivers/login.mjs`.
pub fn login(sdk: Sdk, mode: &str, url: &str, account: &str) -> Value {
    let (mut command, script) = match sdk {
        Sdk::Python => (peers::python(), "login.py"),
        Sdk::TypeScript => (peers::node(), "login.mjs"),
    };
    command.arg(peers::peers().join("drivers").join(script)).args([url, mode, account]);
    let exit = Process::run(&mut command, "");
    assert!(exit.status.success(), "{sdk:?} {mode}: {}\n{}", exit.status, exit.stderr);
    parse(&exit)
}

/// Has the TypeScript SDK of 2025-11-25 call `tool` as a task at `url`; answers the report of `peers/drivers/tasks.mjs`.
pub fn task(url: &str, tool: &str, arguments: &Value) -> Value {
    let mut command = peers::node();
    command.arg(peers::peers().join("drivers/tasks.mjs")).args([url, tool, &arguments.to_string()]);
    let exit = Process::run(&mut command, "");
    assert!(exit.status.success(), "{}\n{}", exit.status, exit.stderr);
    parse(&exit)
}

/// Runs Inspector's command line against `url` in an era (`legacy`, `auto` or `modern`) and returns the result.
pub fn inspector(era: &str, url: &str, arguments: &[&str]) -> Value {
    run_inspector(era, &["--server-url", url, "--transport", "http"], arguments)
}

/// The same against the URL of HTTP+SSE.
pub fn inspector_sse(era: &str, url: &str, arguments: &[&str]) -> Value {
    run_inspector(era, &["--server-url", url, "--transport", "sse"], arguments)
}

/// The same against a program that it starts.
pub fn inspector_stdio(era: &str, program: &[String], arguments: &[&str]) -> Value {
    let program: Vec<&str> = program.iter().map(String::as_str).collect();
    run_inspector(era, &[&program[..], &["--transport", "stdio"]].concat(), arguments)
}

fn run_inspector(era: &str, target: &[&str], arguments: &[&str]) -> Value {
    let mut command = inspector_command();
    command.args(target).args(["--protocol-era", era, "--format", "json"]);
    let exit = Process::run(command.args(arguments), "");
    assert!(exit.status.success(), "inspector {era}: {}\n{}{}", exit.status, exit.stdout, exit.stderr);
    parse(&exit)["result"].take()
}

fn inspector_command() -> Command {
    let mut command = peers::node();
    command.arg(peers::node_module("@modelcontextprotocol/inspector/clients/launcher/build/index.js"));
    command.arg("--cli");
    command
}

fn parse(exit: &Exit) -> Value {
    serde_json::from_str(&exit.stdout)
        .unwrap_or_else(|error| panic!("no JSON ({error}):\n{}\n{}", exit.stdout, exit.stderr))
}

/// A step: list all tools.
pub fn tools() -> Value {
    json!({"do": "tools"})
}

/// A step: call a tool.
pub fn call(name: &str, arguments: Value) -> Value {
    json!({"do": "call", "name": name, "arguments": arguments})
}

/// A step: call a tool and answer what the user is asked with `action`.
pub fn call_answering(name: &str, arguments: Value, action: &str) -> Value {
    json!({"do": "call", "name": name, "arguments": arguments, "action": action})
}

/// A step: call a tool and collect its progress.
pub fn call_with_progress(name: &str, arguments: Value) -> Value {
    json!({"do": "call", "name": name, "arguments": arguments, "progress": true})
}

/// A step: get a prompt.
pub fn prompt(name: &str, arguments: Value) -> Value {
    json!({"do": "prompt", "name": name, "arguments": arguments})
}

/// A step: read a resource.
pub fn read(uri: &str) -> Value {
    json!({"do": "read", "uri": uri})
}

/// A step: call a tool and collect the data of its log messages from `level` on.
pub fn log(level: &str, name: &str, arguments: Value) -> Value {
    json!({"do": "log", "level": level, "name": name, "arguments": arguments})
}

/// A step: subscribe to a resource, call the tool that changes it, and wait for the update, whose URI is the result.
pub fn watch(uri: &str, name: &str, arguments: Value) -> Value {
    json!({"do": "watch", "uri": uri, "name": name, "arguments": arguments})
}

/// A step: complete an argument of a prompt.
pub fn complete_prompt(prompt: &str, argument: &str, value: &str) -> Value {
    let reference = json!({"type": "ref/prompt", "name": prompt});
    json!({"do": "complete", "ref": reference, "argument": {"name": argument, "value": value}})
}

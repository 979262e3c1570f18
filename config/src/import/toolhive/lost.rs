//! What a virtual MCP server has and weir has not: each is told once, with what to do instead.

use super::super::notes::Notes;
use super::super::part::Part;
use super::Gateway;
use crate::report::quote;

/// Keys that are carried over, or say nothing that could be.
const CARRIED: [&str; 8] =
    ["name", "group", "groupRef", "backends", "aggregation", "operational", "outgoingAuth", "incomingAuth"];

/// Tells what of a virtual server is not carried over.
pub(super) fn report(gateway: &Gateway<'_>, notes: &mut Notes) {
    for part in gateway.config.iter().chain(&gateway.spec) {
        for (key, value) in part.entries() {
            match key.as_str() {
                "incomingAuth" => incoming(&value, notes),
                "operational" => operational(&value, notes),
                "sessionStorage"
                    if value.get("provider").is_some_and(|part| part.text() == Some("memory")) => {}
                "config" if gateway.spec.is_some() => {}
                key if CARRIED.contains(&key) || value.is_empty() => {}
                key => {
                    let (why, instead) = why(key);
                    notes.remark(&value, format!("{} was left out: {why}", quote(key)), instead);
                }
            }
        }
    }
}

/// Why a key is not carried over, and what to do instead.
fn why(key: &str) -> (&'static str, &'static str) {
    match key {
        "compositeTools" | "compositeToolRefs" => (
            "weir has no composite tools",
            "let the client call the single tools, or put a server of your own that combines them behind weir",
        ),
        "optimizer" | "embeddingServerRef" => (
            "weir has no search for tools",
            "choose the tools that are offered: `tools.allow` and `tools.deny`",
        ),
        "codeMode" => ("weir runs no scripts", "let the client call the tools one by one"),
        "telemetry" | "telemetryConfigRef" => {
            ("weir exports no metrics or traces", "its log has every failure: `weir serve --log-format json`")
        }
        "audit" => ("weir writes no audit records", "record calls before weir or in the servers"),
        "sessionStorage" => {
            ("weir keeps sessions in its own memory", "run one weir, or lead each client to the same one")
        }
        "rateLimiting" => (
            "weir counts no calls over time",
            "bound what runs at once: `limits.requests`, and `limits.calls` of each backend",
        ),
        "passthroughHeaders" => {
            ("no header of a client reaches a backend", "send fixed ones: `headers` of the backend")
        }
        "authServerConfig" | "authServerConfigRef" => (
            "weir issues no tokens",
            "keep weir on loopback, or put something that asks who is there before it",
        ),
        "tokenCache" => ("weir obtains no tokens", "leave it out"),
        "metadata" => ("it says something to people only", "keep it as a comment"),
        "podTemplateSpec" | "serviceType" | "serviceAccount" | "replicas" | "sessionAffinity"
        | "imagePullSecrets" => {
            ("it is about Kubernetes, not about the server", "write it into the manifest that runs weir")
        }
        _ => ("weir does not know it", "leave it out"),
    }
}

/// Who may call.
fn incoming(part: &Part<'_>, notes: &mut Notes) {
    if part.get("type").is_none_or(|kind| kind.text() != Some("anonymous")) {
        notes.remark(
            part,
            "`incomingAuth` was left out: weir asks nobody who they are, and everybody who reaches it may call everything",
            "keep weir on loopback, which is the default, or put something that asks who is there before it",
        );
    }
    let authz = part.get("authz").or_else(|| part.get("authzConfig")).or_else(|| part.get("authzConfigRef"));
    if let Some(authz) =
        authz.filter(|authz| authz.get("type").is_none_or(|kind| kind.text() != Some("none")))
    {
        notes.remark(
            &authz,
            "the authorization policies were left out: weir has none, and every caller may call everything that is offered",
            "leave out what nobody may call: `tools.deny`",
        );
    }
}

/// Settings of operation; timeouts are carried over elsewhere.
fn operational(part: &Part<'_>, notes: &mut Notes) {
    for (key, value) in part.entries() {
        let (why, instead) = match key.as_str() {
            "timeouts" => continue,
            "logLevel" => ("it is an option of weir's", "`weir serve --log debug`"),
            "failureHandling" => (
                "weir has no such switches: a backend that fails is asked again by itself, and the others go on",
                "bound how long it is waited for: `timeouts` of the backend",
            ),
            _ => ("weir does not know it", "leave it out"),
        };
        notes.remark(&value, format!("{} was left out: {why}", quote(&key)), instead);
    }
}

//! Sessions of the legacy era: how they begin, what they need, how they end.

use serde_json::{Value, json};
use weir_tests::http::Request;
use weir_tests::{Answer, Legacy, Speak, Weir, legacy, peers};

fn echo() -> Weir {
    Weir::over(json!({"echo": peers::fixture("echo.py", &["legacy", "modern"])}))
}

#[test]
fn a_legacy_request_needs_its_session() {
    let weir = echo();
    let body = r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#;
    assert_eq!(Request::post(body).send(&weir.endpoint()).status, 400);
    let unknown = Request::post(body).header("mcp-session-id", "no-such-session");
    assert_eq!(unknown.send(&weir.endpoint()).status, 404);
    let stream = Request::new("GET").header("accept", "text/event-stream");
    assert_eq!(stream.clone().send(&weir.endpoint()).status, 400);
    assert_eq!(stream.header("mcp-session-id", "no-such-session").send(&weir.endpoint()).status, 404);
}

#[test]
fn an_ended_session_is_gone() {
    let weir = echo();
    let client = Legacy::new(weir.endpoint());
    assert_eq!(client.tool_names().len(), 5);
    let deleted = client.delete().status;
    assert!(deleted == 200 || deleted == 204, "{deleted}");
    assert_eq!(client.post(r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#).status, 404);
    assert_eq!(client.delete().status, 404);
}

#[test]
fn a_session_id_is_visible_ascii_and_never_the_same() {
    let weir = echo();
    let ids = (0..20).map(|_| Legacy::new(weir.endpoint()).session().to_owned()).collect::<Vec<_>>();
    for (index, id) in ids.iter().enumerate() {
        assert!(id.len() >= 16 && id.bytes().all(|byte| (0x21..=0x7e).contains(&byte)), "{id:?}");
        assert!(!ids[..index].contains(id), "{id} was given twice");
    }
}

#[test]
fn the_revision_is_negotiated() {
    let weir = echo();
    for version in ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"] {
        assert_eq!(Legacy::open(weir.endpoint(), version, json!({})).welcome["protocolVersion"], version);
    }
    for unknown in ["1999-12-31", "2026-07-28", "2099-01-01"] {
        let client = Legacy::open(weir.endpoint(), unknown, json!({}));
        assert_eq!(client.welcome["protocolVersion"], legacy::REVISION, "{unknown}");
    }
}

#[test]
fn a_session_speaks_a_known_revision() {
    let weir = echo();
    let client = Legacy::new(weir.endpoint());
    let (request, _) = client.prepare("tools/list", json!({}));
    let with_version =
        |version| request.clone().replace("mcp-protocol-version", version).send(&weir.endpoint()).status;
    assert_eq!(with_version(Some("1999-12-31")), 400);
    assert_eq!(with_version(Some(legacy::REVISION)), 200);
    assert_eq!(with_version(None), 200);
}

#[test]
fn a_legacy_ping_is_answered() {
    let weir = echo();
    assert_eq!(Legacy::new(weir.endpoint()).ask("ping", json!({})).result(), &json!({}));
}

#[test]
fn ids_come_back_as_they_were() {
    let weir = echo();
    let client = Legacy::new(weir.endpoint());
    for id in ["7", "\"seven\"", "\"\"", "-1", "9007199254740993", "\"\\u00e9\\n\""] {
        let response = client.post(&format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"tools/list"}}"#));
        let sent: Value = serde_json::from_str(id).expect("an id is JSON");
        assert!(Answer::of(&response, &sent).result()["tools"].is_array());
    }
}

#[test]
fn a_batch_belongs_to_one_revision_alone() {
    let weir = echo();
    let batch = r#"[{"jsonrpc":"2.0","id":1,"method":"ping"}]"#;
    assert_eq!(Legacy::new(weir.endpoint()).post(batch).status, 400);
    assert_eq!(Legacy::open(weir.endpoint(), "2025-06-18", json!({})).post(batch).status, 400);
}

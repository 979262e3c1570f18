use super::*;
use weir_protocol::Envelope;

fn plain(members: &str) -> bool {
    let body =
        format!(r#"{{"jsonrpc":"2.0","params":{{"uri":"a:b"{members}}},"method":"resources/read","id":1}}"#);
    is_plain(body.as_bytes(), Envelope::parse(body.as_bytes()).unwrap().params.as_ref().unwrap())
}

#[test]
fn only_requests_that_ask_for_nothing_else_are_kept() {
    assert!(plain(""));
    assert!(plain(
        r#","_meta":{"progressToken":1,"traceparent":"x","io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{"elicitation":{}},"io.modelcontextprotocol/clientInfo":{},"io.modelcontextprotocol/logLevel":"info"}"#
    ));
    for other in [
        r#","inputResponses":{}"#,
        r#","requestState":"s""#,
        r#","request\u0053tate":"s""#,
        r#","range":[0,1]"#,
        r#","_meta":{"com.example/tenant":"a"}"#,
        r#","_meta":{"io.modelcontextprotocol/related-task":{}}"#,
    ] {
        assert!(!plain(other), "{other}");
    }
}

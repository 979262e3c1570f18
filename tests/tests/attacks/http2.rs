//! The same door over HTTP/2.

use crate::stage::{ALICE, ALL, MALLORY, RESOURCE, Stage, keys, plain, wait_for_lists};
use serde_json::json;
use weir_tests::process::Process;
use weir_tests::{Endpoint, Modern, curl, wait};

/// Calls a tool with curl; the status.
fn call(to: &Endpoint, headers: &[&str]) -> u16 {
    let mut options = vec!["--http2-prior-knowledge"];
    options.extend(headers.iter().flat_map(|header| ["--header", header]));
    let open = json!({"name": "open", "arguments": {}});
    // Some versions of curl lose an answer that comes before all of the request is sent, and the stream's end with it.
    wait::until("curl has the answer", || {
        let exit = Process::run(
            &mut curl::request(&Modern::new(to.clone()), "tools/call", open.clone(), &options),
            "",
        );
        exit.stdout.rsplit_once('\n')?.1.strip_suffix(" 2")?.parse().ok()
    })
}

#[test]
fn streams_are_let_in_as_requests_are() {
    let stage = Stage::new(plain(json!({
        "auth": {"resource": RESOURCE, "api_keys": keys()},
        "policies": {"inline": ALL},
    })));
    let to = stage.weir.endpoint();
    wait_for_lists(&to, ALICE);
    let (bearer, other) =
        (format!("authorization: Bearer {ALICE}"), format!("authorization: Bearer {MALLORY}"));
    let (key, cookie) = (format!("x-api-key: {ALICE}"), format!("cookie: authorization=Bearer {ALICE}"));
    let before = stage.executed();
    assert_eq!(call(&to, &[&bearer]), 200);
    assert_eq!(stage.executed() - before, 1);
    let attacks: [(&[&str], u16); 9] = [
        (&[], 401),
        (&["authorization: Bearer weir_x"], 401),
        (&[&bearer, &other], 400),
        (&[&bearer, &bearer], 400),
        (&[&key, &key], 400),
        (&[&other, &key], 400),
        (&[&cookie], 401),
        (&[&bearer, "host: evil.test"], 403),
        (&[&bearer, "origin: https://evil.test"], 403),
    ];
    for (headers, status) in attacks {
        assert_eq!(call(&to, headers), status, "{headers:?}");
    }
    assert_eq!(call(&to.at(&format!("/mcp?access_token={ALICE}")), &[]), 400);
    assert_eq!(call(&to.at(&format!("/mcp?access_token={ALICE}")), &[&bearer]), 400);
    assert_eq!(stage.executed() - before, 1, "none of them got through");
}

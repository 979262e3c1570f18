//! What an operator changes of items beyond their names: parameters, URIs, icons; and what clients of older revisions get
//! of what they cannot read.

use serde_json::{Value, json};
use weir_tests::message::names;
use weir_tests::weir::config;
use weir_tests::{Legacy, Modern, Scripted, Speak, Weir, peers, wait};

fn both(weir: &Weir) -> [Box<dyn Speak>; 2] {
    [Box::new(Modern::new(weir.endpoint())), Box::new(Legacy::new(weir.endpoint()))]
}

/// One endpoint over `backends`, names left as they are, with these overrides on tools.
fn overridden(backends: Value, overrides: Value) -> Weir {
    Weir::serve(config(backends, json!({"conflicts": "none", "tools": {"overrides": overrides}})))
}

fn tool(client: &dyn Speak, name: &str) -> Value {
    let tools = client.list("tools/list", "tools");
    tools.into_iter().find(|tool| tool["name"] == name).unwrap_or_else(|| panic!("the tool {name}"))
}

#[test]
fn parameters_of_a_real_server_are_fixed_filled_in_and_renamed() {
    for era in ["legacy", "modern"] {
        let mut time = peers::time();
        time["era"] = json!(era);
        let weir = overridden(
            json!({"time": time}),
            json!({"time": {
                "get_current_time": {"parameters": {"timezone": {"value": "Asia/Tokyo"}}},
                "convert_time": {"parameters": {
                    "source_timezone": {"default": "UTC", "name": "from"},
                    "target_timezone": {"name": "to", "description": "Where it is wanted."},
                }},
            }}),
        );
        for client in both(&weir) {
            let now = tool(&*client, "get_current_time");
            assert_eq!(now["inputSchema"]["properties"], json!({}), "{era}");
            assert_eq!(now["inputSchema"]["required"], json!([]), "{era}");
            for arguments in
                [json!({"name": "get_current_time"}), json!({"name": "get_current_time", "arguments": {}})]
            {
                let answer = client.ask("tools/call", arguments);
                assert!(answer.text().contains("Asia/Tokyo"), "{era}: {}", answer.message);
            }
            let refused = client.call("get_current_time", json!({"timezone": "UTC"}));
            assert_eq!(refused.error(), -32602);
            assert!(refused.message.to_string().contains("`timezone`"), "{}", refused.message);
            assert_eq!(client.call("get_current_time", json!({"TimeZone": "UTC"})).error(), -32602);

            let convert = tool(&*client, "convert_time");
            let schema = &convert["inputSchema"];
            assert_eq!(schema["properties"]["from"]["default"], "UTC");
            assert_eq!(schema["properties"]["to"]["description"], "Where it is wanted.");
            assert_eq!(schema["properties"]["to"]["type"], "string");
            assert_eq!(schema["required"], json!(["time", "to"]));
            let answer = client.call("convert_time", json!({"time": "12:00", "to": "Asia/Tokyo"}));
            assert!(answer.text().contains("21:00"), "{era}: {}", answer.message);
            let other = json!({"from": "Asia/Kolkata", "time": "12:00", "to": "Asia/Tokyo"});
            assert!(client.call("convert_time", other).text().contains("15:30"), "{era}");
            let twice = json!({"to": "UTC", "target_timezone": "UTC", "time": "12:00"});
            assert_eq!(client.call("convert_time", twice).error(), -32602);
        }
    }
}

#[test]
fn arguments_of_prompts_are_fixed_and_filled_in() {
    let arguments =
        json!({"city": {"default": "Rome", "description": "Where."}, "state": {"value": "Lazio"}});
    let prompts = json!({"overrides": {"everything": {"args-prompt": {"arguments": arguments}}}});
    let weir = Weir::serve(config(
        json!({"everything": peers::everything_stdio()}),
        json!({"conflicts": "none", "prompts": prompts}),
    ));
    for client in both(&weir) {
        let prompts = client.list("prompts/list", "prompts");
        let prompt = prompts.iter().find(|prompt| prompt["name"] == "args-prompt").expect("the prompt");
        let shown = json!([{"name": "city", "description": "Where.", "required": false}]);
        assert_eq!(prompt["arguments"], shown);
        let get = |arguments: Value| {
            client.ask("prompts/get", json!({"name": "args-prompt", "arguments": arguments}))
        };
        let text = |arguments| get(arguments).result()["messages"][0]["content"]["text"].clone();
        assert_eq!(text(json!({})), "What's weather in Rome, Lazio?");
        assert_eq!(text(json!({"city": "Ostia"})), "What's weather in Ostia, Lazio?");
        assert_eq!(get(json!({"state": "Texas"})).error(), -32602);
    }
}

#[test]
fn a_folder_can_be_fixed() {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::create_dir(folder.path().join("shown")).expect("a folder in it");
    std::fs::write(folder.path().join("shown/a.txt"), "a").expect("a file");
    let weir = overridden(
        json!({"files": peers::filesystem(folder.path())}),
        json!({"files": {"list_directory": {"parameters": {"path": {"value": folder.path().join("shown")}}}}}),
    );
    for client in both(&weir) {
        assert!(client.call("list_directory", json!({})).text().contains("a.txt"));
        assert_eq!(client.call("list_directory", json!({"path": "/"})).error(), -32602);
    }
}

#[test]
fn nothing_but_the_named_parameters_changes() {
    let schema = r#"{"type":"object","properties":{"keep":{"x":1e5},"key":{"type":"string"},"old":{}},"required":["key","keep"],"z":[1]}"#;
    let server = Scripted::modern(
        json!([{"name": "t", "inputSchema": serde_json::from_str::<Value>(schema).unwrap()}]),
        |request, reply| reply.result(request, json!({"resultType": "complete", "content": []})),
    );
    let weir = overridden(
        json!({"odd": server.backend()}),
        json!({"odd": {"t": {"parameters": {
            "key": {"value": "s3cr3t", "hide": true},
            "old": {"name": "new"},
            "missing": {"name": "x"},
        }}}}),
    );
    for client in both(&weir) {
        let raw = r#"{ "big" : 12345678901234567890123 ,"new":[ 1.0E+2 ], "keep":"\u00fc"}"#;
        let (request, _) = client.prepare("tools/call", json!({"name": "t", "arguments": "RAW"}));
        let answer = request.rewrite("\"RAW\"", raw).send(&weir.endpoint());
        assert_eq!(answer.status, 200, "{}", answer.text());
        let calls = server.received_of("tools/call");
        let sent = calls.last().unwrap_or_else(|| panic!("a call, not {}", answer.text())).text();
        let expected =
            r#"{ "big" : 12345678901234567890123 ,"old":[ 1.0E+2 ], "keep":"\u00fc","key":"s3cr3t"}"#;
        assert!(sent.contains(expected), "{sent}");
        assert_eq!(tool(&*client, "t")["inputSchema"]["required"], json!(["keep"]));
    }
    let warned = "it has no parameter `missing`";
    wait::until("the override is told of", || weir.log().contains(warned).then_some(()));
    assert_eq!(weir.log().matches(warned).count(), 1, "{}", weir.log());
    assert!(!weir.log().contains("s3cr3t"), "{}", weir.log());
}

fn prefixed_twins(resources: Value) -> Weir {
    let mut resources = resources;
    resources["uris"] = json!("prefix");
    let backends = json!({"one": peers::everything_stdio(), "Two_2": peers::everything_stdio()});
    Weir::serve(config(backends, json!({"backends": ["one", "Two_2"], "resources": resources})))
}

const TWO: &str = "weir++two++2:";

#[test]
fn the_same_uri_of_two_servers_is_two_resources() {
    let weir = prefixed_twins(json!({}));
    for client in both(&weir) {
        let listed = client.list("resources/list", "resources");
        let uris: Vec<&str> = listed.iter().map(|item| item["uri"].as_str().unwrap()).collect();
        let of = |prefix: &str| {
            let own = uris.iter().filter_map(|uri| uri.strip_prefix(prefix));
            own.map(str::to_owned).collect::<Vec<_>>()
        };
        assert!(!of("weir+one:").is_empty() && of("weir+one:") == of(TWO), "{uris:?}");
        assert_eq!(uris.len(), 2 * of(TWO).len());
        let uri = uris.last().unwrap();
        let read = client.ask("resources/read", json!({"uri": uri}));
        assert_eq!(read.result()["contents"][0]["uri"], **uri, "{}", read.message);

        let templates = client.list("resources/templates/list", "resourceTemplates");
        let template = format!("{TWO}demo://resource/dynamic/text/{{resourceId}}");
        assert!(templates.iter().any(|item| item["uriTemplate"] == template), "{templates:?}");
        let expanded = template.replace("{resourceId}", "7");
        for uri in [expanded.clone(), expanded.replace(TWO, "WEIR++TWO++2:")] {
            let read = client.ask("resources/read", json!({"uri": uri}));
            assert_eq!(read.result()["contents"][0]["uri"], expanded, "{}", read.message);
        }
        let plain = client.ask("resources/read", json!({"uri": "demo://resource/dynamic/text/7"}));
        assert_eq!(plain.result()["contents"][0]["uri"], expanded.replace(TWO, "weir+one:"));

        let reference = json!({"type": "ref/resource", "uri": template});
        let argument = json!({"name": "resourceId", "value": "3"});
        let completed = client.ask("completion/complete", json!({"ref": reference, "argument": argument}));
        assert_eq!(completed.result()["completion"]["values"], json!(["3"]), "{}", completed.message);
        let unknown = client.ask("resources/read", json!({"uri": format!("{TWO}demo://nowhere")}));
        assert!(unknown.failed(), "{}", unknown.message);
    }
}

#[test]
fn links_and_embedded_resources_lead_back_to_their_server() {
    let weir = prefixed_twins(json!({}));
    for client in both(&weir) {
        let links = client.call("Two_2_get-resource-links", json!({"count": 2}));
        let link = links.result()["content"][1]["uri"].as_str().expect("a link");
        assert!(link.starts_with(TWO), "{}", links.message);
        let read = client.ask("resources/read", json!({"uri": link}));
        assert_eq!(read.result()["contents"][0]["uri"], link);

        let arguments = json!({"resourceType": "Text", "resourceId": 1});
        let embedded = client.call("one_get-resource-reference", arguments);
        let content = embedded.result()["content"].as_array().expect("content");
        let resource = content.iter().find(|block| block["type"] == "resource").expect("a resource");
        assert_eq!(resource["resource"]["uri"], "weir+one:demo://resource/dynamic/text/1");

        let arguments = json!({"resourceType": "Text", "resourceId": "1"});
        let prompt =
            client.ask("prompts/get", json!({"name": "Two_2_resource-prompt", "arguments": arguments}));
        let resource = &prompt.result()["messages"][1]["content"]["resource"];
        assert_eq!(resource["uri"], format!("{TWO}demo://resource/dynamic/text/1"), "{}", prompt.message);
    }
}

#[test]
fn no_spelling_of_a_uri_gets_around_a_pattern() {
    let denied = json!(["demo://resource/dynamic/blob/*", "weir+one:demo://resource/dynamic/text/*"]);
    let weir = prefixed_twins(json!({"deny": denied}));
    for client in both(&weir) {
        for uri in [
            "demo://resource/dynamic/blob/1",
            "weir+one:demo://resource/dynamic/blob/1",
            "weir++two++2:demo://resource/dynamic/blob/1",
            "WEIR++Two++2:DEMO://resource/dynamic/./blob/%31",
            "weir+one:weir++two++2:demo://resource/dynamic/blob/1",
            "weir+one:demo://resource/dynamic/text/1",
            "Weir+ONE:demo://resource/dynamic/%74ext/1",
        ] {
            let read = client.ask("resources/read", json!({"uri": uri}));
            assert!(read.message["error"]["message"] == "resource not found", "{uri}: {}", read.message);
        }
        let allowed = "weir++two++2:demo://resource/dynamic/text/1";
        for uri in [allowed, "demo://resource/dynamic/text/1"] {
            let read = client.ask("resources/read", json!({"uri": uri}));
            assert_eq!(read.result()["contents"][0]["uri"], allowed, "{}", read.message);
        }
    }
}

fn output_tools() -> Value {
    let tool = |name: &str, output: Value| {
        json!({"name": name, "inputSchema": {"type": "object"}, "outputSchema": output,
               "icons": [{"src": "https://example.com/icon.png"}],
               "_meta": {"ui": {"resourceUri": "ui://app"}}})
    };
    json!([
        tool("list", json!({"type": "array", "items": {"type": "integer"}})),
        tool("record", json!({"type": "object"})),
    ])
}

fn output_server() -> Scripted {
    Scripted::modern(output_tools(), |request, reply| {
        let result = match request.json()["params"]["name"].as_str() {
            Some("list") => json!({"resultType": "complete", "content": [], "structuredContent": [1, 2]}),
            _ => json!({"resultType": "complete", "content": [], "structuredContent": {"a": 1}}),
        };
        reply.result(request, result);
    })
}

#[test]
fn output_of_any_kind_reaches_old_clients_as_text() {
    let server = output_server();
    let weir = Weir::over(json!({"out": server.backend()}));
    let (modern, legacy) = (Modern::new(weir.endpoint()), Legacy::new(weir.endpoint()));
    assert_eq!(json!(modern.list("tools/list", "tools")), output_tools());
    let mut expected = output_tools();
    expected[0].as_object_mut().unwrap().remove("outputSchema");
    assert_eq!(json!(legacy.list("tools/list", "tools")), expected);

    assert_eq!(modern.call("list", json!({})).result()["structuredContent"], json!([1, 2]));
    let old = legacy.call("list", json!({}));
    assert_eq!(*old.result(), json!({"content": [{"type": "text", "text": "[1,2]"}]}));
    let old = legacy.call("record", json!({}));
    assert_eq!(*old.result(), json!({"content": [], "structuredContent": {"a": 1}}));
}

#[test]
fn icons_are_left_out_and_interfaces_keep_their_server() {
    let server = output_server();
    let endpoint = json!({"conflicts": "none", "icons": "drop", "resources": {"uris": "prefix"}});
    let weir = Weir::serve(config(json!({"out": server.backend()}), endpoint));
    for client in both(&weir) {
        let tools = client.list("tools/list", "tools");
        assert_eq!(names(&tools), ["list", "record"]);
        for tool in tools {
            assert!(tool.get("icons").is_none(), "{tool}");
            assert_eq!(tool["_meta"]["ui"]["resourceUri"], "weir+out:ui://app");
        }
    }
}

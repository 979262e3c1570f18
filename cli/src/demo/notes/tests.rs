use super::Notes;
use crate::demo::session::tests::Client;
use serde_json::{Value, json};

const CHANGED: &str = "notifications/resources/list_changed";

fn call(client: &mut Client<Notes>, name: &str, arguments: Value) -> Value {
    let mut message = client.ask("tools/call", json!({ "name": name, "arguments": arguments }));
    while message.get("method").is_some() {
        message = client.next();
    }
    message["result"].clone()
}

fn filled() -> Client<Notes> {
    let mut client = Client::legacy(Notes::default());
    call(&mut client, "add_note", json!({ "text": "Buy bread", "topic": "home" }));
    call(&mut client, "add_note", json!({ "text": "Read the RFC", "topic": "work" }));
    call(&mut client, "add_note", json!({ "text": "Call Ada", "topic": "work" }));
    client
}

fn ids(result: &Value) -> Vec<&str> {
    let notes = result["structuredContent"]["notes"].as_array().unwrap();
    notes.iter().map(|note| note["id"].as_str().unwrap()).collect()
}

#[test]
fn notes_are_added_listed_found_and_deleted() {
    let mut client = filled();
    assert_eq!(ids(&call(&mut client, "list_notes", json!({}))), ["1", "2", "3"]);
    assert_eq!(ids(&call(&mut client, "list_notes", json!({ "topic": "work" }))), ["2", "3"]);
    assert_eq!(ids(&call(&mut client, "search_notes", json!({ "query": "rfc" }))), ["2"]);
    assert_eq!(ids(&call(&mut client, "search_notes", json!({ "query": "HOME" }))), ["1"]);
    assert_eq!(
        call(&mut client, "delete_note", json!({ "id": "2" }))["structuredContent"]["text"],
        "Read the RFC"
    );
    assert_eq!(call(&mut client, "delete_note", json!({ "id": "2" }))["isError"], true);
    let added = call(&mut client, "add_note", json!({ "text": "Again" }));
    assert_eq!(
        added["structuredContent"],
        json!({
            "id": "4", "topic": "general", "text": "Again", "uri": "notes://4",
        })
    );
}

#[test]
fn what_is_wrong_is_said() {
    let mut client = filled();
    for (name, arguments) in [
        ("add_note", json!({})),
        ("add_note", json!({ "text": "  " })),
        ("add_note", json!({ "text": "x".repeat(4097) })),
        ("add_note", json!({ "text": "x", "topic": "x".repeat(65) })),
        ("add_note", json!({ "text": "x", "colour": "red" })),
        ("delete_note", json!({ "id": 1 })),
        ("delete_note", json!({ "id": "01" })),
        ("search_notes", json!({ "query": "" })),
    ] {
        assert_eq!(call(&mut client, name, arguments.clone())["isError"], true, "{name} {arguments}");
    }
    let answer = client.ask("tools/call", json!({ "name": "burn_notes" }));
    assert_eq!(answer["error"]["code"], -32602);
    for _ in 3..1000 {
        call(&mut client, "add_note", json!({ "text": "x" }));
    }
    assert_eq!(call(&mut client, "add_note", json!({ "text": "x" }))["isError"], true);
}

#[test]
fn notes_are_resources_page_by_page() {
    let mut client = filled();
    let read = client.ask("resources/read", json!({ "uri": "notes://1" }));
    assert_eq!(read["result"]["contents"][0]["text"], "Buy bread");
    assert_eq!(client.ask("resources/read", json!({ "uri": "notes://9" }))["error"]["code"], -32002);
    let modern = client.ask_modern(json!(5), "resources/read", json!({ "uri": "notes://9" }));
    assert_eq!(modern["error"]["code"], -32602);
    assert_eq!(modern["error"]["data"]["uri"], "notes://9");

    for _ in 3..250 {
        call(&mut client, "add_note", json!({ "text": "x" }));
    }
    let (mut sizes, mut params) = (Vec::new(), json!({}));
    loop {
        let page = client.ask("resources/list", params)["result"].clone();
        sizes.push(page["resources"].as_array().unwrap().len());
        match page.get("nextCursor") {
            Some(cursor) => params = json!({ "cursor": cursor }),
            None => break,
        }
    }
    assert_eq!(sizes, [100, 100, 50]);
    assert_eq!(client.ask("resources/list", json!({ "cursor": "x" }))["error"]["code"], -32602);
    let templates = client.ask("resources/templates/list", json!({}));
    assert_eq!(templates["result"]["resourceTemplates"][0]["uriTemplate"], "notes://{id}");
}

#[test]
fn the_prompt_and_its_completion_know_the_topics() {
    let mut client = filled();
    let prompts = client.ask("prompts/list", json!({}));
    assert_eq!(prompts["result"]["prompts"][0]["name"], "summarise_notes");
    let mut get = |arguments: Value| {
        client.ask("prompts/get", json!({ "name": "summarise_notes", "arguments": arguments }))
    };
    let got = get(json!({ "topic": "work" }));
    let text = got["result"]["messages"][0]["content"]["text"].as_str().unwrap();
    assert!(text.contains("Call Ada") && !text.contains("bread"), "{text}");
    assert!(get(json!({ "topic": "none" }))["result"].is_object());
    assert_eq!(get(json!({}))["error"]["code"], -32602);
    assert_eq!(client.ask("prompts/get", json!({ "name": "x" }))["error"]["code"], -32602);

    let mut complete = |reference: Value, argument: &str, value: &str| {
        let argument = json!({ "name": argument, "value": value });
        let answer = client.ask("completion/complete", json!({ "ref": reference, "argument": argument }));
        answer["result"]["completion"]["values"].clone()
    };
    let prompt = json!({ "type": "ref/prompt", "name": "summarise_notes" });
    assert_eq!(complete(prompt.clone(), "topic", ""), json!(["home", "work"]));
    assert_eq!(complete(prompt.clone(), "topic", "w"), json!(["work"]));
    assert_eq!(complete(prompt, "colour", ""), json!(null));
    let template = json!({ "type": "ref/resource", "uri": "notes://{id}" });
    assert_eq!(complete(template, "id", ""), json!(["1", "2", "3"]));
}

#[test]
fn a_legacy_client_hears_of_changes_before_the_answer() {
    let mut client = Client::legacy(Notes::default());
    let add = json!({ "name": "add_note", "arguments": { "text": "x" } });
    assert_eq!(client.ask("tools/call", add), json!({ "jsonrpc": "2.0", "method": CHANGED }));
    assert_eq!(client.next()["id"], 1);
}

#[test]
fn a_modern_client_hears_of_what_it_listens_for() {
    let mut client = Client::new(Notes::default());
    let key = "io.modelcontextprotocol/subscriptionId";
    let wanted = json!({ "notifications": { "resourcesListChanged": true, "toolsListChanged": true } });
    for id in [json!(1), json!("one")] {
        let first = client.ask_modern(id.clone(), "subscriptions/listen", wanted.clone());
        assert_eq!(first["method"], "notifications/subscriptions/acknowledged");
        assert_eq!(first["params"]["_meta"][key], id);
        assert_eq!(first["params"]["notifications"], json!({ "resourcesListChanged": true }));
    }
    let other = json!({ "notifications": { "toolsListChanged": true } });
    let first = client.ask_modern(json!(2), "subscriptions/listen", other);
    assert_eq!(first["params"]["notifications"], json!({}));

    let add = json!({ "name": "add_note", "arguments": { "text": "x" } });
    let heard = client.ask_modern(json!(3), "tools/call", add.clone());
    assert_eq!((&heard["method"], &heard["params"]["_meta"][key]), (&json!(CHANGED), &json!(1)));
    assert_eq!(client.next()["params"]["_meta"][key], "one");
    assert_eq!(client.next()["id"], 3);

    let params = json!({ "requestId": 1 });
    client.send(json!({ "jsonrpc": "2.0", "method": "notifications/cancelled", "params": params }));
    let heard = client.ask_modern(json!(4), "tools/call", add);
    assert_eq!(heard["params"]["_meta"][key], "one");
    assert_eq!(client.next()["id"], 4);

    let last = client.close();
    assert_eq!(last.iter().map(|end| &end["id"]).collect::<Vec<_>>(), [&json!("one"), &json!(2)]);
    assert_eq!(last[0]["result"]["_meta"][key], "one");
    assert_eq!(last[0]["result"]["resultType"], "complete");
}

#[test]
fn subscriptions_are_limited_and_checked() {
    let mut client = Client::new(Notes::default());
    let missing = client.ask_modern(json!(99), "subscriptions/listen", json!({}));
    assert_eq!(missing["error"]["code"], -32602);
    for id in 0..16 {
        client.ask_modern(json!(id), "subscriptions/listen", json!({ "notifications": {} }));
    }
    let refused = client.ask_modern(json!(16), "subscriptions/listen", json!({ "notifications": {} }));
    assert_eq!(refused["error"]["code"], -32602);
}

//! What lasts ends when the token that opened it is taken back, and is told what its bearer may know by now.

use crate::{Bench, RESOURCE, auth, config, echo};
use parking_lot::Mutex;
use serde_json::{Value, json};
use std::collections::HashSet;
use std::io::BufRead;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use weir_tests::http::Events;
use weir_tests::{Endpoint, Legacy, Modern, Paired, Provider, Scripted, Speak, Weir, peers, wait};

/// How long an issuer's word counts in these tests.
const ROUND: Duration = Duration::from_secs(1);

/// An issuer that is asked about tokens and says what a test wants; nothing where it is away.
struct Issuer {
    server: Scripted,
    word: Arc<Mutex<Option<Value>>>,
    asked: Arc<Mutex<Vec<Instant>>>,
}

impl Issuer {
    fn saying(word: Value) -> Self {
        let (word, asked) = (Arc::new(Mutex::new(Some(word))), Arc::<Mutex<Vec<_>>>::default());
        let (say, at) = (word.clone(), asked.clone());
        let server = Scripted::start(move |request, reply| {
            if request.path == "/ask" {
                at.lock().push(Instant::now());
            }
            match &*say.lock() {
                Some(word) if request.path == "/ask" => reply.json(word.to_string()),
                _ => reply.body(503, "text/plain", "away"),
            }
        });
        Self { server, word, asked }
    }

    fn url(&self, path: &str) -> String {
        self.server.url().replace("/mcp", path)
    }

    fn says(&self, word: Option<Value>) {
        *self.word.lock() = word;
    }

    /// How often it was asked.
    fn asked(&self) -> usize {
        self.asked.lock().len()
    }

    /// Waits until it was asked so many times more.
    fn wait_for(&self, more: usize) {
        let before = self.asked();
        wait::until_true("the issuer is asked", || self.asked() >= before + more);
    }

    /// `auth.introspection` for it.
    fn introspection(&self, more: Value) -> Value {
        let mut all = json!({"url": self.url("/ask"), "client_id": "weir", "client_secret": "secret"});
        for (name, value) in more.as_object().expect("an object") {
            all[name] = value.clone();
        }
        all
    }

    /// An endpoint that asks it about tokens that say nothing.
    fn auth(&self) -> Value {
        let introspection = self.introspection(json!({"cache": "1s"}));
        let issuer = json!({"issuer": self.url(""), "private": true, "introspection": introspection});
        json!({"resource": RESOURCE, "issuers": [issuer]})
    }
}

/// What an issuer says of a good token.
fn good(groups: &[&str]) -> Value {
    json!({"active": true, "token_type": "Bearer", "aud": RESOURCE, "sub": "alice", "groups": groups})
}

/// A stream of announcements that has begun.
fn listening(to: &Endpoint) -> Events<impl BufRead + use<>> {
    let wanted = json!({"notifications": {"toolsListChanged": true}});
    let (request, _) = Modern::new(to.clone()).prepare("subscriptions/listen", wanted);
    let mut stream = request.open(to).events();
    stream.message();
    stream
}

/// Reads to the end of a stream, which is there; the messages.
fn rest(stream: Events<impl BufRead>) -> Vec<Value> {
    stream.filter(|event| !event.data.is_empty()).map(|event| event.json()).collect()
}

#[test]
fn what_a_token_opened_ends_when_it_is_taken_back() {
    let folder = tempfile::tempdir().expect("a folder");
    let slow = peers::fixture("slow.py", &[folder.path().to_str().expect("a path"), "legacy", "modern"]);
    let introspection =
        json!({"client_id": "service", "client_secret": Provider::secret("service"), "cache": "1s"});
    let provider = Provider::with(json!({"opaque": [RESOURCE]}));
    let bench = Bench::over(provider, json!({"slow": slow}), json!({"introspection": introspection}));
    let (to, other) = (bench.endpoint("alice"), bench.endpoint("bob"));
    let session = Legacy::new(to.clone());
    let (stream, listening, connection) = (session.listen(), listening(&to), Paired::open(&to));
    let lasting = json!({"name": "wait", "arguments": {"steps": 1}, "_meta": {"progressToken": "t"}});
    let (request, id) = Modern::new(to.clone()).prepare("tools/call", lasting.clone());
    let mut call = request.open(&to).events();
    call.message();
    let (request, _) = session.prepare("tools/call", lasting);
    let mut legacy_call = request.open(&to).events();
    legacy_call.next().expect("it begins");
    let others = Legacy::new(other.clone());
    let mut others_stream = others.listen();
    bench.provider.forget("alice");
    assert_eq!(rest(stream), [json!(null); 0]);
    assert_eq!(rest(listening).last().expect("a result")["result"]["resultType"], "complete");
    connection.stream.for_each(drop);
    let last = rest(call).pop().expect("an answer");
    assert_eq!(last["id"], id);
    assert!(last["error"]["message"].as_str().unwrap_or_default().contains("taken back"), "{last}");
    assert!(rest(legacy_call).iter().all(|message| message.get("id").is_none()), "it may be taken up again");
    wait::until_true("the token is refused", || crate::ping().send(&to).status == 401);
    // What somebody else's token opened goes on.
    bench.weir.reconfigure(config(
        json!({"slow": slow, "echo": echo()}),
        auth(&bench.provider, json!({"introspection": introspection})),
    ));
    bench.weir.hang_up();
    assert_eq!(others_stream.message()["method"], "notifications/tools/list_changed");
}

#[test]
fn an_issuer_is_asked_once_a_round_however_many_streams_a_token_opened() {
    let (issuer, provider) = (Issuer::saying(good(&[])), Provider::start());
    let every = issuer.introspection(json!({"every": "1s", "opaque": false}));
    let signed = auth(&provider, json!({"introspection": every}));
    for (auth, token) in [(issuer.auth(), "opaque".to_owned()), (signed, provider.token("alice", RESOURCE))] {
        issuer.says(Some(good(&[])));
        issuer.asked.lock().clear();
        let weir = Weir::serve(config(json!({"echo": echo()}), auth));
        let to = weir.endpoint().bearing(&token);
        let streams: Vec<_> = (0..12).map(|_| listening(&to)).collect();
        issuer.wait_for(3);
        let asked = issuer.asked.lock().clone();
        // One who comes late finds it out later, never sooner.
        for (first, second) in asked.iter().zip(asked.iter().skip(1)) {
            assert!(*second - *first >= ROUND / 2, "{asked:?}");
        }
        issuer.says(Some(json!({"active": false})));
        for stream in streams {
            rest(stream);
        }
    }
}

#[test]
fn a_token_that_waits_until_others_are_asked_about_is_not_in_doubt() {
    let (slow, asked) = (Arc::new(AtomicBool::new(false)), Arc::<Mutex<HashSet<String>>>::default());
    let (is_slow, about) = (slow.clone(), asked.clone());
    let server = Scripted::start(move |request, reply| {
        if is_slow.load(Ordering::SeqCst) {
            // Three of these take longer than an issuer may be silent.
            wait::poll(Duration::from_secs(2), &mut || None::<()>);
            about.lock().insert(request.text());
        }
        reply.json(good(&[]).to_string());
    });
    let introspection =
        json!({"url": server.url(), "client_id": "weir", "client_secret": "secret", "cache": "1s"});
    let issuer = json!({"issuer": "http://127.0.0.1", "private": true, "introspection": introspection});
    let auth = json!({"resource": RESOURCE, "issuers": [issuer]});
    let weir = Weir::serve(config(json!({"echo": echo()}), auth.clone()));
    let open = |number| listening(&weir.endpoint().bearing(&format!("opaque-{number}")));
    let streams: Vec<_> = (0..32).map(open).collect();
    slow.store(true, Ordering::SeqCst);
    wait::until_true("all are asked about", || asked.lock().len() == 32);
    slow.store(false, Ordering::SeqCst);
    weir.reconfigure(config(json!({"echo": echo(), "more": echo()}), auth));
    weir.hang_up();
    for mut stream in streams {
        assert_eq!(stream.message()["method"], "notifications/tools/list_changed");
    }
    assert!(!weir.log().contains("what a token opened ends"), "{}", weir.log());
}

#[test]
fn while_an_issuer_is_away_streams_go_on_for_a_round() {
    let issuer = Issuer::saying(good(&[]));
    let weir = Weir::serve(config(json!({"echo": echo()}), issuer.auth()));
    let to = weir.endpoint().bearing("opaque");
    let mut stream = listening(&to);
    issuer.says(None);
    issuer.wait_for(1);
    issuer.says(Some(good(&[])));
    issuer.wait_for(2);
    weir.reconfigure(config(json!({"echo": echo(), "more": echo()}), issuer.auth()));
    weir.hang_up();
    assert_eq!(stream.message()["method"], "notifications/tools/list_changed", "it was back in time");
    issuer.says(None);
    rest(stream);
    assert_eq!(crate::ping().send(&to).status, 503, "and requests are told to wait");
}

#[test]
fn a_stream_ends_when_its_token_says_something_else() {
    let issuer = Issuer::saying(good(&["developers", "readers"]));
    let mut config = config(json!({"echo": echo()}), issuer.auth());
    let policy = r#"permit(principal in Group::"developers", action, resource);"#;
    config["endpoints"]["main"]["policies"]["inline"] = json!(policy);
    let weir = Weir::serve(config.clone());
    let to = weir.endpoint().bearing("opaque");
    let stream = listening(&to);
    // What no policy reads changes nothing.
    issuer.says(Some(good(&["developers", "writers"])));
    issuer.wait_for(3);
    config["endpoints"]["main"]["policies"]["inline"] =
        json!(format!(r#"permit(principal in Group::"writers", action, resource);{policy}"#));
    // Until one does: the stream knows its client as a reader.
    weir.reconfigure(config);
    weir.hang_up();
    rest(stream);
    let stream = listening(&to);
    issuer.says(Some(good(&["writers"])));
    rest(stream);
}

#[test]
fn a_reload_that_makes_something_else_of_a_token_ends_what_it_opened() {
    let provider = Provider::start();
    let claims = |groups: &str| auth(&provider, json!({"claims": {"groups": groups}}));
    let weir = Weir::serve(config(json!({"echo": echo()}), claims("groups")));
    let to = weir.endpoint().bearing(&provider.token("alice", RESOURCE));
    let session = Legacy::new(to.clone());
    let (stream, listening, connection) = (session.listen(), listening(&to), Paired::open(&to));
    weir.reconfigure(config(json!({"echo": echo()}), claims("realm_access.roles")));
    weir.hang_up();
    rest(stream);
    rest(listening);
    connection.stream.for_each(drop);
    let ping = session.within(crate::ping());
    wait::until_true("the session is gone", || ping.send(&to).status == 404);
    assert_eq!(Legacy::new(to).tool_names().len(), 5, "the token is as good as before");
}

#[test]
fn lists_are_announced_by_what_the_newest_token_says() {
    let provider = Provider::start();
    let with = |policies: &str| {
        let mut config =
            config(json!({"one": peers::fixture("guarded.py", &["legacy"])}), auth(&provider, json!({})));
        config["endpoints"]["main"]["conflicts"] = json!("prefix");
        config["endpoints"]["main"]["policies"]["inline"] = json!(policies);
        config
    };
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("it is after 1970").as_secs();
    let token = |name: &str, issued: u64, groups: &[&str]| {
        let claims = json!({
            "iss": provider.issuer(), "aud": RESOURCE, "sub": name, "client_id": "desktop", "groups": groups,
            "iat": issued, "exp": now + 3600,
        });
        provider.sign(json!({"claims": claims}))
    };
    let weir = Weir::serve(with(r#"permit(principal, action, resource == Tool::"one_look");"#));
    let before = weir.endpoint().bearing(&token("alice", now - 10, &["developers"]));
    let after = weir.endpoint().bearing(&token("alice", now, &[]));
    let developer = Modern::new(weir.endpoint().bearing(&token("bob", now, &["developers"])));
    let session = Legacy::new(before.clone());
    let (mut stream, mut connection) = (session.listen(), Paired::new(&before, "2024-11-05"));
    assert_eq!(session.within(crate::ping()).send(&after).status, 200);
    connection.messages = connection.messages.bearing(&token("alice", now, &[]));
    connection.ask("ping", json!({}));
    // It is for developers, who she was.
    let spend = r#"permit(principal, action, resource == Tool::"one_look");
        permit(principal in Group::"developers", action, resource == Tool::"one_spend");"#;
    weir.reconfigure(with(spend));
    weir.hang_up();
    wait::until_true("the policies are taken", || developer.tool_names().len() == 2);
    weir.reconfigure(with(&format!("{spend}permit(principal, action, resource is Prompt);")));
    weir.hang_up();
    let prompts = "notifications/prompts/list_changed";
    assert_eq!(stream.message()["method"], prompts, "the first thing that she hears of");
    assert_eq!(connection.stream.message()["method"], prompts);
}

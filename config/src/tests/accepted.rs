//! Files that are in order, and what they mean.

use super::{read, warnings};
use crate::*;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

fn config(text: &str) -> Config {
    read(text).unwrap_or_else(|errors| panic!("{errors}")).config
}

#[test]
fn a_file_of_one_backend_has_every_default() {
    let config = config("backends:\n  time: {command: mcp-server-time, args: [--local-timezone, UTC]}\n");
    let expected = Config {
        listener: Listener::default(),
        backends: vec![Backend::stdio("time", "mcp-server-time", ["--local-timezone", "UTC"])],
        endpoints: vec![Endpoint::over("default", "/mcp", ["time"])],
        grants: None,
        limits: Limits::default(),
        timeouts: Timeouts::default(),
    };
    assert_eq!(config, expected);
    assert_eq!(config.endpoints[0].conflicts, Conflicts::Prefix("{backend}_".to_owned()));
}

#[test]
fn a_program_may_run_several_times() {
    let config = config("backends: {a: {command: x, session: shared, instances: 3}}");
    let Transport::Stdio(stdio) = &config.backends[0].transport else { panic!("{config:?}") };
    assert_eq!(stdio.instances, 3);
}

#[test]
fn keys_without_a_value_say_nothing() {
    let bare = config("backends: {a: {command: x}}\n");
    let empty =
        "listener:\n  address:\nbackends: {a: {command: x, limits: , env: ~}}\nendpoints:\nlimits: null\n";
    assert_eq!(config(empty), bare);
}

#[test]
fn every_key_reaches_the_model() {
    let folder = tempfile::tempdir().unwrap();
    for file in ["cert.pem", "key.pem", "clients.pem", "ca.pem"] {
        fs::write(folder.path().join(file), "").unwrap();
    }
    fs::write(folder.path().join("token"), "Bearer abc\r\n").unwrap();
    fs::create_dir(folder.path().join("rules")).unwrap();
    for file in ["two.cedar", "one.cedar", "notes.md"] {
        fs::write(folder.path().join("rules").join(file), file).unwrap();
    }
    let file = folder.path().join("weir.yaml");
    fs::write(&file, include_str!("every_key.yaml")).unwrap();
    let inline =
        include_str!("every_key.yaml").lines().position(|line| line.ends_with("inline: |")).unwrap() + 1;
    let source =
        |file: PathBuf, text: &str| PolicySource { file, text: text.to_owned(), ..PolicySource::default() };
    let Loaded { config, warnings, watched } =
        load(&file, &super::Variables).unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(warnings, []);
    let at = |name: &str| folder.path().join(name);
    assert_eq!(
        watched,
        [
            "ca.pem",
            "cert.pem",
            "clients.pem",
            "key.pem",
            "rules",
            "rules/one.cedar",
            "rules/two.cedar",
            "token",
            "weir.yaml",
        ]
        .map(at)
    );

    let seconds = Duration::from_secs;
    assert_eq!(
        config.listener,
        Listener {
            address: "0.0.0.0:9000".parse().unwrap(),
            public_url: Some("https://weir.example.com".parse().unwrap()),
            tls: Some(Tls {
                certificate: at("cert.pem"),
                key: at("key.pem"),
                clients: Some(TlsClients { ca: at("clients.pem"), required: true }),
            }),
            http2: false,
            h2c: false,
            allowed_origins: vec!["https://app.example.com".to_owned()],
            allowed_hosts: vec!["gateway.example.com".to_owned()],
            workers: 2,
        }
    );
    let shared = BackendTimeouts { connect: seconds(1), list: seconds(2), ..BackendTimeouts::default() };
    let time = Backend {
        name: "time".to_owned(),
        transport: Transport::Stdio(StdioBackend {
            command: "mcp-server-time".to_owned(),
            args: vec!["--port".to_owned(), "9000".to_owned(), "1.10".to_owned()],
            env: vec![
                ("Z".to_owned(), Secret::new("0x10".to_owned())),
                ("A".to_owned(), Secret::new("true".to_owned())),
            ],
            cwd: Some(at(".")),
            instances: 1,
        }),
        era: EraSetting::Modern,
        session: SessionScope::Client,
        roots: vec![
            Root { uri: "file:///srv/files".to_owned(), name: None },
            Root { uri: "file:///srv/more".to_owned(), name: Some("More".to_owned()) },
        ],
        limits: BackendLimits { message: 1 << 20, calls: 7, items: 10_000, subscriptions: 10_000 },
        timeouts: BackendTimeouts { connect: seconds(3), stop: Duration::ZERO, ..shared.clone() },
    };
    let github = Backend {
        name: "github".to_owned(),
        transport: Transport::Http(HttpBackend {
            url: "https://example.com/mcp".parse().unwrap(),
            headers: vec![("Authorization".to_owned(), Secret::new("Bearer abc".to_owned()))],
            auth: Credentials::None,
            forward_headers: vec!["x-request-id".to_owned()],
            ca: Some(at("ca.pem")),
            http2: false,
        }),
        era: EraSetting::Legacy,
        session: SessionScope::Shared,
        roots: Vec::new(),
        limits: BackendLimits { message: 1 << 20, calls: 256, items: 5, subscriptions: 6 },
        timeouts: BackendTimeouts { idle: seconds(4), call: seconds(5), refresh: seconds(6), ..shared },
    };
    assert_eq!(config.backends, [time, github]);

    let filter =
        |allow: &str, deny: &str| Filter { allow: vec![allow.to_owned()], deny: vec![deny.to_owned()] };
    let change = Override {
        hide: true,
        name: Some("find_issues".to_owned()),
        title: Some("T".to_owned()),
        description: Some("D".to_owned()),
        ..Override::default()
    };
    let annotations =
        [("readOnlyHint".to_owned(), true.into()), ("x".to_owned(), serde_json::json!({"y": [1, 2.5, "z"]}))];
    let owner = ParameterOverride {
        hide: true,
        value: Some(Concealed("hunter2".into())),
        ..ParameterOverride::default()
    };
    let page = ParameterOverride {
        default: Some(Concealed(1.into())),
        name: Some("sheet".to_owned()),
        description: Some("D".to_owned()),
        ..ParameterOverride::default()
    };
    let parameters = [("owner".to_owned(), owner), ("page".to_owned(), page)].into();
    let tags = vec!["billing".to_owned(), "write".to_owned()];
    let tool = Override { annotations: Some(annotations.into()), tags, parameters, ..change.clone() };
    let q =
        ParameterOverride { hide: true, value: Some(Concealed("1".into())), ..ParameterOverride::default() };
    let r = ParameterOverride {
        default: Some(Concealed("x".into())),
        description: Some("D".to_owned()),
        ..ParameterOverride::default()
    };
    let parameters = [("q".to_owned(), q), ("r".to_owned(), r)].into();
    let change = Override { parameters, ..change };
    let of = |name: &str, change| [("github".to_owned(), [(name.to_owned(), change)].into())].into();
    let policies = Policies {
        sources: vec![
            source(at("rules/one.cedar"), "one.cedar"),
            source(at("rules/two.cedar"), "two.cedar"),
            PolicySource {
                lines_before: inline,
                indented: 8,
                ..source(at("weir.yaml"), "permit(principal, action, resource);\n")
            },
        ],
        shadow: Some(vec![
            source(at("rules/one.cedar"), "one.cedar"),
            PolicySource {
                lines_before: inline + 3,
                indented: 17,
                ..source(at("weir.yaml"), "forbid(principal, action, resource);")
            },
        ]),
        claims: [
            ("tier", ClaimKind::String),
            ("level", ClaimKind::Integer),
            ("on_call", ClaimKind::Boolean),
            ("teams", ClaimKind::Strings),
        ]
        .map(|(name, kind)| (name.to_owned(), kind))
        .into(),
    };
    let main = Endpoint {
        policies: Some(policies),
        auth: super::auth::every_key(&at),
        name: "main".to_owned(),
        path: "/mcp".to_owned(),
        backends: vec!["github".to_owned(), "time".to_owned()],
        conflicts: Conflicts::Prefix("{backend}.{name}".to_owned()),
        tools: filter("time*", "*_delete_*"),
        prompts: filter("p", "q"),
        resources: filter("file://*", "x"),
        tool_overrides: of("search_issues", tool),
        prompt_overrides: of("ask", change),
        resource_order: vec!["time".to_owned(), "github".to_owned()],
        resource_uris: Uris::Prefix,
        icons: Icons::Drop,
        page_size: 10,
        sse: false,
        instructions: Some("Ask.\nThen act.\n".to_owned()),
    };
    let plain = Endpoint {
        conflicts: Conflicts::Manual,
        auth: Auth { insecure: true, ..Auth::default() },
        ..Endpoint::over("plain", "/plain", ["time", "github"])
    };
    assert_eq!(config.endpoints, [main, plain]);
    let key = Secret::new("0123456789abcdef0123456789abcdef".to_owned());
    assert_eq!(config.grants, Some(GrantStore { file: at("grants"), key }));
    assert_eq!(
        config.limits,
        Limits {
            body: 1024,
            headers: 2048,
            depth: 3,
            requests: 4,
            sessions: 5,
            replay: 6,
            replays: 7,
            batch: 8,
            subscriptions: 9,
            rounds: 10,
            parked: 11,
            cache: 12,
            cached: 13
        }
    );
    assert_eq!(
        config.timeouts,
        Timeouts {
            read: seconds(1),
            write: seconds(120),
            connection: seconds(3600),
            session: seconds(4),
            keep_alive: Duration::from_millis(500),
            replay: seconds(5),
            cache: seconds(6),
            start: Duration::ZERO,
            input: Duration::from_secs(6),
            inputs: Duration::from_secs(7),
            drain: Duration::ZERO,
        }
    );
}

#[test]
fn references_take_the_type_that_is_expected() {
    let text = "listener: {address: '127.0.0.1:${PORT}', http2: '${FLAG}', h2c: {env: FLAG}}
backends: {a: {command: 'x${EMPTY}', args: ['${PORT}', '$${PORT}'], env: {P: '${PORT}'}, limits: {calls: '${PORT}'}}}
timeouts:
  read: ${NONE:-7s}
";
    let config = config(text);
    assert_eq!(config.listener.address.port(), 9000);
    assert!(!config.listener.http2 && !config.listener.h2c);
    let mut expected = Backend::stdio("a", "x", ["9000", "${PORT}"]);
    if let Transport::Stdio(transport) = &mut expected.transport {
        transport.env.push(("P".to_owned(), Secret::new("9000".to_owned())));
    }
    expected.limits.calls = 9000;
    assert_eq!(config.backends, [expected]);
    assert_eq!(config.timeouts.read, Duration::from_secs(7));
}

#[test]
fn json_is_read_as_it_is() {
    let text = "\u{feff}{\n\t\"backends\":{\n\t\t\"a\":{\"command\":\"x\",\"args\":[\"\\/\\ud83d\\ude00\\\\ud83d\\u00e9\"]}\n\t}\n}\n";
    assert_eq!(config(text).backends, [Backend::stdio("a", "x", ["/\u{1f600}\\ud83dé"])]);
}

#[test]
fn http2_follows_the_scheme() {
    let config = config(
        "backends: {a: {url: 'https://x/'}, b: {url: 'http://x/'}, c: {url: 'http://x/', http2: true}}\n",
    );
    let http2 =
        |backend: &Backend| matches!(&backend.transport, Transport::Http(transport) if transport.http2);
    assert_eq!(config.backends.iter().map(http2).collect::<Vec<_>>(), [true, false, true]);
    assert_eq!(config.backends[1].session, SessionScope::Client);
}

#[test]
fn odd_things_are_warned_of() {
    let text = "\
backends:
  a: {command: x}
  b: {command: y}
endpoints:
  main: {path: /mcp, backends: [a], tools: {allow: []}}
";
    assert_eq!(
        warnings(text),
        "\
weir.yaml:3:3: no endpoint uses the backend `b`
3 |   b: {command: y}
  |   ^

weir.yaml:5:45: an empty `allow` offers everything
5 |   main: {path: /mcp, backends: [a], tools: {allow: []}}
  |                                             ^
  = help: to offer nothing write `deny: [\"*\"]`; to offer everything leave it out"
    );
}

#[test]
fn a_file_that_cannot_be_read_is_named() {
    let errors = load(Path::new("/nowhere/weir.yaml"), &ProcessEnvironment).unwrap_err();
    assert_eq!(
        errors.to_string(),
        "/nowhere/weir.yaml:1:1: cannot read the configuration: it does not exist"
    );

    let folder = tempfile::tempdir().unwrap();
    let read = |content: &[u8]| {
        let file: PathBuf = folder.path().join("weir.yaml");
        fs::write(&file, content).unwrap();
        load(&file, &ProcessEnvironment).unwrap_err().diagnostics()[0].message.clone()
    };
    assert_eq!(read(&vec![b' '; (1 << 20) + 1]), "cannot read the configuration: it is larger than 1024 KiB");
    assert_eq!(read(b"a: \xff"), "cannot read the configuration: it is not UTF-8 text");
}

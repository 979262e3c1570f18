//! Files that fit the schema and break a rule, and exactly what is said about them.

use super::{backend, check, endpoint, messages, with};

#[test]
fn backends_that_cannot_work_are_refused() {
    check(&[
        (
            (0..1001).fold("backends:\n".to_owned(), |text, index| {
                text + &format!("  b{index}: {{command: x}}\n")
            }),
            &["1:1 backends: 1001 backends are configured, and at most 1000 may be"],
        ),
        ("backends: {}\n".into(), &["1:1 backends: no backend is configured (name at least one MCP server)"]),
        (
            "backends: {'a b': {command: x}}\n".into(),
            &[
                "1:12 backends.a b: `a b` is not a name for a backend (use 1 to 64 letters, digits, `_`, `.` and `-`)",
            ],
        ),
        (
            backend("era: auto"),
            &["1:12 backends.a: a backend needs `command` or `url` \
               (`command` starts a local server, `url` connects to a remote one)"],
        ),
        (
            backend("command: x, url: 'http://x'"),
            &["1:28 backends.a.url: a backend has either `command` or `url`, not both \
               (remove one, or make two backends of it)"],
        ),
        (
            backend("command: '', ca: /dev/null"),
            &[
                "1:25 backends.a.command: expected the name or path of a program",
                "1:29 backends.a.ca: `ca` fits a backend with `url`; this one has `command`",
                "1:33 backends.a.ca: cannot read `/dev/null`: it is not a file",
            ],
        ),
        (
            backend("url: 'http://x', args: [], timeouts: {stop: 1s, idle: 0s}"),
            &[
                "1:33 backends.a.args: `args` fits a backend with `command`; this one has `url`",
                "1:54 backends.a.timeouts.stop: `timeouts.stop` fits a backend with `command`; this one has `url`",
                "1:70 backends.a.timeouts.idle: must be more than 0",
            ],
        ),
        (
            backend(
                "command: x, session: client, instances: 2, roots: [/srv, {uri: 'http://x'}, 'file:///x']",
            ),
            &[
                "1:45 backends.a.instances: `instances` fits `session: shared` alone \
                 (with `session: client` each client session has a process of its own)",
                "1:67 backends.a.roots[0]: not a URI that begins with `file://` \
                 (write a path such as `/srv/files` as `file:///srv/files`)",
                "1:79 backends.a.roots[1].uri: not a URI that begins with `file://` \
                 (write a path such as `/srv/files` as `file:///srv/files`)",
            ],
        ),
        (
            "backends: {a: {command: x, limits: {message: 0}}}\nlimits: {body: 0, replay: 0KiB, cache: 0, cached: 0}\n".to_owned(),
            &[
                "1:46 backends.a.limits.message: must be more than 0",
                "2:16 limits.body: must be more than 0",
                "2:27 limits.replay: must be more than 0",
                "2:51 limits.cached: must be more than 0",
            ],
        ),
        (
            backend("url: 'ftp://x'"),
            &["1:21 backends.a.url: the URL must begin with `http://` or `https://`"],
        ),
        (
            backend("url: example.com"),
            &["1:21 backends.a.url: not a URL (write it in full, such as `https://example.com/mcp`)"],
        ),
        (backend("url: 'http://'"), &["1:21 backends.a.url: not a URL: empty host"]),
        (backend("url: 'http://x/#y'"), &["1:21 backends.a.url: the URL must not hold a fragment (`#…`)"]),
        (
            backend("url: 'https://u:p@x'"),
            &["1:21 backends.a.url: the URL must not hold a user name or password \
               (send them in a header: `headers: {Authorization: {env: NAME}}`)"],
        ),
        (
            backend("url: 'http://x', headers: {a b: c, Host: d, X: 'e\u{e9}', x: f}"),
            &[
                "1:43 backends.a.headers.a b: `a b` is not the name of a header",
                "1:51 backends.a.headers.Host: weir writes the header `Host` itself",
                "1:63 backends.a.headers.X: the header's value must be visible ASCII characters and inner spaces \
                 (look for line ends and blanks around it)",
                "1:69 backends.a.headers.x: `x` is the same header as `X`",
            ],
        ),
        (
            backend("url: 'http://x', headers: {MCP-Param-Region: d}"),
            &["1:43 backends.a.headers.MCP-Param-Region: weir writes the header `MCP-Param-Region` itself"],
        ),
        (
            backend("command: x, cwd: /nowhere, env: {A=B: c}"),
            &[
                "1:33 backends.a.cwd: cannot work in `/nowhere`: it does not exist",
                "1:49 backends.a.env.A=B: `A=B` is not the name of an environment variable",
            ],
        ),
    ]);
}

#[test]
fn listeners_that_cannot_work_are_refused() {
    const ADDRESS: &str =
        "2:21 listener.address: expected an IP address and a port, such as `127.0.0.1:4483`";
    let address = |text: &str| with(&format!("listener: {{address: '{text}'}}"));
    for (text, guess) in [
        ("x", ""),
        ("localhost:80", " (did you mean `127.0.0.1:80`?)"),
        (":80", " (did you mean `0.0.0.0:80`?)"),
        ("::1", " (did you mean `[::1]:4483`?)"),
    ] {
        assert_eq!(messages(&address(text)), [format!("{ADDRESS}{guess}")]);
    }
    const ORIGIN: &str = "expected an origin: scheme, host and port if it is not the default one";
    const HOST: &str = "expected a host name without scheme, port and path, such as `gateway.example.com`";
    check(&[
        (
            with("listener:\n  tls: {certificate: none.pem, key: /}"),
            &[
                "3:22 listener.tls.certificate: cannot read `none.pem`: it does not exist",
                "3:37 listener.tls.key: cannot read `/`: it is not a file",
            ],
        ),
        (
            "listener: {address: '0.0.0.0:1'}\nbackends: {a: {command: x}}".to_owned(),
            &[
                "1:21 listener.address: others than this machine's programs can reach this address, and the endpoint \
               `default` asks nobody who they are (name in its `auth` by which callers show who they are; or, where \
               whoever comes may do everything, `insecure: true`)",
            ],
        ),
        (
            "listener: {public_url: 'https://weir.example.com'}\nbackends: {a: {command: x}}".to_owned(),
            &[
                "1:24 listener.public_url: others than this machine's programs can reach this address, and the endpoint \
               `default` asks nobody who they are (name in its `auth` by which callers show who they are; or, where \
               whoever comes may do everything, `insecure: true`)",
            ],
        ),
        (
            with(
                "listener:\n  allowed_origins: ['*', x.org, 'https://x.org/', 'HTTPS://x:443', 'vscode-webview://a']",
            ),
            &[
                "3:21 listener.allowed_origins[0]: origins hold no `*` (list each origin)",
                &format!(
                    "3:26 listener.allowed_origins[1]: {ORIGIN} (write it like `https://app.example.com`)"
                ),
                &format!("3:33 listener.allowed_origins[2]: {ORIGIN} (browsers send it as `https://x.org`)"),
                &format!("3:51 listener.allowed_origins[3]: {ORIGIN} (browsers send it as `https://x`)"),
            ],
        ),
        (
            with("listener:\n  allowed_hosts: ['*.x.org', 'x.org:80', X.org, '[::1]']"),
            &[
                "3:19 listener.allowed_hosts[0]: host names hold no `*` (list each host)",
                &format!("3:30 listener.allowed_hosts[1]: {HOST}"),
                &format!("3:42 listener.allowed_hosts[2]: {HOST} (it is sent as `x.org`)"),
            ],
        ),
    ]);
}

#[test]
fn endpoints_that_cannot_work_are_refused() {
    check(&[
        (
            with("endpoints: {}"),
            &[
                "2:1 endpoints: no endpoint is configured (name at least one, or leave out `endpoints` for one at `/mcp`)",
            ],
        ),
        (
            with(
                "endpoints: {a/b: {path: mcp}, c: {path: /.well-known/x}, d: {path: /x/}, e: {path: '/x?'}}",
            ),
            &[
                "2:13 endpoints.a/b: `a/b` is not a name for an endpoint (use 1 to 64 letters, digits, `_`, `.` and `-`)",
                "2:25 endpoints.a/b.path: the path must begin with `/` (write it like `/mcp`)",
                "2:41 endpoints.c.path: paths under `/.well-known/` are weir's own",
                "2:68 endpoints.d.path: the path must not hold empty, `.` or `..` segments, nor end with `/`",
                "2:84 endpoints.e.path: the path may hold letters, digits and `-._~!$&'()*+,;=:@/`",
            ],
        ),
        (
            with("endpoints: {m: {path: /x}, n: {path: /x}}"),
            &["2:38 endpoints.n.path: the endpoint `m` has this path already"],
        ),
        (
            with(
                "endpoints: {m: {path: /x}, n: {path: /x/sse}, o: {path: /y, sse: false}, p: {path: /y/messages}}",
            ),
            &[
                "2:38 endpoints.n.path: clients of HTTP+SSE reach the endpoint `m` here (choose another path, or give that endpoint `sse: false`)",
            ],
        ),
        (
            endpoint("backends: []"),
            &["2:30 endpoints.main.backends: the endpoint has no backend \
               (name at least one, or leave out `backends` for all)"],
        ),
        (
            endpoint("backends: [a, a, c], resources: {order: [d]}"),
            &[
                "2:44 endpoints.main.backends[1]: the backend stands in the list already",
                "2:47 endpoints.main.backends[2]: unknown backend `c` (known are `a`, `b`)",
                "2:71 endpoints.main.resources.order[0]: unknown backend `d` (known are `a`)",
            ],
        ),
        (
            endpoint("tools: {allow: ['[a', 'x'], deny: ['{a']}"),
            &[
                "2:46 endpoints.main.tools.allow[0]: not a pattern: unclosed character class; missing ']'",
                "2:65 endpoints.main.tools.deny[0]: not a pattern: unclosed alternate group; missing '}' \
                 (maybe escape '{' with '[{]'?)",
            ],
        ),
        (
            endpoint(
                "backends: [a], tools: {overrides: {a: {t: {name: n}, u: {name: n}, v: {name: 'x y'}}, b: {t: {}}}}",
            ),
            &[
                "2:93 endpoints.main.tools.overrides.a.u.name: `endpoints.main.tools.overrides.a.t.name` sets the same name",
                "2:107 endpoints.main.tools.overrides.a.v.name: a name has 1 to 128 letters, digits, `_`, `.` and `-`",
                "2:116 endpoints.main.tools.overrides.b: the endpoint has no backend `b` (known are `a`)",
            ],
        ),
        (
            endpoint(
                "tools: {overrides: {a: {t: {parameters: {p: {value: 1, default: 2}, q: {hide: true, name: x}, r: {name: n}, s: {name: n}}}}}}",
            ),
            &[
                "2:85 endpoints.main.tools.overrides.a.t.parameters.p.default: `default` fits a parameter that clients \
                 see; `value` takes it from them",
                "2:114 endpoints.main.tools.overrides.a.t.parameters.q.name: `name` fits a parameter that clients see; \
                 `hide` takes it from them",
                "2:148 endpoints.main.tools.overrides.a.t.parameters.s.name: the parameter `r` gets the same name",
            ],
        ),
        (
            endpoint("conflicts: {strategy: none, format: 'x'}"),
            &["2:58 endpoints.main.conflicts.format: `format` fits the strategy `prefix`"],
        ),
        (
            endpoint("conflicts: {format: 'x{name}'}"),
            &["2:50 endpoints.main.conflicts.format: the format must hold `{backend}` \
               (write it like `{backend}_` or `{backend}.{name}`)"],
        ),
    ]);
}

#[test]
fn backends_that_cannot_be_told_apart_are_refused() {
    const MESSAGE: &str = "the backends `a` and `a_b` cannot be told apart: with the format `{backend}_`, a name that \
                           begins with `a_b_` may belong to either (rename one, or set on the endpoint `conflicts: \
                           {strategy: prefix, format: \"{backend}__\"}`)";
    let text = "backends:\n  a: {command: x}\n  a_b: {command: y}\n";
    check(&[
        (text.into(), &[&format!("3:3 backends.a_b: {MESSAGE}")]),
        (format!("{text}endpoints: {{m: {{path: /m}}}}\n"), &[&format!("4:13 endpoints.m: {MESSAGE}")]),
        (
            format!("{text}endpoints: {{m: {{path: /m, backends: [a_b, a]}}}}\n"),
            &[&format!(
                "4:43 endpoints.m.backends[1]: {}",
                MESSAGE.replace("`a` and `a_b`", "`a_b` and `a`")
            )],
        ),
    ]);
    for strategy in ["priority", "manual", "none", "{format: '{backend}__'}", "{format: '{name}_{backend}'}"]
    {
        let text = format!("{text}endpoints: {{m: {{path: /m, conflicts: {strategy}}}}}\n");
        assert!(super::read(&text).is_ok(), "{text}");
    }
}

#[test]
fn policies_that_cannot_be_read_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path().display();
    check(&[(
        endpoint("policies: {files: [/nowhere/a.cedar]}"),
        &["2:49 endpoints.main.policies.files[0]: cannot read `/nowhere/a.cedar`: it does not exist"],
    )]);
    let wrong = messages(&endpoint("policies: {claims: {tier: text}}"));
    assert!(wrong[0].contains("endpoints.main.policies.claims.tier"), "{wrong:?}");
    let text = endpoint(&format!("policies: {{files: [{at}]}}"));
    assert!(super::warnings(&text).contains("there is no file in it whose name ends in `.cedar`"));
    let below = folder.path().join("prod");
    std::fs::create_dir(&below).unwrap();
    assert!(!super::warnings(&text).contains("are not read"));
    std::fs::write(below.join("guards.cedar"), "").unwrap();
    let warnings = super::warnings(&text);
    assert!(warnings.contains(&format!("the policies in `{}` are not read", below.display())), "{warnings}");
    let both = endpoint(&format!("policies: {{files: [{at}, {}]}}", below.display()));
    assert!(!super::warnings(&both).contains("are not read"));
    assert!(super::warnings(&endpoint("policies: {}")).contains("nobody may do anything"));
}

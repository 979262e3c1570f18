//! Files that do not fit the schema, and exactly what is said about them.

use super::{backend, check, endpoint, errors, messages, with};

#[test]
fn a_finding_shows_the_line_and_the_place() {
    let text = "\
backends:
  time:
    comand: mcp-server-time # the clock
    era: modrn
";
    assert_eq!(
        errors(text),
        "\
weir.yaml:3:5: unknown field `comand`, did you mean `command`?
3 |     comand: …
  |     ^

weir.yaml:4:10: `modrn` is not one of `auto`, `modern`, `legacy`, did you mean `modern`?
4 |     era: modrn
  |          ^"
    );
    assert_eq!(
        errors("backends:\n  time: {command: 5, cwd: {env: NOWHERE}}\n"),
        "\
weir.yaml:2:19: expected a string, found a number
2 |   time: {command: 5, cwd: {env: NOWHERE}}
  |                   ^
  = help: put it in quotes

weir.yaml:2:33: the environment variable `NOWHERE` is not set
2 |   time: {command: 5, cwd: {env: NOWHERE}}
  |                                 ^
  = help: set it before weir starts"
    );
}

#[test]
fn a_long_line_is_cut_around_the_place() {
    let long = "x".repeat(500);
    let text = format!("backends: {{a: {{command: {long}, era: now}}}}\n");
    let errors = super::read(&text).unwrap_err();
    let finding = &errors.diagnostics()[0];
    assert!(finding.snippet.chars().count() <= 162, "{}", finding.snippet);
    assert_eq!(finding.snippet.chars().skip(finding.caret - 1).collect::<String>(), "now}}");
}

#[test]
fn what_is_not_yaml_is_refused() {
    check(&[
        (String::new(), &["1:1 : the file is empty"]),
        ("# nothing\n".into(), &["1:1 : the file is empty"]),
        ("x\n".into(), &["1:1 : expected a mapping, found a string"]),
        ("a: b: c\n".into(), &["1:5 : not valid YAML: mapping values are not allowed in this context"]),
        ("a: 1\n---\nb: 2\n".into(), &["2:1 : a second YAML document begins here; a file holds one"]),
        (
            "a: {b: {".into(),
            &["1:9 : not valid YAML: while parsing a node, did not find expected node content"],
        ),
        (
            "backends: {a: {command: x}}\n? ".into(),
            &[
                "2:3 : unknown field `` (known fields are `backends`, `defaults`, `endpoints`, `limits`, `listener`, `oauth`, `timeouts`)",
            ],
        ),
        ("[a]: 1\n".into(), &["1:1 : a key must be a plain name"]),
        (format!("{}1", "- ".repeat(66)), &["1:131 : nested deeper than 64 levels"]),
        (
            "backends: {a: {command: ${X}}}\n".into(),
            &["1:26 : not valid YAML: while parsing a flow mapping, did not find expected ',' or '}' \
               (inside `{…}` and `[…]` write references in quotes: \"${NAME}\")"],
        ),
        (
            "backends:\n  a: &x {command: y}\n  b: *x\n  c: {command: !!str z}\n".into(),
            &[
                "2:6 backends.a: YAML anchors and aliases are not supported \
                 (repeat the value, or use `defaults` for what all backends share)",
                "3:6 backends.b: YAML anchors and aliases are not supported \
                 (repeat the value, or use `defaults` for what all backends share)",
                "3:6 backends.b: expected a mapping, found nothing",
                "4:16 backends.c.command: YAML tags are not supported (remove it; put text in quotes to make it a string)",
            ],
        ),
        (
            "backends:\n  a: {command: x}\n  a: {command: y}\n".into(),
            &["3:3 backends.a: `a` is already set in line 2"],
        ),
    ]);
}

#[test]
fn what_does_not_fit_the_schema_is_refused() {
    check(&[
        (
            "listener: {port: 1}\n".into(),
            &[
                "1:1 : missing field `backends`",
                "1:12 listener.port: unknown field `port` (known fields are \
               `address`, `allowed_hosts`, `allowed_origins`, `h2c`, `http2`, `public_url`, `tls`, `workers`)",
            ],
        ),
        ("backends:\n".into(), &["1:1 : missing field `backends`"]),
        ("backends: []\n".into(), &["1:11 backends: expected a mapping, found a list"]),
        (backend("command: [x]"), &["1:25 backends.a.command: expected a string, found a list"]),
        (backend("command: x, args: y"), &["1:34 backends.a.args: expected a list, found a string"]),
        (
            backend("command: {env: A, file: B}"),
            &["1:25 backends.a.command: expected a string, found a mapping \
               (to refer to a value write `{env: NAME}` or `{file: PATH}`)"],
        ),
        (
            backend("url: 'http://x', http2: 'true', limits: {calls: '5', items: 0}"),
            &[
                "1:40 backends.a.http2: expected `true` or `false`, found a string (write it without quotes)",
                "1:64 backends.a.limits.calls: expected a whole number from 1 to 1000000, found a string (write it without quotes)",
                "1:76 backends.a.limits.items: `0` is not between 1 and 1000000",
            ],
        ),
        (
            with("timeouts: {read: 30, write: 1 day}\nlimits: {body: 4MB, depth: -1}"),
            &[
                "2:18 timeouts.read: expected a duration: a whole number and `ms`, `s`, `m` or `h`, such as `30s`",
                "2:29 timeouts.write: expected a duration: a whole number and `ms`, `s`, `m` or `h`, such as `30s`",
                "3:16 limits.body: expected a size: a whole number of bytes, or one with `KiB`, `MiB` or `GiB`, \
                 such as `4MiB`",
                "3:28 limits.depth: expected a whole number from 1 to 128, found a number",
            ],
        ),
        (
            endpoint("conflicts: prefx, tools: {alow: []}"),
            &[
                "2:41 endpoints.main.conflicts: `prefx` is not one of `prefix`, `priority`, `manual`, `none` \
                 (did you mean `prefix`?)",
                "2:56 endpoints.main.tools.alow: unknown field `alow` (did you mean `allow`?)",
            ],
        ),
        (
            endpoint("conflicts: [prefix]"),
            &[
                "2:41 endpoints.main.conflicts: expected one of `prefix`, `priority`, `manual`, `none`, found a list",
            ],
        ),
        (
            endpoint("prompts: {overrides: {a: {p: {annotations: {}}}}}"),
            &["2:60 endpoints.main.prompts.overrides.a.p.annotations: unknown field `annotations` \
               (known fields are `arguments`, `description`, `hide`, `name`, `tags`, `title`)"],
        ),
    ]);
}

#[test]
fn references_to_nothing_are_refused() {
    check(&[
        (
            "backends:\n  a:\n    command: run-${NONE}-${NOPE}\n    env: {X: {file: missing.txt}}\n".into(),
            &[
                "3:18 backends.a.command: the environment variable `NONE` is not set \
                 (set it, or give a default: `${NONE:-…}`)",
                "3:26 backends.a.command: the environment variable `NOPE` is not set \
                 (set it, or give a default: `${NOPE:-…}`)",
                "4:21 backends.a.env.X.file: cannot read the file `missing.txt`: it does not exist",
            ],
        ),
        (
            with("listener: {workers: \"${TOKEN}\"}"),
            &["2:21 listener.workers: expected a whole number from 1 to 1024, found a string"],
        ),
        (
            backend("command: x, era: '${TOKEN}'"),
            &["1:33 backends.a.era: the value is not one of `auto`, `modern`, `legacy`"],
        ),
        (
            endpoint("backends: ['${TOKEN}']"),
            &["2:41 endpoints.main.backends[0]: unknown backend (known are `a`, `b`)"],
        ),
    ]);
}

#[test]
fn rules_are_judged_beside_what_does_not_fit() {
    let text = "listener: {address: '127.0.0.1:99999'}\nbackends:\n  time: {comand: x}\n  git: {command: x}\n\
                endpoints:\n  main: {path: mcp, backends: [time, gti]}\n";
    let found = messages(text);
    let places: Vec<&str> = found.iter().filter_map(|message| message.split_whitespace().nth(1)).collect();
    let expected =
        ["listener.address:", "backends.time.comand:", "endpoints.main.path:", "endpoints.main.backends[1]:"];
    assert_eq!(places, expected, "{found:#?}");
}

#[test]
fn everything_is_said_at_once() {
    let text = "\
listener: {adress: x}
backends:
  a: {comand: x}
  b: {command: x, era: old, timeouts: {call: 5}}
  c: {command: ${NONE}}
  c: {command: z}
endpoints:
  main: {backends: a}
limits: {body: x}
"
    .replace("${NONE}", "\"${NONE}\"");
    assert_eq!(
        messages(&text).iter().map(|text| text.split(' ').next().unwrap()).collect::<Vec<_>>(),
        ["1:12", "3:7", "4:24", "4:46", "5:16", "6:3", "8:3", "8:20", "9:16"]
    );
    // A list without end helps nobody.
    let many = (0..300).map(|index| format!("x{index}: 1\n")).collect::<String>();
    assert_eq!(messages(&many).len(), 100);
}

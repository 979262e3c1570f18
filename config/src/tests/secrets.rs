//! Values that may be secret stay out of everything that is printed.

use super::{errors, read};

/// The value that must not be seen, in whatever file it stands.
const SECRET: &str = "hunter2";

#[test]
fn no_finding_shows_a_secret() {
    for text in [
        // Beside an error on the same line.
        "backends: {a: {url: 'http://x', headers: {Authorization: hunter2}, comand: x}}",
        "backends: {a: {command: x, env: {T: hunter2, U: \"a b hunter2\"}, comand: x}}",
        "backends: {a: {command: x, args: [--token, hunter2], comand: x}}",
        "backends: {a: {url: 'https://u:hunter2@x/'}}",
        "backends: {a: {url: 'https://x/?key=hunter2', comand: x}}",
        "backends: {a: {url: 'u:hunter2@x'}}",
        // Under a key that was mistyped or has another type.
        "backends: {a: {command: x, enviroment: {T: hunter2}}}",
        "backends: {a: {command: {x: hunter2}}}",
        "secrets: {T: hunter2}",
        "hunter2",
        // In a value that is dropped.
        "backends: {a: {command: x, env: {T: x, T: hunter2}}}",
        "backends:\n  a: {command: x}\n  a: {env: {T: hunter2}}",
        // In a comment.
        "backends: {a: {comand: x}} # was hunter2",
        "backends:\n  a:\n    command: x\n    era: \"modrn\" # was hunter2\n",
        "backends:\n  a:\n    command: x\n    era: 'it''s'   # was hunter2\n",
        // Over several lines.
        "backends:\n  a:\n    command: x\n    env:\n      T: |\n        hunter2\n      U: [\n        hunter2, 5]\n",
        // In a file that is not YAML.
        "backends: {a: {command: x, env: {T: hunter2",
        "backends:\n  a:\n    env:\n      T: hunter2: x\n",
        "backends:\n  a:\n    env:\n      T: \"a\n  hunter2\"\n  b\n: c: d\n",
        "mcpServers: {a: {command: x, env: {T: hunter2}, disabled: true}, b: {type: sse}}",
        // Through a reference.
        "backends: {a: {command: x, era: '${TOKEN}'}}",
        "backends: {a: {command: x, http2: '${TOKEN}', limits: {calls: {env: TOKEN}}}}",
        "backends: {a: {command: x, timeouts: {call: '${TOKEN}'}, limits: {message: '${TOKEN}'}}}",
        "backends: {a: {url: '${TOKEN}'}}",
        "backends: {a: {url: 'http://x', headers: {host: '${TOKEN}', X: ' ${TOKEN}'}}}",
        "backends: {a: {command: x}}\nlistener: {address: '${TOKEN}', allowed_hosts: ['${TOKEN}:1'], allowed_origins: ['${TOKEN}']}",
        "backends: {a: {command: x}}\nendpoints: {m: {path: '${TOKEN}', backends: ['${TOKEN}']}}",
        "backends: {a: {command: x}}\nendpoints: {m: {path: /m, conflicts: {format: '${TOKEN}'}}}",
        "backends: {a: {command: x}}\nendpoints: {m: {path: /m, tools: {overrides: {a: {t: {parameters: {p: {value: hunter2, default: hunter2}}}}}}}}",
        "backends: {a: {command: x}}\nendpoints: {m: {path: /m, tools: {overrides: {a: {t: {parameters: {p: {value: [hunter2], nam: x}}}}}}}}",
        "backends: {a: {command: x}}\nendpoints: {m: {path: /m, auth: {issuers: [{issuer: 'https://a', introspection: {client_id: a, client_secret: hunter2, x: y}}]}}}",
        "backends: {a: {command: x}}\nendpoints: {m: {path: /m, auth: {resource: '${TOKEN}', issuers: [{issuer: '${TOKEN}', jwks: 'http://u:${TOKEN}@x'}], api_keys: [{name: a, sha256: '${TOKEN}', expires: '${TOKEN}'}]}}}",
        // A key in the place of its digest.
        "backends: {a: {command: x}}\nendpoints: {m: {path: /m, auth: {api_keys: [{name: a, sha256: hunter2}]}}}",
        "backends: {a: {command: x}}\nendpoints: {m: {path: /m, tools: {allow: ['[${TOKEN}'], overrides: {a: {t: {name: '${TOKEN} '}}}}}}",
    ] {
        let errors = errors(text);
        assert!(!errors.contains(SECRET), "in\n{text}\n{errors}");
    }
}

#[test]
fn debug_shows_no_secret() {
    let text = "backends: {a: {command: x, env: {T: hunter2}}, b: {url: 'http://x', headers: {T: '${TOKEN}'}}}\n\
         endpoints: {m: {path: /m, tools: {overrides: {a: {t: {parameters: {p: {value: hunter2}}}}}}, \
         auth: {issuers: [{issuer: 'https://a', introspection: {client_id: a, client_secret: hunter2}}]}}}";
    let shown = format!("{:?}", read(text).unwrap());
    assert!(shown.contains("Secret(…)") && !shown.contains(SECRET), "{shown}");
}

#[test]
fn lines_are_counted_as_yaml_does() {
    let found = errors("# one\rbackends:\n  a:\n    comand: x\n    env: {K: hunter2}\r    era: odd\n");
    assert!(found.contains("4 |     comand: …\n") && found.contains("6 |     era: odd\n"), "{found}");
    assert!(!found.contains("hunter2"), "{found}");
}

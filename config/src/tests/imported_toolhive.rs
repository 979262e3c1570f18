//! ToolHive's configurations, imported.

use super::imported_clients::{body, import, remarks};
use crate::{Conflicts, Origin, parse};
use std::path::Path;

/// A configuration with something of everything.
pub(super) const VMCP: &str = r#"name: engineering
groupRef: engineering-team
incomingAuth:
  type: oidc
  oidc: {issuer: "https://id.example.com", clientId: vmcp, clientSecretEnv: VMCP_SECRET, audience: vmcp}
  authz:
    type: cedar
    policies:
      - permit(principal, action == Action::"call_tool", resource);
outgoingAuth:
  source: inline
  default: {type: unauthenticated}
  backends:
    github:
      type: header_injection
      headerInjection: {headerName: Authorization, headerValueEnv: GITHUB_AUTH}
    wiki:
      type: header_injection
      headerInjection: {headerName: X-Api-Key, headerValue: s3cr3t}
    jira:
      type: token_exchange
      tokenExchange: {tokenUrl: "https://id.example.com/token", audience: jira}
backends:
  - name: github
    url: http://github.internal:8080/mcp
    transport: streamable-http
    metadata: {team: dev}
  - name: jira
    url: http://jira.internal:8080/sse
    transport: sse
    caBundlePath: /no/such/ca.pem
  - name: wiki
    url: http://wiki.internal:8080/mcp
    transport: streamable-http
    type: entry
aggregation:
  conflictResolution: prefix
  conflictResolutionConfig:
    prefixFormat: "{workload}."
  tools:
    - workload: github
      filter: [create_pr, merge_pr, list_*]
      overrides:
        open_pr:
          name: create_pr
          description: "Opens a ${KIND} of change"
          annotations: {title: Create, destructiveHint: false}
    - workload: jira
      excludeAll: true
    - workload: jria
      filter: [x]
operational:
  logLevel: debug
  timeouts:
    default: 30s
    perWorkload: {github: 1m30s}
  failureHandling: {partialFailureMode: best_effort}
compositeTools:
  - {name: deploy, description: Deploys, steps: []}
compositeToolRefs: [{name: other}]
optimizer: {maxToolsToReturn: 5}
codeMode: {enabled: true}
telemetry: {endpoint: "https://otel.example.com"}
audit: {enabled: true}
sessionStorage: {provider: redis, address: "redis:6379"}
rateLimiting: {shared: {maxTokens: 10, refillPeriod: 1m}}
passthroughHeaders: [X-Request-Id]
metadata: {owner: ada}
"#;

#[test]
fn a_vmcp_configuration() {
    let imported = import("vmcp.yaml", VMCP);
    assert_eq!(imported.origin, Origin::ToolHive);
    assert!(!imported.text.contains("s3cr3t"));
    assert_eq!(
        body(&imported),
        r#"defaults:
  timeouts:
    call: 30s

backends:
  # team: dev
  github:
    url: http://github.internal:8080/mcp
    headers:
      Authorization: ${GITHUB_AUTH}
    timeouts:
      call: 90s
  # ca: /no/such/ca.pem (left out: it is not there)
  jira:
    url: http://jira.internal:8080/sse
  wiki:
    url: http://wiki.internal:8080/mcp
    headers:
      X-Api-Key: ${WIKI_X_API_KEY}

endpoints:
  engineering:
    path: /mcp
    conflicts:
      strategy: prefix
      format: "{backend}."
    tools:
      allow:
        - github.create_pr
        - github.merge_pr
        - "github.list_[*]"
        - "wiki.*"
      deny:
        - "jira.*"
      overrides:
        github:
          open_pr:
            name: github.create_pr
            description: Opens a $${KIND} of change
            annotations:
              title: Create
              destructiveHint: false
"#
    );
    let first_words: Vec<String> = remarks(&imported)
        .into_iter()
        .map(|remark| remark.split(": ").take(2).collect::<Vec<_>>().join(": "))
        .collect();
    assert_eq!(
        first_words,
        [
            "3:1: `incomingAuth` was left out",
            "6:3: the authorization policies were left out",
            "19:48: the value looks like a secret and was not copied",
            "20:5: the outgoing authentication `token_exchange` (that of `jira`) was left out",
            "31:5: this was left out",
            "50:7: no backend is called `jria`",
            "53:3: `logLevel` was left out",
            "57:3: `failureHandling` was left out",
            "58:1: `compositeTools` was left out",
            "60:1: `compositeToolRefs` was left out",
            "61:1: `optimizer` was left out",
            "62:1: `codeMode` was left out",
            "63:1: `telemetry` was left out",
            "64:1: `audit` was left out",
            "65:1: `sessionStorage` was left out",
            "66:1: `rateLimiting` was left out",
            "67:1: `passthroughHeaders` was left out",
            "68:1: `metadata` was left out",
        ]
    );
}

#[test]
fn priorities_and_choices_without_prefixes() {
    let text = |tools: &str| {
        format!(
            "backends: [{{name: a, url: 'http://a'}}, {{name: b, url: 'http://b'}}, {{name: c, url: 'http://c'}}]\n\
             aggregation:\n  conflictResolution: priority\n  conflictResolutionConfig: {{priorityOrder: [c, a]}}\n{tools}"
        )
    };
    let endpoint = |tools: &str| {
        let imported = import("vmcp.yaml", &text(tools));
        let body = body(&imported);
        let at = body.find("endpoints:").unwrap();
        (body[at..].to_owned(), remarks(&imported))
    };
    let head = "endpoints:\n  vmcp:\n    path: /mcp\n    backends:\n      - c\n      - a\n";
    let whole = format!("{head}      - b\n    conflicts: priority\n");
    assert_eq!(endpoint(""), (whole.clone(), Vec::new()));

    // A name that one backend is to show must not show that of another.
    let chosen =
        "  tools: [{workload: a, filter: [x]}, {workload: b, filter: [y]}, {workload: c, filter: [x, y]}]\n";
    let expected = format!(
        "{whole}    tools:\n      allow:\n        - x\n        - \"y\"\n      overrides:\n        \
         a:\n          \"y\":\n            hide: true\n        b:\n          x:\n            hide: true\n"
    );
    assert_eq!(endpoint(chosen), (expected, Vec::new()));

    // What cannot be told apart by names is hidden, not shown.
    let (written, said) = endpoint("  tools: [{workload: a, filter: [x]}]\n");
    assert_eq!(written, format!("{whole}    tools:\n      allow:\n        - x\n"));
    assert!(said[0].contains("tools were chosen of some backends only"), "{said:?}");

    let (written, said) = endpoint("  tools: [{workload: b, excludeAll: true}]\n");
    assert_eq!(written, format!("{head}    conflicts: priority\n"));
    assert!(said[0].contains("no tool of `b` is to be shown"), "{said:?}");

    let (written, _) = endpoint("  excludeAllTools: true\n");
    assert_eq!(written, format!("{whole}    tools:\n      deny:\n        - \"*\"\n"));
}

#[test]
fn workloads_without_addresses_become_variables() {
    // The older spelling of the keys.
    let imported = import(
        "vmcp.yaml",
        "name: team\ngroup: eng\nincoming_auth: {type: anonymous}\naggregation:\n  conflict_resolution: manual\n  \
         tools:\n    - {workload: github, overrides: {create_pr: {name: gh_create_pr}}}\n    - {workload: jira}\n",
    );
    assert_eq!(
        body(&imported),
        r#"backends:
  # The file that was imported did not hold its address.
  github:
    url: ${GITHUB_URL}
  # The file that was imported did not hold its address.
  jira:
    url: ${JIRA_URL}

endpoints:
  team:
    path: /mcp
    conflicts: manual
    tools:
      overrides:
        github:
          create_pr:
            name: gh_create_pr
"#
    );
    assert_eq!(
        remarks(&imported),
        ["1:1: the addresses of `github`, `jira` are not in the file: ToolHive finds them by their group"]
    );
}

#[test]
fn formats_that_weir_cannot_write() {
    // The last two would not tell `a` and `a_b` apart.
    for format in ["team-", "{workload}_", "{workload}"] {
        let text = format!(
            "backends: [{{name: a, url: 'http://a'}}, {{name: a_b, url: 'http://b'}}]\n\
             aggregation: {{conflictResolutionConfig: {{prefixFormat: \"{format}\"}}}}\n"
        );
        let imported = import("vmcp.yaml", &text);
        let loaded = parse(&imported.text, Path::new("weir.yaml"), &|_: &str| None).unwrap();
        let expected = Conflicts::Prefix("{backend}__".to_owned());
        assert_eq!(loaded.config.endpoints[0].conflicts, expected, "{format}");
        assert!(remarks(&imported).iter().all(|remark| remark.starts_with("2:")), "{:?}", remarks(&imported));
        assert!(!imported.remarks.is_empty());
    }
}

#[test]
fn kubernetes_manifests() {
    let imported = import(
        "manifests.yaml",
        r#"apiVersion: toolhive.stacklok.dev/v1alpha1
kind: MCPGroup
metadata: {name: team}
---
apiVersion: toolhive.stacklok.dev/v1alpha1
kind: MCPServer
metadata: {name: fetch, namespace: tools}
spec:
  groupRef: {name: team}
  image: ghcr.io/stackloklabs/gofetch/server
  transport: streamable-http
  proxyPort: 9090
---
apiVersion: toolhive.stacklok.dev/v1beta1
kind: MCPServerEntry
metadata: {name: docs}
spec:
  groupRef: {name: team}
  remoteUrl: https://docs.example.com/mcp
  transport: streamable-http
  headerForward:
    addPlaintextHeaders: {X-Team: core}
    addHeadersFromSecret:
      - {headerName: Authorization, valueSecretRef: {name: docs-token, key: token}}
---
apiVersion: toolhive.stacklok.dev/v1alpha1
kind: VirtualMCPServer
metadata: {name: main}
spec:
  config:
    groupRef: team
    aggregation: {conflictResolution: priority, conflictResolutionConfig: {priorityOrder: [docs]}}
  incomingAuth: {type: anonymous}
  outgoingAuth: {source: discovered}
  serviceType: ClusterIP
"#,
    );
    assert_eq!(
        body(&imported),
        r#"backends:
  # the image ghcr.io/stackloklabs/gofetch/server, at its proxy in the cluster
  fetch:
    url: http://mcp-fetch-proxy.tools.svc.cluster.local:9090/mcp
  docs:
    url: https://docs.example.com/mcp
    headers:
      X-Team: core
      Authorization: ${DOCS_AUTHORIZATION}

endpoints:
  main:
    path: /mcp
    backends:
      - docs
      - fetch
    conflicts: priority
"#
    );
    assert_eq!(
        remarks(&imported),
        [
            "6:1: the server `fetch` runs in a cluster: its address there was written",
            "24:9: the header `Authorization` comes from a secret of the cluster: it became `${DOCS_AUTHORIZATION}`",
            "35:3: `serviceType` was left out: it is about Kubernetes, not about the server",
        ]
    );
}

#[test]
fn where_no_tool_is_to_be_shown_none_is() {
    for aggregation in [
        "{conflictResolution: manual, tools: [{workload: a, excludeAll: true}, {workload: b, excludeAll: true}]}",
        "{conflictResolution: priority, defaultToolVisibility: deny}",
        "{conflictResolution: manual, tools: [{workload: a, filter: [null]}]}",
        "{tools: [{workload: a, filter: [null]}, {workload: b, excludeAll: true}]}",
    ] {
        let text = format!(
            "backends: [{{name: a, url: 'http://a'}}, {{name: b, url: 'http://b'}}]\naggregation: {aggregation}\n"
        );
        let imported = import("vmcp.yaml", &text);
        assert!(imported.text.contains("    tools:\n      deny:\n        - \"*\"\n"), "{}", imported.text);
        let said = remarks(&imported).into_iter().filter(|remark| remark.contains("denies all of them"));
        assert_eq!(said.count(), 1, "{aggregation}");
    }
}

#[test]
fn workloads_are_known_by_the_name_that_they_were_given() {
    let imported = import(
        "vmcp.yaml",
        r#"outgoingAuth:
  backends:
    my files: {type: header_injection, headerInjection: {headerName: X-Key, headerValueEnv: FILES_KEY}}
backends:
  - {name: my files, url: "http://files"}
  - {name: b, url: "http://b"}
aggregation:
  conflictResolution: priority
  conflictResolutionConfig: {priorityOrder: [b, my files]}
  tools: [{workload: my files, filter: [read]}, {workload: b, filter: [list]}]
operational: {timeouts: {perWorkload: {my files: 5s}}}
"#,
    );
    assert_eq!(
        body(&imported),
        r#"backends:
  my-files:
    url: http://files
    headers:
      X-Key: ${FILES_KEY}
    timeouts:
      call: 5s
  b:
    url: http://b

endpoints:
  vmcp:
    path: /mcp
    backends:
      - b
      - my-files
    conflicts: priority
    tools:
      allow:
        - list
        - read
      overrides:
        b:
          read:
            hide: true
        my-files:
          list:
            hide: true
"#
    );
    assert_eq!(remarks(&imported), [""; 0]);
}

#[test]
fn backends_of_one_name_are_told_apart() {
    let server = |name: &str, url: &str| {
        format!(
            "apiVersion: toolhive.stacklok.dev/v1alpha1\nkind: VirtualMCPServer\nmetadata: {{name: {name}}}\n\
             spec: {{config: {{backends: [{{name: a, url: '{url}'}}], \
             aggregation: {{tools: [{{workload: a, filter: [x]}}]}}}}}}\n"
        )
    };
    let text =
        [server("one", "http://a"), server("two", "http://b"), server("three", "http://a")].join("---\n");
    let imported = import("manifests.yaml", &text);
    let loaded = parse(&imported.text, Path::new("weir.yaml"), &|_: &str| None).unwrap();
    let backends = |at: usize| loaded.config.endpoints[at].backends.clone();
    assert_eq!([backends(0), backends(1), backends(2)], [["a"], ["a-2"], ["a"]]);
    assert!(imported.text.contains("  a-2:\n    url: http://b\n"), "{}", imported.text);
    assert!(imported.text.contains("- a-2_x\n"), "{}", imported.text);
    assert_eq!(remarks(&imported), ["9:28: there is another backend `a`: this one is called `a-2` now"]);
}

#[test]
fn a_choice_for_two_workloads_of_one_name_holds_for_both() {
    let server = |namespace: &str| {
        format!(
            "apiVersion: toolhive.stacklok.dev/v1alpha1\nkind: MCPServer\n\
             metadata: {{name: a, namespace: {namespace}}}\nspec: {{image: x}}\n---\n"
        )
    };
    let text = server("one") + &server("two") + "aggregation: {tools: [{workload: a, filter: [x]}]}\n";
    let imported = import("manifests.yaml", &text);
    let expected = "    tools:\n      allow:\n        - a_x\n        - a-2_x\n";
    assert!(imported.text.ends_with(expected), "{}", imported.text);
}

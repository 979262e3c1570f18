//! ToolHive's resources in Kubernetes manifests, and its plain configuration beside them.

use super::clients::content;
use super::draft::Draft;
use super::inputs::Inputs;
use super::notes::{Notes, upper};
use super::part::Part;
use super::server::Reader;
use super::toolhive::Gateway;
use super::workloads::{self, Workloads};
use crate::check::as_name;
use crate::report::quote;

/// The port of a workload's proxy where none is named.
const PROXY_PORT: &str = "8080";

/// The virtual servers of all documents; their workloads are added to `workloads`.
pub(super) fn read<'t>(roots: &[Part<'t>], workloads: &mut Workloads, notes: &mut Notes) -> Vec<Gateway<'t>> {
    let mut gateways = Vec::new();
    for root in roots {
        let Some(kind) = root.get("kind").filter(|_| root.get("apiVersion").is_some()) else {
            if !root.named().is_empty() {
                let name = root.get("name").and_then(|name| name.text()).unwrap_or("vmcp");
                let config = Some(root.clone());
                gateways.push(Gateway { name: name.to_owned(), config, spec: None, place: root.clone() });
            }
            continue;
        };
        let metadata = |key: &str| root.find(&["metadata", key]).and_then(|part| part.text());
        let name = as_name(metadata("name").unwrap_or("server"));
        let namespace = metadata("namespace").unwrap_or("default");
        let spec = root.get("spec").unwrap_or_else(|| root.clone());
        match kind.text().unwrap_or_default() {
            "VirtualMCPServer" => {
                let (config, place) = (spec.get("config"), kind.clone());
                gateways.push(Gateway { name, config, spec: Some(spec), place });
            }
            "MCPServer" => {
                let backend = inside(&name, namespace, &kind, &spec, notes);
                workloads.add(&name, group(&spec), content(root), backend, notes);
            }
            "MCPRemoteProxy" | "MCPServerEntry" => remote(&name, root, &kind, &spec, workloads, notes),
            "MCPGroup" => {}
            other => {
                let message = format!("the resource {} ({}) was left out", quote(&name), quote(other));
                notes.remark(&kind, message, "weir takes virtual servers and workloads from manifests");
            }
        }
    }
    gateways
}

/// The group of a workload: its name, or a reference to it.
fn group<'t>(spec: &Part<'t>) -> Option<&'t str> {
    let group = spec.get("groupRef")?;
    group.get("name").and_then(|name| name.text()).or_else(|| group.text())
}

/// A workload that runs in the cluster, at the address of its proxy there.
fn inside(name: &str, namespace: &str, kind: &Part<'_>, spec: &Part<'_>, notes: &mut Notes) -> Draft {
    let text = |key: &str| spec.get(key).and_then(|part| part.text());
    let port = text("proxyPort").or_else(|| text("port")).unwrap_or(PROXY_PORT);
    let mode = spec.get("proxyMode").or_else(|| spec.get("transport"));
    let old = mode.as_ref().is_some_and(|mode| mode.text() == Some("sse"));
    let path = if old { "/sse" } else { "/mcp" };
    let address = format!("http://mcp-{name}-proxy.{namespace}.svc.cluster.local:{port}{path}");
    let mut backend = Draft::table().from(kind);
    if let Some(image) = text("image") {
        backend.comment(format!("the image {image}, at its proxy in the cluster"));
    }
    backend.set("url", Draft::literal(&address).from(kind));
    notes.remark(
        kind,
        format!("the server {} runs in a cluster: its address there was written", quote(name)),
        "run weir in the cluster, or write the address under which the server is reached from outside",
    );
    backend
}

/// A workload somewhere else, at its own address.
fn remote(
    name: &str,
    root: &Part<'_>,
    kind: &Part<'_>,
    spec: &Part<'_>,
    workloads: &mut Workloads,
    notes: &mut Notes,
) {
    let Some(url) = spec.get("remoteUrl").or_else(|| spec.get("remoteURL")) else {
        notes.remark(
            kind,
            format!("the server {} has no address, and was left out", quote(name)),
            "write `remoteUrl`",
        );
        return;
    };
    let mut backend = workloads::at(name, &url, kind, notes);
    let forward = spec.get("headerForward");
    let plain = forward.as_ref().and_then(|forward| forward.get("addPlaintextHeaders"));
    for (header, part) in plain.iter().flat_map(Part::named) {
        let value = Reader { notes, inputs: Inputs::default() }.header(name, header, &part);
        backend.set_in(&["headers", header], Draft::text(value).from(&part));
    }
    let secret = forward.as_ref().and_then(|forward| forward.get("addHeadersFromSecret"));
    for part in secret.iter().flat_map(Part::items) {
        let Some(header) = part.get("headerName").and_then(|header| header.text()) else { continue };
        let variable = format!("{}_{}", upper(name), upper(header));
        let of =
            |key: &str| part.find(&["valueSecretRef", key]).and_then(|part| part.text()).unwrap_or_default();
        let purpose = format!("the key {} of the secret {}", quote(of("key")), quote(of("name")));
        notes.refer(&variable, &purpose, false);
        notes.remark(
            &part,
            format!(
                "the header {} comes from a secret of the cluster: it became `${{{variable}}}`",
                quote(header)
            ),
            format!("set the environment variable {} from that secret", quote(&variable)),
        );
        backend.set_in(&["headers", header], Draft::text(format!("${{{variable}}}")).from(&part));
    }
    for key in ["caBundleRef", "externalAuthConfigRef", "toolConfigRef"] {
        if let Some(part) = spec.get(key) {
            let message = format!("{} was left out: what it refers to is another resource", quote(key));
            notes.remark(
                &part,
                message,
                "write what it says into the backend: `ca`, `headers`, or `tools` of the endpoint",
            );
        }
    }
    workloads.add(name, group(spec), content(root), backend, notes);
}

//! The servers of an MCP client.

use super::draft::Draft;
use super::endpoint::{Choice, Selection};
use super::inputs::Inputs;
use super::notes::Notes;
use super::part::Part;
use super::server::Reader;
use crate::check::{Format, as_name};
use crate::model::{Conflicts, Endpoint};
use crate::report::quote;
use std::collections::HashMap;

/// The servers at one place of a file.
pub(super) struct Section<'t> {
    /// The project that they belong to.
    project: Option<&'t str>,
    servers: Part<'t>,
    inputs: Option<Part<'t>>,
}

/// Where a file may hold servers: at its root, under VS Code's `mcp`, and for each project of Claude Code.
pub(super) fn sections<'t>(root: &Part<'t>) -> Vec<Section<'t>> {
    let ways: [&[&str]; 5] =
        [&["mcpServers"], &["servers"], &["mcp", "servers"], &["mcp.servers"], &["mcp", "mcpServers"]];
    let mut sections = Vec::new();
    for way in ways {
        if let Some(servers) = root.find(way).filter(|servers| !servers.named().is_empty()) {
            let inputs = match way {
                ["mcp", _] => root.find(&["mcp", "inputs"]),
                _ => root.get("inputs"),
            };
            sections.push(Section { project: None, servers, inputs });
        }
    }
    for (project, part) in root.get("projects").iter().flat_map(Part::named) {
        if let Some(servers) = part.get("mcpServers").filter(|servers| !servers.named().is_empty()) {
            sections.push(Section { project: Some(project), servers, inputs: None });
        }
    }
    sections
}

/// The file's servers as weir's configuration; `None` where it names none.
pub(super) fn read(root: &Part<'_>, notes: &mut Notes) -> Option<Draft> {
    let mut backends = Draft::table();
    let mut selection = Selection::default();
    let mut taken: HashMap<String, String> = HashMap::new();
    for Section { project, servers, inputs } in sections(root) {
        let mut reader = Reader { inputs: Inputs::read(inputs), notes };
        for (written, server) in servers.named() {
            let off = server.get("disabled").is_some_and(|part| part.is_true())
                || server.get("enabled").is_some_and(|part| part.is_false());
            if off {
                let message = format!("the server {} is disabled, and was left out", quote(written));
                reader.notes.remark(
                    &server,
                    message,
                    "enable it and import the file again, if it is to be served",
                );
                continue;
            }
            let Some(name) = name(written, &server, project, &mut taken, reader.notes) else { continue };
            if let Some(mut backend) = reader.server(&name, &server) {
                if let Some(project) = project {
                    backend.comments.insert(0, format!("of the project {project}"));
                }
                backends.set(&name, backend);
                selection.of.push((name, choice(&server)));
            }
        }
    }
    let names = backends.keys();
    let first = names.first()?.clone();
    let clash = Format::parse(Conflicts::FORMAT).is_ok_and(|format| format.clash(&names).is_some());
    let other = clash.then(|| Format::unambiguous(&names)).flatten();
    selection.format = Some(other.unwrap_or(Conflicts::FORMAT).to_owned());
    let tools = selection.tools(notes);

    let mut file = Draft::table();
    let spot = backends.get(&first).and_then(|backend| backend.spot.clone());
    file.set("backends", backends);
    if other.is_some() || tools.is_some() {
        let mut endpoint = Draft::table();
        endpoint.spot = spot;
        endpoint.set("path", Draft::literal(Endpoint::PATH));
        if let Some(format) = other {
            let mut conflicts = Draft::table();
            conflicts.comment("With the default format the names of two backends could not be told apart.");
            conflicts.set("strategy", Draft::literal("prefix"));
            conflicts.set("format", Draft::literal(format));
            endpoint.set("conflicts", conflicts);
        }
        tools.into_iter().for_each(|tools| endpoint.set("tools", tools));
        file.set_in(&["endpoints", Endpoint::NAME], endpoint);
    }
    Some(file)
}

/// The backend's name; `None` where the same server is there already. `taken` holds what each name stands for.
fn name(
    written: &str,
    server: &Part<'_>,
    project: Option<&str>,
    taken: &mut HashMap<String, String>,
    notes: &mut Notes,
) -> Option<String> {
    let wanted = match as_name(written) {
        empty if empty.is_empty() => "server".to_owned(),
        name => name,
    };
    let content = format!("{written}\n{}", content(server));
    let mut name = wanted.clone();
    let mut number = 1;
    while let Some(earlier) = taken.get(&name) {
        // Projects often repeat what other projects have.
        if *earlier == content {
            return None;
        }
        number += 1;
        name = as_name(&format!("{}-{number}", wanted.chars().take(60).collect::<String>()));
    }
    if name != written {
        let whose = project.map(|project| format!(" of the project {}", quote(project))).unwrap_or_default();
        let message = format!("the server {}{whose} is called {} now", quote(written), quote(&name));
        notes.remark(
            server,
            message,
            "a backend has a name of its own, of letters, digits, `_`, `.` and `-`",
        );
    }
    taken.insert(name.clone(), content);
    Some(name)
}

/// Everything that a server says, as one text to compare.
pub(super) fn content(part: &Part<'_>) -> String {
    let items = part.items().iter().map(content).collect::<Vec<_>>();
    let entries =
        part.named().iter().map(|(key, part)| format!("{key:?}:{}", content(part))).collect::<Vec<_>>();
    format!("{:?}{items:?}{entries:?}", part.text())
}

/// Which tools the client takes of a server.
fn choice(server: &Part<'_>) -> Choice {
    let mut choice = Choice::default();
    if let Some(only) = server.get("includeTools").filter(|only| !only.is_empty()) {
        choice.only = Some(only.texts().into_iter().map(str::to_owned).collect());
        choice.spot = Some((&only).into());
    }
    for key in ["excludeTools", "disabledTools"] {
        for tool in server.get(key).iter().flat_map(Part::one_or_more) {
            if let Some(name) = tool.text() {
                let mut hidden = Draft::table().from(&tool);
                hidden.set("hide", Draft::bare(true));
                choice.overrides.push((name.to_owned(), hidden));
            }
        }
    }
    choice
}

//! Every client speaks to every server: each kind of client, over each kind of backend, for each thing that MCP can do. What
//! comes of it is written down in `docs/compatibility.md`.

mod asking;
mod behaviours;
mod page;
mod parties;
mod verdict;

use behaviours::{BEHAVIOURS, Behaviour, Cell};
use parking_lot::{Mutex, RwLock};
use parties::{CLIENTS, COLUMNS, Client, Column, MIXED, Site, Transport, until_listed};
use serde_json::{Value, json};
use std::thread::scope;
use verdict::{Verdict, expected};
use weir_tests::{Capable, Weir};

/// One gateway starts after the other: all of their servers at once would take so long that some are thought to be silent.
static STARTING: Mutex<()> = Mutex::new(());

/// Complaints of all trials.
type Complaints = Mutex<Vec<String>>;

#[test]
fn every_client_speaks_to_every_server() {
    let complaints = Complaints::default();
    scope(|threads| {
        for column in &COLUMNS {
            threads.spawn(|| {
                with_clients(column, Client::capabilities, |client, capable, quiet| {
                    try_all(client, capable, column, quiet, &complaints);
                })
            });
        }
    });
    none(complaints);
    page::check();
}

#[test]
fn a_client_is_asked_for_nothing_that_it_did_not_declare() {
    let complaints = Complaints::default();
    with_clients(
        &MIXED,
        |_| json!({}),
        |client, capable, _| {
            for backend in MIXED.backends {
                for kind in ["form", "url", "sample", "roots"] {
                    let cell = Cell::new(client, backend);
                    let done = match (backend.era, kind) {
                        ("legacy", "roots") => asking::no_roots(capable, &cell),
                        _ => asking::refused(capable, &cell, kind),
                    };
                    complain(&complaints, &cell, kind, done);
                }
            }
        },
    );
    none(complaints);
}

#[test]
fn a_call_is_cancelled_while_its_client_is_asked() {
    let complaints = Complaints::default();
    with_clients(&MIXED, Client::capabilities, |client, capable, _| {
        // A modern client is asked by an answer; there is no call to be cancelled then.
        if client.is_modern() {
            return;
        }
        for backend in MIXED.backends {
            let cell = Cell::new(client, backend);
            complain(&complaints, &cell, "cancel while asked", asking::cancelled(capable, &cell));
        }
    });
    none(complaints);
}

/// Runs every client before an endpoint, side by side: those that connect before one gateway, those that start one before
/// their own. What runs alone takes the lock of its gateway.
fn with_clients(
    column: &'static Column,
    capabilities: impl Fn(&Client) -> Value + Sync,
    run: impl Fn(&'static Client, &mut Capable, &RwLock<()>) + Sync,
) {
    let (capabilities, run) = (&capabilities, &run);
    scope(|threads| {
        for client in CLIENTS.iter().filter(|client| client.transport == Transport::Stdio) {
            threads.spawn(move || {
                let starting = STARTING.lock();
                let site = Site::start(column);
                let mut capable = client.start(site.config.clone(), capabilities(client));
                until_listed(&mut capable, column);
                drop(starting);
                run(client, &mut capable, &RwLock::default());
            });
        }
        let starting = STARTING.lock();
        let site = Site::start(column);
        let (weir, quiet) = (Weir::serve(site.config.clone()), RwLock::default());
        drop(starting);
        scope(|inner| {
            for client in CLIENTS.iter().filter(|client| client.transport != Transport::Stdio) {
                let (weir, quiet) = (&weir, &quiet);
                inner.spawn(move || {
                    let mut capable = client.connect(&weir.endpoint(), capabilities(client));
                    until_listed(&mut capable, column);
                    run(client, &mut capable, quiet);
                });
            }
        });
    });
}

/// Tries everything with one client.
fn try_all(
    client: &'static Client,
    capable: &mut Capable,
    column: &'static Column,
    quiet: &RwLock<()>,
    complaints: &Complaints,
) {
    for backend in column.backends {
        for behaviour in &BEHAVIOURS {
            let cell = Cell::new(client, backend);
            let done = try_one(behaviour, capable, &cell, quiet);
            complain(complaints, &cell, &format!("{} | {}", column.name, behaviour.name), done);
        }
    }
}

/// Messages of a program's log belong to a call only where it runs alone, so that `log` takes `quiet` for itself.
fn try_one(
    behaviour: &Behaviour,
    capable: &mut Capable,
    cell: &Cell,
    quiet: &RwLock<()>,
) -> Result<(), String> {
    if behaviour.name == "log" {
        let _alone = quiet.write();
        return (behaviour.attempt)(capable, cell);
    }
    let _beside = quiet.read();
    match (expected(cell.client, behaviour), behaviour.kind) {
        (Verdict::Told(_), Some(kind)) => asking::refused(capable, cell, kind),
        _ => (behaviour.attempt)(capable, cell),
    }
}

fn complain(complaints: &Complaints, cell: &Cell, what: &str, done: Result<(), String>) {
    if let Err(complaint) = done {
        let place = format!("{} | {} | {what}", cell.client.name, cell.backend.name);
        complaints.lock().push(format!("{place}: {complaint:.600}"));
    }
}

/// Fails with all complaints at once.
fn none(complaints: Complaints) {
    let mut complaints = complaints.into_inner();
    complaints.sort();
    assert!(complaints.is_empty(), "{} complaints:\n{}", complaints.len(), complaints.join("\n"));
}

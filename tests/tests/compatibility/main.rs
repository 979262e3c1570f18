//! Every client speaks to every server: each kind of client, over each kind of backend, for each thing that MCP can do. What
//! comes of it is written down in `docs/compatibility.md`.

mod asking;
mod behaviours;
mod page;
mod parties;
mod verdict;

use behaviours::{BEHAVIOURS, Behaviour, Cell};
use parking_lot::{Mutex, RwLock};
use parties::{CLIENTS, COLUMNS, Client, Column, Site, Transport};
use std::thread::scope;
use verdict::{Verdict, expected};
use weir_tests::{Capable, Weir};

/// Complaints of all trials.
type Complaints = Mutex<Vec<String>>;

#[test]
fn every_client_speaks_to_every_server() {
    let complaints = Complaints::default();
    scope(|threads| {
        for column in &COLUMNS {
            for client in &CLIENTS {
                if client.transport == Transport::Stdio {
                    threads.spawn(|| start_and_try(client, column, &complaints));
                }
            }
            threads.spawn(|| connect_and_try(column, &complaints));
        }
    });
    let mut complaints = complaints.into_inner();
    complaints.sort();
    assert!(complaints.is_empty(), "{} complaints:\n{}", complaints.len(), complaints.join("\n"));
    page::check();
}

/// A client that starts a gateway of its own.
fn start_and_try(client: &'static Client, column: &'static Column, complaints: &Complaints) {
    let site = Site::start(column);
    let mut capable = client.start(site.config.clone());
    try_all(client, &mut capable, column, &RwLock::default(), complaints);
}

/// All clients of one gateway, side by side.
fn connect_and_try(column: &'static Column, complaints: &Complaints) {
    let site = Site::start(column);
    let weir = Weir::serve(site.config.clone());
    let quiet = RwLock::default();
    scope(|threads| {
        for client in CLIENTS.iter().filter(|client| client.transport != Transport::Stdio) {
            let (weir, quiet) = (&weir, &quiet);
            threads.spawn(move || {
                let mut capable = client.connect(&weir.endpoint());
                try_all(client, &mut capable, column, quiet, complaints);
            });
        }
    });
}

/// Tries everything with one client. Messages of the log belong to a call only where it runs alone, so that one takes `quiet`
/// for itself.
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
            if let Err(complaint) = try_one(behaviour, capable, &cell, quiet) {
                let place =
                    format!("{} | {} {} | {}", client.name, column.name, backend.name, behaviour.name);
                complaints.lock().push(format!("{place}: {complaint:.600}"));
            }
        }
    }
}

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

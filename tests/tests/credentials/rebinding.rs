//! Names that stand for an address out there when they are looked at, and for one inside when they are used.
//!
//! weir runs in a network of its own, in which its test plays the Internet; nothing leaves it.

use serde_json::{Map, Value, json};
use std::process::Command;
use weir_tests::process::Process;
use weir_tests::{Authority, peers, wait, weir};

/// What the names lead to in the end; `fixtures/rebinding.py` knows them too.
const TRICKS: [&str; 4] = ["loop4", "meta", "loop6", "mapped"];
/// Makes the network, which is gone with the last process in it.
const NETWORK: &str = "set -e
ip link set lo up
ip addr add 93.184.216.34/32 dev lo
ip addr add 169.254.169.254/32 dev lo
ip -6 addr add 2606:4700::6810:1/128 dev lo
mount --bind \"$1/resolv.conf\" /etc/resolv.conf
if [ -e /etc/nsswitch.conf ]; then mount --bind \"$1/nsswitch.conf\" /etc/nsswitch.conf; fi
shift
exec \"$@\"";

/// How this user makes namespaces; `None` where the system does not let them, or lacks what it needs.
fn unshare() -> Option<Command> {
    let with = |arguments: &[&str]| {
        let mut command = Command::new("unshare");
        command.args(arguments);
        command
    };
    // Whatever ends `unshare` ends all that runs in there.
    let ways: [&[&str]; 2] =
        [&["-n", "-m", "-p", "-f", "--kill-child"], &["-r", "-n", "-m", "-p", "-f", "--kill-child"]];
    let works = |arguments: &&&[&str]| {
        let mut trial = with(arguments);
        let needs =
            "ip link set lo up && ip -6 addr add ::2/128 dev lo && mount --bind /etc/hosts /etc/hosts";
        trial.args(["sh", "-c", needs]);
        trial.output().is_ok_and(|output| output.status.success())
    };
    ways.iter().find(works).map(|arguments| with(arguments))
}

/// Issuers, backends and authorization servers with names that lead astray.
fn config(ca: &str) -> Value {
    let (mut backends, mut endpoints) = (Map::new(), Map::new());
    let mut pages = Vec::new();
    backends.insert("nobody".to_owned(), json!({"url": "http://127.0.0.1:9/mcp"}));
    for trick in TRICKS {
        for scene in ["prm", "prmturn"] {
            let name = format!("{scene}-{trick}");
            let url = format!("http://127.0.0.1:9001/{name}");
            backends.insert(name.clone(), json!({"url": url, "auth": {"oauth": {"ca": ca}}}));
            pages.push(name);
        }
        let server = json!({
            "issuer": format!("https://cc-{trick}.rebind.test"), "ca": ca,
            "client_id": "weir", "client_secret": "hunter2-hunter2",
        });
        let auth = json!({"client_credentials": {"server": server}});
        let name = format!("cc-{trick}");
        backends.insert(name.clone(), json!({"url": "http://127.0.0.1:9/mcp", "auth": auth}));
        pages.push(name);
        for scene in ["jwks", "disc", "turn"] {
            let issuer = json!({"issuer": format!("https://{scene}-{trick}.rebind.test"), "ca": ca});
            let endpoint = json!({
                "path": format!("/{scene}-{trick}"),
                "backends": ["nobody"],
                "auth": {"resource": "https://weir.test/mcp", "issuers": [issuer]},
                "policies": {"inline": "permit(principal, action, resource);"},
            });
            endpoints.insert(format!("{scene}-{trick}"), endpoint);
        }
    }
    endpoints.insert("pages".to_owned(), json!({"path": "/pages", "backends": pages, "conflicts": "prefix"}));
    json!({
        "listener": {"address": "127.0.0.1:4483"},
        "timeouts": {"start": "0s"},
        "backends": backends,
        "endpoints": endpoints,
    })
}

#[test]
fn a_name_that_leads_inside_a_moment_later_leads_nowhere() {
    let Some(mut command) = unshare() else {
        assert!(
            std::env::var("CI").as_deref() != Ok("true"),
            "this test needs `unshare` and `ip` (Debian: util-linux, iproute2), and a user who may make namespaces"
        );
        eprintln!(
            "left out: no namespaces can be made here (as root they can, with util-linux and iproute2)"
        );
        return;
    };
    let folder = tempfile::tempdir().expect("a directory can be made");
    let write = |name: &str, text: &str| {
        let file = folder.path().join(name);
        std::fs::write(&file, text).expect("a file can be written");
        file
    };
    write("resolv.conf", "nameserver 127.0.0.1\n");
    write("nsswitch.conf", "hosts: files dns\n");
    let authority = Authority::new();
    let issued = authority.server_of("DNS:*.rebind.test");
    let ca = authority.certificate();
    let file = write("weir.yaml", &config(ca.to_str().expect("a path")).to_string());
    let script = peers::peers().join("fixtures/rebinding.py");
    command.args(["sh", "-c", NETWORK, "sh"]).arg(folder.path());
    command.arg(peers::python().get_program()).arg(script).arg(weir::binary());
    command.arg(file).arg(issued.certificate).arg(issued.key).env("WEIR_LOG", "info");
    // The script ends by itself before that, however busy the machine is.
    let exit = Process::start(&mut command, "").finish_within(3 * wait::DEADLINE);
    let report: Value = serde_json::from_str(&exit.stdout)
        .unwrap_or_else(|error| panic!("a report ({error}): {} {}", exit.stdout, exit.stderr));

    let shown = serde_json::to_string_pretty(&report).expect("it is JSON");
    let looked_up = report["looked_up"].as_object().expect("names");
    assert_eq!(looked_up.len(), 5 * TRICKS.len());
    assert!(looked_up.values().all(|times| times.as_u64() >= Some(2)), "each was another by then: {shown}");
    for scene in ["jwks", "disc", "turn", "prm", "prmturn", "as", "cc"] {
        for trick in TRICKS {
            let times = report["served"][format!("{scene}-{trick}.rebind.test")].as_u64();
            assert!(times >= Some(1), "{scene}-{trick} was asked while it was out there: {shown}");
        }
    }
    assert_eq!(report["reached"], json!([]), "nobody inside was: {shown}");
    assert_eq!(report["control"], json!(2 * TRICKS.len()), "somebody was there: {shown}");
    assert!(report["log"].as_str().is_some_and(|log| log.contains("address")), "{shown}");
}

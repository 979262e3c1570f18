//! The repository keeps its own rules: sizes and names of files, walls between crates, what may be depended on.

use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Files end before this many lines.
const MAX_LINES: usize = 500;

/// The floor of each crate; one depends only on crates of lower floors. What only tests and measures has no floor.
const FLOORS: [(&str, u8); 8] = [
    ("weir-protocol", 0),
    ("weir-config", 1),
    ("weir-telemetry", 1),
    ("weir-policies", 2),
    ("weir-runtime", 2),
    ("weir-backends", 3),
    ("weir-gateway", 4),
    ("weir-cli", 5),
];

/// Crates that test and measure: they may use everything, and nothing uses them.
const OUTSIDE: [&str; 2] = ["weir-benches", "weir-tests"];

/// Dependencies, by the beginning of their names, that only one crate may have.
const WALLS: [(&str, &str); 7] = [
    ("pingora", "weir-gateway"),
    ("rmcp", "weir-backends"),
    ("hyper", "weir-backends"),
    ("bollard", "weir-runtime"),
    ("cedar-policy", "weir-policies"),
    ("jsonwebtoken", "weir-policies"),
    ("openidconnect", "weir-policies"),
];

#[test]
fn source_files_stay_short() {
    let long = sources()
        .map(|file| (lines(&file), file))
        .filter(|(count, _)| *count >= MAX_LINES)
        .map(|(count, file)| format!("{}: {count} lines", file.display()));
    none(long, "files of 500 lines or more; split them by subject");
}

#[test]
fn no_file_is_named_mod_or_utils() {
    let named = sources().filter(|file| {
        let stem = file.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
        file.ends_with("mod.rs") || ["util", "utils", "helper", "helpers", "misc", "common"].contains(&stem)
    });
    none(named.map(shown), "names that say nothing; name a file after the noun that it defines");
}

#[test]
fn every_crate_says_what_it_is() {
    let roots =
        committed().into_iter().filter(|file| file.ends_with("src/lib.rs") || file.ends_with("src/main.rs"));
    none(
        roots.filter(|file| !read(file).starts_with("//!")).map(shown),
        "crates whose root has no `//!` sentence",
    );
}

#[test]
fn nothing_is_left_to_do() {
    // In two pieces, so that this file does not hold what it looks for.
    let marks = [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("XX", "X")];
    none(findings(sources(), &marks), "marks of unfinished work");
}

#[test]
fn no_committed_file_names_a_package_registry() {
    let hosts = [
        concat!("crates", ".io"),
        concat!("npm", "js.org"),
        concat!("npm", "js.com"),
        concat!("pypi", ".org"),
        concat!("python", "hosted.org"),
        concat!("yarn", "pkg.com"),
        concat!("proxy.go", "lang.org"),
    ];
    // The lock file of Cargo names its sources; nothing can be done about that.
    let files = committed().into_iter().filter(|file| !file.ends_with("Cargo.lock"));
    none(findings(files, &hosts), "host names of package registries");
}

#[test]
fn imports_run_downwards() {
    let floors = BTreeMap::from(FLOORS);
    let mut broken = Vec::new();
    for (name, dependencies) in crates() {
        if OUTSIDE.contains(&name.as_str()) {
            continue;
        }
        let floor =
            floors.get(name.as_str()).unwrap_or_else(|| panic!("{name} has no floor: give it one above"));
        for dependency in dependencies.iter().filter(|dependency| dependency.starts_with("weir-")) {
            if floors.get(dependency.as_str()).is_none_or(|below| below >= floor) {
                broken.push(format!("{name} depends on {dependency}"));
            }
        }
    }
    none(broken, "dependencies that do not run downwards");
}

#[test]
fn walls_stand() {
    let mut broken = Vec::new();
    for (name, dependencies) in crates() {
        if OUTSIDE.contains(&name.as_str()) {
            continue;
        }
        for dependency in dependencies {
            let wall = WALLS.iter().find(|(prefix, _)| is_or_extends(&dependency, prefix));
            if wall.is_some_and(|(_, owner)| *owner != name) {
                broken.push(format!("{name} depends on {dependency}"));
            }
            if dependency.starts_with("tokio") && ["weir-protocol", "weir-config"].contains(&name.as_str()) {
                broken.push(format!("{name} depends on {dependency}, though it does no I/O"));
            }
        }
    }
    none(broken, "dependencies through a wall");
}

#[test]
fn there_is_one_tls_library() {
    let lock = read(Path::new("Cargo.lock"));
    let locked =
        lock.lines().filter_map(|line| line.strip_prefix("name = ")).map(|name| name.trim_matches('"'));
    let mut counts = BTreeMap::<&str, usize>::new();
    for name in locked {
        *counts.entry(name).or_default() += 1;
    }
    for single in ["rustls", "ring"] {
        assert_eq!(counts.get(single), Some(&1), "exactly one {single} is locked");
    }
    let banned = ["openssl", "openssl-sys", "native-tls", "reqwest", "aws-lc-rs", "aws-lc-sys"];
    none(banned.into_iter().filter(|name| counts.contains_key(name)), "locked crates that are kept out");
}

/// Every crate of the workspace with the names of its dependencies, those for tests left out.
fn crates() -> Vec<(String, BTreeSet<String>)> {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--no-deps", "--format-version", "1", "--offline"])
        .current_dir(root())
        .output()
        .expect("cargo runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).expect("cargo writes JSON");
    let packages = metadata["packages"].as_array().expect("there are packages");
    packages.iter().map(|package| (text(&package["name"]), dependencies(package))).collect()
}

fn dependencies(package: &Value) -> BTreeSet<String> {
    let declared = package["dependencies"].as_array().expect("there are dependencies");
    declared
        .iter()
        .filter(|dependency| dependency["kind"] != "dev")
        .map(|dependency| text(&dependency["name"]))
        .collect()
}

fn is_or_extends(name: &str, prefix: &str) -> bool {
    name.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
}

/// The files of the repository that are, or would be, committed; relative to its root.
fn committed() -> Vec<PathBuf> {
    let output = Command::new("git")
        .args(["ls-files", "--cached", "--others", "--exclude-standard"])
        .current_dir(root())
        .output()
        .expect("git runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let listed = String::from_utf8(output.stdout).expect("paths are UTF-8");
    // A file that is deleted but not yet committed is still listed.
    listed.lines().map(PathBuf::from).filter(|file| root().join(file).is_file()).collect()
}

/// The committed files that are code.
fn sources() -> impl Iterator<Item = PathBuf> {
    let code = ["rs", "py", "mjs", "ts", "sh"];
    committed().into_iter().filter(move |file| {
        let extension = file.extension().and_then(|extension| extension.to_str());
        extension.is_some_and(|extension| code.contains(&extension))
    })
}

fn findings(files: impl IntoIterator<Item = PathBuf>, wanted: &[&str]) -> Vec<String> {
    let mut found = Vec::new();
    for file in files {
        for (number, line) in read(&file).lines().enumerate() {
            if wanted.iter().any(|text| line.contains(text)) {
                found.push(format!("{}:{}: {line}", file.display(), number + 1));
            }
        }
    }
    found
}

fn none(found: impl IntoIterator<Item = impl std::fmt::Display>, what: &str) {
    let found = found.into_iter().map(|item| format!("\n  {item}")).collect::<String>();
    assert!(found.is_empty(), "there are {what}:{found}");
}

fn lines(file: &Path) -> usize {
    read(file).lines().count()
}

/// The text of a file; a file that is no text has none of the things looked for.
fn read(file: &Path) -> String {
    let bytes =
        std::fs::read(root().join(file)).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    String::from_utf8(bytes).unwrap_or_default()
}

fn shown(file: PathBuf) -> String {
    file.display().to_string()
}

fn text(value: &Value) -> String {
    value.as_str().expect("a text").to_owned()
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the crate lies in the workspace")
}

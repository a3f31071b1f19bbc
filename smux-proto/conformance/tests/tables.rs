//! The tables of the suite's documentation: what they name exists, and nothing is missing in them.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use smux_conformance::go::{GoPeer, Release};

const MAPPING: &str = include_str!("../src/suite/mapping.md");
const DIFFERENCES: &str = include_str!("../src/suite/differences.md");
const SUITE: &str = include_str!("../src/suite/mod.rs");

/// It stands in the folder of the core, as that does in the workspace's.
fn crate_folder() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every file below a folder that is Rust.
fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() && !path.ends_with("target") {
            files.extend(rust_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files
}

/// The name that stands behind `fn` in a line.
fn function(line: &str) -> Option<&str> {
    let (before, after) = line.split_once("fn ")?;
    let keywords = ["", "pub", "async", "pub async"];
    let end = after.find(|character: char| !(character.is_alphanumeric() || character == '_'))?;
    keywords.contains(&before.trim()).then(|| &after[..end])
}

/// Tests of the workspace's crates.
fn tests() -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    let core = crate_folder().parent().expect("the core");
    let workspace = core.parent().expect("the workspace");
    let crates = [
        "smux-proto",
        "smux-tokio",
        "smux-async-std",
        "smux-blocking",
    ];
    for file in crates
        .map(|name| rust_files(&workspace.join(name)))
        .concat()
    {
        let text = fs::read_to_string(file).expect("a text");
        let mut is_test = false;
        for line in text.lines().map(str::trim) {
            is_test |= line.starts_with("#[test]") || line.starts_with("#[tokio::test");
            if let Some(name) = function(line) {
                names.extend(is_test.then(|| name.to_owned()));
                is_test = false;
            }
        }
    }
    names
}

/// Public functions of a file of this crate.
fn public_functions(file: &Path) -> BTreeSet<String> {
    let text = fs::read_to_string(file).expect("a text");
    let lines = text.lines().filter(|line| line.starts_with("pub fn "));
    lines.filter_map(function).map(str::to_owned).collect()
}

/// What runs on every host.
fn scenarios() -> BTreeSet<String> {
    let files = rust_files(&crate_folder().join("src/suite/scenarios"));
    files
        .iter()
        .flat_map(|file| public_functions(file))
        .collect()
}

/// What runs with live Go peers, with the name of its module.
fn live_scenarios() -> BTreeSet<String> {
    let names = |module: &str| {
        let file = crate_folder().join(format!("src/suite/live/{module}.rs"));
        let names = public_functions(&file).into_iter();
        names
            .map(|name| format!("{module}::{name}"))
            .collect::<Vec<_>>()
    };
    [names("go_accepts"), names("go_opens")]
        .concat()
        .into_iter()
        .collect()
}

/// The cells of a table's rows, without its head.
fn rows(table: &str) -> Vec<Vec<&str>> {
    let rows = table.lines().filter(|line| line.starts_with('|'));
    rows.map(|row| row.trim_matches('|').split('|').collect())
        .filter(|row: &Vec<&str>| row.iter().any(|cell| cell.contains('`')))
        .collect()
}

/// What stands between backticks.
fn names(cell: &str) -> impl Iterator<Item = &str> {
    cell.split('`').skip(1).step_by(2)
}

/// The names in the last columns.
fn named() -> BTreeSet<String> {
    let rows = [rows(MAPPING), rows(DIFFERENCES)].concat();
    let last = rows.iter().filter_map(|row| row.last());
    last.flat_map(|cell| names(cell))
        .map(str::to_owned)
        .collect()
}

#[test]
fn every_name_is_a_scenario_or_a_test() {
    let existing = &(&scenarios() | &live_scenarios()) | &tests();
    let unknown: Vec<_> = named().difference(&existing).cloned().collect();
    assert!(unknown.is_empty(), "{unknown:#?}");
}

#[test]
fn every_scenario_is_in_a_table() {
    let missing: Vec<_> = scenarios().difference(&named()).cloned().collect();
    assert!(missing.is_empty(), "{missing:#?}");
}

#[test]
fn every_scenario_is_run() {
    let lists = SUITE
        .split('[')
        .skip(1)
        .filter_map(|list| list.split_once(']'));
    let names = lists.flat_map(|(list, _)| list.lines());
    let names: BTreeSet<String> = names
        .flat_map(|line| line.split(','))
        .map(|name| name.trim().to_owned())
        .collect();
    let missing: Vec<_> = scenarios().difference(&names).cloned().collect();
    assert!(missing.is_empty(), "{missing:#?}");
}

/// Needs the Go module, as live peers do.
#[test]
fn every_go_test_has_a_row() {
    if !GoPeer::available() {
        return;
    }
    let module = Command::new("go")
        .args(["mod", "download", "-json"])
        .arg(format!("-modfile=go{}.mod", Release::NEWEST))
        .arg("github.com/xtaci/smux")
        .current_dir(crate_folder().join("go"))
        .env("GOWORK", "off")
        .output()
        .expect("go");
    assert!(module.status.success(), "{module:?}");
    let module: serde_json::Value = serde_json::from_slice(&module.stdout).expect("JSON");
    let module = module["Dir"].as_str().expect("the module's folder");
    let mut theirs = BTreeSet::new();
    for entry in fs::read_dir(module).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.to_string_lossy().ends_with("_test.go") {
            let text = fs::read_to_string(path).expect("a text");
            let tests = text
                .lines()
                .filter_map(|line| line.strip_prefix("func Test"));
            let tests = tests.filter_map(|rest| rest.split_once('('));
            theirs.extend(tests.map(|(name, _)| format!("Test{name}")));
        }
    }
    let rows = rows(MAPPING);
    let ours: BTreeSet<String> = rows
        .iter()
        .flat_map(|row| names(row[0]))
        .map(str::to_owned)
        .collect();
    assert_eq!(ours, theirs, "(right: the module's tests)");
}

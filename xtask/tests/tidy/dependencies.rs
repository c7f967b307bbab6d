//! The dependency rule: core <- ports <- {engine, backends}, engine <- {what offers it}; only the binaries see everything.

use std::process::Command;

use cargo_metadata::{DependencyKind, MetadataCommand};

use crate::tree::{assert_none, root};

/// Who may see whom, apart from dev-dependencies. A crate that is not here fails the test: it needs a place in the rule first.
const RULE: &[(&str, &[&str])] = &[
    ("ordermill-core", &[]),
    ("ordermill-ports", &["ordermill-core"]),
    ("ordermill-engine", &["ordermill-core", "ordermill-ports"]),
    ("ordermill-embedded", &["ordermill-core", "ordermill-ports"]),
    ("ordermill-postgres", &["ordermill-core", "ordermill-ports"]),
    ("ordermill-kafka", &["ordermill-core", "ordermill-ports"]),
    ("ordermill-http", &["ordermill-core", "ordermill-ports", "ordermill-engine"]),
    // Durations and limits of the process are part of the configuration.
    ("ordermill-config", &["ordermill-core"]),
    ("ordermill-telemetry", &[]),
    // A client is to work against another version of the server, so it shares nothing with it.
    ("ordermill-client", &[]),
];

/// The programs.
const BINARIES: &[&str] = &["ordermill", "xtask"];

/// What core may use: nothing that reads a clock, draws a random number or does I/O by itself.
const CORE_MAY_USE: &[&str] = &["iso_currency", "jiff", "serde", "serde_json", "sha2", "thiserror", "uuid"];

#[test]
fn crates_see_only_what_the_rule_lets_them() {
    let metadata = MetadataCommand::new().manifest_path(root().join("Cargo.toml")).no_deps().exec();
    let metadata = metadata.expect("cargo metadata works in the workspace");
    let ours: Vec<&str> = metadata.packages.iter().map(|package| package.name.as_str()).collect();
    let mut problems = Vec::new();
    for package in &metadata.packages {
        let name = package.name.as_str();
        if BINARIES.contains(&name) {
            continue;
        }
        let Some((_, may_see)) = RULE.iter().find(|(rule_name, _)| *rule_name == name) else {
            problems.push(format!("{name} has no place in the dependency rule"));
            continue;
        };
        for dependency in &package.dependencies {
            let seen = dependency.name.as_str();
            let counts = dependency.kind != DependencyKind::Development && ours.contains(&seen);
            if counts && !may_see.contains(&seen) {
                problems.push(format!("{name} depends on {seen}"));
            }
            if name == "ordermill-core"
                && dependency.kind != DependencyKind::Development
                && !CORE_MAY_USE.contains(&seen)
            {
                problems.push(format!("{name} depends on {seen}, which is not on the list of what core may use"));
            }
        }
    }
    for (name, _) in RULE {
        if !ours.contains(name) {
            problems.push(format!("the dependency rule names {name}, which is not there"));
        }
    }
    assert_none(&problems, "core <- ports <- {engine, embedded}, engine <- http; only the binaries see everything");
}

/// Core is handed the time and its ids; a feature of a crate must not give it a clock by the back door.
#[test]
fn core_reads_no_clock_and_draws_no_numbers() {
    let mut problems = Vec::new();
    for (file, text) in crate::tree::rust_files() {
        if !file.starts_with("crates/core/src") {
            continue;
        }
        let forbidden =
            ["Timestamp::now", "SystemTime", "Instant::now", "now_v7", "new_v4", "std::fs", "std::net", "HashMap<"];
        for (number, line) in crate::tree::without_tests(&text).lines().enumerate() {
            let found = forbidden.iter().find(|word| line.contains(**word) && !line.trim_start().starts_with("//"));
            problems.extend(found.map(|word| format!("{}:{}: {word}", file.display(), number + 1)));
        }
    }
    assert_none(&problems, "core has no clock, no randomness, no I/O and no hash order");
}

/// Two providers of cryptography in one tree make rustls panic at run time, and only there.
#[test]
fn there_is_one_crypto_provider() {
    let arguments = ["tree", "--workspace", "--all-features", "--locked", "--offline", "--invert", "ring"];
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo).current_dir(root()).args(arguments).output().expect("cargo can be started");
    let (tree, said) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(tree.trim().is_empty(), "ring is in the tree:\n{tree}");
    let absent = said.contains("nothing to print") || said.contains("did not match any packages");
    assert!(absent, "cargo tree did not say that ring is absent:\n{said}");
}

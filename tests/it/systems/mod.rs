//! The clients of the five systems, each over its own wire against a real server: status, body, and what became of it.

mod document;
mod enterprise;
mod lambda;
mod orchestrator;
mod order_api;
mod records;
mod tracking;

use std::path::PathBuf;

/// A client that others wrote, as the task that runs the tests installs it.
pub fn client(name: &str) -> PathBuf {
    let dir = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../target/tools").join(name);
    let stamp = dir.join("installed");
    assert!(stamp.exists(), "{} is missing: `cargo xtask test` installs it", stamp.display());
    dir
}

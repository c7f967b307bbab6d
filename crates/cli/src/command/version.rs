//! `ordermill version`

use anyhow::Result;
use serde_json::json;

use super::Global;
use crate::exit::Exit;
use crate::output;

/// What this build can keep a ledger with.
const BACKENDS: &[&str] = if cfg!(feature = "kafka") {
    &["embedded", "postgres", "kafka"]
} else if cfg!(feature = "postgres") {
    &["embedded", "postgres"]
} else {
    &["embedded"]
};

/// Prints the version and what this build has.
pub fn run(global: &Global) -> Result<Exit> {
    let version = env!("CARGO_PKG_VERSION");
    if global.json {
        output::json(&json!({ "version": version, "features": BACKENDS }))?;
    } else {
        output::line(format_args!("ordermill {version} ({})", BACKENDS.join(", ")))?;
    }
    Ok(Exit::Ok)
}

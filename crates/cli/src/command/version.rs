//! `ordermill version`

use anyhow::Result;
use serde_json::json;

use super::Global;
use crate::exit::Exit;
use crate::output;

/// Prints the version and what this build has.
pub fn run(global: &Global) -> Result<Exit> {
    let version = env!("CARGO_PKG_VERSION");
    if global.json {
        output::json(&json!({ "version": version, "features": ["embedded"] }))?;
    } else {
        output::line(format_args!("ordermill {version} (embedded)"))?;
    }
    Ok(Exit::Ok)
}

//! The profile of the embedded backend.

use std::path::Path;

/// Makes a data directory ready for its first server. Nothing is needed: everything embedded is the default.
pub fn prepare(_data: &Path) {}

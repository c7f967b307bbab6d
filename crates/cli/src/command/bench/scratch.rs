//! Data directories for the servers under test.

use std::path::{Path, PathBuf};

use anyhow::Context;

/// Where data directories are made.
pub(super) struct Scratch {
    root: PathBuf,
    is_kept: bool,
}

/// One data directory; removed with everything in it, unless it is to be kept.
pub(super) struct Directory {
    pub(super) path: PathBuf,
    is_kept: bool,
}

impl Scratch {
    /// Below `root`, and kept there; without it below the current directory, as its disk is the one to be measured (a temporary
    /// directory may lie in memory), and removed.
    pub(super) fn new(root: Option<&Path>) -> anyhow::Result<Self> {
        let (root, is_kept) = match root {
            Some(root) => (root.to_owned(), true),
            None => (PathBuf::from(format!("ordermill-bench-{}", std::process::id())), false),
        };
        std::fs::create_dir_all(&root).with_context(|| format!("cannot create {}", root.display()))?;
        Ok(Self { root, is_kept })
    }

    /// A new directory.
    ///
    /// # Errors
    /// Also when there is one of this name: figures must not depend on what an earlier benchmark left.
    pub(super) fn directory(&self, name: &str) -> anyhow::Result<Directory> {
        let path = self.root.join(name);
        std::fs::create_dir(&path).with_context(|| format!("cannot create {} anew", path.display()))?;
        Ok(Directory { path, is_kept: self.is_kept })
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        if !self.is_kept {
            std::fs::remove_dir_all(&self.path).ok();
        }
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if !self.is_kept {
            // Whatever is left in it was not ours.
            std::fs::remove_dir(&self.root).ok();
        }
    }
}

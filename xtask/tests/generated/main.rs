//! Files that are made from code. The test fails when one is not what the code says now; `cargo xtask generate` rewrites them.

mod process;

use std::path::Path;

/// One generated file.
struct Generated {
    /// Its path from the root of the workspace.
    path: &'static str,
    /// What it should hold; names `cargo xtask generate`.
    content: fn() -> String,
}

const GENERATED: &[Generated] = &[Generated { path: "docs/process.md", content: process::content }];

#[test]
fn generated_files_are_current() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the package lies one folder below the root");
    let update = std::env::var_os("UPDATE").is_some();
    let mut stale = Vec::new();
    for Generated { path, content } in GENERATED {
        let content = content();
        assert!(content.contains("cargo xtask generate"), "{path} does not name what makes it");
        if std::fs::read_to_string(root.join(path)).is_ok_and(|present| present == content) {
            continue;
        }
        if update {
            std::fs::write(root.join(path), content).expect("generated files can be written");
            println!("{path} written");
        } else {
            stale.push(*path);
        }
    }
    assert!(stale.is_empty(), "not what the code says: {}; run `cargo xtask generate`", stale.join(", "));
}

//! The files of the repository.

use std::path::{Path, PathBuf};
use std::process::Command;

/// The root of the workspace.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the package lies one folder below the root")
}

/// Every file that is committed or could be: paths from the root, in order.
pub fn files() -> Vec<PathBuf> {
    let list = ["ls-files", "-z", "--cached", "--others", "--exclude-standard"];
    let output = Command::new("git").current_dir(root()).args(list).output();
    let mut files = match output {
        Ok(output) if output.status.success() => {
            let names = String::from_utf8(output.stdout).expect("file names are UTF-8");
            // A file that was deleted and not yet committed is still listed.
            names.split_terminator('\0').map(PathBuf::from).filter(|file| root().join(file).is_file()).collect()
        }
        // A source archive has no repository.
        _ => {
            let mut files = Vec::new();
            walk(root(), &mut files);
            files
        }
    };
    files.sort();
    assert!(files.contains(&PathBuf::from("Cargo.toml")), "the list of files has no Cargo.toml, so it is wrong");
    files
}

fn walk(dir: &Path, files: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(dir).expect("folders of the workspace can be read") {
        let path = entry.expect("folders of the workspace can be read").path();
        let name = path.file_name().unwrap_or_default();
        if path.is_dir() && name != "target" && name != "node_modules" && name != ".git" {
            walk(&path, files);
        } else if path.is_file() {
            files.push(path.strip_prefix(root()).expect("the walk began at the root").to_owned());
        }
    }
}

/// The text of a file; `None` where it is not text.
pub fn text(file: &Path) -> Option<String> {
    String::from_utf8(std::fs::read(root().join(file)).expect("listed files can be read")).ok()
}

/// Every Rust file with its text.
pub fn rust_files() -> Vec<(PathBuf, String)> {
    let is_rust = |file: &PathBuf| file.extension().is_some_and(|extension| extension == "rs");
    files()
        .into_iter()
        .filter(is_rust)
        .map(|file| {
            let text = text(&file).expect("Rust is UTF-8");
            (file, text)
        })
        .collect()
}

/// What of a Rust file goes into the program: everything above its test module, which comes last in a file.
pub fn without_tests(text: &str) -> &str {
    let is_module = |(at, mark): (usize, &str)| {
        let mut lines = text[at + mark.len()..].lines();
        lines.find(|line| !line.starts_with("#[")).is_some_and(|line| line.starts_with("mod "))
    };
    let begin = text.match_indices("#[cfg(test)]\n").find(|found| is_module(*found));
    begin.map_or(text, |(at, _)| &text[..at])
}

#[test]
fn test_modules_are_cut_off() {
    let program = "fn a() {}\n#[cfg(test)]\nfn b() {}\n";
    assert_eq!(without_tests(program), program);
    for attribute in ["", "#[expect(clippy::unwrap_used, reason = \"\")]\n"] {
        let text = format!("{program}#[cfg(test)]\n{attribute}mod tests {{\n    c.unwrap();\n}}\n");
        assert_eq!(without_tests(&text), program);
    }
}

/// Fails with every problem at once.
pub fn assert_none(problems: &[String], rule: &str) {
    assert!(problems.is_empty(), "{rule}\n{}", problems.join("\n"));
}

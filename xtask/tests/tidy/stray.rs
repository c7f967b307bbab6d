//! What must not be in the repository.

use crate::tree::{assert_none, files, root, rust_files, text, without_tests};

const FILE_BYTES_MAX: u64 = 1024 * 1024;

#[test]
fn no_file_is_large() {
    let size = |file: &_| std::fs::metadata(root().join(file)).expect("listed files are there").len();
    let large = files().into_iter().filter(|file| size(file) > FILE_BYTES_MAX);
    let problems: Vec<String> = large.map(|file| format!("{} has {} bytes", file.display(), size(&file))).collect();
    assert_none(&problems, "a committed file has at most 1 MiB: whoever clones pays for it for ever");
}

#[test]
fn nothing_is_left_for_later() {
    // Put together here, so that this file does not hold them itself.
    let words = [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("unimpl", "emented!"), concat!("to", "do!(")];
    let mut problems = Vec::new();
    for file in files() {
        let Some(text) = text(&file) else { continue };
        for (number, line) in text.lines().enumerate() {
            let found = words.iter().find(|word| line.contains(**word));
            problems.extend(found.map(|word| format!("{}:{}: {word}", file.display(), number + 1)));
        }
    }
    assert_none(&problems, "what is to be done later is an issue, not a remark in a file");
}

#[test]
fn nothing_is_unwrapped_outside_tests() {
    let mut problems = Vec::new();
    for (file, text) in rust_files() {
        let path = file.display().to_string();
        let is_program = path.starts_with("crates/") && path.contains("/src/") && !path.ends_with("tests.rs");
        if !is_program || path.contains("/tests/") {
            continue;
        }
        for (number, line) in without_tests(&text).lines().enumerate() {
            let code = line.trim_start();
            if !code.starts_with("//") && (code.contains(".unwrap()") || code.contains(".expect(\"\")")) {
                problems.push(format!("{path}:{}: {code}", number + 1));
            }
        }
    }
    assert_none(&problems, "outside tests a failure is handled, or `expect` says why there can be none");
}

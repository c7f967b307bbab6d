//! Each error code has one page in `docs/errors`, and each page an error code.

use std::collections::BTreeSet;

use crate::tree::{assert_none, files, rust_files, text, without_tests};

/// Where error codes are given: functions named `code` in these folders and files.
const SOURCES: &[&str] = &["crates/core/src/refusal.rs", "crates/http/src"];

#[test]
fn every_error_code_has_a_page_and_every_page_a_code() {
    let codes = codes();
    assert!(codes.contains("order_not_found"), "the codes of refusals were not found, so this test sees nothing");
    let mut pages = BTreeSet::new();
    let mut problems = Vec::new();
    for file in files() {
        if !file.starts_with("docs/errors") || file.file_name().is_some_and(|name| name == "README.md") {
            continue;
        }
        let code = file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let page = text(&file).unwrap_or_default();
        if !page.starts_with(&format!("# {code}\n")) {
            problems.push(format!("{} does not begin with `# {code}`", file.display()));
        }
        pages.insert(code);
    }
    problems.extend(codes.difference(&pages).map(|code| format!("docs/errors/{code}.md is missing")));
    problems.extend(pages.difference(&codes).map(|code| format!("docs/errors/{code}.md describes no code")));
    assert_none(&problems, "each error code has one page");
}

/// The texts behind `=>` in every function named `code`.
fn codes() -> BTreeSet<String> {
    let mut codes = BTreeSet::new();
    for (file, text) in rust_files() {
        if !SOURCES.iter().any(|source| file.starts_with(source)) {
            continue;
        }
        for function in without_tests(&text).split("fn code(").skip(1) {
            let body = function.split("\n    }\n").next().unwrap_or_default();
            let literals = body.split('"').skip(1).step_by(2);
            codes.extend(literals.map(str::to_owned));
        }
    }
    codes
}

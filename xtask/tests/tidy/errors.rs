//! Each error code has one page in `docs/errors`, and each page an error code.

use std::collections::BTreeSet;
use std::path::Path;

use crate::tree::{assert_none, files, text};

/// Refusals of the order process: the texts in the function `code`.
const REFUSALS: &str = "crates/core/src/refusal.rs";
/// Every code of the interface: the first text in each line of the table `error_codes!`.
const INTERFACE: &str = "crates/http/src/error_code.rs";

#[test]
fn every_error_code_has_a_page_and_every_page_a_code() {
    let refusals = literals(REFUSALS, "fn code(", "\n    }\n");
    let interface = first_literals(INTERFACE, "\nerror_codes! {\n", "\n}\n");
    assert!(refusals.contains("order_not_found"), "the codes of refusals were not found, so this test sees nothing");
    assert!(
        interface.contains("malformed_json"),
        "the codes of the interface were not found, so this test sees nothing"
    );
    let mut problems = Vec::new();
    problems.extend(refusals.difference(&interface).map(|code| format!("{code} has no status in {INTERFACE}")));
    let codes = &refusals | &interface;
    let mut pages = BTreeSet::new();
    for file in files() {
        if !file.starts_with("docs/errors") || file.file_name().is_some_and(|name| name == "README.md") {
            continue;
        }
        let code = file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        if !text(&file).unwrap_or_default().starts_with(&format!("# {code}\n")) {
            problems.push(format!("{} does not begin with `# {code}`", file.display()));
        }
        pages.insert(code);
    }
    problems.extend(codes.difference(&pages).map(|code| format!("docs/errors/{code}.md is missing")));
    problems.extend(pages.difference(&codes).map(|code| format!("docs/errors/{code}.md describes no code")));
    assert_none(&problems, "each error code has one page");
}

/// The part of a file between two marks.
fn part(file: &str, begin: &str, end: &str) -> String {
    let text = text(Path::new(file)).unwrap_or_default();
    let behind = text.split_once(begin).map(|(_, behind)| behind).unwrap_or_default();
    behind.split(end).next().unwrap_or_default().to_owned()
}

fn literals(file: &str, begin: &str, end: &str) -> BTreeSet<String> {
    part(file, begin, end).split('"').skip(1).step_by(2).map(str::to_owned).collect()
}

fn first_literals(file: &str, begin: &str, end: &str) -> BTreeSet<String> {
    part(file, begin, end).lines().filter_map(|line| line.split('"').nth(1)).map(str::to_owned).collect()
}

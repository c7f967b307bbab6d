//! Files stay small enough to be read in one go, functions small enough to be seen at once.

use std::collections::BTreeMap;

use crate::tree::{assert_none, root, rust_files};

const FILE_LINES_MAX: usize = 400;
const FUNCTION_LINES_MAX: usize = 70;

/// The exceptions. They may shrink and go, not grow: a longer file or function fails the test, and so does an entry that allows
/// more than is needed.
const RATCHET: &str = "xtask/tests/tidy/ratchet.txt";

#[test]
fn files_and_functions_are_small() {
    let mut sizes = BTreeMap::new();
    for (file, text) in rust_files() {
        let file = file.display().to_string();
        for (name, lines) in functions(&text) {
            if lines > FUNCTION_LINES_MAX {
                sizes.insert(format!("{file}::{name}"), lines);
            }
        }
        let lines = text.lines().count();
        if lines > FILE_LINES_MAX {
            sizes.insert(file, lines);
        }
    }
    let allowed = ratchet();
    let mut problems = Vec::new();
    for (what, lines) in &sizes {
        let limit = if what.contains("::") { FUNCTION_LINES_MAX } else { FILE_LINES_MAX };
        match allowed.get(what) {
            None => problems.push(format!("{what} has {lines} lines; {limit} are allowed")),
            Some(allowed) if lines > allowed => {
                problems.push(format!("{what} has grown to {lines} lines; {allowed} are allowed"));
            }
            Some(allowed) if lines < allowed => {
                problems
                    .push(format!("{what} has shrunk to {lines} lines: say so in {RATCHET}, which allows {allowed}"));
            }
            Some(_) => {}
        }
    }
    for what in allowed.keys().filter(|what| !sizes.contains_key(*what)) {
        problems.push(format!("{what} needs no exception any more: take it out of {RATCHET}"));
    }
    assert_none(&problems, "files have at most 400 lines, functions at most 70");
}

fn ratchet() -> BTreeMap<String, usize> {
    let text = std::fs::read_to_string(root().join(RATCHET)).expect("the list of exceptions can be read");
    let entries = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    let entry = |line: &str| -> Option<(String, usize)> {
        let (lines, what) = line.trim().split_once(' ')?;
        Some((what.trim().to_owned(), lines.parse().ok()?))
    };
    entries.map(|line| entry(line).unwrap_or_else(|| panic!("{RATCHET}: {line:?} is not `<lines> <what>`"))).collect()
}

/// Every function with its number of lines. Goes by indentation, which is sound as the code is formatted by rustfmt.
fn functions(text: &str) -> Vec<(String, usize)> {
    let lines: Vec<&str> = text.lines().collect();
    let mut functions = Vec::new();
    for (start, line) in lines.iter().enumerate() {
        let Some(name) = function_name(line) else { continue };
        let indentation = &line[..line.len() - line.trim_start().len()];
        let is_end = |(number, line): (usize, &&str)| match line.strip_prefix(indentation) {
            Some("}") => true,
            // A body on the first line, or a declaration without one.
            Some(rest) if number == 0 => rest.ends_with('}') || rest.ends_with(';'),
            Some(rest) => rest.starts_with(')') && rest.ends_with(';'),
            None => false,
        };
        let length = lines[start..].iter().enumerate().position(is_end).map_or(lines.len() - start, |end| end + 1);
        functions.push((name, length));
    }
    functions
}

fn function_name(line: &str) -> Option<String> {
    let mut rest = line.trim_start();
    loop {
        if let Some(signature) = rest.strip_prefix("fn ") {
            let end = signature.find(|c: char| !c.is_alphanumeric() && c != '_')?;
            return (end > 0).then(|| signature[..end].to_owned());
        }
        let words = ["pub ", "pub(crate) ", "pub(super) ", "const ", "async ", "unsafe ", "extern \"C\" "];
        rest = words.iter().find_map(|word| rest.strip_prefix(word))?;
    }
}

#[test]
fn functions_are_measured() {
    let text = "\
fn one() {}
    pub(crate) const fn three() {
        done
    }
async fn five(
    a: u8,
) {
    a();
}
// fn none() {
    fn declared(&self);
    fn declared_long(
        &self,
    ) -> u8;
fn after() {
}
";
    let expected = [("one", 1), ("three", 3), ("five", 5), ("declared", 1), ("declared_long", 3), ("after", 2)];
    let expected: Vec<(String, usize)> = expected.iter().map(|(name, lines)| ((*name).to_owned(), *lines)).collect();
    assert_eq!(functions(text), expected);
}

//! A page that points to a file points to one that is there.

use std::path::Path;

use crate::tree::{assert_none, files, root, text};

#[test]
fn links_between_pages_lead_somewhere() {
    let mut problems = Vec::new();
    let mut seen = 0;
    for file in files() {
        if file.extension().is_none_or(|extension| extension != "md") {
            continue;
        }
        let folder = root().join(file.parent().unwrap_or(Path::new("")));
        for target in targets(&text(&file).unwrap_or_default()) {
            seen += 1;
            if !folder.join(target).exists() {
                problems.push(format!("{}: {target}", file.display()));
            }
        }
    }
    assert!(seen > 10, "hardly any links were found, so this test sees nothing");
    assert_none(&problems, "links to files that are not there");
}

/// The relative targets of the links in a page, without the part behind `#`.
fn targets(page: &str) -> impl Iterator<Item = &str> {
    let links = page.split("](").skip(1).filter_map(|rest| rest.split(')').next());
    let files = links.map(|link| link.split('#').next().unwrap_or(link));
    files.filter(|target| {
        !target.is_empty() && !target.contains("://") && !target.starts_with('/') && !target.contains(' ')
    })
}

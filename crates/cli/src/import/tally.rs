//! What became of the lines of an import.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use ordermill_client::{Answer, Problem};
use serde_json::value::RawValue;
use serde_json::{Map, json};

use super::feed::Sendable;

/// Counts by what became of a line; refused ones go to a file with their reason.
pub struct Tally {
    /// Lines answered.
    pub answered: u64,
    /// Taken by this import.
    pub taken: u64,
    /// There already, from an earlier import.
    pub already_there: u64,
    /// Refused, by code.
    pub refused: BTreeMap<String, u64>,
    /// Sent, but what became of them is not known, and sending them again is not safe.
    pub unknown: u64,
    /// The ids of orders taken or there already, where they are wanted.
    pub order_ids: Option<Vec<String>>,
    refused_path: PathBuf,
    refused_file: Option<BufWriter<File>>,
}

impl Tally {
    /// Nothing counted yet. The file is made when the first line is refused.
    pub fn new(refused_path: PathBuf, wants_ids: bool) -> Self {
        Self {
            answered: 0,
            taken: 0,
            already_there: 0,
            refused: BTreeMap::new(),
            unknown: 0,
            order_ids: wants_ids.then(Vec::new),
            refused_path,
            refused_file: None,
        }
    }

    /// A line was taken.
    pub fn take(&mut self, answer: Answer) {
        self.answered += 1;
        let is_replayed = answer.other.get("replayed").and_then(serde_json::Value::as_bool).unwrap_or(false);
        let is_unchanged = answer.other.get("changed").and_then(serde_json::Value::as_bool) == Some(false);
        if is_replayed || is_unchanged {
            self.already_there += 1;
        } else {
            self.taken += 1;
        }
        if let (Some(ids), Some(id)) = (&mut self.order_ids, answer.order_id) {
            ids.push(id);
        }
    }

    /// A line was refused.
    pub fn refuse(&mut self, number: u64, text: Option<&[u8]>, problem: &Problem) -> Result<()> {
        self.answered += 1;
        *self.refused.entry(problem.code().to_owned()).or_default() += 1;
        self.write(number, text, problem)
    }

    /// It is not known what became of a line, and sending it again could make a second order of it.
    pub fn lose(&mut self, line: &Sendable, problem: &Problem) -> Result<()> {
        self.answered += 1;
        self.unknown += 1;
        self.write(line.number, Some(&line.text), problem)
    }

    fn write(&mut self, number: u64, text: Option<&[u8]>, problem: &Problem) -> Result<()> {
        let context = || format!("the file of refused lines, {}, cannot be written", self.refused_path.display());
        let file = match &mut self.refused_file {
            Some(file) => file,
            None => self.refused_file.insert(BufWriter::new(File::create(&self.refused_path).with_context(context)?)),
        };
        let context = || format!("the file of refused lines, {}, cannot be written", self.refused_path.display());
        serde_json::to_writer(&mut *file, &json!({ "line": number, "problem": problem, "input": input(text) }))
            .with_context(context)?;
        file.write_all(b"\n").with_context(context)
    }

    /// Lines that were refused.
    pub fn refused_count(&self) -> u64 {
        self.refused.values().sum()
    }

    /// Writes what is left to the file of refused lines; gives its path, if there is one.
    pub fn finish(&mut self) -> Result<Option<&Path>> {
        let Some(file) = &mut self.refused_file else {
            return Ok(None);
        };
        file.flush().with_context(|| format!("{} cannot be written", self.refused_path.display()))?;
        Ok(Some(&self.refused_path))
    }
}

/// The line as JSON if it is that, as text otherwise.
fn input(text: Option<&[u8]>) -> serde_json::Value {
    let Some(text) = text else {
        return serde_json::Value::Null;
    };
    serde_json::from_slice::<serde_json::Value>(text).unwrap_or_else(|_| String::from_utf8_lossy(text).into())
}

/// A problem found on this side.
pub fn local_problem(code: &str, detail: &str) -> Problem {
    Problem {
        kind: format!("/errors/{code}"),
        title: detail.to_owned(),
        status: 0,
        detail: detail.to_owned(),
        errors: Vec::new(),
        other: Map::new(),
    }
}

/// Whether sending this order once more makes no second one: it names itself.
pub fn has_order_ref(text: &[u8]) -> bool {
    #[derive(serde::Deserialize)]
    struct Named<'a> {
        #[serde(borrow, default)]
        order_ref: Option<&'a RawValue>,
    }
    serde_json::from_slice::<Named<'_>>(text).is_ok_and(|named| named.order_ref.is_some_and(|raw| raw.get() != "null"))
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn answer(json: &str) -> Answer {
        serde_json::from_str(json).expect("an answer")
    }

    #[test]
    fn lines_are_counted_and_refused_ones_kept_with_their_reason() {
        let dir = tempfile::tempdir().expect("a directory can be made");
        let path = dir.path().join("orders.refused.ndjson");
        let mut tally = Tally::new(path.clone(), true);
        tally.take(answer(r#"{"line":1,"order_id":"ord_1","status":"placed"}"#));
        tally.take(answer(r#"{"line":2,"order_id":"ord_2","status":"confirmed","replayed":true}"#));
        assert_eq!(tally.finish().expect("nothing to write"), None);
        assert!(!path.exists());
        tally.refuse(3, Some(b"{\"lines\":[]}"), &local_problem("invalid_order", "lines")).expect("writable");
        tally.refuse(4, Some(b"{no json"), &local_problem("malformed_json", "no")).expect("writable");
        tally.refuse(5, None, &local_problem("body_too_large", "long")).expect("writable");
        let line = Sendable { number: 6, text: Bytes::from_static(b"{}") };
        tally.lose(&line, &local_problem("outcome_unknown", "broken")).expect("writable");
        assert_eq!((tally.taken, tally.already_there, tally.refused_count(), tally.unknown), (1, 1, 3, 1));
        assert_eq!(tally.answered, 6);
        assert_eq!(tally.order_ids.as_deref(), Some(&["ord_1".to_owned(), "ord_2".to_owned()][..]));
        assert_eq!(tally.finish().expect("writable"), Some(path.as_path()));
        let text = std::fs::read_to_string(&path).expect("it is there");
        let lines: Vec<serde_json::Value> =
            text.lines().map(|line| serde_json::from_str(line).expect("each line is JSON")).collect();
        assert_eq!(lines[0]["input"]["lines"], serde_json::json!([]));
        assert_eq!(lines[1]["input"], "{no json");
        assert_eq!((lines[2]["line"].as_u64(), &lines[2]["input"]), (Some(5), &serde_json::Value::Null));
        assert_eq!(lines[3]["problem"]["type"], "/errors/outcome_unknown");
    }

    #[test]
    fn orders_that_name_themselves_are_told_from_others() {
        assert!(has_order_ref(br#"{"order_ref":"a","lines":[]}"#));
        for without in [&br#"{"order_ref":null}"#[..], br#"{"lines":[{"order_ref":"a"}]}"#, b"{}", b"no json", b"[]"] {
            assert!(!has_order_ref(without), "{}", String::from_utf8_lossy(without));
        }
    }
}

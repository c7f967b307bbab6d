//! `docs/process.md`: the order process as a page, from the table the program runs by.

use std::fmt::Write;

use ordermill_core::event::EventType;
use ordermill_core::invariant::Invariant;
use ordermill_core::order::{RejectReason, Status};
use ordermill_core::process::{GiveUp, Retry, Row, TABLE};

const HEAD: &str = "\
# The order process

<!-- Made by `cargo xtask generate` from crates/core/src/process.rs, which is what runs. Do not edit. -->

One row per step, a step and its undo beside each other. A role looks at the order right before it acts, so an event only says that
there may be something to do.

| step | role | after | does | records when it worked | records when not | undone by | time limit | tries |
|---|---|---|---|---|---|---|---|---|
";

/// The page.
pub fn content() -> String {
    let mut page = HEAD.to_owned();
    for row in TABLE {
        page += &line(row);
    }
    page += "\n## Words\n\n";
    let mut list = |what: &str, names: Vec<&str>| {
        writeln!(page, "- {what}: `{}`", names.join("`, `")).expect("a String takes every write");
    };
    list("states of an order", Status::ALL.map(Status::as_str).to_vec());
    list("reasons of a rejection", RejectReason::ALL.map(RejectReason::as_str).to_vec());
    list("event types", EventType::ALL.iter().map(|kind| kind.name()).collect());
    list("invariants that `ordermill doctor` checks", Invariant::ALL.map(Invariant::as_str).to_vec());
    page
}

fn line(row: &Row) -> String {
    let Row { step, role, reacts_to, does, success, failure, undo, deadline, retry } = row;
    let (after, good, bad) = (names(reacts_to), names(success), names(failure));
    let undo = undo.map_or("-", |step| step.as_str());
    let (step, role, tries) = (step.as_str(), role.as_str(), tries(retry));
    format!("| {step} | {role} | {after} | {does} | {good} | {bad} | {undo} | {deadline} | {tries} |\n")
}

fn names(kinds: &[EventType]) -> String {
    if kinds.is_empty() {
        return "-".to_owned();
    }
    kinds.iter().map(|kind| format!("`{}`", kind.name())).collect::<Vec<_>>().join(" ")
}

fn tries(retry: &Retry) -> String {
    let then = match retry.then {
        GiveUp::Attention => "attention",
        GiveUp::DeadLetter => "dead letter",
    };
    let tries = retry.tries.map_or_else(|| "until the time limit".to_owned(), |tries| tries.to_string());
    format!("{tries}, {:?} to {:?} apart; then {then}", retry.first, retry.longest)
}

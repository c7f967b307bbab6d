//! Checks of values that are well formed and still cannot be meant.

use std::collections::BTreeSet;

use ordermill_core::id::CustomerId;
use ordermill_core::limits::{EVENT_BYTES_MAX, SUBMIT_INPUTS_MAX};
use ordermill_core::mail::Email;
use ordermill_core::process::Role;

use crate::auth::Token;
use crate::period::Period;
use crate::section::Config;
use crate::{auth, listen};

/// What is wrong, as key and message, in the order of the sections.
pub fn problems(config: &Config) -> Vec<(&'static str, String)> {
    let mut found = Vec::new();
    let mut report = |key, checked: Result<(), String>| {
        if let Err(message) = checked {
            found.push((key, message));
        }
    };
    if config.data.as_os_str().is_empty() {
        report("data", Err("must name a directory".to_owned()));
    }
    // Without the role nobody can order anything, wherever they come from: there are health and metrics alone.
    if config.roles.0.contains(&Role::Api) {
        report("http.listen", listen::check(config.http.listen, config.http.allow_unauthenticated));
        for (key, auth) in config.wire.auths() {
            report(key, auth::check_wire(key, auth, config.http.listen, config.auth.tokens.len()));
        }
    }
    report("auth.tokens", tokens(&config.auth.tokens));
    report("http.cors_origins", config.http.cors_origins.iter().try_for_each(|text| origin(text)));
    report("wire.orchestrator.functions", functions(&config.wire.orchestrator.functions));
    report("records.batch_records", within(config.records.batch_records, 1, 100_000));
    report("records.batch_bytes", within(config.records.batch_bytes, EVENT_BYTES_MAX, 1024 * 1024 * 1024));
    report("records.queue_batch", within(config.records.queue_batch, 1, SUBMIT_INPUTS_MAX));
    report("records.concurrency", within(config.records.concurrency, 1, 1_000));
    report("records.share_percent", within(config.records.share_percent, 1, 100));
    report("http.connections_max", within(config.http.connections_max, 1, 1_000_000));
    report("http.requests_max", within(config.http.requests_max, 1, 1_000_000));
    report("http.waits_max", within(config.http.waits_max, 1, 1_000_000));
    report("http.bulks_max", within(config.http.bulks_max, 1, 10_000));
    report("http.streams_max", within(config.http.streams_max, 1, 1_000_000));
    let postgres = &config.postgres;
    report("postgres.connections", within(postgres.connections, 5, 1_000));
    report("postgres.committers", within(postgres.committers, 1, 64).and_then(|()| postgres.check_committers()));
    report("postgres.answer_max", between(postgres.answer_max, "1s", "5m"));
    report("postgres.lease", between(postgres.lease, "1s", "10m"));
    report("postgres.poll", between(postgres.poll, "10ms", "1m"));
    report("intake.undecided_max", within(config.intake.undecided_max, 1, 10_000_000));
    report("provider.concurrency", within(config.provider.concurrency, 1, 10_000));
    report("provider.breaker_failure_rate", rate(config.provider.breaker_failure_rate));
    report("provider.breaker_calls_min", within(config.provider.breaker_calls_min, 1, 1_000_000));
    report("sandbox.listen", listen::check_sandbox(config.sandbox.listen, config.sandbox.allow_unauthenticated));
    let faults = [
        ("sandbox.fail_before_rate", config.sandbox.fail_before_rate),
        ("sandbox.lose_answer_rate", config.sandbox.lose_answer_rate),
        ("sandbox.slow_rate", config.sandbox.slow_rate),
    ];
    for (key, fault) in faults {
        report(key, rate(fault));
    }
    let together: f64 = faults.iter().map(|(_, fault)| fault).sum();
    if together > 1.0 {
        report("sandbox.slow_rate", Err("the three rates of faults must not exceed 1 together".to_owned()));
    }
    report("notifications.from", Email::new(address(&config.notifications.from)).map(drop));
    report("notifications.batch", within(config.notifications.batch, 1, 10_000));
    report("archive.share_percent", within(config.archive.share_percent, 1, 100));
    report("archive.concurrency", within(config.archive.concurrency, 1, 10_000));
    found
}

/// The address in `Shop <orders@example.com>` or in an address alone.
fn address(from: &str) -> &str {
    match from.rsplit_once('<') {
        Some((_, address)) => address.trim_end().trim_end_matches('>'),
        None => from,
    }
}

fn within<N: PartialOrd + std::fmt::Display>(value: N, min: N, max: N) -> Result<(), String> {
    if value >= min && value <= max {
        return Ok(());
    }
    Err(format!("must be from {min} to {max}, is {value}"))
}

fn between(period: Period, min: &str, max: &str) -> Result<(), String> {
    let is_between = min.parse().is_ok_and(|min| period >= min) && max.parse().is_ok_and(|max| period <= max);
    if is_between { Ok(()) } else { Err(format!("must be from {min} to {max}, is {period}")) }
}

/// Two callers with one token could not be told apart.
fn tokens(tokens: &[Token]) -> Result<(), String> {
    let mut seen = BTreeSet::new();
    for (index, token) in tokens.iter().enumerate() {
        CustomerId::new(token.subject.as_str()).map_err(|error| format!("subject of entry {}: {error}", index + 1))?;
        let is_bad = |scope: &&String| scope.is_empty() || scope.contains(char::is_whitespace);
        if let Some(scope) = token.scopes.iter().find(is_bad) {
            return Err(format!("entry {}: {scope:?} is no scope; one looks like \"orders:write\"", index + 1));
        }
        if !seen.insert(token.token.to_string()) {
            return Err(format!("entry {}: {} is there twice", index + 1, token.token));
        }
    }
    Ok(())
}

/// `*`, or what a browser sends as `Origin`: scheme, host and port, nothing behind them.
fn origin(text: &str) -> Result<(), String> {
    let host = ["https://", "http://"].into_iter().find_map(|scheme| text.strip_prefix(scheme));
    let is_origin = host.is_some_and(|host| {
        !host.is_empty() && host.bytes().all(|byte| byte.is_ascii_graphic() && !b"/?#@*".contains(&byte))
    });
    if text == "*" || is_origin {
        return Ok(());
    }
    Err(format!("{text:?} is no origin; one looks like \"https://shop.example.com\", and \"*\" stands for any"))
}

fn functions(names: &[String]) -> Result<(), String> {
    let is_bad = |name: &&String| name.is_empty() || name.chars().any(|c| c.is_whitespace() || c == '/');
    match names.iter().find(is_bad) {
        Some(name) => Err(format!("{name:?} is no name of a function")),
        None => Ok(()),
    }
}

fn rate(rate: f64) -> Result<(), String> {
    // Not a number fails this as well.
    if (0.0..=1.0).contains(&rate) {
        return Ok(());
    }
    Err(format!("must be from 0 to 1, is {rate}"))
}

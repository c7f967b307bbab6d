//! Checks of values that are well formed and still cannot be meant.

use ordermill_core::mail::Email;

use crate::listen;
use crate::section::Config;

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
    report("http.listen", listen::check(config.http.listen, config.http.allow_unauthenticated));
    report("http.connections_max", within(config.http.connections_max, 1, 1_000_000));
    report("http.requests_max", within(config.http.requests_max, 1, 1_000_000));
    report("http.waits_max", within(config.http.waits_max, 1, 1_000_000));
    report("http.bulks_max", within(config.http.bulks_max, 1, 10_000));
    report("http.streams_max", within(config.http.streams_max, 1, 1_000_000));
    report("intake.undecided_max", within(config.intake.undecided_max, 1, 10_000_000));
    report("provider.concurrency", within(config.provider.concurrency, 1, 10_000));
    report("provider.breaker_failure_rate", rate(config.provider.breaker_failure_rate));
    report("provider.breaker_calls_min", within(config.provider.breaker_calls_min, 1, 1_000_000));
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

fn rate(rate: f64) -> Result<(), String> {
    // Not a number fails this as well.
    if (0.0..=1.0).contains(&rate) {
        return Ok(());
    }
    Err(format!("must be from 0 to 1, is {rate}"))
}

//! The metrics recorder: buckets and descriptions.

use metrics::{Unit, describe_counter, describe_gauge, describe_histogram};
use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder};

/// For latencies in seconds: from a commit in memory (100 us) to a payment provider at its time limit (30 s).
const SECONDS: [f64; 17] =
    [0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];

/// For sizes of batches: powers of two up to the largest submission.
const SIZES: [f64; 11] = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1024.0];

/// A recorder with buckets by the unit at the end of a metric's name.
pub fn builder() -> Result<PrometheusBuilder, BuildError> {
    PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &SECONDS)?
        .set_buckets_for_metric(Matcher::Suffix("_inputs".to_owned()), &SIZES)
}

/// Says what each metric means.
pub fn describe() {
    describe_orders();
    describe_roles();
    describe_surroundings();
}

fn describe_orders() {
    describe_counter!("ordermill_orders_total", "Orders decided, by outcome.");
    describe_counter!("ordermill_mails_sent_total", "Mails handed over and committed, by kind.");
    describe_counter!("ordermill_tracking_moves_total", "Moves of parcels that orders have taken.");
    describe_counter!("ordermill_tracking_reports_total", "Reports of carriers, by what came of each.");
    describe_counter!("ordermill_tracking_unmatched_total", "Reports of parcels that belong to no order known here.");
    describe_counter!("ordermill_records_stored_total", "Records whose object is written and committed.");
    describe_gauge!("ordermill_undecided_orders", Unit::Count, "Orders that are not decided yet.");
    describe_gauge!("ordermill_attention_orders", Unit::Count, "Orders that wait for a person.");
    describe_gauge!(
        "ordermill_ledger_queue_inputs",
        Unit::Count,
        "Inputs that wait for the ledger's writer, by source."
    );
    describe_counter!("ordermill_commit_failures_total", "Commits that failed; nothing of them was kept.");
    describe_gauge!(
        "ordermill_ledger_clock_offset_seconds",
        Unit::Seconds,
        "How far this machine's clock is ahead of the ledger's server; less than nothing where it is behind."
    );
    describe_histogram!("ordermill_commit_inputs", Unit::Count, "Inputs that shared one commit.");
    describe_histogram!("ordermill_commit_seconds", Unit::Seconds, "Time of one commit, until it was durable.");
}

fn describe_roles() {
    describe_gauge!("ordermill_role_lag", Unit::Count, "Events in the feed that a role has not settled yet.");
    describe_gauge!("ordermill_role_parked", Unit::Count, "Deliveries of a role that wait for another try.");
    describe_gauge!(
        "ordermill_role_oldest_age_seconds",
        Unit::Seconds,
        "Age of the oldest event that a role has not settled."
    );
    describe_counter!("ordermill_role_deliveries_total", "Deliveries a role has settled.");
    describe_counter!("ordermill_role_retries_total", "Deliveries a role has put off.");
    describe_counter!("ordermill_role_dead_letters_total", "Deliveries a role has given up.");
    describe_gauge!(
        "ordermill_dead_letters",
        Unit::Count,
        "Dead letters there are now, by the role that gave up; of all roles together the oldest 10,000 are counted."
    );
    describe_counter!("ordermill_role_panics_total", "Defects met by a role; it went on.");
    describe_counter!(
        "ordermill_relay_events_total",
        "Events that the relay has handed to the broker, answered by it."
    );
    describe_counter!("ordermill_kafka_duplicates_total", "Messages that a role had settled before and dropped.");
    describe_counter!(
        "ordermill_kafka_reader_failures_total",
        "How often what reads for a role has failed, and begun anew. Should stay at 0."
    );
    describe_counter!(
        "ordermill_kafka_lost_messages_total",
        "Messages that the broker deleted before a role read them. The ledger has their events."
    );
    describe_counter!("ordermill_kafka_unreadable_total", "Messages that a role could not read and set aside.");
    describe_gauge!(
        "ordermill_kafka_connected",
        "1 while this process has a connection to the broker, 0 while it has none."
    );
    describe_gauge!(
        "ordermill_kafka_held",
        Unit::Count,
        "Messages that hold the offsets of a role's partitions: only a newer program reads them, or they cannot be set aside."
    );
}

fn describe_surroundings() {
    describe_counter!("ordermill_http_requests_total", "Requests answered, by route and status.");
    describe_histogram!(
        "ordermill_http_request_seconds",
        Unit::Seconds,
        "Time to answer a request, by route and status."
    );
    describe_counter!("ordermill_gateway_calls_total", "Calls to a gateway, by gateway, operation and result.");
    describe_histogram!(
        "ordermill_gateway_call_seconds",
        Unit::Seconds,
        "Time of a call to a gateway, by gateway, operation and result."
    );
    describe_gauge!("process_uptime_seconds", Unit::Seconds, "Time since the process started.");
    describe_gauge!("process_resident_memory_bytes", Unit::Bytes, "Memory of the process in use.");
    describe_gauge!("process_open_fds", Unit::Count, "Files and sockets open.");
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;

    use super::*;

    #[test]
    fn histograms_get_buckets_by_their_unit() {
        let recorder = builder().expect("the buckets are not empty").build_recorder();
        metrics::with_local_recorder(&recorder, || {
            describe();
            metrics::histogram!("ordermill_test_seconds").record(0.002);
            metrics::histogram!("ordermill_test_inputs").record(3.0);
            metrics::counter!("ordermill_orders_total", "outcome" => "confirmed").increment(2);
        });
        let text = recorder.handle().render();
        assert!(text.contains("ordermill_test_seconds_bucket{le=\"0.0025\"} 1"), "{text}");
        assert!(text.contains("ordermill_test_inputs_bucket{le=\"2\"} 0"), "{text}");
        assert!(text.contains("ordermill_orders_total{outcome=\"confirmed\"} 2"), "{text}");
        assert!(text.contains("# HELP ordermill_orders_total Orders decided"), "{text}");
    }

    /// The names in `counter!("…")`, `gauge!("…")` and `histogram!("…")`, and of constants that are used there.
    fn names_in(source: &str, names: &mut BTreeSet<String>) {
        let code = source.split("#[cfg(test)]").next().unwrap_or_default();
        for (at, _) in code.match_indices("\"ordermill_") {
            let before = code[..at].trim_end();
            let is_metric = ["counter!(", "gauge!(", "histogram!(", "&str ="].iter().any(|end| before.ends_with(end));
            if is_metric && !before.contains("describe_counter") {
                names.extend(code[at + 1..].split('"').next().map(str::to_owned));
            }
        }
    }

    fn walk(dir: &Path, names: &mut BTreeSet<String>) {
        for entry in std::fs::read_dir(dir).expect("the sources are there") {
            let path = entry.expect("the sources are there").path();
            if path.is_dir() {
                walk(&path, names);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                names_in(&std::fs::read_to_string(&path).expect("the sources are text"), names);
            }
        }
    }

    /// Here, and in the documents.
    #[test]
    fn every_metric_of_the_program_is_described() {
        let mut names = BTreeSet::new();
        let crates = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        for part in std::fs::read_dir(crates).expect("the sources are there").flatten() {
            walk(&part.path().join("src"), &mut names);
        }
        assert!(names.len() > 10, "{names:?}");
        let described = include_str!("metric.rs");
        let documented = include_str!("../../../docs/metrics.md");
        let is_missing =
            |name: &&String| !described.contains(&format!("\"{name}\"")) || !documented.contains(&format!("`{name}"));
        let missing: Vec<_> = names.iter().filter(is_missing).collect();
        assert!(missing.is_empty(), "not described: {missing:?}");
    }
}

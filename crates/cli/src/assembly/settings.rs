//! The settings of the parts, as the configuration has them.

use std::time::Duration;

use ordermill_config as config;
use ordermill_config::Config;
use ordermill_engine::{BatchLimits, RecordsLayout};
use ordermill_http::{WireAuth, WireSettings};

/// Of the roles.
pub(super) fn engine(config: &Config) -> ordermill_engine::Settings {
    ordermill_engine::Settings {
        payments_concurrency: config.provider.concurrency,
        mail_batch: config.notifications.batch,
        archive_settle: config.archive.settle.std(),
        archive_batch: config.archive.concurrency,
        archive_share_percent: config.archive.share_percent,
        records_layout: match config.records.layout {
            config::RecordLayout::Object => RecordsLayout::Object,
            config::RecordLayout::Batch => RecordsLayout::Batch(batch_limits(&config.records)),
        },
        records_batch: config.records.queue_batch,
        records_concurrency: config.records.concurrency,
        records_poll_interval: config.records.poll_interval.std(),
        records_share_percent: config.records.share_percent,
        sweep_interval: config.process.sweep_interval.std(),
        stop_grace: config.process.stop_grace.std(),
    }
}

const fn batch_limits(records: &config::Records) -> BatchLimits {
    BatchLimits { records: records.batch_records, bytes: records.batch_bytes, age: records.batch_age.std() }
}

/// Of the interface.
pub(super) fn http(config: &Config) -> ordermill_http::Settings {
    let options = &config.http;
    ordermill_http::Settings {
        connections_max: options.connections_max,
        requests_max: options.requests_max,
        waits_max: options.waits_max,
        bulks_max: options.bulks_max,
        streams_max: options.streams_max,
        head_read_timeout: options.head_timeout.std(),
        body_read_timeout: options.body_timeout.std(),
        bulk_idle_timeout: options.bulk_idle_timeout.std(),
        bulk_patience: options.bulk_patience.std(),
        idle_timeout: options.idle_timeout.std(),
        write_timeout: options.write_timeout.std(),
        request_timeout: options.request_timeout.std(),
        prefer_wait_max: options.wait_max.std(),
        drain_timeout: options.drain_timeout.std(),
        cors_origins: options.cors_origins.iter().map(|origin| origin.as_str().into()).collect(),
        wire: wire(config),
        ..ordermill_http::Settings::default()
    }
}

fn wire(config: &Config) -> WireSettings {
    let wire = &config.wire;
    // The configuration is refused where the default would open routes to the network.
    let auth = |auth: config::WireAuth| match auth {
        config::WireAuth::NoneOnLoopback | config::WireAuth::None => WireAuth::None,
        config::WireAuth::Token => WireAuth::Token,
    };
    WireSettings {
        order_api_auth: auth(wire.order_api.auth),
        order_api_currency: wire.order_api.currency,
        order_api_patience: wire.order_api.patience.std(),
        order_api_recovery_after: recovery_after(config),
        orchestrator_auth: auth(wire.orchestrator.auth),
        orchestrator_currency: wire.orchestrator.currency,
        orchestrator_functions: wire.orchestrator.functions.iter().map(|name| name.as_str().into()).collect(),
        tracking_auth: auth(wire.tracking.auth),
        records_token: config.records.token.clone(),
        records_strict: config.records.strict,
        free_text_payment_is_ok: config.payments == config::PaymentProvider::Sandbox,
    }
}

/// Beyond the patience with an order, for the process that waits for it: to call it off.
#[cfg(feature = "postgres")]
const CALLING_OFF: Duration = Duration::from_secs(5);

/// When a process that has begun calls off what another has left behind: where others serve the same ledger, only when what is left
/// cannot be theirs.
fn recovery_after(config: &Config) -> Duration {
    match &config.ledger {
        config::Ledger::Sqlite(_) | config::Ledger::Memory => Duration::ZERO,
        #[cfg(feature = "postgres")]
        config::Ledger::Postgres(_) => config.wire.order_api.patience.std() + CALLING_OFF,
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::Arc;

    use ordermill_embedded::{sandbox, sqlite};
    use ordermill_ports::clock::SystemClock;
    use ordermill_ports::decorator::breaker;

    use super::*;

    #[test]
    fn the_defaults_of_the_configuration_are_those_of_the_parts() {
        let config = Config::with_defaults(Path::new("shop"));
        let mut interface = ordermill_http::Settings::default();
        // The default provider is the sandbox.
        interface.wire.free_text_payment_is_ok = true;
        assert_eq!(http(&config), interface);
        let (ours, theirs) = (engine(&config), ordermill_engine::Settings::default());
        assert_eq!(ours, theirs);
        assert_eq!(batch_limits(&config.records), BatchLimits::default());
        let options = sqlite::Options::new("x", Arc::new(SystemClock));
        assert_eq!(config.intake.undecided_max, options.undecided_max);
        let breaker = breaker::Settings::default();
        assert_eq!(config.provider.breaker_failure_rate, breaker.failure_rate);
        assert_eq!(config.provider.breaker_calls_min, breaker.calls_min);
        assert_eq!(config.provider.breaker_window.std(), breaker.window);
        assert_eq!(config.provider.breaker_open_for.std(), breaker.open_for);
        assert_eq!(config.sandbox.slow.std(), sandbox::Options::default().slow);
    }
}

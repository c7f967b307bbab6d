//! Apache Kafka between the ledger and the roles.

use std::sync::Arc;

use anyhow::Result;
use ordermill_config::Config;
use ordermill_core::process::Role;
use ordermill_embedded::secrets::LocalSecrets;
use ordermill_kafka::{KafkaBus, KafkaLedger, KafkaPublisher, Options};
use ordermill_ports::{Bus, Ledger, Queries};
use ordermill_postgres::PgLedger;

use super::ledger::Store;
use crate::exit::BadOption;

/// Puts the broker before a ledger.
pub(super) async fn open(config: &Config, url: &str, ledger: Arc<PgLedger>) -> Result<Store> {
    let options = options(config, url)?;
    let roles = &config.roles.0;
    let needs_broker = |role: &Role| *role == Role::Relay || !role.reacts_to().is_empty();
    // A process that only takes orders starts and works without the broker.
    let publisher = match roles.iter().any(needs_broker) {
        true => KafkaPublisher::open(options.clone()).await?,
        false => KafkaPublisher::connect(options.clone()).await?,
    };
    let (inner, queries) = (Arc::clone(&ledger) as Arc<dyn Bus>, Arc::clone(&ledger) as Arc<dyn Queries>);
    let (callers, clock) = (ledger.for_callers(), ledger.clock());
    let bus = KafkaBus::open(&options, inner, Arc::clone(&queries), Arc::clone(&publisher), roles).await?;
    let ledger = KafkaLedger::new(ledger as Arc<dyn Ledger>, Arc::clone(&bus));
    Ok(Store { ledger, queries, callers, bus, publisher: Some(publisher), clock })
}

/// How the configuration has it opened.
///
/// # Errors
/// The URL cannot be understood.
pub(super) fn options(config: &Config, url: &str) -> Result<Options, BadOption> {
    let mut options = Options::from_url(url).map_err(|error| BadOption::new("bus", error))?;
    options.secrets = Some(Arc::new(LocalSecrets::new(&config.data)));
    Ok(options)
}

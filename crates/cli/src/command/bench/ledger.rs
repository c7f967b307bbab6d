//! The ledger under test.

use std::path::Path;
use std::str::FromStr;

use anyhow::Result;

use super::bus::BusUrl;
use super::cluster::Layout;
use super::figures::{Figures, Variant};
use super::import::{self, Files, Imported};
use super::measure::Plan;
#[cfg(feature = "postgres")]
use super::place::Place;

/// Where a server of the benchmark keeps its ledger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum LedgerKind {
    /// In a file.
    Sqlite,
    /// In memory.
    Memory,
    /// In this database.
    Postgres(String),
}

impl FromStr for LedgerKind {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "sqlite" => Ok(Self::Sqlite),
            "memory" => Ok(Self::Memory),
            url if url.starts_with("postgres://") || url.starts_with("postgresql://") => {
                if cfg!(feature = "postgres") {
                    Ok(Self::Postgres(url.to_owned()))
                } else {
                    Err("a ledger on PostgreSQL needs the feature `postgres`, which this build does not have"
                        .to_owned())
                }
            }
            _ => Err("must be sqlite, memory or postgres://USER@HOST:PORT/DATABASE".to_owned()),
        }
    }
}

impl LedgerKind {
    pub(super) const fn variant(&self) -> Variant {
        match self {
            Self::Sqlite => Variant::Sqlite,
            Self::Memory => Variant::Memory,
            Self::Postgres(_) => Variant::Postgres,
        }
    }

    /// Where the next run on PostgreSQL is to be, with a broker or without.
    #[cfg(feature = "postgres")]
    async fn place(&self, variant: Variant, bus: Option<&BusUrl>) -> Result<Place> {
        match self {
            Self::Postgres(url) => Place::make(url, bus.filter(|_| variant == Variant::PostgresKafka)).await,
            _ => anyhow::bail!("this ledger is not on PostgreSQL"),
        }
    }

    /// One run on PostgreSQL.
    #[cfg(feature = "postgres")]
    pub(super) async fn measure(
        &self,
        plan: &Plan,
        variant: Variant,
        bus: Option<&BusUrl>,
        data: &Path,
    ) -> Result<Figures> {
        super::postgres::measure(plan, variant, self.place(variant, bus).await?, data).await
    }

    /// This build has none.
    #[cfg(not(feature = "postgres"))]
    #[expect(clippy::unused_async, reason = "with PostgreSQL there is something to wait for")]
    pub(super) async fn measure(&self, _: &Plan, _: Variant, _: Option<&BusUrl>, _: &Path) -> Result<Figures> {
        anyhow::bail!("this build measures nothing on PostgreSQL")
    }

    /// One import.
    #[cfg_attr(not(feature = "postgres"), expect(unused_variables, reason = "this build has no broker"))]
    pub(super) async fn import(
        &self,
        files: Files<'_>,
        plan: &Plan,
        variant: Variant,
        bus: Option<&BusUrl>,
        data: &Path,
    ) -> Result<Imported> {
        let environment = plan.environment_of(variant);
        // What is on no server is not shared.
        let layout = match variant {
            Variant::Postgres | Variant::PostgresKafka => plan.layout,
            _ => Layout::One,
        };
        match variant {
            #[cfg(feature = "postgres")]
            Variant::Postgres | Variant::PostgresKafka => {
                let place = self.place(variant, bus).await?;
                let environment: Vec<_> = environment.into_iter().chain(place.settings()).collect();
                let outcome = import::measure(files, variant, data, &environment, layout).await;
                place.leave(outcome).await
            }
            _ => import::measure(files, variant, data, &environment, layout).await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ledgers_are_named() {
        assert_eq!("sqlite".parse(), Ok(LedgerKind::Sqlite));
        assert_eq!("memory".parse(), Ok(LedgerKind::Memory));
        assert!("mysql://x".parse::<LedgerKind>().is_err());
        let postgres = "postgres://postgres@127.0.0.1:5432/orders".parse::<LedgerKind>();
        assert_eq!(postgres.is_ok(), cfg!(feature = "postgres"), "{postgres:?}");
    }
}

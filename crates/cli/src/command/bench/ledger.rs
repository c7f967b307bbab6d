//! The ledger under test.

use std::path::Path;
use std::str::FromStr;

use anyhow::Result;

use super::figures::{Figures, Variant};
use super::import::{self, Imported};
use super::measure::Plan;

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

    /// One run on PostgreSQL.
    #[cfg_attr(not(feature = "postgres"), expect(unused_variables, reason = "this build measures none of them"))]
    pub(super) async fn measure(&self, plan: &Plan, processes: Option<u16>, data: &Path) -> Result<Figures> {
        match self {
            #[cfg(feature = "postgres")]
            Self::Postgres(url) => super::postgres::measure(plan, url, processes, data).await,
            _ => anyhow::bail!("this ledger is not on PostgreSQL"),
        }
    }

    /// One import.
    pub(super) async fn import(
        &self,
        orders: &Path,
        products: &Path,
        data: &Path,
        environment: Vec<(String, String)>,
    ) -> Result<Imported> {
        match self {
            #[cfg(feature = "postgres")]
            Self::Postgres(url) => {
                let schema = super::postgres::Schema::make(url).await?;
                let environment: Vec<_> = environment.into_iter().chain([schema.setting()]).collect();
                let imported = import::measure(orders, products, data, &environment).await;
                schema.remove().await?;
                imported
            }
            _ => import::measure(orders, products, data, &environment).await,
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

//! The schema and how it is brought up to date.

use tokio_postgres::Client;

use crate::error::OpenError;

/// One step from a schema to the next.
struct Step {
    sql: &'static str,
    /// The oldest schema that a program may have been made for and still run on the one that this step leaves. While a release is rolled
    /// out its processes run beside those of the release before, so this is never newer than what that release knows: what a step takes
    /// away, the programs of two releases have done without.
    oldest: i32,
}

/// Every step; one that was released is never changed.
const STEPS: &[Step] = &[
    Step { sql: include_str!("../migrations/0001_ledger.sql"), oldest: 1 },
    Step { sql: include_str!("../migrations/0002_parked.sql"), oldest: 1 },
    Step { sql: include_str!("../migrations/0003_setups.sql"), oldest: 1 },
];

/// Of the advisory lock under which one process at a time looks at the schema and changes it: "OMil", beside a number of the schema's name.
pub(crate) const LOCK_SPACE: i32 = 0x4f4d_696c;

/// The newest version this program knows.
pub(crate) fn newest() -> i32 {
    i32::try_from(STEPS.len()).expect("there are few migrations")
}

/// Brings the schema up to date, all steps in one transaction under a lock that other processes wait for. A schema of a newer program is
/// left as it is, where that allows programs like this one beside it.
///
/// # Errors
/// [`OpenError::Newer`] for a schema of a newer program that does not, [`OpenError::Foreign`] for one that is not ours.
pub(crate) async fn migrate(client: &mut Client, schema: &str) -> Result<(), OpenError> {
    let tx = client.transaction().await?;
    tx.batch_execute("SET LOCAL lock_timeout TO 0; SET LOCAL statement_timeout TO 0").await?;
    tx.execute("SELECT pg_advisory_xact_lock($1, hashtext($2))", &[&LOCK_SPACE, &schema]).await?;
    let found = look(&tx, schema).await?;
    found.check_allows(schema)?;
    if found.is_importing {
        return Err(OpenError::Importing { schema: schema.to_owned() });
    }
    if found.version > newest() {
        tracing::info!(
            schema,
            version = found.version,
            "the ledger is of a newer release, beside which this one may run"
        );
    }
    if found.version == 0 {
        // Somebody without the right to make a schema can have it made for them.
        let exists = tx.query_opt("SELECT FROM pg_namespace WHERE nspname = $1", &[&schema]).await?.is_some();
        if !exists {
            tx.batch_execute(&format!("CREATE SCHEMA {schema}")).await?;
        }
        let none =
            "CREATE TABLE schema_version (one boolean PRIMARY KEY DEFAULT true CHECK (one), version integer NOT NULL,
                        oldest integer NOT NULL);
                    INSERT INTO schema_version (version, oldest) VALUES (0, 0)";
        tx.batch_execute(none).await?;
    }
    // Whoever waits for a table keeps everybody behind it waiting, so this does not wait for long.
    tx.batch_execute("SET LOCAL lock_timeout TO '5s'").await?;
    for (step, version) in STEPS.iter().zip(1..).skip(usize::try_from(found.version).unwrap_or(0)) {
        tx.batch_execute(step.sql).await?;
        tx.execute("UPDATE schema_version SET version = $1, oldest = $2", &[&version, &step.oldest]).await?;
        tracing::info!(schema, version, "migrated the ledger");
    }
    Ok(tx.commit().await?)
}

/// Whether the schema is one that this program can read, without changing it. One that an import is filling is refused unless it
/// `may_be_filled`.
///
/// # Errors
/// [`OpenError::Absent`] where there is none, [`OpenError::Older`] for one that was not brought up to date yet, and those of [`migrate`].
pub(crate) async fn check(client: &mut Client, schema: &str, may_be_filled: bool) -> Result<(), OpenError> {
    let tx = client.transaction().await?;
    let found = look(&tx, schema).await?;
    if found.version == 0 {
        return Err(OpenError::Absent { schema: schema.to_owned() });
    }
    if found.version < newest() {
        return Err(OpenError::Older { schema: schema.to_owned(), found: found.version, known: newest() });
    }
    if found.is_importing && !may_be_filled {
        return Err(OpenError::Importing { schema: schema.to_owned() });
    }
    found.check_allows(schema)
}

/// What a schema says of itself.
pub(crate) struct Found {
    /// 0 where there is none.
    pub(crate) version: i32,
    /// Programs made for this one, or a newer one, may run on it.
    oldest: i32,
    /// Whether an import has begun to fill it and not ended.
    pub(crate) is_importing: bool,
}

impl Found {
    fn check_allows(&self, schema: &str) -> Result<(), OpenError> {
        if self.oldest <= newest() {
            return Ok(());
        }
        Err(OpenError::Newer { schema: schema.to_owned(), found: self.version, known: newest() })
    }
}

/// Looks at a schema.
///
/// # Errors
/// [`OpenError::Foreign`] for one that is not ours.
pub(crate) async fn look(tx: &tokio_postgres::Transaction<'_>, schema: &str) -> Result<Found, OpenError> {
    let sql = "SELECT tablename FROM pg_tables WHERE schemaname = $1";
    let tables = tx.query(sql, &[&schema]).await?;
    let has = |name: &str| tables.iter().any(|row| row.get::<_, &str>(0) == name);
    if tables.is_empty() {
        return Ok(Found { version: 0, oldest: 0, is_importing: false });
    }
    if !has("schema_version") {
        return Err(OpenError::Foreign { schema: schema.to_owned() });
    }
    // By its whole name: whoever has no right to the schema is told so, and not that there is no such table.
    let row = tx.query_one(&format!("SELECT version, oldest FROM {schema}.schema_version"), &[]).await?;
    Ok(Found { version: row.get(0), oldest: row.get(1), is_importing: has("moving") })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_may_run_on_what_it_makes() {
        let mut before = 1;
        for (step, version) in STEPS.iter().zip(1..) {
            assert!(
                (before..=version).contains(&step.oldest),
                "step {version}: it only rises, and never beyond the step"
            );
            before = step.oldest;
        }
    }
}

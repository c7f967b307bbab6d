//! The schema and how it is brought up to date.

use tokio_postgres::Client;

use crate::error::OpenError;

/// Every step from one schema to the next; a step that was released is never changed.
const MIGRATIONS: &[&str] = &[include_str!("../migrations/0001_ledger.sql")];

/// Of the advisory lock under which one process at a time looks at the schema and changes it: "OMil", beside a number of the schema's name.
const LOCK_SPACE: i32 = 0x4f4d_696c;

/// The newest version this program knows.
fn newest() -> i32 {
    i32::try_from(MIGRATIONS.len()).expect("there are few migrations")
}

/// Brings the schema up to date, all steps in one transaction under a lock that other processes wait for.
///
/// # Errors
/// [`OpenError::Newer`] for a schema of a newer program, [`OpenError::Foreign`] for one that is not ours.
pub(crate) async fn migrate(client: &mut Client, schema: &str) -> Result<(), OpenError> {
    let tx = client.transaction().await?;
    tx.execute("SELECT pg_advisory_xact_lock($1, hashtext($2))", &[&LOCK_SPACE, &schema]).await?;
    let found = version(&tx, schema).await?;
    if found > newest() {
        return Err(OpenError::Newer { schema: schema.to_owned(), found, known: newest() });
    }
    if found == 0 {
        // Somebody without the right to make a schema can have it made for them.
        let exists = tx.query_opt("SELECT FROM pg_namespace WHERE nspname = $1", &[&schema]).await?.is_some();
        if !exists {
            tx.batch_execute(&format!("CREATE SCHEMA {schema}")).await?;
        }
        let none =
            "CREATE TABLE schema_version (one boolean PRIMARY KEY DEFAULT true CHECK (one), version integer NOT NULL);
                    INSERT INTO schema_version (version) VALUES (0)";
        tx.batch_execute(none).await?;
    }
    for version in found + 1..=newest() {
        let step = MIGRATIONS[usize::try_from(version - 1).unwrap_or(0)];
        tx.batch_execute("SET LOCAL statement_timeout TO 0").await?;
        tx.batch_execute(step).await?;
        tx.execute("UPDATE schema_version SET version = $1", &[&version]).await?;
        tracing::info!(schema, version, "migrated the ledger");
    }
    Ok(tx.commit().await?)
}

/// Whether the schema is the one that this program knows, without changing it.
///
/// # Errors
/// [`OpenError::Older`] for one that was not brought up to date yet or is not there, and those of [`migrate`].
pub(crate) async fn check(client: &mut Client, schema: &str) -> Result<(), OpenError> {
    let tx = client.transaction().await?;
    let found = version(&tx, schema).await?;
    match found.cmp(&newest()) {
        std::cmp::Ordering::Less => Err(OpenError::Older { schema: schema.to_owned(), found, known: newest() }),
        std::cmp::Ordering::Equal => Ok(()),
        std::cmp::Ordering::Greater => Err(OpenError::Newer { schema: schema.to_owned(), found, known: newest() }),
    }
}

/// The schema's version; 0 where there is none.
async fn version(tx: &tokio_postgres::Transaction<'_>, schema: &str) -> Result<i32, OpenError> {
    let sql = "SELECT tablename FROM pg_tables WHERE schemaname = $1";
    let tables = tx.query(sql, &[&schema]).await?;
    if tables.is_empty() {
        return Ok(0);
    }
    if !tables.iter().any(|row| row.get::<_, &str>(0) == "schema_version") {
        return Err(OpenError::Foreign { schema: schema.to_owned() });
    }
    Ok(tx.query_one("SELECT version FROM schema_version", &[]).await?.get(0))
}

//! The stores that are audited, read as the files they are.

use std::io;
use std::path::Path;
#[cfg(feature = "postgres")]
use std::sync::Arc;

use anyhow::{Result, bail};
use ordermill_config::{Config, Ledger, Mail, Objects, PaymentProvider};
use ordermill_embedded::{mail, sandbox, sqlite};
use ordermill_engine::audit::{OpenLedger, Parts, RecordStore, Visit};
use ordermill_ports::audit::{AuditError, LedgerSnapshot};
#[cfg(feature = "postgres")]
use ordermill_ports::{Clock, clock::SystemClock};

#[cfg(feature = "postgres")]
use crate::assembly::postgres;
use crate::exit::Usage;

/// The stores that the configuration names.
pub(super) fn parts(config: &Config) -> Result<Parts<'_>> {
    let ledger = ledger(config)?;
    let Objects::File(objects) = &config.objects;
    Ok(Parts {
        ledger,
        provider: Some(Box::new(move |visit| match &config.payments {
            PaymentProvider::Sandbox => sandbox::read_journal(&config.sandbox.journal, visit),
            PaymentProvider::SandboxAt(url) => sandbox::service::read_journal_at(url, visit),
        })),
        mails: Some(Box::new(move |end, visit| match &config.mail {
            Mail::Mbox(path) => mail::scan_mbox(path, end.filter(|end| is_that_long(path, *end)), visit),
            Mail::Maildir(path) => mail::scan_maildir(path, visit),
        })),
        archive: Some(Box::new(move |keys| read_objects(objects, keys))),
        records: Some(RecordStore {
            read: Box::new(move |keys| read_objects(objects, keys)),
            list: Box::new(move |prefix, visit| list_objects(objects, prefix, visit)),
        }),
    })
}

/// How one moment of the ledger is taken.
fn ledger(config: &Config) -> Result<OpenLedger<'_>> {
    match &config.ledger {
        Ledger::Sqlite(path) if !path.exists() => bail!("there is no ledger at {}", path.display()),
        Ledger::Sqlite(path) => {
            Ok(Box::new(move || Ok(Box::new(sqlite::Snapshot::open(path)?) as Box<dyn LedgerSnapshot>)))
        }
        Ledger::Memory => {
            Err(Usage("a ledger in memory can only be audited by the process that holds it".to_owned()).into())
        }
        #[cfg(feature = "postgres")]
        Ledger::Postgres(url) => {
            let clock: Arc<dyn Clock> = Arc::new(SystemClock);
            // A URL that cannot be meant is found out before anything is begun.
            postgres::options(config, url, Arc::clone(&clock))?;
            Ok(Box::new(move || match postgres::snapshot(config, url, Arc::clone(&clock)) {
                Ok(snapshot) => Ok(Box::new(snapshot) as Box<dyn LedgerSnapshot>),
                Err(error) => Err(AuditError(format!("{error:#}"))),
            }))
        }
    }
}

/// A mail file that is shorter than what was committed is read as far as it goes: the mails that are gone are findings, by name.
fn is_that_long(path: &Path, end: u64) -> bool {
    std::fs::metadata(path).is_ok_and(|data| data.len() >= end)
}

fn read_objects(directory: &Path, keys: &[String]) -> Result<Vec<Option<Vec<u8>>>, AuditError> {
    keys.iter().map(|key| read_object(directory, key)).collect()
}

/// Reads an object as the file it is: the auditor makes nothing, not even the directory of a store that is not there.
fn read_object(directory: &Path, key: &str) -> Result<Option<Vec<u8>>, AuditError> {
    match std::fs::read(directory.join(key)) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(AuditError(format!("cannot read the object {key}: {error}"))),
    }
}

/// Visits the key of every object below a prefix, likewise as the files they are.
fn list_objects(directory: &Path, prefix: &str, visit: &mut Visit<'_, String>) -> Result<(), AuditError> {
    let entries = match std::fs::read_dir(directory.join(prefix)) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(unlisted(prefix, &error)),
    };
    for entry in entries {
        let entry = entry.map_err(|error| unlisted(prefix, &error))?;
        let name = entry.file_name();
        let key = format!("{prefix}{}", name.to_string_lossy());
        if entry.file_type().map_err(|error| unlisted(prefix, &error))?.is_dir() {
            list_objects(directory, &format!("{key}/"), visit)?;
        } else if !is_being_written(&key) {
            visit(key)?;
        }
    }
    Ok(())
}

/// An object is written beside its place, under its name with `#` and a number, until it is whole.
fn is_being_written(key: &str) -> bool {
    key.rsplit_once('#')
        .is_some_and(|(_, number)| !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()))
}

fn unlisted(prefix: &str, error: &io::Error) -> AuditError {
    AuditError(format!("cannot list the objects below {prefix}: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn objects_are_listed_by_key_however_deep_they_lie() {
        let dir = tempfile::tempdir().expect("a directory can be made");
        let objects = dir.path().join("processed");
        let mut keys = Vec::new();
        let list = |keys: &mut Vec<String>| {
            list_objects(dir.path(), "processed/", &mut |key| {
                keys.push(key);
                Ok(())
            })
        };
        list(&mut keys).expect("a store that is not there is empty");
        assert!(keys.is_empty());
        std::fs::create_dir_all(objects.join("2026/11")).expect("directories can be made");
        for name in ["a.json", "2026/11/b.json", "2026/11/c.json#1", "d#x.json"] {
            std::fs::write(objects.join(name), "x").expect("the file can be written");
        }
        list(&mut keys).expect("it can be read");
        keys.sort();
        assert_eq!(keys, ["processed/2026/11/b.json", "processed/a.json", "processed/d#x.json"]);
    }
}

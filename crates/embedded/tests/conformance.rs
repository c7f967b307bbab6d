//! The adapters of this crate against the suites of their ports.

mod memory {
    use std::sync::Arc;

    use async_trait::async_trait;
    use ordermill_embedded::memory::MemoryLedger;
    use ordermill_ports::Clock;
    use ordermill_ports::audit::LedgerSnapshot;
    use ordermill_ports::conformance::{Audited, Backend, Harness, Settings};
    use parking_lot::Mutex;

    /// A ledger in memory: every opening is a new one, and the last is what the auditor reads.
    #[derive(Default)]
    struct Memory(Mutex<Option<Arc<MemoryLedger>>>);

    impl Audited for Memory {
        fn snapshot(&self) -> Box<dyn LedgerSnapshot> {
            Box::new(self.0.lock().as_ref().expect("a ledger is open").snapshot())
        }
    }

    #[async_trait]
    impl Harness for Memory {
        async fn open(&self, settings: &Settings) -> Backend {
            let clock = Arc::clone(&settings.clock) as Arc<dyn Clock>;
            let ledger = MemoryLedger::new(settings.policy.clone(), clock, settings.undecided_max);
            *self.0.lock() = Some(Arc::clone(&ledger));
            Backend::of(&ledger)
        }
    }

    ordermill_ports::ledger_suite!(crate::memory::Memory::default());
    ordermill_ports::snapshot_suite!(crate::memory::Memory::default());
}

mod sqlite {
    use std::path::PathBuf;
    use std::sync::Arc;

    use async_trait::async_trait;
    use ordermill_embedded::sqlite::{Options, Reader, Snapshot, SqliteLedger, Writer};
    use ordermill_ports::audit::LedgerSnapshot;
    use ordermill_ports::conformance::{Audited, Backend, Harness, Movable, Settings};
    use ordermill_ports::moving::{LedgerReader, LedgerWriter, MoveError};
    use ordermill_ports::{Clock, Ledger};
    use tempfile::TempDir;

    /// A database in a directory of its own.
    struct Database(TempDir);

    impl Database {
        fn new() -> Self {
            Self(TempDir::new().expect("a directory can be made"))
        }

        fn path(&self) -> PathBuf {
            self.0.path().join("ordermill.db")
        }
    }

    impl Audited for Database {
        fn snapshot(&self) -> Box<dyn LedgerSnapshot> {
            Box::new(Snapshot::open(&self.path()).expect("the auditor can read along"))
        }
    }

    fn options(database: &Database, settings: &Settings) -> Options {
        let mut options = Options::new(database.path(), Arc::clone(&settings.clock) as Arc<dyn Clock>);
        options.policy = settings.policy.clone();
        options.undecided_max = settings.undecided_max;
        options
    }

    #[async_trait]
    impl Harness for Database {
        async fn open(&self, settings: &Settings) -> Backend {
            Backend::of(&SqliteLedger::open(options(self, settings)).expect("the ledger opens"))
        }
    }

    #[async_trait]
    impl Movable for Database {
        fn another(&self) -> Box<dyn Movable> {
            Box::new(Self::new())
        }

        fn reader(&self) -> Result<Box<dyn LedgerReader>, MoveError> {
            Ok(Box::new(Reader::open(&self.path())?))
        }

        fn writer(&self) -> Result<Box<dyn LedgerWriter>, MoveError> {
            Ok(Box::new(Writer::open(&self.path())?))
        }

        async fn try_open(&self, settings: &Settings) -> Result<(), String> {
            let ledger = SqliteLedger::open(options(self, settings)).map_err(|error| error.to_string())?;
            ledger.close().await;
            Ok(())
        }
    }

    ordermill_ports::ledger_suite!(crate::sqlite::Database::new());
    ordermill_ports::durable_suite!(crate::sqlite::Database::new());
    ordermill_ports::snapshot_suite!(crate::sqlite::Database::new());
    ordermill_ports::moving_suite!(crate::sqlite::Database::new());
}

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
    use ordermill_embedded::sqlite::{Options, Snapshot, SqliteLedger};
    use ordermill_ports::Clock;
    use ordermill_ports::audit::LedgerSnapshot;
    use ordermill_ports::conformance::{Audited, Backend, Harness, Settings};
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

    #[async_trait]
    impl Harness for Database {
        async fn open(&self, settings: &Settings) -> Backend {
            let clock = Arc::clone(&settings.clock) as Arc<dyn Clock>;
            let mut options = Options::new(self.path(), clock);
            options.policy = settings.policy.clone();
            options.undecided_max = settings.undecided_max;
            Backend::of(&SqliteLedger::open(options).expect("the ledger opens"))
        }
    }

    ordermill_ports::ledger_suite!(crate::sqlite::Database::new());
    ordermill_ports::durable_suite!(crate::sqlite::Database::new());
    ordermill_ports::snapshot_suite!(crate::sqlite::Database::new());
}

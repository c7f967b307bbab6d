//! The adapters of this crate against the suites of their ports.

mod memory {
    use std::sync::Arc;

    use async_trait::async_trait;
    use ordermill_embedded::memory::MemoryLedger;
    use ordermill_ports::Clock;
    use ordermill_ports::conformance::{Backend, Harness, Settings};

    /// A ledger in memory: every opening is a new one.
    struct Memory;

    #[async_trait]
    impl Harness for Memory {
        async fn open(&self, settings: &Settings) -> Backend {
            let clock = Arc::clone(&settings.clock) as Arc<dyn Clock>;
            Backend::of(&MemoryLedger::new(settings.policy.clone(), clock, settings.undecided_max))
        }
    }

    ordermill_ports::ledger_suite!(crate::memory::Memory);
}

mod sqlite {
    use std::sync::Arc;

    use async_trait::async_trait;
    use ordermill_embedded::sqlite::{Options, SqliteLedger};
    use ordermill_ports::Clock;
    use ordermill_ports::conformance::{Backend, Harness, Settings};
    use tempfile::TempDir;

    /// A database in a directory of its own.
    struct Database(TempDir);

    impl Database {
        fn new() -> Self {
            Self(TempDir::new().expect("a directory can be made"))
        }
    }

    #[async_trait]
    impl Harness for Database {
        async fn open(&self, settings: &Settings) -> Backend {
            let clock = Arc::clone(&settings.clock) as Arc<dyn Clock>;
            let mut options = Options::new(self.0.path().join("ordermill.db"), clock);
            options.policy = settings.policy.clone();
            options.undecided_max = settings.undecided_max;
            Backend::of(&SqliteLedger::open(options).expect("the ledger opens"))
        }
    }

    ordermill_ports::ledger_suite!(crate::sqlite::Database::new());
    ordermill_ports::durable_suite!(crate::sqlite::Database::new());
}

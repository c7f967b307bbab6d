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

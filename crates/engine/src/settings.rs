//! How the roles work: how much at once, and how soon.

use std::time::Duration;

/// Bounds and times of the roles. The waits between tries are in the process table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Calls to the payment provider under way at once.
    pub payments_concurrency: usize,
    /// Mails in one batch, at most; the mailer's own bound counts too.
    pub mail_batch: usize,
    /// How long an order has to be quiet before it is archived, so that changes in quick succession make one object.
    pub archive_settle: Duration,
    /// Orders archived in one go. Small, as each batch ends with a sync that the commits of others wait for.
    pub archive_batch: usize,
    /// How much of its time the archive may work while orders are on their way, in percent (1 to 100).
    pub archive_share_percent: u32,
    /// What the objects are that records are stored in.
    pub records_layout: RecordsLayout,
    /// Records taken in one go; with an object for each, the objects of one write.
    pub records_batch: usize,
    /// Writes of records under way at once.
    pub records_concurrency: usize,
    /// How long the role lets records come together before it takes the next ones; zero = it takes what is there.
    pub records_poll_interval: Duration,
    /// How much of the time each write of records may take while orders are on their way, in percent (1 to 100).
    pub records_share_percent: u32,
    /// How often the sweeper looks at the clock.
    pub sweep_interval: Duration,
    /// How long work under way may take to end when the process is stopped.
    pub stop_grace: Duration,
}

/// What the objects are that records are stored in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum RecordsLayout {
    /// One for each record.
    #[default]
    Object,
    /// One for many records, a line for each.
    Batch(BatchLimits),
}

/// When an object with many records is written: as soon as one of these is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BatchLimits {
    /// Records in it.
    pub records: usize,
    /// Bytes of its lines. The record that goes beyond it is still taken.
    pub bytes: usize,
    /// How long the first of its records has waited.
    pub age: Duration,
}

impl Default for BatchLimits {
    fn default() -> Self {
        Self { records: 1_000, bytes: 4 * 1024 * 1024, age: Duration::from_secs(10) }
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            payments_concurrency: 256,
            mail_batch: 512,
            archive_settle: Duration::from_secs(1),
            archive_batch: 32,
            archive_share_percent: 10,
            records_layout: RecordsLayout::Object,
            records_batch: 32,
            records_concurrency: 4,
            records_poll_interval: Duration::ZERO,
            records_share_percent: 25,
            sweep_interval: Duration::from_secs(1),
            stop_grace: Duration::from_secs(10),
        }
    }
}

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
    /// How often the sweeper looks at the clock.
    pub sweep_interval: Duration,
    /// How long work under way may take to end when the process is stopped.
    pub stop_grace: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            payments_concurrency: 256,
            mail_batch: 512,
            archive_settle: Duration::from_secs(1),
            archive_batch: 32,
            archive_share_percent: 10,
            sweep_interval: Duration::from_secs(1),
            stop_grace: Duration::from_secs(10),
        }
    }
}

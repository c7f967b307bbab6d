//! What the handlers share.

use std::sync::Arc;

use ordermill_ports::{Bus, Clock, Ledger, Queries, Random, Secrets};
use tokio::sync::watch;

use crate::admission::Admission;
use crate::auth::Authenticator;
use crate::metrics::RequestMetrics;
use crate::settings::Settings;

/// What the interface is put over.
#[derive(Clone)]
pub struct App {
    /// Decides and commits.
    pub ledger: Arc<dyn Ledger>,
    /// Reads.
    pub queries: Arc<dyn Queries>,
    /// Gives and redrives dead letters.
    pub bus: Arc<dyn Bus>,
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
    /// Makes order ids.
    pub random: Arc<dyn Random>,
    /// Finds out who a bearer token belongs to.
    pub authenticator: Arc<dyn Authenticator>,
    /// Gives the secrets that settings refer to. It is asked at each call, so it should keep what it knows for a while.
    pub secrets: Arc<dyn Secrets>,
    /// Renders the metrics of the process in the text format of Prometheus.
    pub metrics: Arc<dyn Fn() -> String + Send + Sync>,
    /// Limits and times.
    pub settings: Settings,
}

impl std::fmt::Debug for App {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("App").field("settings", &self.settings).finish_non_exhaustive()
    }
}

/// The app with what the interface itself keeps.
pub(crate) struct State {
    pub app: App,
    pub admission: Admission,
    pub metrics: RequestMetrics,
    closing: watch::Sender<bool>,
    errands: watch::Sender<usize>,
}

/// One state for all handlers.
pub(crate) type Shared = Arc<State>;

impl State {
    pub fn new(app: App) -> Shared {
        let admission = Admission::new(&app.settings);
        let (closing, errands) = (watch::Sender::new(false), watch::Sender::new(0));
        Arc::new(Self { app, admission, metrics: RequestMetrics::default(), closing, errands })
    }

    /// Shutdown begins: what waits is answered, live streams end.
    pub fn close(&self) {
        self.closing.send_replace(true);
    }

    /// Whether shutdown has begun.
    pub fn is_closing(&self) -> bool {
        *self.closing.borrow()
    }

    /// Returns when shutdown begins.
    pub async fn closed(&self) {
        let mut closing = self.closing.subscribe();
        // The sender is part of `self`, so it cannot be gone.
        let _ = closing.wait_for(|closing| *closing).await;
    }

    /// Work begins that outlives its request; it is under way until what is given back is dropped.
    pub fn errand(self: &Arc<Self>) -> Errand {
        self.errands.send_modify(|errands| *errands += 1);
        Errand(Arc::clone(self))
    }

    /// Returns when no such work is under way.
    pub async fn errands_done(&self) {
        let mut errands = self.errands.subscribe();
        // The sender is part of `self`, so it cannot be gone.
        let _ = errands.wait_for(|errands| *errands == 0).await;
    }
}

/// Work that outlives its request.
pub(crate) struct Errand(Shared);

impl Drop for Errand {
    fn drop(&mut self) {
        self.0.errands.send_modify(|errands| *errands -= 1);
    }
}

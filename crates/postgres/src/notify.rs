//! News between processes: one NOTIFY per commit, and a look now and then for what was lost.
//!
//! A process has one connection beside its pool. It listens on it, reads what other processes committed, and keeps its leases. Roles
//! and watchers are woken by the events themselves, as soon as this process knows of them: at once for its own.

use std::collections::HashMap;
use std::collections::hash_map::Entry as Slot;
use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use deadpool_postgres::{ClientWrapper, Transaction};
use ordermill_core::event::Subject;
use ordermill_ports::queries::Position;
use parking_lot::Mutex;
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep, timeout};
use tokio_postgres::AsyncMessage;

use crate::bus::{self, EVENTS_MAX, Entry};
use crate::codec::{get, natural};
use crate::connect::{Driver, Session};
use crate::error::StoreError;
use crate::read::rows;
use crate::setup;
use crate::shared::Shared;

/// There are new events.
pub(crate) const FEED: &str = "feed";
/// Somebody has begun or ceased to run a role, or gave up leases.
pub(crate) const LEASES: &str = "leases";
/// Dead letters were redriven.
pub(crate) const REDRIVEN: &str = "redriven";

/// Events read at a time of what other processes committed.
const PAGE: usize = 4_096;

/// Events that are held against those of a server that was just connected to: by the time it is, a few may be new, and hide that it has
/// lost others.
const CHECKED: usize = 1_024;

/// For how many polling intervals the feed counts as followed after a look at it.
const FOLLOWED_POLLS: u32 = 3;

/// The first and the longest wait before a lost connection is tried again: roles rest here until it is back, so it is not long.
const BACKOFF: Duration = Duration::from_millis(50);
const BACKOFF_MAX: Duration = Duration::from_secs(1);

/// What one commit changed.
#[derive(Debug)]
pub(crate) struct Changes {
    /// The newest position after it. Not known yet when the payload is made: 0 then.
    pub(crate) head: Position,
    /// Its events, in the order of positions.
    pub(crate) events: Vec<Entry>,
}

/// The channel of an installation.
pub(crate) fn channel(schema: &str) -> String {
    format!("ordermill_{schema}")
}

/// What is told to the other processes of a commit, and by whom. They read what it was.
pub(crate) fn payload(shared: &Shared) -> String {
    format!("{FEED} {}", shared.bus.process.simple())
}

/// Tells all processes when the transaction commits.
pub(crate) async fn send(tx: &Transaction<'_>, schema: &str, payload: &str) -> Result<(), StoreError> {
    let statement = tx.prepare_cached("SELECT pg_notify($1, $2)").await?;
    tx.execute(&statement, &[&channel(schema), &payload]).await?;
    Ok(())
}

/// A commit of this process is through.
pub(crate) fn committed(shared: &Shared, changes: &Changes) {
    if changes.events.is_empty() {
        return;
    }
    let first = (changes.head.0 + 1).saturating_sub(changes.events.len() as u64);
    let events = changes.events.iter().cloned();
    if shared.bus.feed.append(first, events) {
        announce(shared, &changes.events);
    } else {
        // Another process committed in between: that has to be read first.
        announce(shared, &changes.events);
        shared.notify.news.feed.store(true, Ordering::Release);
        shared.notify.news.bell.notify_one();
    }
}

/// Something was committed, and it is not known here at which position.
pub(crate) fn look_again(shared: &Shared) {
    shared.notify.news.feed.store(true, Ordering::Release);
    shared.notify.news.bell.notify_one();
}

/// Wakes everyone who waits for these events.
fn announce(shared: &Shared, events: &[Entry]) {
    shared.bus.ring(events.iter().filter_map(|entry| entry.kind));
    shared.notify.wake(events.iter().filter_map(|entry| entry.about.subject()));
}

/// What there is to do on the connection.
#[derive(Debug, Default)]
struct News {
    /// What is renewed with the leases: the clock, and what this process says of itself.
    renewal: AtomicBool,
    feed: AtomicBool,
    leases: AtomicBool,
    redriven: AtomicBool,
    bell: Notify,
}

/// Who waits for what in this process.
#[derive(Debug)]
pub(crate) struct State {
    subjects: Mutex<HashMap<Subject, Watched>>,
    feed: watch::Sender<()>,
    news: News,
    /// Whether there is no connection to hear of anything by.
    is_away: AtomicBool,
    /// When the feed was last found to be known to its end.
    looked: Mutex<Option<Instant>>,
    poll: Duration,
    listen: bool,
}

#[derive(Debug)]
struct Watched {
    changed: watch::Sender<()>,
    watchers: usize,
}

/// Waits for changes of one subject, or of the feed.
#[derive(Debug)]
pub(crate) struct Watcher<'a> {
    state: &'a State,
    subject: Option<Subject>,
    changed: watch::Receiver<()>,
}

impl State {
    pub(crate) fn new(options: &crate::Options) -> Self {
        Self {
            subjects: Mutex::default(),
            feed: watch::Sender::new(()),
            news: News::default(),
            is_away: AtomicBool::new(false),
            looked: Mutex::default(),
            poll: options.poll,
            listen: options.listen,
        }
    }

    /// Starts to watch a subject.
    pub(crate) fn watch(&self, subject: Subject) -> Watcher<'_> {
        let mut subjects = self.subjects.lock();
        let new = || Watched { changed: watch::Sender::new(()), watchers: 0 };
        let watched = subjects.entry(subject.clone()).or_insert_with(new);
        watched.watchers += 1;
        Watcher { state: self, subject: Some(subject), changed: watched.changed.subscribe() }
    }

    /// Starts to watch the feed.
    pub(crate) fn watch_feed(&self) -> Watcher<'_> {
        Watcher { state: self, subject: None, changed: self.feed.subscribe() }
    }

    /// Has the leases looked at soon.
    pub(crate) fn poke_leases(&self) {
        self.news.leases.store(true, Ordering::Release);
        self.news.bell.notify_one();
    }

    /// Has redriven deliveries looked for soon.
    pub(crate) fn poke_redriven(&self) {
        self.news.redriven.store(true, Ordering::Release);
        self.news.bell.notify_one();
    }

    fn wake<'s>(&self, changed: impl Iterator<Item = &'s Subject>) {
        self.feed.send_replace(());
        let subjects = self.subjects.lock();
        if !subjects.is_empty() {
            changed.filter_map(|subject| subjects.get(subject)).for_each(|watched| watched.changed.send_replace(()));
        }
    }

    /// Whether this process keeps up with the feed, so that whoever watches something is woken when it changes.
    fn is_followed(&self) -> bool {
        self.looked.lock().is_some_and(|looked| looked.elapsed() < self.poll.saturating_mul(FOLLOWED_POLLS))
    }

    fn wake_all(&self) {
        self.feed.send_replace(());
        self.subjects.lock().values().for_each(|watched| watched.changed.send_replace(()));
    }

    /// Takes in what another process, or this one, told.
    fn told(&self, payload: &str) {
        let news = match payload {
            LEASES => &self.news.leases,
            REDRIVEN => &self.news.redriven,
            // Also what a newer program may say: the feed is where everything shows.
            _ => &self.news.feed,
        };
        news.store(true, Ordering::Release);
        self.news.bell.notify_one();
    }
}

impl Watcher<'_> {
    /// Returns when there may have been a change since the watcher was made or this was last called; where the feed is not followed, at the
    /// latest after the polling interval. Safe to cancel.
    pub(crate) async fn changed(&mut self) {
        // The sender lives as long as the watcher; either way one looks again.
        while timeout(self.state.poll, self.changed.changed()).await.is_err() && self.state.is_followed() {}
    }
}

impl Drop for Watcher<'_> {
    fn drop(&mut self) {
        let Some(subject) = self.subject.take() else { return };
        if let Slot::Occupied(mut slot) = self.state.subjects.lock().entry(subject) {
            slot.get_mut().watchers -= 1;
            if slot.get().watchers == 0 {
                slot.remove();
            }
        }
    }
}

/// Listens and keeps the leases until the ledger closes, and connects again when the connection is lost. Started once, when the
/// ledger is open.
pub(crate) async fn run(shared: Arc<Shared>) {
    let mut closing = pin!(shared.closing());
    let mut wait = BACKOFF;
    loop {
        let began = Instant::now();
        let error = tokio::select! {
            () = &mut closing => return,
            error = attend(&shared) => error,
        };
        // Behind the next connection may be another server, which lacks the newest commits.
        shared.orders.clear();
        // One that worked for a while is tried again at once, from the shortest wait on.
        wait = if began.elapsed() > BACKOFF_MAX { BACKOFF } else { (wait * 2).min(BACKOFF_MAX) };
        // Processes that lost the same server do not come back in step.
        let spread = wait.mul_f64(f64::from(began.elapsed().subsec_nanos() % 1_000) / 1_000.0);
        // Told once, and once when it is back.
        if shared.notify.is_away.swap(true, Ordering::AcqRel) {
            tracing::debug!(%error, "there is no connection for notifications and leases yet");
        } else {
            tracing::warn!(%error, "lost the connection for notifications and leases; roles rest here until it is back");
        }
        tokio::select! {
            () = &mut closing => return,
            () = sleep(wait + spread) => {}
        }
    }
}

/// Serves one connection; returns why it is no good any more.
async fn attend(shared: &Arc<Shared>) -> StoreError {
    match serve(shared).await {
        Ok(()) => StoreError::Closed,
        Err(error) => error,
    }
}

async fn serve(shared: &Arc<Shared>) -> Result<(), StoreError> {
    let connector = shared.pool.connector();
    // What takes as long as a lease holds has lost the leases: another connection is the better chance.
    let patience = connector.answer_max().min(shared.bus.lease);
    let (client, driver) = connector.connect().await?;
    // Ends with the client, which is dropped with this future.
    let mut ended = tokio::spawn(drive(Arc::clone(shared), driver));
    let mut client = Session::new(ClientWrapper::new(client, tokio::spawn(async {})), connector.answer_max());
    let begin = async {
        connector.set_up(&client).await?;
        if shared.notify.listen {
            client.batch_execute(&format!("LISTEN {}", channel(&shared.schema))).await?;
        }
        Ok::<_, StoreError>(())
    };
    timeout(patience, begin).await.map_err(|_| StoreError::TimedOut)??;
    let news = &shared.notify.news;
    let mut checked = CHECKED;
    // Whatever was told while nobody listened.
    for flag in [&news.renewal, &news.feed, &news.leases, &news.redriven] {
        flag.store(true, Ordering::Release);
    }
    // Told or not, leases are renewed in time.
    let mut renewal = tokio::time::interval(shared.bus.lease / 3);
    renewal.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        let work = async {
            // Before a cursor is written: it may be one of commits that the server has lost.
            if news.feed.swap(false, Ordering::AcqRel) {
                read_on(shared, &client, std::mem::replace(&mut checked, 1)).await?;
            }
            if news.leases.swap(false, Ordering::AcqRel) {
                bus::lease::pass(shared, &mut client).await?;
            }
            if news.renewal.swap(false, Ordering::AcqRel) {
                shared.clock.read(&client).await?;
                setup::say_again(shared, &mut client).await?;
            }
            if news.redriven.swap(false, Ordering::AcqRel) {
                bus::reload(shared, &client).await?;
            }
            Ok::<_, StoreError>(())
        };
        timeout(patience, work).await.map_err(|_| StoreError::TimedOut)??;
        if shared.notify.is_away.swap(false, Ordering::AcqRel) {
            tracing::info!("the connection for notifications and leases is back");
        }
        tokio::select! {
            biased;
            _ = &mut ended => return Err(StoreError::Closed),
            _ = renewal.tick() => {
                for flag in [&news.renewal, &news.leases, &news.redriven] {
                    flag.store(true, Ordering::Release);
                }
            }
            () = news.bell.notified() => {}
            () = sleep(shared.notify.poll) => news.feed.store(true, Ordering::Release),
        }
    }
}

/// Drives the connection, and takes in what it is told.
async fn drive(shared: Arc<Shared>, mut driver: Driver) {
    // The committer that told has put its events into memory itself, or has them read.
    let own = payload(&shared);
    while let Some(message) = poll_fn(|cx| driver.poll_message(cx)).await {
        match message {
            Ok(AsyncMessage::Notification(notification)) if notification.payload() == own => {}
            Ok(AsyncMessage::Notification(notification)) => shared.notify.told(notification.payload()),
            Ok(_) => {}
            Err(error) => {
                tracing::debug!(%error, "the connection for notifications and leases has ended");
                return;
            }
        }
    }
}

/// Reads what others committed, as far as this process does not know it. Holds so many of the newest events that it knows against those
/// that the server has.
async fn read_on(shared: &Shared, client: &Session, checked: usize) -> Result<(), StoreError> {
    let feed = &shared.bus.feed;
    let known = feed.last();
    let found = rows(client, "SELECT position, placed + authorized + reserved FROM feed_head", &[]).await?;
    let head = found.first().map_or(Ok(0), |row| get(row, 0)).map(natural)?;
    let undecided = found.first().map_or(Ok(0), |row| get(row, 1)).map(natural)?;
    // As often as one looks, so that it is right too in a process that commits nothing.
    shared.meters.undecided.set(undecided as f64);
    // Where there is another event than one of the newest that are known, that shows.
    let before = known.saturating_sub(checked as u64);
    let newest = if known > 0 { bus::headers_behind(client, before, checked).await? } else { Vec::new() };
    for (position, entry) in newest.into_iter().take_while(|(position, _)| *position <= known) {
        feed.append(position, std::iter::once(entry));
    }
    if head < known || feed.is_past() {
        tracing::error!(head, known, "the server has lost commits that it had answered; what it still has counts");
        // First: should it fail, the loss is found again by the next connection.
        bus::publish_again(&shared.bus, client).await?;
        // Behind the event before the newest one: that is read below, so that it is known which one it is.
        shared.bus.start_over(head.saturating_sub(1));
        shared.admission.start_over(undecided, head);
        shared.orders.clear();
        shared.notify.wake_all();
    }
    if feed.last() == 0 || head > feed.last() + EVENTS_MAX as u64 {
        // Just opened, or cut off for long: whoever needs what is between reads it from the table. The newest event is read below.
        feed.jump(head.saturating_sub(1));
        shared.bus.ring_all();
        shared.notify.wake_all();
    }
    while feed.last() < head {
        let page = bus::headers_behind(client, feed.last(), PAGE).await?;
        let Some((first, _)) = page.first() else { break };
        let (first, events): (u64, Vec<Entry>) = (*first, page.into_iter().map(|(_, entry)| entry).collect());
        if !feed.append(first, events.iter().cloned()) {
            // A gap that is no commit's: nothing will ever appear in it.
            feed.jump(head);
            shared.bus.ring_all();
            shared.notify.wake_all();
        }
        announce(shared, &events);
    }
    *shared.notify.looked.lock() = Some(Instant::now());
    Ok(())
}

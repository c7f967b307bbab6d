//! The writer: one thread that owns the one connection that writes.
//!
//! It takes what has come in since its last commit, decides it, writes it in one transaction, and only after the commit changes
//! memory and answers. What fails is rolled back and leaves no trace.

mod batch;
mod checkpoint;
pub(super) mod customers;
mod keys;
pub(super) mod lanes;
pub(super) mod memory;
mod overlay;
mod publish;
pub(super) mod rows;
mod settle;
mod statements;
mod subject_rows;
mod subjects;
pub(super) mod write_back;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::SyncSender;
use std::time::{Duration, Instant};

use ordermill_core::Timestamp;
use ordermill_core::input::Body;
use ordermill_ports::ledger::SubmitError;
use rusqlite::{Connection, ErrorCode};
use tokio::sync::oneshot;

use super::error::StoreError;
use super::shared::Shared;
use batch::{Batch, Staged};
use checkpoint::Checkpointer;
use lanes::{Command, Load};
use memory::Memory;
use overlay::Overlay;
use publish::Committed;
use statements::Statements;

/// How long after a failed commit the writer tries whether there is room again.
const PROBE_PAUSE: Duration = Duration::from_secs(1);

/// Bytes the probe writes: what a usual commit needs, so that one that goes through means something.
const PROBE_BYTES: i64 = 256 * 1024;

/// A commit that failed.
#[derive(Debug)]
struct Failure {
    reason: String,
    /// Whether it is certain that nothing of it is kept.
    certain: bool,
}

impl Failure {
    fn answer(&self) -> SubmitError {
        let reason = self.reason.clone();
        if self.certain { SubmitError::NotCommitted { reason } } else { SubmitError::Unknown { reason } }
    }
}

/// The dead letters that were redriven, and who asked.
type Redriven = Vec<(oneshot::Sender<Vec<u64>>, Vec<u64>)>;

/// The writer thread. Tells through `started` whether it could begin, and ends when the lanes are closed and empty.
pub(super) fn run(
    shared: &Arc<Shared>,
    path: &Path,
    conn: Connection,
    memory: Memory,
    started: &SyncSender<rusqlite::Result<()>>,
) {
    let end = Ending(shared);
    // The opener waits for this word; it cannot have gone away.
    match Writer::begin(shared, path, &conn, memory) {
        Ok(mut writer) => {
            let _ = started.send(Ok(()));
            writer.run();
        }
        Err(error) => {
            let _ = started.send(Err(error));
        }
    }
    if let Err(error) = conn.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())) {
        tracing::warn!(%error, "the log was not moved into the database; the next start does it");
    }
    drop(conn);
    drop(end);
}

/// Marks the writer as ended, however it ends, and lets nobody wait for it.
struct Ending<'a>(&'a Shared);

impl Drop for Ending<'_> {
    fn drop(&mut self) {
        // Nobody told it to end.
        self.0.died.store(!self.0.lanes.is_closing(), Ordering::Release);
        self.0.lanes.abandon();
        self.0.ended.store(true, Ordering::Release);
        self.0.end.notify_waiters();
    }
}

struct Writer<'a> {
    shared: &'a Shared,
    conn: &'a Connection,
    sql: Statements<'a>,
    memory: Memory,
    checkpointer: Checkpointer,
    /// Room for the next commit, left over from the last one.
    spare: Overlay,
    /// When it is time to try whether commits go through again; `None` while they do.
    probe_due: Option<Instant>,
}

impl<'a> Writer<'a> {
    fn begin(shared: &'a Shared, path: &Path, conn: &'a Connection, memory: Memory) -> rusqlite::Result<Self> {
        let (sql, checkpointer) = (Statements::prepare(conn)?, Checkpointer::start(path)?);
        Ok(Self { shared, conn, sql, memory, checkpointer, spare: Overlay::default(), probe_due: None })
    }

    fn run(&mut self) {
        loop {
            self.plan_probe();
            let limit = self.probe_due.map(|due| due.saturating_duration_since(Instant::now()));
            let load = self.shared.lanes.take(limit);
            self.measure(&load);
            let closing = load.closing;
            #[cfg(test)]
            let load = self.run_sql(load);
            let has_work = !load.inputs.is_empty() || !load.commands.is_empty();
            if has_work && !self.process(load) {
                return;
            }
            if closing {
                self.write_back();
                return;
            }
            // Also between two commits: those that write nothing tell nothing, however many of them come in.
            if self.probe_due.is_some_and(|due| due <= Instant::now()) {
                self.probe_due = None;
                self.probe_health();
            }
        }
    }

    /// Sets the time of the next probe while commits fail.
    fn plan_probe(&mut self) {
        let fails = self.shared.health.problem().is_some();
        self.probe_due = fails.then(|| self.probe_due.unwrap_or_else(|| Instant::now() + PROBE_PAUSE));
    }

    #[cfg(test)]
    fn run_sql(&self, mut load: Load) -> Load {
        for command in std::mem::take(&mut load.commands) {
            match command {
                Command::Sql { sql, reply } => {
                    let _ = reply.send(self.conn.execute_batch(&sql));
                }
                other => load.commands.push(other),
            }
        }
        load
    }

    fn measure(&self, load: &Load) {
        use ordermill_ports::Source::{Import, Live, Results};
        for source in [Results, Live, Import] {
            self.shared.meters.depth(source).set(load.waiting[source as usize] as f64);
        }
    }

    /// One commit. `false` when the writer cannot go on.
    fn process(&mut self, load: Load) -> bool {
        let Load { inputs, mut callers, commands, .. } = load;
        let places = inputs.iter().filter(|submission| matches!(submission.input.body, Body::Place(_))).count();
        let count = inputs.len();
        let changes = self.conn.total_changes();
        #[cfg(test)]
        let is_defect = commands.iter().any(|command| matches!(command, Command::Defect));
        let mut committed = false;
        let work = AssertUnwindSafe(|| {
            let (staged, mut done, redriven) = self.commit(inputs, commands)?;
            committed = true;
            #[cfg(test)]
            assert!(!is_defect, "a test asked for it");
            publish::merge(self.shared, &mut self.memory, &mut done);
            publish::announce(self.shared, &mut done.overlay);
            let (begun, decided) = publish::undecided_change(&done.overlay);
            self.shared.admission.release(places.saturating_sub(begun) + decided);
            let mut answers = staged.into_iter().map(|staged| publish::outcome(self.shared, &done.overlay, staged));
            for caller in callers.drain(..) {
                let count = caller.count;
                caller.answer(answers.by_ref().take(count).collect());
            }
            for (reply, found) in redriven {
                let _ = reply.send(found);
            }
            done.overlay.clear();
            self.spare = done.overlay;
            self.shared.meters.undecided.set(self.shared.totals.lock().undecided() as f64);
            Ok(())
        });
        let failure = match catch_unwind(work) {
            Ok(Ok(())) => {
                // One that wrote nothing, such as a refusal, goes through on a full disk as well.
                if self.conn.total_changes() != changes {
                    self.shared.health.succeeded();
                }
                if let Err(error) = self.checkpointer.tend(self.conn) {
                    tracing::warn!(%error, "the log could not be copied into the database");
                }
                self.shared.meters.commit_inputs.record(count as f64);
                return true;
            }
            Ok(Err(failure)) => failure,
            Err(_) => Failure { reason: "the writer met a defect of its own".to_owned(), certain: !committed },
        };
        if committed {
            // Memory may be half merged. Only a start from what is stored is safe now; callers learn that they cannot know.
            tracing::error!("the ledger stops, as a commit could not be taken into memory");
            self.shared.health.failed(&failure.reason);
            return false;
        }
        self.roll_back();
        self.shared.meters.commit_failures.increment(1);
        self.shared.health.failed(&failure.reason);
        self.shared.admission.release(places);
        for caller in callers {
            let answers = (0..caller.count).map(|_| Err(failure.answer())).collect();
            caller.answer(answers);
        }
        true
    }

    /// Decides, writes, and commits.
    fn commit(
        &mut self,
        inputs: Vec<ordermill_ports::Submission>,
        commands: Vec<Command>,
    ) -> Result<(Vec<Staged>, Committed, Redriven), Failure> {
        let certain = |error: StoreError| Failure { reason: error.to_string(), certain: true };
        let now = self.now();
        let mut batch = Batch {
            shared: self.shared,
            conn: self.conn,
            sql: &mut self.sql,
            memory: &self.memory,
            overlay: std::mem::take(&mut self.spare),
            now,
            position: self.memory.position,
            key_row: self.memory.key_row,
            stock_slot: self.memory.stock_slot,
        };
        batch.sql.begin.execute([]).map_err(|error| certain(error.into()))?;
        let (staged, redriven) = batch.fill(inputs, commands).map_err(certain)?;
        let sweep = batch.finish().map_err(certain)?;
        let Batch { overlay, position, key_row, stock_slot, .. } = batch;
        let began = Instant::now();
        if let Err(error) = self.sql.commit.execute([]) {
            return Err(self.failed_commit(&error));
        }
        self.shared.meters.commit_seconds.record(began.elapsed());
        Ok((staged, Committed { overlay, now, position, key_row, stock_slot, sweep }, redriven))
    }

    /// Leaves no row behind its events; one that stays behind is found when the ledger is opened.
    fn write_back(&mut self) {
        let (unwritten, position) = (&self.memory.unwritten, self.memory.position);
        if let Err(error) = write_back::write_all(&mut self.sql, self.shared, unwritten, position) {
            tracing::warn!(%error, "rows of parcels were not written; the next start reads their events");
            self.roll_back();
        }
    }

    /// Time never goes back from one commit to the next, and is kept in whole microseconds.
    fn now(&self) -> Timestamp {
        let now = self.shared.clock.now();
        Timestamp::from_microsecond(now.as_microsecond()).unwrap_or(now).max(self.memory.now)
    }

    /// A full disk keeps the end of a transaction out of the log, so it is gone. After any other error of the COMMIT itself the
    /// log may hold all of it, unsynced, and bring it back after a crash: unless something else is written over it.
    fn failed_commit(&self, error: &rusqlite::Error) -> Failure {
        self.roll_back();
        let full = error.sqlite_error_code() == Some(ErrorCode::DiskFull);
        let certain = full || self.probe().is_ok();
        Failure { reason: error.to_string(), certain }
    }

    fn roll_back(&self) {
        // SQLite has rolled back by itself after most errors.
        if !self.conn.is_autocommit()
            && let Err(error) = self.conn.execute_batch("ROLLBACK")
        {
            tracing::error!(%error, "a failed transaction could not be rolled back");
        }
    }

    fn probe_health(&self) {
        match self.probe() {
            Ok(()) => self.shared.health.succeeded(),
            Err(error) => {
                self.roll_back();
                self.shared.health.failed(&error.to_string());
            }
        }
    }

    /// Writes and deletes something, each in a commit of its own.
    fn probe(&self) -> rusqlite::Result<()> {
        self.conn.execute("INSERT OR REPLACE INTO probe VALUES (1, zeroblob(?1))", [PROBE_BYTES])?;
        self.conn.execute("DELETE FROM probe", [])?;
        Ok(())
    }
}

impl Batch<'_, '_> {
    /// Decides everything, with the settlements that came with it.
    fn fill(
        &mut self,
        inputs: Vec<ordermill_ports::Submission>,
        commands: Vec<Command>,
    ) -> Result<(Vec<Staged>, Redriven), StoreError> {
        let mut staged = Vec::with_capacity(inputs.len());
        let catalogue = self.shared.catalogue.read();
        for submission in inputs {
            let answer = self.decide(&submission.input, &catalogue)?;
            // A delivery is dealt with when its input is decided or refused; not when it could not be looked at.
            if let Some(settlement) = submission.settles
                && !matches!(answer, Staged::Failed(SubmitError::NotCommitted { .. }))
            {
                self.settle(settlement)?;
            }
            staged.push(answer);
        }
        drop(catalogue);
        let mut redriven = Vec::new();
        for command in commands {
            match command {
                Command::Redrive { ids, reply } => {
                    let found = self.redrive(&ids)?;
                    redriven.push((reply, found));
                }
                #[cfg(test)]
                Command::Sql { .. } => unreachable!("taken out before the commit"),
                #[cfg(test)]
                Command::Defect => {}
            }
        }
        Ok((staged, redriven))
    }

    /// Writes the rows.
    fn finish(&mut self) -> Result<memory::KeySweep, StoreError> {
        self.write_rows()?;
        self.move_cursors()?;
        keys::sweep(self)
    }
}

//! Carriers' reports, in calls of 100, each call answered when it is durable.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use ordermill_core::Timestamp;
use ordermill_core::id::ParcelId;
use ordermill_core::input::{Body, Input, ParcelReport};
use ordermill_core::parcel::ParcelStatus;
use ordermill_embedded::sqlite::{Options, SqliteLedger};
use ordermill_ports::clock::SystemClock;
use ordermill_ports::{Ledger, Source, Submission};

use crate::AnyError;
use crate::meter::{self, Meter};

const REPORTS: usize = 1_000_000;
const CALLERS: usize = 32;
const REPORTS_AT_ONCE: usize = 100;
/// Parcels under way at a time, where each is reported until it is handed over: more than stay in memory.
const UNDER_WAY: usize = 100_000;

const WAY: [ParcelStatus; 3] = [ParcelStatus::PickedUp, ParcelStatus::OutForDelivery, ParcelStatus::Delivered];

/// What the carrier calls a parcel: as random as any name, and made anew from its number, so that this program keeps none.
fn name(number: usize) -> Result<ParcelId, AnyError> {
    let mixed = (number as u128 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835);
    Ok(ParcelId::new(&uuid::Uuid::from_u128(mixed).to_string())?)
}

fn report(parcel_id: ParcelId, status: ParcelStatus) -> Submission {
    let seen_at = Timestamp::now();
    Submission::new(Input::new(Body::Track(ParcelReport { parcel_id, status, seen_at, correlation_id: None })))
}

fn chance() -> usize {
    uuid::Uuid::new_v4().as_u128() as usize
}

/// Which parcel is reported next.
enum Pattern {
    /// One that was never seen; the next has this number.
    New(AtomicUsize),
    /// Any of so many that were seen once.
    Any(usize),
    /// Any of those under way; one that was handed over makes room for a new one, of this number.
    Stream(AtomicUsize),
}

impl Pattern {
    /// The next report of a carrier that has these under way.
    fn next(&self, under_way: &mut [(usize, usize)]) -> Result<Submission, AnyError> {
        match self {
            Self::New(number) => Ok(report(name(number.fetch_add(1, Ordering::Relaxed))?, WAY[0])),
            Self::Any(count) => Ok(report(name(chance() % count)?, WAY[1])),
            Self::Stream(number) => {
                let index = chance() % under_way.len();
                let (parcel, reports) = &mut under_way[index];
                let next = report(name(*parcel)?, WAY[*reports]);
                *reports += 1;
                if *reports == WAY.len() {
                    (*parcel, *reports) = (number.fetch_add(1, Ordering::Relaxed), 0);
                }
                Ok(next)
            }
        }
    }
}

/// Reports of one carrier.
async fn carry(
    ledger: Arc<SqliteLedger>,
    pattern: Arc<Pattern>,
    mut under_way: Vec<(usize, usize)>,
    calls: usize,
) -> Result<(), AnyError> {
    for _ in 0..calls {
        let reports = (0..REPORTS_AT_ONCE).map(|_| pattern.next(&mut under_way)).collect::<Result<_, _>>()?;
        for answer in ledger.submit(Source::Live, reports).await {
            answer?;
        }
    }
    Ok(())
}

/// All carriers at once.
async fn track(what: &str, ledger: &Arc<SqliteLedger>, pattern: Pattern, reports: usize) -> Result<(), AnyError> {
    let (meter, pattern) = (Meter::start(), Arc::new(pattern));
    let calls = reports / REPORTS_AT_ONCE / CALLERS;
    let carry = |carrier: usize| {
        let under_way = (carrier..UNDER_WAY).step_by(CALLERS).map(|number| (number, 0)).collect();
        tokio::spawn(carry(Arc::clone(ledger), Arc::clone(&pattern), under_way, calls))
    };
    for carrier in (0..CALLERS).map(carry).collect::<Vec<_>>() {
        carrier.await??;
    }
    meter.report(what, "report", calls * REPORTS_AT_ONCE * CALLERS);
    Ok(())
}

fn open(path: &Path) -> Result<Arc<SqliteLedger>, AnyError> {
    let began = Instant::now();
    let ledger = SqliteLedger::open(Options::new(path, Arc::new(SystemClock)))?;
    println!("opened {}: {:.0} ms", path.display(), began.elapsed().as_secs_f64() * 1e3);
    Ok(ledger)
}

/// Everything about parcels.
pub async fn run(dir: &Path, reports: Option<usize>) -> Result<(), AnyError> {
    let reports = reports.unwrap_or(REPORTS);
    let path = dir.join("many.db");
    let ledger = open(&path)?;
    let empty = meter::resident_kb();
    track("each of a new parcel", &ledger, Pattern::New(0.into()), reports).await?;
    let full = meter::resident_kb();
    println!("  {:.0} MiB of memory before, {:.0} MiB with {reports} parcels", empty / 1024.0, full / 1024.0);
    track(&format!("any of {reports} parcels"), &ledger, Pattern::Any(reports), reports / 2).await?;
    // As a crash would leave it.
    let crashed = dir.join("crashed.db");
    std::fs::copy(&path, &crashed)?;
    std::fs::copy(dir.join("many.db-wal"), dir.join("crashed.db-wal"))?;
    ledger.close().await;
    drop(ledger);
    for path in [path, crashed] {
        open(&path)?.close().await;
    }

    let path = dir.join("stream.db");
    let ledger = open(&path)?;
    let what = format!("any of {UNDER_WAY} under way");
    track(&what, &ledger, Pattern::Stream(UNDER_WAY.into()), reports).await?;
    ledger.close().await;
    let bytes = std::fs::metadata(&path)?.len();
    println!("  {:.0} bytes per report in the database", bytes as f64 / reports as f64);
    Ok(())
}

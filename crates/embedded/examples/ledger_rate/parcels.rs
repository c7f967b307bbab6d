//! Carriers' reports, in calls of 100, each call answered when it is durable.

use std::path::Path;
use std::sync::Arc;
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

/// A parcel, and how many reports of it there were.
struct Parcel {
    id: ParcelId,
    reports: usize,
}

impl Parcel {
    /// With a name as random as any.
    fn new() -> Result<Self, AnyError> {
        Ok(Self { id: ParcelId::new(&uuid::Uuid::new_v4().to_string())?, reports: 0 })
    }

    fn report(&mut self) -> Submission {
        let status = WAY[self.reports % WAY.len()];
        self.reports += 1;
        let seen_at = Timestamp::now();
        let report = ParcelReport { parcel_id: self.id.clone(), status, seen_at, correlation_id: None };
        Submission::new(Input::new(Body::Track(report)))
    }
}

/// Which parcel is reported next.
#[derive(Clone, Copy)]
enum Pattern {
    /// One that was never seen.
    New,
    /// Any of those known, once more.
    Any,
    /// Any of those under way; one that was handed over makes room for a new one.
    Stream,
}

/// Reports of one carrier: about parcels of its own.
async fn carry(
    ledger: Arc<SqliteLedger>,
    pattern: Pattern,
    mut parcels: Vec<Parcel>,
    reports: usize,
) -> Result<Vec<Parcel>, AnyError> {
    for _ in 0..reports / REPORTS_AT_ONCE {
        let mut submissions = Vec::with_capacity(REPORTS_AT_ONCE);
        for _ in 0..REPORTS_AT_ONCE {
            let index = match pattern {
                Pattern::New => {
                    parcels.push(Parcel::new()?);
                    parcels.len() - 1
                }
                Pattern::Any | Pattern::Stream => uuid::Uuid::new_v4().as_u128() as usize % parcels.len(),
            };
            submissions.push(parcels[index].report());
            if matches!(pattern, Pattern::Stream) && parcels[index].reports == WAY.len() {
                parcels[index] = Parcel::new()?;
            }
        }
        for answer in ledger.submit(Source::Live, submissions).await {
            answer?;
        }
    }
    Ok(parcels)
}

/// All carriers at once.
async fn track(
    what: &str,
    ledger: &Arc<SqliteLedger>,
    pattern: Pattern,
    parcels: Vec<Vec<Parcel>>,
    reports: usize,
) -> Result<Vec<Vec<Parcel>>, AnyError> {
    let meter = Meter::start();
    let share = reports / CALLERS;
    let carriers: Vec<_> =
        parcels.into_iter().map(|parcels| tokio::spawn(carry(Arc::clone(ledger), pattern, parcels, share))).collect();
    let mut left = Vec::new();
    for carrier in carriers {
        left.push(carrier.await??);
    }
    meter.report(what, "report", share / REPORTS_AT_ONCE * REPORTS_AT_ONCE * CALLERS);
    Ok(left)
}

fn nobody() -> Vec<Vec<Parcel>> {
    (0..CALLERS).map(|_| Vec::new()).collect()
}

/// Everything about parcels.
pub async fn run(dir: &Path, reports: Option<usize>) -> Result<(), AnyError> {
    let reports = reports.unwrap_or(REPORTS);
    let path = dir.join("stream.db");
    let ledger = SqliteLedger::open(Options::new(&path, Arc::new(SystemClock)))?;
    let each = UNDER_WAY / CALLERS;
    let window = (0..CALLERS).map(|_| (0..each).map(|_| Parcel::new()).collect()).collect::<Result<_, AnyError>>()?;
    track(&format!("{UNDER_WAY} under way, in random order"), &ledger, Pattern::Stream, window, reports).await?;
    ledger.close().await;
    let bytes = std::fs::metadata(&path)?.len();
    println!("  {:.0} bytes per report in the database", bytes as f64 / reports as f64);

    let path = dir.join("many.db");
    let ledger = SqliteLedger::open(Options::new(&path, Arc::new(SystemClock)))?;
    let empty = meter::resident_kb();
    let known = track("each of a new parcel", &ledger, Pattern::New, nobody(), reports).await?;
    let bytes = (meter::resident_kb() - empty) * 1024.0 / reports as f64;
    println!("  {bytes:.0} bytes of memory per parcel, names and all that this program itself keeps of them included");
    track(&format!("any of {reports} parcels"), &ledger, Pattern::Any, known, reports / 2).await?;
    ledger.close().await;
    drop(ledger);
    let began = Instant::now();
    let ledger = SqliteLedger::open(Options::new(&path, Arc::new(SystemClock)))?;
    println!("opening with {reports} parcels: {:.0} ms", began.elapsed().as_secs_f64() * 1e3);
    ledger.close().await;
    Ok(())
}

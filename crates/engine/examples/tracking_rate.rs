//! How fast the tracking role works off a backlog of reports about parcels of orders that nobody knows: deliveries a second on the
//! SQLite ledger, each of them settled durably.
//!
//! `cargo run --release -p ordermill-engine --example tracking_rate -- [DELIVERIES]`

use std::error::Error;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ordermill_core::Timestamp;
use ordermill_core::input::{Body, Input, ParcelReport};
use ordermill_core::parcel::ParcelStatus;
use ordermill_core::process::Role;
use ordermill_embedded::objects::FileObjects;
use ordermill_embedded::sqlite::{Options, SqliteLedger};
use ordermill_embedded::{mail, sandbox};
use ordermill_engine::{Parts, Settings, Templates, start};
use ordermill_ports::clock::{SystemClock, SystemRandom};
use ordermill_ports::{Bus, Clock, Ledger, Source, Submission};

type AnyError = Box<dyn Error + Send + Sync>;

/// Reports in one call, as a carrier sends them.
const AT_ONCE: usize = 100;

fn report(number: usize) -> Result<Submission, AnyError> {
    // Names without any order among them, as carriers give them.
    let parcel_id = format!("{:016x}-{number}", number.wrapping_mul(0x9e37_79b9_7f4a_7c15)).parse()?;
    let status = ParcelStatus::PickedUp;
    let report = ParcelReport { parcel_id, status, seen_at: Timestamp::now(), correlation_id: None };
    Ok(Submission::new(Input::new(Body::Track(report))))
}

#[tokio::main]
async fn main() -> Result<(), AnyError> {
    let count: usize = std::env::args().nth(1).map_or(Ok(500_000), |count| count.parse())?;
    let dir = tempfile::tempdir()?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let ledger = SqliteLedger::open(Options::new(dir.path().join("ordermill.db"), Arc::clone(&clock)))?;
    for begin in (0..count).step_by(AT_ONCE * 10) {
        let reports: Result<Vec<Submission>, AnyError> = (begin..count.min(begin + AT_ONCE * 10)).map(report).collect();
        for result in ledger.submit(Source::Import, reports?).await {
            result?;
        }
    }
    let parts = Parts {
        ledger: ledger.clone(),
        queries: ledger.clone(),
        bus: ledger.clone(),
        payments: Arc::new(sandbox::Sandbox::open(
            &dir.path().join("sandbox"),
            Arc::clone(&clock),
            sandbox::Options::default(),
        )?),
        mailer: Arc::new(mail::Mbox::open(&dir.path().join("mail.mbox"), None, "shop@example.com")?),
        objects: Arc::new(FileObjects::open(&dir.path().join("objects"))?),
        clock,
        random: Arc::new(SystemRandom::default()),
        templates: Arc::new(Templates::load(None)?),
        publisher: None,
    };
    let began = Instant::now();
    let running = start(parts, Settings::default(), &[Role::Tracking]);
    loop {
        let lag = ledger.lag(Role::Tracking).await?;
        if lag.events == 0 && lag.parked == 0 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let seconds = began.elapsed().as_secs_f64();
    println!("{count} deliveries in {seconds:.2} s: {:.0} a second", count as f64 / seconds);
    running.stop().await;
    ledger.close().await;
    Ok(())
}

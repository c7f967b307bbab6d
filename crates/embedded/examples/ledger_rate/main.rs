//! What the SQLite ledger does in a second on this machine, with nothing else in the way.
//!
//! `cargo run --release -p ordermill-embedded --example ledger_rate [ORDERS]` brings orders from placed to archived. Prints what an
//! open order takes in memory; the rate, the CPU time per order of each kind of thread, and the bytes per order in the database;
//! then how long opening takes with all of them stored.
//!
//! `… --example ledger_rate parcels [REPORTS]` takes carriers' reports in calls of 100. Prints the same for them.

mod meter;
mod orders;
mod parcels;
mod shop;

/// As in the program itself: orders are made on one thread and freed on another.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

type AnyError = Box<dyn std::error::Error + Send + Sync>;

#[tokio::main(worker_threads = 2)]
async fn main() -> Result<(), AnyError> {
    let mut arguments = std::env::args().skip(1).peekable();
    let about_parcels = arguments.next_if(|word| word == "parcels").is_some();
    let count = arguments.next().map(|text| text.parse()).transpose()?;
    let dir = tempfile::tempdir_in(".")?;
    if about_parcels { parcels::run(dir.path(), count).await } else { orders::run(dir.path(), count).await }
}

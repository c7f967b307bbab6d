//! `ordermill export FILE`: a whole ledger in one file.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use flate2::Compression;
use flate2::write::GzEncoder;
use ordermill_engine::moving::{self, About, Summary};
use ordermill_ports::moving::LedgerReader;
use serde_json::json;

use super::ledgers::{self, Watch};
use super::{ConfigArgs, Global};
use crate::exit::{Exit, Usage};
use crate::output::{self, count};

/// Bytes gathered before they are written.
const BUFFER_BYTES: usize = 256 * 1024;

/// JSON lines of one ledger are much alike: more effort makes them hardly smaller.
const COMPRESSION: u32 = 3;

/// Arguments of `export`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
The file holds every event with its position, and what does not follow from events: stock, idempotency keys, deliveries that wait or \
were given up, and how far each role has come. `ordermill import-ledger` makes a ledger of it again, on any backend:

  ordermill export ledger.ndjson.gz --data shop
  ordermill import-ledger ledger.ndjson.gz --data shop --set 'ledger=postgres://shop@db/shop?password=env:DB_PASSWORD'

It is a backup as well. Mails, the archive and the books of the payment sandbox are no part of the ledger and stay where they are. \
docs/moving.md tells the rest.

The file holds names and addresses of customers: keep it as you keep the ledger.")]
pub struct Args {
    /// The file to make; packed when its name ends in .gz; `-` for standard output
    file: PathBuf,
    #[command(flatten)]
    config: ConfigArgs,
    /// Also while a server uses the ledger: a backup of this moment. What happens later is not in it
    #[arg(long)]
    live: bool,
}

/// Exports.
pub fn run(args: Args, global: &Global) -> Result<Exit> {
    let config = args.config.load(Vec::new())?.config;
    let is_stdout = args.file == Path::new("-");
    if !is_stdout && args.file.exists() {
        return Err(Usage(format!("{} is there already", args.file.display())).into());
    }
    let mut reader = ledgers::reader(&config)?;
    if let Some(why) = reader.in_use() {
        if !args.live {
            bail!(
                "the ledger is in use ({why}): what happens after the export would be lost when you move; \
                 stop the server, or take a backup of this moment with --live"
            );
        }
        // Nobody may be there to read it.
        let _ = writeln!(io::stderr(), "the ledger is in use ({why}): the export holds this moment, and nothing later");
    }
    let summary = if is_stdout {
        let mut to = BufWriter::with_capacity(BUFFER_BYTES, io::stdout().lock());
        write(reader.as_mut(), &mut to, global)?
    } else {
        write_file(reader.as_mut(), &args.file, global)?
    };
    if !is_stdout {
        print(&summary, &args.file, global)?;
    }
    Ok(Exit::Ok)
}

/// Writes a file beside its place, until it is whole and durable.
fn write_file(reader: &mut dyn LedgerReader, path: &Path, global: &Global) -> Result<Summary> {
    let mut part = path.as_os_str().to_owned();
    part.push(".part");
    let part = PathBuf::from(part);
    let failed = || format!("{} cannot be written", part.display());
    let file = create_private(&part).with_context(failed)?;
    let summary = if path.extension().is_some_and(|extension| extension == "gz") {
        let mut packed = BufWriter::with_capacity(BUFFER_BYTES, GzEncoder::new(&file, Compression::new(COMPRESSION)));
        let summary = write(reader, &mut packed, global)?;
        packed.into_inner().map_err(io::IntoInnerError::into_error).and_then(GzEncoder::finish).with_context(failed)?;
        summary
    } else {
        write(reader, &mut BufWriter::with_capacity(BUFFER_BYTES, &file), global)?
    };
    file.sync_all().with_context(failed)?;
    fs::rename(&part, path).with_context(failed)?;
    Ok(summary)
}

/// The file holds what customers told the shop: nobody else on the machine reads it.
fn create_private(path: &Path) -> io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt as _;
    File::options().write(true).create(true).truncate(true).mode(0o600).open(path)
}

fn write(reader: &mut dyn LedgerReader, to: &mut dyn Write, global: &Global) -> Result<Summary> {
    let about = About {
        export: uuid::Uuid::now_v7().to_string(),
        program: env!("CARGO_PKG_VERSION").to_owned(),
        at: jiff::Timestamp::now(),
    };
    let mut watch = Watch::new(global.json);
    let summary = moving::export(reader, about, to, &mut |word| watch.update(word));
    watch.finish();
    Ok(summary?)
}

fn print(summary: &Summary, path: &Path, global: &Global) -> Result<()> {
    let Summary { export, counts, totals } = summary;
    if global.json {
        return Ok(output::json(&json!({ "export": export, "counts": counts, "totals": totals }))?);
    }
    let orders = totals.orders.values().sum();
    let text = format!("{} events of {} orders are in {}", count(counts.events), count(orders), path.display());
    Ok(output::line(text)?)
}

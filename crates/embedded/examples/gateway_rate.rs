//! How fast the gateways of the embedded backend are on this machine: `cargo run --release -p ordermill-embedded --example
//! gateway_rate`. Prints calls, mails and objects a second, and how long a journal of three million orders takes to open.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use ordermill_core::id::{OrderId, PaymentMethod, ProviderRef};
use ordermill_core::mail::{Email, MailKind, message_id};
use ordermill_core::money::{Currency, Money};
use ordermill_core::payment::{OperationId, OperationKind, PaymentKey, PaymentRequest};
use ordermill_embedded::mail::{Maildir, Mbox, scan_mbox};
use ordermill_embedded::objects::FileObjects;
use ordermill_embedded::sandbox::{Options, Sandbox, read_journal};
use ordermill_ports::clock::SystemClock;
use ordermill_ports::mailer::Mail;
use ordermill_ports::{Clock, Mailer, Objects, Payments, Random};

const PAID_ORDERS: usize = 200_000;
const STORED_ORDERS: usize = 3_000_000;
const MAILS: usize = 50_000;
const OBJECTS: usize = 10_000;

type AnyError = Box<dyn std::error::Error>;

fn rate(what: &str, count: usize, took: Duration) {
    println!(
        "{what:44} {:>10.0} a second  ({count} in {:.2} s)",
        count as f64 / took.as_secs_f64(),
        took.as_secs_f64()
    );
}

fn request(order_id: OrderId, kind: OperationKind) -> Result<PaymentRequest, AnyError> {
    let authorization = ProviderRef::new(&format!("sbx_{}", order_id.uuid().as_simple()))?;
    Ok(PaymentRequest {
        key: PaymentKey { order_id, operation: OperationId { kind, number: 1 }, attempt: 1 },
        amount: Money { amount_minor: 1_999, currency: Currency::USD },
        method: PaymentMethod::new("ok")?,
        authorization: (kind != OperationKind::Authorize).then_some(authorization),
        unresolved: false,
    })
}

async fn pay(directory: &Path, fsync: bool, orders: usize) -> Result<(), AnyError> {
    let path = directory.join(format!("pay-{fsync}.journal"));
    let sandbox = Arc::new(Sandbox::open(&path, Arc::new(SystemClock), Options { fsync, ..Options::default() })?);
    let random = ordermill_ports::clock::SystemRandom::default();
    let ids: Vec<OrderId> = (0..orders).map(|_| random.order_id(SystemClock.now())).collect();
    let begun = Instant::now();
    let tasks = ids.chunks(orders.div_ceil(64)).map(|ids| {
        let (sandbox, ids) = (Arc::clone(&sandbox), ids.to_vec());
        tokio::spawn(async move {
            for id in ids {
                for kind in [OperationKind::Authorize, OperationKind::Capture] {
                    let request = request(id, kind).map_err(|error| error.to_string())?;
                    sandbox.perform(&request).await.map_err(|error| error.to_string())?;
                }
            }
            Ok::<_, String>(())
        })
    });
    for task in tasks.collect::<Vec<_>>() {
        task.await??;
    }
    rate(&format!("payment calls, 64 at once, fsync {fsync}"), orders * 2, begun.elapsed());
    Ok(())
}

/// Resident memory of this process, in MiB.
fn resident_mib() -> Option<usize> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmRSS:"))?;
    Some(line.split_whitespace().nth(1)?.parse::<usize>().ok()? / 1_024)
}

/// Processor time this process has taken, in seconds: on a busy machine it says more than the clock.
fn cpu_seconds() -> Option<f64> {
    let stat = fs::read_to_string("/proc/self/schedstat").ok()?;
    Some(stat.split_whitespace().next()?.parse::<f64>().ok()? / 1e9)
}

fn open_large(directory: &Path) -> Result<(), AnyError> {
    let path = directory.join("large.journal");
    drop(Sandbox::open(&path, Arc::new(SystemClock), Options::default())?);
    let mut text = fs::read_to_string(&path)?;
    let random = ordermill_ports::clock::SystemRandom::default();
    let now = SystemClock.now();
    for number in 0..STORED_ORDERS {
        let id = random.order_id(now);
        let (hex, micros) = (id.uuid(), now.as_microsecond() + number as i64);
        for kind in ["authorize", "capture"] {
            text.push_str(&format!("{} {kind}-1/1 1 1999 USD ok {micros}\n", hex.as_simple()));
        }
    }
    fs::write(&path, &text)?;
    println!("journal of {STORED_ORDERS} orders: {} MiB", text.len() >> 20);
    drop(text);
    let (before, begun, cpu_before) = (resident_mib(), Instant::now(), cpu_seconds());
    let sandbox = Sandbox::open(&path, Arc::new(SystemClock), Options::default())?;
    let took = begun.elapsed();
    let cpu = cpu_seconds().zip(cpu_before).map(|(after, before)| after - before);
    println!("opened in {:.2} s, {:.2} s of them processor time", took.as_secs_f64(), cpu.unwrap_or(f64::NAN));
    println!("resident MiB before {before:?}, after {:?}", resident_mib());
    drop(sandbox);
    let (mut entries, begun) = (0, Instant::now());
    read_journal(&path, &mut |_| {
        entries += 1;
        Ok(())
    })?;
    rate("journal entries read by the auditor", entries, begun.elapsed());
    fs::remove_file(&path)?;
    Ok(())
}

fn mails(count: usize) -> Result<Vec<Mail>, AnyError> {
    let random = ordermill_ports::clock::SystemRandom::default();
    let make = |_| {
        let order_id = random.order_id(SystemClock.now());
        let line = "  2 x Stoneware mug, 350 ml                                  39.98 USD\n";
        Ok(Mail {
            message_id: message_id(order_id, MailKind::Confirmed, 1),
            order_id,
            kind: MailKind::Confirmed,
            version: 1,
            to: Email::new("household-900@example.com")?,
            subject: "Your order is confirmed".to_owned(),
            text: format!("Thank you for your order.\n\n{}\nWe write again when it ships.\n", line.repeat(4)),
            html: format!("<html><body><p>Thank you for your order.</p><pre>{}</pre></body></html>\n", line.repeat(8)),
            at: SystemClock.now(),
        })
    };
    (0..count).map(make).collect()
}

async fn send(what: &str, mailer: &dyn Mailer, mails: &[Mail]) -> Result<(), AnyError> {
    for size in [256, 16, 1] {
        let mails = &mails[..mails.len().min(size * 200)];
        let begun = Instant::now();
        for batch in mails.chunks(size) {
            for result in mailer.deliver(batch).await {
                result?;
            }
        }
        rate(&format!("mails, {what}, batches of {size}"), mails.len(), begun.elapsed());
    }
    Ok(())
}

#[tokio::main]
async fn main() -> Result<(), AnyError> {
    let directory = std::env::temp_dir().join(format!("ordermill-gateway-rate-{}", std::process::id()));
    fs::create_dir_all(&directory)?;
    open_large(&directory)?;
    pay(&directory, false, PAID_ORDERS).await?;
    pay(&directory, true, PAID_ORDERS / 100).await?;
    let mails = mails(MAILS)?;
    let path = directory.join("mail.mbox");
    send("mbox", &Mbox::open(&path, None, "Ordermill <orders@example.com>")?, &mails).await?;
    let (mut count, begun) = (0, Instant::now());
    scan_mbox(&path, None, &mut |_| {
        count += 1;
        Ok(())
    })?;
    rate("mails scanned by the auditor", count, begun.elapsed());
    send("maildir", &Maildir::open(&directory.join("mail"), "orders@example.com")?, &mails).await?;
    let store = FileObjects::open(&directory.join("objects"))?;
    let object = |number| (format!("archive/2026/11/21/{number}.json"), Bytes::from(vec![b'x'; 2_000]));
    let begun = Instant::now();
    for first in (0..OBJECTS).step_by(256) {
        let batch = (first..OBJECTS.min(first + 256)).map(object).collect();
        for result in store.put(batch).await {
            result?;
        }
    }
    rate("objects of 2 KB, batches of 256", OBJECTS, begun.elapsed());
    fs::remove_dir_all(&directory)?;
    Ok(())
}

//! Orders, from placed to archived: `direct` gives the inputs straight to `submit`; `roles` has four roles take them from the bus
//! and settle what they did.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use ordermill_core::event::{EventType, Subject};
use ordermill_core::id::{CustomerId, OrderId, PaymentMethod, ProductId, ProviderRef};
use ordermill_core::idempotency::Fingerprint;
use ordermill_core::input::{
    Admission, Body, Input, Key, MailResult, PaymentAnswer, PaymentResult, PlaceOrder, PutProduct, RequestedLine,
};
use ordermill_core::mail::{Email, MailKind};
use ordermill_core::money::{Currency, Money};
use ordermill_core::order::Order;
use ordermill_core::process::Role;
use ordermill_embedded::sqlite::{Options, SqliteLedger};
use ordermill_ports::bus::Delivery;
use ordermill_ports::clock::{SystemClock, SystemRandom};
use ordermill_ports::{Bus, Clock, Ledger, Queries, Random, Source, Submission};

use crate::AnyError;
use crate::meter::{self, Meter};

const ORDERS: usize = 200_000;
/// Orders brought to rest before open ones are measured: they fill what is of a fixed size, such as the caches of SQLite, the feed
/// in memory and the orders kept after they came to rest.
const SETTLED_ORDERS: usize = 40_000;
const OPEN_ORDERS: usize = 200_000;
const OPEN_AT_ONCE: usize = 500;
const PRODUCTS: usize = 1_000;
const CUSTOMERS: usize = 100_000;
const CALLERS: usize = 256;

/// A shop that always asks for the same thing of everybody.
struct Shop {
    ledger: Arc<SqliteLedger>,
    random: SystemRandom,
    left: AtomicUsize,
}

impl Shop {
    async fn open(path: &Path, orders: usize) -> Result<Arc<Self>, AnyError> {
        let ledger = SqliteLedger::open(Options::new(path, Arc::new(SystemClock)))?;
        let products: Vec<Submission> =
            (0..PRODUCTS).map(|n| Ok(Submission::new(Input::new(product(n)?)))).collect::<Result<_, AnyError>>()?;
        for answer in ledger.submit(Source::Import, products).await {
            answer?;
        }
        Ok(Arc::new(Self { ledger, random: SystemRandom::default(), left: AtomicUsize::new(orders) }))
    }

    /// Takes one of the orders that are left to be placed.
    fn take(&self) -> bool {
        self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok()
    }

    fn placing(&self) -> Result<Submission, AnyError> {
        let order_id = self.random.order_id(SystemClock.now());
        let chance = uuid::Uuid::new_v4().as_u128() as usize;
        let request = PlaceOrder {
            order_id,
            admission: Admission::Refuse,
            order_ref: None,
            customer_id: CustomerId::new(&format!("customer-{}", chance % CUSTOMERS))?,
            customer_email: Some(Email::new("somebody@example.com")?),
            currency: None,
            payment_method: PaymentMethod::new("ok")?,
            shipping_address: Some("Unter den Linden 1, 10117 Berlin".into()),
            lines: vec![RequestedLine { product_id: product_id(chance / CUSTOMERS)?, quantity: 1, unit_price: None }],
            placed_at: None,
            metadata: None,
            correlation_id: None,
            traceparent: None,
        };
        let key = Key { key: uuid::Uuid::new_v4().to_string().parse()?, fingerprint: Fingerprint([7; 16]) };
        Ok(Submission::new(Input::new(Body::Place(Box::new(request))).with_key(Some(key))))
    }

    async fn submit(&self, source: Source, submission: Submission) -> Result<Arc<Order>, AnyError> {
        let answers = self.ledger.submit(source, vec![submission]).await;
        let outcome = answers.into_iter().next().ok_or("every input is answered")??;
        Ok(Arc::clone(outcome.order().ok_or("it is about an order")?))
    }
}

fn product_id(number: usize) -> Result<ProductId, AnyError> {
    Ok(ProductId::new(&format!("product-{}", number % PRODUCTS))?)
}

fn product(number: usize) -> Result<Body, AnyError> {
    Ok(Body::PutProduct(PutProduct {
        product_id: product_id(number)?,
        name: format!("Product {number}").into(),
        price: Money { amount_minor: 1_999, currency: Currency::USD },
        description: None,
        active: true,
        opening_stock: Some(1_000_000_000),
        expected_version: None,
    }))
}

/// What the payment provider says to an order's due operation.
fn paid(order: &Order) -> Result<Option<Body>, AnyError> {
    let Some(operation) = order.payment.due() else { return Ok(None) };
    let answer = PaymentAnswer::Succeeded { provider_ref: ProviderRef::new("sbx_00000000000000000000000000000001")? };
    Ok(Some(Body::PaymentResult(PaymentResult { key: operation.key(order.id), answer })))
}

fn mailed(order_id: OrderId, end: u64) -> Body {
    let result = MailResult::Sent { mailbox_end: Some(end) };
    Body::MailResult { order_id, kind: MailKind::Confirmed, version: 1, result }
}

/// Places orders one by one and brings each to its end.
async fn drive(shop: Arc<Shop>) -> Result<(), AnyError> {
    let result = |body| Submission::new(Input::new(body));
    while shop.take() {
        let order = shop.submit(Source::Live, shop.placing()?).await?;
        let order = shop.submit(Source::Results, result(paid(&order)?.ok_or("due")?)).await?;
        let order = shop.submit(Source::Results, result(Body::Reserve { order_id: order.id })).await?;
        let order = shop.submit(Source::Results, result(paid(&order)?.ok_or("due")?)).await?;
        let order = shop.submit(Source::Results, result(mailed(order.id, 1))).await?;
        let archived = Body::Archived { order_id: order.id, version: order.version };
        shop.submit(Source::Results, result(archived)).await?;
    }
    Ok(())
}

/// Places orders one by one; roles do the rest.
async fn place(shop: Arc<Shop>) -> Result<(), AnyError> {
    while shop.take() {
        shop.submit(Source::Live, shop.placing()?).await?;
    }
    Ok(())
}

/// One role: takes deliveries, looks at their orders, submits what came of them together with the settlement.
async fn work(shop: Arc<Shop>, role: Role, done: Arc<AtomicUsize>) -> Result<(), AnyError> {
    loop {
        let deliveries = shop.ledger.receive(role, 256).await?;
        let mut submissions = Vec::with_capacity(deliveries.len());
        for delivery in deliveries {
            submissions.push(react(&shop, delivery).await?);
        }
        let archived = submissions.iter().filter(|one| matches!(one.input.body, Body::Archived { .. })).count();
        for answer in shop.ledger.submit(Source::Results, submissions).await {
            answer?;
        }
        done.fetch_add(archived, Ordering::Relaxed);
    }
}

async fn react(shop: &Shop, delivery: Delivery) -> Result<Submission, AnyError> {
    let Subject::Order(order_id) = delivery.subject else { return Err("roles react to orders".into()) };
    let order = shop.ledger.order(order_id).await?.ok_or("the order is there")?;
    let body = match delivery.role {
        Role::Payments => paid(&order)?,
        Role::Inventory => Some(Body::Reserve { order_id }),
        Role::Notifications => order.due_mails().next().map(|_| mailed(order_id, delivery.position.0)),
        // Written once, when everything else is done.
        Role::Archive if delivery.kind == EventType::NotificationSent => {
            Some(Body::Archived { order_id, version: order.version })
        }
        _ => None,
    };
    Ok(match body {
        Some(body) => Submission::settling(Input::new(body), delivery.ack()),
        None => Submission::settle(delivery.ack()),
    })
}

/// What an open order takes in memory.
async fn open_orders(path: &Path, orders: usize) -> Result<(), AnyError> {
    let mut options = Options::new(path, Arc::new(SystemClock));
    options.undecided_max = orders;
    drop(SqliteLedger::open(options.clone())?);
    let empty = meter::resident_kb();
    let left = SETTLED_ORDERS.into();
    let shop = Arc::new(Shop { ledger: SqliteLedger::open(options)?, random: SystemRandom::default(), left });
    for number in 0..PRODUCTS {
        shop.ledger.submit_one(Source::Import, Input::new(product(number)?)).await?;
    }
    let callers: Vec<_> = (0..CALLERS).map(|_| tokio::spawn(drive(Arc::clone(&shop)))).collect();
    for caller in callers {
        caller.await??;
    }
    let begun = meter::resident_kb();
    for _ in 0..orders / OPEN_AT_ONCE {
        let placing = (0..OPEN_AT_ONCE).map(|_| shop.placing()).collect::<Result<_, _>>()?;
        for answer in shop.ledger.submit(Source::Import, placing).await {
            answer?;
        }
    }
    let bytes = (meter::resident_kb() - begun) * 1024.0 / orders as f64;
    println!("an empty ledger: {:.0} MiB of memory in all; {bytes:.0} bytes per open order", empty / 1024.0);
    Ok(())
}

async fn direct(path: &Path, orders: usize) -> Result<(), AnyError> {
    let shop = Shop::open(path, orders).await?;
    let meter = Meter::start();
    let callers: Vec<_> = (0..CALLERS * 6).map(|_| tokio::spawn(drive(Arc::clone(&shop)))).collect();
    for caller in callers {
        caller.await??;
    }
    meter.report("direct", "order", orders);
    shop.ledger.close().await;
    Ok(())
}

async fn roles(path: &Path, orders: usize) -> Result<(), AnyError> {
    let shop = Shop::open(path, orders).await?;
    let done = Arc::new(AtomicUsize::new(0));
    let meter = Meter::start();
    let roles = [Role::Payments, Role::Inventory, Role::Notifications, Role::Archive];
    let workers: Vec<_> =
        roles.into_iter().map(|role| tokio::spawn(work(Arc::clone(&shop), role, Arc::clone(&done)))).collect();
    let callers: Vec<_> = (0..CALLERS).map(|_| tokio::spawn(place(Arc::clone(&shop)))).collect();
    for caller in callers {
        caller.await??;
    }
    while done.load(Ordering::Relaxed) < orders {
        if let Some(broken) = workers.iter().position(tokio::task::JoinHandle::is_finished) {
            return Err(format!("the role {} has ended", roles[broken].as_str()).into());
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    meter.report("roles", "order", orders);
    for worker in workers {
        worker.abort();
    }
    shop.ledger.close().await;
    Ok(())
}

/// Everything about orders.
pub async fn run(dir: &Path, orders: Option<usize>) -> Result<(), AnyError> {
    let orders = orders.unwrap_or(ORDERS);
    let path = dir.join("orders.db");
    open_orders(&dir.join("open.db"), OPEN_ORDERS).await?;
    roles(&path, orders).await?;
    let bytes = std::fs::metadata(&path)?.len();
    println!("  {:.0} bytes per order in the database", bytes as f64 / orders as f64);
    direct(&path, orders).await?;
    let began = Instant::now();
    let ledger = SqliteLedger::open(Options::new(&path, Arc::new(SystemClock)))?;
    println!("opening with {} orders and keys: {:.0} ms", 2 * orders, began.elapsed().as_secs_f64() * 1e3);
    ledger.close().await;
    Ok(())
}

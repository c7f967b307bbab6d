//! A load for any ledger: a shop that always asks for the same, and roles that are done at once. Shared by the examples `ledger_rate` of
//! the ledgers, which include it by its path.

use std::collections::BTreeMap;
use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

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
use ordermill_ports::bus::Delivery;
use ordermill_ports::clock::{SystemClock, SystemRandom};
use ordermill_ports::ledger::SubmitError;
use ordermill_ports::{Bus, Clock, Ledger, Queries, Random, Source, Submission};

use crate::AnyError;

const PRODUCTS: usize = 1_000;
const CUSTOMERS: usize = 100_000;
/// Whoever places orders, one after the other.
pub const CALLERS: usize = 256;

/// A ledger with its reads and its bus.
pub trait Backend: Ledger + Queries + Bus + 'static {}

impl<L: Ledger + Queries + Bus + 'static> Backend for L {}

/// A shop that always asks for the same thing of everybody.
pub struct Shop<L> {
    /// Where it keeps everything.
    pub ledger: Arc<L>,
    random: SystemRandom,
    left: AtomicUsize,
}

impl<L: Backend> Shop<L> {
    /// With its products, before so many orders.
    pub async fn open(ledger: Arc<L>, orders: usize) -> Result<Arc<Self>, AnyError> {
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

    /// An order like any other.
    pub fn placing(&self) -> Result<Submission, AnyError> {
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
        let outcome = only(answers)??;
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
async fn drive<L: Backend>(shop: Arc<Shop<L>>) -> Result<(), AnyError> {
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
async fn place<L: Backend>(shop: Arc<Shop<L>>) -> Result<(), AnyError> {
    while shop.take() {
        let placing = shop.placing()?;
        // Where more orders are under way than the ledger lets in, a client comes again.
        while let Err(error) = only(shop.ledger.submit(Source::Live, vec![placing.clone()]).await)? {
            if !matches!(error, SubmitError::Overloaded { .. }) {
                return Err(error.into());
            }
        }
    }
    Ok(())
}

fn only<T>(answers: Vec<T>) -> Result<T, AnyError> {
    Ok(answers.into_iter().next().ok_or("every input is answered")?)
}

/// One role: takes deliveries, looks at their orders, submits what came of them together with the settlement.
async fn work<L: Backend>(shop: Arc<Shop<L>>, role: Role, done: Arc<AtomicUsize>) -> Result<(), AnyError> {
    loop {
        let deliveries = shop.ledger.receive(role, 256).await?;
        let ids: Vec<OrderId> = deliveries.iter().filter_map(order_of).collect();
        let orders = shop.ledger.orders(&ids).await?;
        let react = |(delivery, order): (Delivery, Option<Arc<Order>>)| react(delivery, &*order.ok_or("it is there")?);
        let submissions: Vec<_> = deliveries.into_iter().zip(orders).map(react).collect::<Result<_, _>>()?;
        let archived = submissions.iter().filter(|one| matches!(one.input.body, Body::Archived { .. })).count();
        for answer in shop.ledger.submit(Source::Results, submissions).await {
            answer?;
        }
        done.fetch_add(archived, Ordering::Relaxed);
    }
}

/// The order that a delivery is about: these roles react to nothing else.
const fn order_of(delivery: &Delivery) -> Option<OrderId> {
    if let Subject::Order(id) = delivery.subject { Some(id) } else { None }
}

fn react(delivery: Delivery, order: &Order) -> Result<Submission, AnyError> {
    let order_id = order.id;
    let body = match delivery.role {
        Role::Payments => paid(order)?,
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

/// So many callers place all orders that are left, and bring each to its end by giving every input straight to `submit`.
pub async fn direct<L: Backend>(shop: &Arc<Shop<L>>, callers: usize) -> Result<(), AnyError> {
    let callers: Vec<_> = (0..callers).map(|_| tokio::spawn(drive(Arc::clone(shop)))).collect();
    for caller in callers {
        caller.await??;
    }
    Ok(())
}

/// Callers place all orders that are left, so many, and four roles take them from the bus, until each is archived.
pub async fn roles<L: Backend>(shop: &Arc<Shop<L>>, orders: usize) -> Result<(), AnyError> {
    let done = Arc::new(AtomicUsize::new(0));
    let roles = [Role::Payments, Role::Inventory, Role::Notifications, Role::Archive];
    let workers: Vec<_> =
        roles.into_iter().map(|role| tokio::spawn(work(Arc::clone(shop), role, Arc::clone(&done)))).collect();
    let callers: Vec<_> = (0..CALLERS).map(|_| tokio::spawn(place(Arc::clone(shop)))).collect();
    for caller in callers {
        caller.await??;
    }
    while done.load(Ordering::Relaxed) < orders {
        if let Some(broken) = workers.iter().position(tokio::task::JoinHandle::is_finished) {
            return Err(format!("the role {} has ended", roles[broken].as_str()).into());
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    for worker in workers {
        worker.abort();
    }
    Ok(())
}

/// CPU seconds of this process's threads so far, by name.
pub fn cpu_by_thread() -> BTreeMap<String, f64> {
    let mut by_name = BTreeMap::new();
    let tasks = fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
    for task in tasks {
        let name = fs::read_to_string(task.path().join("comm")).unwrap_or_default();
        let stat = fs::read_to_string(task.path().join("schedstat")).unwrap_or_default();
        let nanoseconds: f64 = stat.split(' ').next().and_then(|text| text.parse().ok()).unwrap_or(0.0);
        *by_name.entry(name.trim().to_owned()).or_insert(0.0) += nanoseconds / 1e9;
    }
    by_name
}

//! Orders, from placed to archived: `direct` gives the inputs straight to `submit`; `roles` has four roles take them from the bus
//! and settle what they did.

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
use ordermill_postgres::{Options, PgLedger};

use crate::AnyError;
use crate::meter::Meter;

const PRODUCTS: usize = 1_000;
const CUSTOMERS: usize = 100_000;
const CALLERS: usize = 256;

/// A shop that always asks for the same thing of everybody.
struct Shop {
    ledger: Arc<PgLedger>,
    random: SystemRandom,
    left: AtomicUsize,
}

impl Shop {
    async fn open(options: &Options, orders: usize) -> Result<Arc<Self>, AnyError> {
        let ledger = PgLedger::open(options.clone()).await?;
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
async fn work(shop: Arc<Shop>, role: Role, done: Arc<AtomicUsize>) -> Result<(), AnyError> {
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

async fn direct(options: &Options, orders: usize) -> Result<(), AnyError> {
    let shop = Shop::open(options, orders).await?;
    let meter = Meter::start(&options.server).await?;
    let callers: Vec<_> = (0..CALLERS * 6).map(|_| tokio::spawn(drive(Arc::clone(&shop)))).collect();
    for caller in callers {
        caller.await??;
    }
    meter.report("direct", orders).await?;
    shop.ledger.close().await;
    Ok(())
}

async fn roles(options: &Options, orders: usize) -> Result<(), AnyError> {
    let shop = Shop::open(options, orders).await?;
    let done = Arc::new(AtomicUsize::new(0));
    let meter = Meter::start(&options.server).await?;
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
    meter.report("roles", orders).await?;
    for worker in workers {
        worker.abort();
    }
    shop.ledger.close().await;
    Ok(())
}

/// Everything about orders.
pub async fn run(options: &Options, orders: usize) -> Result<(), AnyError> {
    // Whatever is set aside for a first time is set aside before.
    roles(options, orders / 10).await?;
    roles(options, orders).await?;
    direct(options, orders).await
}

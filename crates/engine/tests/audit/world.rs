//! A small shop with everything an order can go through, driven by hand: a ledger in memory, and the outside as plain lists.

use std::collections::BTreeMap;
use std::sync::Arc;

use ordermill_core::id::{CustomerId, OrderId, ProductId};
use ordermill_core::idempotency::Fingerprint;
use ordermill_core::input::{Admission, Body, Input, Key, MailResult, PaymentAnswer, PaymentResult};
use ordermill_core::intake::{OrderDraft, ProductDraft};
use ordermill_core::mail::message_id;
use ordermill_core::order::{Order, Status};
use ordermill_core::parcel::ParcelStatus;
use ordermill_core::payment::{DeclineReason, OperationKind, PaymentKey, PaymentRequest, due_request};
use ordermill_core::policy::Policy;
use ordermill_embedded::memory::MemoryLedger;
use ordermill_engine::archive_object::ArchiveObject;
use ordermill_engine::audit::{self, Finding, Parts, RecordStore, Totals};
use ordermill_ports::audit::{ProviderEntry, StoredMail};
use ordermill_ports::clock::SystemClock;
use ordermill_ports::{Clock, Ledger, Queries, Source};
use serde_json::{Value, json};

use super::records::Records;
use super::subjects::add_subjects;

/// What the ledger and the outside hold.
#[derive(Clone, Default)]
pub struct World {
    pub records: Records,
    pub provider: Vec<ProviderEntry>,
    pub mails: Vec<StoredMail>,
    pub objects: BTreeMap<String, Vec<u8>>,
    pub record_objects: BTreeMap<String, Vec<u8>>,
    /// Orders by the name the shop gave them.
    pub orders: BTreeMap<&'static str, OrderId>,
}

impl World {
    pub fn id(&self, name: &str) -> OrderId {
        self.orders[name]
    }

    /// The entry of the provider's journal for this operation.
    pub fn entry(&mut self, name: &str, operation: &str) -> &mut ProviderEntry {
        let operation = operation.parse().unwrap();
        let key = PaymentKey { order_id: self.id(name), operation, attempt: 1 };
        self.provider.iter_mut().find(|entry| entry.key == key).expect("the provider has the entry")
    }

    pub fn object_key(&self, name: &str) -> String {
        let id = self.id(name).to_string();
        self.objects.keys().find(|key| key.contains(&id)).expect("the order is archived").clone()
    }

    /// Audits this world as it stands.
    pub fn audit(&self) -> (Totals, Vec<Finding>) {
        self.audit_with(&mut |_| self.records.clone())
    }

    /// Audits it with a ledger that may look different each time it is opened; it is told how often it was opened before.
    pub fn audit_with(&self, open: &mut dyn FnMut(usize) -> Records) -> (Totals, Vec<Finding>) {
        let mut opened = 0;
        let mut parts = Parts {
            ledger: Box::new(move || {
                opened += 1;
                Ok(Box::new(open(opened - 1)))
            }),
            provider: Some(Box::new(|visit| self.provider.iter().cloned().try_for_each(visit))),
            mails: Some(Box::new(|_, visit| self.mails.iter().cloned().try_for_each(visit))),
            archive: Some(Box::new(|keys| Ok(keys.iter().map(|key| self.objects.get(key).cloned()).collect()))),
            records: Some(RecordStore {
                read: Box::new(|keys| Ok(keys.iter().map(|key| self.record_objects.get(key).cloned()).collect())),
                list: Box::new(|prefix, visit| {
                    let keys = self.record_objects.keys().filter(|key| key.starts_with(prefix));
                    keys.cloned().try_for_each(visit)
                }),
            }),
        };
        let mut findings = Vec::new();
        let totals = audit::run(&mut parts, &mut |_| {}, &mut |finding| findings.push(finding.clone())).unwrap();
        (totals, findings)
    }
}

/// The ledger at work, with the world it fills.
pub struct Shop {
    pub ledger: Arc<MemoryLedger>,
    pub world: World,
    mail_end: u64,
    next_id: u8,
}

impl Shop {
    pub async fn open() -> Self {
        let ledger = MemoryLedger::new(Policy::default(), Arc::new(SystemClock), 1_000);
        let shop = Self { ledger, world: World::default(), mail_end: 0, next_id: 0 };
        for (product, stock) in [("kettle", Some(100)), ("teapot", Some(1)), ("voucher", None)] {
            let draft = json!({"name": product, "price": {"amount_minor": 1999, "currency": "USD"}, "stock": stock});
            let draft: ProductDraft = serde_json::from_value(draft).unwrap();
            shop.submit(Body::PutProduct(draft.check(Some(product), None).unwrap())).await;
        }
        let product_id = ProductId::new("kettle").unwrap();
        let adjust = Body::AdjustStock { product_id, delta: -7, reason: "broken".into(), expected_version: None };
        let fingerprint = Fingerprint([9; 16]);
        let key = Key { key: "adjust-1".parse().unwrap(), fingerprint };
        shop.ledger.submit_one(Source::Live, Input::new(adjust).with_key(Some(key))).await.unwrap();
        shop
    }

    /// Places an order of one product under a name, with a reference and a key of that name.
    pub async fn place(
        &mut self,
        name: &'static str,
        product: &str,
        quantity: i64,
        method: &str,
        mail: bool,
    ) -> OrderId {
        let draft = json!({
            "customer_id": "c-1", "customer_email": mail.then_some("c@example.com"), "order_ref": format!("ref-{name}"),
            "payment_method": method, "lines": [{"product_id": product, "quantity": quantity}],
        });
        let draft: OrderDraft = serde_json::from_value(draft).unwrap();
        self.next_id += 1;
        let id = OrderId::from_bytes([self.next_id; 16]);
        let place = draft.check(id, Admission::Refuse).unwrap();
        let key = Key { key: format!("key-{name}").parse().unwrap(), fingerprint: place.fingerprint() };
        let input = Input::new(Body::Place(Box::new(place))).with_key(Some(key));
        self.ledger.submit_one(Source::Live, input).await.unwrap();
        self.world.orders.insert(name, id);
        id
    }

    pub async fn submit(&self, body: Body) {
        self.ledger.submit_one(Source::Results, Input::new(body)).await.unwrap();
    }

    pub async fn order(&self, id: OrderId) -> Arc<Order> {
        self.ledger.order(id).await.unwrap().expect("the order was placed")
    }

    /// Plays every role for one order until it has reached the status or nothing is left to do.
    pub async fn drive(&mut self, id: OrderId, until: Option<Status>) {
        loop {
            let order = self.order(id).await;
            if until == Some(order.status) {
                return;
            }
            if let Some(request) = due_request(&order) {
                let answer = self.ask_provider(&request);
                let unknown = answer == PaymentAnswer::Unknown;
                self.submit(Body::PaymentResult(PaymentResult { key: request.key, answer })).await;
                if unknown {
                    return;
                }
            } else if order.status == Status::Authorized {
                self.submit(Body::Reserve { order_id: id }).await;
            } else if let Some(mail) = order.due_mails().next().copied() {
                let result = if order.placement.customer_email.is_some() {
                    MailResult::Sent { mailbox_end: Some(self.send(id, mail.kind, mail.version)) }
                } else {
                    MailResult::Skipped
                };
                self.submit(Body::MailResult { order_id: id, kind: mail.kind, version: mail.version, result }).await;
            } else if order.is_archive_due() {
                let events = self.ledger.order_events(id, 0).await.unwrap();
                let key = ArchiveObject::key(id, order.created_at);
                self.world.objects.insert(key, ArchiveObject::of(&order, &events));
                self.submit(Body::Archived { order_id: id, version: order.version }).await;
            } else {
                return;
            }
        }
    }

    /// The provider: it writes down what it did before it answers, and loses the answer to a capture by `lost`.
    fn ask_provider(&mut self, request: &PaymentRequest) -> PaymentAnswer {
        let kind = request.key.operation.kind;
        let reason = DeclineReason::Declined;
        let refused = match request.method.as_str() {
            "declined" => kind == OperationKind::Authorize,
            "void_fails" => kind == OperationKind::Void,
            _ => false,
        };
        let entry = ProviderEntry {
            key: request.key,
            amount_minor: request.amount.amount_minor,
            succeeded: !refused,
            at: SystemClock.now(),
        };
        self.world.provider.push(entry);
        match request.method.as_str() {
            _ if refused => PaymentAnswer::Refused { reason },
            "lost" if kind == OperationKind::Capture => PaymentAnswer::Unknown,
            _ => PaymentAnswer::Succeeded { provider_ref: "sbx_1".parse().unwrap() },
        }
    }

    fn send(&mut self, id: OrderId, kind: ordermill_core::mail::MailKind, version: u16) -> u64 {
        self.mail_end += 1_000;
        let message_id = message_id(id, kind, version);
        let end = Some(self.mail_end);
        self.world.mails.push(StoredMail { message_id, order_id: Some(id), kind: Some(kind), end });
        self.mail_end
    }

    /// The world as it is now.
    pub fn look(&self) -> World {
        let mut world = self.world.clone();
        world.records = Records::of(&mut self.ledger.snapshot());
        world
    }
}

/// One order of every fate, all in balance.
pub async fn healthy() -> World {
    let mut shop = Shop::open().await;
    add_subjects(&mut shop).await;
    let paid = shop.place("paid", "kettle", 2, "ok", true).await;
    let mute = shop.place("mute", "kettle", 1, "ok", false).await;
    let declined = shop.place("declined", "kettle", 1, "declined", true).await;
    let short = shop.place("short", "teapot", 3, "ok", true).await;
    for id in [paid, mute, declined, short] {
        shop.drive(id, None).await;
    }
    let released = shop.place("released", "kettle", 4, "ok", true).await;
    shop.drive(released, Some(Status::Reserved)).await;
    let refunded = shop.place("refunded", "kettle", 5, "ok", true).await;
    shop.drive(refunded, None).await;
    for order_id in [released, refunded] {
        shop.submit(Body::Cancel { order_id, reason: "changed my mind".into() }).await;
        shop.drive(order_id, None).await;
    }
    let returned = shop.place("returned", "kettle", 2, "ok", true).await;
    shop.drive(returned, None).await;
    for status in [ParcelStatus::PickedUp, ParcelStatus::OutForDelivery, ParcelStatus::Delivered] {
        let seen_at = SystemClock.now();
        shop.submit(Body::ParcelMoved { order_id: returned, status, seen_at }).await;
        shop.drive(returned, None).await;
    }
    let line = json!([{"product_id": "kettle", "quantity": 1}]);
    let lines = serde_json::from_value(line).unwrap();
    shop.submit(Body::Return { order_id: returned, lines, restock: true }).await;
    shop.drive(returned, None).await;
    let stuck = shop.place("stuck", "kettle", 1, "void_fails", true).await;
    shop.drive(stuck, Some(Status::Reserved)).await;
    shop.submit(Body::Cancel { order_id: stuck, reason: "changed my mind".into() }).await;
    shop.drive(stuck, None).await;
    let held = shop.place("held", "kettle", 3, "ok", true).await;
    shop.drive(held, Some(Status::Reserved)).await;
    let lost = shop.place("lost", "kettle", 1, "lost", true).await;
    shop.drive(lost, None).await;
    shop.place("fresh", "kettle", 1, "ok", true).await;
    shop.look()
}

/// The customer of every order here.
pub fn customer() -> CustomerId {
    CustomerId::new("c-1").unwrap()
}

/// Raises a number in JSON by one.
pub fn raise(value: &mut Value) {
    *value = json!(value.as_i64().unwrap() + 1);
}

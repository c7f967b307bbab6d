//! Rows of subjects as their events leave them: what the writer of a running ledger has there as well.

use ordermill_core::customer::Customer;
use ordermill_core::order::Order;
use ordermill_core::parcel::Parcel;
use ordermill_core::policy::Policy;
use ordermill_core::product::Product;
use ordermill_core::record::Record;
use ordermill_ports::moving::{Folded, MoveError};
use tokio_postgres::Transaction;
use tokio_postgres::types::{ToSql, Type as T};

use super::write::copy;
use crate::codec::{int, storable, version_int};

/// A column's value.
type Value<'a> = &'a (dyn ToSql + Sync);

/// Writes the rows of subjects, each with the position of its first event.
pub(super) async fn write(tx: &Transaction<'_>, folded: &[(u64, Folded)], policy: &Policy) -> Result<(), MoveError> {
    let mut orders = Vec::new();
    let (mut products, mut customers, mut parcels, mut records) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for (first, folded) in folded {
        match folded {
            Folded::Order(order) => orders.push(&**order),
            Folded::Product(Some(product), events) => products.push((product, *events)),
            Folded::Product(None, _) => {}
            Folded::Customer(customer) => customers.push(customer),
            Folded::Parcel(parcel) => parcels.push((parcel, *first)),
            Folded::Record(record) => records.push(record),
        }
    }
    write_orders(tx, &orders, policy).await?;
    write_refs(tx, &orders).await?;
    write_products(tx, &products).await?;
    write_customers(tx, &customers).await?;
    write_parcels(tx, &parcels).await?;
    write_records(tx, &records).await
}

async fn write_orders(tx: &Transaction<'_>, orders: &[&Order], policy: &Policy) -> Result<(), MoveError> {
    let into = "orders (id, customer_id, order_ref, status, attention, open, version, created_at, deadline, look_at)";
    let types =
        [T::UUID, T::TEXT, T::TEXT, T::TEXT, T::BOOL, T::BOOL, T::INT4, T::TIMESTAMPTZ, T::TIMESTAMPTZ, T::TIMESTAMPTZ];
    copy(tx, into, &types, orders, async |to, order| {
        let order_ref = order.placement.order_ref.as_ref().map(|order_ref| order_ref.as_str());
        let columns: [Value<'_>; 10] = [
            &order.id.uuid(),
            &order.placement.customer_id.as_str(),
            &order_ref,
            &order.status.as_str(),
            &order.attention.is_some(),
            &order.is_open(),
            &version_int(order.version),
            &order.created_at,
            &order.deadline(policy),
            &order.deadline(policy),
        ];
        to.write(&columns).await
    })
    .await
}

async fn write_refs(tx: &Transaction<'_>, orders: &[&Order]) -> Result<(), MoveError> {
    let with_ref: Vec<_> =
        orders.iter().filter_map(|order| Some((order.placement.order_ref.as_ref()?, *order))).collect();
    let types = [T::TEXT, T::UUID, T::BYTEA];
    copy(tx, "order_refs (ref, order_id, fingerprint)", &types, &with_ref, async |to, (order_ref, order)| {
        to.write(&[&order_ref.as_str(), &order.id.uuid(), &&order.placement.fingerprint.0[..]]).await
    })
    .await
}

async fn write_products(tx: &Transaction<'_>, products: &[(&Product, u32)]) -> Result<(), MoveError> {
    let into = "products (id, name, amount_minor, currency, description, active, deleted, version, events)";
    let types = [T::TEXT, T::TEXT, T::INT8, T::TEXT, T::TEXT, T::BOOL, T::BOOL, T::INT4, T::INT4];
    copy(tx, into, &types, products, async |to, (product, events)| {
        let columns: [Value<'_>; 9] = [
            &product.id.as_str(),
            &&*product.name,
            &product.price.amount_minor,
            &product.price.currency.code(),
            &product.description.as_deref().map(storable),
            &product.active,
            &product.deleted,
            &version_int(product.version),
            &version_int(*events),
        ];
        to.write(&columns).await
    })
    .await
}

async fn write_customers(tx: &Transaction<'_>, customers: &[&Customer]) -> Result<(), MoveError> {
    let into = "customers (id, name, email, address, metadata, deleted, version)";
    let types = [T::TEXT, T::TEXT, T::TEXT, T::TEXT, T::TEXT, T::BOOL, T::INT4];
    let json = |value: &Option<serde_json::Value>| value.as_ref().map(ToString::to_string);
    copy(tx, into, &types, customers, async |to, customer| {
        let columns: [Value<'_>; 7] = [
            &customer.id.as_str(),
            &&*customer.name,
            &customer.email.as_ref().map(|email| email.as_str()),
            &json(&customer.address),
            &json(&customer.metadata),
            &customer.deleted,
            &version_int(customer.version),
        ];
        to.write(&columns).await
    })
    .await
}

async fn write_parcels(tx: &Transaction<'_>, parcels: &[(&Parcel, u64)]) -> Result<(), MoveError> {
    let types = [T::TEXT, T::INT8, T::TEXT, T::INT4];
    copy(tx, "parcels (id, first, status, version)", &types, parcels, async |to, (parcel, first)| {
        let version = version_int(parcel.version);
        to.write(&[&parcel.id.as_str(), &int(*first), &parcel.status.as_str(), &version]).await
    })
    .await
}

async fn write_records(tx: &Transaction<'_>, records: &[&Record]) -> Result<(), MoveError> {
    let into = "records (id, received_at, stored_key, attempts, version)";
    let types = [T::UUID, T::TIMESTAMPTZ, T::TEXT, T::INT4, T::INT4];
    copy(tx, into, &types, records, async |to, record| {
        let stored = record.stored.as_ref();
        let (key, attempts) = (stored.map(|stored| &*stored.key), stored.map(|stored| version_int(stored.attempts)));
        let version = version_int(record.version);
        to.write(&[&record.id.uuid(), &record.received_at, &key, &attempts, &version]).await
    })
    .await
}

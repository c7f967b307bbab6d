//! Customers and products by id and in lists, with and without those that were deleted.

use ordermill_core::input::{Body, Input};

use crate::conformance::Harness;
use crate::conformance::shop::{Shop, customer, product};
use crate::queries::Deleted;

// "Zebra" sorts before "apple", and "ä" behind all: an order of bytes, the same on every backend.
const NAMES: [&str; 9] = ["Zebra", "a", "apple", "apple-2", "b", "c 1", "z", "~", "ä"];

/// Every third is deleted, and of those the first comes back.
fn is_deleted(number: usize) -> bool {
    number > 0 && number.is_multiple_of(3)
}

/// What is not there is not there.
pub async fn an_unknown_customer_is_none(harness: &dyn Harness) {
    let shop = Shop::open(harness).await;
    assert_eq!(shop.backend.queries.customer(&customer("c-1")).await.expect("readable"), None);
    for deleted in [Deleted::Hidden, Deleted::Shown] {
        let page = shop.backend.queries.list_customers(None, deleted, 10).await.expect("listable");
        assert!(page.entries.is_empty() && page.next.is_none());
    }
}

/// Customers are listed by id, page by page; who was deleted is hidden, or shown to those who ask, and is read by id in any case.
pub async fn customers_are_listed_by_id(harness: &dyn Harness) {
    let shop = Shop::open(harness).await;
    for (number, name) in NAMES.iter().enumerate().rev() {
        shop.put_customer(shop.customer(name)).await;
        if number.is_multiple_of(3) {
            let gone = Body::DeleteCustomer { customer_id: customer(name), expected_version: None };
            shop.ask_customer(gone).await.expect("they are there");
        }
    }
    shop.put_customer(shop.customer(NAMES[0])).await;
    for limit in [1, 2, 3, 6, 9, 50] {
        let shown = shop.list_customers(Deleted::Shown, limit).await;
        let told = shown.iter().map(|customer| (customer.id.as_str(), customer.deleted));
        assert!(told.eq(NAMES.iter().enumerate().map(|(number, name)| (*name, is_deleted(number)))), "{shown:?}");
        let hidden = shop.list_customers(Deleted::Hidden, limit).await;
        assert!(hidden.iter().eq(shown.iter().filter(|customer| !customer.deleted)), "{hidden:?}");
    }
    let behind = shop.backend.queries.list_customers(Some(&customer("b")), Deleted::Hidden, 2).await.expect("listable");
    let ids: Vec<&str> = behind.entries.iter().map(|customer| customer.id.as_str()).collect();
    assert_eq!((ids, behind.next), (vec!["c 1", "~"], Some(customer("~"))), "the cursor itself need not be shown");
    let last = shop.backend.queries.list_customers(Some(&customer("~")), Deleted::Hidden, 1).await.expect("listable");
    assert_eq!((last.entries.len(), last.next), (1, None), "the last page is the last");
    let gone = shop.backend.queries.customer(&customer("apple-2")).await.expect("readable");
    assert!(gone.is_some_and(|customer| customer.deleted && customer.version == 2));
}

/// Products are hidden from their list, and shown in it, in the same way; their stock stays listed.
pub async fn deleted_products_are_hidden(harness: &dyn Harness) {
    let shop = Shop::open(harness).await;
    for (number, name) in NAMES.iter().enumerate().rev() {
        shop.sell(name, 5).await;
        if number.is_multiple_of(3) {
            let gone = Body::DeleteProduct { product_id: product(name), expected_version: None };
            shop.ask(Input::new(gone)).await.expect("it is there");
        }
    }
    shop.sell(NAMES[0], 5).await;
    for limit in [1, 2, 6, 50] {
        for deleted in [Deleted::Hidden, Deleted::Shown] {
            let (mut listed, mut after) = (Vec::new(), None);
            loop {
                let page = shop.backend.queries.list_products(after.as_ref(), deleted, limit).await.expect("listable");
                listed.extend(page.entries);
                after = page.next;
                if after.is_none() {
                    break;
                }
            }
            let wanted = |number: &usize| deleted == Deleted::Shown || !is_deleted(*number);
            let expected = (0..NAMES.len()).filter(wanted).map(|number| (NAMES[number], is_deleted(number)));
            assert!(listed.iter().map(|product| (product.id.as_str(), product.deleted)).eq(expected), "{listed:?}");
        }
    }
    let levels = shop.backend.queries.list_stock(None, 50).await.expect("listable");
    assert_eq!(levels.entries.len(), NAMES.len());
    shop.audit().await;
}

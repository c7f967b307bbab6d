//! Products and stock, by id and in lists.

use std::collections::BTreeSet;

use ordermill_core::id::ProductId;
use ordermill_core::input::{Body, Input};

use crate::conformance::Harness;
use crate::conformance::shop::{Shop, product};
use crate::queries::Deleted;

/// What is not there is not there.
pub async fn an_unknown_product_is_none(harness: &dyn Harness) {
    let shop = Shop::open(harness).await;
    let queries = &shop.backend.queries;
    assert_eq!(queries.product(&product("apple")).await.expect("readable"), None);
    assert_eq!(queries.stock(&product("apple")).await.expect("readable"), None);
    let products = queries.list_products(None, Deleted::Shown, 10).await.expect("listable");
    assert!(products.entries.is_empty() && products.next.is_none());
    let levels = queries.list_stock(None, 10).await.expect("listable");
    assert!(levels.entries.is_empty() && levels.next.is_none());
}

/// Several products are had at once: deleted ones too, as orders name them; one that is asked for twice or is not there does no harm.
pub async fn several_products_are_had_at_once(harness: &dyn Harness) {
    let shop = Shop::open(harness).await;
    for name in ["apple", "pear", "plum", "quince"] {
        shop.sell(name, 5).await;
    }
    let gone = Body::DeleteProduct { product_id: product("pear"), expected_version: None };
    shop.ask(Input::new(gone)).await.expect("it is there");
    let found = |ids: &'static [&str]| {
        let queries = shop.backend.queries.clone();
        async move {
            let ids: Vec<ProductId> = ids.iter().copied().map(product).collect();
            let products = queries.products(&ids).await.expect("readable");
            products.iter().map(|product| product.id.clone()).collect::<BTreeSet<_>>()
        }
    };
    let expected = |ids: &[&str]| ids.iter().copied().map(product).collect::<BTreeSet<_>>();
    assert_eq!(found(&["plum", "none", "apple", "pear", "plum"]).await, expected(&["apple", "pear", "plum"]));
    assert_eq!(found(&[]).await, expected(&[]));
}

/// Products and stock are listed by id, in the order of their bytes, page by page; a product without stock is in one list only.
pub async fn lists_go_by_id(harness: &dyn Harness) {
    // "Zebra" sorts before "apple", and "ä" behind all: an order of bytes, the same on every backend.
    const NAMES: [&str; 7] = ["Zebra", "a", "apple", "apple-2", "b", "~", "ä"];
    let shop = Shop::open(harness).await;
    for (number, name) in NAMES.iter().enumerate().rev() {
        let put = shop.product(name, (number % 3 != 0).then_some(number as i64));
        shop.ask(Input::new(Body::PutProduct(put))).await.expect("taken");
    }
    for limit in [1, 2, 7, 50] {
        let (mut products, mut after): (Vec<ProductId>, Option<ProductId>) = (Vec::new(), None);
        loop {
            let page =
                shop.backend.queries.list_products(after.as_ref(), Deleted::Hidden, limit).await.expect("listable");
            assert!(page.entries.len() <= limit);
            products.extend(page.entries.iter().map(|product| product.id.clone()));
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        assert_eq!(products, NAMES.map(product));
        let mut levels = Vec::new();
        loop {
            let page = shop.backend.queries.list_stock(after.as_ref(), limit).await.expect("listable");
            levels.extend(page.entries.into_iter().map(|level| (level.product_id, level.available)));
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        let stocked = [("a", 1), ("apple", 2), ("b", 4), ("~", 5)].map(|(name, units)| (product(name), units));
        assert_eq!(levels, stocked);
    }
}

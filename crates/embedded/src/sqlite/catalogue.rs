//! Products and their stock in memory: all of them.

use std::collections::HashMap;
use std::sync::Arc;

use ordermill_core::id::ProductId;
use ordermill_core::product::Product;
use ordermill_core::stock::StockLevel;

/// A product with its stock.
#[derive(Debug, Clone, Default)]
pub(super) struct Item {
    /// The catalogue's entry.
    pub(super) product: Option<Arc<Product>>,
    /// Its stock, once it was set.
    pub(super) stock: Option<StockLevel>,
    /// Where its stock is stored; 0 until there is any.
    pub(super) slot: i64,
    /// How many events the product has, those of its stock included.
    pub(super) events: u32,
}

/// Every product, as committed.
pub(super) type Catalogue = HashMap<ProductId, Item>;

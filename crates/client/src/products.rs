//! Calls about products and stock.

use bytes::Bytes;
use futures_util::Stream;
use reqwest::Method;
use serde_json::{Value, json};

use crate::bulk::Answers;
use crate::types::{Product, ProductPage, Stock, StockPage};
use crate::{Client, Error};

impl Client {
    /// Adds or changes a product; the body is as the interface takes it.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn put_product(&self, id: &str, product: &Value) -> Result<Product, Error> {
        self.read(self.request(Method::PUT, &["v1", "products", id]).json(product)).await
    }

    /// Adds or changes many products, one a line. Answers come in the order of the lines.
    ///
    /// # Errors
    /// [`Error`], when the request as a whole is not taken.
    pub async fn put_products(&self, lines: impl Stream<Item = Bytes> + Send + 'static) -> Result<Answers, Error> {
        self.send_lines(&["v1", "products"], lines).await
    }

    /// Takes a product out of the catalogue; it is kept, and shown only to those who ask for it.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn delete_product(&self, id: &str) -> Result<Product, Error> {
        self.read(self.request(Method::DELETE, &["v1", "products", id])).await
    }

    /// One product.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn product(&self, id: &str) -> Result<Product, Error> {
        self.read(self.request(Method::GET, &["v1", "products", id])).await
    }

    /// One page of products, by id.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn products(&self, cursor: Option<&str>, limit: Option<usize>) -> Result<ProductPage, Error> {
        self.read(self.query(Method::GET, &["v1", "products"], &page(cursor, limit))).await
    }

    /// The stock of one product.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn stock(&self, id: &str) -> Result<Stock, Error> {
        self.read(self.request(Method::GET, &["v1", "stock", id])).await
    }

    /// One page of stock levels, by product id.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn stocks(&self, cursor: Option<&str>, limit: Option<usize>) -> Result<StockPage, Error> {
        self.read(self.query(Method::GET, &["v1", "stock"], &page(cursor, limit))).await
    }

    /// Sets the units available.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn set_stock(&self, id: &str, available: i64) -> Result<Stock, Error> {
        let body = json!({ "available": available });
        self.read(self.request(Method::PUT, &["v1", "stock", id]).json(&body)).await
    }

    /// Changes the units available by a difference. With a key it is safe to send again.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn adjust_stock(&self, id: &str, delta: i64, reason: &str, key: Option<&str>) -> Result<Stock, Error> {
        let body = json!({ "delta": delta, "reason": reason });
        let mut request = self.request(Method::POST, &["v1", "stock", id, "adjust"]).json(&body);
        if let Some(key) = key {
            request = request.header("Idempotency-Key", key);
        }
        self.read(request).await
    }
}

/// One page of a list.
pub(crate) fn page(cursor: Option<&str>, limit: Option<usize>) -> Vec<(&'static str, String)> {
    let cursor = cursor.map(|cursor| ("cursor", cursor.to_owned()));
    cursor.into_iter().chain(limit.map(|limit| ("limit", limit.to_string()))).collect()
}

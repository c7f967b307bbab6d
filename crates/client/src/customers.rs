//! Calls about customers.

use reqwest::Method;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::products::page;
use crate::{Client, Error};

/// A customer, as the shop keeps them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Customer {
    /// Their id.
    pub customer_id: String,
    /// How they are called.
    pub name: String,
    /// Where mails go.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    /// Whether they were deleted.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub deleted: bool,
    /// Counts the changes.
    pub version: u64,
    /// Everything else.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

/// A page of customers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CustomerPage {
    /// The customers, by id.
    pub customers: Vec<Customer>,
    /// Where the next page begins.
    pub next: Option<String>,
}

impl Client {
    /// Adds or changes a customer; the body is as the interface takes it.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn put_customer(&self, id: &str, customer: &Value) -> Result<Customer, Error> {
        self.read(self.request(Method::PUT, &["v1", "customers", id]).json(customer)).await
    }

    /// One customer; one who was deleted only where that is asked for.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn customer(&self, id: &str, deleted: bool) -> Result<Customer, Error> {
        self.read(self.query(Method::GET, &["v1", "customers", id], &deleted_too(deleted))).await
    }

    /// One page of customers, by id.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn customers(
        &self,
        deleted: bool,
        cursor: Option<&str>,
        limit: Option<usize>,
    ) -> Result<CustomerPage, Error> {
        let query = [deleted_too(deleted), page(cursor, limit)].concat();
        self.read(self.query(Method::GET, &["v1", "customers"], &query)).await
    }

    /// Deletes a customer; they are kept, and shown only to those who ask for it.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn delete_customer(&self, id: &str) -> Result<Customer, Error> {
        self.read(self.request(Method::DELETE, &["v1", "customers", id])).await
    }
}

/// Asks for what was deleted, too.
pub(crate) fn deleted_too(deleted: bool) -> Vec<(&'static str, String)> {
    if deleted { vec![("deleted", "true".to_owned())] } else { Vec::new() }
}

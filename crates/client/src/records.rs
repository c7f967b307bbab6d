//! Calls about records.

use jiff::Timestamp;
use reqwest::Method;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::products::page;
use crate::{Client, Error};

/// A record: data that was handed over to be kept.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// Its id.
    pub record_id: String,
    /// `queued` or `stored`.
    pub status: String,
    /// What was handed over.
    pub data: Value,
    /// When it was taken.
    pub received_at: Timestamp,
    /// The key of its object, once that is written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// Which try wrote it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attempts: Option<u32>,
    /// Everything else.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

/// A page of records.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RecordPage {
    /// The records, newest first.
    pub records: Vec<Record>,
    /// Where the next page begins.
    pub next: Option<String>,
}

/// Which records to list; every condition given must hold.
#[derive(Debug, Clone, Default)]
pub struct RecordListing {
    /// Whose object is written, or is not.
    pub stored: Option<bool>,
    /// Taken at this time or later.
    pub from: Option<String>,
    /// Taken before this time.
    pub to: Option<String>,
}

impl Client {
    /// One record.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn record(&self, id: &str) -> Result<Record, Error> {
        self.read(self.request(Method::GET, &["v1", "records", id])).await
    }

    /// One page of records, newest first.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn records(
        &self,
        listing: &RecordListing,
        cursor: Option<&str>,
        limit: Option<usize>,
    ) -> Result<RecordPage, Error> {
        let mut query = page(cursor, limit);
        let mut add = |name, value: Option<String>| query.extend(value.map(|value| (name, value)));
        add("stored", listing.stored.map(|stored| stored.to_string()));
        add("from", listing.from.clone());
        add("to", listing.to.clone());
        self.read(self.query(Method::GET, &["v1", "records"], &query)).await
    }
}

//! Calls about parcels.

use jiff::Timestamp;
use reqwest::Method;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::products::page;
use crate::types::{Event, Events};
use crate::{Client, Error, Live};

/// A parcel, as its carrier reports it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Parcel {
    /// What the carrier calls it.
    pub parcel_id: String,
    /// Where it is.
    pub status: String,
    /// When it was seen there.
    pub seen_at: Timestamp,
    /// When it was handed over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delivered_at: Option<Timestamp>,
    /// Everything else.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

/// A page of parcels.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ParcelPage {
    /// The parcels, those first reported last first.
    pub parcels: Vec<Parcel>,
    /// Where the next page begins.
    pub next: Option<String>,
}

/// What came of one report.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ReportResult {
    /// The parcel.
    pub parcel_id: String,
    /// `moved`, `late`, `duplicate` or `refused`.
    pub verdict: String,
    /// Why it was refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Everything else.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

#[derive(Deserialize)]
struct Results {
    results: Vec<ReportResult>,
}

impl Client {
    /// Reports where a parcel was seen, and when.
    ///
    /// # Errors
    /// [`Error`], when the report has not the right form, or is not let in. One that cannot be is answered as `refused`.
    pub async fn report_parcel(&self, id: &str, status: &str, seen_at: &str) -> Result<Option<ReportResult>, Error> {
        let body = json!({ "reports": [{ "parcel_id": id, "status": status, "seen_at": seen_at }] });
        let results: Results = self.read(self.request(Method::POST, &["v1", "tracking"]).json(&body)).await?;
        Ok(results.results.into_iter().next())
    }

    /// One parcel.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn parcel(&self, id: &str) -> Result<Parcel, Error> {
        self.read(self.request(Method::GET, &["v1", "tracking", id])).await
    }

    /// The events of one parcel, oldest first.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn parcel_events(&self, id: &str) -> Result<Events, Error> {
        self.read(self.request(Method::GET, &["v1", "tracking", id, "events"])).await
    }

    /// Follows one parcel from its first event on.
    #[must_use]
    pub fn follow_parcel(&self, id: &str) -> Live<Event> {
        Live::new(self, &["v1", "tracking", id, "stream"])
    }

    /// One page of parcels in one of these states; in any, where none is named.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn parcels(
        &self,
        statuses: &[String],
        cursor: Option<&str>,
        limit: Option<usize>,
    ) -> Result<ParcelPage, Error> {
        let mut query = page(cursor, limit);
        if !statuses.is_empty() {
            query.push(("status", statuses.join(",")));
        }
        self.read(self.query(Method::GET, &["v1", "tracking"], &query)).await
    }
}

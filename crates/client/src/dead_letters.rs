//! Calls about dead letters: deliveries that a role has given up.

use jiff::Timestamp;
use reqwest::Method;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::products::page;
use crate::types::Event;
use crate::{Client, Error};

/// A delivery that was given up.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DeadLetter {
    /// Its number.
    pub id: u64,
    /// The role that gave up.
    pub role: String,
    /// Why.
    pub reason: String,
    /// How often it was tried.
    pub tries: u32,
    /// Since when it lies there.
    pub since: Timestamp,
    /// The event that was delivered; with its data where one dead letter was asked for.
    pub event: Event,
    /// Everything else.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

/// A page of dead letters.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DeadLetterPage {
    /// The dead letters, oldest first.
    pub dead_letters: Vec<DeadLetter>,
    /// Where the next page begins.
    pub next: Option<String>,
}

/// Which dead letters to list; every condition given must hold.
#[derive(Debug, Clone, Default)]
pub struct DeadLetterListing {
    /// Given up by this role.
    pub role: Option<String>,
    /// With this text in their reason.
    pub reason: Option<String>,
}

/// What became of a redrive.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Redriven {
    /// How many are delivered again.
    pub redriven: u64,
    /// Those that were not there.
    #[serde(default)]
    pub not_found: Vec<u64>,
}

impl Client {
    /// One page of dead letters, oldest first.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn dead_letters(
        &self,
        listing: &DeadLetterListing,
        cursor: Option<&str>,
        limit: Option<usize>,
    ) -> Result<DeadLetterPage, Error> {
        let mut query = page(cursor, limit);
        query.extend(listing.role.clone().map(|role| ("role", role)));
        query.extend(listing.reason.clone().map(|reason| ("reason", reason)));
        self.read(self.query(Method::GET, &["v1", "dead-letters"], &query)).await
    }

    /// One dead letter, with the data of its event where that can be read.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn dead_letter(&self, id: u64) -> Result<DeadLetter, Error> {
        self.read(self.request(Method::GET, &["v1", "dead-letters", &id.to_string()])).await
    }

    /// Delivers dead letters again, with no tries counted; at most 500 at once.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn redrive(&self, ids: &[u64]) -> Result<Redriven, Error> {
        let body = json!({ "ids": ids });
        self.read(self.request(Method::POST, &["v1", "dead-letters", "redrive"]).json(&body)).await
    }
}

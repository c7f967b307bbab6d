//! Calls about channels: what the roles are handed, as a page into a message broker shows it.

use jiff::Timestamp;
use reqwest::Method;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::products::page;
use crate::types::Event;
use crate::{Client, Error, Live};

/// A channel.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Channel {
    /// Its name.
    pub name: String,
    /// Where deliveries go that were given up.
    pub dead_letter_channel: String,
    /// The types of its messages.
    pub event_types: Vec<String>,
    /// Who reads it.
    pub consumers: Vec<Consumer>,
    /// Deliveries that were given up.
    pub dead_letters: u64,
    /// Everything else.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

/// A role that reads a channel.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Consumer {
    /// Which.
    pub role: String,
    /// Messages it has not dealt with.
    pub lag: u64,
    /// Messages that wait for another try.
    pub parked: u64,
    /// When the oldest of those it has not dealt with was published.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub oldest: Option<Timestamp>,
    /// Everything else.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

/// A page of messages.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MessagePage {
    /// The messages, oldest first.
    pub messages: Vec<Event>,
    /// Where the next page begins.
    pub next: Option<String>,
}

#[derive(Deserialize)]
struct Channels {
    channels: Vec<Channel>,
}

impl Client {
    /// All channels.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn channels(&self) -> Result<Vec<Channel>, Error> {
        let channels: Channels = self.read(self.request(Method::GET, &["v1", "channels"])).await?;
        Ok(channels.channels)
    }

    /// One page of a channel's messages, oldest first.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn messages(
        &self,
        channel: &str,
        cursor: Option<&str>,
        limit: Option<usize>,
    ) -> Result<MessagePage, Error> {
        self.read(self.query(Method::GET, &["v1", "channels", channel, "messages"], &page(cursor, limit))).await
    }

    /// The newest messages of a channel, oldest first.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn last_messages(&self, channel: &str, count: usize) -> Result<MessagePage, Error> {
        let query = [("last", count.to_string())];
        self.read(self.query(Method::GET, &["v1", "channels", channel, "messages"], &query)).await
    }

    /// The messages of a channel as they come, from where a page said the next one begins; without it, from now on.
    #[must_use]
    pub fn tail(&self, channel: &str, cursor: Option<&str>) -> Live<Event> {
        Live::new(self, &["v1", "channels", channel, "stream"]).behind(cursor)
    }
}

//! Dead letters of messages that nobody can read.

use ordermill_core::process::Role;
use rdkafka::message::{Header, Headers as _, Message, OwnedHeaders};

use super::{REASON, ROLE, TOPIC, headers, text};

const PARTITION: &str = "dead-letter-partition";
const OFFSET: &str = "dead-letter-offset";
/// Of a message that is not in its letter: how large it is.
const BYTES: &str = "dead-letter-bytes";

/// Longer keys are not in the letter of a message that is too large for one.
const KEPT_KEY_BYTES_MAX: usize = 1024;

/// Where a message that nobody can read was found, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Poison {
    pub(crate) topic: String,
    pub(crate) partition: i32,
    pub(crate) offset: i64,
    pub(crate) role: Role,
    pub(crate) reason: String,
}

impl Poison {
    fn add_to(&self, headers: OwnedHeaders) -> OwnedHeaders {
        let headers = text(headers, REASON, &self.reason);
        let headers = text(headers, ROLE, self.role.as_str());
        let headers = text(headers, TOPIC, &self.topic);
        let headers = text(headers, PARTITION, self.partition);
        text(headers, OFFSET, self.offset)
    }
}

/// A copy of such a message.
#[derive(Debug)]
pub(crate) struct Letter {
    pub(crate) found: Poison,
    pub(crate) key: Option<Vec<u8>>,
    pub(crate) value: Option<Vec<u8>>,
    pub(crate) headers: OwnedHeaders,
    /// What all of it takes.
    pub(crate) bytes: usize,
    /// Whether it only says where the message is.
    pub(crate) is_note: bool,
}

impl Letter {
    /// The message with its own headers, as far as they can be read, and with where it was found and why.
    pub(crate) fn new(message: &impl Message, found: Poison) -> Self {
        let (key, value) = (message.key().map(<[u8]>::to_vec), message.payload().map(<[u8]>::to_vec));
        let size = |header: Header<'_, &[u8]>| header.key.len() + header.value.map_or(0, <[u8]>::len);
        let copy = || {
            let own = message.headers()?;
            let bytes: usize = own.iter().map(size).sum();
            Some((own.iter().fold(OwnedHeaders::new(), OwnedHeaders::insert), bytes))
        };
        let (own, bytes) = headers::look(copy).flatten().unwrap_or_default();
        let bytes = bytes + key.as_ref().map_or(0, Vec::len) + value.as_ref().map_or(0, Vec::len);
        Self { headers: found.add_to(own), found, key, value, bytes, is_note: false }
    }

    /// Where the message is, for a topic that does not take it as a whole.
    pub(crate) fn into_note(self) -> Self {
        let headers = text(self.found.add_to(OwnedHeaders::new()), BYTES, self.bytes);
        let key = self.key.filter(|key| key.len() <= KEPT_KEY_BYTES_MAX);
        Self { key, value: None, headers, is_note: true, ..self }
    }
}

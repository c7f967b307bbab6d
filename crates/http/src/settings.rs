//! What an operator may set about the interface. Every number is a bound: nothing here grows without one.

use std::time::Duration;

use ordermill_core::limits::BODY_BYTES_MAX;

use crate::wire::settings::WireSettings;

/// Settings of the HTTP interface.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Connections at once. One more is answered 503 and closed.
    pub connections_max: usize,
    /// Requests under way at once, not counting those that wait for a decision. One more is answered 503.
    pub requests_max: usize,
    /// Requests that wait for a decision (`Prefer: wait`) at once. One more is answered 503.
    pub waits_max: usize,
    /// Bulk requests at once. One more is answered 503.
    pub bulks_max: usize,
    /// Live event streams at once. One more is answered 503.
    pub streams_max: usize,
    /// Memory for bodies that are being read, in bytes, over all requests. What does not fit is answered 503.
    pub body_memory_bytes_max: usize,
    /// Bytes of all headers of a request with its first line.
    pub header_bytes_max: usize,
    /// How long a client may take to send the head of a request, from its first byte on.
    pub head_read_timeout: Duration,
    /// How long a client may take to send a whole body, or one line of a bulk body.
    pub body_read_timeout: Duration,
    /// How long a bulk request may send nothing between two lines.
    pub bulk_idle_timeout: Duration,
    /// How long a connection may be open with no request on it.
    pub idle_timeout: Duration,
    /// How long a client may read nothing while an answer waits to be sent.
    pub write_timeout: Duration,
    /// How long a request may take, not counting the time it asked to wait.
    pub request_timeout: Duration,
    /// The most that `Prefer: wait` may ask for.
    pub prefer_wait_max: Duration,
    /// How long a bulk line waits for room when too many orders are undecided.
    pub bulk_patience: Duration,
    /// Between two signs of life on a live stream.
    pub stream_keep_alive: Duration,
    /// How long requests under way may go on after shutdown has begun.
    pub drain_timeout: Duration,
    /// The `source` of the events on this interface, a URI reference.
    pub event_source: Box<str>,
    /// Origins whose pages may call this interface, such as `https://shop.example`; `*` = any. Empty = none.
    pub cors_origins: Vec<Box<str>>,
    /// The routes of the five systems.
    pub wire: WireSettings,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            connections_max: 4_096,
            requests_max: 2_048,
            waits_max: 2_048,
            bulks_max: 32,
            streams_max: 512,
            body_memory_bytes_max: 256 * BODY_BYTES_MAX,
            header_bytes_max: 16 * 1024,
            head_read_timeout: Duration::from_secs(10),
            body_read_timeout: Duration::from_secs(10),
            bulk_idle_timeout: Duration::from_secs(60),
            // Longer than the 60 s after which load balancers close an idle connection by default: they must be first.
            idle_timeout: Duration::from_secs(75),
            write_timeout: Duration::from_secs(30),
            request_timeout: Duration::from_secs(30),
            prefer_wait_max: Duration::from_secs(60),
            bulk_patience: Duration::from_secs(60),
            stream_keep_alive: Duration::from_secs(15),
            drain_timeout: Duration::from_secs(20),
            event_source: "/ordermill".into(),
            cors_origins: Vec::new(),
            wire: WireSettings::default(),
        }
    }
}

//! How much may be under way at once. What is beyond is shed before it costs memory.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::problem::Problem;
use crate::settings::Settings;

/// Bodies up to this size are paid for by the limit on requests alone.
pub(crate) const BODY_BYTES_FREE: usize = 16 * 1024;
/// The unit in which body memory is counted.
const BODY_UNIT_BYTES: usize = 1024;

/// Room for one thing; given back when it is dropped.
pub(crate) type Room = OwnedSemaphorePermit;

/// The rooms.
#[derive(Debug)]
pub(crate) struct Admission {
    requests: Arc<Semaphore>,
    waits: Arc<Semaphore>,
    bulks: Arc<Semaphore>,
    streams: Arc<Semaphore>,
    body_units: Arc<Semaphore>,
    body_units_max: usize,
}

impl Admission {
    pub fn new(settings: &Settings) -> Self {
        let room = |size: usize| Arc::new(Semaphore::new(size.min(Semaphore::MAX_PERMITS)));
        Self {
            requests: room(settings.requests_max),
            waits: room(settings.waits_max),
            bulks: room(settings.bulks_max),
            streams: room(settings.streams_max),
            body_units: room(settings.body_memory_bytes_max / BODY_UNIT_BYTES),
            body_units_max: settings.body_memory_bytes_max / BODY_UNIT_BYTES,
        }
    }

    /// Room for a request that is answered as soon as it can be, or for one that asked to wait.
    pub fn request(&self, waits: bool) -> Result<Room, Problem> {
        let (room, detail) = if waits {
            (&self.waits, "too many requests wait for a decision")
        } else {
            (&self.requests, "too many requests are under way")
        };
        take(room, 1, detail)
    }

    /// Room for a bulk request.
    pub fn bulk(&self) -> Result<Room, Problem> {
        take(&self.bulks, 1, "too many bulk requests are under way")
    }

    /// Room for a live stream.
    pub fn stream(&self) -> Result<Room, Problem> {
        take(&self.streams, 1, "too many live streams are open")
    }

    /// Room for a body of this many bytes; `None` for a small one.
    pub fn body(&self, bytes: usize) -> Result<Option<Room>, Problem> {
        if bytes <= BODY_BYTES_FREE {
            return Ok(None);
        }
        // One that is larger than all the room there is takes all of it.
        let units = bytes.div_ceil(BODY_UNIT_BYTES).min(self.body_units_max);
        let units = u32::try_from(units).unwrap_or(u32::MAX);
        take(&self.body_units, units, "too many large bodies are being read").map(Some)
    }
}

fn take(room: &Arc<Semaphore>, size: u32, detail: &'static str) -> Result<Room, Problem> {
    Arc::clone(room).try_acquire_many_owned(size).map_err(|_| Problem::overloaded(detail))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_beyond_is_refused_until_there_is_room() {
        let settings = Settings { requests_max: 1, body_memory_bytes_max: 64 * 1024, ..Settings::default() };
        let admission = Admission::new(&settings);
        let first = admission.request(false).expect("there is room for one");
        assert!(admission.request(false).is_err());
        assert!(admission.request(true).is_ok());
        drop(first);
        assert!(admission.request(false).is_ok());
        let large = admission.body(40 * 1024).expect("there is room for one large body");
        assert!(admission.body(40 * 1024).is_err());
        assert!(admission.body(1024).expect("small bodies need none").is_none());
        drop(large);
        assert!(admission.body(40 * 1024).is_ok());
    }
}

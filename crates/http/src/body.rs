//! Bodies of one value: how long they may be, how long they may take, what they may be.

use std::time::Duration;

use axum::body::Body;
use bytes::{Bytes, BytesMut};
use http::HeaderMap;
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, EXPECT};
use http_body_util::BodyExt as _;
use ordermill_core::limits::BODY_BYTES_MAX;
use serde::de::DeserializeOwned;
use tokio::time::{Instant, timeout, timeout_at};

use crate::admission::{BODY_BYTES_FREE, Room};
use crate::error_code::{BODY_TOO_LARGE, BODY_UNREADABLE, ErrorCode, REQUEST_TIMEOUT, UNSUPPORTED_MEDIA_TYPE};
use crate::json;
use crate::problem::Problem;
use crate::state::State;

/// Bytes of a body that is too large that are read all the same.
const DISCARD_BYTES_MAX: usize = 8 * 1024 * 1024;
/// How long that may take.
const DISCARD_TIMEOUT: Duration = Duration::from_secs(2);

/// U+FEFF, as spreadsheets and shells put it before what they write. It says nothing, and no parser of JSON takes it.
const UTF8_MARK: &[u8] = b"\xef\xbb\xbf";

/// What a body says it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum MediaType {
    /// One value.
    Json,
    /// One value a line.
    Ndjson,
    /// A document.
    Xml,
    /// Something else.
    Other,
}

/// What a request's body says it is.
pub(crate) fn media_type(headers: &HeaderMap) -> MediaType {
    let Some(value) = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()) else {
        return MediaType::Other;
    };
    let essence = value.split(';').next().unwrap_or_default().trim();
    let is = |name: &str| essence.eq_ignore_ascii_case(name);
    if is("application/json") {
        MediaType::Json
    } else if is("application/x-ndjson") || is("application/ndjson") {
        MediaType::Ndjson
    } else if is("application/xml") {
        MediaType::Xml
    } else {
        MediaType::Other
    }
}

/// The problem for a body that is of no type taken here.
pub(crate) fn unsupported(headers: &HeaderMap, taken: &'static str) -> Problem {
    let given = headers.get(CONTENT_TYPE).map_or("missing", |value| value.to_str().unwrap_or("not readable"));
    Problem::new(&UNSUPPORTED_MEDIA_TYPE, format!("Content-Type must be {taken}, is {given}"))
}

/// Refuses a body that would have to be unpacked: it would be taken for what it is not.
///
/// # Errors
/// The problem to answer with.
pub(crate) fn check_encoding(headers: &HeaderMap) -> Result<(), Problem> {
    for value in headers.get_all(CONTENT_ENCODING) {
        let given = value.to_str().unwrap_or("not readable");
        if given.split(',').any(|coding| !coding.trim().is_empty() && !coding.trim().eq_ignore_ascii_case("identity")) {
            let detail = format!("Content-Encoding is {given}, and bodies are taken only as they are; leave it out");
            return Err(Problem::new(&UNSUPPORTED_MEDIA_TYPE, detail));
        }
    }
    Ok(())
}

/// A body, or its first line, without the mark that some programs put before a text in UTF-8. On the wire routes a body keeps it:
/// there, what is no JSON is part of what was published.
pub(crate) fn without_mark(bytes: &[u8]) -> &[u8] {
    bytes.strip_prefix(UTF8_MARK).unwrap_or(bytes)
}

/// Reads a JSON body into a value.
///
/// # Errors
/// The problem to answer with; `shape` for JSON of another shape.
pub(crate) async fn read_json<T: DeserializeOwned>(
    state: &State,
    headers: &HeaderMap,
    body: Body,
    shape: &'static ErrorCode,
) -> Result<T, Problem> {
    if media_type(headers) != MediaType::Json {
        return Err(unsupported(headers, "application/json"));
    }
    let body = read(state, headers, body, BODY_BYTES_MAX).await?;
    json::parse(without_mark(&body.bytes), shape)
}

/// Reads a JSON body that may be left out.
///
/// # Errors
/// The problem to answer with; `shape` for JSON of another shape.
pub(crate) async fn read_optional_json<T: DeserializeOwned + Default>(
    state: &State,
    headers: &HeaderMap,
    body: Body,
    shape: &'static ErrorCode,
) -> Result<T, Problem> {
    let media_type = media_type(headers);
    let body = read(state, headers, body, BODY_BYTES_MAX).await?;
    let bytes = without_mark(&body.bytes);
    if bytes.trim_ascii().is_empty() {
        return Ok(T::default());
    }
    if media_type != MediaType::Json {
        return Err(unsupported(headers, "application/json"));
    }
    json::parse(bytes, shape)
}

/// A body in memory, with the room it takes.
pub(crate) struct Whole {
    pub bytes: Bytes,
    room: Option<Room>,
}

impl Whole {
    /// The room alone, for what was made of the body and takes as much.
    pub fn into_room(self) -> Option<Room> {
        self.room
    }
}

/// Reads a body of at most `bytes_max` bytes into memory.
///
/// # Errors
/// The problem to answer with.
pub(crate) async fn read(state: &State, headers: &HeaderMap, body: Body, bytes_max: usize) -> Result<Whole, Problem> {
    let length = headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<usize>().ok());
    if length.is_some_and(|length| length > bytes_max) {
        // Who asked before sending is answered before it does.
        if !headers.contains_key(EXPECT) {
            discard(body).await;
        }
        return Err(too_large(bytes_max));
    }
    let room = state.admission.body(length.unwrap_or(0))?;
    let deadline = Instant::now() + state.app.settings.body_read_timeout;
    match timeout_at(deadline, collect(state, body, room, bytes_max)).await {
        Ok(read) => read,
        Err(_) => Err(Problem::new(&REQUEST_TIMEOUT, "the body did not arrive in time")),
    }
}

async fn collect(state: &State, mut body: Body, mut room: Option<Room>, bytes_max: usize) -> Result<Whole, Problem> {
    let Some(first) = next(&mut body).await? else {
        return Ok(Whole { bytes: Bytes::new(), room });
    };
    // Nearly every body comes in one piece, which is taken as it is.
    let Some(second) = next(&mut body).await? else {
        return if first.len() > bytes_max { Err(too_large(bytes_max)) } else { Ok(Whole { bytes: first, room }) };
    };
    let mut whole = BytesMut::from(first);
    let mut piece = Some(second);
    while let Some(bytes) = piece {
        if whole.len() + bytes.len() > bytes_max {
            discard(body).await;
            return Err(too_large(bytes_max));
        }
        whole.extend_from_slice(&bytes);
        // A body that did not say its length may still grow to the longest.
        if room.is_none() && whole.len() > BODY_BYTES_FREE {
            room = state.admission.body(bytes_max)?;
        }
        piece = next(&mut body).await?;
    }
    Ok(Whole { bytes: whole.freeze(), room })
}

/// The next piece of a body; trailers are passed over.
pub(crate) async fn next(body: &mut Body) -> Result<Option<Bytes>, Problem> {
    loop {
        match body.frame().await {
            None => return Ok(None),
            Some(Ok(frame)) => {
                if let Ok(bytes) = frame.into_data() {
                    return Ok(Some(bytes));
                }
            }
            Some(Err(_)) => return Err(Problem::new(&BODY_UNREADABLE, "the body ended before its end")),
        }
    }
}

/// Reads on for a moment without keeping anything. A connection that is closed while its client is still sending is reset, and the
/// client would never see why.
async fn discard(mut body: Body) {
    let mut left = DISCARD_BYTES_MAX;
    let discarded = async {
        while let Ok(Some(bytes)) = next(&mut body).await {
            left = left.saturating_sub(bytes.len());
            if left == 0 {
                break;
            }
        }
    };
    // Whoever takes longer is cut off.
    let _ = timeout(DISCARD_TIMEOUT, discarded).await;
}

fn too_large(bytes_max: usize) -> Problem {
    Problem::new(&BODY_TOO_LARGE, format!("the body may have at most {bytes_max} bytes"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_bodies_that_are_packed_are_refused_for_their_encoding() {
        let of = |values: &[&'static str]| {
            let value = |value: &&'static str| (CONTENT_ENCODING, http::HeaderValue::from_static(value));
            check_encoding(&values.iter().map(value).collect()).map_err(|problem| problem.detail)
        };
        for taken in [&[][..], &[""], &["identity"], &["Identity, identity"]] {
            assert_eq!(of(taken), Ok(()), "{taken:?}");
        }
        for packed in [&["gzip"][..], &["identity, br"], &["identity", "GZIP"]] {
            let detail = of(packed).expect_err("it would have to be unpacked");
            assert!(detail.contains(packed[packed.len() - 1]), "{detail}");
        }
    }

    #[test]
    fn media_types_are_read_with_parameters_and_in_any_case() {
        let of = |value: &'static str| {
            media_type(&HeaderMap::from_iter([(CONTENT_TYPE, http::HeaderValue::from_static(value))]))
        };
        assert_eq!(of("application/json; charset=utf-8"), MediaType::Json);
        assert_eq!(of("Application/JSON"), MediaType::Json);
        assert_eq!(of("application/x-ndjson"), MediaType::Ndjson);
        assert_eq!(of("application/xml;charset=UTF-8"), MediaType::Xml);
        assert_eq!(of("text/json"), MediaType::Other);
        assert_eq!(media_type(&HeaderMap::new()), MediaType::Other);
    }
}

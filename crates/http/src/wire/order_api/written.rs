//! A body that signs for itself when it is handed to the connection.

use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use hyper::body::{Body as HttpBody, Frame, SizeHint};

use super::errand::Receipt;

/// The response, whose receipt is signed once its body is written out; dropped before, it is not.
pub(super) fn receipted(response: Response, receipt: Option<Receipt>) -> Response {
    let Some(receipt) = receipt else { return response };
    response.map(|body| Body::new(Receipted { body, receipt: Some(receipt) }))
}

struct Receipted {
    body: Body,
    receipt: Option<Receipt>,
}

impl HttpBody for Receipted {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(cx);
        // The body is one piece: who has taken it writes it to the socket at once.
        if polled.is_ready()
            && self.body.is_end_stream()
            && let Some(receipt) = self.receipt.take()
        {
            receipt.sign();
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

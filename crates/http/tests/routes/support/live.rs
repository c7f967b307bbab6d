//! Server-sent events, read one by one.

use std::time::Duration;

use axum::body::{Body, BodyDataStream};
use futures_util::StreamExt as _;
use http::{Request, StatusCode};
use serde_json::Value;
use tower::ServiceExt as _;

use super::Shop;

/// A stream while it is read.
pub struct Live {
    pub status: StatusCode,
    pub body: BodyDataStream,
    text: String,
}

impl Live {
    pub async fn open(shop: &Shop, uri: &str, headers: &[(&str, &str)]) -> Self {
        let mut request = Request::get(uri);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = shop.router.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
        Self { status: response.status(), body: response.into_body().into_data_stream(), text: String::new() }
    }

    /// The next event of a subject: its number, type, data.
    pub async fn next(&mut self) -> Option<(u32, String, Value)> {
        self.next_of_feed().await.map(|(id, kind, data)| (id.parse().unwrap(), kind, data))
    }

    /// The next event: id, type, data. Comments are counted in front of it.
    pub async fn next_of_feed(&mut self) -> Option<(String, String, Value)> {
        loop {
            if let Some(end) = self.text.find("\n\n") {
                let block: String = self.text.drain(..end + 2).collect();
                if block.starts_with(':') {
                    continue;
                }
                let field = |name: &str| {
                    let line = block.lines().find_map(|line| line.strip_prefix(name));
                    line.unwrap_or_else(|| panic!("no {name} in {block}")).to_owned()
                };
                let data = serde_json::from_str(&field("data: ")).unwrap();
                return Some((field("id: "), field("event: "), data));
            }
            let piece =
                tokio::time::timeout(Duration::from_secs(120), self.body.next()).await.expect("something comes")?;
            self.text.push_str(std::str::from_utf8(&piece.unwrap()).unwrap());
        }
    }
}

//! The documentation that the server carries with it: `/openapi.json`, `/docs` and the pages of the error codes.

use std::fmt::Write as _;
use std::sync::LazyLock;

use axum::extract::Path;
use axum::response::{IntoResponse as _, Response};
use http::HeaderValue;
use http::header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use serde_json::Value;

use crate::error_code;
use crate::openapi::openapi;
use crate::problem::Problem;

static OPENAPI: LazyLock<String> = LazyLock::new(openapi);
static DOCS: LazyLock<String> = LazyLock::new(|| page(&OPENAPI));

/// The OpenAPI document.
pub(crate) async fn openapi_json() -> Response {
    text(&OPENAPI, "application/json")
}

/// A page for people.
pub(crate) async fn docs() -> Response {
    let mut response = text(&DOCS, "text/html; charset=utf-8");
    // The page needs nothing from anywhere, and says so.
    let policy = HeaderValue::from_static("default-src 'none'; style-src 'unsafe-inline'");
    response.headers_mut().insert(CONTENT_SECURITY_POLICY, policy);
    response
}

/// The page of an error code, in Markdown.
pub(crate) async fn error_page(Path(code): Path<String>) -> Result<Response, Problem> {
    let entry = error_code::find(&code);
    let entry = entry.ok_or_else(|| Problem::new(&error_code::NOT_FOUND, "there is no such error code"))?;
    Ok(text(entry.page, "text/markdown; charset=utf-8"))
}

/// The list of the error codes, in Markdown.
pub(crate) async fn error_pages() -> Response {
    let mut list = String::from("# Error codes\n\n");
    for entry in error_code::ALL {
        let (code, status) = (entry.code, entry.status.as_u16());
        writeln!(list, "- [{code}](/errors/{code}) ({status}): {}", entry.title).expect("a String takes all text");
    }
    let mut response = list.into_response();
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/markdown; charset=utf-8"));
    response
}

fn text(text: &'static str, kind: &'static str) -> Response {
    let mut response = text.into_response();
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}

const HEAD: &str = "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">\
<meta name=\"viewport\" content=\"width=device-width\"><title>Ordermill: HTTP interface</title><style>\
body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#1c2430;background:#fff}\
code{font:14px ui-monospace,monospace}section{border-top:1px solid #d5dae1;padding:.5rem 0}\
h2 code{font-size:1.05rem}h2{margin:.5rem 0}.verb{color:#0b62a8}p{margin:.4rem 0;white-space:pre-line}\
table{border-collapse:collapse;margin:.5rem 0}td{padding:.1rem 1rem .1rem 0;vertical-align:top}\
@media(prefers-color-scheme:dark){body{color:#dde3ea;background:#14181d}section{border-color:#39424d}.verb{color:#7cc0f8}}\
</style></head><body><h1>Ordermill: HTTP interface</h1><p>The whole description for machines is at \
<a href=\"/openapi.json\">/openapi.json</a>; every error code has <a href=\"/errors\">its page</a>.</p>";

/// Lists the routes of an OpenAPI document.
fn page(openapi: &str) -> String {
    let document: Value = serde_json::from_str(openapi).expect("the document is the one this program wrote");
    let mut html = String::from(HEAD);
    let paths = document["paths"].as_object().into_iter().flatten();
    for (path, item) in paths {
        for (verb, operation) in item.as_object().into_iter().flatten() {
            route(&mut html, path, verb, operation).expect("a String takes all text");
        }
    }
    html.push_str("</body></html>");
    html
}

fn route(html: &mut String, path: &str, verb: &str, operation: &Value) -> std::fmt::Result {
    let words = |value: &Value| escape(value.as_str().unwrap_or_default());
    let verb = verb.to_uppercase();
    write!(html, "<section><h2><code><span class=\"verb\">{verb}</span> {}</code></h2>", escape(path))?;
    write!(html, "<p><strong>{}</strong></p>", words(&operation["summary"]))?;
    if operation["description"].is_string() {
        write!(html, "<p>{}</p>", words(&operation["description"]))?;
    }
    html.push_str("<table>");
    for parameter in operation["parameters"].as_array().into_iter().flatten() {
        let (name, place) = (words(&parameter["name"]), words(&parameter["in"]));
        write!(
            html,
            "<tr><td><code>{name}</code></td><td>{place}</td><td>{}</td></tr>",
            words(&parameter["description"])
        )?;
    }
    for (status, response) in operation["responses"].as_object().into_iter().flatten() {
        let description = words(&response["description"]);
        write!(html, "<tr><td><code>{status}</code></td><td>answer</td><td>{description}</td></tr>")?;
    }
    html.push_str("</table></section>");
    Ok(())
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_shows_every_route_and_needs_nothing_else() {
        for path in ["/v1/orders", "/v1/orders/{id}/events/stream", "/v1/dead-letters/redrive", "/readyz"] {
            assert!(DOCS.contains(&format!("</span> {path}</code>")), "{path}");
        }
        for foreign in ["<script", "http://", "https://", "src="] {
            assert!(!DOCS.contains(foreign), "{foreign}");
        }
    }

    #[test]
    fn text_cannot_become_markup() {
        assert_eq!(escape("<b a=\"1\">&"), "&lt;b a=&quot;1&quot;&gt;&amp;");
    }
}

//! Pages of other origins.

use http::Method;
use ordermill_http::Settings;

use crate::support::{Reply, Shop};

const SHOP: &str = "https://shop.example";

fn shop(origins: &[&str]) -> Shop {
    let cors_origins = origins.iter().map(|origin| Box::from(*origin)).collect();
    Shop::with(Settings { cors_origins, ..Settings::default() }, 100)
}

async fn preflight(shop: &Shop, origin: &str) -> Reply {
    let headers = [
        ("origin", origin),
        ("access-control-request-method", "POST"),
        ("access-control-request-headers", "authorization,idempotency-key"),
    ];
    shop.send(Method::OPTIONS, "/v1/orders", &headers, "").await
}

#[tokio::test]
async fn a_named_origin_may_call_and_read_what_matters() {
    let shop = shop(&["https://other.example", SHOP]);
    let answer = preflight(&shop, SHOP).await;
    assert_eq!((answer.status.as_u16(), answer.header("access-control-allow-origin")), (200, SHOP));
    let listed = |name: &str| answer.header(name).to_ascii_lowercase();
    assert!(listed("access-control-allow-methods").contains("delete"));
    for header in ["authorization", "idempotency-key", "if-match", "content-type"] {
        assert!(listed("access-control-allow-headers").contains(header), "{header}");
    }
    let read = shop.send(Method::GET, "/v1/products", &[("origin", SHOP)], "").await;
    assert_eq!((read.status.as_u16(), read.header("access-control-allow-origin")), (200, SHOP));
    for header in ["etag", "location", "x-correlation-id", "retry-after"] {
        assert!(read.header("access-control-expose-headers").contains(header), "{header}");
    }
    let missing = shop.send(Method::GET, "/nowhere", &[("origin", SHOP)], "").await;
    assert_eq!((missing.status.as_u16(), missing.header("access-control-allow-origin")), (404, SHOP));
}

#[tokio::test]
async fn others_may_not() {
    let named = shop(&[SHOP]);
    assert_eq!(preflight(&named, "https://evil.example").await.header("access-control-allow-origin"), "");
    let none = shop(&[]);
    let answer = preflight(&none, SHOP).await;
    answer.assert_problem(405, "method_not_allowed");
    assert_eq!(answer.header("access-control-allow-origin"), "");
    assert_eq!(preflight(&shop(&["*"]), "https://any.example").await.header("access-control-allow-origin"), "*");
}

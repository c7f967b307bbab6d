//! `GET /v1/tracking/{id}/stream`

use futures_util::StreamExt as _;
use ordermill_http::Settings;

use super::{at, event};
use crate::support::{Live, Shop};

#[tokio::test]
async fn a_live_stream_gives_what_was_and_what_comes() {
    let shop = Shop::new();
    shop.track(vec![event("A", "OUT_FOR_DELIVERY", &at(8, 0))]).await;
    let mut live = Live::open(&shop, "/v1/tracking/A/stream", &[]).await;
    let (number, kind, first) = live.next().await.unwrap();
    assert_eq!((number, kind.as_str()), (1, "tracking.moved"));
    assert_eq!((&first["id"], &first["data"]["status"]), (&"parcel/A/1".into(), &"out_for_delivery".into()));
    let carrier = {
        let shop = shop.clone();
        tokio::spawn(async move {
            shop.track(vec![
                event("B", "DELIVERED", &at(9, 0)),
                event("A", "DELIVERED", &at(7, 0)),
                event("A", "PICKED_UP_AT_WAREHOUSE", &at(9, 0)),
                event("A", "DELIVERED", &at(10, 0)),
            ])
            .await
        })
    };
    let mut seen = Vec::new();
    for _ in 0..3 {
        let (number, kind, _) = live.next().await.unwrap();
        seen.push((number, kind));
    }
    let expected = [(2, "tracking.late"), (3, "tracking.refused"), (4, "tracking.moved")];
    assert_eq!(seen, expected.map(|(number, kind)| (number, kind.to_owned())));
    carrier.await.unwrap();
}

#[tokio::test]
async fn a_live_stream_goes_on_where_it_was_cut() {
    let shop = Shop::new();
    let id = shop.place_with_parcel().await;
    let accept = ("accept", "text/event-stream");
    let mut live = Live::open(&shop, "/v1/tracking/R-1/events", &[accept, ("last-event-id", "1")]).await;
    assert_eq!(live.next().await.unwrap().0, 2);
    let mut live = Live::open(&shop, &format!("/v1/tracking/{id}/stream?after=1"), &[]).await;
    assert_eq!(live.next().await.unwrap().2["data"]["status"], "delivered");
    assert_eq!(Live::open(&shop, "/v1/tracking/R-1/stream", &[("last-event-id", "x")]).await.status, 400);
    assert_eq!(Live::open(&shop, "/v1/tracking/R-1/stream?after=x", &[]).await.status, 400);
    assert_eq!(Live::open(&shop, "/v1/tracking/R-2/stream", &[]).await.status, 404);
}

#[tokio::test(start_paused = true)]
async fn a_quiet_stream_shows_that_it_lives() {
    let shop = Shop::new();
    shop.track(vec![event("A", "DELIVERED", &at(8, 0))]).await;
    let mut live = Live::open(&shop, "/v1/tracking/A/stream?after=1", &[]).await;
    assert_eq!(&*live.body.next().await.unwrap().unwrap(), b":\n\n");
}

#[tokio::test]
async fn streams_of_parcels_and_of_orders_share_their_room() {
    let shop = Shop::with(Settings { streams_max: 1, ..Settings::default() }, 100);
    let id = shop.place_with_parcel().await;
    let first = Live::open(&shop, "/v1/tracking/R-1/stream", &[]).await;
    assert_eq!(first.status, 200);
    shop.get("/v1/tracking/R-1/stream").await.assert_problem(503, "overloaded");
    shop.get(&format!("/v1/orders/{id}/events/stream")).await.assert_problem(503, "overloaded");
    drop(first);
    assert_eq!(Live::open(&shop, &format!("/v1/orders/{id}/events/stream"), &[]).await.status, 200);
}

impl Shop {
    /// An order with the reference `R-1`, whose parcel has two events under that name.
    async fn place_with_parcel(&self) -> ordermill_core::id::OrderId {
        self.stock("chair", 10).await;
        let mut body = crate::support::order("chair", 1);
        body["order_ref"] = "R-1".into();
        let id = self.post("/v1/orders", body).await.order_id();
        let events = vec![event("R-1", "OUT_FOR_DELIVERY", &at(8, 0)), event("R-1", "DELIVERED", &at(9, 0))];
        self.track(events).await;
        id
    }
}

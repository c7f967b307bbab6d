//! One damaged record is one order's trouble, not everybody's.

use rusqlite::Connection;

use crate::support::{Server, Shop, doctor, wait_for_mails};

#[tokio::test]
async fn an_order_that_cannot_be_read_keeps_no_other_back() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    // Long enough for the server to be killed before it archives anything: both orders are in its first batch afterwards.
    let mut server = Server::start_with(&data, &[("ORDERMILL_ARCHIVE__SETTLE", "60s")]);
    let shop = Shop::of(&server);
    shop.stock_product("P1", 1000, 10).await;
    let damaged = shop.place_and_wait(Shop::order("P1", 1)).await.order_id();
    let sound = shop.place_and_wait(Shop::order("P1", 1)).await.order_id();
    wait_for_mails(&data, 2);
    shop.wait_for_event(&sound, "notification.sent").await;
    server.kill();

    let database = Connection::open(data.join("ordermill.db")).unwrap();
    let id = damaged.trim_start_matches("ord_");
    let sql = format!("UPDATE events SET data = '{{' WHERE subject = x'{id}' AND version = 2");
    assert_eq!(database.execute(&sql, []).unwrap(), 1);
    drop(database);

    let server = Server::start_with(&data, &[("ORDERMILL_ARCHIVE__SETTLE", "100ms")]);
    let shop = Shop::of(&server);
    shop.wait_for_event(&sound, "order.archived").await;
    let answer = shop.get(&format!("/v1/orders/{damaged}")).await;
    assert_eq!((answer.status.as_u16(), answer.code()), (500, "internal"), "{answer:?}");
    assert_eq!(shop.place_and_wait(Shop::order("P1", 1)).await.body["status"], "confirmed");
    assert!(server.terminate().success());
    assert_eq!(doctor(&data).exit_code, Some(4));
}

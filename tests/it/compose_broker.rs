//! The broker of `compose.kafka.yaml`: Kafka itself with its options, as the image reads them, and a shop on it.

use crate::compose_files::{ON_KAFKA, options, services};
use crate::profile::Cluster;
use crate::support::{Server, Shop, doctor, ordermill, wait_for_mails};

/// Where the services find it.
const BROKER: &str = "kafka:9092";

/// The settings that the image makes of its options: `KAFKA_LOG_DIRS` is `log.dirs`. What is of the container's network and disk is of this
/// machine's instead.
fn settings(port: u16, controller: u16) -> String {
    let mut settings = String::new();
    for (name, value) in options(ON_KAFKA, "kafka") {
        let name = name.strip_prefix("KAFKA_").unwrap().to_lowercase().replace('_', ".");
        let value = match name.as_str() {
            "log.dirs" => "data".to_owned(),
            _ => value
                .replace(BROKER, &format!("127.0.0.1:{port}"))
                .replace("kafka:9093", &format!("127.0.0.1:{controller}"))
                .replace("//:9092", &format!("//127.0.0.1:{port}"))
                .replace("//:9093", &format!("//127.0.0.1:{controller}")),
        };
        assert!(!value.contains("kafka:") && !value.contains("//:"), "{name}={value} is of the container's network");
        settings += &format!("{name}={value}\n");
    }
    settings
}

#[tokio::test]
async fn a_shop_runs_on_the_broker_of_the_compose_file() {
    let cluster = Cluster::single_told(&settings);
    let bus = &services(ON_KAFKA)["till"].environment["ORDERMILL_BUS"];
    assert!(bus.contains(BROKER), "{bus}");
    let bus = bus.replace(BROKER, &cluster.brokers());
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let mut program = ordermill();
    program.env("ORDERMILL_BUS", bus);
    let server = Server::spawn(program, &data);
    let shop = Shop::of(&server);
    shop.stock_product("P1", 1_000, 100).await;
    let order = shop.place_and_wait(Shop::order("P1", 1)).await;
    assert_eq!(order.status, 200, "{order:?}");
    assert_eq!(order.body["status"], "confirmed");
    wait_for_mails(&data, 1);
    assert!(server.terminate().success());
    doctor(&data).assert_clean();
}

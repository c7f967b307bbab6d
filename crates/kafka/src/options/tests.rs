use super::*;

fn refused(url: &str) -> String {
    match Options::from_url(url) {
        Ok(_) => panic!("{url} is taken"),
        Err(error) => error.to_string(),
    }
}

#[test]
fn a_plain_url_has_the_defaults_of_the_systems() {
    let options = Options::from_url("kafka://one:9092,two:9092").expect("it is sound");
    assert_eq!((options.brokers.as_str(), options.tls, options.sasl), ("one:9092,two:9092", false, None));
    assert_eq!((options.replication, options.min_isr, options.retention.as_secs()), (3, 2, 604_800));
    let partitions = |name| options.partitions_of(Channel::find(name).expect("it is a channel"));
    assert_eq!((partitions("order-tracking.events"), partitions("order_publisher")), (6, 3));
    assert_eq!(options.topic("order-tracking.events"), "order-tracking.events");
    assert_eq!(options.group("payments"), "ordermill.payments");
}

#[test]
fn what_has_to_be_written_follows_the_number_of_copies() {
    let min_isr = |query: &str| Options::from_url(&format!("kafka://b:1?{query}")).expect("it is sound").min_isr;
    assert_eq!(
        [min_isr(""), min_isr("replication=1"), min_isr("replication=2"), min_isr("replication=5")],
        [2, 1, 2, 2]
    );
    assert_eq!([min_isr("min_isr=1"), min_isr("min_isr=3&replication=3")], [1, 3]);
}

#[test]
fn every_option_is_read() {
    let url = "kafka://b:9096?prefix=north.1&partitions=12&replication=2&min_isr=1&retention=36h&session=6s&sasl=scram-sha-512&\
               user=shop&password=env:KAFKA_PASSWORD&tls_roots=/etc/ca.pem";
    let options = Options::from_url(url).expect("it is sound");
    assert_eq!((options.partitions, options.replication, options.min_isr), (Some(12), 2, 1));
    assert_eq!((options.retention.as_secs(), options.session.as_secs()), (36 * 3_600, 6));
    assert_eq!((options.sasl, options.tls, options.user.as_deref()), (Some(Sasl::ScramSha512), true, Some("shop")));
    assert_eq!(options.password, Some("env:KAFKA_PASSWORD".parse().expect("a reference")));
    assert_eq!(
        (options.topic("records"), options.group("records")),
        ("north.1.records".to_owned(), "north.1.records".to_owned())
    );
}

#[test]
fn what_is_wrong_is_said_and_no_secret_with_it() {
    assert!(refused("kafka:b").contains("kafka://"));
    assert!(refused("kafka://b").contains("HOST:PORT"));
    assert!(refused("kafka://b:1,:2").contains("HOST:PORT"));
    assert!(refused("kafka://shop:hunter2@b:1").contains("?user=NAME"));
    let secret = refused("kafka://b:1?sasl=scram-sha-256&user=shop&password=hunter2");
    assert!(secret.contains("env:NAME") && !secret.contains("hunter2"), "{secret}");
    assert!(refused("kafka://b:1?passwort=hunter2").contains("\"passwort\" is no option"));
    assert!(refused("kafka://b:1?partitions=0").contains("from 1 to 1000"));
    assert!(refused("kafka://b:1?retention=7").contains("unit"));
    assert!(refused("kafka://b:1?replication=1&min_isr=2").contains("at most `replication`, and 2 is more than 1"));
    assert!(refused("kafka://b:1?min_isr=4").contains("4 is more than 3"));
    assert!(refused("kafka://b:1?user=shop").contains("need `sasl`"));
    assert!(refused("kafka://b:1?sasl=scram-sha-256&user=shop").contains("needs `user` and `password`"));
    assert!(refused("kafka://b:1?sasl=msk-iam").contains("region"));
    assert!(refused("kafka://b:1?prefix=a/b").contains("prefix"));
}

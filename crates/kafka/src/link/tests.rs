use super::*;

#[test]
fn many_clients_tell_of_one_outage_once() {
    let (mut standing, begin) = (Standing::default(), Instant::now());
    let at = |millis| begin + Duration::from_millis(millis);
    assert_eq!(standing.hear(false, at(0)), None, "it may be on its way");
    assert_eq!(standing.hear(true, at(500)), Some(Turn::Met));
    let mut turns = Vec::new();
    // Ten clients, each of which tells every second: with the broker, 20 s without, and with it again.
    for tick in 10..400_u64 {
        let now = at(tick * 100);
        let is_up = !(100..300).contains(&tick);
        turns.extend(standing.hear(is_up, now).map(|turn| (tick, turn)));
    }
    assert_eq!(turns, [(129, Turn::Gone), (300, Turn::Back(Duration::from_millis(20_100)))]);
}

#[test]
fn one_client_that_has_a_connection_is_enough() {
    let (mut standing, begin) = (Standing::default(), Instant::now());
    standing.hear(true, begin);
    for seconds in 1..60 {
        let now = begin + Duration::from_secs(seconds);
        assert_eq!(standing.hear(false, now), None, "a client of its own troubles");
        assert_eq!(standing.hear(true, now), None);
    }
}

#[test]
fn a_broker_that_was_never_there_is_gone_too() {
    let (mut standing, begin) = (Standing::default(), Instant::now());
    assert_eq!(standing.hear(false, begin), None);
    assert_eq!(standing.hear(false, begin + GONE_AFTER), Some(Turn::Gone));
    assert_eq!(standing.hear(false, begin + 2 * GONE_AFTER), None);
    assert_eq!(standing.hear(true, begin + 3 * GONE_AFTER), Some(Turn::Back(3 * GONE_AFTER)));
}

#[test]
fn each_problem_is_told_by_itself_and_not_again_at_once() {
    let link = Link::default();
    let told = ["topic authorization failed", "authentication failed"].map(|what| {
        let tellings = (0..1_200).filter(|_| link.may_tell(what)).count();
        (what, tellings)
    });
    assert!(told.iter().all(|(_, tellings)| *tellings == 1), "{told:?}");
}

#[test]
fn what_a_client_said_long_ago_does_not_count() {
    let now = UNIX_EPOCH + Duration::from_millis(1_000_900);
    assert!(is_fresh(1_000, now) && is_fresh(1_001, now) && is_fresh(998, now));
    assert!(!is_fresh(997, now));
}

#[test]
fn what_passes_is_no_problem() {
    // As a callback and as an answer have it.
    for end in [
        KafkaError::Global(RDKafkaErrorCode::PartitionEOF),
        KafkaError::PartitionEOF(3),
        KafkaError::MessageConsumption(RDKafkaErrorCode::PartitionEOF),
    ] {
        assert_eq!(weight(&end), Weight::None);
    }
    assert_eq!(weight(&KafkaError::Global(RDKafkaErrorCode::AllBrokersDown)), Weight::Passing);
    assert_eq!(weight(&KafkaError::MessageConsumption(RDKafkaErrorCode::BrokerTransportFailure)), Weight::Passing);
    assert_eq!(weight(&KafkaError::MessageConsumption(RDKafkaErrorCode::TopicAuthorizationFailed)), Weight::Problem);
    assert_eq!(weight(&KafkaError::Global(RDKafkaErrorCode::Authentication)), Weight::Problem);
}

//! What the client says when there is no message any more where it was to read on.

/// Topic, partition, and the offset where it was to go on: out of `[thrd:main]: TOPIC [7]: offset reset (at offset 42 (leader epoch 0), …`.
pub(super) fn of(message: &str) -> Option<(&str, i32, i64)> {
    let (place, rest) = message.split_once("]: offset reset (at offset ")?;
    let (topic, partition) = place.rsplit_once(" [")?;
    let topic = topic.rsplit(' ').next()?;
    let offset = rest.split([' ', ',', ')']).next()?;
    Some((topic, partition.parse().ok()?, offset.parse().ok()?))
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_clients_words_are_understood() {
        let said = "[thrd:main]: shop.order_queue [7]: offset reset (at offset 42 (leader epoch 0), broker 1) to cached BEGINNING offset \
                    offset 50 (leader epoch -1): fetch failed due to requested offset not available on the broker: Broker: Offset out of range";
        assert_eq!(super::of(said), Some(("shop.order_queue", 7, 42)));
        assert_eq!(super::of("[thrd:main]: shop.order_queue [7]: offset reset (at BEGINNING, broker 1) to"), None);
        assert_eq!(super::of("anything else"), None);
    }
}

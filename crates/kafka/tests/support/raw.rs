//! A producer that writes what no client of ours can: messages byte by byte, as the protocol has them.

use std::io::{Read, Write};
use std::net::TcpStream;

/// Lengths before what is as long, as requests have them.
fn sized(bytes: &[u8]) -> Vec<u8> {
    [&length(bytes).to_be_bytes(), bytes].concat()
}

fn length(bytes: &[u8]) -> i32 {
    i32::try_from(bytes.len()).expect("a small message")
}

/// The length of a short text before it.
fn named(text: &str) -> Vec<u8> {
    [&i16::try_from(text.len()).expect("a short name").to_be_bytes()[..], text.as_bytes()].concat()
}

/// Lengths before what is as long, as records have them: in zigzag, seven bits a byte.
fn counted(bytes: &[u8]) -> Vec<u8> {
    [varint(length(bytes)), bytes.to_vec()].concat()
}

fn varint(number: i32) -> Vec<u8> {
    let mut left = u32::from_ne_bytes((number << 1 ^ number >> 31).to_ne_bytes());
    let mut bytes = Vec::new();
    while left > 0x7f {
        bytes.push((left & 0x7f) as u8 | 0x80);
        left >>= 7;
    }
    bytes.push(left as u8);
    bytes
}

fn crc32c(bytes: &[u8]) -> u32 {
    let step = |crc: u32, _| if crc & 1 == 1 { crc >> 1 ^ 0x82f6_3b78 } else { crc >> 1 };
    !bytes.iter().fold(u32::MAX, |crc, byte| (0..8).fold(crc ^ u32::from(*byte), step))
}

/// A batch of one message with one header.
fn batch(key: &[u8], value: &[u8], header: (&[u8], &[u8])) -> Vec<u8> {
    let record = [
        // Attributes, time and offset within the batch.
        vec![0, 0, 0],
        counted(key),
        counted(value),
        varint(1),
        counted(header.0),
        counted(header.1),
    ]
    .concat();
    let checked = [
        &[0; 2 + 4 + 8 + 8][..],
        // No producer with an identity.
        &[0xff; 8 + 2 + 4],
        &1_i32.to_be_bytes(),
        &counted(&record),
    ]
    .concat();
    let sum = crc32c(&checked).to_be_bytes();
    // The epoch of the leader is not known; the format is the second.
    let rest = [&[0xff; 4][..], &[2], &sum, &checked].concat();
    [&[0; 8][..], &sized(&rest)].concat()
}

/// Writes a message with one header, whose name may be any bytes, to the first partition of a topic.
///
/// # Panics
/// When the broker does not take it.
pub fn produce(broker: &str, topic: &str, key: &[u8], header: (&[u8], &[u8])) {
    // Produce in its third version, by nobody, outside of a transaction: all copies, within 30 s, one topic, one partition.
    let head = [&[0, 0, 0, 3, 0, 0, 0, 7, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff][..], &30_000_i32.to_be_bytes()].concat();
    let one = 1_i32.to_be_bytes();
    let records = sized(&batch(key, b"{}", header));
    let request = [&head[..], &one, &named(topic), &one, &[0; 4], &records].concat();
    let mut stream = TcpStream::connect(broker).expect("the broker is there");
    stream.write_all(&sized(&request)).expect("the broker listens");
    let mut size = [0; 4];
    stream.read_exact(&mut size).expect("the broker answers");
    let mut answer = vec![0; usize::try_from(u32::from_be_bytes(size)).expect("a short answer")];
    stream.read_exact(&mut answer).expect("the broker answers");
    // Behind the number of the request, one topic with its name, and one partition with its number.
    let error = &answer[4 + 4 + 2 + topic.len() + 4 + 4..][..2];
    assert_eq!(error, [0, 0], "the broker takes it: {answer:?}");
}

//! Tokens against what AWS documents of them, by a calculation of the tests' own, which is held against AWS's own signer first.

use std::collections::BTreeMap;
use std::process::Command;

use aws_lc_rs::{digest, hmac};
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use ordermill_core::Timestamp;

use super::*;

const ID: &str = "AKIDEXAMPLE";
const SECRET: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
const SESSION: &str = "FwoGZXIvYXdzE/+=token==";

/// Made by AWS's signer for Python, of these keys, at 2026-01-31T12:00:00Z: with keys of one's own, and with keys that are lent.
const OF_AWS: [(Option<&str>, &str); 2] = [
    (
        None,
        "https://kafka.eu-central-1.amazonaws.com/?Action=kafka-cluster%3AConnect&X-Amz-Algorithm=AWS4-HMAC-SHA256&\
         X-Amz-Credential=AKIDEXAMPLE%2F20260131%2Feu-central-1%2Fkafka-cluster%2Faws4_request&X-Amz-Date=20260131T120000Z&\
         X-Amz-Expires=900&X-Amz-SignedHeaders=host&\
         X-Amz-Signature=487e32d34d82fdda02299b3510ddc99c1dcc27f8b2453d17486965568877c548&\
         User-Agent=aws-msk-iam-sasl-signer-python%2F1.0.2",
    ),
    (
        Some(SESSION),
        "https://kafka.eu-central-1.amazonaws.com/?Action=kafka-cluster%3AConnect&X-Amz-Algorithm=AWS4-HMAC-SHA256&\
         X-Amz-Credential=AKIDEXAMPLE%2F20260131%2Feu-central-1%2Fkafka-cluster%2Faws4_request&X-Amz-Date=20260131T120000Z&\
         X-Amz-Expires=900&X-Amz-SignedHeaders=host&X-Amz-Security-Token=FwoGZXIvYXdzE%2F%2B%3Dtoken%3D%3D&\
         X-Amz-Signature=033a379bde1e79eef455949403b12cc7c0859f7adf54fbcf9ed33d64efb08bb3&\
         User-Agent=aws-msk-iam-sasl-signer-python%2F1.0.2",
    ),
];

fn decoded(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        rest = after;
        match (first, after) {
            (b'%', [_, _, behind @ ..]) => {
                let hex = std::str::from_utf8(&after[..2]).expect("two digits");
                bytes.push(u8::from_str_radix(hex, 16).expect("two digits"));
                rest = behind;
            }
            (b'+', _) => bytes.push(b' '),
            _ => bytes.push(*first),
        }
    }
    String::from_utf8(bytes).expect("text")
}

fn encoded(text: &str) -> String {
    let letter = |byte: u8| match byte {
        b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => char::from(byte).to_string(),
        _ => format!("%{byte:02X}"),
    };
    text.bytes().map(letter).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn sha256(text: &str) -> String {
    hex(digest::digest(&digest::SHA256, text.as_bytes()).as_ref())
}

fn mac(key: &[u8], text: &str) -> Vec<u8> {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), text.as_bytes()).as_ref().to_vec()
}

/// What a request asks for, and whether it is signed with our secret for this region (Signature Version 4).
fn check(url: &str, region: &str, session: Option<&str>) -> BTreeMap<String, String> {
    let host = format!("kafka.{region}.amazonaws.com");
    let query = url.strip_prefix(&format!("https://{host}/?")).expect("the endpoint of the region");
    let mut pairs: BTreeMap<String, String> = query
        .split('&')
        .map(|pair| pair.split_once('=').expect("a value"))
        .map(|(name, value)| (decoded(name), decoded(value)))
        .collect();
    let signature = pairs.remove("X-Amz-Signature").expect("it is signed");
    // Added behind the signature, as AWS has it.
    let agent = pairs.remove("User-Agent").expect("it says who made it");
    assert!(agent.starts_with("aws-msk-iam-sasl-signer-"), "{agent}");
    let time = pairs["X-Amz-Date"].clone();
    let scope = format!("{}/{region}/kafka-cluster/aws4_request", &time[..8]);
    let signed: Vec<String> =
        pairs.iter().map(|(name, value)| format!("{}={}", encoded(name), encoded(value))).collect();
    let request = format!("GET\n/\n{}\nhost:{host}\n\nhost\n{}", signed.join("&"), sha256(""));
    let text = format!("AWS4-HMAC-SHA256\n{time}\n{scope}\n{}", sha256(&request));
    let key = scope.split('/').fold(format!("AWS4{SECRET}").into_bytes(), |key, part| mac(&key, part));
    assert_eq!(signature, hex(&mac(&key, &text)), "{url}");
    let expected = [
        ("Action", "kafka-cluster:Connect"),
        ("X-Amz-Algorithm", "AWS4-HMAC-SHA256"),
        ("X-Amz-Credential", &format!("{ID}/{scope}")),
        ("X-Amz-Date", &time),
        ("X-Amz-Expires", "900"),
        ("X-Amz-SignedHeaders", "host"),
    ];
    let expected = expected.into_iter().chain(session.map(|session| ("X-Amz-Security-Token", session)));
    assert_eq!(pairs, expected.map(|(name, value)| (name.to_owned(), value.to_owned())).collect());
    pairs
}

#[test]
fn what_awss_own_signer_makes_passes() {
    for (session, url) in OF_AWS {
        check(url, "eu-central-1", session);
        for (from, to) in [("20260131T120000Z", "20260131T120001Z"), ("Action=kafka-cluster%3AConnect&", "Action=x&")] {
            let changed = url.replace(from, to);
            assert!(std::panic::catch_unwind(|| check(&changed, "eu-central-1", session)).is_err(), "{changed}");
        }
    }
}

/// Says that a process is the one that the test has started.
const INNER: &str = "ORDERMILL_TEST_INNER";

/// Runs a test of this module again, in a process that has this environment and no other way to keys; `inner` is what it does there.
fn with_environment(test: &str, environment: &[(&str, &str)], inner: impl Future<Output = ()>) {
    if std::env::var_os(INNER).is_some() {
        return tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime").block_on(inner);
    }
    let mut command = Command::new(std::env::current_exe().expect("this program is a file"));
    command.args(["--exact", &format!("iam::tests::{test}")]).env_clear().env(INNER, "1");
    command.env("AWS_EC2_METADATA_DISABLED", "true").envs(environment.iter().copied());
    let output = command.output().expect("it can be started");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.contains("1 passed"), "{said}");
}

async fn sign_and_check(session: Option<&str>) {
    let token = MachineRole::new("eu-central-1").sign().await.expect("there are keys");
    // Without padding, and with the letters of the alphabet for URLs.
    let url = BASE64_URL_SAFE_NO_PAD.decode(&token.text).expect("base64url");
    let request = check(std::str::from_utf8(&url).expect("text"), "eu-central-1", session);
    let date = &request["X-Amz-Date"];
    let time = [&date[..4], "-", &date[4..6], "-", &date[6..11], ":", &date[11..13], ":", &date[13..]].concat();
    let time: Timestamp = time.parse().expect("a time");
    assert!((0..60).contains(&(Timestamp::now().as_second() - time.as_second())), "it was signed now");
    assert_eq!(token.until_ms, time.as_millisecond() + 900_000);
}

#[test]
fn a_token_is_a_signed_request_to_connect() {
    let keys = [("AWS_ACCESS_KEY_ID", ID), ("AWS_SECRET_ACCESS_KEY", SECRET)];
    with_environment("a_token_is_a_signed_request_to_connect", &keys, sign_and_check(None));
}

#[test]
fn lent_keys_are_named_in_what_is_signed() {
    let keys = [("AWS_ACCESS_KEY_ID", ID), ("AWS_SECRET_ACCESS_KEY", SECRET), ("AWS_SESSION_TOKEN", SESSION)];
    with_environment("lent_keys_are_named_in_what_is_signed", &keys, sign_and_check(Some(SESSION)));
}

#[test]
fn without_keys_there_is_no_token() {
    with_environment("without_keys_there_is_no_token", &[("HOME", "/nonexistent")], async {
        let error = MachineRole::new("eu-central-1").sign().await.expect_err("nobody has keys");
        assert!(error.contains("credentials"), "{error}");
    });
}

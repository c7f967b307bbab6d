use std::sync::atomic::{AtomicI64, AtomicU32, Ordering};
use std::time::Instant;

use super::*;

/// Signs for so long a time, and fails where it is told to.
struct Fixed {
    life_ms: i64,
    signed: AtomicU32,
    fails: fn(u32) -> bool,
}

impl Fixed {
    fn new(life_ms: i64, fails: fn(u32) -> bool) -> Arc<Self> {
        Arc::new(Self { life_ms, signed: AtomicU32::new(0), fails })
    }

    fn signed(&self) -> u32 {
        self.signed.load(Ordering::SeqCst)
    }
}

#[async_trait]
impl Signer for Fixed {
    async fn sign(&self) -> Result<Token, String> {
        assert_eq!(std::thread::current().name(), Some("kafka-tokens"), "nobody else waits for it");
        let number = self.signed.fetch_add(1, Ordering::SeqCst) + 1;
        if (self.fails)(number) {
            return Err(format!("no keys at try {number}"));
        }
        Ok(Token { text: format!("token-{number}"), until_ms: now_ms() + self.life_ms })
    }
}

fn until(what: &str, holds: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !holds() {
        assert!(Instant::now() < deadline, "{what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[tokio::test]
async fn a_token_is_replaced_while_it_is_good() {
    let signer = Fixed::new(1_000, |_| false);
    let keeper = Keeper::start(Arc::clone(&signer) as _);
    keeper.ready().await.expect("there is a first one");
    let first = keeper.token().expect("it lies ready");
    assert!(first.token.starts_with("token-") && first.lifetime_ms > now_ms());
    until("another is signed", || keeper.token().is_ok_and(|token| token.token != first.token));
    assert!(now_ms() < first.lifetime_ms, "the first one was still good");
    drop(keeper);
    until("the signer ends with its keeper", || Arc::strong_count(&signer) == 1);
}

#[tokio::test]
async fn a_failure_keeps_what_is_good_and_is_told_when_nothing_is() {
    let signer = Fixed::new(400, |number| number > 1);
    let keeper = Keeper::start(Arc::clone(&signer) as _);
    keeper.ready().await.expect("there is a first one");
    until("it fails", || signer.signed() >= 2);
    if let Ok(token) = keeper.token() {
        assert_eq!(token.token, "token-1");
    }
    until("its time is over", || keeper.token().is_err());
    let problem = keeper.token().map(|token| token.token).expect_err("its time is over");
    assert_eq!(problem.to_string(), "no keys at try 2");
}

#[tokio::test]
async fn a_token_that_has_grown_old_in_a_sleep_is_replaced_at_once() {
    static SLEPT_MS: AtomicI64 = AtomicI64::new(0);
    let signer = Fixed::new(3_600_000, |_| false);
    let keeper = Keeper::start_by(Arc::clone(&signer) as _, || now_ms() + SLEPT_MS.load(Ordering::SeqCst));
    keeper.ready().await.expect("there is a first one");
    // Until another is signed, half an hour goes by for the thread; on the wall it is more than the whole.
    SLEPT_MS.store(3_600_001, Ordering::SeqCst);
    assert!(keeper.token().is_err(), "its time is over");
    until("another is signed", || signer.signed() == 2);
}

#[tokio::test]
async fn a_signer_with_a_defect_is_asked_again() {
    let signer = Fixed::new(400, |number| {
        assert_ne!(number, 2, "the test wants it so");
        false
    });
    let keeper = Keeper::start(Arc::clone(&signer) as _);
    keeper.ready().await.expect("there is a first one");
    until("there is another", || keeper.token().is_ok_and(|token| token.token != "token-1"));
}

#[tokio::test]
async fn whoever_opens_is_told_why_there_is_no_token() {
    for (life_ms, fails, words) in
        [(1_000, (|_| true) as fn(u32) -> bool, "no keys at try 1"), (-1, |_| false, "look at the clock")]
    {
        let keeper = Keeper::start(Fixed::new(life_ms, fails));
        let error = keeper.ready().await.expect_err("there is none");
        assert!(matches!(&error, OpenError::Token(why) if why.contains(words)), "{error}");
    }
}

#[test]
fn a_token_is_not_printed() {
    let token = Token { text: "hunter2".to_owned(), until_ms: 7 };
    assert_eq!(format!("{token:?}"), "a token until 7 ms");
}

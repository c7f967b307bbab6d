//! Tokens in the place of a password: signed ahead of need, on a thread of their own.
//!
//! The client asks for a token on the thread that reads messages, and a signer may ask for keys over the network. So nobody waits for it:
//! the newest token lies ready, and another is signed when half of its time is over. The thread has a runtime of its own, as on that of the
//! program it could wait for itself.

use std::error::Error;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use rdkafka::client::OAuthToken;
use tokio::sync::watch;

use crate::error::OpenError;

/// How long signing may take, keys included.
const SIGN_MAX: Duration = Duration::from_secs(10);

/// Until another try where signing failed.
const TRY_AGAIN: Duration = Duration::from_secs(5);

/// The least time between two tokens.
const PAUSE_MIN: Duration = Duration::from_millis(100);

/// What a broker is shown in the place of a password.
#[derive(Clone)]
pub struct Token {
    /// The token itself.
    pub text: String,
    /// Until when it is good, in milliseconds since 1970.
    pub until_ms: i64,
}

/// Its text opens the door, so it is not printed.
impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a token until {} ms", self.until_ms)
    }
}

/// Who signs tokens.
#[async_trait]
pub trait Signer: Send + Sync {
    /// A token that is good from now on. Called on a thread that has nothing else to do.
    ///
    /// # Errors
    /// Why there is none, for an operator; without anything secret.
    async fn sign(&self) -> Result<Token, String>;
}

/// How it stands with the tokens.
#[derive(Debug, Clone, Default)]
struct State {
    newest: Option<Token>,
    /// Why the last try brought none.
    problem: Option<String>,
}

/// Keeps a token ready. Its thread ends with it.
pub(crate) struct Keeper {
    state: watch::Receiver<State>,
    /// Rung where none is good any more. Gone, the thread ends.
    bell: mpsc::Sender<()>,
    now_ms: fn() -> i64,
}

impl Keeper {
    pub(crate) fn start(signer: Arc<dyn Signer>) -> Arc<Self> {
        Self::start_by(signer, now_ms)
    }

    /// The same by a clock, which tells milliseconds since 1970.
    fn start_by(signer: Arc<dyn Signer>, now_ms: fn() -> i64) -> Arc<Self> {
        let (told, state) = watch::channel(State::default());
        let (bell, rung) = mpsc::channel();
        let thread = std::thread::Builder::new().name("kafka-tokens".to_owned());
        thread.spawn(move || keep(&*signer, &told, &rung, now_ms)).expect("the machine has room for a thread");
        Arc::new(Self { state, bell, now_ms })
    }

    /// Waits for the first token.
    ///
    /// # Errors
    /// [`OpenError::Token`] when the first try brings none.
    pub(crate) async fn ready(&self) -> Result<(), OpenError> {
        let mut state = self.state.clone();
        let found = state.wait_for(|state| state.newest.is_some() || state.problem.is_some()).await;
        match found.as_deref() {
            Ok(State { newest: Some(_), .. }) => Ok(()),
            Ok(State { problem, .. }) => Err(OpenError::Token(problem.clone().unwrap_or_default())),
            Err(_) => Err(OpenError::Token("the signer has ended".to_owned())),
        }
    }

    /// The newest token. Never waits.
    ///
    /// # Errors
    /// Why there is none that is still good.
    pub(crate) fn token(&self) -> Result<OAuthToken, Box<dyn Error>> {
        let state = self.state.borrow();
        match state.newest.clone().filter(|token| token.until_ms > (self.now_ms)()) {
            // The principal is in the token; the name would only be logged.
            Some(Token { text, until_ms }) => {
                Ok(OAuthToken { token: text, principal_name: String::new(), lifetime_ms: until_ms })
            }
            None => {
                // The thread sleeps by a clock that stands still while the machine does. One that has ended has told why.
                _ = self.bell.send(());
                Err(state.problem.clone().unwrap_or_else(|| "no token is signed yet".to_owned()).into())
            }
        }
    }
}

fn keep(signer: &dyn Signer, told: &watch::Sender<State>, rung: &mpsc::Receiver<()>, now_ms: fn() -> i64) {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return told.send_modify(|state| state.problem = Some(error.to_string())),
    };
    loop {
        let sign = || runtime.block_on(async { tokio::time::timeout(SIGN_MAX, signer.sign()).await });
        let signed = match catch_unwind(AssertUnwindSafe(sign)) {
            Ok(Ok(signed)) => signed,
            Ok(Err(_)) => Err(format!("signing took longer than {} s", SIGN_MAX.as_secs())),
            Err(_) => Err("signing met a defect".to_owned()),
        };
        let pause = match signed.and_then(|token| Ok((half_of(&token, now_ms())?, token))) {
            Ok((pause, token)) => {
                told.send_replace(State { newest: Some(token), problem: None });
                pause
            }
            Err(problem) => {
                tracing::warn!(problem, "no token for the broker could be signed");
                told.send_modify(|state| state.problem = Some(problem));
                TRY_AGAIN
            }
        };
        let is_over = || {
            let state = told.borrow();
            // After a failure the pause counts: whoever asks, asks again and again.
            state.problem.is_none() && state.newest.as_ref().is_some_and(|token| token.until_ms <= now_ms())
        };
        if !rest(rung, pause, is_over) {
            return;
        }
    }
}

/// Waits for so long, or until somebody rings because the token's time is over. `false` when nobody is there any more.
fn rest(rung: &mpsc::Receiver<()>, pause: Duration, is_over: impl Fn() -> bool) -> bool {
    let until = Instant::now() + pause;
    loop {
        match rung.recv_timeout(until.saturating_duration_since(Instant::now())) {
            Ok(()) if !is_over() => {}
            Ok(()) | Err(mpsc::RecvTimeoutError::Timeout) => return true,
            Err(mpsc::RecvTimeoutError::Disconnected) => return false,
        }
    }
}

/// Half of the time that a token is good for.
fn half_of(token: &Token, now_ms: i64) -> Result<Duration, String> {
    match u64::try_from(token.until_ms - now_ms) {
        Ok(left) if left > 0 => Ok((Duration::from_millis(left) / 2).max(PAUSE_MIN)),
        _ => Err("what was signed is out of date: look at the clock".to_owned()),
    }
}

fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests;

//! Log lines on standard error.

use std::io::{self, Write};

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::util::SubscriberInitExt;

use crate::TelemetryError;
use crate::redact::redact;

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Format {
    /// One compact line for people, in colour on a terminal.
    Pretty,
    /// One JSON object a line.
    Json,
    /// Pretty on a terminal, JSON otherwise.
    #[default]
    Auto,
}

/// What is logged, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogSettings {
    /// How lines look.
    pub format: Format,
    /// `info`, or parts apart: `info,ordermill_http=debug`.
    pub level: String,
}

impl Default for LogSettings {
    fn default() -> Self {
        Self { format: Format::Auto, level: "info".to_owned() }
    }
}

/// Directs the log of the whole process to standard error.
pub fn install(settings: &LogSettings, is_terminal: bool) -> Result<(), TelemetryError> {
    let writer = Redacting(io::stderr);
    let installed = match effective(settings.format, is_terminal) {
        Effective::Json => json(filter(&settings.level)?, writer).try_init(),
        Effective::Pretty => pretty(filter(&settings.level)?, writer, is_terminal).try_init(),
    };
    installed.map_err(|_| TelemetryError::LogInstalled)
}

#[derive(Debug, PartialEq, Eq)]
enum Effective {
    Pretty,
    Json,
}

const fn effective(format: Format, is_terminal: bool) -> Effective {
    match (format, is_terminal) {
        (Format::Pretty, _) | (Format::Auto, true) => Effective::Pretty,
        (Format::Json, _) | (Format::Auto, false) => Effective::Json,
    }
}

/// Refuses a level that cannot be read.
///
/// # Errors
/// [`TelemetryError::Level`].
pub fn check_level(level: &str) -> Result<(), TelemetryError> {
    filter(level).map(drop)
}

/// Reads a level. A misspelt one must not silence the log without a word.
fn filter(level: &str) -> Result<EnvFilter, TelemetryError> {
    let refuse = |problem: String| TelemetryError::Level { given: level.to_owned(), problem };
    // A word that is no level would be taken for the name of a module.
    if let Some(word) = level.split(',').map(str::trim).find(|part| !part.contains('=') && !is_level(part)) {
        return Err(refuse(format!("{word:?} must be one of off, error, warn, info, debug and trace")));
    }
    EnvFilter::builder().parse(level).map_err(|error| refuse(error.to_string()))
}

fn is_level(word: &str) -> bool {
    ["off", "error", "warn", "info", "debug", "trace"].contains(&word.to_ascii_lowercase().as_str())
}

fn json<W>(filter: EnvFilter, writer: W) -> impl SubscriberInitExt + tracing::Subscriber
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    tracing_subscriber::fmt()
        .json()
        .flatten_event(true)
        .with_current_span(true)
        .with_span_list(false)
        .with_env_filter(filter)
        .with_writer(writer)
        .finish()
}

fn pretty<W>(filter: EnvFilter, writer: W, colour: bool) -> impl SubscriberInitExt + tracing::Subscriber
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    tracing_subscriber::fmt().compact().with_ansi(colour).with_env_filter(filter).with_writer(writer).finish()
}

/// Masks what must not be in a log. A line arrives here in one piece.
#[derive(Clone, Copy)]
struct Redacting<M>(M);

impl<'a, M: MakeWriter<'a>> MakeWriter<'a> for Redacting<M> {
    type Writer = RedactingWriter<M::Writer>;

    fn make_writer(&'a self) -> Self::Writer {
        RedactingWriter(self.0.make_writer())
    }
}

struct RedactingWriter<W>(W);

impl<W: Write> Write for RedactingWriter<W> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        match std::str::from_utf8(line) {
            Ok(text) => self.0.write_all(redact(text).as_bytes())?,
            Err(_) => self.0.write_all(line)?,
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex, PoisonError};

    use super::*;

    #[derive(Clone, Default)]
    struct Captured(Arc<Mutex<Vec<u8>>>);

    impl Write for Captured {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Captured {
        fn text(&self) -> String {
            String::from_utf8(self.0.lock().unwrap_or_else(PoisonError::into_inner).clone())
                .expect("log lines are UTF-8")
        }
    }

    fn log_something() {
        tracing::info!(order_id = "ord_1", "mail to ann.b@example.com refused");
        tracing::warn!(reason = "postgres://shop:hunter2@db/orders refused", "not ready");
        tracing::debug!("not shown");
    }

    #[test]
    fn nothing_personal_or_secret_leaves_in_either_format() {
        for is_json in [true, false] {
            let captured = Captured::default();
            let sink = captured.clone();
            let writer = Redacting(move || sink.clone());
            let level = filter("info").expect("a level");
            if is_json {
                tracing::subscriber::with_default(json(level, writer), log_something);
            } else {
                tracing::subscriber::with_default(pretty(level, writer, true), log_something);
            }
            let text = captured.text();
            assert!(!text.contains("ann.b") && !text.contains("hunter2") && !text.contains("not shown"), "{text}");
            assert!(text.contains("ord_1") && text.contains("@example.com") && text.contains("@db/orders"), "{text}");
            assert_eq!(text.lines().count(), 2);
        }
    }

    #[test]
    fn json_lines_are_json() {
        let captured = Captured::default();
        let sink = captured.clone();
        let writer = Redacting(move || sink.clone());
        tracing::subscriber::with_default(json(filter("info").expect("a level"), writer), log_something);
        assert!(captured.text().lines().all(|line| line.starts_with("{\"timestamp\":") && line.ends_with('}')));
    }

    #[test]
    fn auto_looks_at_the_terminal() {
        assert_eq!(effective(Format::Auto, true), Effective::Pretty);
        assert_eq!(effective(Format::Auto, false), Effective::Json);
        assert_eq!(effective(Format::Pretty, false), Effective::Pretty);
        assert_eq!(effective(Format::Json, true), Effective::Json);
    }

    #[test]
    fn a_misspelt_level_is_refused() {
        for bad in ["inof", "info,ordermill_http", "ordermill=loud", ""] {
            assert!(matches!(filter(bad), Err(TelemetryError::Level { .. })), "{bad:?}");
        }
        for good in ["info", "INFO", "warn,ordermill_http=debug", "off"] {
            assert!(filter(good).is_ok(), "{good:?}");
        }
    }
}

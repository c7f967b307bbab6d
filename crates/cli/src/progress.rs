//! Progress of long work, on standard error: a bar on a terminal, a line now and then otherwise.

use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::output::count;

/// Between two lines where there is no terminal.
const LINE_INTERVAL: Duration = Duration::from_secs(5);

/// Parts of a whole in which a bar counts, however large the whole is.
const BAR_PARTS: u64 = 1_000;

/// Progress of one piece of work.
pub struct Progress {
    what: &'static str,
    started: Instant,
    shown: Shown,
}

enum Shown {
    Bar(ProgressBar),
    Lines { last: Instant },
    Nothing,
}

impl Progress {
    /// Shows progress of `what` (a plural: `orders`). Nothing is shown when `quiet`, as for `--json`.
    pub fn new(what: &'static str, quiet: bool) -> Self {
        let shown = if quiet {
            Shown::Nothing
        } else if io::stderr().is_terminal() {
            let bar = ProgressBar::with_draw_target(Some(BAR_PARTS), ProgressDrawTarget::stderr_with_hz(10));
            let style = ProgressStyle::with_template("{bar:30} {msg}").expect("the template is well formed");
            bar.set_style(style.progress_chars("█▉▊▋▌▍▎▏ "));
            Shown::Bar(bar)
        } else {
            Shown::Lines { last: Instant::now() }
        };
        Self { what, started: Instant::now(), shown }
    }

    /// `done` pieces are done, which is this share of the whole (0 to 1) where that is known.
    pub fn update(&mut self, done: u64, share: Option<f64>) {
        let status = || status(self.what, done, share, self.started.elapsed());
        match &mut self.shown {
            Shown::Bar(bar) => {
                if let Some(share) = share {
                    bar.set_position((share.clamp(0.0, 1.0) * BAR_PARTS as f64) as u64);
                }
                bar.set_message(status());
            }
            Shown::Lines { last } if last.elapsed() >= LINE_INTERVAL => {
                *last = Instant::now();
                say(&status());
            }
            Shown::Lines { .. } | Shown::Nothing => {}
        }
    }

    /// Says something beside the progress.
    pub fn note(&self, text: &str) {
        match &self.shown {
            Shown::Bar(bar) => bar.suspend(|| say(text)),
            Shown::Lines { .. } => say(text),
            Shown::Nothing => {}
        }
    }

    /// Takes the bar away.
    pub fn finish(self) -> Duration {
        if let Shown::Bar(bar) = &self.shown {
            bar.finish_and_clear();
        }
        self.started.elapsed()
    }
}

/// A line on standard error. Progress that nobody can see is no reason to stop the work.
fn say(text: &str) {
    let _ = writeln!(io::stderr().lock(), "{text}");
}

/// `12,000 orders, 3,100/s, 35%, 7 s left`
fn status(what: &str, done: u64, share: Option<f64>, elapsed: Duration) -> String {
    let seconds = elapsed.as_secs_f64();
    let mut text = format!("{} {what}", count(done));
    if seconds >= 1.0 {
        text.push_str(&format!(", {}/s", count((done as f64 / seconds) as u64)));
    }
    if let Some(share) = share {
        text.push_str(&format!(", {:.0}%", share * 100.0));
        // The first second says little about the rest.
        if seconds >= 1.0 && share > 0.0 && share < 1.0 {
            text.push_str(&format!(", {:.0} s left", seconds * (1.0 - share) / share));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_status_says_rate_share_and_time_left() {
        let text = status("orders", 12_000, Some(0.25), Duration::from_secs(4));
        assert_eq!(text, "12,000 orders, 3,000/s, 25%, 12 s left");
        assert_eq!(status("orders", 5, None, Duration::from_millis(10)), "5 orders");
        assert_eq!(status("orders", 5, Some(1.0), Duration::from_secs(1)), "5 orders, 5/s, 100%");
    }
}

//! How many reports came in, by what came of them.

use ordermill_core::parcel::Verdict;

/// How many reports of carriers were taken, by what came of each: `moved`, `late`, `duplicate` or `refused`.
pub const TRACKING_REPORTS_TOTAL: &str = "ordermill_tracking_reports_total";

/// The name of a verdict, in metrics and answers.
pub(super) const fn verdict_name(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Moved => "moved",
        Verdict::Late => "late",
        Verdict::Duplicate => "duplicate",
        Verdict::Refused(_) => "refused",
    }
}

/// Counts a batch. One look-up for each verdict in it and not for each report.
pub(super) fn count(verdicts: impl Iterator<Item = Verdict>) {
    let [mut moved, mut late, mut duplicate, mut refused] = [0_u64; 4];
    for verdict in verdicts {
        match verdict {
            Verdict::Moved => moved += 1,
            Verdict::Late => late += 1,
            Verdict::Duplicate => duplicate += 1,
            Verdict::Refused(_) => refused += 1,
        }
    }
    for (name, count) in [("moved", moved), ("late", late), ("duplicate", duplicate), ("refused", refused)] {
        if count > 0 {
            metrics::counter!(TRACKING_REPORTS_TOTAL, "verdict" => name).increment(count);
        }
    }
}

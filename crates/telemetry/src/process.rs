//! What is known of the process itself, read when somebody asks.

use std::time::Duration;

use metrics::gauge;

/// Sets the gauges of this process.
pub fn record(uptime: Duration) {
    gauge!("process_uptime_seconds").set(uptime.as_secs_f64());
    if let Some(bytes) = resident_bytes() {
        gauge!("process_resident_memory_bytes").set(bytes as f64);
    }
    if let Ok(entries) = std::fs::read_dir("/proc/self/fd") {
        gauge!("process_open_fds").set(entries.count() as f64);
    }
}

/// Memory of this process that is in use; `None` where there is no `/proc`.
fn resident_bytes() -> Option<u64> {
    // Linux counts in pages, which have 4 KiB on the machines this is built for (x86-64, and arm64 as the clouds run it).
    const PAGE_BYTES: u64 = 4096;
    let statm = std::fs::read_to_string("/proc/self/statm").ok()?;
    statm.split_ascii_whitespace().nth(1)?.parse::<u64>().ok().map(|pages| pages * PAGE_BYTES)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(target_os = "linux")]
    fn memory_is_plausible() {
        let bytes = resident_bytes().expect("Linux has /proc");
        assert!((1 << 20..1 << 40).contains(&bytes), "{bytes}");
    }
}

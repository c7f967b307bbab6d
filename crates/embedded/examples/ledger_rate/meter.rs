//! What something takes: time, CPU, memory.

use std::collections::BTreeMap;
use std::time::Instant;

use crate::shop::cpu_by_thread;

/// A stretch of work that is measured.
pub struct Meter {
    cpu: BTreeMap<String, f64>,
    began: Instant,
}

impl Meter {
    /// Begins now.
    pub fn start() -> Self {
        Self { cpu: cpu_by_thread(), began: Instant::now() }
    }

    /// Prints the rate, and the CPU time of each kind of thread for one of them.
    pub fn report(&self, what: &str, unit: &str, count: usize) {
        let (count, seconds) = (count as f64, self.began.elapsed().as_secs_f64());
        println!("{what}: {:.0} {unit}s a second ({count} in {seconds:.2} s)", count / seconds);
        for (name, seconds) in cpu_by_thread() {
            let micros = (seconds - self.cpu.get(&name).unwrap_or(&0.0)) * 1e6 / count;
            if micros >= 0.1 {
                println!("  {name:18} {micros:6.1} us of CPU per {unit}");
            }
        }
    }
}

/// Kilobytes of memory in use.
pub fn resident_kb() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or_default();
    line.split_whitespace().next().and_then(|text| text.parse().ok()).unwrap_or(0.0)
}

//! What something takes: time, CPU, memory.

use std::collections::BTreeMap;
use std::time::Instant;

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

/// CPU seconds of this process's threads so far, by name.
fn cpu_by_thread() -> BTreeMap<String, f64> {
    let mut by_name = BTreeMap::new();
    let tasks = std::fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
    for task in tasks {
        let name = std::fs::read_to_string(task.path().join("comm")).unwrap_or_default();
        let stat = std::fs::read_to_string(task.path().join("schedstat")).unwrap_or_default();
        let nanoseconds: f64 = stat.split(' ').next().and_then(|text| text.parse().ok()).unwrap_or(0.0);
        *by_name.entry(name.trim().to_owned()).or_insert(0.0) += nanoseconds / 1e9;
    }
    by_name
}

/// Kilobytes of memory in use.
pub fn resident_kb() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or_default();
    line.split_whitespace().next().and_then(|text| text.parse().ok()).unwrap_or(0.0)
}

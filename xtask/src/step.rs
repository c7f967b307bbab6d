//! The steps of a long task, each with a headline and its time.

use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

/// Steps that were run, with how each ended.
#[derive(Default)]
pub struct Steps {
    ended: Vec<Ended>,
}

struct Ended {
    name: &'static str,
    took: Duration,
    error: Option<String>,
}

impl Steps {
    /// Runs one step. A failure is kept for the end, so that one run shows everything that is wrong.
    pub fn run<T>(&mut self, name: &'static str, step: impl FnOnce() -> Result<T>) -> Option<T> {
        println!("\n=== {name}");
        let begun = Instant::now();
        let result = step();
        let took = begun.elapsed();
        let error = result.as_ref().err().map(|error| format!("{error:#}"));
        match &error {
            None => println!("--- {name}: ok, {:.1} s", took.as_secs_f64()),
            Some(error) => println!("--- {name}: FAILED, {:.1} s: {error}", took.as_secs_f64()),
        }
        self.ended.push(Ended { name, took, error });
        result.ok()
    }

    /// Prints one line per step.
    ///
    /// # Errors
    /// When a step has failed.
    pub fn summarize(&self) -> Result<()> {
        println!("\n=== summary");
        for Ended { name, took, error } in &self.ended {
            let result = if error.is_none() { "ok" } else { "FAILED" };
            println!("{result:>6}  {:>6.1} s  {name}", took.as_secs_f64());
        }
        let failed = self.ended.iter().filter(|ended| ended.error.is_some()).count();
        if failed > 0 {
            bail!("{failed} of {} steps failed", self.ended.len());
        }
        Ok(())
    }
}

/// Runs a command to its end; its output goes where ours goes.
pub fn call(command: &mut Command) -> Result<()> {
    let name = command.get_program().to_string_lossy().into_owned();
    let status = command.status().with_context(|| format!("{name} cannot be started"))?;
    if status.success() { Ok(()) } else { bail!("{name} ended with {status}") }
}

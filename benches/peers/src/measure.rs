//! Wall time, CPU time and peak memory of a call.

use std::hint::black_box;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use serde::Serialize;

/// What a call costs, on average over `calls`.
#[derive(Serialize)]
pub struct Timing {
    pub seconds: f64,
    /// Of all threads of the process together.
    pub cpu_seconds: f64,
    pub calls: u32,
}

/// Calls once untimed, then until `at_least` has passed, and at least once.
pub fn time<T>(at_least: Duration, mut call: impl FnMut() -> Result<T>) -> Result<Timing> {
    black_box(call()?);
    let (start, cpu_start) = (Instant::now(), cpu_time());
    let mut calls = 0;
    while calls == 0 || start.elapsed() < at_least {
        black_box(call()?);
        calls += 1;
    }
    let mean = |total: Duration| total.as_secs_f64() / f64::from(calls);
    let (seconds, cpu_seconds) = (mean(start.elapsed()), mean(cpu_time() - cpu_start));
    Ok(Timing { seconds, cpu_seconds, calls })
}

/// CPU time of the process so far.
fn cpu_time() -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is a timespec to be written; on an error it stays zero.
    unsafe { libc::clock_gettime(libc::CLOCK_PROCESS_CPUTIME_ID, &mut time) };
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// The call's result, and by how many bytes resident memory rose above what it was before.
pub fn peak_beside<T>(call: impl FnOnce() -> Result<T>) -> Result<(T, u64)> {
    // 5 sets the peak back to what is resident now.
    std::fs::write("/proc/self/clear_refs", "5").context("resetting the peak of memory")?;
    let before = status("VmRSS:")?;
    let result = call()?;
    Ok((result, status("VmHWM:")?.saturating_sub(before)))
}

/// A line of the process's status, in bytes.
fn status(name: &str) -> Result<u64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    let kilobytes = line.and_then(|line| line.trim().strip_suffix(" kB"));
    let kilobytes: u64 = kilobytes.with_context(|| format!("no {name} in the status"))?.parse()?;
    Ok(kilobytes * 1024)
}

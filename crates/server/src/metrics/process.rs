//! The process itself, as Linux tells of it, under the names that Prometheus' own libraries give it.

use std::fs;

use super::Text;

/// The unit of the times in `/proc/self/stat`: 100 a second on every Linux that there is.
const TICKS: f64 = 100.0;

/// Writes what can be read; elsewhere than on Linux nothing.
pub(super) fn write(text: &mut Text) {
    if let Some(bytes) = status("VmRSS:") {
        text.gauge("process_resident_memory_bytes", "Resident memory.", bytes);
    }
    if let Ok(open) = fs::read_dir("/proc/self/fd") {
        text.gauge("process_open_fds", "Open file descriptors.", open.count());
    }
    if let Some(most) = limit("Max open files") {
        text.gauge("process_max_fds", "The most file descriptors there may be.", most);
    }
    if let Some(seconds) = cpu() {
        text.counter("process_cpu_seconds_total", "Processor time, in seconds.", seconds);
    }
}

/// A line of `/proc/self/status`, in bytes.
fn status(name: &str) -> Option<u64> {
    let text = fs::read_to_string("/proc/self/status").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    Some(line.trim().trim_end_matches(" kB").parse::<u64>().ok()? * 1024)
}

/// The soft limit of that name.
pub(crate) fn limit(name: &str) -> Option<u64> {
    let text = fs::read_to_string("/proc/self/limits").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next()?.parse().ok()
}

fn cpu() -> Option<f64> {
    let text = fs::read_to_string("/proc/self/stat").ok()?;
    // The program's name is in parentheses and may hold anything.
    let mut fields = text.rsplit_once(')')?.1.split_whitespace().skip(11);
    let mut next = || fields.next()?.parse::<f64>().ok();
    Some((next()? + next()?) / TICKS)
}

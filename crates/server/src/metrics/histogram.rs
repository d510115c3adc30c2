//! How long things take, counted in fixed buckets: recording is two atomic additions, and memory does not grow.

use std::fmt::Write;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// The upper bounds of the buckets, in microseconds: from a read in the cache to the end of a client's patience.
const BOUNDS: [u64; 15] = [
    250, 500, 1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 64_000, 128_000, 256_000, 512_000, 1_000_000,
    4_000_000, 16_000_000,
];

/// Durations, by how long.
#[derive(Debug, Default)]
pub struct Histogram {
    /// Each counted in the first bucket whose bound is not below it; the last place is for what is longer.
    buckets: [AtomicU64; BOUNDS.len() + 1],
    micros: AtomicU64,
}

impl Histogram {
    /// Counts one.
    pub fn record(&self, took: Duration) {
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        let place = BOUNDS.partition_point(|bound| *bound < micros);
        self.buckets[place].fetch_add(1, Ordering::Relaxed);
        self.micros.fetch_add(micros, Ordering::Relaxed);
    }

    /// Writes its lines; `labels` are written already, without braces.
    pub fn write(&self, out: &mut String, name: &str, labels: &str) {
        let mut count = 0;
        let mut line = |bound: &str, count: u64| {
            writeln!(out, "{name}_bucket{{{labels},le=\"{bound}\"}} {count}").expect("a string takes all");
        };
        for (bound, bucket) in BOUNDS.iter().zip(&self.buckets) {
            count += bucket.load(Ordering::Relaxed);
            line(&seconds(*bound), count);
        }
        count += self.buckets[BOUNDS.len()].load(Ordering::Relaxed);
        line("+Inf", count);
        let sum = seconds(self.micros.load(Ordering::Relaxed));
        writeln!(out, "{name}_sum{{{labels}}} {sum}\n{name}_count{{{labels}}} {count}")
            .expect("a string takes all");
    }
}

/// Microseconds as a decimal number of seconds.
fn seconds(micros: u64) -> String {
    let text = format!("{}.{:06}", micros / 1_000_000, micros % 1_000_000);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_add_up_and_the_last_is_without_bound() {
        let histogram = Histogram::default();
        for micros in [1, 250, 251, 20_000_000] {
            histogram.record(Duration::from_micros(micros));
        }
        let mut text = String::new();
        histogram.write(&mut text, "x", "a=\"b\"");
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), BOUNDS.len() + 3);
        assert_eq!(lines[0], "x_bucket{a=\"b\",le=\"0.00025\"} 2");
        assert_eq!(lines[1], "x_bucket{a=\"b\",le=\"0.0005\"} 3");
        assert_eq!(lines[14], "x_bucket{a=\"b\",le=\"16\"} 3");
        assert_eq!(
            lines[15..],
            ["x_bucket{a=\"b\",le=\"+Inf\"} 4", "x_sum{a=\"b\"} 20.000502", "x_count{a=\"b\"} 4"]
        );
    }
}

//! Deciding anew after a conflict.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// How often a decision is made at most.
pub(crate) const ATTEMPTS: u32 = 20;
/// After so long no further attempt is made: the caller's client is waiting.
pub(crate) const LONGEST: Duration = Duration::from_secs(10);
/// The longest pause.
const MOST_MILLIS: u64 = 64;

/// A pause before the attempt after number `attempt` (from 1), with full jitter: anything from nothing to a bound that doubles.
pub(crate) fn pause(attempt: u32) -> Duration {
    let bound = 1_u64.checked_shl(attempt).map_or(MOST_MILLIS, |bound| bound.min(MOST_MILLIS));
    Duration::from_micros(scatter() % (bound * 1000))
}

/// A number that callers, threads and processes do not share. Nothing secret depends on it.
pub(crate) fn scatter() -> u64 {
    static POSITION: AtomicU64 = AtomicU64::new(0);
    static START: std::sync::OnceLock<Instant> = std::sync::OnceLock::new();
    let nanos = START.get_or_init(Instant::now).elapsed().subsec_nanos();
    let position = POSITION.fetch_add(1, Ordering::Relaxed);
    // SplitMix64.
    let mut mixed = (position ^ (u64::from(std::process::id()) << 32) ^ u64::from(nanos))
        .wrapping_add(0x9e37_79b9_7f4a_7c15)
        .wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_are_scattered_below_a_bound_that_doubles() {
        let of = |attempt| (0..1000).map(|_| pause(attempt)).collect::<std::collections::BTreeSet<_>>();
        assert!(of(1).last().unwrap() < &Duration::from_millis(2));
        assert!(of(ATTEMPTS).last().unwrap() < &Duration::from_millis(MOST_MILLIS));
        assert!(of(u32::MAX).len() > 100);
    }
}

//! Ids of log entries: 56 digits, `900`, then the time to the microsecond, then a number (management contract §2.8). They
//! sort by the time at which the entry was written.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::clock::Timestamp;
use crate::random::Random;

/// Bits of the running number within a millisecond.
const NUMBER_BITS: u32 = 16;

/// Whether `text` has the form of an entry's id. Only digits are in any of them, however many.
pub fn is_id(text: &str) -> bool {
    (1..=64).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// The beginning of every id that is made from `moment` on, until the next millisecond: those that were made before sort before it.
pub fn ids_from(moment: Timestamp) -> String {
    let moment = jiff::Timestamp::from_millisecond(moment.millis()).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
    let moment = moment.to_zoned(jiff::tz::TimeZone::UTC);
    format!(
        "900{:04}{:02}{:02}{:02}{:02}{:02}{:03}",
        moment.year(),
        moment.month(),
        moment.day(),
        moment.hour(),
        moment.minute(),
        moment.second(),
        moment.millisecond(),
    )
}

/// Makes ids. Within a process each is greater than the one before; a random number of the process keeps those of other
/// processes apart.
#[derive(Debug)]
pub(super) struct Ids {
    /// The last millisecond and the number within it.
    last: AtomicU64,
    /// Up to 19 digits, as recorded ids end.
    process: u64,
}

impl Ids {
    pub(super) fn new(random: &Random) -> Self {
        let process = u64::from_be_bytes(random.bytes()) % 10_000_000_000_000_000_000;
        Self { last: AtomicU64::new(0), process }
    }

    /// An id for an entry that is written now.
    pub(super) fn next(&self, now: Timestamp) -> String {
        let now = u64::try_from(now.millis()).unwrap_or_default() << NUMBER_BITS;
        let following = |last: u64| Some(now.max(last + 1));
        let last = self.last.fetch_update(Ordering::Relaxed, Ordering::Relaxed, following);
        let next = last.map_or(now, |last| now.max(last + 1));
        let (millis, number) = (next >> NUMBER_BITS, next & ((1 << NUMBER_BITS) - 1));
        let moment = Timestamp::from_millis(i64::try_from(millis).unwrap_or(i64::MAX));
        format!("{}{number:017}{:019}", ids_from(moment), self.process)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_56_digits_that_begin_with_the_date() {
        let id = Ids::new(&Random::seeded(1)).next(Timestamp::from_millis(1_678_805_229_188));
        assert_eq!(id.len(), 56);
        assert!(id.bytes().all(|digit| digit.is_ascii_digit()));
        assert!(id.starts_with("90020230314144709188"), "{id}");
    }

    #[test]
    fn ids_grow_even_when_the_clock_does_not() {
        let ids = Ids::new(&Random::seeded(1));
        let times = [5, 5, 5, 4, 4, 6, 6];
        let made: Vec<_> = times.iter().map(|millis| ids.next(Timestamp::from_millis(*millis))).collect();
        assert!(made.is_sorted_by(|one, next| one < next), "{made:?}");
    }

    #[test]
    fn processes_do_not_share_ids() {
        let now = Timestamp::from_millis(1_000_000);
        assert_ne!(Ids::new(&Random::seeded(1)).next(now), Ids::new(&Random::seeded(2)).next(now));
    }
}

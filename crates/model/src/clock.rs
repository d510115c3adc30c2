//! Time: milliseconds since the epoch from a clock that is passed in, so that tests and `doorward dev` can move it.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

/// A moment, in milliseconds since the Unix epoch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

/// How far the clocks of nodes may differ, in seconds. A limit whose next moment lies farther ahead than it ever puts it was written
/// under a clock that was wrong, and does not hold.
pub const SKEW: i64 = 60;

const EPOCH: jiff::civil::DateTime = jiff::civil::DateTime::constant(1970, 1, 1, 0, 0, 0, 0);

impl Timestamp {
    /// The moment `millis` milliseconds after the epoch.
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis)
    }

    /// Milliseconds since the epoch: what the database stores.
    pub const fn millis(self) -> i64 {
        self.0
    }

    /// Whole seconds since the epoch: what JWT claims hold (RFC 7519 §2, NumericDate).
    pub const fn seconds(self) -> i64 {
        self.0.div_euclid(1000)
    }

    /// This moment moved by `seconds`, which may be negative.
    pub const fn plus_seconds(self, seconds: i64) -> Self {
        Self(self.0.saturating_add(seconds.saturating_mul(1000)))
    }

    /// Reads RFC 3339.
    pub fn parse(text: &str) -> Option<Self> {
        if let Ok(moment) = text.parse::<jiff::Timestamp>() {
            return Some(Self(moment.as_millisecond()));
        }
        // The last day there is, which certificates without an end name (RFC 5280 §4.1.2.5).
        let civil: jiff::civil::DateTime = text.strip_suffix('Z')?.parse().ok()?;
        i64::try_from(civil.duration_since(EPOCH).as_millis()).ok().map(Self)
    }

    /// ISO 8601 in UTC with milliseconds and `Z` (management contract §2.8).
    pub fn iso(self) -> String {
        let moment = EPOCH.saturating_add(jiff::SignedDuration::from_millis(self.0));
        format!("{moment:.3}Z")
    }
}

impl serde::Serialize for Timestamp {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.iso())
    }
}

impl<'de> serde::Deserialize<'de> for Timestamp {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'_, str>>::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| serde::de::Error::custom("not a moment"))
    }
}

impl From<Timestamp> for db::Value {
    fn from(moment: Timestamp) -> Self {
        db::Value::Int(moment.0)
    }
}

impl db::FromValue for Timestamp {
    fn from_value(value: db::Value) -> Result<Self, db::Error> {
        i64::from_value(value).map(Self)
    }
}

/// Where the time comes from. Clones share one offset.
#[derive(Clone, Debug)]
pub struct Clock {
    offset: Arc<AtomicI64>,
    base: Base,
}

#[derive(Clone, Debug)]
enum Base {
    System,
    Fixed(i64),
}

impl Clock {
    /// The machine's clock.
    pub fn system() -> Self {
        Self { offset: Arc::default(), base: Base::System }
    }

    /// A clock that stands still at `moment` until it is advanced.
    pub fn fixed(moment: Timestamp) -> Self {
        Self { offset: Arc::default(), base: Base::Fixed(moment.0) }
    }

    /// The present moment.
    pub fn now(&self) -> Timestamp {
        let base = match self.base {
            Base::Fixed(millis) => millis,
            Base::System => system_millis(),
        };
        Timestamp(base + self.offset.load(Ordering::Relaxed))
    }

    /// Moves this clock and all its clones by `seconds`, which may be negative.
    pub fn advance(&self, seconds: i64) {
        self.offset.fetch_add(seconds.saturating_mul(1000), Ordering::Relaxed);
    }
}

#[expect(clippy::disallowed_methods, reason = "the one place that reads the machine's clock")]
fn system_millis() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_written_with_milliseconds_and_z() {
        assert_eq!(Timestamp::from_millis(1_674_673_226_539).iso(), "2023-01-25T19:00:26.539Z");
        assert_eq!(Timestamp::from_millis(0).iso(), "1970-01-01T00:00:00.000Z");
    }

    #[test]
    fn a_moment_is_read_as_it_is_written() {
        for text in ["2023-01-25T19:00:26.539Z", "1950-01-01T00:00:00.000Z", "9999-12-31T23:59:59.000Z"] {
            assert_eq!(Timestamp::parse(text).map(Timestamp::iso).as_deref(), Some(text));
        }
        assert_eq!(Timestamp::parse("1970-01-01T01:00:00+01:00"), Some(Timestamp::from_millis(0)));
        assert_eq!(Timestamp::parse("soon"), None);
    }

    #[test]
    fn clones_of_a_clock_move_together() {
        let clock = Clock::fixed(Timestamp::from_millis(5_000));
        let other = clock.clone();
        clock.advance(2);
        assert_eq!(other.now().millis(), 7_000);
    }
}

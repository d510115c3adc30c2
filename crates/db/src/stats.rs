//! What the database does, in numbers that only grow, and how much waits.

use std::sync::atomic::{AtomicU64, Ordering};

/// The upper bounds of [`Stats::groups`]; one more place is for what lies above.
pub const GROUP_SIZES: [u64; 10] = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512];

/// The database at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Batches that were committed, or refused without being written.
    pub batches: u64,
    /// On SQLite: commits by how many batches shared them, each size counted under the first of [`GROUP_SIZES`] that is not below it.
    pub groups: [u64; GROUP_SIZES.len() + 1],
    /// The batches that these commits held.
    pub grouped: u64,
    /// Answers of the configuration cache.
    pub cache_hits: u64,
    /// Questions that went to the database.
    pub cache_misses: u64,
    /// Entries in the cache.
    pub cache_entries: u64,
    /// Batches that wait for SQLite's writer, or callers that wait for a connection to PostgreSQL.
    pub waiting: u64,
    /// On PostgreSQL: connections in use and idle, and the most there may be.
    pub pool: Option<Pool>,
}

/// The connections to PostgreSQL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pool {
    /// Connections in use.
    pub used: u64,
    /// Connections that wait for work.
    pub idle: u64,
    /// The most there may be.
    pub most: u64,
}

/// What is counted where it happens.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    batches: AtomicU64,
    groups: [AtomicU64; GROUP_SIZES.len() + 1],
    grouped: AtomicU64,
}

impl Tally {
    pub fn batch(&self) {
        self.batches.fetch_add(1, Ordering::Relaxed);
    }

    /// A commit that so many batches shared.
    pub fn group(&self, size: usize) {
        let place = GROUP_SIZES.partition_point(|bound| *bound < size as u64);
        self.groups[place].fetch_add(1, Ordering::Relaxed);
        self.grouped.fetch_add(size as u64, Ordering::Relaxed);
    }

    pub fn read(&self, stats: &mut Stats) {
        stats.batches = self.batches.load(Ordering::Relaxed);
        stats.grouped = self.grouped.load(Ordering::Relaxed);
        for (place, count) in stats.groups.iter_mut().zip(&self.groups) {
            *place = count.load(Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_is_counted_under_the_first_bound_that_holds_it() {
        let tally = Tally::default();
        [1, 2, 3, 4, 5, 512, 513].into_iter().for_each(|size| tally.group(size));
        let mut stats = Stats::default();
        tally.read(&mut stats);
        assert_eq!(stats.groups, [1, 1, 2, 1, 0, 0, 0, 0, 0, 1, 1]);
        assert_eq!(stats.grouped, 1040);
    }
}

//! The configuration cache: bounded, expiring, and never holding a value that was loaded before an invalidation.

use std::any::Any;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use moka::Expiry;

use crate::Error;
use crate::stats::Stats;

/// How many entries are kept.
const CAPACITY: u64 = 20_000;
/// The longest key, in bytes, that is kept: strangers choose some of the ids that are looked up.
const LONGEST_KEY: usize = 1024;
/// How long a value may outlive a change that this node was not told of.
const FOUND: Duration = Duration::from_secs(60);
/// The same while the database does not answer: then nothing changes, and what was known goes on.
const OUTAGE: Duration = Duration::from_secs(600);
/// The same for the knowledge that something does not exist.
const MISSING: Duration = Duration::from_secs(5);
/// Keys share their generations in so many groups, which bounds them: a neighbour's change costs one load, never a stale value.
const GENERATIONS: usize = 1024;

/// What an entry is about: `kind`, `tenant` and `id`, joined by NUL (neither of the first two holds one).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Key(Box<str>);

impl Key {
    pub fn new(kind: &str, tenant: &str, id: &str) -> Self {
        let mut text = String::with_capacity(kind.len() + tenant.len() + id.len() + 2);
        for part in [kind, "\0", tenant, "\0", id] {
            text.push_str(part);
        }
        Self(text.into())
    }

    /// `kind`, `tenant`, `id`.
    pub fn parts(&self) -> (&str, &str, &str) {
        let mut parts = self.0.splitn(3, '\0');
        let mut next = || parts.next().unwrap_or_default();
        (next(), next(), next())
    }
}

/// A value, or that there is none.
type Found = Option<Arc<dyn Any + Send + Sync>>;

/// What was loaded, and when.
#[derive(Clone)]
struct Entry {
    found: Found,
    loaded: Instant,
}

pub(crate) struct Cache {
    entries: moka::sync::Cache<Key, Entry>,
    generations: Box<[Mutex<u64>]>,
    /// After this long a value is loaded anew.
    fresh: Duration,
    hits: AtomicU64,
    misses: AtomicU64,
    drops: AtomicU64,
}

impl Cache {
    pub fn new() -> Self {
        Self::fresh_for(FOUND)
    }

    fn fresh_for(fresh: Duration) -> Self {
        Self {
            fresh,
            entries: moka::sync::Cache::builder().max_capacity(CAPACITY).expire_after(Lifetime).build(),
            generations: (0..GENERATIONS).map(|_| Mutex::new(0)).collect(),
            hits: AtomicU64::new(0),
            misses: AtomicU64::new(0),
            drops: AtomicU64::new(0),
        }
    }

    /// The entry, or what `load` finds, which is then kept unless the key was invalidated meanwhile or is too long.
    pub async fn get<T: Send + Sync + 'static>(
        &self,
        key: Key,
        load: impl Future<Output = Result<Option<T>, Error>>,
    ) -> Result<Option<Arc<T>>, Error> {
        if key.0.len() > LONGEST_KEY {
            return Ok(load.await?.map(Arc::new));
        }
        let known = self.entries.get(&key);
        if let Some(entry) = &known
            && entry.loaded.elapsed() < self.fresh
        {
            self.hits.fetch_add(1, Ordering::Relaxed);
            return typed(&key, entry.found.clone());
        }
        self.misses.fetch_add(1, Ordering::Relaxed);
        let generation = *self.generation(&key);
        let loaded = match load.await {
            Ok(loaded) => loaded.map(Arc::new),
            Err(error) => {
                // Unless it was dropped meanwhile: then it is known to be old.
                return match known.filter(|_| error.may_retry() && *self.generation(&key) == generation) {
                    Some(entry) => typed(&key, entry.found),
                    None => Err(error),
                };
            }
        };
        let current = self.generation(&key);
        if *current == generation {
            let found = loaded.clone().map(|value| value as Arc<dyn Any + Send + Sync>);
            self.entries.insert(key, Entry { found, loaded: Instant::now() });
        }
        Ok(loaded)
    }

    /// How it did so far.
    pub fn read(&self, stats: &mut Stats) {
        stats.cache_hits = self.hits.load(Ordering::Relaxed);
        stats.cache_misses = self.misses.load(Ordering::Relaxed);
        stats.cache_entries = self.entries.entry_count();
    }

    /// Drops an entry, and keeps every load that has begun from being stored.
    pub fn invalidate(&self, key: &Key) {
        let mut generation = self.generation(key);
        *generation += 1;
        self.entries.invalidate(key);
        // Last: who sees the count finds nothing of what was dropped.
        self.drops.fetch_add(1, Ordering::Release);
    }

    /// Drops everything.
    pub fn clear(&self) {
        for generation in &self.generations {
            *lock(generation) += 1;
        }
        self.entries.invalidate_all();
        self.drops.fetch_add(1, Ordering::Release);
    }

    /// How often something was dropped.
    pub fn drops(&self) -> u64 {
        self.drops.load(Ordering::Acquire)
    }

    fn generation(&self, key: &Key) -> MutexGuard<'_, u64> {
        let mut hasher = DefaultHasher::new();
        key.hash(&mut hasher);
        let group = hasher.finish() % GENERATIONS as u64;
        lock(&self.generations[usize::try_from(group).unwrap_or(0)])
    }
}

/// A number cannot be left half changed, so a poisoned lock is as good as any.
fn lock(generation: &Mutex<u64>) -> MutexGuard<'_, u64> {
    generation.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The value as the one type of its kind.
fn typed<T: Send + Sync + 'static>(key: &Key, found: Found) -> Result<Option<Arc<T>>, Error> {
    let wrong = |_| Error::Failed(format!("the cached kind `{}` is read as two types", key.parts().0));
    found.map(|value| value.downcast().map_err(wrong)).transpose()
}

struct Lifetime;

impl Lifetime {
    fn of(entry: &Entry) -> Duration {
        if entry.found.is_some() { OUTAGE } else { MISSING }
    }
}

impl Expiry<Key, Entry> for Lifetime {
    fn expire_after_create(&self, _: &Key, entry: &Entry, _: Instant) -> Option<Duration> {
        Some(Self::of(entry))
    }

    fn expire_after_update(
        &self,
        _: &Key,
        entry: &Entry,
        _: Instant,
        _: Option<Duration>,
    ) -> Option<Duration> {
        Some(Self::of(entry))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn get(cache: &Cache, load: impl Future<Output = Result<Option<i64>, Error>>) -> Option<i64> {
        cache.get(Key::new("client", "one", "a"), load).await.unwrap().as_deref().copied()
    }

    #[tokio::test]
    async fn a_value_and_a_miss_are_loaded_once() {
        for found in [Some(1), None] {
            let cache = Cache::new();
            assert_eq!(get(&cache, async { Ok(found) }).await, found);
            assert_eq!(get(&cache, async { panic!("loaded twice") }).await, found);
        }
    }

    #[tokio::test]
    async fn a_value_loaded_before_an_invalidation_is_not_kept() {
        let cache = Cache::new();
        let stale = get(&cache, async {
            cache.invalidate(&Key::new("client", "one", "a"));
            Ok(Some(1))
        });
        assert_eq!(stale.await, Some(1));
        assert_eq!(get(&cache, async { Ok(Some(2)) }).await, Some(2));
        let stale = cache.get(Key::new("client", "one", "b"), async {
            cache.clear();
            Ok(Some(1))
        });
        assert_eq!(stale.await.unwrap().as_deref(), Some(&1));
        assert_eq!(get(&cache, async { Ok(Some(3)) }).await, Some(3));
    }

    #[tokio::test]
    async fn each_drop_is_counted() {
        let cache = Cache::new();
        assert_eq!((get(&cache, async { Ok(Some(1)) }).await, cache.drops()), (Some(1), 0));
        cache.invalidate(&Key::new("client", "one", "a"));
        assert_eq!(cache.drops(), 1);
        cache.clear();
        assert_eq!(cache.drops(), 2);
    }

    #[tokio::test]
    async fn what_has_a_long_name_is_not_kept() {
        let cache = Cache::new();
        for (length, kept) in [(1000, 1), (LONGEST_KEY, 0)] {
            let key = Key::new("client", "one", &"a".repeat(length));
            assert_eq!(cache.get(key.clone(), async { Ok(Some(1)) }).await.unwrap().as_deref(), Some(&1));
            let again = cache.get(key, async { Ok(Some(2)) }).await.unwrap();
            assert_eq!(again.as_deref(), Some(&(2 - kept)), "{length}");
        }
    }

    #[tokio::test]
    async fn an_error_is_not_kept() {
        let cache = Cache::new();
        let failed = cache.get::<i64>(Key::new("client", "one", "a"), async { Err(Error::Retry) });
        assert!(failed.await.is_err());
        assert_eq!(get(&cache, async { Ok(Some(1)) }).await, Some(1));
    }

    #[tokio::test]
    async fn what_is_old_goes_on_while_the_database_does_not_answer() {
        let cache = Cache::fresh_for(Duration::ZERO);
        assert_eq!(get(&cache, async { Ok(Some(1)) }).await, Some(1));
        assert_eq!(get(&cache, async { Err(Error::Retry) }).await, Some(1));
        assert_eq!(get(&cache, async { Ok(Some(2)) }).await, Some(2), "it is asked each time");
        let key = Key::new("client", "one", "a");
        let dropped = cache.get::<i64>(key.clone(), async {
            cache.invalidate(&Key::new("client", "one", "a"));
            Err(Error::Retry)
        });
        assert!(dropped.await.is_err());
        get(&cache, async { Ok(Some(3)) }).await;
        let failed = cache.get::<i64>(key, async { Err(Error::Failed("a bug".into())) });
        assert!(failed.await.is_err(), "what will not pass is told");
    }

    #[tokio::test]
    async fn one_kind_is_one_type() {
        let cache = Cache::new();
        get(&cache, async { Ok(Some(1)) }).await;
        let other = cache.get::<String>(Key::new("client", "one", "a"), async { Ok(None) });
        assert!(matches!(other.await, Err(Error::Failed(_))));
    }

    #[test]
    fn a_miss_expires_before_a_value() {
        let entry = |found| Entry { found, loaded: Instant::now() };
        assert!(Lifetime::of(&entry(None)) < Lifetime::of(&entry(Some(Arc::new(1)))));
    }

    #[test]
    fn keys_come_apart_again() {
        assert_eq!(Key::new("client", "one", "a\0b").parts(), ("client", "one", "a\0b"));
        assert_ne!(Key::new("client", "on", "ea"), Key::new("client", "one", "a"));
    }
}

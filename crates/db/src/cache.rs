//! The configuration cache: bounded, expiring, and never holding a value that was loaded before an invalidation.

use std::any::Any;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use moka::Expiry;

use crate::Error;

/// How many entries are kept.
const CAPACITY: u64 = 20_000;
/// The longest key, in bytes, that is kept: strangers choose some of the ids that are looked up.
const LONGEST_KEY: usize = 1024;
/// How long a value may outlive a change that this node was not told of.
const FOUND: Duration = Duration::from_secs(60);
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
type Entry = Option<Arc<dyn Any + Send + Sync>>;

pub(crate) struct Cache {
    entries: moka::sync::Cache<Key, Entry>,
    generations: Box<[Mutex<u64>]>,
}

impl Cache {
    pub fn new() -> Self {
        Self {
            entries: moka::sync::Cache::builder().max_capacity(CAPACITY).expire_after(Lifetime).build(),
            generations: (0..GENERATIONS).map(|_| Mutex::new(0)).collect(),
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
        if let Some(entry) = self.entries.get(&key) {
            return entry.map(|value| value.downcast().map_err(|_| wrong_type(&key))).transpose();
        }
        let generation = *self.generation(&key);
        let loaded = load.await?.map(Arc::new);
        let current = self.generation(&key);
        if *current == generation {
            self.entries.insert(key, loaded.clone().map(|value| value as Arc<dyn Any + Send + Sync>));
        }
        Ok(loaded)
    }

    /// Drops an entry, and keeps every load that has begun from being stored.
    pub fn invalidate(&self, key: &Key) {
        let mut generation = self.generation(key);
        *generation += 1;
        self.entries.invalidate(key);
    }

    /// Drops everything.
    pub fn clear(&self) {
        for generation in &self.generations {
            *lock(generation) += 1;
        }
        self.entries.invalidate_all();
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

fn wrong_type(key: &Key) -> Error {
    Error::Failed(format!("the cached kind `{}` is read as two types", key.parts().0))
}

struct Lifetime;

impl Lifetime {
    fn of(entry: &Entry) -> Duration {
        if entry.is_some() { FOUND } else { MISSING }
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
    async fn one_kind_is_one_type() {
        let cache = Cache::new();
        get(&cache, async { Ok(Some(1)) }).await;
        let other = cache.get::<String>(Key::new("client", "one", "a"), async { Ok(None) });
        assert!(matches!(other.await, Err(Error::Failed(_))));
    }

    #[test]
    fn a_miss_expires_before_a_value() {
        assert!(Lifetime::of(&None) < Lifetime::of(&Some(Arc::new(1))));
    }

    #[test]
    fn keys_come_apart_again() {
        assert_eq!(Key::new("client", "one", "a\0b").parts(), ("client", "one", "a\0b"));
        assert_ne!(Key::new("client", "on", "ea"), Key::new("client", "one", "a"));
    }
}

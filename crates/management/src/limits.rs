//! Rate limits: a bucket for each person who calls with a current-user token, so that one person's script never spends the
//! tenant's limit; a bucket for each tenant's machines; and the `x-ratelimit-*` headers of every answer (management contract §2.6).

use std::hash::Hash;
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicI64, AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use governor::clock::Clock;
use governor::middleware::{NoOpMiddleware, StateInformationMiddleware};
use governor::nanos::Nanos;
use governor::state::keyed::DashMapStateStore;
use governor::{Quota, RateLimiter};
use model::{TenantId, UserId};

/// How many calls a second, and how many at once after a pause.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// Calls a second in the long run.
    pub per_second: NonZeroU32,
    /// Calls at once.
    pub burst: NonZeroU32,
}

impl Rate {
    /// `None` if either is zero.
    pub fn new(per_second: u32, burst: u32) -> Option<Self> {
        Some(Self { per_second: NonZeroU32::new(per_second)?, burst: NonZeroU32::new(burst)? })
    }
}

/// The rates of a tenant, by the name of the plan whose they are at Auth0. They are for each node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Plan {
    /// No limit: the server is one's own.
    #[default]
    Off,
    /// Management API: 2 calls a second; everything else: 300 a minute.
    Free,
    /// Management API: 50 calls a second; everything else: 25.
    Essentials,
    /// Management API: 50 calls a second; everything else: 100.
    Enterprise,
}

impl Plan {
    /// Every plan, with its name in the configuration.
    pub const NAMES: [(&str, Self); 4] = [
        ("off", Self::Off),
        ("free", Self::Free),
        ("essentials", Self::Essentials),
        ("enterprise", Self::Enterprise),
    ];

    /// For the calls of machines to the Management API.
    pub fn management(self) -> Option<Rate> {
        match self {
            Self::Off => None,
            Self::Free => Rate::new(2, 2),
            Self::Essentials | Self::Enterprise => Rate::new(50, 50),
        }
    }

    /// For the requests to all other endpoints.
    pub fn authentication(self) -> Option<Rate> {
        match self {
            Self::Off => None,
            Self::Free => Rate::new(5, 300),
            Self::Essentials => Rate::new(25, 25),
            Self::Enterprise => Rate::new(100, 100),
        }
    }
}

/// What is limited.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// For each person with a current-user token; `None` for no limit.
    pub user: Option<Rate>,
    /// For each tenant.
    pub plan: Plan,
    /// The most bytes of the form that brings in users: 500 KB unless told, as Auth0's.
    pub import: u64,
}

/// The default of [`Limits::import`].
pub const LARGEST_IMPORT: u64 = 512_000;

impl Default for Limits {
    fn default() -> Self {
        Self { user: Rate::new(10, 50), plan: Plan::Off, import: LARGEST_IMPORT }
    }
}

/// What the headers of an answer say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Calls that a full bucket holds.
    pub limit: u32,
    /// Calls that may follow at once.
    pub remaining: u32,
}

/// The bucket was empty: whole seconds until it is not, and what the headers say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exceeded(pub u64, pub Standing);

/// What the headers say where nothing is limited: a full bucket, so that no SDK ever slows down.
const UNLIMITED: Standing = Standing { limit: 1000, remaining: 999 };

/// After so many calls the buckets that are full again are thrown away.
const SWEEP: u32 = 4096;

type Keyed<K> = RateLimiter<K, DashMapStateStore<K>, Hands, StateInformationMiddleware>;

/// A bucket for each key. They read the clock of the program that they are first asked by.
pub struct Buckets<K: Hash + Eq + Clone> {
    rate: Option<Rate>,
    buckets: OnceLock<Keyed<K>>,
    calls: AtomicU32,
}

impl<K: Hash + Eq + Clone> Buckets<K> {
    /// Full buckets; without a rate nothing is counted.
    pub fn new(rate: Option<Rate>) -> Self {
        Self { rate, buckets: OnceLock::new(), calls: AtomicU32::new(0) }
    }

    /// Takes one call from a bucket. `None` if nothing is limited.
    ///
    /// # Errors
    /// The bucket is empty.
    pub fn take(&self, clock: &model::Clock, key: &K) -> Result<Option<Standing>, Exceeded> {
        let Some(rate) = self.rate else { return Ok(None) };
        let buckets = self.buckets.get_or_init(|| {
            let quota = Quota::per_second(rate.per_second).allow_burst(rate.burst);
            RateLimiter::<_, _, _, NoOpMiddleware<Nanos>>::new(
                quota,
                DashMapStateStore::default(),
                Hands::of(clock),
            )
            .with_middleware()
        });
        if self.calls.fetch_add(1, Ordering::Relaxed) % SWEEP == SWEEP - 1 {
            buckets.retain_recent();
        }
        match buckets.check_key(key) {
            Ok(snapshot) => Ok(Some(Standing {
                limit: rate.burst.get(),
                remaining: snapshot.remaining_burst_capacity().min(rate.burst.get()),
            })),
            Err(refused) => {
                let wait = refused.wait_time_from(buckets.clock().now());
                let seconds = wait.as_millis().div_ceil(1000).max(1) as u64;
                Err(Exceeded(seconds, Standing { limit: rate.burst.get(), remaining: 0 }))
            }
        }
    }
}

/// The buckets of the Management API. They belong to one router.
pub struct Limiter {
    users: Buckets<(TenantId, UserId)>,
    tenants: Buckets<TenantId>,
}

impl Limiter {
    /// Full buckets.
    pub fn new(limits: Limits) -> Self {
        Self { users: Buckets::new(limits.user), tenants: Buckets::new(limits.plan.management()) }
    }

    /// Counts a call of a person: it never spends the tenant's share.
    ///
    /// # Errors
    /// Their bucket is empty.
    pub fn user(&self, clock: &model::Clock, tenant: &TenantId, user: &UserId) -> Result<Standing, Exceeded> {
        let standing = self.users.take(clock, &(tenant.clone(), user.clone()))?;
        Ok(standing.unwrap_or(UNLIMITED))
    }

    /// Counts a call of a machine.
    ///
    /// # Errors
    /// The tenant's bucket is empty.
    pub fn machine(&self, clock: &model::Clock, tenant: &TenantId) -> Result<Standing, Exceeded> {
        Ok(self.tenants.take(clock, tenant)?.unwrap_or(UNLIMITED))
    }
}

impl Default for Standing {
    fn default() -> Self {
        UNLIMITED
    }
}

impl Standing {
    /// Writes the three headers; `reset` is in UNIX seconds.
    pub fn write(self, headers: &mut HeaderMap, reset: i64) {
        headers.insert(HeaderName::from_static("x-ratelimit-limit"), HeaderValue::from(self.limit));
        headers.insert(HeaderName::from_static("x-ratelimit-remaining"), HeaderValue::from(self.remaining));
        headers.insert(HeaderName::from_static("x-ratelimit-reset"), HeaderValue::from(reset));
    }
}

/// The program's clock as the library reads it: it never goes back. When the clock is set back, which leaves buckets full of the future,
/// it goes on from where it was.
#[derive(Clone)]
struct Hands {
    clock: model::Clock,
    /// The latest moment it showed, and how far it is ahead of the clock; both in milliseconds.
    shown: Arc<AtomicI64>,
    ahead: Arc<AtomicI64>,
}

/// How far back the clock may seem to go, in milliseconds, when threads read it at once.
const JITTER: i64 = 1000;

impl Hands {
    fn of(clock: &model::Clock) -> Self {
        Self { clock: clock.clone(), shown: Arc::default(), ahead: Arc::default() }
    }
}

impl Clock for Hands {
    type Instant = Nanos;

    fn now(&self) -> Nanos {
        let ahead = self.ahead.load(Ordering::Relaxed);
        let moment = self.clock.now().millis() + ahead;
        let shown = self.shown.fetch_max(moment, Ordering::Relaxed);
        if moment + JITTER < shown {
            // Whoever comes second finds it done.
            let back = ahead + shown - moment;
            let _ = self.ahead.compare_exchange(ahead, back, Ordering::Relaxed, Ordering::Relaxed);
        }
        let millis = u64::try_from(moment.max(shown)).unwrap_or_default();
        Nanos::from(std::time::Duration::from_millis(millis))
    }
}

#[cfg(test)]
mod tests {
    use model::{Clock, Timestamp};

    use super::*;

    fn calls(limiter: &Limiter, clock: &Clock, tenant: &str, user: &str) -> Result<u32, Exceeded> {
        limiter.user(clock, &tenant.into(), &user.into()).map(|standing| standing.remaining)
    }

    #[test]
    fn each_person_has_a_bucket_that_refills() {
        let clock = Clock::fixed(Timestamp::from_millis(1_767_268_800_000));
        let limiter = Limiter::new(Limits::default());
        for left in (0..50).rev() {
            assert_eq!(calls(&limiter, &clock, "t", "auth0|alice"), Ok(left));
        }
        assert_eq!(
            calls(&limiter, &clock, "t", "auth0|alice"),
            Err(Exceeded(1, Standing { limit: 50, remaining: 0 }))
        );
        assert_eq!(calls(&limiter, &clock, "t", "auth0|bob"), Ok(49));
        assert_eq!(calls(&limiter, &clock, "other", "auth0|alice"), Ok(49));
        clock.advance(1);
        assert_eq!(calls(&limiter, &clock, "t", "auth0|alice"), Ok(9));
    }

    #[test]
    fn a_clock_that_is_set_back_empties_no_bucket() {
        let clock = Clock::fixed(Timestamp::from_millis(1_767_268_800_000));
        let limiter = Limiter::new(Limits::default());
        clock.advance(86_400);
        while calls(&limiter, &clock, "t", "auth0|alice").is_ok() {}
        clock.advance(-86_400);
        assert!(calls(&limiter, &clock, "t", "auth0|alice").is_err());
        clock.advance(1);
        assert_eq!(calls(&limiter, &clock, "t", "auth0|alice"), Ok(9));
    }

    #[test]
    fn without_a_limit_the_bucket_is_always_full() {
        let clock = Clock::fixed(Timestamp::from_millis(0));
        let limiter = Limiter::new(Limits { user: None, ..Limits::default() });
        for _ in 0..2000 {
            assert_eq!(calls(&limiter, &clock, "t", "auth0|alice"), Ok(UNLIMITED.remaining));
        }
    }

    #[test]
    fn a_plan_limits_each_tenants_machines() {
        let clock = Clock::fixed(Timestamp::from_millis(1_767_268_800_000));
        let limiter = Limiter::new(Limits { plan: Plan::Free, ..Limits::default() });
        let call = |tenant: &str| limiter.machine(&clock, &tenant.into()).map(|standing| standing.remaining);
        assert_eq!((call("t"), call("t")), (Ok(1), Ok(0)));
        assert_eq!(call("t"), Err(Exceeded(1, Standing { limit: 2, remaining: 0 })));
        assert_eq!(call("other"), Ok(1));
        assert_eq!(calls(&limiter, &clock, "t", "auth0|alice"), Ok(49), "people have buckets of their own");
        clock.advance(1);
        assert_eq!(call("t"), Ok(1));
    }
}

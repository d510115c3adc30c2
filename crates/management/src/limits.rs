//! Rate limits: a bucket for each person who calls with a current-user token, so that one person's script never spends the
//! tenant's limit, and the `x-ratelimit-*` headers of every answer (management contract §2.6).

use std::num::NonZeroU32;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

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

/// What is limited.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// For each person with a current-user token; `None` for no limit.
    pub user: Option<Rate>,
    /// The most bytes of the form that brings in users: 500 KB unless told, as Auth0's.
    pub import: u64,
}

/// The default of [`Limits::import`].
pub const LARGEST_IMPORT: u64 = 512_000;

impl Default for Limits {
    fn default() -> Self {
        let [per_second, burst] = [10, 50].map(|calls| NonZeroU32::new(calls).expect("it is not zero"));
        Self { user: Some(Rate { per_second, burst }), import: LARGEST_IMPORT }
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

/// The bucket was empty: whole seconds until it is not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exceeded(pub u64);

/// What the headers say where nothing is limited: a full bucket, so that no SDK ever slows down.
const UNLIMITED: Standing = Standing { limit: 1000, remaining: 999 };

/// After so many calls the buckets that are full again are thrown away.
const SWEEP: u32 = 4096;

type Buckets =
    RateLimiter<(TenantId, UserId), DashMapStateStore<(TenantId, UserId)>, Hands, StateInformationMiddleware>;

/// The buckets. They belong to one router, and read the clock of the program that the router serves.
pub struct Limiter {
    limits: Limits,
    users: OnceLock<Buckets>,
    calls: AtomicU32,
}

impl Limiter {
    /// Empty buckets.
    pub fn new(limits: Limits) -> Self {
        Self { limits, users: OnceLock::new(), calls: AtomicU32::new(0) }
    }

    /// Counts a call of a person.
    ///
    /// # Errors
    /// Their bucket is empty.
    pub fn user(&self, clock: &model::Clock, tenant: &TenantId, user: &UserId) -> Result<Standing, Exceeded> {
        let Some(rate) = self.limits.user else { return Ok(UNLIMITED) };
        let buckets = self.users.get_or_init(|| {
            let quota = Quota::per_second(rate.per_second).allow_burst(rate.burst);
            RateLimiter::<_, _, _, NoOpMiddleware<Nanos>>::new(
                quota,
                DashMapStateStore::default(),
                Hands(clock.clone()),
            )
            .with_middleware()
        });
        if self.calls.fetch_add(1, Ordering::Relaxed) % SWEEP == SWEEP - 1 {
            buckets.retain_recent();
        }
        match buckets.check_key(&(tenant.clone(), user.clone())) {
            Ok(snapshot) => Ok(Standing {
                limit: rate.burst.get(),
                remaining: snapshot.remaining_burst_capacity().min(rate.burst.get()),
            }),
            Err(refused) => {
                let wait = refused.wait_time_from(Hands(clock.clone()).now());
                Err(Exceeded(wait.as_millis().div_ceil(1000).max(1) as u64))
            }
        }
    }
}

impl Default for Standing {
    fn default() -> Self {
        UNLIMITED
    }
}

impl Standing {
    /// An empty bucket of a person.
    pub fn none_left(limiter: &Limiter) -> Self {
        Self { limit: limiter.limits.user.map_or(UNLIMITED.limit, |rate| rate.burst.get()), remaining: 0 }
    }

    /// Writes the three headers; `reset` is in UNIX seconds.
    pub fn write(self, headers: &mut HeaderMap, reset: i64) {
        headers.insert(HeaderName::from_static("x-ratelimit-limit"), HeaderValue::from(self.limit));
        headers.insert(HeaderName::from_static("x-ratelimit-remaining"), HeaderValue::from(self.remaining));
        headers.insert(HeaderName::from_static("x-ratelimit-reset"), HeaderValue::from(reset));
    }
}

/// The program's clock as the library reads it.
struct Hands(model::Clock);

impl Clock for Hands {
    type Instant = Nanos;

    fn now(&self) -> Nanos {
        let millis = u64::try_from(self.0.now().millis()).unwrap_or_default();
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
        assert_eq!(calls(&limiter, &clock, "t", "auth0|alice"), Err(Exceeded(1)));
        assert_eq!(calls(&limiter, &clock, "t", "auth0|bob"), Ok(49));
        assert_eq!(calls(&limiter, &clock, "other", "auth0|alice"), Ok(49));
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
}

//! Password hashing on its own bounded pool.
//!
//! New hashes are argon2id in PHC strings (RFC 9106); bcrypt and the [`imported`] kinds are verified, to be replaced at the next
//! login. Passwords are bytes, used as they came: not trimmed, not normalised, never cut.
//!
//! Threads of its own and a bounded queue keep a storm of logins away from everything else: who comes when the queue
//! is full is told so at once.

mod digests;
mod formats;
pub mod imported;
mod memory;

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use tokio::sync::oneshot;
use tracing::{Instrument, Span};
use zeroize::Zeroizing;

use formats::Engine;

/// The longest password, in bytes, that is hashed. A longer one is refused before it costs anything.
pub const LONGEST: usize = 1024;

/// How long a thread without work keeps its memory.
const PATIENCE: Duration = Duration::from_secs(1);

/// What a hash costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cost {
    /// Memory in KiB.
    pub memory: u32,
    /// Passes over it.
    pub passes: u32,
    /// Lanes; they run one after the other.
    pub lanes: u32,
}

impl Default for Cost {
    /// OWASP's first choice for argon2id: 19 MiB, two passes, one lane.
    fn default() -> Self {
        Self { memory: 19_456, passes: 2, lanes: 1 }
    }
}

/// Why nothing was hashed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HashError {
    /// The queue is full: try again later.
    #[error("too many passwords are waiting to be hashed")]
    Busy,
    /// The password has more than [`LONGEST`] bytes.
    #[error("the password is longer than 1024 bytes")]
    TooLong,
}

/// The answer to a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// Whether it is the password.
    pub matches: bool,
    /// It is, but its hash is of another kind or cost than new ones: hash it anew and store that.
    pub rehash: bool,
}

/// The pool. Dropping it ends its threads once they have done what they are at; what still waits is answered `Busy`.
pub struct Hasher {
    shared: Arc<Shared>,
}

struct Shared {
    queue: Mutex<Queue>,
    arrived: Condvar,
    /// The most requests that may wait.
    capacity: usize,
    patience: Duration,
    done: AtomicU64,
    refused: AtomicU64,
}

#[derive(Default)]
struct Queue {
    waiting: VecDeque<Asked>,
    closed: bool,
}

/// A job, and the span of whoever waits for it.
struct Asked {
    job: Job,
    span: Span,
}

/// What a thread of the pool does next.
enum Next {
    Work(Asked),
    /// Nothing came for a while: its memory is of use to others.
    Rest,
    End,
}

enum Job {
    Hash { password: Zeroizing<String>, answer: oneshot::Sender<String> },
    Verify { password: Zeroizing<String>, hash: Option<String>, answer: oneshot::Sender<Verdict> },
}

impl Job {
    /// Whether whoever asked has gone away: then nobody needs the hash.
    fn is_abandoned(&self) -> bool {
        match self {
            Self::Hash { answer, .. } => answer.is_closed(),
            Self::Verify { answer, .. } => answer.is_closed(),
        }
    }
}

impl Hasher {
    /// A pool of `threads` threads with room for `queue` waiting requests, at the default cost. Each thread
    /// holds 19 MiB while work comes, and for a second after it.
    pub fn new(threads: usize, queue: usize) -> Self {
        Self::with_cost(threads, queue, Cost::default())
    }

    /// A pool with another cost for new hashes.
    ///
    /// # Panics
    /// When the cost is not one of argon2's: less than 8 KiB a lane, no pass or no lane.
    pub fn with_cost(threads: usize, queue: usize, cost: Cost) -> Self {
        let shared = Arc::new(Shared {
            queue: Mutex::default(),
            arrived: Condvar::new(),
            capacity: queue,
            patience: PATIENCE,
            done: AtomicU64::new(0),
            refused: AtomicU64::new(0),
        });
        for number in 0..threads.max(1) {
            let (shared, engine) = (shared.clone(), Engine::new(cost));
            thread::Builder::new()
                .name(format!("password-{number}"))
                .spawn(move || {
                    give_way();
                    work(&shared, engine);
                })
                .expect("a thread can be started when the program starts");
        }
        Self { shared }
    }

    /// A pool whose hashes cost next to nothing: for tests only.
    pub fn for_tests() -> Self {
        Self::with_cost(1, 1024, Cost { memory: 8, passes: 1, lanes: 1 })
    }

    /// Hashes a new password: a PHC string, to be stored.
    ///
    /// If the future is dropped while it waits, its hash is skipped.
    ///
    /// # Errors
    /// `TooLong`, or `Busy` when the queue is full.
    pub async fn hash(&self, password: String) -> Result<String, HashError> {
        let (answer, hashed) = oneshot::channel();
        let span = self.enqueue(password, |password| Job::Hash { password, answer })?;
        hashed.instrument(span).await.map_err(|_| HashError::Busy)
    }

    /// Compares a password with a stored hash. With `None`, for a user that is not there or has no password, it does
    /// a hash of the same cost and answers no, so that the time tells nothing. A hash that cannot be read is treated
    /// likewise.
    ///
    /// If the future is dropped while it waits, its hash is skipped.
    ///
    /// # Errors
    /// `TooLong`, or `Busy` when the queue is full.
    pub async fn verify(&self, password: String, hash: Option<String>) -> Result<Verdict, HashError> {
        let (answer, verdict) = oneshot::channel();
        let span = self.enqueue(password, |password| Job::Verify { password, hash, answer })?;
        verdict.instrument(span).await.map_err(|_| HashError::Busy)
    }

    /// How many hashes have been done, of either kind, since the start.
    pub fn hashes_done(&self) -> u64 {
        self.shared.done.load(Ordering::Relaxed)
    }

    /// How many passwords wait to be hashed.
    pub fn waiting(&self) -> usize {
        self.shared.lock().waiting.len()
    }

    /// How many were sent away since the queue was full, since the start.
    pub fn refused(&self) -> u64 {
        self.shared.refused.load(Ordering::Relaxed)
    }

    /// The span that is answered is the traces', and lasts until the answer.
    fn enqueue(
        &self,
        password: String,
        job: impl FnOnce(Zeroizing<String>) -> Job,
    ) -> Result<Span, HashError> {
        let password = Zeroizing::new(password);
        if password.len() > LONGEST {
            return Err(HashError::TooLong);
        }
        let mut queue = self.shared.lock();
        if queue.waiting.len() >= self.shared.capacity {
            // Those who have gone away do not count.
            queue.waiting.retain(|asked| !asked.job.is_abandoned());
        }
        if queue.waiting.len() >= self.shared.capacity {
            self.shared.refused.fetch_add(1, Ordering::Relaxed);
            return Err(HashError::Busy);
        }
        let ahead = queue.waiting.len() as u64;
        let span = tracing::debug_span!(target: "traces", "password", "doorward.waiting" = ahead);
        queue.waiting.push_back(Asked { job: job(password), span: span.clone() });
        drop(queue);
        self.shared.arrived.notify_one();
        Ok(span)
    }
}

impl Drop for Hasher {
    fn drop(&mut self) {
        let mut queue = self.shared.lock();
        queue.closed = true;
        queue.waiting.clear();
        drop(queue);
        self.shared.arrived.notify_all();
    }
}

impl std::fmt::Debug for Hasher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Hasher").field("hashes_done", &self.hashes_done()).finish_non_exhaustive()
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        // Nothing panics while it holds the lock, and the queue is whole between any two steps.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for a request: until there is one if the thread is rested, and not for long if not.
    fn next(&self, rested: bool) -> Next {
        let mut queue = self.lock();
        let mut late = false;
        loop {
            match queue.waiting.pop_front() {
                Some(asked) if asked.job.is_abandoned() => {}
                Some(asked) => return Next::Work(asked),
                None if queue.closed => return Next::End,
                None if rested => queue = self.arrived.wait(queue).unwrap_or_else(PoisonError::into_inner),
                None if late => return Next::Rest,
                None => {
                    let waited = self.arrived.wait_timeout(queue, self.patience);
                    let (again, timeout) = waited.unwrap_or_else(PoisonError::into_inner);
                    (queue, late) = (again, timeout.timed_out());
                }
            }
        }
    }
}

/// How much less a password counts than a request that waits for a processor (`nice`): it takes long anyway.
#[cfg(target_os = "linux")]
const NICE: i32 = 10;

/// On Linux a thread's own priority can be lowered. Where that fails, hashes compete with everything else, and no more than that.
fn give_way() {
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::process::setpriority_process(Some(rustix::thread::gettid()), NICE) {
        tracing::debug!(%error, "password threads keep their priority");
    }
}

/// One thread of the pool. An answer that nobody takes any more is dropped.
fn work(shared: &Shared, mut engine: Engine) {
    loop {
        match shared.next(engine.is_rested()) {
            Next::End => return,
            Next::Rest => engine.rest(),
            Next::Work(Asked { job, span }) => {
                // Inside the other, so that a trace shows how long it waited.
                let hashing = tracing::debug_span!(target: "traces", parent: &span, "hash");
                hashing.in_scope(|| answer(job, &mut engine, &shared.done));
            }
        }
    }
}

fn answer(job: Job, engine: &mut Engine, done: &AtomicU64) {
    match job {
        Job::Hash { password, answer } => {
            let hash = engine.hash(password.as_bytes());
            done.fetch_add(1, Ordering::Relaxed);
            let _ = answer.send(hash);
        }
        Job::Verify { password, hash, answer } => {
            let verdict = engine.verify(&password, hash.as_deref());
            done.fetch_add(1, Ordering::Relaxed);
            let _ = answer.send(verdict);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const YES: Verdict = Verdict { matches: true, rehash: false };
    const NO: Verdict = Verdict { matches: false, rehash: false };

    /// A pool without threads: what is asked waits, and the test does the work itself.
    fn idle(capacity: usize) -> Hasher {
        let queue = Mutex::default();
        let patience = Duration::ZERO;
        let shared = Shared {
            queue,
            arrived: Condvar::new(),
            capacity,
            patience,
            done: AtomicU64::new(0),
            refused: AtomicU64::new(0),
        };
        Hasher { shared: Arc::new(shared) }
    }

    #[tokio::test]
    async fn a_password_matches_its_own_hash_only() {
        let hasher = Hasher::for_tests();
        let hash = hasher.hash("correct horse".into()).await.unwrap();
        assert_eq!(hasher.verify("correct horse".into(), Some(hash.clone())).await, Ok(YES));
        for other in ["correct horse ", " correct horse", "Correct horse", "correct horse\0", ""] {
            assert_eq!(hasher.verify(other.into(), Some(hash.clone())).await, Ok(NO), "{other:?}");
        }
    }

    #[tokio::test]
    async fn bytes_are_used_as_they_came() {
        let hasher = Hasher::for_tests();
        for (password, other) in
            [("caf\u{e9}", "cafe\u{301}"), ("a\0b", "a\0c"), ("a\0b", "a"), ("\u{feff}a", "a")]
        {
            let hash = hasher.hash(password.into()).await.unwrap();
            assert_eq!(hasher.verify(password.into(), Some(hash.clone())).await, Ok(YES), "{password:?}");
            assert_eq!(hasher.verify(other.into(), Some(hash)).await, Ok(NO), "{other:?}");
        }
    }

    #[tokio::test]
    async fn passwords_alike_in_their_first_72_bytes_are_not_interchangeable() {
        let hasher = Hasher::for_tests();
        let (one, two) = (format!("{}1", "x".repeat(199)), format!("{}2", "x".repeat(199)));
        let hash = hasher.hash(one.clone()).await.unwrap();
        assert_eq!(hasher.verify(one, Some(hash.clone())).await, Ok(YES));
        assert_eq!(hasher.verify(two, Some(hash)).await, Ok(NO));
    }

    #[tokio::test]
    async fn a_password_over_the_limit_is_refused_before_any_hash() {
        let hasher = Hasher::for_tests();
        let hash = hasher.hash("x".repeat(LONGEST)).await.unwrap();
        let done = hasher.hashes_done();
        for length in [LONGEST + 1, 1 << 20] {
            assert_eq!(hasher.hash("x".repeat(length)).await, Err(HashError::TooLong));
            let verdict = hasher.verify("x".repeat(length), Some(hash.clone())).await;
            assert_eq!(verdict, Err(HashError::TooLong));
            assert_eq!(hasher.verify("x".repeat(length), None).await, Err(HashError::TooLong));
        }
        assert_eq!(hasher.hashes_done(), done);
    }

    #[tokio::test]
    async fn every_branch_does_exactly_one_hash() {
        let hasher = Hasher::for_tests();
        let hash = hasher.hash("right".into()).await.unwrap();
        assert_eq!(hasher.hashes_done(), 1);
        let stored = [Some(hash.clone()), Some(hash), None, Some(String::new()), Some("$plain$x".into())];
        for (done, (password, stored)) in (2..).zip(["right", "wrong", "x", "x", "x"].into_iter().zip(stored))
        {
            let matches = password == "right";
            assert_eq!(hasher.verify(password.into(), stored).await, Ok(Verdict { matches, rehash: false }));
            assert_eq!(hasher.hashes_done(), done);
        }
    }

    #[tokio::test]
    async fn a_full_queue_answers_busy_at_once() {
        let hasher = idle(2);
        let (mut one, mut two) =
            (Box::pin(hasher.hash("1".into())), Box::pin(hasher.verify("2".into(), None)));
        assert!(futures_poll(&mut one).await && futures_poll(&mut two).await, "both wait");
        assert_eq!(hasher.hash("3".into()).await, Err(HashError::Busy));
        assert_eq!(hasher.verify("3".into(), None).await, Err(HashError::Busy));
        drop(one);
        let mut four = Box::pin(hasher.verify("4".into(), None));
        assert!(futures_poll(&mut four).await, "who has gone away leaves room");
    }

    #[tokio::test]
    async fn a_request_that_is_dropped_is_not_hashed() {
        let hasher = idle(8);
        let mut gone = Box::pin(hasher.hash("gone".into()));
        let mut kept = Box::pin(hasher.hash("kept".into()));
        assert!(futures_poll(&mut gone).await && futures_poll(&mut kept).await, "both wait");
        drop(gone);
        hasher.shared.lock().closed = true;
        work(&hasher.shared, Engine::new(Cost { memory: 8, passes: 1, lanes: 1 }));
        assert!(kept.await.is_ok());
        assert_eq!(hasher.hashes_done(), 1);
    }

    #[tokio::test]
    async fn a_thread_rests_only_when_no_work_comes() {
        let hasher = idle(8);
        let mut asked = Box::pin(hasher.hash("asked".into()));
        assert!(futures_poll(&mut asked).await, "it waits");
        assert!(matches!(hasher.shared.next(false), Next::Work(_)));
        assert!(matches!(hasher.shared.next(false), Next::Rest));
        hasher.shared.lock().closed = true;
        assert!(matches!(hasher.shared.next(true), Next::End));
    }

    #[tokio::test]
    async fn when_the_pool_ends_nobody_waits_forever() {
        let hasher = idle(8);
        let shared = hasher.shared.clone();
        let waiting = tokio::spawn(async move { Hasher { shared }.hash("x".into()).await });
        while hasher.shared.lock().waiting.is_empty() {
            tokio::task::yield_now().await;
        }
        drop(hasher);
        assert_eq!(waiting.await.unwrap(), Err(HashError::Busy));
    }

    /// Polls once; whether the future still waits.
    async fn futures_poll<F: Future + Unpin>(future: &mut F) -> bool {
        std::future::poll_fn(|context| std::task::Poll::Ready(std::pin::Pin::new(&mut *future).poll(context)))
            .await
            .is_pending()
    }
}

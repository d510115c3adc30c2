//! The queue of events that no batch carries. It is bounded in every direction: by its length, and by what one source may
//! write in a second. What does not fit is dropped and counted; what was queued in the last moments is lost in a crash.

use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use db::{Batch, Db};
use tokio::sync::{mpsc, oneshot};

use super::id::Ids;
use super::{Event, Kind, insert};
use crate::clock::{Clock, Timestamp};
use crate::ids::TenantId;
use crate::random::Random;

/// How many events wait at most.
const LENGTH: usize = 10_000;
/// How many are written at once.
const BATCH: usize = 500;
/// How long events are gathered before they are written.
const GATHER: Duration = Duration::from_millis(250);
/// How many events a source may write in a second. Sources share a counter if they fall into one slot.
const PER_SOURCE: u64 = 100;
/// How many of them may be refusals of somebody unknown.
const PER_STRANGER: u64 = 5;
const SLOTS: usize = 4096;
/// How often the writer tries again when the database could not write just now.
const TRIES: u32 = 5;

/// The way of events into the log that no batch carries. Clones are handles to the same queue.
#[derive(Clone, Debug)]
pub struct Queue(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    ids: Arc<Ids>,
    sender: mpsc::Sender<Message>,
    sources: Sources,
    strangers: Sources,
    tallies: Arc<Tallies>,
}

#[derive(Debug)]
enum Message {
    Event(Box<Event>),
    Flush(oneshot::Sender<()>),
}

/// What a source may write in a second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Share {
    /// The calls of somebody whose token is good.
    Known,
    /// The refusals of somebody unknown: there is little to tell of them.
    Stranger,
}

/// What became of the events that were pushed since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Written to the database.
    pub written: u64,
    /// Dropped since the queue was full.
    pub dropped: u64,
    /// Dropped since their source had written too many.
    pub capped: u64,
    /// Not written since the database failed.
    pub failed: u64,
}

#[derive(Debug, Default)]
struct Tallies {
    written: AtomicU64,
    dropped: AtomicU64,
    capped: AtomicU64,
    failed: AtomicU64,
}

impl Queue {
    /// Starts the queue and its writer, which ends after the last handle is gone.
    pub fn start(db: Db, clock: Clock, random: &Random) -> Self {
        let (sender, receiver) = mpsc::channel(LENGTH);
        let (ids, tallies) = (Arc::new(Ids::new(random)), Arc::new(Tallies::default()));
        let writer = Writer { db, clock, ids: ids.clone(), tallies: tallies.clone() };
        tokio::spawn(writer.run(receiver));
        let (sources, strangers) = (Sources::new(PER_SOURCE), Sources::new(PER_STRANGER));
        Self(Arc::new(Shared { ids, sender, sources, strangers, tallies }))
    }

    /// An event that this queue or a batch can write.
    pub fn event(&self, tenant: &TenantId, hostname: &str, kind: Kind, now: Timestamp) -> Event {
        Event::at(self.0.ids.clone(), tenant, hostname, kind, now)
    }

    /// Queues an event. It never waits: an event that does not fit is dropped and counted.
    pub fn push(&self, event: Event) {
        let (source, date) = (event.source(), event.date());
        if source.is_none_or(|source| self.admits(source, Share::Known, date)) {
            self.queue(event);
        }
    }

    /// Queues the event that `event` makes, unless `source` has had its share of this second: then nothing is made.
    pub fn push_from(&self, source: IpAddr, share: Share, now: Timestamp, event: impl FnOnce() -> Event) {
        if self.admits(source, share, now) {
            self.queue(event());
        }
    }

    fn admits(&self, source: IpAddr, share: Share, now: Timestamp) -> bool {
        let shared = &*self.0;
        let admitted = (share == Share::Known || shared.strangers.admits(source, now))
            && shared.sources.admits(source, now);
        if !admitted {
            shared.tallies.capped.fetch_add(1, Ordering::Relaxed);
        }
        admitted
    }

    fn queue(&self, event: Event) {
        let shared = &*self.0;
        if shared.sender.try_send(Message::Event(Box::new(event))).is_err() {
            shared.tallies.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Waits until everything that was pushed before is written: when the program stops, and in tests.
    pub async fn flush(&self) {
        let (done, written) = oneshot::channel();
        if self.0.sender.send(Message::Flush(done)).await.is_ok() {
            let _ = written.await;
        }
    }

    /// What became of the events so far.
    pub fn counts(&self) -> Counts {
        let tallies = &self.0.tallies;
        Counts {
            written: tallies.written.load(Ordering::Relaxed),
            dropped: tallies.dropped.load(Ordering::Relaxed),
            capped: tallies.capped.load(Ordering::Relaxed),
            failed: tallies.failed.load(Ordering::Relaxed),
        }
    }
}

/// How many events each source wrote in the present second: the second, and in the low bits the number.
#[derive(Debug)]
struct Sources {
    most: u64,
    slots: Box<[AtomicU64]>,
}

impl Sources {
    fn new(most: u64) -> Self {
        Self { most, slots: (0..SLOTS).map(|_| AtomicU64::new(0)).collect() }
    }

    /// Counts an event, unless the source has had its share of this second.
    fn admits(&self, source: IpAddr, now: Timestamp) -> bool {
        // Whoever has one address of an IPv6 network has all 2^64 of it.
        let network = match source.to_canonical() {
            IpAddr::V4(address) => u64::from(address.to_bits()),
            IpAddr::V6(address) => (address.to_bits() >> 64) as u64,
        };
        let hash = BuildHasherDefault::<DefaultHasher>::default().hash_one(network);
        let slot = &self.slots[usize::try_from(hash % SLOTS as u64).unwrap_or_default()];
        let second = u64::try_from(now.seconds()).unwrap_or_default();
        let count = |last: u64| match (last >> 16 == second, last & 0xffff) {
            (true, number) if number >= self.most => None,
            (true, _) => Some(last + 1),
            (false, _) => Some((second << 16) + 1),
        };
        slot.fetch_update(Ordering::Relaxed, Ordering::Relaxed, count).is_ok()
    }
}

struct Writer {
    db: Db,
    clock: Clock,
    ids: Arc<Ids>,
    tallies: Arc<Tallies>,
}

impl Writer {
    async fn run(self, mut receiver: mpsc::Receiver<Message>) {
        let mut messages = Vec::with_capacity(BATCH);
        let mut reported = 0;
        while receiver.recv_many(&mut messages, BATCH).await > 0 {
            self.gather(&mut receiver, &mut messages).await;
            let (mut events, mut waiting) = (Vec::with_capacity(messages.len()), Vec::new());
            for message in messages.drain(..) {
                match message {
                    Message::Event(event) => events.push(event),
                    Message::Flush(done) => waiting.push(done),
                }
            }
            self.write(&events).await;
            for done in waiting {
                let _ = done.send(());
            }
            let lost = [&self.tallies.dropped, &self.tallies.capped, &self.tallies.failed]
                .map(|tally| tally.load(Ordering::Relaxed));
            if lost.iter().sum::<u64>() > reported {
                reported = lost.iter().sum();
                let [dropped, capped, failed] = lost;
                tracing::warn!(
                    dropped,
                    capped,
                    failed,
                    "audit events were not written; totals since the start"
                );
            }
        }
    }

    /// Adds what arrives in the next moment, unless somebody waits or a batch is full.
    async fn gather(&self, receiver: &mut mpsc::Receiver<Message>, messages: &mut Vec<Message>) {
        let end = tokio::time::sleep(GATHER);
        tokio::pin!(end);
        while messages.len() < BATCH
            && !messages.iter().rev().any(|message| matches!(message, Message::Flush(_)))
        {
            let room = BATCH - messages.len();
            tokio::select! {
                more = receiver.recv_many(messages, room) => if more == 0 { return },
                () = &mut end => return,
            }
        }
    }

    async fn write(&self, events: &[Box<Event>]) {
        if events.is_empty() {
            return;
        }
        if self.commit(events).await {
            return;
        }
        // One event that cannot be written must not take the others with it.
        for event in events {
            if !self.commit(std::slice::from_ref(event)).await {
                self.tallies.failed.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    async fn commit(&self, events: &[Box<Event>]) -> bool {
        for _ in 0..TRIES {
            let mut batch = Batch::new();
            for event in events {
                insert(&mut batch, event, &self.ids.next(self.clock.now()));
            }
            match self.db.commit(batch).await {
                Ok(_) => {
                    self.tallies.written.fetch_add(events.len() as u64, Ordering::Relaxed);
                    return true;
                }
                // Written or not: never twice.
                Err(db::Error::Unknown) => {
                    self.tallies.failed.fetch_add(events.len() as u64, Ordering::Relaxed);
                    return true;
                }
                Err(db::Error::Retry) => tokio::time::sleep(GATHER).await,
                Err(error) => {
                    tracing::warn!(%error, events = events.len(), "audit events cannot be written");
                    return false;
                }
            }
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::TestModel;

    #[test]
    fn a_source_has_its_share_of_each_second() {
        let sources = Sources::new(PER_SOURCE);
        let source: IpAddr = "192.0.2.7".parse().unwrap();
        let at = Timestamp::from_millis(5_000);
        let admitted = (0..PER_SOURCE * 2).filter(|_| sources.admits(source, at)).count() as u64;
        assert_eq!(admitted, PER_SOURCE);
        assert!(sources.admits("192.0.2.8".parse().unwrap(), at), "another source is not affected");
        assert!(sources.admits(source, Timestamp::from_millis(6_000)));
    }

    #[tokio::test]
    async fn an_event_without_a_share_is_not_even_made() {
        for app in TestModel::each().await {
            let (now, source) = (app.clock.now(), "192.0.2.7".parse().unwrap());
            for (share, number) in
                [(Share::Stranger, PER_STRANGER), (Share::Known, PER_SOURCE - PER_STRANGER)]
            {
                let mut made = 0;
                for _ in 0..PER_SOURCE * 2 {
                    app.audit.push_from(source, share, now, || {
                        made += 1;
                        app.audit.event(&app.tenant, "acme.test", Kind::ApiRead, now)
                    });
                }
                assert_eq!(made, number, "{share:?}");
            }
            app.audit.flush().await;
            assert_eq!((app.audit.counts().written, app.audit.counts().capped), (PER_SOURCE, PER_SOURCE * 3));
        }
    }

    #[test]
    fn the_addresses_of_an_ipv6_network_are_one_source() {
        let sources = Sources::new(PER_SOURCE);
        let at = Timestamp::from_millis(5_000);
        let address =
            |number: u64| IpAddr::from(std::net::Ipv6Addr::from(0x2001_0db8_u128 << 96 | u128::from(number)));
        let admitted =
            (0..PER_SOURCE * 2).filter(|number| sources.admits(address(*number), at)).count() as u64;
        assert_eq!(admitted, PER_SOURCE);
    }
}

//! What the log promises, on each engine.

use std::net::IpAddr;

use db::Db;
use serde_json::{Value, json};

use super::*;
use crate::app::Peer;
use crate::clock::Clock;
use crate::random::Random;
use crate::users::fixture::{chuck, commit, databases};
use crate::users::search::Filter;

const NOON: Timestamp = Timestamp::from_millis(1_678_805_229_188);

fn tenant() -> TenantId {
    "tenant".into()
}

fn queue(db: &Db) -> (Queue, Clock) {
    let clock = Clock::fixed(NOON);
    (Queue::start(db.clone(), clock.clone(), &Random::seeded(1)), clock)
}

fn event(queue: &Queue, kind: Kind) -> Event {
    let peer =
        Peer { ip: "192.0.2.7".parse().unwrap(), user_agent: Some("Mozilla/5.0 (iPhone) Mobile".into()) };
    queue.event(&tenant(), "login.example.com", kind, NOON).peer(&peer)
}

async fn all(db: &Db) -> Vec<Map<String, Value>> {
    let page = list(db, &tenant(), &Query { limit: 1000, ..Query::default() }).await.unwrap();
    page.entries.into_iter().map(Entry::to_wire).collect()
}

#[tokio::test]
async fn an_entry_has_the_recorded_keys_in_the_recorded_order() {
    for db in databases().await {
        let (queue, _) = queue(&db);
        let event = event(&queue, Kind::Login)
            .client_id(&"client".into())
            .client_name("App")
            .user(&chuck())
            .connection_name("Username-Password-Authentication")
            .audience("https://login.example.com/api/v2/")
            .scope("openid profile")
            .details(json!({"request": {"body": {"password": "s3cret"}}}));
        commit(&db, |batch| record(batch, event)).await.unwrap();
        let entries = all(&db).await;
        let id = entries[0]["_id"].as_str().unwrap().to_owned();
        assert_eq!(
            Value::Object(entries[0].clone()).to_string(),
            json!({
                "_id": id,
                "log_id": id,
                "date": "2023-03-14T14:47:09.188Z",
                "type": "s",
                "description": "",
                "connection": "Username-Password-Authentication",
                "connection_id": null,
                "organization_id": null,
                "organization_name": null,
                "client_id": "client",
                "client_name": "App",
                "ip": "192.0.2.7",
                "hostname": "login.example.com",
                "details": {"request": {"body": {"password": "*****"}}},
                "user_id": "auth0|63d17c4a9d503d76c056c160",
                "user_name": "test-user636",
                "user_agent": "Mozilla/5.0 (iPhone) Mobile",
                "audience": "https://login.example.com/api/v2/",
                "scope": "openid profile",
                "strategy": null,
                "strategy_type": null,
                "isMobile": true,
                "location_info": null,
            })
            .to_string()
        );
        let found = find(&db, &tenant(), &id).await.unwrap().unwrap();
        assert_eq!((found.id(), found.clone().to_wire()), (id.as_str(), entries[0].clone()));
        assert_eq!(find(&db, &"other".into(), &id).await.unwrap(), None);
    }
}

#[tokio::test]
async fn pushed_events_are_written_in_order_by_a_flush() {
    for db in databases().await {
        let (queue, _) = queue(&db);
        for number in 0..20 {
            queue.push(event(&queue, Kind::ClientCredentials).description(&number.to_string()));
        }
        queue.flush().await;
        let descriptions: Vec<_> =
            all(&db).await.iter().rev().map(|entry| entry["description"].clone()).collect();
        assert_eq!(descriptions, (0..20).map(|number| json!(number.to_string())).collect::<Vec<_>>());
        assert_eq!(queue.counts(), Counts { written: 20, ..Counts::default() });
    }
}

#[tokio::test]
async fn what_one_source_pushes_too_much_is_counted() {
    for db in databases().await {
        let (queue, _) = queue(&db);
        for _ in 0..1_000 {
            queue.push(event(&queue, Kind::WrongPassword));
        }
        let other: IpAddr = "192.0.2.8".parse().unwrap();
        let peer = Peer { ip: other, user_agent: None };
        queue.push(event(&queue, Kind::Login).peer(&peer));
        queue.flush().await;
        let entries = all(&db).await;
        assert_eq!(queue.counts(), Counts { written: 101, capped: 900, ..Counts::default() });
        assert_eq!((entries.len(), &entries[0]["ip"]), (101, &json!("192.0.2.8")));
    }
}

#[tokio::test]
async fn what_does_not_fit_the_queue_is_counted() {
    for db in databases().await.into_iter().take(1) {
        let (queue, _) = queue(&db);
        // The writer cannot run before the first await.
        for number in 0..10_100_u32 {
            let ip = IpAddr::from(std::net::Ipv4Addr::from_bits(number));
            queue.push(event(&queue, Kind::Login).peer(&Peer { ip, user_agent: None }));
        }
        assert_eq!(queue.counts().dropped, 100);
        queue.flush().await;
        assert_eq!(queue.counts(), Counts { written: 10_000, dropped: 100, ..Counts::default() });
    }
}

#[tokio::test]
async fn an_event_that_cannot_be_written_takes_no_other_with_it() {
    for db in databases().await {
        let (queue, _) = queue(&db);
        let unwritable = queue.event(&"\0".into(), "login.example.com", Kind::Login, NOON);
        for event in [event(&queue, Kind::Login), unwritable, event(&queue, Kind::Logout)] {
            queue.push(event);
        }
        queue.flush().await;
        assert_eq!(queue.counts(), Counts { written: 2, failed: 1, ..Counts::default() });
        assert_eq!(all(&db).await.len(), 2);
    }
}

#[tokio::test]
async fn texts_of_an_anonymous_caller_are_bounded_and_clean() {
    for db in databases().await {
        let (queue, _) = queue(&db);
        let long = "x".repeat(1_000_000);
        queue.push(
            event(&queue, Kind::UnknownUser).user_name(&long).connection_name("a\0b").description("\0"),
        );
        queue.flush().await;
        let entries = all(&db).await;
        assert_eq!(entries[0]["user_name"].as_str().map(str::len), Some(8192));
        assert_eq!(
            (&entries[0]["connection"], &entries[0]["description"]),
            (&json!("a\u{fffd}b"), &json!("\u{fffd}"))
        );
    }
}

#[tokio::test]
async fn entries_are_listed_newest_first_and_searched() {
    for db in databases().await {
        let (queue, _) = queue(&db);
        for (kind, user) in [(Kind::Login, "auth0|1"), (Kind::Logout, "auth0|1"), (Kind::Login, "auth0|2")] {
            queue.push(event(&queue, kind).user_id(&user.into()).user_name("ann"));
        }
        queue.flush().await;
        let ids: Vec<_> =
            all(&db).await.iter().map(|entry| entry["log_id"].as_str().unwrap().to_owned()).collect();
        assert!(ids.is_sorted_by(|newer, older| newer > older), "{ids:?}");
        let found = async |query: Query| {
            let page = list(&db, &tenant(), &Query { limit: 10, total: true, ..query }).await.unwrap();
            (page.entries.iter().map(|entry| entry.id().to_owned()).collect::<Vec<_>>(), page.total)
        };
        let filter = |q: &str| Query { filter: Some(Filter::parse(q, &LOGS).unwrap()), ..Query::default() };
        assert_eq!(found(filter("type:s")).await, (vec![ids[0].clone(), ids[2].clone()], Some(2)));
        assert_eq!(found(filter("type:(slo OR fp)")).await, (vec![ids[1].clone()], Some(1)));
        assert_eq!(found(filter("user_name:ann AND user_id:auth0|2")).await, (vec![ids[0].clone()], Some(1)));
        assert_eq!(found(filter("date:[2023-03-14 TO *] AND ip:192.0.2.7")).await.1, Some(3));
        let own = Query { user_id: Some("auth0|1".into()), ..filter("type:s") };
        assert_eq!(found(own).await, (vec![ids[2].clone()], Some(1)));
        let oldest = Query { sort: Sort::parse("date:1"), ..Query::default() };
        assert_eq!(found(oldest).await.0[0], ids[2]);
        let columns = "connection client_id client_name ip user_id user_name description user_agent type strategy strategy_type";
        for sort in columns.split(' ').flat_map(|column| [format!("{column}:1"), format!("{column}:-1")]) {
            let sorted =
                found(Query { sort: Some(Sort::parse(&sort).expect(&sort)), ..Query::default() }).await;
            assert_eq!(sorted.1, Some(3), "{sort}");
        }
        assert!(Sort::parse("doc:1").is_none());
    }
}

#[tokio::test]
async fn a_checkpoint_walks_from_the_oldest_entry_to_the_newest() {
    for db in databases().await {
        let (queue, clock) = queue(&db);
        for _ in 0..5 {
            queue.push(event(&queue, Kind::Login));
            queue.flush().await;
            clock.advance(1);
        }
        let mut walked = Vec::new();
        loop {
            let after = walked.last().cloned();
            let page = list_after(&db, &tenant(), after.as_deref(), 2).await.unwrap();
            walked.extend(page.iter().map(|entry| entry.id().to_owned()));
            if page.is_empty() {
                break;
            }
        }
        assert_eq!(walked.len(), 5);
        assert!(walked.is_sorted_by(|one, next| one < next));
    }
}

#[tokio::test]
async fn old_entries_are_deleted_a_bounded_number_at_a_time() {
    for db in databases().await {
        let (queue, _) = queue(&db);
        for day in 1..=4 {
            let date = NOON.plus_seconds(-day * 86_400);
            queue.push(queue.event(&tenant(), "login.example.com", Kind::Login, date));
        }
        queue.flush().await;
        let moment = NOON.plus_seconds(-2 * 86_400 + 1);
        assert_eq!(remove_older_than(&db, moment, 2).await.unwrap(), 2);
        assert_eq!(remove_older_than(&db, moment, 2).await.unwrap(), 1);
        assert_eq!(remove_older_than(&db, moment, 2).await.unwrap(), 0);
        assert_eq!(all(&db).await.len(), 1);
    }
}

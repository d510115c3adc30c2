//! The audit log (management contract §3.4).

use model::logs::{self, Event, Kind};
use serde_json::{Value, json};

use crate::support::TestApp;

/// Writes events of these kinds, a second apart, each of the user and for the connection.
async fn write(app: &TestApp, events: &[(Kind, &str, &str)]) {
    for (kind, user, connection) in events {
        app.app.clock.advance(1);
        let event = Event::new(&app.app, &app.tenant, *kind)
            .user_id(&(*user).into())
            .connection_name(connection)
            .description(user);
        let mut batch = db::Batch::new();
        logs::record(&mut batch, event);
        app.app.db.commit(batch).await.unwrap();
    }
}

const EVENTS: [(Kind, &str, &str); 4] = [
    (Kind::Login, "auth0|alice", "a"),
    (Kind::FailedLogin, "auth0|bob", "b"),
    (Kind::Logout, "auth0|alice", "c"),
    (Kind::Login, "auth0|bob", "a"),
];

/// The connections of the entries: the tests' own events have one, the calls of the test have none.
fn marks(entries: &Value) -> String {
    entries
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|entry| Some(format!("{}{}", entry["type"].as_str()?, entry["connection"].as_str()?)))
        .collect::<Vec<_>>()
        .join(" ")
}

both_databases! {
    async fn a_search_answers_the_newest_first_in_its_shapes(app: TestApp) {
        write(&app, &EVENTS).await;
        let reader = app.machine("read:logs");
        let get = async |query: &str| reader.get(&format!("/api/v2/logs?{query}")).await.body;
        assert_eq!(marks(&get("").await), "sa sloc fb sa");
        assert_eq!(marks(&get("sort=date:1").await), "sa fb sloc sa");
        assert_eq!(marks(&get("sort=connection:1&q=user_id%3A*").await), "sa sa fb sloc");
        assert_eq!(marks(&get("q=type%3A%22s%22").await), "sa sa");
        assert_eq!(marks(&get("search=type%3As%20AND%20user_id%3A%22auth0%7Cbob%22").await), "sa");
        assert_eq!(marks(&get("q=user_id%3A*&page=1&per_page=3").await), "sa");
        // SDKs send `take` beside everything: what is searched for, or paged, is a search.
        let totals = get("q=user_id%3A%22auth0%7Calice%22&page=0&per_page=1&include_totals=true&take=50&from=&fields=type,connection").await;
        assert_eq!(totals, json!({ "total": 2, "start": 0, "limit": 1, "length": 1, "logs": [{ "type": "slo", "connection": "c" }] }));
        let without = get("q=type%3Aslo&fields=log_id,_id,details&include_fields=false").await;
        assert_eq!((without[0].get("log_id"), &without[0]["user_id"]), (None, &json!("auth0|alice")));
    }

    /// What a log shipper does: from the oldest on, each time after the last one it has.
    async fn a_checkpoint_goes_on_after_an_entry_oldest_first(app: TestApp) {
        write(&app, &EVENTS).await;
        let reader = app.machine("read:logs");
        let first = reader.get("/api/v2/logs?take=3").await.body;
        assert_eq!(marks(&first), "sa fb sloc");
        let last = first[2]["log_id"].as_str().unwrap();
        assert!(last.len() == 56 && last.starts_with("900"), "{last}");
        app.app.audit.flush().await;
        let rest = reader.get(&format!("/api/v2/logs?from={last}&take=100&include_totals=true&per_page=50&page=0")).await.body;
        assert_eq!(marks(&rest), "sa");
        assert_eq!((&rest[1]["type"], &rest[1]["description"]), (&json!("mgmt_api_read"), &json!("Search log events")));
        let newest = rest[1]["log_id"].as_str().unwrap();
        assert_eq!(reader.get(&format!("/api/v2/logs?from={newest}")).await.body, json!([]));
    }

    async fn one_entry_and_those_of_one_user(app: TestApp) {
        write(&app, &EVENTS).await;
        let reader = app.machine("read:logs_users");
        let path = "/api/v2/users/auth0%7Calice/logs";
        let own = reader.get(path).await.body;
        assert_eq!(marks(&own), "sloc sa");
        assert_eq!(marks(&reader.get(&format!("{path}?sort=date:1&per_page=1")).await.body), "sa");
        let totals = reader.get(&format!("{path}?include_totals=true&page=1&per_page=1")).await.body;
        assert_eq!(totals, json!({ "total": 2, "start": 1, "limit": 1, "length": 1, "logs": [own[1]] }));
        assert_eq!(reader.get("/api/v2/users/auth0%7Cnobody/logs").await.body, json!([]));

        let id = own[0]["log_id"].as_str().unwrap();
        assert_eq!(reader.get(&format!("/api/v2/logs/{id}")).await.body, own[0]);
        let missing = reader.get("/api/v2/logs/90020260101120000000000000000000000000000000000000000000").await;
        assert_eq!((missing.status, &missing.body), (404, &json!({ "statusCode": 404, "error": "Not Found", "message": "Log not found.", "errorCode": "inexistent_log" })));
    }

    /// Somebody unknown fills no disk: few entries a second, and short ones.
    async fn refusals_of_strangers_are_few_and_short(app: TestApp) {
        let path = format!("/api/v2/users/{}?q={}", "x".repeat(5_000), "y".repeat(5_000));
        let forger = app.machine("read:users").claiming("iss", "https://other.test/");
        for _ in 0..10 {
            assert_eq!(app.caller().get(&path).await.status, 401);
            assert_eq!(forger.get(&path).await.status, 401);
        }
        assert_eq!(app.caller().from("198.51.100.7").get(&path).await.status, 401);
        assert_eq!(app.events().await.iter().filter(|kind| *kind == "fapi").count(), 6);
        let reader = app.machine("read:logs");
        let entries = reader.get("/api/v2/logs?q=type%3Afapi").await;
        let request = &entries.body[0]["details"]["request"];
        assert_eq!((request["path"].as_str().unwrap().len(), &request["query"]), (256, &json!({})));
        assert!(entries.text.len() < 6 * 2_000, "{}", entries.text.len());
        assert_eq!(reader.get(&format!("{path}&page=1")).await.status, 403);
        app.app.audit.flush().await;
        let known = reader.get("/api/v2/logs?q=type%3Afapi&per_page=1").await.body;
        assert_eq!((&known[0]["client_id"], &known[0]["details"]["request"]["query"]["page"]), (&json!("m2m"), &json!("1")), "{known}");
    }

    /// An entry is its tenant's; its id leads nowhere from another.
    async fn another_tenant_sees_none_of_it(app: TestApp) {
        write(&app, &EVENTS).await;
        let id = app.machine("read:logs").get("/api/v2/logs?q=type%3Aslo").await.body[0]["log_id"].as_str().unwrap().to_owned();
        let client = model::bootstrap::create_machine_client(&app.app, &app.other, "reader", model::bootstrap::Scopes::All).await.unwrap().0;
        let reader = app.machine("read:logs").at(&app.other).claiming("iss", "https://other.test/").claiming("aud", "https://other.test/api/v2/")
            .claiming("azp", client.as_str()).claiming("sub", format!("{client}@clients"));
        assert_eq!(marks(&reader.get("/api/v2/logs").await.body), "");
        assert_eq!(reader.get(&format!("/api/v2/logs/{id}")).await.status, 404);
        assert_eq!(marks(&reader.get("/api/v2/users/auth0%7Calice/logs").await.body), "");
    }

    async fn what_cannot_be_searched_is_refused(app: TestApp) {
        let reader = app.machine("read:logs");
        for (query, code) in [
            ("q=%22", "invalid_query_string"), ("q=details.request.body%3Ax", "invalid_query_string"), ("sort=doc:1", "invalid_query_string"),
            ("sort=date", "invalid_query_string"), ("per_page=101", "invalid_query_string"), ("take=101", "invalid_query_string"), ("take=0", "invalid_query_string"),
            ("from=900&take=101", "invalid_query_string"), ("user=x", "invalid_query_string"), ("page=10&per_page=100", "invalid_paging"),
        ] {
            let answer = reader.get(&format!("/api/v2/logs?{query}")).await;
            assert_eq!((answer.status, answer.body["errorCode"].as_str()), (400, Some(code)), "{query}: {}", answer.text);
        }
        app.add_user("auth0|alice").await;
        let path = reader.get("/api/v2/users/alice/logs").await;
        assert_eq!((path.status, path.body["errorCode"].as_str()), (400, Some("invalid_uri")));
        for path in ["/api/v2/logs", "/api/v2/logs/900", "/api/v2/users/auth0%7Calice/logs"] {
            for caller in [app.machine("read:users"), app.token("auth0|alice", "read:current_user")] {
                let answer = caller.get(path).await;
                assert_eq!((answer.status, answer.body["message"].as_str()), (403, Some("Insufficient scope, expected any of: read:logs,read:logs_users")), "{path}");
            }
        }
    }
}

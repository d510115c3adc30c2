//! What a large database costs: nothing that a person waits for reads a whole table. Times are for the bench (`make bench-scale`).

use serde_json::json;

use crate::security::exchange::grant_of;
use crate::security::refresh::{add_rotating, bought, refresh};
use crate::security::{API, prepared, signed_in};
use crate::support::browser::Browser;
use crate::support::{Authorize, Engine, TestApp};

/// The steps of plans that read a whole table, and are meant to: what they read is small, however many users there are.
const SMALL: [&str; 6] = ["changes", "tenants", "domains", "clients", "connections", "resource_servers"];

/// Whether a plan reads all of a table that grows with the users.
fn reads_all(steps: &[String]) -> bool {
    // What subqueries answer is no table.
    let derived: Vec<&str> = steps
        .iter()
        .filter_map(|step| step.strip_prefix("CO-ROUTINE ").or_else(|| step.strip_prefix("MATERIALIZE ")))
        .collect();
    let read = steps.iter().filter_map(|step| step.strip_prefix("SCAN "));
    let mut tables = read.map(|rest| rest.split(' ').next().unwrap_or_default());
    tables.any(|table| {
        let known = derived.contains(&table) || SMALL.contains(&table);
        !known && !table.starts_with('(') && table != "CONSTANT"
    })
}

/// LD-04: a sign-in, a refresh, a look-up and a page of a list go straight to their rows.
#[tokio::test]
async fn ld_04_nothing_that_a_person_waits_for_reads_a_whole_table() {
    let app = prepared(TestApp::on(Engine::Sqlite).await).await;
    add_rotating(&app, "rotating", 0).await;
    app.app.db.statements();
    let mut alice = signed_in(&app, "alice").await;
    let tokens = bought(&app, &mut alice, "rotating", "read:a", API).await;
    grant_of(&refresh(&app, "rotating", &tokens.refresh_token).await);
    let failed =
        Browser::new(app.caller()).sign_in(&Authorize::code("web").path(), "nobody@example.com").await;
    assert!(failed.param("code").is_empty());
    let own = app.token("auth0|alice", "read:current_user update:current_user_metadata");
    assert_eq!(own.get("/api/v2/users/auth0%7Calice").await.status, 200);
    let change = json!({ "user_metadata": { "color": "teal" } });
    assert_eq!(own.patch("/api/v2/users/auth0%7Calice", change).await.status, 200);
    let admin = app.admin();
    for path in [
        "/api/v2/users-by-email?email=alice%40example.com",
        "/api/v2/users?per_page=50&page=3",
        "/api/v2/users?sort=created_at%3A-1",
        "/api/v2/users?q=email%3A%22alice%40example.com%22&search_engine=v3",
        "/api/v2/users?q=user_id%3A%22auth0%7Calice%22&search_engine=v3",
        "/api/v2/users/auth0%7Calice/logs",
        "/api/v2/users/auth0%7Calice/sessions",
        "/api/v2/users/auth0%7Calice/refresh-tokens",
    ] {
        let answer = admin.get(path).await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.text);
    }
    app.app.audit.flush().await;
    let mut ran: Vec<String> = app.app.db.statements().iter().map(ToString::to_string).collect();
    ran.sort_unstable();
    ran.dedup();
    assert!(ran.len() > 30, "{}", ran.len());
    app.app.db.close().await;
    let mut whole = Vec::new();
    for sql in &ran {
        let steps = db::testing::plan(&app.database, sql);
        if reads_all(&steps) {
            whole.push((sql, steps));
        }
    }
    assert!(whole.is_empty(), "{whole:#?}");
    // The test sees what it looks for.
    let all = db::testing::plan(&app.database, "SELECT id FROM users WHERE nickname = 'x'");
    assert!(reads_all(&all), "{all:?}");
}

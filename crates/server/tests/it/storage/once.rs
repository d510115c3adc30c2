//! What is good once is good once: 64 callers redeem the same thing at the same moment, on SQLite, and at two nodes on PostgreSQL that
//! share nothing but the database. `ROUNDS=10000` makes it long (`make once`).

use std::sync::Arc;
use std::time::Instant;

use serde_json::json;
use tokio::sync::Barrier;

use crate::authentication::mfa::{give, mfa_token, password, ready};
use crate::security::exchange::{Exchange, grant_of};
use crate::security::refresh::{add_rotating, bought};
use crate::security::{API, browser, prepared, signed_in};
use crate::support::browser::Form;
use crate::support::{Answer, Authorize, Caller, Engine, TestApp};

const RACERS: usize = 64;
const RECOVERY: &str = "http://auth0.com/oauth/grant-type/mfa-recovery-code";

fn rounds() -> usize {
    std::env::var("ROUNDS").ok().and_then(|text| text.parse().ok()).unwrap_or(20)
}

/// Where the racers call: one node on SQLite, two on PostgreSQL, by turns.
async fn nodes(app: &TestApp) -> Vec<Caller> {
    let mut nodes = vec![app.caller()];
    if app.engine == Engine::Postgres {
        nodes.push(app.second_node().await);
    }
    nodes
}

/// What the racers are answered, all of them let go at once.
async fn race<F>(call: impl Fn(usize) -> F) -> Vec<Answer>
where
    F: Future<Output = Answer> + Send + 'static,
{
    let barrier = Arc::new(Barrier::new(RACERS));
    let racers: Vec<_> = (0..RACERS)
        .map(|place| {
            let (barrier, call) = (barrier.clone(), call(place));
            tokio::spawn(async move {
                barrier.wait().await;
                call.await
            })
        })
        .collect();
    let mut answers = Vec::with_capacity(RACERS);
    for racer in racers {
        answers.push(racer.await.expect("no racer panics"));
    }
    answers
}

/// The place of the one that succeeded; everybody else was told so with one of these statuses.
#[track_caller]
fn winner(round: usize, answers: &[Answer], refusals: &[u16]) -> usize {
    let statuses: Vec<u16> = answers.iter().map(|answer| answer.status).collect();
    let won: Vec<usize> = (0..RACERS).filter(|place| statuses[*place] == 200).collect();
    assert_eq!(won.len(), 1, "round {round}: {statuses:?}");
    assert!(statuses.iter().all(|status| *status == 200 || refusals.contains(status)), "{statuses:?}");
    won[0]
}

fn told(what: &str, app: &TestApp, begun: Instant) {
    let (rounds, on) = (rounds(), app.engine);
    super::ledger(&format!("{what}, {on:?}: rounds of {RACERS} at once"), rounds as u64, rounds as u64, 0);
    println!("{what}: {rounds} rounds of {RACERS} on {on:?} in {:?}, one success each", begun.elapsed());
}

both_databases_at_once! {
    /// TK-02, at every node.
    async fn a_code_is_redeemed_once(app: TestApp) {
        let (app, begun) = (prepared(app).await, Instant::now());
        let (nodes, mut alice) = (nodes(&app).await, signed_in(&app, "alice").await);
        for round in 0..rounds() {
            let code = alice.get(&Authorize::code("web").path()).await.param("code");
            let exchange = Exchange::code("web", &code);
            let answers = race(|place| {
                let (exchange, node) = (exchange.clone(), nodes[place % nodes.len()].clone());
                async move { exchange.send_as(&node).await }
            });
            winner(round, &answers.await, &[403]);
        }
        told("codes", &app, begun);
    }

    /// TK-11, without leeway, at every node.
    async fn a_refresh_token_is_redeemed_once(app: TestApp) {
        let (app, begun) = (prepared(app).await, Instant::now());
        add_rotating(&app, "rotating", 0).await;
        let (nodes, mut alice) = (nodes(&app).await, signed_in(&app, "alice").await);
        for round in 0..rounds() {
            let first = bought(&app, &mut alice, "rotating", "read:a", API).await;
            let exchange = Exchange::refresh("rotating", &first.refresh_token);
            let answers = race(|place| {
                let (exchange, node) = (exchange.clone(), nodes[place % nodes.len()].clone());
                async move { exchange.send_as(&node).await }
            });
            winner(round, &answers.await, &[403]);
        }
        told("refresh tokens", &app, begun);
    }

    /// MF-05, each racer with a proof of the password of their own, at every node.
    async fn a_recovery_code_is_redeemed_once(app: TestApp) {
        let (app, begun) = (ready(app, &["otp", "recovery-code"], &["all-applications"]).await, Instant::now());
        // The clock stands still, so that no share of an address would ever come back.
        for protection in ["suspicious-ip-throttling", "brute-force-protection"] {
            let path = format!("/api/v2/attack-protection/{protection}");
            assert_eq!(app.admin().patch(&path, json!({ "enabled": false })).await.status, 200);
        }
        app.add_totp("auth0|alice").await;
        let mut code = app.add_recovery_code("auth0|alice").await;
        let nodes = nodes(&app).await;
        let mut proofs = Vec::new();
        for _ in 0..RACERS {
            proofs.push(mfa_token(&app, &password("alice")).await);
        }
        for round in 0..rounds() {
            let answers = race(|place| {
                let exchange = give(RECOVERY, &proofs[place]).with("recovery_code", &code);
                let node = nodes[place % nodes.len()].clone();
                let (own, tenant) = (app.app.clone(), app.tenant.id.clone());
                async move {
                    // The limit on tries is another case.
                    let mut batch = db::Batch::new();
                    model::factors::attempts::reset(&mut batch, &tenant, &"auth0|alice".into());
                    own.db.commit(batch).await.expect("writes");
                    exchange.send_as(&node).await
                }
            });
            let answers = answers.await;
            let won = winner(round, &answers, &[403, 429]);
            grant_of(&answers[won]);
            code = answers[won].body["recovery_code"].as_str().expect("the next one").to_owned();
            proofs[won] = mfa_token(&app, &password("alice")).await;
        }
        told("recovery codes", &app, begun);
    }

    /// RC-01, at every node.
    async fn a_ticket_is_redeemed_once(app: TestApp) {
        let (app, begun) = (prepared(app).await, Instant::now());
        let nodes = nodes(&app).await;
        for round in 0..rounds() {
            let made = app.admin().post("/api/v2/tickets/email-verification", json!({ "user_id": "auth0|alice" })).await;
            assert_eq!(made.status, 201, "{made:?}");
            let link = made.body["ticket"].as_str().expect("a link");
            let path = link.strip_prefix(app.tenant.issuer.trim_end_matches('/')).expect("a link of ours");
            let mut one = browser(&app);
            let page = one.open(path.trim_end_matches('#')).await;
            let (form, cookies) = (Form::of(&page), one.cookies.clone());
            let answers = race(|place| {
                let mut browser = crate::support::Browser::new(nodes[place % nodes.len()].clone());
                browser.cookies.clone_from(&cookies);
                let (action, fields) = (form.action.clone(), form.fields.clone());
                async move {
                    let fields: Vec<_> = fields.iter().map(|(name, value)| (&**name, &**value)).collect();
                    browser.post(&action, &fields).await
                }
            });
            winner(round, &answers.await, &[400]);
        }
        told("tickets", &app, begun);
    }
}

//! Sending the recorded requests of one test to a tenant of its own.

use std::collections::{BTreeMap, BTreeSet};

use axum::http::Method;
use db::{Batch, params};
use model::bootstrap::{self, NewTenant, Scopes};
use model::jobs;
use model::jose::Algorithm;
use serde_json::{Value, json};

use super::before;
use super::compare::{self, Comparison, Difference, Object, What};
use super::exchange::{Exchange, list};
use super::names::{Names, TENANT};
use super::rules::{EXCLUSIONS, FAMILIES, UNMADE};
use crate::support::{Answer, Caller, TestApp};

/// What has been counted and found.
#[derive(Default)]
pub struct Tally {
    pub families: BTreeMap<String, Count>,
    /// How many differences each rule explained, by its position.
    pub used: BTreeMap<usize, usize>,
    /// How many exchanges each exclusion held back.
    pub excluded: BTreeMap<&'static str, usize>,
    pub findings: Vec<Finding>,
}

/// The exchanges of a family.
#[derive(Default)]
pub struct Count {
    /// All that were recorded.
    pub recorded: usize,
    /// Those whose operation the product does not have yet.
    pub later: usize,
    /// Those that a rule held back.
    pub excluded: usize,
    /// Those that were sent.
    pub replayed: usize,
    /// Those that were answered otherwise than recorded.
    pub differing: usize,
}

/// What one exchange showed.
pub struct Finding {
    pub family: String,
    /// The test, the number in it, the method and the path.
    pub exchange: String,
    pub request: Value,
    pub differences: Vec<Difference>,
}

/// Replays one recorded test on a new tenant.
pub async fn replay(app: &TestApp, number: usize, exchanges: &[Exchange], tally: &mut Tally) {
    let mut sent = Vec::new();
    let mut unmade = BTreeSet::new();
    for exchange in exchanges.iter().filter(|exchange| FAMILIES.contains(&exchange.family().as_str())) {
        let count = tally.families.entry(exchange.family()).or_default();
        count.recorded += 1;
        if exchange.operation().is_none() {
            count.later += 1;
        } else if let Some(because) = exclusion(exchange, &unmade) {
            count.excluded += 1;
            *tally.excluded.entry(because).or_default() += 1;
            unmade.extend(compare::id(&exchange.response_body).filter(|_| exchange.method == "POST"));
        } else {
            count.replayed += 1;
            sent.push(exchange);
        }
    }
    if sent.is_empty() {
        return;
    }
    let new = NewTenant {
        id: format!("r{number}").as_str().into(),
        host: format!("r{number}.test"),
        name: TENANT.into(),
    };
    let tenant = bootstrap::create_tenant(&app.app, new).await.expect("a new tenant");
    let (client_id, _) = bootstrap::create_machine_client(&app.app, &tenant, "Replay", Scopes::All)
        .await
        .expect("a new client");
    let tenant = std::sync::Arc::new(tenant);
    let now = app.app.clock.now().seconds();
    let claims = json!({
        "iss": tenant.issuer,
        "sub": format!("{client_id}@clients"),
        "aud": tenant.management_audience(),
        "iat": now,
        "exp": now + 86_400,
        "scope": bootstrap::management_scopes().collect::<Vec<_>>().join(" "),
        "azp": client_id,
        "gty": "client-credentials",
    });
    let token =
        app.app.keys.sign(&app.app, &tenant.id, Algorithm::RS256, "JWT", &claims).await.expect("signs");
    let admin = app.caller().at(&tenant).with("authorization", &format!("Bearer {token}"));
    let mut batch = Batch::new();
    // Lists hold what was recorded and no more: the token is signed, and asks for no grant again.
    batch.execute("DELETE FROM client_grants WHERE tenant = $1", params![&tenant.id]);
    app.app.db.commit(batch).await.expect("deletes");
    let held = held(&admin).await;
    let mut names = Names::new(&tenant.host);
    let restored = before::restore(&app.app, &tenant, &names, exchanges, &sent).await;

    let write_repeated = sent.iter().any(|exchange| exchange.method != "GET" && exchange.repeats > 0);
    for exchange in &sent {
        app.app.clock.advance(1);
        if exchange.family() == "logs" {
            before::restore_logs(&app.app, &tenant, &names, &sent, exchange).await;
        }
        let answer = send(&admin, &names, exchange).await;
        if exchange.family() == "jobs" {
            while jobs::run_next(&app.app).await.expect("the job runs") {}
        }
        let mut comparison = Comparison {
            exchange,
            family: exchange.family(),
            sent: texts(&names.value(&exchange.request_body)),
            names: &mut names,
            write_repeated,
            object: Object::default(),
            held: &held,
            restored: &restored,
            used: &mut tally.used,
            differences: Vec::new(),
        };
        compare(&mut comparison, &answer);
        let (family, differences) = (comparison.family, comparison.differences);
        if !differences.is_empty() {
            tally.families.entry(family.clone()).or_default().differing += 1;
            let path = names.path(exchange);
            tally.findings.push(Finding {
                family,
                exchange: format!("{} {} {} {path}", exchange.source_test, exchange.seq, exchange.method),
                request: exchange.request_body.clone(),
                differences,
            });
        }
    }
}

/// Why the exchange is not sent; `unmade` are the ids of what was not made for such a reason.
fn exclusion(exchange: &Exchange, unmade: &BTreeSet<&str>) -> Option<&'static str> {
    let mut named = exchange.segments();
    named.extend(exchange.query().into_iter().map(|(_, value)| value));
    named.extend(texts(&exchange.request_body));
    if named.iter().any(|name| unmade.contains(name.as_str())) {
        return Some(UNMADE);
    }
    EXCLUSIONS.iter().find(|rule| (rule.applies)(exchange)).map(|rule| rule.because)
}

async fn send(admin: &Caller, names: &Names, exchange: &Exchange) -> Answer {
    let method = Method::from_bytes(exchange.method.as_bytes()).expect("it is a method");
    let path = names.path(exchange);
    match &exchange.request_body {
        Value::Null => admin.send(method, &path, None, String::new()).await,
        // A form, which names its boundary in its first line.
        Value::String(form) => {
            let boundary = form.lines().next().unwrap_or_default().trim_start_matches("--");
            let kind = format!("multipart/form-data; boundary={boundary}");
            admin.send(method, &path, Some(&kind), form.clone()).await
        }
        body => admin.json(method, &path, names.value(body)).await,
    }
}

/// Status, type and body. Of a lost body the status alone is known.
fn compare(comparison: &mut Comparison<'_>, answer: &Answer) {
    let exchange = comparison.exchange;
    if answer.status != exchange.status {
        let ours = json!([answer.status, answer.text]);
        let field = format!("{} status", exchange.method);
        comparison.note(&field, What::Value, &exchange.status.into(), &answer.status.into());
        if let Some(status) = comparison.differences.last_mut() {
            status.ours = ours;
        }
        return;
    }
    if let Some(recorded) = exchange.response_headers.get("content-type").and_then(Value::as_str)
        && recorded != answer.header("content-type")
    {
        comparison.note("content-type", What::Value, &recorded.into(), &answer.header("content-type").into());
    }
    if !exchange.response_body_lost {
        comparison.bodies(&exchange.response_body, &answer.body);
    }
}

/// The ids of what a new tenant holds.
async fn held(admin: &Caller) -> BTreeSet<String> {
    let mut held = BTreeSet::new();
    for family in ["clients", "connections", "resource-servers", "client-grants"] {
        let answer = admin.get(&format!("/api/v2/{family}")).await;
        let items = list(&answer.body).unwrap_or_else(|| panic!("{family} answers {}", answer.text));
        held.extend(items.iter().filter_map(compare::id).map(str::to_owned));
    }
    held
}

/// All texts in a value.
fn texts(value: &Value) -> Vec<String> {
    match value {
        Value::String(text) => vec![text.clone()],
        Value::Array(items) => items.iter().flat_map(texts).collect(),
        Value::Object(fields) => fields.values().flat_map(texts).collect(),
        _ => Vec::new(),
    }
}

//! The security cases of authorization, tokens, sign-in and sessions: one test for each, named after it.

mod authorize;
mod cross_origin;
mod crypto;
mod current_user;
mod device;
mod documented;
pub mod exchange;
mod factors;
mod fuzzed;
mod guessing;
mod jwt;
mod linking;
mod management;
mod my_account;
mod passwords;
mod phone_abuse;
mod phone_factors;
mod recovery;
pub mod refresh;
pub mod refusals;
mod rights;
mod sessions;
mod strict;
mod strict_authorize;
mod strict_token;
mod token;

use db::{FromValue, Value as Stored, params};
use serde_json::{Value, json};

use crate::support::browser::CALLBACK;
use crate::support::{Answer, Authorize, Browser, TestApp};

/// An API of the tenant's own: it gives refresh tokens, and our own apps need no consent for it.
pub const API: &str = "https://api.test/";

/// With the apps that most cases need: `web` keeps a secret, `page` runs in browsers and keeps none. Users alice and bob.
pub async fn prepared(app: TestApp) -> TestApp {
    let web = json!({
        "app_type": "regular_web",
        "oidc_conformant": true,
        "callbacks": [CALLBACK],
        "web_origins": ["https://app.test"],
        "token_endpoint_auth_method": "client_secret_post",
    });
    let page = json!({
        "app_type": "spa",
        "oidc_conformant": true,
        "callbacks": [CALLBACK],
        "web_origins": ["https://app.test"],
        "token_endpoint_auth_method": "none",
        "grant_types": ["authorization_code", "implicit", "refresh_token"],
    });
    app.add_client("web", web).await;
    app.add_client("page", page).await;
    let api = json!({
        "name": "API",
        "scopes": [{ "value": "read:a" }, { "value": "write:a" }],
        "allow_offline_access": true,
        "skip_consent_for_verifiable_first_party_clients": true,
    });
    app.add_api(API, api).await;
    app.add_user("auth0|alice").await;
    app.add_user("auth0|bob").await;
    app
}

/// A browser in which nobody is signed in.
pub fn browser(app: &TestApp) -> Browser {
    Browser::new(app.caller())
}

/// A browser in which `user` is signed in to `web`.
pub async fn signed_in(app: &TestApp, user: &str) -> Browser {
    let mut browser = browser(app);
    let landed = browser.sign_in(&Authorize::code("web").path(), &format!("{user}@example.com")).await;
    assert!(!landed.param("code").is_empty(), "{landed:?}");
    browser
}

/// The one value that a query answers: what the database holds, when no endpoint tells.
pub async fn stored<T: FromValue>(app: &TestApp, sql: &'static str, more: Vec<Stored>) -> T {
    let mut given = params![&app.tenant.id];
    given.extend(more);
    let row = app.app.db.read_one(sql, given).await.expect("reads");
    row.expect("a row").take().expect("is of that type")
}

/// How many codes have been issued.
async fn codes(app: &TestApp) -> i64 {
    stored(app, "SELECT COUNT(*) FROM authorization_codes WHERE tenant = $1", params![]).await
}

/// A page of ours that says no, leads nowhere and may not be framed.
#[track_caller]
pub fn assert_page_error(answer: &Answer, status: u16, description: &str) {
    assert_eq!(answer.status, status, "{answer:?}");
    assert!(!answer.has("location") && !answer.has("refresh"), "{answer:?}");
    assert_eq!(answer.header("content-type"), "text/html; charset=utf-8");
    assert!(answer.header("content-security-policy").contains("frame-ancestors 'none'"), "{answer:?}");
    assert!(answer.header("cache-control").contains("no-store"), "{answer:?}");
    let shown = format!("<dd>{}</dd>", description.replace('\'', "&#39;"));
    assert!(answer.text.contains(&shown), "no {shown} in {}", answer.text);
}

/// A redirect to the app's own callback with exactly this error and the state of the request.
#[track_caller]
pub fn assert_returned(answer: &Answer, error: &str, description: &str) {
    assert_eq!(answer.status, 302, "{answer:?}");
    let (base, _) = answer.location().split_once(['?', '#']).expect("has parameters");
    assert_eq!(base, CALLBACK);
    let returned: Vec<_> = answer.returned().into_iter().collect();
    let expected = [("error", error), ("error_description", description), ("state", "st")];
    assert_eq!(returned, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
}

/// What the exchange of a code of `web` answers.
pub async fn exchanged(app: &TestApp, code: &str) -> Answer {
    let answer = exchange::Exchange::code("web", code).send(app).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    answer
}

/// The claims of a JWT, unproven.
pub fn claims(token: &str) -> Value {
    use base64::Engine;
    let payload = token.split('.').nth(1).unwrap_or_else(|| panic!("{token} is no JWT"));
    let json = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(payload).expect("is base64url");
    serde_json::from_slice(&json).expect("is JSON")
}

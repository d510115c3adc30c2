//! What clients send to the token endpoint, and what they get.

use std::sync::Arc;

use serde_json::{Map, Value, json};
use tokio::sync::Barrier;

use crate::support::app::secret_of;
use crate::support::browser::{CALLBACK, VERIFIER};
use crate::support::{Answer, Caller, TestApp};

/// The form of one call. All clients but `page` send their secret in it.
#[derive(Clone, Debug)]
pub struct Exchange(Vec<(String, String)>);

impl Exchange {
    /// A grant without its parameters.
    pub fn new(client: &str, grant_type: &str) -> Self {
        let form = Self(Vec::new()).with("grant_type", grant_type).with("client_id", client);
        if client == "page" { form } else { form.with("client_secret", &secret_of(client)) }
    }

    /// The exchange of a code.
    pub fn code(client: &str, code: &str) -> Self {
        Self::new(client, "authorization_code")
            .with("code", code)
            .with("redirect_uri", CALLBACK)
            .with("code_verifier", VERIFIER)
    }

    /// The exchange of a refresh token.
    pub fn refresh(client: &str, token: &str) -> Self {
        Self::new(client, "refresh_token").with("refresh_token", token)
    }

    /// The revocation of a refresh token: for `/oauth/revoke`.
    pub fn revoke(client: &str, token: &str) -> Self {
        Self::new(client, "").without("grant_type").with("token", token)
    }

    /// With another value of a field.
    pub fn with(&self, name: &str, value: &str) -> Self {
        self.without(name).adding(name, value)
    }

    /// With a field once more.
    pub fn adding(&self, name: &str, value: &str) -> Self {
        let mut form = self.clone();
        form.0.push((name.to_owned(), value.to_owned()));
        form
    }

    /// Without a field.
    pub fn without(&self, name: &str) -> Self {
        Self(self.0.iter().filter(|(known, _)| known != name).cloned().collect())
    }

    /// With a field under another name.
    pub fn renamed(&self, name: &str, other: &str) -> Self {
        self.with(other, self.value(name)).without(name)
    }

    /// The value of a field.
    pub fn value(&self, name: &str) -> &str {
        &self.0.iter().find(|(known, _)| known == name).expect("the form has the field").1
    }

    /// As a JSON object.
    pub fn object(&self) -> Map<String, Value> {
        self.0.iter().map(|(name, value)| (name.clone(), value.as_str().into())).collect()
    }

    /// The answer of the token endpoint.
    pub async fn send(&self, app: &TestApp) -> Answer {
        self.send_as(&app.caller()).await
    }

    /// The answer of another endpoint.
    pub async fn send_to(&self, app: &TestApp, path: &str) -> Answer {
        self.post(&app.caller(), path).await
    }

    /// The answer of the token endpoint to a caller with headers of their own.
    pub async fn send_as(&self, caller: &Caller) -> Answer {
        self.post(caller, "/oauth/token").await
    }

    async fn post(&self, caller: &Caller, path: &str) -> Answer {
        let fields: Vec<_> = self.0.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        caller.form(path, &fields).await
    }
}

/// What a successful exchange hands out.
#[derive(Debug)]
pub struct Issued {
    pub access_token: String,
    /// Empty where there is none.
    pub refresh_token: String,
    pub scope: String,
}

/// Reads a success.
#[track_caller]
pub fn grant_of(answer: &Answer) -> Issued {
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!((answer.header("cache-control"), answer.header("pragma")), ("no-store", "no-cache"));
    let text = |name: &str| answer.body[name].as_str().unwrap_or_default().to_owned();
    Issued { access_token: text("access_token"), refresh_token: text("refresh_token"), scope: text("scope") }
}

/// The whole of a refusal.
#[track_caller]
pub fn assert_refused(answer: &Answer, status: u16, error: &str, description: &str) {
    let body = json!({ "error": error, "error_description": description });
    assert_eq!((answer.status, &answer.body), (status, &body), "{answer:?}");
    // Only the token endpoint names no charset (authentication contract §0).
    let kind =
        if answer.path == "/oauth/token" { "application/json" } else { "application/json; charset=utf-8" };
    assert_eq!(answer.header("content-type"), kind);
    assert_eq!((answer.header("cache-control"), answer.header("pragma")), ("no-store", "no-cache"));
}

/// The answer of `/userinfo` to the bearer of a token.
pub async fn userinfo(app: &TestApp, token: &str) -> Answer {
    app.caller().with("authorization", &format!("Bearer {token}")).get("/userinfo").await
}

/// The answers to `count` equal calls that begin at the same moment.
pub async fn at_once(app: &TestApp, count: usize, exchange: &Exchange) -> Vec<Answer> {
    let barrier = Arc::new(Barrier::new(count));
    let calls: Vec<_> = (0..count)
        .map(|_| {
            let (barrier, exchange, caller) = (barrier.clone(), exchange.clone(), app.caller());
            tokio::spawn(async move {
                barrier.wait().await;
                exchange.send_as(&caller).await
            })
        })
        .collect();
    let mut answers = Vec::with_capacity(count);
    for call in calls {
        answers.push(call.await.expect("no call panics"));
    }
    answers
}

/// Standard base64, as HTTP Basic has it.
pub fn base64(text: &str) -> String {
    use base64::Engine;
    base64::engine::general_purpose::STANDARD.encode(text)
}

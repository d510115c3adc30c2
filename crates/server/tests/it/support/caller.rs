//! Somebody who calls: with or without a token, at one tenant.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::body::Body;
use axum::http::{Method, Request};
use model::App;
use model::jose::Algorithm;
use model::tenants::Tenant;
use serde_json::{Map, Value};
use server::peer::RemoteAddress;
use server::router::Front;
use tower::ServiceExt;

use super::Answer;

/// A client of the server. Clones differ in what is changed on them alone.
#[derive(Clone)]
pub struct Caller {
    pub(super) app: App,
    pub(super) router: Front,
    /// Whose host the requests name.
    pub tenant: Arc<Tenant>,
    /// The claims of the access token; `None` sends no `Authorization`.
    pub claims: Option<Map<String, Value>>,
    /// Headers of every request.
    pub headers: Vec<(String, String)>,
    /// The address of the connection.
    pub remote: SocketAddr,
}

impl Caller {
    /// The same caller with one more header.
    pub fn with(&self, name: &str, value: &str) -> Self {
        let mut caller = self.clone();
        caller.headers.push((name.to_owned(), value.to_owned()));
        caller
    }

    /// The same caller at another tenant.
    pub fn at(&self, tenant: &Arc<Tenant>) -> Self {
        Self { tenant: tenant.clone(), ..self.clone() }
    }

    /// Sends further requests to another router.
    pub fn set_router(&mut self, router: Front) {
        self.router = router;
    }

    /// The same caller from another address.
    pub fn from(&self, address: &str) -> Self {
        Self { remote: format!("{address}:4711").parse().expect("is an address"), ..self.clone() }
    }

    /// The same token with another claim, signed as well as ever; `Null` takes the claim away.
    pub fn claiming(&self, name: &str, value: impl Into<Value>) -> Self {
        let mut caller = self.clone();
        let claims = caller.claims.get_or_insert_default();
        match value.into() {
            Value::Null => claims.shift_remove(name),
            value => claims.insert(name.to_owned(), value),
        };
        caller
    }

    /// The signed token itself.
    pub async fn bearer(&self) -> String {
        let claims = self.claims.as_ref().expect("this caller has a token");
        let signed = self.app.keys.sign(&self.app, &self.tenant.id, Algorithm::RS256, "JWT", claims);
        signed.await.expect("the tenant has keys")
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.send(Method::GET, path, None, String::new()).await
    }

    pub async fn post(&self, path: &str, body: Value) -> Answer {
        self.json(Method::POST, path, body).await
    }

    pub async fn put(&self, path: &str, body: Value) -> Answer {
        self.json(Method::PUT, path, body).await
    }

    pub async fn patch(&self, path: &str, body: Value) -> Answer {
        self.json(Method::PATCH, path, body).await
    }

    pub async fn delete(&self, path: &str) -> Answer {
        self.send(Method::DELETE, path, None, String::new()).await
    }

    /// A request with a JSON body.
    pub async fn json(&self, method: Method, path: &str, body: Value) -> Answer {
        self.send(method, path, Some("application/json"), body.to_string()).await
    }

    /// A POST of a form.
    pub async fn form(&self, path: &str, fields: &[(&str, &str)]) -> Answer {
        self.send(Method::POST, path, Some("application/x-www-form-urlencoded"), encode(fields)).await
    }

    /// A request with a JSON body that is held back until `before` is done, and `before` begins when the body is asked for.
    pub async fn hold_back(
        &self,
        method: Method,
        path: &str,
        before: impl Future<Output = ()> + Send + 'static,
        body: Value,
    ) -> Answer {
        let parts = futures_util::stream::once(async move {
            before.await;
            Ok::<_, std::convert::Infallible>(body.to_string())
        });
        self.stream(method, path, Some("application/json"), Body::from_stream(parts)).await
    }

    /// Any request.
    pub async fn send(&self, method: Method, path: &str, content_type: Option<&str>, body: String) -> Answer {
        let length = body.len().to_string();
        let caller = if body.is_empty() { self.clone() } else { self.with("content-length", &length) };
        caller.stream(method, path, content_type, Body::from(body)).await
    }

    /// A request whose body is no text.
    pub async fn send_bytes(&self, method: Method, path: &str, content_type: &str, body: Vec<u8>) -> Answer {
        let chunked = self.headers.iter().any(|(name, _)| name == "transfer-encoding");
        let length = body.len().to_string();
        let caller = if chunked { self.clone() } else { self.with("content-length", &length) };
        let pieces: Vec<_> =
            body.chunks(8192).map(|piece| Ok::<_, std::convert::Infallible>(piece.to_vec())).collect();
        let body = Body::from_stream(futures_util::stream::iter(pieces));
        caller.stream(method, path, Some(content_type), body).await
    }

    async fn stream(&self, method: Method, path: &str, content_type: Option<&str>, body: Body) -> Answer {
        let mut request = Request::builder().method(method).uri(path);
        if !self.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("host")) {
            request = request.header("host", &self.tenant.host);
        }
        if self.claims.is_some() {
            request = request.header("authorization", format!("Bearer {}", self.bearer().await));
        }
        if let Some(content_type) = content_type {
            request = request.header("content-type", content_type);
        }
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        let mut request = request.body(body).expect("the test wrote a request");
        request.extensions_mut().insert(RemoteAddress(self.remote));
        let answered = self.router.clone().oneshot(request).await;
        Answer::read(path, answered.unwrap_or_else(|never| match never {})).await
    }
}

/// `application/x-www-form-urlencoded`.
pub fn encode(fields: &[(&str, &str)]) -> String {
    url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish()
}

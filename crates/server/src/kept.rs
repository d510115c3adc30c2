//! Answers that are the same for everybody (the public keys, and what discovery says), given again as they are: for a second, and only
//! while nothing that is configured changes.
//!
//! A handler says which they are ([`ForEverybody`]). Each was admitted, limited and marked on its whole way once, for the same host and
//! path; what the way looks at in the request itself is looked at here too.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use auth::ForEverybody;
use axum::body::{Body, Bytes};
use axum::extract::{MatchedPath, Request};
use axum::http::header::{IF_NONE_MATCH, SET_COOKIE, VARY};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode};
use axum::response::Response;
use model::{Model, TenantId};

use crate::peer::{Proxies, RemoteAddress};
use crate::request_log::REQUEST_ID;
use crate::{host, limits};

/// How long an answer is given again.
const FRESH: Duration = Duration::from_secs(1);
/// How many hosts are remembered, with a few answers each.
const MOST_HOSTS: usize = 1000;

/// Where all of them are: any origin may read what is here (`cors.rs`).
const UNDER: &str = "/.well-known/";

/// What was asked, where nothing but the host and the path decides on the answer.
#[derive(Clone, Debug)]
pub struct Question {
    host: String,
    asked: Instant,
    /// How often something had been dropped from the cache then.
    drops: u64,
}

impl Question {
    /// `None` for a request that has to go the whole way, whatever was answered before.
    pub fn of(app: &Model, proxies: &Proxies, request: &Request) -> Option<Self> {
        let (uri, headers) = (request.uri(), request.headers());
        if !uri.path().starts_with(UNDER) || uri.query().is_some() {
            return None;
        }
        if request.method() != Method::GET || headers.contains_key(IF_NONE_MATCH) {
            return None;
        }
        let RemoteAddress(remote) = request.extensions().get()?;
        let from_proxy = proxies.admit(remote.ip()).ok()?;
        limits::check(uri, headers).ok()?;
        let host = host::named(request, from_proxy).ok()?;
        Some(Self { host, asked: Instant::now(), drops: app.db.cache_drops() })
    }
}

/// An answer without what is each request's own.
#[derive(Debug)]
pub struct Kept {
    /// Whose it is.
    pub tenant: TenantId,
    /// Its path, which is a whole one.
    pub route: MatchedPath,
    headers: HeaderMap,
    body: Bytes,
    /// Both are of before it was made.
    asked: Instant,
    drops: u64,
}

impl Kept {
    /// The answer once more.
    pub fn again(&self) -> Response {
        let mut response = Response::new(Body::from(self.body.clone()));
        *response.headers_mut() = self.headers.clone();
        response
    }

    fn is_fresh(&self, question: &Question) -> bool {
        let age = question.asked.saturating_duration_since(self.asked);
        self.drops == question.drops && age < FRESH
    }
}

/// Those of one server: of each host the few that it has.
#[derive(Default)]
pub struct KeptAnswers(RwLock<HashMap<String, Vec<Arc<Kept>>>>);

impl KeptAnswers {
    /// The answer to the question for `path`, if it still holds.
    pub fn find(&self, question: &Question, path: &str) -> Option<Arc<Kept>> {
        let answers = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let kept = answers.get(&question.host)?.iter().find(|kept| kept.route.as_str() == path)?;
        kept.is_fresh(question).then(|| kept.clone())
    }

    /// Keeps an answer whose handler says that everybody gets it, if that is still so at the end of its way.
    pub fn keep(&self, question: Question, route: MatchedPath, response: &Response) {
        let headers = response.headers();
        let Some(ForEverybody { tenant, body }) = response.extensions().get().cloned() else { return };
        if response.status() != StatusCode::OK
            || [SET_COOKIE, VARY].iter().any(|own| headers.contains_key(own))
        {
            return;
        }
        let mut answers = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if answers.len() >= MOST_HOSTS && !answers.contains_key(&question.host) {
            make_room(&mut answers, &question);
        }
        let mut headers = headers.clone();
        // Room for the id, which is each request's own.
        headers.insert(REQUEST_ID, HeaderValue::from_static(""));
        let Question { host, asked, drops } = question;
        let of_host = answers.entry(host).or_default();
        of_host.retain(|kept| kept.route.as_str() != route.as_str());
        of_host.push(Arc::new(Kept { tenant, route, headers, body, asked, drops }));
    }
}

/// Forgets what is old, or else everything.
fn make_room(answers: &mut HashMap<String, Vec<Arc<Kept>>>, now: &Question) {
    answers.retain(|_, of_host| of_host.iter().any(|kept| kept.is_fresh(now)));
    if answers.len() >= MOST_HOSTS {
        answers.clear();
    }
}

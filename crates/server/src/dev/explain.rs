//! The explain page: each request that was refused, the rule that refused it, and the setting to change.

use std::collections::VecDeque;
use std::fmt::Write;
use std::sync::{Arc, Mutex, PoisonError};

use auth::pages::Told;
use axum::Json;
use axum::body::{Body, to_bytes};
use axum::extract::{Extension, Request, State};
use axum::http::StatusCode;
use axum::http::header::{ACCEPT, CONTENT_LENGTH, CONTENT_SECURITY_POLICY, CONTENT_TYPE, LOCATION};
use axum::middleware::Next;
use axum::response::{Html, IntoResponse, Response};
use model::{App, Clock};
use serde::Serialize;
use serde_json::Value;

use super::routes::{POLICY, STYLE};

/// How many refusals are remembered.
const MOST: usize = 100;
/// The largest answer that is looked into.
const LARGEST: usize = 64 * 1024;

/// A refused request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Refused {
    /// When, in ISO 8601.
    pub at: String,
    /// Its method.
    pub method: String,
    /// Its path, without the query.
    pub path: String,
    /// The status of the answer.
    pub status: u16,
    /// The code in the answer.
    pub error: String,
    /// What the answer says.
    pub description: String,
    /// The rule that refused it.
    pub rule: &'static str,
    /// What to change.
    pub setting: &'static str,
}

/// What was refused lately. Clones share it.
#[derive(Clone, Default)]
pub struct Refusals(Arc<Mutex<VecDeque<Refused>>>);

impl Refusals {
    fn add(&self, refused: Refused) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.truncate(MOST - 1);
        kept.push_front(refused);
    }

    /// The newest first.
    pub fn list(&self) -> Vec<Refused> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }
}

/// The layer that remembers. Nothing of the answer changes.
pub async fn remember(
    State((refusals, clock)): State<(Refusals, Clock)>,
    request: Request,
    next: Next,
) -> Response {
    let (method, path) = (request.method().to_string(), request.uri().path().to_owned());
    let response = next.run(request).await;
    let (response, told) = told(response).await;
    if let Some((error, description)) = told {
        let status = response.status();
        let (rule, setting) = explain(status, &error, &description);
        let at = clock.now().iso();
        refusals.add(Refused {
            at,
            method,
            path,
            status: status.as_u16(),
            error,
            description,
            rule,
            setting,
        });
    }
    response
}

/// The error of an answer, if it is one: a JSON body's, an error page's, or a redirect's back to the app.
async fn told(response: Response) -> (Response, Option<(String, String)>) {
    let status = response.status();
    if let Some(Told { code, description }) = response.extensions().get().cloned() {
        return (response, Some((code, description)));
    }
    if status.is_redirection() {
        let location =
            response.headers().get(LOCATION).and_then(|location| location.to_str().ok()).unwrap_or_default();
        let told = location.split_once(['?', '#']).map(|(_, query)| {
            let of = |name: &str| {
                let found = url::form_urlencoded::parse(query.as_bytes()).find(|(key, _)| key == name);
                found.map(|(_, value)| value.into_owned()).unwrap_or_default()
            };
            (of("error"), of("error_description"))
        });
        return (response, told.filter(|(error, _)| !error.is_empty()));
    }
    if !status.is_client_error() && !status.is_server_error() {
        return (response, None);
    }
    if !is_json(&response) {
        return (response, Some((String::new(), status.canonical_reason().unwrap_or_default().to_owned())));
    }
    let (mut parts, body) = response.into_parts();
    let bytes = to_bytes(body, LARGEST).await.unwrap_or_default();
    parts.headers.remove(CONTENT_LENGTH);
    let value: Value = serde_json::from_slice(&bytes).unwrap_or_default();
    let text = |names: [&str; 3]| {
        let found = names.iter().find_map(|name| value.get(name)?.as_str());
        found.unwrap_or_default().to_owned()
    };
    let told = (text(["errorCode", "error", "code"]), text(["error_description", "message", "description"]));
    (Response::from_parts(parts, Body::from(bytes)), Some(told))
}

fn is_json(response: &Response) -> bool {
    let kind = response.headers().get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    kind.is_some_and(|kind| kind.starts_with("application/json"))
}

/// A rule: the code it answers with, a part of what it says, what it is, and what to change. The first that fits explains.
type Rule = (&'static str, &'static str, &'static str, &'static str);

const RULES: &[Rule] = &[
    (
        "",
        "callback URLs",
        "A redirect URI must be listed at the client, letter by letter.",
        "callbacks: PATCH /api/v2/clients/{id}",
    ),
    (
        "",
        "logout URLs",
        "Where people are sent after a logout must be listed.",
        "allowed_logout_urls: PATCH /api/v2/clients/{id}, or /api/v2/tenants/settings",
    ),
    (
        "",
        "Allowed Logout URLs",
        "Where people are sent after a logout must be listed.",
        "allowed_logout_urls: PATCH /api/v2/clients/{id}, or /api/v2/tenants/settings",
    ),
    (
        "",
        "allowed web origins",
        "A page that asks for a web message must be of a listed origin.",
        "web_origins: PATCH /api/v2/clients/{id}",
    ),
    (
        "",
        "Unknown client",
        "The request names no client of this tenant.",
        "client_id in the app, and the domain it is sent to",
    ),
    (
        "",
        "client-grant",
        "A client gets tokens for an API only with a grant for it.",
        "POST /api/v2/client-grants with client_id, audience and scope",
    ),
    (
        "",
        "Client is not authorized to access",
        "A client gets tokens for an API only with a grant for it.",
        "POST /api/v2/client-grants with client_id, audience and scope",
    ),
    (
        "",
        "Service not found",
        "The audience is no API of this tenant.",
        "POST /api/v2/resource-servers, or the audience in the app",
    ),
    (
        "",
        "Service not enabled",
        "The audience is no API of this tenant.",
        "POST /api/v2/resource-servers, or the audience in the app",
    ),
    (
        "",
        "code_challenge",
        "A public client sends a PKCE challenge of 43 to 128 characters, by S256.",
        "code_challenge and code_challenge_method in the app: SDKs do it by themselves",
    ),
    (
        "",
        "code verifier",
        "The verifier must answer the challenge of this sign-in.",
        "code_verifier in the app: it is lost when a page is opened in another tab",
    ),
    (
        "",
        "redirect URI is wrong",
        "The exchange repeats the redirect URI of the request.",
        "redirect_uri in the app",
    ),
    (
        "",
        "Invalid authorization code",
        "A code is good once, for a minute, for the client that asked for it.",
        "the app: it exchanges twice, too late, or with another client_id",
    ),
    (
        "",
        "refresh token",
        "A refresh token ends with its user, its grant, its lifetime, or by being used twice.",
        "refresh_token (rotation_type, leeway, lifetimes): PATCH /api/v2/clients/{id}",
    ),
    ("", "nonce", "A token that comes through the browser carries a nonce.", "nonce in the app"),
    ("unsupported_grant_type", "", "The server has no such grant.", "grant_type in the app"),
    (
        "unauthorized_client",
        "Grant type",
        "A client has the grants that it lists.",
        "grant_types: PATCH /api/v2/clients/{id}",
    ),
    (
        "unauthorized_client",
        "",
        "The client may not do this.",
        "grant_types and oidc_conformant: PATCH /api/v2/clients/{id}",
    ),
    (
        "access_denied",
        "Unauthorized",
        "The client did not prove itself as it must.",
        "client_id and client_secret in the app; token_endpoint_auth_method: PATCH /api/v2/clients/{id}",
    ),
    (
        "login_required",
        "",
        "There is no session that a silent request could use.",
        "sign in first; the app must be on the server's host for its cookie to come along",
    ),
    (
        "consent_required",
        "",
        "The user has not consented to these scopes yet.",
        "sign in without prompt=none once, or skip_consent_for_verifiable_first_party_clients of the API",
    ),
    (
        "interaction_required",
        "",
        "Something that only a page can ask for is missing.",
        "sign in without prompt=none once",
    ),
    (
        "mfa_required",
        "",
        "A second factor is asked for.",
        "PUT /api/v2/guardian/policies, or acr_values in the app",
    ),
    (
        "insufficient_scope",
        "",
        "The token holds none of the scopes that the operation takes; a person's token has current-user scopes alone.",
        "scope in the app; POST /api/v2/client-grants for a machine",
    ),
    (
        "unowned_resource",
        "",
        "A person's token reaches that person's own objects alone.",
        "the id in the path: it must be the token's sub",
    ),
    (
        "insufficient_user_authentication",
        "",
        "The self-service policy asks for a later or surer sign-in.",
        "PATCH /api/v2/doorward/self-service, or sign in anew with max_age",
    ),
    (
        "invalid_body",
        "",
        "The body does not fit the operation's schema.",
        "the property that the message names",
    ),
    (
        "invalid_query_string",
        "",
        "The query does not fit the operation's schema.",
        "the parameter that the message names",
    ),
    ("invalid_uri", "", "The path or the query is not well-formed.", "the id in the path: encode it once"),
    (
        "invalid_paging",
        "",
        "Only the first 1000 records can be paged through.",
        "from and take instead of page and per_page",
    ),
    ("auth0_idp_error", "", "Another user has this name or address.", "the connection's identifiers"),
    (
        "too_many_requests",
        "",
        "A bucket is empty: a person's own, or the tenant's where a plan is set.",
        "[self_service] and [limits] plan in the configuration",
    ),
    (
        "too_many_attempts",
        "",
        "There were too many failures from this address.",
        "PATCH /api/v2/attack-protection/suspicious-ip-throttling, or DELETE /api/v2/anomaly/blocks/ips/{id}",
    ),
    (
        "temporarily_unavailable",
        "",
        "The database or the password pool is busy, or a fault switch is on.",
        "DELETE /dev/faults",
    ),
    ("invalid_grant", "", "What was shown is not good, or not any more.", "the app: begin the sign-in anew"),
    (
        "invalid_request",
        "",
        "The request is not as the protocol has it.",
        "the parameter that the message names",
    ),
];

fn explain(status: StatusCode, error: &str, description: &str) -> (&'static str, &'static str) {
    let fits = |(code, part, ..): &&Rule| (code.is_empty() || *code == error) && description.contains(part);
    if let Some((_, _, rule, setting)) = RULES.iter().find(fits) {
        return (rule, setting);
    }
    match status.as_u16() {
        401 => (
            "There is no token, or it is expired, of another API or of another tenant, or its user or client is gone.",
            "Authorization in the app",
        ),
        404 => ("There is no such path or object in this tenant.", "the path, and the domain it is sent to"),
        405 => ("The path takes other methods.", "the method"),
        409 => ("There is such an object already.", "the name or identifier that is to be unique"),
        413 | 414 | 431 => {
            ("The request is larger than the server takes.", "docs/operations.md lists the limits")
        }
        429 => ("There were too many requests.", "[self_service] and [limits] in the configuration"),
        500.. => ("The server could not do it now.", "its log, at this moment"),
        _ => ("The request was refused.", "what the answer says"),
    }
}

/// `GET /dev/explain`: a page, or JSON for who asks for that.
pub async fn page(
    State(_): State<App>,
    Extension(refusals): Extension<Refusals>,
    request: Request,
) -> Response {
    let refused = refusals.list();
    let json = request
        .headers()
        .get(ACCEPT)
        .is_some_and(|accept| accept.as_bytes().starts_with(b"application/json"));
    if json {
        return Json(refused).into_response();
    }
    let mut rows = String::new();
    for Refused { at, method, path, status, error, description, rule, setting } in &refused {
        let [path, error, description] = [path, error, description].map(|text| escaped(text));
        write!(
            rows,
            "<h2>{status} {method} {path}</h2><p><time>{at}</time> {error} {description}</p>\
             <p>{rule}</p><p>Change: {}</p>",
            escaped(setting)
        )
        .expect("a string takes all");
    }
    if refused.is_empty() {
        rows.push_str("<p>Nothing was refused yet.</p>");
    }
    let page = format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>Refused requests</title>\
         <meta name=\"viewport\" content=\"width=device-width\"><style>{STYLE}</style></head><body><main>\
         <h1>Refused requests</h1>{rows}</main></body></html>"
    );
    ([(CONTENT_SECURITY_POLICY, POLICY.clone())], Html(page)).into_response()
}

fn escaped(text: &str) -> String {
    let text: String = text.chars().take(300).collect();
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

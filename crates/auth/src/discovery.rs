//! Discovery and keys (OIDC Discovery §3, RFC 8414; authentication contract §6).

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{Extension, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use model::App;
use model::tenants::{self, Tenant};
use serde_json::{Value, json};

use crate::visit::Visit;

/// `GET /.well-known/openid-configuration` and `/.well-known/oauth-authorization-server`: what is really offered.
pub async fn configuration(State(app): State<App>, Extension(tenant): Extension<Arc<Tenant>>) -> Response {
    match published(&app, &tenant).await {
        Ok(document) => public(document),
        Err(error) => Visit::json_error(error),
    }
}

/// The document's text, kept under all that it is made from: a changed setting leads to another one.
async fn published(app: &App, tenant: &Tenant) -> Result<Bytes, db::Error> {
    let end_session = tenants::settings(app, &tenant.id).await?.publishes_end_session();
    let made_from = format!("{end_session} {}", tenant.issuer);
    let make = async { Ok(Some(Bytes::from(document(&tenant.issuer, end_session).to_string()))) };
    let kept = app.db.cached("discovery", tenant.id.as_str(), &made_from, make).await?;
    Ok(kept.map(|document| Bytes::clone(&document)).unwrap_or_default())
}

/// `GET /.well-known/jwks.json`: the public signing keys, current, next and previous.
pub async fn jwks(State(app): State<App>, Extension(tenant): Extension<Arc<Tenant>>) -> Response {
    match app.keys.published(&app, &tenant.id).await {
        Ok(published) => public(Bytes::from_owner(Arc::clone(&published.jwks))),
        Err(error) => Visit::json_error(error),
    }
}

fn public(json: Bytes) -> Response {
    let headers = [
        (header::CONTENT_TYPE, "application/json; charset=utf-8"),
        (header::CACHE_CONTROL, "public, max-age=15, stale-while-revalidate=15, stale-if-error=86400"),
    ];
    (headers, json).into_response()
}

fn document(issuer: &str, end_session: bool) -> Value {
    let at = |path: &str| format!("{issuer}{path}");
    let mut document = json!({
        "issuer": issuer,
        "authorization_endpoint": at("authorize"),
        "token_endpoint": at("oauth/token"),
        "userinfo_endpoint": at("userinfo"),
        "jwks_uri": at(".well-known/jwks.json"),
        "revocation_endpoint": at("oauth/revoke"),
        "scopes_supported": [
            "openid", "profile", "offline_access", "name", "given_name", "family_name", "nickname", "email",
            "email_verified", "picture", "created_at", "identities", "phone", "address"
        ],
        "response_types_supported": [
            "code", "token", "id_token", "code token", "code id_token", "token id_token", "code token id_token"
        ],
        "code_challenge_methods_supported": ["S256"],
        "response_modes_supported": ["query", "fragment", "form_post"],
        "subject_types_supported": ["public"],
        "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post"],
        "claims_supported": [
            "aud", "auth_time", "created_at", "email", "email_verified", "exp", "family_name", "given_name", "iat",
            "identities", "iss", "name", "nickname", "phone_number", "picture", "sub"
        ],
        "request_uri_parameter_supported": false,
        "request_parameter_supported": false,
        "id_token_signing_alg_values_supported": ["HS256", "RS256"],
    });
    if end_session {
        document["end_session_endpoint"] = at("oidc/logout").into();
    }
    document
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_document_names_only_what_there_is() {
        let document = document("https://a.test/", true);
        assert_eq!(document["issuer"], "https://a.test/");
        assert_eq!(document["end_session_endpoint"], "https://a.test/oidc/logout");
        assert_eq!(document["code_challenge_methods_supported"], json!(["S256"]));
        for absent in ["registration_endpoint", "device_authorization_endpoint", "grant_types_supported"] {
            assert!(document.get(absent).is_none(), "{absent}");
        }
        assert!(super::document("https://a.test/", false).get("end_session_endpoint").is_none());
    }
}

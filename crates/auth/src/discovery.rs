//! Discovery and keys (OIDC Discovery §3, RFC 8414; authentication contract §6).

use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::extract::{Extension, State};
use axum::http::StatusCode;
use axum::http::header::{self, HeaderMap, HeaderValue};
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use model::seal::digest;
use model::tenants::{self, Tenant};
use model::{App, TenantId, protocol};
use serde_json::{Value, json};

use crate::authorize::request::MULTI_FACTOR;
use crate::visit::Visit;

/// In the extensions of an answer that is the same for everybody who asks the host for the path, as long as nothing that is configured
/// changes: it may be given again.
#[derive(Clone, Debug)]
pub struct ForEverybody {
    /// Whose document it is.
    pub tenant: TenantId,
    /// The whole body.
    pub body: Bytes,
}

/// A document as it is sent, and its entity tag (RFC 9110 §8.8.3).
#[derive(Clone)]
struct Document {
    text: Bytes,
    etag: HeaderValue,
}

impl Document {
    fn new(text: Bytes, etag: &str) -> Result<Self, db::Error> {
        let etag = HeaderValue::from_str(etag);
        Ok(Self { text, etag: etag.map_err(|error| db::Error::Failed(error.to_string()))? })
    }

    /// The document, or 304 to who has it already.
    fn answer(self, tenant: &Tenant, asked: &HeaderMap) -> Response {
        let mut response = match is_known(asked, self.etag.as_bytes()) {
            true => StatusCode::NOT_MODIFIED.into_response(),
            false => {
                let mut response = Response::new(Body::from(self.text.clone()));
                response.extensions_mut().insert(ForEverybody { tenant: tenant.id.clone(), body: self.text });
                response
            }
        };
        let headers = response.headers_mut();
        // With room for what every answer carries.
        headers.reserve(16);
        headers.insert(header::CACHE_CONTROL, CACHED);
        headers.insert(header::CONTENT_TYPE, JSON);
        headers.insert(header::ETAG, self.etag);
        response
    }
}

const JSON: HeaderValue = HeaderValue::from_static("application/json; charset=utf-8");
const CACHED: HeaderValue =
    HeaderValue::from_static("public, max-age=15, stale-while-revalidate=15, stale-if-error=86400");

/// Whether the asker holds what has this tag: a list or `*`, and weak tags count (RFC 9110 §13.1.2).
fn is_known(asked: &HeaderMap, etag: &[u8]) -> bool {
    let lines = asked.get_all(header::IF_NONE_MATCH).iter();
    let mut tags = lines.flat_map(|line| line.as_bytes().split(|byte| *byte == b',')).map(<[u8]>::trim_ascii);
    tags.any(|tag| tag == b"*" || tag.strip_prefix(b"W/").unwrap_or(tag) == etag)
}

/// `GET /.well-known/openid-configuration` and `/.well-known/oauth-authorization-server`: what is really offered.
pub async fn configuration(
    State(app): State<App>,
    Extension(tenant): Extension<Arc<Tenant>>,
    asked: HeaderMap,
) -> Response {
    match described(&app, &tenant).await {
        Ok(kept) => kept.answer(&tenant, &asked),
        Err(error) => Visit::json_error(error),
    }
}

/// The document, kept under all that it is made from: a changed setting leads to another one.
async fn described(app: &App, tenant: &Tenant) -> Result<Document, db::Error> {
    let settings = tenants::settings(app, &tenant.id).await?;
    let protocol = protocol::find(app, &tenant.id).await?;
    let offered = Offered {
        end_session: settings.publishes_end_session(),
        pushed_requests: settings.pushed_authorization_requests_supported == Some(true),
        must_push: protocol.require_pushed_authorization_requests,
        strict: protocol.strict,
        registration: settings.flag("enable_dynamic_client_registration"),
        certificates: settings.takes_certificates(),
    };
    let made_from = format!("{offered:?} {}", tenant.issuer);
    let make = async {
        let text = document(&tenant.issuer, offered).to_string();
        let etag = format!("\"{}\"", URL_SAFE_NO_PAD.encode(digest(&text)));
        Document::new(text.into(), &etag).map(Some)
    };
    let kept = app.db.cached("discovery", tenant.id.as_str(), &made_from, make).await?;
    kept.map(|kept| Document::clone(&kept)).ok_or_else(|| db::Error::Failed("it is always made".into()))
}

/// What of a tenant's endpoints is a matter of its settings.
#[derive(Clone, Copy, Debug, Default)]
struct Offered {
    end_session: bool,
    pushed_requests: bool,
    must_push: bool,
    strict: bool,
    registration: bool,
    certificates: bool,
}

/// `GET /.well-known/jwks.json`: the public signing keys, current, next and previous.
pub async fn jwks(
    State(app): State<App>,
    Extension(tenant): Extension<Arc<Tenant>>,
    asked: HeaderMap,
) -> Response {
    match key_set(&app, &tenant).await {
        Ok(kept) => kept.answer(&tenant, &asked),
        Err(error) => Visit::json_error(error),
    }
}

async fn key_set(app: &App, tenant: &Tenant) -> Result<Document, db::Error> {
    let published = app.keys.published(app, &tenant.id).await?;
    Document::new(Bytes::from_owner(Arc::clone(&published.jwks)), &published.jwks_etag)
}

/// The grant types of the specifications.
const GRANT_TYPES: [&str; 7] = [
    "authorization_code",
    "implicit",
    "refresh_token",
    "client_credentials",
    "password",
    "urn:ietf:params:oauth:grant-type:device_code",
    "urn:ietf:params:oauth:grant-type:token-exchange",
];

fn document(issuer: &str, offered: Offered) -> Value {
    let at = |path: &str| format!("{issuer}{path}");
    let mut document = json!({
        "issuer": issuer,
        "authorization_endpoint": at("authorize"),
        "token_endpoint": at("oauth/token"),
        "device_authorization_endpoint": at("oauth/device/code"),
        "userinfo_endpoint": at("userinfo"),
        "mfa_challenge_endpoint": at("mfa/challenge"),
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
        "response_modes_supported": [
            "query", "fragment", "form_post", "jwt", "query.jwt", "fragment.jwt", "form_post.jwt"
        ],
        "subject_types_supported": ["public", "pairwise"],
        "token_endpoint_auth_methods_supported": [
            "client_secret_basic", "client_secret_post", "private_key_jwt", "client_secret_jwt", "none"
        ],
        "token_endpoint_auth_signing_alg_values_supported": ["RS256", "RS384", "PS256", "HS256"],
        "claims_supported": [
            "acr", "address", "aud", "auth_time", "birthdate", "created_at", "email", "email_verified", "exp",
            "family_name", "gender", "given_name", "iat", "identities", "iss", "locale", "middle_name", "name",
            "nickname", "phone_number", "phone_number_verified", "picture", "preferred_username", "profile", "sub",
            "updated_at", "website", "zoneinfo"
        ],
        "claims_parameter_supported": true,
        "acr_values_supported": [MULTI_FACTOR],
        "request_uri_parameter_supported": false,
        "request_parameter_supported": true,
        "request_object_signing_alg_values_supported": ["RS256", "RS384", "PS256"],
        "dpop_signing_alg_values_supported": ["ES256"],
        "id_token_signing_alg_values_supported": ["HS256", "RS256", "RS512", "PS256", "ES256", "EdDSA"],
        "userinfo_signing_alg_values_supported": ["RS256", "RS512", "PS256", "ES256", "EdDSA"],
        "authorization_signing_alg_values_supported": ["RS256", "RS512", "PS256", "ES256", "EdDSA"],
        "backchannel_authentication_endpoint": at("bc-authorize"),
        "backchannel_token_delivery_modes_supported": ["poll"],
        "backchannel_logout_supported": true,
        "backchannel_logout_session_supported": true,
    });
    if offered.end_session {
        document["end_session_endpoint"] = at("oidc/logout").into();
    }
    if offered.pushed_requests {
        document["pushed_authorization_request_endpoint"] = at("oauth/par").into();
        document["require_pushed_authorization_requests"] = offered.must_push.into();
    }
    if offered.registration {
        document["registration_endpoint"] = at("oidc/register").into();
    }
    if offered.certificates {
        offer_certificates(&mut document);
    }
    if offered.strict {
        document["authorization_response_iss_parameter_supported"] = true.into();
        // Without it there would be but the code and implicit grants (RFC 8414 §2).
        document["grant_types_supported"] = json!(GRANT_TYPES);
    }
    document
}

/// RFC 8705 §3.3, §5: the same endpoints, which the operator has ask for certificates.
fn offer_certificates(document: &mut Value) {
    if let Some(methods) = document["token_endpoint_auth_methods_supported"].as_array_mut() {
        methods.extend(["tls_client_auth", "self_signed_tls_client_auth"].map(Value::from));
    }
    document["tls_client_certificate_bound_access_tokens"] = true.into();
    let aliased = [
        "token_endpoint",
        "device_authorization_endpoint",
        "userinfo_endpoint",
        "revocation_endpoint",
        "pushed_authorization_request_endpoint",
    ];
    let aliases = aliased.iter().filter_map(|name| Some(((*name).to_owned(), document.get(*name)?.clone())));
    document["mtls_endpoint_aliases"] = Value::Object(aliases.collect());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_document_names_only_what_there_is() {
        let document = document("https://a.test/", Offered { end_session: true, ..Offered::default() });
        assert_eq!(document["issuer"], "https://a.test/");
        assert_eq!(document["end_session_endpoint"], "https://a.test/oidc/logout");
        assert_eq!(document["code_challenge_methods_supported"], json!(["S256"]));
        for absent in [
            "registration_endpoint",
            "grant_types_supported",
            "pushed_authorization_request_endpoint",
            "authorization_response_iss_parameter_supported",
        ] {
            assert!(document.get(absent).is_none(), "{absent}");
        }
        assert!(super::document("https://a.test/", Offered::default()).get("end_session_endpoint").is_none());
    }
}

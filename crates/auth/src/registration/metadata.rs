//! What a client says of itself (RFC 7591 §2, OpenID Connect Registration §2).

use axum::http::StatusCode;
use model::clients::{Client, Registration, urls};
use model::document::{DEEPEST, is_shallow};
use model::jose::Algorithm;
use model::protocol::ClientProtocol;
use serde_json::{Map, Value, json};
use url::{Host, Url};

use crate::authorize::response::ResponseType;
use crate::errors::OAuthError;

/// The most addresses of one kind.
const MOST: usize = 50;
/// The longest body, in bytes: of a client everything is kept, and held in memory while it is used.
const LONGEST: usize = 64 * 1024;
/// The longest set of keys, in bytes as it is kept.
const LONGEST_KEYS: usize = 16 * 1024;

/// The longest time, in seconds.
const MOST_SECONDS: i64 = i32::MAX as i64;

/// The longest name.
const LONGEST_NAME: usize = 255;

/// The grants that a client may register for.
const GRANTS: [&str; 3] = ["authorization_code", "implicit", "refresh_token"];

/// How a client may prove itself.
const METHODS: [&str; 4] = ["none", "client_secret_basic", "client_secret_post", "private_key_jwt"];

/// By which algorithms a client may sign.
const CLIENT_ALGORITHMS: [&str; 3] = ["RS256", "RS384", "PS256"];

/// By which keys of ours a client may have things signed.
const ALGORITHMS: [&str; 5] = ["RS256", "RS512", "PS256", "ES256", "EdDSA"];

/// Metadata that was checked.
#[derive(Debug)]
pub struct Metadata {
    name: String,
    redirect_uris: Vec<String>,
    grant_types: Vec<String>,
    response_types: Vec<String>,
    method: String,
    application_type: String,
    post_logout_redirect_uris: Option<Vec<String>>,
    logo_uri: Option<String>,
    initiate_login_uri: Option<String>,
    policy_uri: Option<String>,
    tos_uri: Option<String>,
    backchannel_logout_uri: Option<String>,
    backchannel_logout_session_required: Option<bool>,
    /// `jwks` as it was given, and what of it becomes a credential of the client.
    jwks: Option<Value>,
    keys: Vec<Value>,
    jwks_uri: Option<String>,
    pairwise: bool,
    /// `sector_identifier_uri`.
    pub sector_identifier_uri: Option<String>,
    id_token_alg: Option<String>,
    /// `userinfo_signed_response_alg`.
    pub userinfo_alg: Option<String>,
    /// `authorization_signed_response_alg`.
    pub authorization_alg: Option<String>,
    default_max_age: Option<i64>,
    require_auth_time: bool,
    request_object_alg: Option<String>,
    must_push: bool,
    must_prove: bool,
}

/// 400 `invalid_client_metadata` (RFC 7591 §3.2.2).
pub fn invalid(description: impl Into<std::borrow::Cow<'static, str>>) -> OAuthError {
    OAuthError::new(StatusCode::BAD_REQUEST, "invalid_client_metadata", description)
}

impl Metadata {
    /// Reads the body. What is not known is left out (RFC 7591 §2).
    pub fn read(body: &[u8]) -> Result<Self, OAuthError> {
        if body.len() > LONGEST {
            return Err(invalid("The body is too long"));
        }
        let body: Value =
            serde_json::from_slice(body).map_err(|_| invalid("The body is not a JSON object"))?;
        if !is_shallow(&body, DEEPEST) {
            return Err(invalid("The body nests too deep"));
        }
        let body = body.as_object().ok_or_else(|| invalid("The body is not a JSON object"))?;
        let redirect_uris = texts(body, "redirect_uris")?.unwrap_or_default();
        if redirect_uris.is_empty() || !redirect_uris.iter().all(|uri| may_redirect(uri)) {
            let description =
                "redirect_uris must hold full addresses: https, http of this machine, or an app's own scheme";
            return Err(OAuthError::new(StatusCode::BAD_REQUEST, "invalid_redirect_uri", description));
        }
        let method = one_of(body, "token_endpoint_auth_method", &METHODS)?;
        let metadata = Self {
            name: name(body)?,
            redirect_uris,
            grant_types: grant_types(body)?,
            response_types: texts(body, "response_types")?.unwrap_or_else(|| vec!["code".to_owned()]),
            method: method.unwrap_or_else(|| "client_secret_basic".to_owned()),
            application_type: one_of(body, "application_type", &["web", "native"])?
                .unwrap_or_else(|| "web".to_owned()),
            post_logout_redirect_uris: destinations(body)?,
            logo_uri: web_page(body, "logo_uri")?,
            initiate_login_uri: web_page(body, "initiate_login_uri")?,
            policy_uri: web_page(body, "policy_uri")?,
            tos_uri: web_page(body, "tos_uri")?,
            backchannel_logout_uri: web_page(body, "backchannel_logout_uri")?,
            backchannel_logout_session_required: body
                .contains_key("backchannel_logout_session_required")
                .then(|| flag(body, "backchannel_logout_session_required"))
                .transpose()?,
            keys: keys(body)?,
            jwks: body.get("jwks").filter(|value| !value.is_null()).cloned(),
            jwks_uri: web_page(body, "jwks_uri")?,
            pairwise: one_of(body, "subject_type", &["public", "pairwise"])?.as_deref() == Some("pairwise"),
            sector_identifier_uri: web_page(body, "sector_identifier_uri")?,
            id_token_alg: one_of(body, "id_token_signed_response_alg", &ALGORITHMS)?,
            userinfo_alg: one_of(body, "userinfo_signed_response_alg", &ALGORITHMS)?,
            authorization_alg: one_of(body, "authorization_signed_response_alg", &ALGORITHMS)?,
            default_max_age: seconds(body, "default_max_age")?,
            require_auth_time: flag(body, "require_auth_time")?,
            request_object_alg: one_of(body, "request_object_signing_alg", &CLIENT_ALGORITHMS)?,
            must_push: flag(body, "require_pushed_authorization_requests")?,
            must_prove: flag(body, "dpop_bound_access_tokens")?,
        };
        metadata.fits()?;
        Ok(metadata)
    }

    /// What holds between them (RFC 7591 §2.1).
    fn fits(&self) -> Result<(), OAuthError> {
        for text in &self.response_types {
            let parsed =
                ResponseType::parse(text).ok_or_else(|| invalid("response_types holds an unknown one"))?;
            let needed = [(parsed.code, "authorization_code"), (parsed.front_channel(), "implicit")];
            let has = |grant: &str| self.grant_types.iter().any(|listed| listed == grant);
            if needed.into_iter().any(|(needed, grant)| needed && !has(grant)) {
                return Err(invalid("response_types does not fit grant_types"));
            }
        }
        if self.jwks.is_some() && self.jwks_uri.is_some() {
            return Err(invalid("jwks and jwks_uri exclude each other"));
        }
        if self.method == "private_key_jwt" && self.keys.is_empty() && self.jwks_uri.is_none() {
            return Err(invalid(
                "token_endpoint_auth_method private_key_jwt needs an RSA key in jwks, or a jwks_uri",
            ));
        }
        // OpenID Connect Core §8.1: callbacks on several hosts need a document that joins them.
        if self.pairwise && self.sector_identifier_uri.is_none() && self.host().is_none() {
            return Err(invalid(
                "pairwise clients with callbacks on several hosts need a sector_identifier_uri",
            ));
        }
        Ok(())
    }

    /// The host of the callbacks, where they share one.
    fn host(&self) -> Option<String> {
        let mut hosts =
            self.redirect_uris.iter().map(|uri| Some(Url::parse(uri).ok()?.host_str()?.to_owned()));
        let first = hosts.next()??;
        hosts.all(|host| host.as_ref() == Some(&first)).then_some(first)
    }

    /// The addresses that we would speak to, by their names.
    pub fn spoken_to(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let all = [
            ("jwks_uri", &self.jwks_uri),
            ("sector_identifier_uri", &self.sector_identifier_uri),
            ("backchannel_logout_uri", &self.backchannel_logout_uri),
        ];
        all.into_iter().filter_map(|(name, uri)| Some((name, uri.as_deref()?)))
    }

    /// Where it may be answered.
    pub fn redirect_uris(&self) -> &[String] {
        &self.redirect_uris
    }

    /// What is Doorward's own to say of the client, beside `strict`.
    pub fn protocol(&self, strict: Option<bool>) -> ClientProtocol {
        let sector = match &self.sector_identifier_uri {
            Some(uri) => Url::parse(uri).ok().and_then(|url| Some(url.host_str()?.to_owned())),
            None => self.host(),
        };
        ClientProtocol {
            strict,
            userinfo_signed_response_alg: self.userinfo_alg.clone(),
            authorization_signed_response_alg: self.authorization_alg.clone(),
            jwks_uri: self.jwks_uri.clone(),
            subject_type: self.pairwise.then(|| "pairwise".to_owned()),
            sector_identifier: sector.filter(|_| self.pairwise),
            policy_uri: self.policy_uri.clone(),
            tos_uri: self.tos_uri.clone(),
            default_max_age: self.default_max_age,
            require_auth_time: self.require_auth_time.then_some(true),
            request_object_signing_alg: self.request_object_alg.clone(),
            fapi2_security_profile: None,
        }
    }

    /// Notes what the client itself has no place for.
    pub fn note(&self, registration: &mut Registration) {
        registration.response_types.clone_from(&self.response_types);
        registration.sector_identifier_uri.clone_from(&self.sector_identifier_uri);
        registration.jwks.clone_from(&self.jwks);
        registration.backchannel_logout_session_required = self.backchannel_logout_session_required;
    }

    /// The metadata of a client that registered itself, as it stands now: its tenant may have changed it.
    pub fn of(client: &Client, registration: &Registration) -> Self {
        let ClientProtocol { jwks_uri, policy_uri, tos_uri, .. } = client.protocol.clone();
        let method = match &client.client_authentication_methods {
            Some(_) => "private_key_jwt",
            None => client.token_endpoint_auth_method.as_deref().unwrap_or("client_secret_basic"),
        };
        Self {
            name: client.name.clone(),
            redirect_uris: client.callbacks.clone().unwrap_or_default(),
            grant_types: client.grant_types.clone().unwrap_or_default(),
            response_types: registration.response_types.clone(),
            method: method.to_owned(),
            application_type: if client.app_type.as_deref() == Some("native") { "native" } else { "web" }
                .to_owned(),
            post_logout_redirect_uris: client.allowed_logout_urls.clone(),
            logo_uri: client.logo_uri.clone(),
            initiate_login_uri: client.initiate_login_uri.clone(),
            policy_uri,
            tos_uri,
            backchannel_logout_uri: client.backchannel_logout_url().map(str::to_owned),
            backchannel_logout_session_required: registration.backchannel_logout_session_required,
            jwks: registration.jwks.clone(),
            keys: Vec::new(),
            jwks_uri,
            pairwise: client.protocol.subject_type.as_deref() == Some("pairwise"),
            sector_identifier_uri: registration.sector_identifier_uri.clone(),
            id_token_alg: Some(client.id_token_algorithm().to_owned()),
            userinfo_alg: client.protocol.userinfo_signed_response_alg.clone(),
            authorization_alg: client.protocol.authorization_signed_response_alg.clone(),
            default_max_age: client.protocol.default_max_age,
            require_auth_time: client.protocol.require_auth_time == Some(true),
            request_object_alg: client.protocol.request_object_signing_alg.clone(),
            must_push: client.require_pushed_authorization_requests == Some(true),
            must_prove: client.require_proof_of_possession == Some(true),
        }
    }

    /// Whether the client has a secret to keep.
    pub fn keeps_secret(&self) -> bool {
        self.method.starts_with("client_secret")
    }

    /// The algorithms that it selects.
    pub fn algorithms(&self) -> impl Iterator<Item = Algorithm> {
        let named = [&self.id_token_alg, &self.userinfo_alg, &self.authorization_alg];
        named.into_iter().flatten().filter_map(|name| Algorithm::from_name(name))
    }

    /// The client as the model makes it; what was not said is `null`, so that it replaces what was said before.
    pub fn client_body(&self) -> Map<String, Value> {
        let app_type = if self.application_type == "native" { "native" } else { "regular_web" };
        let mut body = Map::from_iter([
            ("name".to_owned(), json!(self.name)),
            ("app_type".to_owned(), json!(app_type)),
            ("callbacks".to_owned(), json!(self.redirect_uris)),
            ("grant_types".to_owned(), json!(self.grant_types)),
            ("require_pushed_authorization_requests".to_owned(), json!(self.must_push)),
            ("require_proof_of_possession".to_owned(), json!(self.must_prove)),
            (
                "jwt_configuration".to_owned(),
                json!({ "alg": self.id_token_alg.as_deref().unwrap_or("RS256") }),
            ),
        ]);
        let proves_by_key = self.method == "private_key_jwt";
        let logout =
            self.backchannel_logout_uri.as_ref().map(|uri| json!({ "backchannel_logout_urls": [uri] }));
        let by_key = json!({ "private_key_jwt": { "credentials": self.keys } });
        let signed = json!({ "credentials": self.keys });
        let optional = [
            ("token_endpoint_auth_method", json!((!proves_by_key).then_some(&self.method))),
            ("client_authentication_methods", json!(proves_by_key.then_some(by_key))),
            ("signed_request_object", json!((!self.keys.is_empty()).then_some(signed))),
            ("allowed_logout_urls", json!(self.post_logout_redirect_uris)),
            ("logo_uri", json!(self.logo_uri)),
            ("initiate_login_uri", json!(self.initiate_login_uri)),
            ("oidc_logout", json!(logout)),
        ];
        body.extend(optional.map(|(name, value)| (name.to_owned(), value)));
        body
    }

    /// The metadata as it was registered.
    pub fn to_wire(&self) -> Map<String, Value> {
        let all = [
            ("client_name", json!(self.name)),
            ("redirect_uris", json!(self.redirect_uris)),
            ("grant_types", json!(self.grant_types)),
            ("response_types", json!(self.response_types)),
            ("token_endpoint_auth_method", json!(self.method)),
            ("application_type", json!(self.application_type)),
            ("subject_type", json!(if self.pairwise { "pairwise" } else { "public" })),
            ("sector_identifier_uri", json!(self.sector_identifier_uri)),
            ("id_token_signed_response_alg", json!(self.id_token_alg.as_deref().unwrap_or("RS256"))),
            ("userinfo_signed_response_alg", json!(self.userinfo_alg)),
            ("authorization_signed_response_alg", json!(self.authorization_alg)),
            ("post_logout_redirect_uris", json!(self.post_logout_redirect_uris)),
            ("logo_uri", json!(self.logo_uri)),
            ("initiate_login_uri", json!(self.initiate_login_uri)),
            ("policy_uri", json!(self.policy_uri)),
            ("tos_uri", json!(self.tos_uri)),
            ("jwks_uri", json!(self.jwks_uri)),
            ("jwks", json!(self.jwks)),
            ("backchannel_logout_uri", json!(self.backchannel_logout_uri)),
            ("backchannel_logout_session_required", json!(self.backchannel_logout_session_required)),
            ("default_max_age", json!(self.default_max_age)),
            ("require_auth_time", json!(self.require_auth_time.then_some(true))),
            ("request_object_signing_alg", json!(self.request_object_alg)),
            ("require_pushed_authorization_requests", json!(self.must_push.then_some(true))),
            ("dpop_bound_access_tokens", json!(self.must_prove.then_some(true))),
        ];
        all.into_iter()
            .filter(|(_, value)| !value.is_null())
            .map(|(name, value)| (name.to_owned(), value))
            .collect()
    }
}

/// A list of texts.
fn texts(body: &Map<String, Value>, name: &str) -> Result<Option<Vec<String>>, OAuthError> {
    let refused = || invalid(format!("{name} must be a list of texts"));
    let Some(value) = body.get(name).filter(|value| !value.is_null()) else { return Ok(None) };
    let items = value.as_array().filter(|items| items.len() <= MOST).ok_or_else(refused)?;
    items.iter().map(|item| text_of(item).ok_or_else(refused)).collect::<Result<_, _>>().map(Some)
}

/// A text that a database takes.
fn text_of(value: &Value) -> Option<String> {
    value.as_str().filter(|text| !text.contains('\0') && text.len() <= 2048).map(str::to_owned)
}

fn text(body: &Map<String, Value>, name: &str) -> Result<Option<String>, OAuthError> {
    match body.get(name).filter(|value| !value.is_null()) {
        None => Ok(None),
        Some(value) => text_of(value).map(Some).ok_or_else(|| invalid(format!("{name} must be a text"))),
    }
}

fn flag(body: &Map<String, Value>, name: &str) -> Result<bool, OAuthError> {
    match body.get(name).filter(|value| !value.is_null()) {
        None => Ok(false),
        Some(value) => value.as_bool().ok_or_else(|| invalid(format!("{name} must be true or false"))),
    }
}

/// A number of seconds, not below zero.
fn seconds(body: &Map<String, Value>, name: &str) -> Result<Option<i64>, OAuthError> {
    let Some(value) = body.get(name).filter(|value| !value.is_null()) else { return Ok(None) };
    let seconds = value.as_i64().filter(|seconds| (0..=MOST_SECONDS).contains(seconds));
    seconds.map(Some).ok_or_else(|| invalid(format!("{name} must be a number of seconds")))
}

fn one_of(body: &Map<String, Value>, name: &str, allowed: &[&str]) -> Result<Option<String>, OAuthError> {
    let given = text(body, name)?;
    match given.as_deref() {
        Some(given) if !allowed.contains(&given) => {
            Err(invalid(format!("{name} must be one of {}", allowed.join(", "))))
        }
        _ => Ok(given),
    }
}

fn name(body: &Map<String, Value>) -> Result<String, OAuthError> {
    let name = text(body, "client_name")?.unwrap_or_else(|| "Unnamed client".to_owned());
    if name.is_empty() || name.len() > LONGEST_NAME || name.contains(['<', '>']) {
        return Err(invalid("client_name must be short, and hold neither < nor >"));
    }
    Ok(name)
}

fn grant_types(body: &Map<String, Value>) -> Result<Vec<String>, OAuthError> {
    let given = texts(body, "grant_types")?.unwrap_or_else(|| vec!["authorization_code".to_owned()]);
    if given.iter().all(|grant| GRANTS.contains(&grant.as_str())) {
        Ok(given)
    } else {
        Err(invalid(format!("grant_types may hold {}", GRANTS.join(", "))))
    }
}

fn destinations(body: &Map<String, Value>) -> Result<Option<Vec<String>>, OAuthError> {
    let given = texts(body, "post_logout_redirect_uris")?;
    match given.iter().flatten().all(|uri| may_redirect(uri)) {
        true => Ok(given),
        false => Err(invalid("post_logout_redirect_uris must hold full addresses")),
    }
}

fn web_page(body: &Map<String, Value>, name: &str) -> Result<Option<String>, OAuthError> {
    let given = text(body, name)?;
    match given.as_deref() {
        Some(uri) if !(uri.starts_with("https://") && urls::is_web_page(uri)) => {
            Err(invalid(format!("{name} must be an https address")))
        }
        _ => Ok(given),
    }
}

/// The keys of `jwks` that verify what the client signs, each as the body of a credential: RSA keys. Others are kept and not used.
fn keys(body: &Map<String, Value>) -> Result<Vec<Value>, OAuthError> {
    let Some(set) = body.get("jwks").filter(|value| !value.is_null()) else { return Ok(Vec::new()) };
    let keys = set.get("keys").and_then(Value::as_array).ok_or_else(|| invalid("jwks must be a key set"))?;
    if keys.is_empty() || keys.len() > MOST || !keys.iter().all(Value::is_object) {
        return Err(invalid("jwks must be a key set"));
    }
    if set.to_string().len() > LONGEST_KEYS {
        return Err(invalid("jwks is too long"));
    }
    let secret = ["d", "p", "q", "k"];
    if keys.iter().any(|key| secret.iter().any(|member| key.get(member).is_some())) {
        return Err(invalid("jwks must hold public keys alone"));
    }
    let signs = |key: &&Value| {
        let algorithm = key.get("alg").and_then(Value::as_str);
        key.get("kty").is_some_and(|kind| kind == "RSA")
            && key.get("use").is_none_or(|usage| usage == "sig")
            && algorithm.is_none_or(|name| CLIENT_ALGORITHMS.contains(&name))
    };
    let keys: Vec<_> = keys.iter().filter(signs).collect();
    if keys.len() > model::clients::MOST_IN_USE {
        return Err(invalid("jwks must hold no more than two RSA keys for signatures"));
    }
    let credential = |key: &Value| {
        let mut credential = json!({ "credential_type": "public_key", "pem": key.to_string() });
        for name in ["alg", "kid"] {
            if let Some(value) = key.get(name).and_then(Value::as_str) {
                credential[name] = value.into();
            }
        }
        credential
    };
    Ok(keys.into_iter().map(credential).collect())
}

/// Whether a stranger's app may be answered there: no wildcard, no fragment, and plain http on this machine alone.
fn may_redirect(uri: &str) -> bool {
    if uri.contains(['*', '{', '}']) || !urls::may_be_callback(uri) {
        return false;
    }
    let Ok(url) = Url::parse(uri) else { return false };
    match url.scheme() {
        "http" => match url.host() {
            Some(Host::Domain(domain)) => domain == "localhost",
            Some(Host::Ipv4(address)) => address.is_loopback(),
            Some(Host::Ipv6(address)) => address.is_loopback(),
            None => false,
        },
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stranger_is_answered_over_https_or_on_this_machine() {
        for good in [
            "https://app.test/cb",
            "http://localhost:8080/cb",
            "http://127.0.0.1/cb",
            "http://[::1]:9/cb",
            "com.app:/cb",
        ] {
            assert!(may_redirect(good), "{good}");
        }
        for bad in [
            "http://app.test/cb",
            "https://*.app.test/cb",
            "https://app.test/cb#f",
            "javascript:alert(1)",
            "/cb",
            "",
            "https://a.test/{x}",
        ] {
            assert!(!may_redirect(bad), "{bad}");
        }
    }
}

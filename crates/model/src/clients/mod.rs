//! Applications.

mod credentials;
mod origins;
mod registration;
mod signing;
mod store;
#[cfg(test)]
mod tests;
pub mod urls;

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json, json};

pub(crate) use credentials::certificate_of;
pub use credentials::{
    CREDENTIAL_HOLDERS, Credential, CredentialError, CredentialType, MOST_IN_USE, show_credentials,
    take_credentials,
};
pub use origins::{find_by_callback, origin_listed};
pub use registration::{Registration, admit};
pub use store::{Filter, find, insert, list, load, remove, save, secret, secrets, set_secret};

use crate::clock::Timestamp;
use crate::ids::ClientId;
use crate::protocol::ClientProtocol;
use crate::random::Random;
use crate::users::merge_metadata;
use crate::{document, seal};

/// A client: but for its secret, what `GET /api/v2/clients/{id}` answers (see [`Client::to_wire`]).
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct Client {
    /// Whether it is the one that stands for all applications; nobody signs in with it.
    #[serde(default)]
    pub global: bool,
    /// Whether the client may tell the end user's address.
    #[serde(default)]
    pub is_token_endpoint_ip_header_trusted: bool,
    /// Free text without `<` and `>`; need not be unique.
    pub name: String,
    /// What it is for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Audiences of older delegation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub allowed_clients: Option<Vec<String>>,
    /// Where logout may return to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub allowed_logout_urls: Option<Vec<String>>,
    /// Where authorization responses may go.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub callbacks: Option<Vec<String>>,
    /// Free data: at most 10 keys of at most 255 characters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_metadata: Option<Map<String, Json>>,
    /// Whether pages of other origins may sign in (`/co/authenticate`); sent as `cross_origin_auth` also.
    #[serde(default)]
    pub cross_origin_authentication: bool,
    /// Where cross-origin sign-in falls back to without third-party cookies.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cross_origin_loc: Option<String>,
    /// Whether it belongs to the tenant's owner.
    #[serde(default)]
    pub is_first_party: bool,
    /// Whether it keeps to OpenID Connect without the older service's additions.
    #[serde(default)]
    pub oidc_conformant: bool,
    /// How its refresh tokens rotate and expire.
    #[serde(default)]
    pub refresh_token: RefreshTokens,
    /// Older switch of single sign-on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sso: Option<bool>,
    /// Whether single sign-on is off.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sso_disabled: Option<bool>,
    /// Origins of pages that may call the API.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub allowed_origins: Option<Vec<String>>,
    /// 32 alphanumerics.
    pub client_id: ClientId,
    /// The logo on consent pages.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub logo_uri: Option<String>,
    /// Where to begin a login that did not begin at the client.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub initiate_login_uri: Option<String>,
    /// How its ID tokens are made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jwt_configuration: Option<JwtConfiguration>,
    /// Audiences of SAML.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_aliases: Option<Vec<String>>,
    /// Keys and certificates by which it proves itself; takes the place of `token_endpoint_auth_method`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_authentication_methods: Option<Json>,
    /// `none`, `client_secret_post` or `client_secret_basic`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token_endpoint_auth_method: Option<String>,
    /// `spa`, `native`, `regular_web`, `non_interactive`, …
    #[serde(skip_serializing_if = "Option::is_none")]
    pub app_type: Option<String>,
    /// The grant types it may use.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub grant_types: Option<Vec<String>>,
    /// Origins whose pages may receive a `web_message` response, and may call the API.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub web_origins: Option<Vec<String>>,
    /// Whether the classic login page is the tenant's own.
    #[serde(default)]
    pub custom_login_page_on: bool,
    /// The tenant's own classic login page.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub custom_login_page: Option<String>,
    /// `deny`, `allow` or `require`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub organization_usage: Option<String>,
    /// `no_prompt`, `pre_login_prompt` or `post_login_prompt`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub organization_require_behavior: Option<String>,
    /// Back-channel logout.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub oidc_logout: Option<Json>,
    /// Whether authorization requests must be pushed first (RFC 9126).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub require_pushed_authorization_requests: Option<bool>,
    /// Whether its tokens must be bound to a key (RFC 9449).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub require_proof_of_possession: Option<bool>,
    /// Whether a callback that anyone's program may claim gets along without a confirmation page.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub skip_non_verifiable_callback_uri_confirmation_prompt: Option<bool>,
    /// `allow_always` or `open_redirect_protection`: whether errors go to the callback.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub redirection_policy: Option<String>,
    /// The API whose back end this client is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resource_server_identifier: Option<String>,
    /// Its keys and certificates.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub credentials: Vec<Credential>,
    /// What is Doorward's own to say of it; never answered with the rest.
    #[serde(default, skip_serializing_if = "ClientProtocol::is_unset")]
    pub protocol: ClientProtocol,
    /// How it registered itself, if it did; never answered with the rest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub registration: Option<Registration>,
    /// Settings that are kept as given.
    #[serde(flatten)]
    pub other: Map<String, Json>,
    /// When it was made.
    #[serde(skip)]
    pub created_at: Timestamp,
    /// The row's version.
    #[serde(skip)]
    pub version: i64,
    /// SHA-256 of its secret.
    #[serde(skip)]
    secret_digest: [u8; 32],
    /// The origins that the database has for it.
    #[serde(skip)]
    stored_origins: Vec<String>,
}

/// How refresh tokens rotate and expire.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct RefreshTokens {
    /// `expiring` or `non-expiring`.
    pub expiration_type: String,
    /// Seconds in which a rotated token still works.
    pub leeway: i64,
    /// Whether there is no end to `token_lifetime`.
    pub infinite_token_lifetime: bool,
    /// Whether there is no end to `idle_token_lifetime`.
    pub infinite_idle_token_lifetime: bool,
    /// Seconds that a token and its successors last.
    pub token_lifetime: i64,
    /// Seconds without use after which a token ends.
    pub idle_token_lifetime: i64,
    /// `rotating` or `non-rotating`.
    pub rotation_type: String,
    /// APIs for which the token may be exchanged.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub policies: Option<Vec<RefreshPolicy>>,
}

/// An API for which a refresh token may be exchanged besides its own (authentication contract §3.4).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RefreshPolicy {
    /// The API's identifier.
    pub audience: String,
    /// The scopes that it gives there.
    pub scope: Vec<String>,
}

impl Default for RefreshTokens {
    /// What a new client has (management contract §4.1).
    fn default() -> Self {
        Self {
            expiration_type: "non-expiring".into(),
            leeway: 0,
            infinite_token_lifetime: true,
            infinite_idle_token_lifetime: true,
            token_lifetime: 2_592_000,
            idle_token_lifetime: 1_296_000,
            rotation_type: "non-rotating".into(),
            policies: None,
        }
    }
}

impl RefreshTokens {
    /// What a new client has that proves itself in this way: those that keep a secret get longer lifetimes.
    fn default_for(method: Option<&str>) -> Self {
        match method {
            Some("client_secret_post" | "client_secret_basic") => {
                Self { token_lifetime: 31_557_600, idle_token_lifetime: 2_592_000, ..Self::default() }
            }
            _ => Self::default(),
        }
    }

    /// What a body's `refresh_token` means: expiring tokens are finite unless it says otherwise, others infinite.
    fn complete(given: &Json) -> Json {
        let Json::Object(given) = given else { return json!(Self::default()) };
        let infinite = given.get("expiration_type").and_then(Json::as_str) != Some("expiring");
        let mut whole = document::object(&Self {
            infinite_token_lifetime: infinite,
            infinite_idle_token_lifetime: infinite,
            ..Self::default()
        });
        whole.extend(
            given
                .iter()
                .filter(|(_, value)| !value.is_null())
                .map(|(key, value)| (key.clone(), value.clone())),
        );
        Json::Object(whole)
    }

    /// What it gives on the API besides; none where no policy names it.
    pub fn policy(&self, audience: &str) -> Option<&RefreshPolicy> {
        self.policies.iter().flatten().find(|policy| policy.audience == audience)
    }

    /// Whether each use gives a new token.
    pub fn rotate(&self) -> bool {
        self.rotation_type == "rotating"
    }

    /// Seconds that a token and its successors last, if they end.
    pub fn lifetime(&self) -> Option<i64> {
        (!self.infinite_token_lifetime).then_some(self.token_lifetime)
    }

    /// Seconds without use after which a token ends, if it does.
    pub fn idle_lifetime(&self) -> Option<i64> {
        (!self.infinite_idle_token_lifetime).then_some(self.idle_token_lifetime)
    }
}

/// How a client's ID tokens are made.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct JwtConfiguration {
    /// `RS256`, `HS256`, `PS256`, …; absent until set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub alg: Option<String>,
    /// Seconds that an ID token lasts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lifetime_in_seconds: Option<i64>,
    /// Whether the secret is base64 where it is a key.
    #[serde(default)]
    pub secret_encoded: bool,
    /// Settings that are kept as given.
    #[serde(flatten)]
    pub other: Map<String, Json>,
}

impl fmt::Debug for Client {
    /// What tells one client from another.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("client_id", &self.client_id)
            .field("name", &self.name)
            .field("version", &self.version)
            .finish_non_exhaustive()
    }
}

/// A new client's id.
pub fn new_id(random: &Random) -> ClientId {
    random.alphanumeric(32).into()
}

/// A new client's secret: 64 characters of `A-Za-z0-9_-`.
pub fn new_secret(random: &Random) -> String {
    URL_SAFE_NO_PAD.encode(random.bytes::<48>())
}

impl Client {
    /// A client with what the service fills in, and then what `body` says. It has no secret yet: see [`insert`].
    pub fn new(client_id: ClientId, body: &Map<String, Json>) -> Result<Self, serde_json::Error> {
        let app_type = body.get("app_type").and_then(Json::as_str);
        let method = body.get("token_endpoint_auth_method").and_then(Json::as_str);
        let backs_api = app_type == Some("resource_server");
        let jwt_configuration = if backs_api {
            json!({ "alg": "RS256", "secret_encoded": false })
        } else {
            json!({ "lifetime_in_seconds": 36_000, "secret_encoded": false })
        };
        let mut client: Self = serde_json::from_value(json!({
            "is_first_party": true,
            "name": "",
            "oidc_conformant": backs_api,
            "sso_disabled": false,
            "client_id": client_id,
            "jwt_configuration": jwt_configuration,
            "refresh_token": RefreshTokens::default_for(method),
            "grant_types": default_grant_types(app_type, method),
            "custom_login_page_on": true,
        }))?;
        // What is given takes the place of the whole; only a PATCH merges it.
        client.jwt_configuration =
            client.jwt_configuration.filter(|_| !body.contains_key("jwt_configuration"));
        let mut client = client.patched(body)?;
        client.version = 1;
        Ok(client)
    }

    /// The client that stands for all applications of a tenant.
    pub fn all_applications(client_id: ClientId) -> Self {
        let whole = json!({
            "global": true,
            "is_first_party": true,
            "name": "All Applications",
            "callbacks": [],
            "cross_origin_authentication": true,
            "client_id": client_id,
            "custom_login_page_on": true,
        });
        let client: Self = serde_json::from_value(whole).expect("all its fields are there");
        Self { version: 1, ..client }
    }

    /// The client after a PATCH: keys are replaced whole, `null` unsets; `client_metadata`, `jwt_configuration`,
    /// `session_transfer` and `signed_request_object` merge by key.
    pub fn patched(&self, patch: &Map<String, Json>) -> Result<Self, serde_json::Error> {
        let mut patch = patch.clone();
        if let Some(given) = patch.get_mut("refresh_token") {
            *given = RefreshTokens::complete(given);
        }
        // The older name of a part of `oidc_logout`.
        if let Some(given) = patch.shift_remove("oidc_backchannel_logout") {
            patch.entry("oidc_logout").or_insert(given);
        }
        if let Some(Json::Object(given)) = patch.get_mut("jwt_configuration") {
            let mut whole = self.jwt_configuration.as_ref().map(document::object).unwrap_or_default();
            whole.extend(std::mem::take(given));
            *given = whole;
        }
        for (key, unset) in [("session_transfer", session_transfer()), ("signed_request_object", Map::new())]
        {
            if let Some(Json::Object(given)) = patch.get_mut(key) {
                let mut whole = self.other.get(key).and_then(Json::as_object).cloned().unwrap_or(unset);
                whole.extend(std::mem::take(given));
                whole.retain(|_, value| !value.is_null());
                *given = whole;
            }
        }
        if let Some(Json::Object(given)) = patch.get_mut("client_metadata") {
            *given = merge_metadata(self.client_metadata.clone(), std::mem::take(given)).unwrap_or_default();
        }
        let mut client: Self = document::patch(self, &patch)?;
        client.global = self.global;
        client.protocol = self.protocol.clone();
        client.registration = self.registration.clone();
        client.client_id = self.client_id.clone();
        client.created_at = self.created_at;
        client.version = self.version;
        client.secret_digest = self.secret_digest;
        client.stored_origins.clone_from(&self.stored_origins);
        Ok(client)
    }

    /// Whether it names both ways to prove itself, which exclude each other.
    pub fn has_two_authentication_methods(&self) -> bool {
        self.client_authentication_methods.is_some() && self.token_endpoint_auth_method.is_some()
    }

    /// The body of the Management API's answers, for a caller who may see all of it.
    ///
    /// `tenant` is the tenant's name; `secret` and `signing_keys` are left out when `None`, and the secret of a client
    /// that proves itself by a key always.
    pub fn to_wire(
        &self,
        tenant: &str,
        secret: Option<&str>,
        signing_keys: Option<Json>,
    ) -> Map<String, Json> {
        let mut wire = Map::from_iter([("tenant".to_owned(), Json::from(tenant))]);
        wire.extend(document::object(self));
        wire.shift_remove("credentials");
        wire.shift_remove("protocol");
        wire.shift_remove("registration");
        if self.global {
            for absent in ["is_token_endpoint_ip_header_trusted", "oidc_conformant"] {
                wire.shift_remove(absent);
            }
        } else {
            wire.insert("cross_origin_auth".into(), self.cross_origin_authentication.into());
            wire.insert("callback_url_template".into(), false.into());
        }
        let logout_urls =
            self.oidc_logout.as_ref().and_then(|settings| settings.get("backchannel_logout_urls"));
        if let Some(urls) = logout_urls {
            wire.insert("oidc_backchannel_logout".into(), json!({ "backchannel_logout_urls": urls }));
        }
        if let Some(keys) = signing_keys {
            wire.insert("signing_keys".into(), keys);
        }
        if let (Some(secret), None) = (secret, &self.client_authentication_methods) {
            wire.insert("client_secret".into(), secret.into());
        }
        wire
    }

    /// Whether an authorization response may go to `uri` (authentication contract §1.8).
    pub fn allows_callback(&self, uri: &str) -> bool {
        let matches =
            if self.app_type.as_deref() == Some("native") { urls::matches_native } else { urls::matches };
        self.callbacks.iter().flatten().any(|listed| matches(listed, uri))
    }

    /// Whether a `web_message` response may go to a page of `origin`.
    pub fn allows_web_origin(&self, origin: &str) -> bool {
        self.web_origins.iter().flatten().any(|listed| urls::matches_origin(listed, origin))
    }

    /// Whether a page of `origin` may call the API: it is listed, or a callback leads there (§0.2).
    pub fn allows_origin(&self, origin: &str) -> bool {
        origins::listed(self).any(|listed| urls::matches_origin(listed, origin))
    }

    /// Whether `/v2/logout` may return to `url`: query and fragment do not count.
    pub fn allows_logout_url(&self, url: &str) -> bool {
        self.allowed_logout_urls.iter().flatten().any(|listed| urls::matches_logout(listed, url))
    }

    /// Whether `/oidc/logout` may return to `uri`: compared with its query.
    pub fn allows_post_logout_redirect(&self, uri: &str) -> bool {
        self.allowed_logout_urls.iter().flatten().any(|listed| urls::matches(listed, uri))
    }

    /// Whether it may use the grant type.
    pub fn allows_grant(&self, grant_type: &str) -> bool {
        self.grant_types.iter().flatten().any(|listed| listed == grant_type)
    }

    /// Whether `given` is its secret, compared in constant time.
    pub fn check_secret(&self, given: &str) -> bool {
        seal::same(&seal::digest(given), &self.secret_digest)
    }

    /// Whether it cannot keep a secret: `token_endpoint_auth_method` is `none`, or for apps in a user's hands not set.
    pub fn is_public(&self) -> bool {
        match self.token_endpoint_auth_method.as_deref() {
            Some(method) => method == "none",
            None => {
                self.client_authentication_methods.is_none() && is_in_users_hands(self.app_type.as_deref())
            }
        }
    }

    /// Seconds that a request lives that it pushed, where it says.
    pub fn par_request_expiry(&self) -> Option<i64> {
        self.other.get("par_request_expiry")?.as_i64()
    }

    /// Whether it has keys for signed request objects.
    pub fn signs_requests(&self) -> bool {
        if self.protocol.jwks_uri.is_some() {
            return true;
        }
        let credentials =
            self.other.get("signed_request_object").and_then(|settings| settings.get("credentials"));
        credentials.and_then(Json::as_array).is_some_and(|references| !references.is_empty())
    }

    /// Whether its authorization requests are taken only when they were pushed first (RFC 9126).
    pub fn must_push(&self) -> bool {
        self.require_pushed_authorization_requests == Some(true) || self.protocol.is_fapi2()
    }

    /// Whether its tokens must be bound to a key (RFC 9449).
    pub fn must_prove_possession(&self) -> bool {
        self.require_proof_of_possession == Some(true)
    }

    /// Whether it takes no requests but signed ones.
    pub fn requires_signed_requests(&self) -> bool {
        let required = self.other.get("signed_request_object").and_then(|settings| settings.get("required"));
        required.and_then(Json::as_bool) == Some(true)
    }

    /// Seconds that its ID tokens last.
    pub fn id_token_lifetime(&self) -> i64 {
        let set = self.jwt_configuration.as_ref().and_then(|settings| settings.lifetime_in_seconds);
        set.unwrap_or(36_000)
    }

    /// The algorithm of its ID tokens: once set that, else HS256 for clients of the older kind and RS256 for others.
    ///
    /// A public client could not check HS256, for which it would need a secret, and gets RS256 too.
    pub fn id_token_algorithm(&self) -> &str {
        let set = self.jwt_configuration.as_ref().and_then(|settings| settings.alg.as_deref());
        let otherwise = if self.oidc_conformant || self.is_public() { "RS256" } else { "HS256" };
        set.unwrap_or(otherwise)
    }
}

/// The settings of single sign-on from native apps to web pages where none were set.
fn session_transfer() -> Map<String, Json> {
    Map::from_iter([
        ("can_create_session_transfer_token".to_owned(), false.into()),
        ("allowed_authentication_methods".to_owned(), json!([])),
        ("enforce_device_binding".to_owned(), "ip".into()),
        ("allow_refresh_token".to_owned(), false.into()),
        ("enforce_online_refresh_tokens".to_owned(), true.into()),
        ("enforce_cascade_revocation".to_owned(), true.into()),
    ])
}

fn is_in_users_hands(app_type: Option<&str>) -> bool {
    matches!(app_type, Some("spa" | "native"))
}

/// The grant types of a client that names none (management contract §4.1).
fn default_grant_types(app_type: Option<&str>, method: Option<&str>) -> Vec<&'static str> {
    let mut grants = vec!["authorization_code", "implicit", "refresh_token"];
    if app_type == Some("resource_server") {
        grants.clear();
    } else if !(method == Some("none") || method.is_none() && is_in_users_hands(app_type)) {
        grants.push("client_credentials");
    }
    grants
}

//! Access tokens and ID tokens: their claims and lifetimes (authentication contract §2).

use model::authorization_details::AuthorizationDetails;
use model::clients::Client;
use model::jose::{Algorithm, SigningKey, half_hash};
use model::requested_claims::RequestedClaims;
use model::resource_servers::ResourceServer;
use model::roles::permissions;
use model::sessions::{self, Proof};
use model::tenants::Tenant;
use model::users::User;
use model::{App, ClientId, Timestamp, UserId, protocol, self_service, subjects};
use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::scopes::Scopes;

/// How long an opaque token from `/authorize` lives, in seconds (authentication contract §2.2).
pub const OPAQUE_FRONT_CHANNEL_LIFETIME: i64 = 7200;
/// How long an opaque token from the token endpoint lives, in seconds.
pub const OPAQUE_LIFETIME: i64 = 86_400;

/// An access token and its lifetime in seconds.
pub struct AccessToken {
    /// The token.
    pub token: String,
    /// `expires_in`.
    pub expires_in: i64,
}

/// Where a user's access token is issued, which decides its lifetime and `gty`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Via {
    /// `/authorize` itself.
    FrontChannel,
    /// The exchange of a code.
    Code,
    /// The exchange of a refresh token.
    Refresh,
    /// A proof that came to the token endpoint itself: a password or a code.
    Password,
}

/// What a token is bound to: it is good with that alone.
#[derive(Clone, Copy, Debug)]
pub enum Bond<'a> {
    /// A key of which each use shows a proof, by its thumbprint (RFC 9449).
    Proof(&'a str),
    /// The certificate of the connection, by its thumbprint (RFC 8705).
    Certificate(&'a str),
}

/// How a user's access token came to be, and what it is bound to.
#[derive(Clone, Copy, Debug)]
pub struct How<'a> {
    /// Where it is issued.
    pub via: Via,
    /// The session that it comes of; empty where there is none.
    pub sid: &'a str,
    /// What it is bound to.
    pub bond: Option<Bond<'a>>,
    /// The claims that the request named one by one.
    pub claims: Option<&'a RequestedClaims>,
    /// What the request asked for in detail.
    pub details: Option<&'a AuthorizationDetails>,
}

/// The opaque token that was just stored.
pub fn opaque(token: String, expires_in: i64) -> AccessToken {
    AccessToken { token, expires_in }
}

/// The claims of a JWT access token in the order Auth0 gives them (authentication contract §2.1).
#[derive(Serialize)]
struct Claims<'a> {
    iss: &'a str,
    sub: &'a str,
    aud: Value,
    iat: i64,
    exp: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    scope: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    gty: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    azp: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    jti: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    permissions: Option<Vec<String>>,
    /// RFC 9068 §2.2.1, and of the Management API alone: see [`proof`].
    #[serde(skip_serializing_if = "Option::is_none")]
    auth_time: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    amr: Option<[&'a str; 1]>,
    /// Who acts for the subject (RFC 8693 §4.1).
    #[serde(skip_serializing_if = "Option::is_none")]
    act: Option<Value>,
    /// The claims that `/userinfo` tells besides; Doorward's own.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    userinfo_claims: Vec<&'a str>,
    /// RFC 9396 §9.1.
    #[serde(skip_serializing_if = "Option::is_none")]
    authorization_details: Option<Value>,
    /// RFC 9449 §6.1, RFC 8705 §3.1.
    #[serde(skip_serializing_if = "Option::is_none")]
    cnf: Option<Confirmation<'a>>,
}

/// What a token is bound to, on the wire.
#[derive(Serialize)]
enum Confirmation<'a> {
    #[serde(rename = "jkt")]
    Key(&'a str),
    #[serde(rename = "x5t#S256")]
    Certificate(&'a str),
}

/// A user's access token for `api`.
pub async fn user_access_token(
    app: &App,
    tenant: &Tenant,
    api: &ResourceServer,
    client: &Client,
    user: &UserId,
    scopes: &Scopes,
    How { via, sid, bond, claims, details }: How<'_>,
) -> Result<AccessToken, db::Error> {
    let aud = audience(tenant, api, scopes);
    let gty = match via {
        Via::Refresh => Some("refresh_token"),
        Via::Password => Some("password"),
        Via::FrontChannel | Via::Code => None,
    };
    let lifetime = if via == Via::FrontChannel { api.token_lifetime_for_web } else { api.token_lifetime };
    if api.wants_proof_from(client) && bond.is_none() {
        return Err(db::Error::Failed(
            "a token was to be issued without the proof that its API wants".into(),
        ));
    }
    let proof = proof(app, tenant, api, user, sid).await?;
    let permissions = permissions_of(app, tenant, api, user).await?;
    let (scope, client_id) = (scopes.to_string(), &client.client_id);
    let named =
        claims.filter(|_| aud.is_array()).map(|claims| claims.userinfo.as_slice()).unwrap_or_default();
    let named = named.iter().map(|claim| claim.name.as_str()).collect();
    let more = More {
        proof,
        bond,
        permissions,
        act: None,
        userinfo_claims: named,
        details: details.map(AuthorizationDetails::to_wire),
    };
    sign(app, tenant, api, user.as_str(), aud, scope, gty, client_id, lifetime, more).await
}

/// Whether tokens for the API hold all that their subject may do there, whatever was asked for (authentication contract §2.1).
pub fn tells_permissions(api: &ResourceServer) -> bool {
    let dialect = api.token_dialect.as_deref().unwrap_or_default();
    api.enforce_policies == Some(true) && dialect.ends_with("_authz")
}

/// All that a user may do on the API, where its tokens tell.
async fn permissions_of(
    app: &App,
    tenant: &Tenant,
    api: &ResourceServer,
    user: &UserId,
) -> Result<Option<Vec<String>>, db::Error> {
    Ok(match tells_permissions(api) {
        true => Some(permissions::on_api(&app.db, &tenant.id, user, api).await?.into_iter().collect()),
        false => None,
    })
}

/// An access token for `api` with which `client` acts for a user: `act` says so.
pub async fn delegated_access_token(
    app: &App,
    tenant: &Tenant,
    api: &ResourceServer,
    client: &Client,
    user: &UserId,
    scopes: &Scopes,
    (act, bond): (Value, Option<Bond<'_>>),
) -> Result<AccessToken, db::Error> {
    let (aud, lifetime, scope) = (audience(tenant, api, scopes), api.token_lifetime, scopes.to_string());
    let permissions = permissions_of(app, tenant, api, user).await?;
    let (sub, client_id, act) = (user.as_str(), &client.client_id, Some(act));
    let more = More { bond, permissions, act, ..More::default() };
    sign(app, tenant, api, sub, aud, scope, None, client_id, lifetime, more).await
}

/// `aud`: the API, and userinfo besides where it would answer (authentication contract §2.1).
fn audience(tenant: &Tenant, api: &ResourceServer, scopes: &Scopes) -> Value {
    let userinfo = scopes.has("openid") && api.signing_alg != "HS256";
    if userinfo { json!([api.identifier, tenant.userinfo_audience()]) } else { json!(api.identifier) }
}

/// What a token for the Management or the My Account API tells of the sign-in it came of, where the tenant's self-service policy asks for it.
async fn proof(
    app: &App,
    tenant: &Tenant,
    api: &ResourceServer,
    user: &UserId,
    sid: &str,
) -> Result<Option<Proof>, db::Error> {
    let own = [tenant.management_audience(), tenant.my_account_audience(), tenant.mfa_audience()];
    let is_ours = api.is_system && own.contains(&api.identifier);
    if !is_ours || !self_service::find(app, &tenant.id).await?.asks_for_proof() {
        return Ok(None);
    }
    sessions::proof(&app.db, &tenant.id, sid, user, app.clock.now()).await
}

/// A client's own access token for `api`; `scope` is what its grant allows of what it asked for.
pub async fn client_access_token(
    app: &App,
    tenant: &Tenant,
    api: &ResourceServer,
    client: &Client,
    scope: String,
    bond: Option<Bond<'_>>,
) -> Result<AccessToken, db::Error> {
    let sub = format!("{}@clients", client.client_id);
    let aud = json!(api.identifier);
    let gty = Some("client-credentials");
    // What a client may do is what its grant says.
    let permissions = tells_permissions(api).then(|| scope.split_whitespace().map(str::to_owned).collect());
    let (client_id, lifetime) = (&client.client_id, api.token_lifetime);
    let more = More { bond, permissions, ..More::default() };
    sign(app, tenant, api, &sub, aud, scope, gty, client_id, lifetime, more).await
}

/// What some access tokens hold and others do not.
#[derive(Default)]
struct More<'a> {
    proof: Option<Proof>,
    bond: Option<Bond<'a>>,
    permissions: Option<Vec<String>>,
    act: Option<Value>,
    userinfo_claims: Vec<&'a str>,
    details: Option<Value>,
}

#[expect(clippy::too_many_arguments, reason = "each is one claim, and all callers are above")]
async fn sign(
    app: &App,
    tenant: &Tenant,
    api: &ResourceServer,
    sub: &str,
    aud: Value,
    scope: String,
    gty: Option<&'static str>,
    client_id: &ClientId,
    expires_in: i64,
    More { proof, bond, permissions, act, userinfo_claims, details }: More<'_>,
) -> Result<AccessToken, db::Error> {
    let iat = app.clock.now().seconds();
    let dialect = api.token_dialect.as_deref().unwrap_or("access_token");
    let rfc9068 = dialect.starts_with("rfc9068_profile");
    let claims = Claims {
        iss: &tenant.issuer,
        sub,
        aud,
        iat,
        exp: iat + expires_in,
        scope: (!scope.is_empty()).then_some(scope),
        gty: gty.filter(|_| !rfc9068),
        azp: (!rfc9068).then_some(client_id.as_str()),
        client_id: rfc9068.then_some(client_id.as_str()),
        jti: rfc9068.then(|| app.random.alphanumeric(22)),
        permissions,
        auth_time: proof.map(|proof| proof.authenticated_at.seconds()),
        amr: proof.filter(|proof| proof.mfa).map(|_| ["mfa"]),
        act,
        userinfo_claims,
        authorization_details: details,
        cnf: bond.map(|bond| match bond {
            Bond::Proof(jkt) => Confirmation::Key(jkt),
            Bond::Certificate(thumbprint) => Confirmation::Certificate(thumbprint),
        }),
    };
    let typ = if rfc9068 { "at+jwt" } else { "JWT" };
    let token = match (Algorithm::from_name(&api.signing_alg), &api.signing_secret) {
        (Some(Algorithm::HS256), Some(secret)) => {
            SigningKey::hs256(None, secret.as_bytes()).sign_jwt(typ, &claims).map_err(key_failure)?
        }
        (None | Some(Algorithm::HS256), _) => {
            app.keys.sign(app, &tenant.id, Algorithm::RS256, typ, &claims).await?
        }
        (Some(alg), _) => app.keys.sign(app, &tenant.id, alg, typ, &claims).await?,
    };
    Ok(AccessToken { token, expires_in })
}

fn key_failure(error: model::jose::KeyError) -> db::Error {
    db::Error::Failed(error.to_string())
}

/// What comes from `/authorize` together with an ID token: it binds them by their hashes.
#[derive(Clone, Debug, Default)]
pub struct FrontChannel {
    /// The access token beside it.
    pub access_token: Option<String>,
    /// The code beside it.
    pub code: Option<String>,
}

/// How a user proved who they are, besides a password.
#[derive(Clone, Debug, Default)]
pub struct Assurance {
    /// Whether by a second factor (`amr`).
    pub multi_factor: bool,
    /// The `acr` that was asked for and met.
    pub acr: Option<String>,
}

/// What an ID token says.
pub struct IdToken<'a> {
    /// Whom it is for.
    pub client: &'a Client,
    /// Whom it is about.
    pub user: &'a User,
    /// Which claims it holds.
    pub scopes: &'a Scopes,
    /// Which it holds besides.
    pub claims: Option<&'a RequestedClaims>,
    /// The request's nonce; absent on refresh.
    pub nonce: Option<&'a str>,
    /// The browser session.
    pub sid: Option<&'a str>,
    /// When the user proved who they are, if that was asked for.
    pub auth_time: Option<Timestamp>,
    /// How they proved it.
    pub assurance: Assurance,
    /// What is issued beside it from `/authorize`.
    pub front: FrontChannel,
}

impl IdToken<'_> {
    /// Signs it with the tenant's key, or with the client's secret where the client chose HS256 (authentication contract §2.4).
    pub async fn sign(&self, app: &App, tenant: &Tenant) -> Result<String, db::Error> {
        let algorithm = Algorithm::from_name(self.client.id_token_algorithm()).unwrap_or(Algorithm::RS256);
        let sub = subjects::of(app, &tenant.id, self.client, &self.user.id).await?;
        let mut claims = self.claims(tenant, sub, app.clock.now(), algorithm);
        if protocol::find(app, &tenant.id).await?.is_strict_for(self.client) {
            as_specified(&mut claims);
        }
        self.client.sign_for(app, &tenant.id, "JWT", &claims).await
    }

    fn claims(
        &self,
        tenant: &Tenant,
        sub: String,
        now: Timestamp,
        algorithm: Algorithm,
    ) -> Map<String, Value> {
        let mut claims = self.user.claims(|scope| self.scopes.has(scope));
        claims
            .extend(self.claims.map(|named| self.user.requested_claims(&named.id_token)).unwrap_or_default());
        let mut put = |name: &str, value: Value| claims.insert(name.to_owned(), value);
        put("iss", tenant.issuer.as_str().into());
        put("aud", self.client.client_id.as_str().into());
        put("iat", now.seconds().into());
        put("exp", (now.seconds() + self.client.id_token_lifetime()).into());
        put("sub", sub.into());
        if let Some(auth_time) = self.auth_time {
            put("auth_time", auth_time.seconds().into());
        }
        if let Some(acr) = &self.assurance.acr {
            put("acr", acr.as_str().into());
        }
        if self.assurance.multi_factor {
            put("amr", json!(["mfa"]));
        }
        if let Some(token) = &self.front.access_token {
            put("at_hash", half_hash(algorithm, token).into());
        }
        if let Some(code) = &self.front.code {
            put("c_hash", half_hash(algorithm, code).into());
        }
        if let Some(sid) = self.sid {
            put("sid", sid.into());
        }
        if let Some(nonce) = self.nonce {
            put("nonce", nonce.into());
        }
        claims
    }
}

/// OIDC Core §5.1: `updated_at` is a number of seconds. Auth0 tells a date.
pub fn as_specified(claims: &mut Map<String, Value>) {
    if let Some(updated_at) = claims.get_mut("updated_at")
        && let Some(moment) = updated_at.as_str().and_then(Timestamp::parse)
    {
        *updated_at = moment.seconds().into();
    }
}

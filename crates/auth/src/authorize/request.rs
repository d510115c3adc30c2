//! An authorize request and the checks it passes, in the order of the authentication contract §1.2: first client and
//! redirect URI, whose failures stay on a page of ours; from then on every failure goes to the client.

use std::sync::Arc;

use model::authorization_codes::{Challenge, ChallengeMethod};
use model::authorization_details::AuthorizationDetails;
use model::clients::{self, Client};
use model::connections::{self, Connection};
use model::device_codes::DeviceCode;
use model::protocol;
use model::requested_claims::RequestedClaims;

use super::audience::{Audience, AudienceError};
use super::response::{ResponseMode, ResponseType, Signed, Target, origin};
use crate::aim::Aim;
use crate::device;
use crate::pages::{ErrorKind, FormTargets, Relay};
use crate::params::Params;
use crate::scopes::Scopes;
use crate::visit::Visit;

/// The `acr` value that asks for a second factor.
pub const MULTI_FACTOR: &str = "http://schemas.openid.net/pape/policies/2007/06/multi-factor";

/// A checked authorize request.
#[derive(Clone, Debug)]
pub struct Request {
    /// The client that asks.
    pub client: Arc<Client>,
    /// Where the answer goes.
    pub target: Target,
    /// Whether `redirect_uri` was sent: the code exchange must then repeat it.
    pub redirect_uri_sent: bool,
    /// What the client wants.
    pub response_type: ResponseType,
    /// `nonce`.
    pub nonce: Option<String>,
    /// The PKCE challenge.
    pub challenge: Option<Challenge>,
    /// `prompt`.
    pub prompt: Prompt,
    /// `max_age`, in seconds.
    pub max_age: Option<i64>,
    /// What the access token is for.
    pub audience: Audience,
    /// The scopes as they were requested.
    pub requested: Scopes,
    /// The scopes that may be granted.
    pub granted: Scopes,
    /// The connection that was asked for.
    pub connection: Option<Arc<Connection>>,
    /// `login_hint`.
    pub login_hint: Option<String>,
    /// Whether the signup page was asked for.
    pub signup: bool,
    /// Whether a second factor was asked for.
    pub multi_factor: bool,
    /// `id_token_hint`.
    pub id_token_hint: Option<String>,
    /// The device that is to be let in, in the place of an answer to the client.
    pub device: Option<[u8; 32]>,
    /// The thumbprint of the only key that may redeem the code (RFC 9449 §10).
    pub dpop_jkt: Option<String>,
    /// The claims that were named one by one.
    pub claims: RequestedClaims,
    /// What is asked for in detail (RFC 9396).
    pub details: Option<AuthorizationDetails>,
    /// What was pushed, and is spent by the answer (RFC 9126 §4).
    pub pushed: Option<[u8; 32]>,
}

/// `prompt` (OIDC Core §3.1.2.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Prompt {
    /// No page may be shown.
    pub none: bool,
    /// The user signs in anew; `select_account` means the same while there is one account a browser.
    pub login: bool,
    /// The user is asked for consent anew.
    pub consent: bool,
}

/// Why a request goes no further.
#[derive(Debug)]
pub enum Refusal {
    /// An error page: client or redirect URI are unproven, and nothing is sent anywhere.
    Page {
        /// What the page says.
        kind: ErrorKind,
        /// The `error` code.
        error: &'static str,
        /// The published description.
        description: String,
        /// The value that was refused.
        detail: Option<String>,
    },
    /// An error for the client, at its proven redirect URI.
    Client {
        /// Where it goes.
        target: Box<Target>,
        /// The `error` code.
        error: &'static str,
        /// The `error_description`.
        description: String,
    },
    /// The database failed.
    Database(db::Error),
}

impl From<db::Error> for Refusal {
    fn from(error: db::Error) -> Self {
        Self::Database(error)
    }
}

impl Refusal {
    fn page(kind: ErrorKind, description: &str, detail: Option<&str>) -> Self {
        let (description, detail) = (description.to_owned(), detail.map(str::to_owned));
        Self::Page { kind, error: "invalid_request", description, detail }
    }

    /// A page for a request that cannot even be read.
    pub fn page_of(error: &'static str, description: &str, detail: Option<&str>) -> Self {
        let (description, detail) = (description.to_owned(), detail.map(str::to_owned));
        Self::Page { kind: ErrorKind::InvalidRequest, error, description, detail }
    }

    /// An error for the client at `target`.
    pub fn client(target: &Target, error: &'static str, description: impl Into<String>) -> Self {
        Self::Client { target: Box::new(target.clone()), error, description: description.into() }
    }

    fn invalid(target: &Target, description: impl Into<String>) -> Self {
        Self::client(target, "invalid_request", description)
    }
}

impl Request {
    /// What the user is asked for consent to: the scopes that may be granted, and those that tell what was named one by one.
    pub fn consented(&self) -> Scopes {
        let mut scopes = self.granted.to_vec();
        for scope in self.claims.scopes() {
            if !scopes.iter().any(|known| known == scope) {
                scopes.push(scope.to_owned());
            }
        }
        Scopes::from_list(scopes)
    }

    /// The claims that were named, where there are any.
    pub fn named_claims(&self) -> Option<RequestedClaims> {
        (!self.claims.is_empty()).then(|| self.claims.clone())
    }

    /// The subjects of which the answer may be about, where the request names some (OIDC Core §5.5.1).
    pub fn subjects(&self) -> Option<Vec<&str>> {
        let mut named = self.claims.userinfo.iter().chain(&self.claims.id_token);
        let asked = named.find(|claim| claim.name == "sub" && !claim.values.is_empty())?;
        Some(asked.values.iter().filter_map(|value| value.as_str()).collect())
    }

    /// What the request is for.
    pub fn aim(&self) -> Aim<'_> {
        Aim { client: &self.client, audience: self.audience.identifier(), scopes: &self.granted }
    }

    /// Checks the parameters of a request, from the first check to the last.
    pub async fn check(visit: &Visit, params: &Params) -> Result<Self, Refusal> {
        let client = client(visit, params).await?;
        let strict = visit.is_strict_for(&client).await?;
        let redirect_uri = redirect_uri(&client, params, strict)?;
        let response_type = params.get("response_type").and_then(ResponseType::parse);
        let issuer = strict.then(|| visit.tenant.issuer.clone());
        let target = Target { issuer, ..target(params, &client, redirect_uri, response_type) };
        web_message_origin(&client, &target)?;

        request_objects(&target, params)?;
        let response_type = known_response_type(&target, params, response_type)?;
        response_mode(&target, params, response_type)?;
        grant_types(&target, &client, response_type)?;
        let scope = Scopes::parse(params.get("scope").unwrap_or_default());
        openid(&target, &scope, response_type)?;
        let nonce = nonce(&target, params, response_type)?;
        let challenge = challenge(&target, params, &client, response_type)?;
        let prompt = prompt(&target, params)?;
        let max_age = max_age(&target, params)?;
        source(visit, &target, &client, params).await?;
        organization(&target, params)?;
        let dpop_jkt = dpop_jkt(&target, params)?;
        let claims = claims(&target, params)?;
        let connection = connection(visit, &target, &client, params).await?;
        let (audience, granted) = audience(visit, &target, &client, params, &scope, response_type).await?;
        possession(&target, &client, &audience, response_type)?;
        let multi_factor = multi_factor(&target, params, &claims)?;
        let details = details(visit, (&target, &client), &audience, params).await?;
        Ok(Self {
            dpop_jkt,
            claims,
            details,
            pushed: params.source().uri,
            redirect_uri_sent: params.get("redirect_uri").is_some(),
            response_type,
            nonce,
            challenge,
            prompt,
            max_age,
            audience,
            requested: scope,
            granted,
            connection,
            login_hint: params.get("login_hint").map(str::to_owned),
            signup: params.get("screen_hint") == Some("signup"),
            multi_factor,
            id_token_hint: params.get("id_token_hint").map(str::to_owned),
            device: None,
            client,
            target,
        })
    }
}

impl Request {
    /// The request of a device that waits, as if it were one of its client's: whatever comes of it stays on pages of ours.
    pub async fn for_device(visit: &Visit, code: &DeviceCode) -> Result<Self, Refusal> {
        let (app, tenant) = (&visit.app, &*visit.tenant);
        let target = Target {
            errors_on_page: true,
            redirect_uri: format!("{}activate", tenant.issuer),
            issuer: None,
            signed: None,
            mode: ResponseMode::Query,
            state: None,
            form_targets: FormTargets::default(),
            relay: None,
        };
        let client = clients::find(app, &tenant.id, code.client_id.as_str()).await?;
        let client = client.filter(|client| client.allows_grant(device::GRANT)).ok_or_else(|| {
            Refusal::page(ErrorKind::UnknownClient, "Unknown client", Some(code.client_id.as_str()))
        })?;
        let requested = Scopes::parse(&code.scope);
        let found = async {
            let audience = Audience::find(app, tenant, Some(&code.audience)).await?;
            let granted = audience.grantable(app, tenant, &client, &requested, true).await?;
            let granted = permitted(visit, &audience, granted).await?;
            Ok((audience, granted))
        };
        let (audience, granted) = found.await.map_err(|error| match error {
            AudienceError::Database(error) => Refusal::Database(error),
            error => Refusal::client(&target, "access_denied", error.to_string()),
        })?;
        Ok(Self {
            client,
            target,
            redirect_uri_sent: false,
            response_type: ResponseType::default(),
            nonce: None,
            challenge: None,
            prompt: Prompt::default(),
            max_age: None,
            audience,
            requested,
            granted,
            connection: None,
            login_hint: None,
            signup: false,
            multi_factor: false,
            id_token_hint: None,
            device: Some(code.hash),
            dpop_jkt: None,
            claims: RequestedClaims::default(),
            details: None,
            pushed: None,
        })
    }
}

/// §1.2 step 1: the client is known.
async fn client(visit: &Visit, params: &Params) -> Result<Arc<Client>, Refusal> {
    let Some(client_id) = params.get("client_id") else {
        return Err(Refusal::page(ErrorKind::UnknownClient, "Missing required parameter: client_id", None));
    };
    clients::find(&visit.app, &visit.tenant.id, client_id)
        .await?
        .filter(|client| !client.global)
        .ok_or_else(|| Refusal::page(ErrorKind::UnknownClient, "Unknown client", Some(client_id)))
}

/// §1.2 step 2: the redirect URI is registered; without one, the first registered stands for it. To a strict client that is the only
/// one (RFC 6749 §3.1.2.3), and of a plain OAuth request: OpenID Connect has it named (OIDC Core §3.1.2.1).
fn redirect_uri(client: &Client, params: &Params, strict: bool) -> Result<String, Refusal> {
    let mismatch = "The provided redirect_uri is not in the list of allowed callback URLs.";
    match params.get("redirect_uri") {
        Some(uri) if client.allows_callback(uri) => Ok(uri.to_owned()),
        Some(uri) => Err(Refusal::page(ErrorKind::CallbackMismatch, mismatch, Some(uri))),
        None if strict && (is_openid(params) || client.callbacks.iter().flatten().count() > 1) => {
            Err(Refusal::page(ErrorKind::CallbackMismatch, "Missing required parameter: redirect_uri", None))
        }
        None => client
            .callbacks
            .iter()
            .flatten()
            .find(|callback| !callback.contains(['*', '{']))
            .cloned()
            .ok_or_else(|| Refusal::page(ErrorKind::CallbackMismatch, mismatch, None)),
    }
}

/// Whether it is a request of OpenID Connect.
fn is_openid(params: &Params) -> bool {
    Scopes::parse(params.get("scope").unwrap_or_default()).has("openid")
}

/// Where every further answer goes. A mode that is unknown or unsafe falls back to the response type's own.
fn target(
    params: &Params,
    client: &Client,
    redirect_uri: String,
    response_type: Option<ResponseType>,
) -> Target {
    let default = ResponseMode::default_for(response_type.unwrap_or_default());
    let (asked, signed) = params.get("response_mode").and_then(ResponseMode::parse).unwrap_or_default();
    let relay = match (params.get("web_message_uri"), params.get("web_message_target")) {
        (Some(uri), Some(target)) => Some(Relay { uri: uri.to_owned(), target: target.to_owned() }),
        _ => None,
    };
    let mode = asked
        .filter(|mode| *mode != ResponseMode::Query || default == ResponseMode::Query)
        .unwrap_or(default);
    let other = client.callbacks.iter().chain(&client.web_origins).flatten().map(String::as_str);
    let form_targets = FormTargets::new(&redirect_uri, other);
    Target {
        errors_on_page: client.redirection_policy.as_deref() == Some("open_redirect_protection"),
        redirect_uri,
        issuer: None,
        mode,
        signed: signed.then(|| Signed {
            client_id: client.client_id.clone(),
            algorithm: client.protocol.authorization_algorithm(),
        }),
        state: params.raw("state").map(str::to_owned),
        form_targets,
        relay,
    }
}

/// §1.2 step 3: only a page whose origin the client lists as a web origin gets a message.
fn web_message_origin(client: &Client, target: &Target) -> Result<(), Refusal> {
    if target.mode != ResponseMode::WebMessage {
        return Ok(());
    }
    let relay = target.relay.as_ref().map(|relay| relay.uri.as_str());
    for uri in [Some(target.redirect_uri.as_str()), relay].into_iter().flatten() {
        if !origin(uri).is_some_and(|origin| client.allows_web_origin(&origin)) {
            let description = "The origin of the page is not in the list of allowed web origins.";
            return Err(Refusal::page(ErrorKind::InvalidRequest, description, Some(uri)));
        }
    }
    Ok(())
}

/// OIDC Core §6: parameters by value or by reference are answered, and nothing is fetched.
fn request_objects(target: &Target, params: &Params) -> Result<(), Refusal> {
    if params.get("request").is_some() {
        return Err(Refusal::client(
            target,
            "request_not_supported",
            "The request parameter is not supported",
        ));
    }
    if params.get("request_uri").is_some() {
        let description = "The request_uri parameter is not supported";
        return Err(Refusal::client(target, "request_uri_not_supported", description));
    }
    Ok(())
}

fn known_response_type(
    target: &Target,
    params: &Params,
    response_type: Option<ResponseType>,
) -> Result<ResponseType, Refusal> {
    match (response_type, params.get("response_type")) {
        (Some(response_type), _) => Ok(response_type),
        (None, None) => Err(Refusal::invalid(target, "Missing required parameter: response_type")),
        (None, Some(_)) => {
            Err(Refusal::client(target, "unsupported_response_type", "Unsupported response type"))
        }
    }
}

/// OAuth 2.0 Multiple Response Type Encoding Practices §3: tokens never stand in a query string.
fn response_mode(target: &Target, params: &Params, response_type: ResponseType) -> Result<(), Refusal> {
    match params.get("response_mode") {
        Some("query" | "query.jwt") if response_type.front_channel() => {
            Err(Refusal::invalid(target, "response_mode query is not allowed for this response_type"))
        }
        Some(mode) if ResponseMode::parse(mode).is_none() => {
            Err(Refusal::invalid(target, "Unknown response_mode"))
        }
        _ => Ok(()),
    }
}

/// The client may use the flow.
fn grant_types(target: &Target, client: &Client, response_type: ResponseType) -> Result<(), Refusal> {
    // FAPI 2.0 Security Profile §5.3.2.2: nothing but codes.
    if client.protocol.is_fapi2() && response_type.front_channel() {
        return Err(Refusal::client(target, "unsupported_response_type", "Unsupported response type"));
    }
    let needed = [(response_type.code, "authorization_code"), (response_type.front_channel(), "implicit")];
    let missing = needed.into_iter().find(|(needed, grant_type)| *needed && !client.allows_grant(grant_type));
    missing.map_or(Ok(()), |(_, grant_type)| {
        let description = format!("Grant type '{grant_type}' not allowed for the client.");
        Err(Refusal::client(target, "unauthorized_client", description))
    })
}

/// OIDC Core §3.1.2.1: without `openid` it is no request of OpenID Connect, which a strict client's for an ID token is.
fn openid(target: &Target, scope: &Scopes, response_type: ResponseType) -> Result<(), Refusal> {
    if target.is_strict() && response_type.id_token && !scope.has("openid") {
        return Err(Refusal::invalid(target, "scope must hold openid"));
    }
    Ok(())
}

/// OIDC Core §3.2.2.1: a request for an ID token from this endpoint carries a nonce.
fn nonce(target: &Target, params: &Params, response_type: ResponseType) -> Result<Option<String>, Refusal> {
    match params.get("nonce") {
        None if response_type.id_token => Err(Refusal::invalid(target, "nonce is required")),
        nonce => Ok(nonce.map(str::to_owned)),
    }
}

/// RFC 7636 §4.3. A public client must send a challenge, and `plain` is for confidential clients alone, since a plain
/// challenge protects nothing from whoever sees the request. To a strict client there is what discovery names: `S256`.
fn challenge(
    target: &Target,
    params: &Params,
    client: &Client,
    response_type: ResponseType,
) -> Result<Option<Challenge>, Refusal> {
    let method = params.get("code_challenge_method");
    let Some(value) = params.get("code_challenge") else {
        return match method {
            Some(_) => Err(Refusal::invalid(target, "code_challenge_method needs a code_challenge")),
            // FAPI 2.0 Security Profile §5.3.2.2 wants it of every client.
            None if response_type.code && (client.is_public() || client.protocol.is_fapi2()) => {
                Err(Refusal::invalid(target, "Missing required parameter: code_challenge"))
            }
            None => Ok(None),
        };
    };
    let Some(method) = ChallengeMethod::parse(method.unwrap_or("plain")) else {
        return Err(Refusal::invalid(target, "Unknown code_challenge_method"));
    };
    if method == ChallengeMethod::Plain && (client.is_public() || target.is_strict()) {
        return Err(Refusal::invalid(target, "code_challenge_method must be S256"));
    }
    if !well_formed_verifier(value) {
        return Err(Refusal::invalid(
            target,
            "code_challenge must be 43 to 128 characters of A-Z a-z 0-9 - . _ ~",
        ));
    }
    Ok(Some(Challenge { value: value.to_owned(), method }))
}

/// RFC 7636 §4.1, §4.2: 43 to 128 unreserved characters.
pub fn well_formed_verifier(text: &str) -> bool {
    (43..=128).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._~".contains(&b))
}

/// OIDC Core §3.1.2.1: `none` stands alone.
fn prompt(target: &Target, params: &Params) -> Result<Prompt, Refusal> {
    let mut prompt = Prompt::default();
    for word in params.get("prompt").unwrap_or_default().split_ascii_whitespace() {
        match word {
            "none" => prompt.none = true,
            "login" | "select_account" => prompt.login = true,
            "consent" => prompt.consent = true,
            _ => return Err(Refusal::invalid(target, "Unknown prompt")),
        }
    }
    if prompt.none && (prompt.login || prompt.consent) {
        return Err(Refusal::invalid(target, "prompt none must stand alone"));
    }
    Ok(prompt)
}

fn max_age(target: &Target, params: &Params) -> Result<Option<i64>, Refusal> {
    let Some(text) = params.get("max_age") else { return Ok(None) };
    match text.parse::<i64>() {
        Ok(seconds) if seconds >= 0 => Ok(Some(seconds)),
        _ => Err(Refusal::invalid(target, "max_age must be a number of seconds")),
    }
}

/// RFC 9126 §6, RFC 9101 §10.5: a client may insist on requests that were pushed, or signed.
async fn source(visit: &Visit, target: &Target, client: &Client, params: &Params) -> Result<(), Refusal> {
    let source = params.source();
    let must_push = client.must_push()
        || protocol::find(&visit.app, &visit.tenant.id).await?.require_pushed_authorization_requests;
    if must_push && !source.pushed {
        return Err(Refusal::invalid(target, "The client requires pushed authorization requests"));
    }
    if client.requires_signed_requests() && !source.signed {
        return Err(Refusal::invalid(target, "The client requires signed request objects"));
    }
    Ok(())
}

/// OIDC Core §5.5: the claims that are named one by one.
fn claims(target: &Target, params: &Params) -> Result<RequestedClaims, Refusal> {
    let Some(text) = params.get("claims") else { return Ok(RequestedClaims::default()) };
    RequestedClaims::parse(text).map_err(|error| Refusal::invalid(target, error.to_string()))
}

/// Whether a second factor is asked for, by `acr_values` or by the claim `acr`. Without what is essential there is no answer (OIDC Core
/// §5.5.1.1), and there is but one value that can be met.
fn multi_factor(target: &Target, params: &Params, claims: &RequestedClaims) -> Result<bool, Refusal> {
    let values = params.get("acr_values").unwrap_or_default();
    let mut asked = values.split_ascii_whitespace().any(|value| value == MULTI_FACTOR);
    if let Some(acr) = claims.id_token.iter().find(|claim| claim.name == "acr" && !claim.values.is_empty()) {
        let can_be_met = acr.values.iter().any(|value| value == MULTI_FACTOR);
        if acr.essential && !can_be_met {
            let description = "The acr that is essential cannot be met";
            return Err(Refusal::client(target, "unmet_authentication_requirements", description));
        }
        asked |= can_be_met;
    }
    Ok(asked)
}

/// RFC 9396 §5: what is asked for in detail is of types that the API knows, and where a client needs a grant for it, of those that the grant names.
async fn details(
    visit: &Visit,
    (target, client): (&Target, &Client),
    audience: &Audience,
    params: &Params,
) -> Result<Option<AuthorizationDetails>, Refusal> {
    let Some(text) = params.get("authorization_details") else { return Ok(None) };
    let refused = |description: String| Refusal::client(target, "invalid_authorization_details", description);
    let details = AuthorizationDetails::parse(text).map_err(|error| refused(error.to_string()))?;
    let unknown = |kind: &str| {
        refused(format!(
            "The API knows no authorization_details of type {}",
            kind.chars().take(64).collect::<String>()
        ))
    };
    for kind in details.types() {
        match audience.takes_details_of(&visit.app, &visit.tenant, client, kind).await {
            Ok(true) => {}
            Ok(false) => return Err(unknown(kind)),
            Err(error) => return Err(error.into()),
        }
    }
    Ok(Some(details))
}

/// RFC 9449 §10: the SHA-256 thumbprint of a key.
fn dpop_jkt(target: &Target, params: &Params) -> Result<Option<String>, Refusal> {
    let Some(jkt) = params.get("dpop_jkt") else { return Ok(None) };
    let base64url = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
    if jkt.len() != 43 || !jkt.bytes().all(base64url) {
        return Err(Refusal::invalid(target, "dpop_jkt must be the SHA-256 thumbprint of a key"));
    }
    Ok(Some(jkt.to_owned()))
}

/// No token of the front channel is bound to a key: where tokens must be, none comes from here.
fn possession(
    target: &Target,
    client: &Client,
    audience: &Audience,
    response_type: ResponseType,
) -> Result<(), Refusal> {
    let wanted =
        client.must_prove_possession() || audience.api().is_some_and(|api| api.wants_proof_from(client));
    if wanted && response_type.token {
        return Err(Refusal::invalid(
            target,
            "Access tokens must be bound to a key, and are issued at the token endpoint alone",
        ));
    }
    Ok(())
}

/// There are no organizations yet, and none is pretended.
fn organization(target: &Target, params: &Params) -> Result<(), Refusal> {
    if params.get("organization").is_some() || params.get("invitation").is_some() {
        return Err(Refusal::invalid(target, "parameter organization is not allowed for this client"));
    }
    Ok(())
}

async fn connection(
    visit: &Visit,
    target: &Target,
    client: &Client,
    params: &Params,
) -> Result<Option<Arc<Connection>>, Refusal> {
    let Some(name) = params.get("connection") else { return Ok(None) };
    let Some(connection) = connections::find_by_name(&visit.app, &visit.tenant.id, name).await? else {
        return Err(Refusal::invalid(target, "the connection was not found"));
    };
    if !connection.is_active() || !connection.is_enabled_for(&client.client_id) {
        return Err(Refusal::invalid(target, "the connection is not enabled"));
    }
    Ok(Some(connection))
}

async fn audience(
    visit: &Visit,
    target: &Target,
    client: &Client,
    params: &Params,
    scope: &Scopes,
    response_type: ResponseType,
) -> Result<(Audience, Scopes), Refusal> {
    let settings = visit.settings().await?;
    let asked = params.get("audience").or_else(|| settings.default_audience());
    let found = async {
        let audience = Audience::find(&visit.app, &visit.tenant, asked).await?;
        let (app, tenant) = (&visit.app, &visit.tenant);
        let granted = audience.grantable(app, tenant, client, scope, response_type.code).await?;
        let granted = permitted(visit, &audience, granted).await?;
        Ok((audience, granted))
    };
    found.await.map_err(|error| match error {
        AudienceError::Database(error) => Refusal::Database(error),
        error => Refusal::client(target, "access_denied", error.to_string()),
    })
}

/// What is left for whom the answer will be about, if it is given now: each step of a sign-in checks its request anew, and before
/// anybody has signed in nothing is issued.
async fn permitted(visit: &Visit, audience: &Audience, granted: Scopes) -> Result<Scopes, db::Error> {
    if audience.api().is_none_or(|api| api.enforce_policies != Some(true)) {
        return Ok(granted);
    }
    match visit.session().await? {
        Some((session, _)) => audience.permitted(&visit.app, &visit.tenant, &session.user_id, granted).await,
        None => Ok(granted),
    }
}

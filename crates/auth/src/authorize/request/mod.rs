//! An authorize request and the checks it passes, in the order of the authentication contract §1.2: first client and
//! redirect URI, whose failures stay on a page of ours; from then on every failure goes to the client.

mod apis;
mod checks;
mod redirect;
mod refusal;

use std::sync::Arc;

use model::authorization_codes::Challenge;
use model::authorization_details::AuthorizationDetails;
use model::clients::{self, Client};
use model::connections::Connection;
use model::device_codes::DeviceCode;
use model::requested_claims::RequestedClaims;

pub use refusal::Refusal;

use super::audience::{Audience, AudienceError};
use super::response::{ResponseMode, ResponseType, Target};
use crate::aim::Aim;
use crate::device;
use crate::pages::{ErrorKind, FormTargets};
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
        let client = redirect::client(visit, params).await?;
        let strict = visit.is_strict_for(&client).await?;
        let redirect_uri = redirect::redirect_uri(&client, params, strict)?;
        let response_type = params.get("response_type").and_then(ResponseType::parse);
        let issuer = strict.then(|| visit.tenant.issuer.clone());
        let target = Target { issuer, ..redirect::target(params, &client, redirect_uri, response_type) };
        redirect::web_message_origin(&client, &target)?;

        checks::request_objects(&target, params)?;
        let response_type = checks::known_response_type(&target, params, response_type)?;
        checks::response_mode(&target, params, response_type)?;
        checks::grant_types(&target, &client, response_type)?;
        let scope = Scopes::parse(params.get("scope").unwrap_or_default());
        checks::openid(&target, &scope, response_type)?;
        let nonce = checks::nonce(&target, params, response_type)?;
        let challenge = checks::challenge(&target, params, &client, response_type)?;
        let prompt = checks::prompt(&target, params)?;
        let max_age = checks::max_age(&target, &client, params)?;
        checks::source(visit, &target, &client, params).await?;
        checks::organization(&target, params)?;
        let dpop_jkt = checks::dpop_jkt(&target, params)?;
        let claims = checks::claims(&target, params)?;
        let connection = apis::connection(visit, &target, &client, params).await?;
        let (audience, granted) =
            apis::audience(visit, &target, &client, params, &scope, response_type).await?;
        checks::possession(&target, &client, &audience, response_type)?;
        let multi_factor = checks::multi_factor(&target, params, &claims)?;
        let details = apis::details(visit, (&target, &client), &audience, params).await?;
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
    /// Whether the client is answered without the second factor that it asked for, where its user can give none: `acr_values` is a wish (OIDC Core
    /// §3.1.2.1), and `acr` tells whether it was met. Auth0 refuses, and what is essential is no wish.
    pub fn takes_less(&self) -> bool {
        let essential = self.claims.id_token.iter().any(|claim| claim.name == "acr" && claim.essential);
        self.target.is_strict() && !essential
    }

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
            let granted = apis::permitted(visit, &audience, granted).await?;
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

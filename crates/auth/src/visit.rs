//! What every request to these endpoints comes with: tenant, peer, cookies, and the look of its pages.

use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use db::Batch;
use model::client_certificates::ClientCertificate;
use model::clients::Client;
use model::factors::remembered;
use model::logout_notices::{End, Initiator};
use model::resource_servers::ResourceServer;
use model::sessions::{self, Limits, Session};
use model::tenants::{Settings, Tenant};
use model::users::{self, User};
use model::{App, Peer, Timestamp, branding, protocol, tenants};
use serde_json::Value;

use crate::authorize::response::{encode, extend_query, redirect};
use crate::errors::OAuthError;
use crate::issue::Bond;
use crate::pages::{ErrorKind, ErrorPage, Look, excerpt};
use crate::params::Params;

/// The cookie that holds the session's token.
const SESSION: &str = "__Host-auth0";
/// The cookie that binds login transactions to the browser.
const BROWSER: &str = "__Host-auth0-txn";
/// The cookie of a browser in which a second factor is not asked for again for a while.
const REMEMBERED: &str = "__Host-auth0-mf";

/// A request as these endpoints see it.
#[derive(Clone)]
pub struct Visit {
    /// The program's state.
    pub app: App,
    /// Whose endpoint was asked.
    pub tenant: Arc<Tenant>,
    /// Who asks.
    pub peer: Peer,
    session_token: Option<String>,
    browser: Option<String>,
    remembered: Option<String>,
    /// What the request says of itself.
    pub asked: Asked,
    /// The thumbprint of the key that the caller proved to hold: what is issued is bound to it (RFC 9449).
    pub jkt: Option<String>,
    /// The certificate that the client proved to hold on the connection (RFC 8705).
    pub certificate: Option<ClientCertificate>,
}

/// What a request says of itself, none of it proven.
#[derive(Clone, Debug, Default)]
pub struct Asked {
    /// `ui_locales`.
    pub ui_locales: Option<String>,
    /// `client_id`.
    pub client_id: Option<String>,
    /// `connection`.
    pub connection: Option<String>,
}

impl FromRequestParts<App> for Visit {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Response> {
        let (Some(tenant), Some(peer)) =
            (parts.extensions.get::<Arc<Tenant>>().cloned(), parts.extensions.get::<Peer>().cloned())
        else {
            tracing::error!("the router put no tenant or peer on the request");
            return Err(StatusCode::INTERNAL_SERVER_ERROR.into_response());
        };
        let (session_token, browser) = (cookie(&parts.headers, SESSION), cookie(&parts.headers, BROWSER));
        let remembered = cookie(&parts.headers, REMEMBERED);
        let asked = Asked::default();
        let certificate = parts.extensions.get::<ClientCertificate>().cloned();
        Ok(Self {
            app: app.clone(),
            tenant,
            peer,
            session_token,
            browser,
            remembered,
            asked,
            jkt: None,
            certificate,
        })
    }
}

impl Visit {
    /// The same visit with what the request asks for.
    pub fn asking(mut self, params: &Params) -> Self {
        let text = |name: &str| params.get(name).map(str::to_owned);
        self.asked = Asked {
            ui_locales: text("ui_locales"),
            client_id: text("client_id"),
            connection: text("connection"),
        };
        self
    }

    /// The same visit of the person whom a client tells of: a confidential one that is trusted for it names their address in
    /// `auth0-forwarded-for`, so that what is counted for an address is not counted for the client's.
    pub fn told_by(&self, client: &Client, headers: &HeaderMap) -> Self {
        let trusted = client.is_token_endpoint_ip_header_trusted && !client.is_public();
        let told = headers.get("auth0-forwarded-for").filter(|_| trusted);
        let address = told.and_then(|value| value.to_str().ok()?.trim().parse().ok());
        let mut visit = self.clone();
        if let Some(address) = address {
            visit.peer.ip = address;
        }
        visit
    }

    /// The same visit of somebody who proved to hold this key.
    pub fn holding(&self, jkt: Option<String>) -> Self {
        Self { jkt, ..self.clone() }
    }

    /// What tokens of `client` for `api` are bound to that are issued now: the key that was proven, else the certificate of the connection,
    /// where the API or the profile of the client asks for it.
    pub fn bond(&self, client: &Client, api: Option<&ResourceServer>) -> Option<Bond<'_>> {
        match &self.jkt {
            Some(jkt) => Some(Bond::Proof(jkt)),
            None => self.binding_certificate(client, api).map(Bond::Certificate),
        }
    }

    /// The thumbprint of the certificate that tokens are bound to which are bound to no key.
    pub fn binding_certificate(&self, client: &Client, api: Option<&ResourceServer>) -> Option<&str> {
        let wanted = client.protocol.is_fapi2() || api.is_some_and(ResourceServer::binds_to_certificate);
        let certificate = self.certificate.as_ref().filter(|_| wanted && self.jkt.is_none());
        certificate.map(|certificate| certificate.thumbprint.as_str())
    }

    /// The tenant's settings.
    pub async fn settings(&self) -> Result<Arc<Settings>, db::Error> {
        tenants::settings(&self.app, &self.tenant.id).await
    }

    /// Whether `client` is answered as the specifications have it, where Auth0 answers otherwise.
    pub async fn is_strict_for(&self, client: &Client) -> Result<bool, db::Error> {
        Ok(protocol::find(&self.app, &self.tenant.id).await?.is_strict_for(client))
    }

    /// How the tenant's pages look; plain, where even that cannot be read.
    pub async fn look(&self) -> Look {
        let found = async {
            let settings = self.settings().await?;
            let branding = branding::find(&self.app, &self.tenant.id).await?;
            let lang = self.language(&settings);
            Ok::<_, db::Error>(Look::new(&settings, &branding, &lang))
        };
        found.await.unwrap_or_else(|error| {
            tracing::error!(%error, "reading the tenant's look");
            Look::plain(&self.tenant.host, None, None, None, None, "en")
        })
    }

    /// The first of the asked languages that the tenant has enabled, else its own first.
    fn language(&self, settings: &Settings) -> String {
        let enabled = settings.enabled_locales.as_slice();
        let asked = self.asked.ui_locales.as_deref().unwrap_or_default();
        asked
            .split_ascii_whitespace()
            .find(|tag| enabled.iter().any(|known| known == tag))
            .map(str::to_owned)
            .or_else(|| enabled.first().cloned())
            .unwrap_or_else(|| "en".to_owned())
    }

    /// An error page of this tenant.
    pub async fn error_page(&self, kind: ErrorKind) -> ErrorPage {
        ErrorPage::new(self.look().await, kind)
    }

    /// The way to the tenant's own error page, if it has one, with what `page` would say (authentication contract §1.2).
    pub async fn own_error_page(&self, page: &ErrorPage) -> Result<Option<Response>, db::Error> {
        let settings = self.settings().await?;
        let Some(url) = settings.own_error_page() else { return Ok(None) };
        let texts = [
            ("client_id", self.asked.client_id.as_deref().map(excerpt)),
            ("connection", self.asked.connection.as_deref().map(excerpt)),
            ("lang", Some(page.look.lang.clone())),
            ("error", page.code.clone()),
            ("error_description", page.description.clone()),
            ("tracking", page.tracking.clone()),
        ];
        let given = texts.into_iter().filter_map(|(name, text)| Some((name.to_owned(), Value::from(text?))));
        Ok(Some(redirect(&extend_query(url, &encode(&given.collect())))))
    }

    /// The page for a failure of ours; its cause goes to the log.
    pub async fn failure_page(&self, error: db::Error) -> Response {
        tracing::error!(%error, "database");
        let kind = match error {
            db::Error::Retry | db::Error::Conflict { .. } => ErrorKind::Unavailable,
            _ => ErrorKind::Internal,
        };
        self.error_page(kind).await.into_response()
    }

    /// The browser's living session and its user: one who is blocked or gone has none.
    pub async fn session(&self) -> Result<Option<(Session, User)>, db::Error> {
        let Some(token) = &self.session_token else { return Ok(None) };
        let (app, tenant) = (&self.app, &self.tenant.id);
        let Some(session) = sessions::find_by_token(&app.db, tenant, token, app.clock.now()).await? else {
            return Ok(None);
        };
        let user = users::find(&app.db, tenant, &session.user_id).await?;
        Ok(user.filter(|user| !user.is_blocked()).map(|user| (session, user)))
    }

    /// Ends the browser's session, living or not.
    pub fn end_session(&self, batch: &mut Batch) {
        if let Some(token) = &self.session_token {
            let end = End::new(Initiator::SessionRevoked, self.app.clock.now());
            sessions::remove_by_token(batch, &self.tenant.id, token, end);
        }
    }

    /// The cookie of the browser's session anew, where it says how long it lives: `session` was just used, and its idle limit
    /// has moved.
    pub fn moved_session_cookie(
        &self,
        settings: &Settings,
        session: &Session,
        limits: Limits,
        now: Timestamp,
    ) -> Option<HeaderValue> {
        let token = self.session_token.as_deref().filter(|_| settings.sessions_persist())?;
        let moved = Session { idle_expires_at: now.plus_seconds(limits.idle), ..session.clone() };
        Some(session_cookie(settings, &moved, token, now))
    }

    /// The value that binds login transactions to this browser, if it has one.
    pub fn browser(&self) -> Option<&str> {
        self.browser.as_deref()
    }

    /// The value that binds login transactions to this browser, and the cookie to set where it has none.
    pub fn bind_browser(&self) -> (String, Option<HeaderValue>) {
        if let Some(browser) = &self.browser {
            return (browser.clone(), None);
        }
        let browser = self.app.random.token();
        let cookie = set_cookie(BROWSER, &browser, None);
        (browser, Some(cookie))
    }

    /// The token of a browser in which a second factor is not asked for again, if it has one.
    pub fn remembered(&self) -> Option<&str> {
        self.remembered.as_deref()
    }

    /// The token that a form of ours must bring back: known to this browser's cookie alone, and good for `subject`, which is a
    /// sign-in's `state`, what stands for a session, or both.
    pub fn csrf(&self, browser: &str, subject: &str) -> String {
        use base64::Engine;
        let digest = model::seal::digest(&format!("csrf\n{}\n{browser}\n{subject}", self.tenant.id));
        base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(digest)
    }

    /// Whether `given` is this browser's token for `subject`.
    pub fn csrf_holds(&self, given: Option<&str>, subject: &str) -> bool {
        let (Some(given), Some(browser)) = (given, self.browser()) else { return false };
        model::seal::same(given.as_bytes(), self.csrf(browser, subject).as_bytes())
    }

    /// Refuses `error` as JSON, with the database's cause in the log.
    pub fn json_error(error: impl Into<OAuthError>) -> Response {
        error.into().into_response()
    }
}

/// The `Set-Cookie` for a session: it ends when the session does, or with the browser where the tenant wants that.
pub fn session_cookie(settings: &Settings, session: &Session, token: &str, now: Timestamp) -> HeaderValue {
    let left = (session.cookie_expires_at().seconds() - now.seconds()).max(0);
    set_cookie(SESSION, token, settings.sessions_persist().then_some(left))
}

/// The `Set-Cookie` of a browser that is remembered.
pub fn remembered_cookie(token: &str) -> HeaderValue {
    set_cookie(REMEMBERED, token, Some(remembered::LIFETIME))
}

/// The `Set-Cookie` that takes the session's cookie away.
pub fn no_session_cookie() -> HeaderValue {
    set_cookie(SESSION, "", Some(0))
}

/// `__Host-` cookies are bound to this host, path `/` and https (RFC 6265bis §4.1.3.2).
fn set_cookie(name: &'static str, value: &str, max_age: Option<i64>) -> HeaderValue {
    let mut cookie = cookie::Cookie::build((name, value)).path("/").secure(true).http_only(true);
    cookie = cookie.same_site(cookie::SameSite::None);
    let mut text = cookie.to_string();
    if let Some(seconds) = max_age {
        text.push_str(&format!("; Max-Age={seconds}"));
    }
    HeaderValue::from_str(&text).expect("names and values are plain ASCII")
}

/// The value of cookie `name`, if it is one that we could have set. What else a browser brings to this host is others': it need not even be
/// text.
fn cookie(headers: &HeaderMap, name: &str) -> Option<String> {
    let ours = |value: &[u8]| {
        value.len() == 43 && value.iter().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(b))
    };
    headers
        .get_all(header::COOKIE)
        .iter()
        .flat_map(|line| line.as_bytes().split(|byte| *byte == b';'))
        .filter_map(|pair| pair.trim_ascii().strip_prefix(name.as_bytes())?.strip_prefix(b"="))
        .find(|value| ours(value))
        .and_then(|value| String::from_utf8(value.to_vec()).ok())
}

/// `response` with `cookie` set, if there is one.
pub fn with_cookie(mut response: Response, cookie: Option<HeaderValue>) -> Response {
    if let Some(cookie) = cookie {
        response.headers_mut().append(header::SET_COOKIE, cookie);
    }
    response
}

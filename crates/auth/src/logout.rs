//! Logout: `/v2/logout`, and OIDC RP-Initiated Logout at `/oidc/logout` (authentication contract §5).

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, Method};
use axum::response::{IntoResponse, Response};
use db::Batch;
use model::clients::{self, Client};
use model::logout_notices::{End, Initiator};
use model::sessions::{self, Session};
use model::users::User;
use model::{App, logs};

use crate::authorize::response::{extend_query, redirect};
use crate::events;
use crate::hints;
use crate::pages::{ErrorKind, FormTargets, LoggedOutPage, LogoutConfirmPage};
use crate::params::Params;
use crate::visit::{Visit, no_session_cookie, with_cookie};

/// `GET /v2/logout`: ends the browser's session and returns to a registered URL, if one is named.
pub async fn v2(State(_): State<App>, visit: Visit, RawQuery(query): RawQuery) -> Response {
    let Ok(params) = Params::parse_form(query.as_deref().unwrap_or_default()) else {
        return visit.error_page(ErrorKind::InvalidRequest).await.into_response();
    };
    match v2_destination(&visit, &params).await {
        Ok(destination) => end(&visit, destination).await,
        Err(response) => response,
    }
}

/// Where `/v2/logout` leads: `returnTo` if it is registered, with the client or, without one, with the tenant.
async fn v2_destination(visit: &Visit, params: &Params) -> Result<Option<String>, Response> {
    let client = client(visit, params.get("client_id")).await?;
    let Some(url) = params.get("returnTo") else {
        return Ok(client.as_deref().and_then(first_logout_url));
    };
    let allowed = match &client {
        Some(client) => client.allows_logout_url(url),
        None => visit.settings().await.map_err(Visit::json_error)?.allows_logout_url(url),
    };
    if allowed {
        return Ok(Some(url.to_owned()));
    }
    let description = format!(
        "The \"returnTo\" querystring parameter \"{}\" is not defined as a valid URL in \"Allowed Logout URLs\".",
        url.chars().take(64).collect::<String>()
    );
    let page = visit.error_page(ErrorKind::LogoutUrlMismatch).await;
    Err(page.with_error("invalid_request", &description).with_detail(url).into_response())
}

/// `GET|POST /oidc/logout`: like `/v2/logout`, but asks first unless the request proves that it comes from this
/// session's client.
pub async fn oidc(
    State(_): State<App>,
    visit: Visit,
    method: Method,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let read = || {
        let query = Params::parse_form(query.as_deref().unwrap_or_default())?;
        if method == Method::POST { query.and(Params::parse_body(&headers, &body)?) } else { Ok(query) }
    };
    let Ok(params) = read() else {
        return visit.error_page(ErrorKind::InvalidRequest).await.into_response();
    };
    let visit = visit.asking(&params);
    match oidc_checked(&visit, &method, &params).await {
        Ok(response) | Err(response) => response,
    }
}

async fn oidc_checked(visit: &Visit, method: &Method, params: &Params) -> Result<Response, Response> {
    let hint = match params.get("id_token_hint") {
        None => None,
        Some(token) => match hints::id_token(visit, token).await {
            Ok(Some(hint)) => Some(hint),
            Ok(None) => return Err(inconsistent(visit, "id_token_hint is not valid").await),
            Err(error) => return Err(visit.failure_page(error).await),
        },
    };
    let named = params.get("client_id");
    if let (Some(hint), Some(named)) = (&hint, named)
        && hint.client_id != named
    {
        return Err(inconsistent(visit, "client_id does not match id_token_hint").await);
    }
    let hinted_sid = hint.as_ref().and_then(|hint| hint.sid.as_deref());
    if let (Some(sid), Some(given)) = (hinted_sid, params.get("logout_hint"))
        && sid != given
    {
        return Err(inconsistent(visit, "logout_hint does not match id_token_hint").await);
    }
    let client = client(visit, named.or(hint.as_ref().map(|hint| hint.client_id.as_str()))).await?;
    let destination = oidc_destination(visit, client.as_deref(), params).await?;

    let session = visit.session().await.map_err(Visit::json_error)?;
    let Some((session, user)) = session else { return Ok(end(visit, destination).await) };
    let sid = hinted_sid.or(params.get("logout_hint"));
    let settings = visit.settings().await.map_err(Visit::json_error)?;
    // The form of our own page, or one that somebody made to look like it; an app's own form has no `action`.
    let answer = params.get("action").filter(|_| *method == Method::POST);
    if answer.is_some() && !visit.csrf_holds(params.get("_csrf"), &session.sid) {
        return Err(visit.error_page(ErrorKind::FormExpired).await.into_response());
    }
    match answer {
        Some("accept") => Ok(end(visit, destination).await),
        Some(_) => Ok(destination.map_or_else(|| redirect("/"), |destination| redirect(&destination))),
        None if sid == Some(&session.sid) || !settings.prompts_on_logout() => {
            Ok(end(visit, destination).await)
        }
        None => Ok(confirm(visit, client.as_deref(), &session, &user, params, destination).await),
    }
}

/// Where `/oidc/logout` leads: `post_logout_redirect_uri` if it is registered, with its query, and `state`. Who names none is led to the
/// client's first, but a strict client, who must have asked for it (OpenID Connect RP-Initiated Logout §3).
async fn oidc_destination(
    visit: &Visit,
    client: Option<&Client>,
    params: &Params,
) -> Result<Option<String>, Response> {
    let Some(uri) = params.get("post_logout_redirect_uri") else {
        let Some(client) = client else { return Ok(None) };
        let strict = visit.is_strict_for(client).await.map_err(Visit::json_error)?;
        return Ok(first_logout_url(client).filter(|_| !strict));
    };
    let allowed = match client {
        Some(client) => client.allows_post_logout_redirect(uri),
        None => visit.settings().await.map_err(Visit::json_error)?.allows_post_logout_redirect(uri),
    };
    if !allowed {
        let page = visit.error_page(ErrorKind::LogoutUrlMismatch).await;
        let description = "The post_logout_redirect_uri is not in the list of allowed logout URLs.";
        return Err(page.with_error("invalid_request", description).with_detail(uri).into_response());
    }
    Ok(Some(match params.get("state") {
        Some(state) => extend_query(
            uri,
            &format!(
                "state={}",
                percent_encoding::utf8_percent_encode(state, percent_encoding::NON_ALPHANUMERIC)
            ),
        ),
        None => uri.to_owned(),
    }))
}

/// Where logout leads when nobody says where: the client's first URL that is one, and no pattern.
fn first_logout_url(client: &Client) -> Option<String> {
    client.allowed_logout_urls.iter().flatten().find(|url| !url.contains(['*', '{'])).cloned()
}

/// The client with this id; a page where there is none.
async fn client(visit: &Visit, client_id: Option<&str>) -> Result<Option<Arc<Client>>, Response> {
    let Some(client_id) = client_id else { return Ok(None) };
    match clients::find(&visit.app, &visit.tenant.id, client_id).await {
        Ok(Some(client)) if !client.global => Ok(Some(client)),
        Ok(_) => {
            let page = visit.error_page(ErrorKind::UnknownClient).await;
            Err(page.with_error("invalid_request", "Unknown client").with_detail(client_id).into_response())
        }
        Err(error) => Err(visit.failure_page(error).await),
    }
}

async fn inconsistent(visit: &Visit, description: &str) -> Response {
    visit
        .error_page(ErrorKind::InvalidRequest)
        .await
        .with_error("invalid_request", description)
        .into_response()
}

/// Ends the browser's session, takes its cookie away, and goes to `destination` or to a page that says so.
async fn end(visit: &Visit, destination: Option<String>) -> Response {
    match visit.session().await {
        Ok(Some((session, user))) => {
            let mut batch = Batch::new();
            let end = End::new(Initiator::RpLogout, visit.app.clock.now());
            sessions::remove(&mut batch, &visit.tenant.id, &session.sid, end);
            logs::record(&mut batch, events::logout(visit, &user));
            if let Err(error) = visit.app.db.commit(batch).await {
                return visit.failure_page(error).await;
            }
        }
        Ok(None) => {}
        Err(error) => return visit.failure_page(error).await,
    }
    let response = match destination {
        Some(destination) => redirect(&destination),
        None => LoggedOutPage { look: visit.look().await }.into_response(),
    };
    with_cookie(response, Some(no_session_cookie()))
}

async fn confirm(
    visit: &Visit,
    client: Option<&Client>,
    session: &Session,
    user: &User,
    params: &Params,
    destination: Option<String>,
) -> Response {
    let handed_on = [
        "id_token_hint",
        "logout_hint",
        "client_id",
        "post_logout_redirect_uri",
        "state",
        "ui_locales",
        "federated",
    ];
    let params = handed_on.iter().filter_map(|name| Some(((*name).to_owned(), params.get(name)?.to_owned())));
    let other = client.into_iter().flat_map(|client| [&client.allowed_logout_urls, &client.callbacks]);
    let form_targets = FormTargets::new(
        destination.as_deref().unwrap_or_default(),
        other.flatten().flatten().map(String::as_str),
    );
    let (browser, cookie) = visit.bind_browser();
    let page = LogoutConfirmPage {
        client_name: client.map(|client| client.name.clone()),
        user_label: user.email.clone().or_else(|| user.name.clone()),
        action_url: "/oidc/logout".into(),
        params: params.collect(),
        csrf: visit.csrf(&browser, &session.sid),
        form_targets,
        look: visit.look().await,
    };
    with_cookie(page.into_response(), cookie)
}

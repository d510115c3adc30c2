//! `/api/v2/attack-protection` (management contract §4.13): five objects with defaults.

mod bodies;

use axum::extract::State;
use axum::http::StatusCode;
use db::Batch;
use model::App;
use model::attack_protection::{
    self as protection, BotDetection, BreachedPasswords, BruteForce, Settings, SuspiciousIp,
};
use model::document::object;
use serde_json::{Map, Value};

pub use bodies::{
    UpdateBotDetection, UpdateBreachedPasswords, UpdateBruteForce, UpdateCaptcha, UpdateSuspiciousIp,
};

use crate::access::Grant;
use crate::answers::Answer;
use crate::documents::{Document, unfit};
use crate::errors::Error;
use crate::requests::Json;

type Object = Map<String, Value>;

/// `GET /attack-protection/brute-force-protection`.
pub async fn get_brute_force(State(app): State<App>, grant: Grant) -> Result<Answer<Object>, Error> {
    get::<BruteForce>(&app, &grant).await
}

/// `PATCH /attack-protection/brute-force-protection`: replaces the named settings.
///
/// # Errors
/// 400 `invalid_body`.
pub async fn update_brute_force(
    State(app): State<App>,
    grant: Grant,
    Json(body): Json<Document<UpdateBruteForce>>,
) -> Result<Answer<Object>, Error> {
    update::<BruteForce>(&app, &grant, &body.keys).await
}

/// `GET /attack-protection/suspicious-ip-throttling`.
pub async fn get_suspicious_ip(State(app): State<App>, grant: Grant) -> Result<Answer<Object>, Error> {
    get::<SuspiciousIp>(&app, &grant).await
}

/// `PATCH /attack-protection/suspicious-ip-throttling`: replaces the named settings, of a stage too.
///
/// # Errors
/// 400 `invalid_body`.
pub async fn update_suspicious_ip(
    State(app): State<App>,
    grant: Grant,
    Json(body): Json<Document<UpdateSuspiciousIp>>,
) -> Result<Answer<Object>, Error> {
    update::<SuspiciousIp>(&app, &grant, &body.keys).await
}

/// `GET /attack-protection/breached-password-detection`.
pub async fn get_breached_passwords(State(app): State<App>, grant: Grant) -> Result<Answer<Object>, Error> {
    get::<BreachedPasswords>(&app, &grant).await
}

/// `PATCH /attack-protection/breached-password-detection`: replaces the named settings, of a stage too.
///
/// # Errors
/// 400 `invalid_body`.
pub async fn update_breached_passwords(
    State(app): State<App>,
    grant: Grant,
    Json(body): Json<Document<UpdateBreachedPasswords>>,
) -> Result<Answer<Object>, Error> {
    update::<BreachedPasswords>(&app, &grant, &body.keys).await
}

/// `GET /attack-protection/bot-detection`.
pub async fn get_bot_detection(State(app): State<App>, grant: Grant) -> Result<Answer<Object>, Error> {
    get::<BotDetection>(&app, &grant).await
}

/// `PATCH /attack-protection/bot-detection`: replaces the named settings.
///
/// # Errors
/// 400 `invalid_body`.
pub async fn update_bot_detection(
    State(app): State<App>,
    grant: Grant,
    Json(body): Json<Document<UpdateBotDetection>>,
) -> Result<Answer<Object>, Error> {
    update::<BotDetection>(&app, &grant, &body.keys).await
}

/// `GET /attack-protection/captcha`: without secrets.
pub async fn get_captcha(State(app): State<App>, grant: Grant) -> Result<Answer<Object>, Error> {
    Ok(Answer(protection::load_captcha(&app, &grant.tenant.id).await?.shown))
}

/// `PATCH /attack-protection/captcha`: replaces the named settings of the named providers. Answers without secrets.
///
/// # Errors
/// 400 `invalid_body`.
pub async fn update_captcha(
    State(app): State<App>,
    grant: Grant,
    Json(body): Json<Document<UpdateCaptcha>>,
) -> Result<Answer<Object>, Error> {
    let tenant = &grant.tenant.id;
    let decide = async || {
        let mut captcha = protection::load_captcha(&app, tenant).await?.patched(&body.keys);
        let mut batch = Batch::new();
        protection::save_captcha(&app, &mut batch, tenant, &mut captcha);
        grant.wrote(&app, &mut batch, StatusCode::OK, &captcha.shown);
        Ok::<_, Error>((batch, captcha.shown))
    };
    Ok(Answer(app.db.retry(decide).await?))
}

async fn get<T: Settings>(app: &App, grant: &Grant) -> Result<Answer<Object>, Error> {
    Ok(Answer(object(&protection::load::<T>(app, &grant.tenant.id).await?.settings)))
}

async fn update<T: Settings>(app: &App, grant: &Grant, patch: &Object) -> Result<Answer<Object>, Error> {
    let tenant = &grant.tenant.id;
    let decide = async || {
        let mut stored = protection::load::<T>(app, tenant).await?.patched(patch).map_err(unfit)?;
        let mut batch = Batch::new();
        protection::save(&mut batch, tenant, &mut stored);
        let answer = object(&stored.settings);
        grant.wrote(app, &mut batch, StatusCode::OK, &answer);
        Ok::<_, Error>((batch, answer))
    };
    Ok(Answer(app.db.retry(decide).await?))
}

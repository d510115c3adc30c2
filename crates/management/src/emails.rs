//! `/api/v2/emails/provider` (management contract §4.14).

use axum::extract::State;
use axum::http::StatusCode;
use db::Batch;
use model::mail::providers::{self, Provider};
use model::{App, Model};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::access::Grant;
use crate::answers::{Answer, Created, NoContent};
use crate::documents::{Document, unfit};
use crate::errors::{Error, Missing};
use crate::fields::Fields;
use crate::requests::{Json, Query};

/// The body of `POST /emails/provider`.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct CreateProvider {
    /// Name of the email provider. Can be `mailgun`, `mandrill`, `sendgrid`, `resend`, `ses`, `sparkpost`, `smtp`, `azure_cs`, `ms365`, or `custom`.
    #[schemars(extend("enum" = PROVIDERS))]
    pub name: String,
    /// Whether the provider is enabled (true) or disabled (false).
    pub enabled: Option<bool>,
    /// Email address to use as "from" when no other address specified.
    #[schemars(length(max = 1000))]
    pub default_from_address: Option<String>,
    /// Credentials required to use the provider.
    pub credentials: Credentials,
    /// Specific provider setting
    #[schemars(extend("x-nullable" = true, "type" = ["object", "null"]))]
    pub settings: Option<Map<String, Value>>,
}

/// The body of `PATCH /emails/provider`.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields, extend("minProperties" = 1))]
pub struct UpdateProvider {
    /// Name of the email provider. Can be `mailgun`, `mandrill`, `sendgrid`, `resend`, `ses`, `sparkpost`, `smtp`, `azure_cs`, `ms365`, or `custom`.
    #[schemars(extend("enum" = PROVIDERS))]
    pub name: Option<String>,
    /// Whether the provider is enabled (true) or disabled (false).
    pub enabled: Option<bool>,
    /// Email address to use as "from" when no other address specified.
    #[schemars(length(max = 1000))]
    pub default_from_address: Option<String>,
    /// Credentials required to use the provider.
    pub credentials: Option<Credentials>,
    /// Specific provider setting
    #[schemars(extend("x-nullable" = true, "type" = ["object", "null"]))]
    pub settings: Option<Map<String, Value>>,
}

const PROVIDERS: &[&str] =
    &["mailgun", "mandrill", "sendgrid", "resend", "ses", "sparkpost", "smtp", "azure_cs", "ms365", "custom"];

/// What a provider proves itself by: each kind has its own of these.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "only its schema is looked at")]
pub struct Credentials {
    /// API Key
    #[schemars(length(min = 1, max = 4096))]
    api_key: Option<String>,
    /// AWS Access Key ID.
    #[serde(rename = "accessKeyId")]
    #[schemars(length(min = 1, max = 4096))]
    access_key_id: Option<String>,
    /// AWS Secret Access Key.
    #[serde(rename = "secretAccessKey")]
    #[schemars(length(min = 1, max = 4096))]
    secret_access_key: Option<String>,
    /// AWS or provider region.
    #[schemars(extend("x-nullable" = true, "type" = ["string", "null"]), length(min = 1, max = 255))]
    region: Option<String>,
    /// SMTP host.
    #[schemars(length(min = 1, max = 255))]
    smtp_host: Option<String>,
    /// SMTP port.
    #[schemars(range(min = 1, max = 65535))]
    smtp_port: Option<i64>,
    /// SMTP username.
    #[schemars(length(min = 1, max = 4096))]
    smtp_user: Option<String>,
    /// SMTP password.
    #[schemars(length(min = 1, max = 4096))]
    smtp_pass: Option<String>,
    /// Domain
    #[schemars(length(min = 4, max = 255))]
    domain: Option<String>,
    /// Azure Communication Services Connection String.
    #[serde(rename = "connectionString")]
    #[schemars(length(min = 1, max = 4096))]
    connection_string: Option<String>,
    /// Microsoft 365 Tenant ID.
    #[serde(rename = "tenantId")]
    #[schemars(length(min = 1, max = 4096))]
    tenant_id: Option<String>,
    /// Microsoft 365 Client ID.
    #[serde(rename = "clientId")]
    #[schemars(length(min = 1, max = 4096))]
    client_id: Option<String>,
    /// Microsoft 365 Client Secret.
    #[serde(rename = "clientSecret")]
    #[schemars(length(min = 1, max = 4096))]
    client_secret: Option<String>,
}

/// `GET /emails/provider`. Secrets are never shown.
///
/// # Errors
/// 404 `inexistent_email_provider`.
pub async fn get(
    State(app): State<App>,
    grant: Grant,
    Query(fields): Query<Fields>,
) -> Result<Answer<Map<String, Value>>, Error> {
    Ok(Answer(fields.of(load(&app, &grant).await?.to_wire())))
}

/// `POST /emails/provider`: sets what sends the tenant's mail.
///
/// # Errors
/// 400 `invalid_body`, 409 when there is one.
pub async fn create(
    State(app): State<App>,
    grant: Grant,
    Json(body): Json<Document<CreateProvider>>,
) -> Result<Created<Map<String, Value>>, Error> {
    let mut provider = Provider::new(&body.keys).map_err(unfit)?;
    let mut batch = Batch::new();
    providers::save(&app, &mut batch, &grant.tenant.id, &mut provider);
    let answer = provider.to_wire();
    grant.wrote(&app, &mut batch, StatusCode::CREATED, &answer);
    app.db.commit(batch).await.map_err(|error| match error {
        db::Error::Conflict { .. } => Error::AlreadyExists("Email provider is already configured."),
        error => error.into(),
    })?;
    Ok(Created(answer))
}

/// `PATCH /emails/provider`: replaces the named keys. Secrets that the new credentials leave out stay, unless they name another server.
///
/// # Errors
/// 400 `invalid_body`, 404 `inexistent_email_provider`.
pub async fn update(
    State(app): State<App>,
    grant: Grant,
    Json(body): Json<Document<UpdateProvider>>,
) -> Result<Answer<Map<String, Value>>, Error> {
    let decide = async || {
        let mut provider = load(&app, &grant).await?.patched(&body.keys).map_err(unfit)?;
        let mut batch = Batch::new();
        providers::save(&app, &mut batch, &grant.tenant.id, &mut provider);
        let answer = provider.to_wire();
        grant.wrote(&app, &mut batch, StatusCode::OK, &answer);
        Ok::<_, Error>((batch, answer))
    };
    Ok(Answer(app.db.retry(decide).await?))
}

/// `DELETE /emails/provider`: one that is not there is deleted already.
pub async fn delete(State(app): State<App>, grant: Grant) -> Result<NoContent, Error> {
    let mut batch = Batch::new();
    providers::remove(&mut batch, &grant.tenant.id);
    grant.wrote(&app, &mut batch, StatusCode::NO_CONTENT, &Value::Null);
    app.db.commit(batch).await?;
    Ok(NoContent)
}

async fn load(app: &Model, grant: &Grant) -> Result<Provider, Error> {
    providers::load(app, &grant.tenant.id).await?.ok_or(Error::NotFound(Missing::EmailProvider))
}

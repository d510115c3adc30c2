//! `/api/v2/email-templates` (management contract §4.14).

use axum::extract::State;
use axum::http::StatusCode;
use db::Batch;
use model::document::object;
use model::mail::templates::{self, Template};
use model::mail::{Kind, liquid};
use model::{App, Model};
use schemars::JsonSchema;
use serde_json::{Map, Value};

use crate::access::Grant;
use crate::answers::Answer;
use crate::documents::{Document, unfit};
use crate::errors::{Error, Missing};
use crate::paths::{Parameter, Path};
use crate::requests::Json;

/// The body of `POST` and `PUT`.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields, extend("required" = ["template", "body", "from", "subject", "syntax", "enabled"]))]
pub struct SetTemplate {
    /// Template name. Can be `verify_email`, `verify_email_by_code`, `auth_email_by_code`, `reset_email`, `reset_email_by_code`, `welcome_email`, `blocked_account`, `stolen_credentials`, `enrollment_email`, `mfa_oob_code`, `user_invitation`, `async_approval`, `change_password` (legacy), or `password_reset` (legacy).
    #[schemars(extend("enum" = names()))]
    pub template: String,
    /// Body of the email template.
    #[schemars(extend("x-nullable" = true))]
    pub body: Option<String>,
    /// Senders `from` email address.
    #[schemars(extend("x-nullable" = true), length(max = 1000))]
    pub from: Option<String>,
    /// URL to redirect the user to after a successful action.
    #[serde(rename = "resultUrl")]
    #[schemars(extend("x-nullable" = true), length(max = 4000))]
    pub result_url: Option<String>,
    /// Subject line of the email.
    #[schemars(extend("x-nullable" = true), length(max = 4000))]
    pub subject: Option<String>,
    /// Syntax of the template body.
    #[schemars(extend("x-nullable" = true), length(max = 100))]
    pub syntax: Option<String>,
    /// Lifetime in seconds that the link within the email will be valid for.
    #[serde(rename = "urlLifetimeInSeconds")]
    #[schemars(extend("x-nullable" = true, "minimum" = 0, "maximum" = 2_147_483_647))]
    pub lifetime: Option<i64>,
    /// Whether the `reset_email` and `verify_email` templates should include the user's email address as the `email` parameter in the returnUrl (true) or whether no email address should be included in the redirect (false). Defaults to true.
    #[serde(rename = "includeEmailInRedirect")]
    pub include_email_in_redirect: Option<bool>,
    /// Whether the template is enabled (true) or disabled (false).
    #[schemars(extend("x-nullable" = true))]
    pub enabled: Option<bool>,
}

/// The body of `PATCH`: that of POST, nothing of it required.
pub struct UpdateTemplate;

impl JsonSchema for UpdateTemplate {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "UpdateTemplate".into()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        let mut schema = SetTemplate::json_schema(generator);
        schema.remove("required");
        schema
    }
}

fn names() -> Vec<&'static str> {
    Kind::ALL.iter().filter(|kind| kind.is_template()).map(|kind| kind.name()).collect()
}

/// The name of a template in a path.
#[derive(Clone, Copy, Debug)]
pub struct TemplateName(Kind);

impl Parameter for TemplateName {
    fn read(name: &str, value: &str) -> Result<Self, Error> {
        let kind = Kind::from_name(value).filter(|kind| kind.is_template());
        kind.map(Self).ok_or_else(|| {
            let shown: String = value.chars().take(255).collect();
            Error::InvalidUri(format!(
                "Path validation error: 'No enum match for: {shown}' on property {name}."
            ))
        })
    }
}

/// `GET /email-templates/{templateName}`: the tenant's own text. The built-in ones are not shown.
///
/// # Errors
/// 400 `invalid_uri`, 404 `inexistent_email_template`.
pub async fn get(
    State(app): State<App>,
    grant: Grant,
    Path(TemplateName(kind)): Path<TemplateName>,
) -> Result<Answer<Map<String, Value>>, Error> {
    Ok(Answer(object(&load(&app, &grant, kind).await?)))
}

/// `POST /email-templates`: puts a text of the tenant's own in the place of a built-in one.
///
/// # Errors
/// 400 `invalid_body`, 409 when the tenant has one of this name.
pub async fn create(
    State(app): State<App>,
    grant: Grant,
    Json(body): Json<Document<SetTemplate>>,
) -> Result<Answer<Map<String, Value>>, Error> {
    let mut template = Template::new(&body.keys).map_err(unfit)?;
    check(&template)?;
    let mut batch = Batch::new();
    templates::save(&mut batch, &grant.tenant.id, &mut template);
    let answer = object(&template);
    grant.wrote(&app, &mut batch, StatusCode::OK, &answer);
    app.db.commit(batch).await.map_err(|error| match error {
        db::Error::Conflict { .. } => match Kind::from_name(&template.template) {
            Some(kind) => Error::TemplateExists(kind.name()),
            None => Error::Internal,
        },
        error => error.into(),
    })?;
    Ok(Answer(answer))
}

/// `PATCH /email-templates/{templateName}`: replaces the named keys; `null` unsets.
///
/// # Errors
/// 400 `invalid_body`, 404 `inexistent_email_template`.
pub async fn update(
    State(app): State<App>,
    grant: Grant,
    Path(TemplateName(kind)): Path<TemplateName>,
    Json(body): Json<Document<UpdateTemplate>>,
) -> Result<Answer<Map<String, Value>>, Error> {
    change(&app, &grant, kind, |old| old.patched(&body.keys)).await
}

/// `PUT /email-templates/{templateName}`: replaces the whole.
///
/// # Errors
/// 400 `invalid_body`, 404 `inexistent_email_template`.
pub async fn replace(
    State(app): State<App>,
    grant: Grant,
    Path(TemplateName(kind)): Path<TemplateName>,
    Json(body): Json<Document<SetTemplate>>,
) -> Result<Answer<Map<String, Value>>, Error> {
    let replaced = |old: &Template| {
        let new = Template::new(&body.keys)?;
        Ok(Template { template: old.template.clone(), version: old.version, ..new })
    };
    change(&app, &grant, kind, replaced).await
}

async fn change(
    app: &Model,
    grant: &Grant,
    kind: Kind,
    changed: impl Fn(&Template) -> Result<Template, serde_json::Error>,
) -> Result<Answer<Map<String, Value>>, Error> {
    let decide = async || {
        let mut template = changed(&load(app, grant, kind).await?).map_err(unfit)?;
        check(&template)?;
        let mut batch = Batch::new();
        templates::save(&mut batch, &grant.tenant.id, &mut template);
        let answer = object(&template);
        grant.wrote(app, &mut batch, StatusCode::OK, &answer);
        Ok::<_, Error>((batch, answer))
    };
    Ok(Answer(app.db.retry(decide).await?))
}

/// Refuses a text that could not be read when a letter is due.
fn check(template: &Template) -> Result<(), Error> {
    let parts = [
        ("body", &template.body),
        ("from", &template.from),
        ("resultUrl", &template.result_url),
        ("subject", &template.subject),
    ];
    for (name, source) in parts {
        if let Some(Err(error)) = source.as_deref().map(liquid::Template::parse) {
            let text =
                format!("Payload validation error: 'Template does not parse: {error}' on property {name}.");
            return Err(Error::InvalidBody(text.into()));
        }
    }
    Ok(())
}

async fn load(app: &Model, grant: &Grant, kind: Kind) -> Result<Template, Error> {
    templates::load(app, &grant.tenant.id, kind).await?.ok_or(Error::NotFound(Missing::EmailTemplate))
}

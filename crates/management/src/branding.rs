//! `/api/v2/branding` (management contract §4.10).

use axum::extract::State;
use axum::http::StatusCode;
use db::Batch;
use model::document::object;
use model::tenant_documents::TenantDocument;
use model::{App, branding};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::access::Grant;
use crate::answers::Answer;
use crate::changes::Change;
use crate::documents::{Document, unfit};
use crate::errors::Error;
use crate::requests::Json;

/// The body of `PATCH /branding`.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields, extend("minProperties" = 1))]
pub struct UpdateBranding {
    /// Custom color settings.
    #[schemars(default)]
    pub colors: Change<Colors>,
    /// URL for the favicon. Must use HTTPS.
    #[schemars(default, extend("format" = "strict-https-uri-or-null"))]
    pub favicon_url: Change<String>,
    /// URL for the logo. Must use HTTPS.
    #[schemars(default, extend("format" = "strict-https-uri-or-null"))]
    pub logo_url: Change<String>,
    /// Custom font settings.
    #[schemars(default)]
    pub font: Change<Font>,
}

/// The colors of the pages.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("minProperties" = 1))]
pub struct Colors {
    /// Accent color.
    #[schemars(default, extend("format" = "html-color"))]
    pub primary: Change<String>,
    /// Page Background Color or Gradient.
    #[schemars(default, extend("type" = ["string", "object", "null"], "maxLength" = 64))]
    pub page_background: Change<Value>,
}

/// The font of the pages.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("minProperties" = 1))]
pub struct Font {
    /// URL for the custom font. The URL must point to a font file and not a stylesheet. Must use HTTPS.
    #[schemars(default, extend("format" = "strict-https-uri-or-null"))]
    pub url: Change<String>,
}

/// `GET /branding`: `{}` when nothing is set.
pub async fn get(State(app): State<App>, grant: Grant) -> Result<Answer<Map<String, Value>>, Error> {
    Ok(Answer(object(&branding::load(&app, &grant.tenant.id).await?)))
}

/// `PATCH /branding`: replaces the named keys; `null` unsets.
///
/// # Errors
/// 400 `invalid_body`.
pub async fn update(
    State(app): State<App>,
    grant: Grant,
    Json(body): Json<Document<UpdateBranding>>,
) -> Result<Answer<Map<String, Value>>, Error> {
    let decide = async || {
        let mut changed = branding::load(&app, &grant.tenant.id).await?.patched(&body.keys).map_err(unfit)?;
        let mut batch = Batch::new();
        branding::save(&mut batch, &grant.tenant.id, &mut changed, app.clock.now());
        let answer = object(&changed);
        grant.wrote(&app, &mut batch, StatusCode::OK, &answer);
        Ok::<_, Error>((batch, answer))
    };
    Ok(Answer(app.db.retry(decide).await?))
}

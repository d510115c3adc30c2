//! A tenant's own texts: the body of `GET /api/v2/email-templates/{templateName}`.

use std::sync::Arc;

use db::{Batch, params};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json};

use super::Kind;
use crate::ids::TenantId;
use crate::{Model, document};

/// A tenant's own text for a kind of letter.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Template {
    /// Its kind's name.
    pub template: String,
    /// The HTML, a template.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body: Option<String>,
    /// Whom it is from, a template; the provider's default where it is empty.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// Where its link leads in the end, a template.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub result_url: Option<String>,
    /// The subject, a template.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// `liquid`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub syntax: Option<String>,
    /// Seconds that its link works.
    #[serde(rename = "urlLifetimeInSeconds", skip_serializing_if = "Option::is_none")]
    pub lifetime: Option<serde_json::Number>,
    /// Whether the address goes to `result_url` too.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub include_email_in_redirect: Option<bool>,
    /// Whether it is used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
    /// The row's version; 0 when there is none.
    #[serde(skip)]
    pub version: i64,
}

impl Template {
    /// The template that `body` describes.
    pub fn new(body: &Map<String, Json>) -> Result<Self, serde_json::Error> {
        let mut body = body.clone();
        body.retain(|_, value| !value.is_null());
        serde_json::from_value(Json::Object(body))
    }

    /// The template after a PATCH: named keys are replaced and `null` unsets. Its kind never changes.
    pub fn patched(&self, patch: &Map<String, Json>) -> Result<Self, serde_json::Error> {
        let mut patch = patch.clone();
        patch.shift_remove("template");
        let mut template: Self = document::patch(self, &patch)?;
        template.version = self.version;
        Ok(template)
    }

    /// Whether it is used.
    pub fn is_enabled(&self) -> bool {
        self.enabled.unwrap_or(false)
    }

    /// Seconds that its link works, if it says so.
    pub fn lifetime(&self) -> Option<i64> {
        let seconds = self.lifetime.as_ref()?;
        seconds
            .as_i64()
            .or_else(|| seconds.as_f64().map(|seconds| seconds as i64))
            .filter(|seconds| *seconds > 0)
    }
}

/// The tenant's own text for a kind, if it has one. Cached.
pub async fn find(app: &Model, tenant: &TenantId, kind: Kind) -> Result<Option<Arc<Template>>, db::Error> {
    app.db.cached("email_templates", tenant.as_str(), kind.name(), load(app, tenant, kind)).await
}

/// The one of a kind that is in use: enabled, and of its older name where the newer has none.
pub async fn find_enabled(
    app: &Model,
    tenant: &TenantId,
    kind: Kind,
) -> Result<Option<Arc<Template>>, db::Error> {
    let names = if kind == Kind::ResetEmail { &[kind, Kind::ChangePassword][..] } else { &[kind][..] };
    for kind in names.iter().filter(|kind| kind.is_template()) {
        if let Some(template) = find(app, tenant, *kind).await?
            && template.is_enabled()
        {
            return Ok(Some(template));
        }
    }
    Ok(None)
}

/// The tenant's own text for a kind as it stands in the database: what a change begins with.
pub async fn load(app: &Model, tenant: &TenantId, kind: Kind) -> Result<Option<Template>, db::Error> {
    let sql = "SELECT doc, version FROM email_templates WHERE tenant = $1 AND template = $2";
    let Some(mut row) = app.db.read_one(sql, params![tenant, kind.name()]).await? else { return Ok(None) };
    let doc = row.take()?;
    Ok(Some(Template { version: row.take()?, ..document::parse(doc)? }))
}

/// Writes a new text, or a changed one if nobody else has since it was read.
pub fn save(batch: &mut Batch, tenant: &TenantId, template: &mut Template) {
    let read = template.version;
    template.version += 1;
    let doc = document::column(template, &[]);
    let added = if read == 0 {
        batch.execute(
            "INSERT INTO email_templates (tenant, template, doc, version) VALUES ($1, $2, $3, $4)
             ON CONFLICT (tenant, template) DO NOTHING",
            params![tenant, &template.template, doc, template.version],
        )
    } else {
        batch.execute(
            "UPDATE email_templates SET doc = $1, version = $2 WHERE tenant = $3 AND template = $4 AND version = $5",
            params![doc, template.version, tenant, &template.template, read],
        )
    };
    added.expect(1);
    batch.changed("email_templates", tenant.as_str(), &template.template);
}

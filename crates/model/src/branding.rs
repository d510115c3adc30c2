//! A tenant's colours and logo.

use std::sync::Arc;

use db::Batch;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json};

use crate::Model;
use crate::clock::Timestamp;
use crate::ids::TenantId;
use crate::tenant_documents::{self, TenantDocument};

/// How a tenant's pages look: the body of `GET /api/v2/branding`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Branding {
    /// The colours.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub colors: Option<Colors>,
    /// The browser's icon of the pages.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub favicon_url: Option<String>,
    /// The font.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub font: Option<Font>,
    /// The logo above forms.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub logo_url: Option<String>,
    /// Settings that are kept as given.
    #[serde(flatten)]
    pub other: Map<String, Json>,
    /// The row's version; 0 when there is none.
    #[serde(skip)]
    pub version: i64,
}

/// The colours of the pages.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Colors {
    /// Of buttons and links, `#rrggbb`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub primary: Option<String>,
    /// Of the page: `#rrggbb`, or an object that describes a gradient.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub page_background: Option<Json>,
    /// Settings that are kept as given.
    #[serde(flatten)]
    pub other: Map<String, Json>,
}

/// The font of the pages.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Font {
    /// Where it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
}

impl TenantDocument for Branding {
    const TABLE: &'static str = "branding";

    fn version(&self) -> i64 {
        self.version
    }

    fn at(self, version: i64) -> Self {
        Self { version, ..self }
    }
}

/// The tenant's branding. Cached; empty when unset.
pub async fn find(app: &Model, tenant: &TenantId) -> Result<Arc<Branding>, db::Error> {
    tenant_documents::find(app, tenant).await
}

/// The tenant's branding as it stands in the database: what a change begins with.
pub async fn load(app: &Model, tenant: &TenantId) -> Result<Branding, db::Error> {
    tenant_documents::load(app, tenant).await
}

/// Writes changed branding, if nobody else has since it was read.
pub fn save(batch: &mut Batch, tenant: &TenantId, branding: &mut Branding, now: Timestamp) {
    tenant_documents::save(batch, tenant, branding, now);
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::testing::{TestModel, object};

    #[test]
    fn null_unsets_and_colors_are_replaced_whole() {
        let body = json!({
            "colors": { "primary": "#112233", "page_background": { "type": "linear-gradient" } },
            "logo_url": "https://a.test/logo.png"
        });
        let set = Branding::default().patched(&object(body.clone())).unwrap();
        assert_eq!(json!(set), body);
        let after =
            set.patched(&object(json!({ "colors": { "primary": "#445566" }, "logo_url": null }))).unwrap();
        assert_eq!(json!(after), json!({ "colors": { "primary": "#445566" } }));
    }

    #[tokio::test]
    async fn branding_is_empty_until_set_and_then_seen_at_once() {
        for model in TestModel::each().await {
            assert_eq!(json!(*find(&model, &model.tenant).await.unwrap()), json!({}));
            let mut first = load(&model, &model.tenant).await.unwrap();
            let mut late = first.clone();
            for logo in ["https://a.test/1.png", "https://a.test/2.png"] {
                first.logo_url = Some(logo.into());
                let mut batch = Batch::new();
                save(&mut batch, &model.tenant, &mut first, model.clock.now());
                model.db.commit(batch).await.unwrap();
                assert_eq!(*find(&model, &model.tenant).await.unwrap(), first);
            }
            let mut batch = Batch::new();
            save(&mut batch, &model.tenant, &mut late, model.clock.now());
            assert!(matches!(model.db.commit(batch).await, Err(db::Error::Conflict { .. })));
        }
    }
}

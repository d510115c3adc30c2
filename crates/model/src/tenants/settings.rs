//! A tenant's settings, in the shape of `GET /api/v2/tenants/settings`.

use std::sync::Arc;

use db::{Batch, params};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Number, Value as Json, json};

use crate::clients::urls;
use crate::clock::Timestamp;
use crate::ids::TenantId;
use crate::{Model, document};

/// The tenant's settings: the body of `GET /api/v2/tenants/settings`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Settings {
    /// Where logout may return to without a client.
    #[serde(default)]
    pub allowed_logout_urls: Vec<String>,
    /// Authentication context classes offered in discovery.
    #[serde(default)]
    pub acr_values_supported: Vec<String>,
    /// The classic password-change page.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub change_password: Option<Json>,
    /// The API that a request without `audience` means; empty for none.
    #[serde(default)]
    pub default_audience: String,
    /// The connection that password grants use; empty for none.
    #[serde(default)]
    pub default_directory: String,
    /// Where a login page without a live transaction sends the browser.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub default_redirection_uri: Option<String>,
    /// Languages of the pages; the first is the default.
    #[serde(default)]
    pub enabled_locales: Vec<String>,
    /// The page for errors that cannot be sent to the client.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error_page: Option<ErrorPage>,
    /// Switches; see [`Settings::flag`].
    #[serde(default)]
    pub flags: Map<String, Json>,
    /// The tenant's name on pages.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub friendly_name: Option<String>,
    /// The classic MFA page.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub guardian_mfa_page: Option<Json>,
    /// Hours without use after which a session ends.
    pub idle_session_lifetime: Number,
    /// Hours after which a non-persistent session ends.
    pub ephemeral_session_lifetime: Number,
    /// Hours without use after which a non-persistent session ends.
    pub idle_ephemeral_session_lifetime: Number,
    /// The logo on pages.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub picture_url: Option<String>,
    /// The runtime of extension code.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sandbox_version: Option<String>,
    /// Hours after which a session ends.
    pub session_lifetime: Number,
    /// Whom users may write to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub support_email: Option<String>,
    /// Where users find help.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub support_url: Option<String>,
    /// `oidc_logout_prompt_enabled`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sessions: Option<Json>,
    /// `rp_logout_end_session_endpoint_discovery`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub oidc_logout: Option<Json>,
    /// Whether an organization's name may be used in place of its id, and is put into tokens.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub allow_organization_name_in_authentication_api: Option<bool>,
    /// Whether pushed authorization requests are accepted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pushed_authorization_requests_supported: Option<bool>,
    /// Mutual TLS endpoint aliases.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mtls: Option<Json>,
    /// Colours of the pages, as older tools set them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub universal_login: Option<Json>,
    /// Whether browsers keep the session cookie when they close.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session_cookie: Option<SessionCookie>,
    /// The runtimes of extension code that may be chosen.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sandbox_versions_available: Vec<String>,
    /// Settings that are kept as given.
    #[serde(flatten)]
    pub other: Map<String, Json>,
    /// The row's version.
    #[serde(skip)]
    pub version: i64,
}

/// The tenant's own error page.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ErrorPage {
    /// Markup to show.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub html: Option<String>,
    /// Whether the page links to the log.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub show_log_link: Option<bool>,
    /// Where to send the browser instead; empty for nowhere.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
}

/// How the session cookie is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionCookie {
    /// `persistent` or `non-persistent`.
    pub mode: String,
}

impl Settings {
    /// What a new tenant has (management contract §4.9).
    pub fn new(friendly_name: &str) -> Self {
        Self {
            allowed_logout_urls: vec![],
            acr_values_supported: vec![],
            change_password: Some(json!({ "enabled": false, "html": "" })),
            default_audience: String::new(),
            default_directory: String::new(),
            default_redirection_uri: None,
            enabled_locales: vec!["en".into()],
            error_page: Some(ErrorPage {
                html: Some(String::new()),
                show_log_link: Some(false),
                url: Some(String::new()),
            }),
            flags: default_flags(),
            friendly_name: Some(friendly_name.into()),
            guardian_mfa_page: Some(json!({ "enabled": false, "html": "" })),
            idle_session_lifetime: 72.into(),
            ephemeral_session_lifetime: 72.into(),
            idle_ephemeral_session_lifetime: 24.into(),
            picture_url: None,
            sandbox_version: Some("22".into()),
            session_lifetime: 168.into(),
            support_email: None,
            support_url: None,
            sessions: Some(json!({ "oidc_logout_prompt_enabled": true })),
            oidc_logout: Some(json!({ "rp_logout_end_session_endpoint_discovery": true })),
            allow_organization_name_in_authentication_api: None,
            pushed_authorization_requests_supported: Some(false),
            mtls: None,
            universal_login: None,
            session_cookie: Some(SessionCookie { mode: "persistent".into() }),
            sandbox_versions_available: vec!["22".into(), "18".into()],
            other: Map::from_iter([("resource_parameter_profile".into(), json!("audience"))]),
            version: 1,
        }
    }

    /// The settings after a PATCH: [`MERGED`] objects merge by key, all else is replaced, `…_in_minutes` becomes hours,
    /// and an empty `default_redirection_uri` is none.
    pub fn patched(&self, patch: &Map<String, Json>) -> Result<Self, serde_json::Error> {
        let mut patch = patch.clone();
        for key in LIFETIMES {
            if let Some(minutes) = patch.shift_remove(&format!("{key}_in_minutes")).and_then(|v| v.as_i64()) {
                patch.insert(key.into(), hours(minutes));
            }
        }
        let current = document::object(self);
        for key in MERGED {
            if let (Some(Json::Object(given)), Some(Json::Object(there))) =
                (patch.get_mut(key), current.get(key))
            {
                let mut merged = there.clone();
                merged.append(given);
                *given = merged;
            }
        }
        if patch.get("default_redirection_uri").is_some_and(|uri| uri == "") {
            patch.insert("default_redirection_uri".into(), Json::Null);
        }
        // Without these there is no session: `null` leaves them as they are.
        patch.retain(|key, value| !(value.is_null() && LIFETIMES.contains(&key.as_str())));
        let mut settings: Self = document::patch(self, &patch)?;
        settings.version = self.version;
        Ok(settings)
    }

    /// Whether a switch is on; one that was never set is off.
    pub fn flag(&self, name: &str) -> bool {
        self.flags.get(name).and_then(Json::as_bool).unwrap_or(false)
    }

    /// Seconds after which a session ends, and seconds without use after which it ends.
    pub fn session_seconds(&self) -> (i64, i64) {
        if self.sessions_persist() {
            (seconds(&self.session_lifetime), seconds(&self.idle_session_lifetime))
        } else {
            (seconds(&self.ephemeral_session_lifetime), seconds(&self.idle_ephemeral_session_lifetime))
        }
    }

    /// Whether the session cookie outlives the browser's window.
    pub fn sessions_persist(&self) -> bool {
        self.session_cookie.as_ref().is_none_or(|cookie| cookie.mode != "non-persistent")
    }

    /// Whether its clients may prove themselves by certificates: `mtls.enable_endpoint_aliases`, for a server that asks for them.
    pub fn takes_certificates(&self) -> bool {
        let on = self.mtls.as_ref().and_then(|mtls| mtls.get("enable_endpoint_aliases"));
        on.and_then(Json::as_bool) == Some(true)
    }

    /// The page that errors are sent to which no client may hear of, where the tenant has one.
    pub fn own_error_page(&self) -> Option<&str> {
        let url = self.error_page.as_ref()?.url.as_deref()?;
        urls::is_web_page(url).then_some(url)
    }

    /// Whether logout without an id token asks the user first; on unless switched off.
    pub fn prompts_on_logout(&self) -> bool {
        let on = self.sessions.as_ref().and_then(|sessions| sessions.get("oidc_logout_prompt_enabled"));
        on.and_then(Json::as_bool).unwrap_or(true)
    }

    /// Whether discovery names `/oidc/logout`; on unless switched off.
    pub fn publishes_end_session(&self) -> bool {
        let on = self.oidc_logout.as_ref();
        let on = on.and_then(|settings| settings.get("rp_logout_end_session_endpoint_discovery"));
        on.and_then(Json::as_bool).unwrap_or(true)
    }

    /// Whether `/v2/logout` may return to `url` when no client is named: query and fragment do not count.
    pub fn allows_logout_url(&self, url: &str) -> bool {
        self.allowed_logout_urls.iter().any(|listed| urls::matches_logout(listed, url))
    }

    /// Whether `/oidc/logout` may return to `uri` when no client is named: compared with its query.
    pub fn allows_post_logout_redirect(&self, uri: &str) -> bool {
        self.allowed_logout_urls.iter().any(|listed| urls::matches(listed, uri))
    }

    /// The API that a request without `audience` means.
    pub fn default_audience(&self) -> Option<&str> {
        Some(self.default_audience.as_str()).filter(|audience| !audience.is_empty())
    }
}

/// The objects of which a PATCH replaces only the keys that it names.
const MERGED: [&str; 4] = ["flags", "change_password", "guardian_mfa_page", "universal_login"];

const LIFETIMES: [&str; 4] = [
    "session_lifetime",
    "idle_session_lifetime",
    "ephemeral_session_lifetime",
    "idle_ephemeral_session_lifetime",
];

fn default_flags() -> Map<String, Json> {
    [
        ("allow_changing_enable_sso", false),
        ("disable_impersonation", true),
        ("enable_dynamic_client_registration", false),
        ("enable_public_signup_user_exists_error", true),
        ("enable_sso", true),
        ("universal_login", true),
        ("use_scope_descriptions_for_consent", false),
        ("revoke_refresh_token_grant", false),
        ("disable_clickjack_protection_headers", false),
    ]
    .into_iter()
    .map(|(flag, on)| (flag.to_owned(), on.into()))
    .collect()
}

/// Minutes as hours: a whole number where it is one, as the real service answers.
fn hours(minutes: i64) -> Json {
    if minutes % 60 == 0 { (minutes / 60).into() } else { (minutes as f64 / 60.0).into() }
}

fn seconds(hours: &Number) -> i64 {
    (hours.as_f64().unwrap_or_default() * 3600.0).round() as i64
}

/// The tenant's settings. Cached; the defaults when a tenant has none.
pub async fn settings(app: &Model, tenant: &TenantId) -> Result<Arc<Settings>, db::Error> {
    let found = app
        .db
        .cached("settings", tenant.as_str(), "", async { load_settings(app, tenant).await.map(Some) })
        .await?;
    Ok(found.unwrap_or_else(|| Arc::new(Settings::new(tenant.as_str()))))
}

/// The tenant's settings as they stand in the database: what a change begins with.
pub async fn load_settings(app: &Model, tenant: &TenantId) -> Result<Settings, db::Error> {
    let sql = "SELECT doc, version FROM settings WHERE tenant = $1";
    let Some(mut row) = app.db.read_one(sql, params![tenant]).await? else {
        return Ok(Settings { version: 0, ..Settings::new(tenant.as_str()) });
    };
    let doc = row.take()?;
    Ok(Settings { version: row.take()?, ..document::parse(doc)? })
}

/// Adds the settings of a new tenant.
pub fn insert_settings(batch: &mut Batch, tenant: &TenantId, settings: &Settings, now: Timestamp) {
    batch
        .execute(
            "INSERT INTO settings (tenant, doc, created_at, version) VALUES ($1, $2, $3, $4)",
            params![tenant, document::column(settings, &[]), now, settings.version],
        )
        .expect(1);
    batch.changed("settings", tenant.as_str(), "");
}

/// Writes changed settings, if nobody else has since they were read.
pub fn save_settings(batch: &mut Batch, tenant: &TenantId, settings: &mut Settings) {
    let read = settings.version;
    settings.version += 1;
    batch
        .execute(
            "UPDATE settings SET doc = $1, version = $2 WHERE tenant = $3 AND version = $4",
            params![document::column(settings, &[]), settings.version, tenant, read],
        )
        .expect(1);
    batch.changed("settings", tenant.as_str(), "");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{TestModel, object};

    fn settings() -> Settings {
        Settings::new("Acme")
    }

    #[test]
    fn a_new_tenant_has_the_services_defaults() {
        let wire = json!(settings());
        for (key, value) in [
            ("session_lifetime", json!(168)),
            ("idle_session_lifetime", json!(72)),
            ("ephemeral_session_lifetime", json!(72)),
            ("idle_ephemeral_session_lifetime", json!(24)),
            ("enabled_locales", json!(["en"])),
            ("default_audience", json!("")),
            ("session_cookie", json!({ "mode": "persistent" })),
            ("sessions", json!({ "oidc_logout_prompt_enabled": true })),
        ] {
            assert_eq!(wire[key], value, "{key}");
        }
        assert!(settings().flag("enable_sso") && !settings().flag("revoke_refresh_token_grant"));
        assert!(!settings().flag("never_set"));
    }

    #[test]
    fn flags_merge_by_key_and_all_else_is_replaced() {
        let patch = json!({
            "flags": { "revoke_refresh_token_grant": true },
            "enabled_locales": ["de", "fr"],
            "error_page": null,
            "security_headers": { "x": 1 }
        });
        let after = settings().patched(&object(patch)).unwrap();
        assert!(after.flag("revoke_refresh_token_grant") && after.flag("enable_sso"));
        assert_eq!((after.enabled_locales, after.error_page), (vec!["de".to_owned(), "fr".to_owned()], None));
        assert_eq!(after.other["security_headers"], json!({ "x": 1 }));
    }

    #[test]
    fn a_page_that_is_switched_off_keeps_its_markup() {
        let before =
            settings().patched(&object(json!({ "change_password": { "enabled": true, "html": "<p>" } })));
        let after =
            before.unwrap().patched(&object(json!({ "change_password": { "enabled": false } }))).unwrap();
        assert_eq!(after.change_password, Some(json!({ "enabled": false, "html": "<p>" })));
        let without = after.patched(&object(json!({ "change_password": null }))).unwrap();
        assert_eq!(without.change_password, None);
    }

    #[test]
    fn an_empty_redirection_is_none() {
        let before = settings()
            .patched(&object(json!({ "default_redirection_uri": "https://a.test/login" })))
            .unwrap();
        assert_eq!(before.default_redirection_uri.as_deref(), Some("https://a.test/login"));
        let after = before.patched(&object(json!({ "default_redirection_uri": "" }))).unwrap();
        assert_eq!(after.default_redirection_uri, None);
    }

    #[test]
    fn lifetimes_in_minutes_become_hours() {
        let patch = json!({ "session_lifetime_in_minutes": 181, "idle_session_lifetime_in_minutes": 60 });
        let after = settings().patched(&object(patch)).unwrap();
        let wire = json!(after);
        assert_eq!(
            (&wire["session_lifetime"], &wire["idle_session_lifetime"]),
            (&json!(181.0 / 60.0), &json!(1))
        );
        assert!(wire.get("session_lifetime_in_minutes").is_none());
        assert_eq!(after.session_seconds(), (181 * 60, 3600));
    }

    #[test]
    fn sessions_end_sooner_when_the_browser_forgets_them() {
        let after =
            settings().patched(&object(json!({ "session_cookie": { "mode": "non-persistent" } }))).unwrap();
        assert_eq!((settings().sessions_persist(), after.sessions_persist()), (true, false));
        assert_eq!(
            (settings().session_seconds(), after.session_seconds()),
            ((604_800, 259_200), (259_200, 86_400))
        );
    }

    #[test]
    fn an_empty_default_is_none() {
        assert_eq!(settings().default_audience(), None);
        let patch = json!({ "default_audience": "https://api" });
        let after = settings().patched(&object(patch)).unwrap();
        assert_eq!(after.default_audience(), Some("https://api"));
    }

    #[test]
    fn logout_is_prompted_and_published_unless_switched_off() {
        assert!(settings().prompts_on_logout() && settings().publishes_end_session());
        let patch = json!({
            "sessions": { "oidc_logout_prompt_enabled": false },
            "oidc_logout": { "rp_logout_end_session_endpoint_discovery": false }
        });
        let after = settings().patched(&object(patch)).unwrap();
        assert!(!after.prompts_on_logout() && !after.publishes_end_session());
    }

    #[tokio::test]
    async fn changed_settings_are_seen_at_once_and_only_one_of_two_wins() {
        for model in TestModel::each().await {
            let before = settings_of(&model).await;
            assert_eq!(before.friendly_name.as_deref(), Some("acme"));
            let mut changed = Settings { friendly_name: Some("Acme".into()), ..(*before).clone() };
            let mut batch = Batch::new();
            save_settings(&mut batch, &model.tenant, &mut changed);
            model.db.commit(batch).await.unwrap();
            assert_eq!(*settings_of(&model).await, changed);
            let mut batch = Batch::new();
            save_settings(&mut batch, &model.tenant, &mut (*before).clone());
            assert!(matches!(model.db.commit(batch).await, Err(db::Error::Conflict { .. })));
        }
    }

    async fn settings_of(model: &TestModel) -> Arc<Settings> {
        super::settings(model, &model.tenant).await.unwrap()
    }
}

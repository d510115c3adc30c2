//! Where users come from.

mod defaults;
mod enabled;
mod store;
#[cfg(test)]
mod tests;

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json, json};

pub use enabled::{enabled_for, list_clients, list_for_client, set_client, set_clients};
pub use store::{
    Filter, all, clear_users, domain_level, exists, find, find_by_name, insert, list, load, of_phones,
    remove, save,
};

use crate::clock::Timestamp;
use crate::document;
use crate::ids::ClientId;
use crate::random::Random;

/// A connection: the body of `GET /api/v2/connections/{id}`.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct Connection {
    /// `con_` and 16 alphanumerics.
    pub id: String,
    /// What its strategy needs to know. Upstream secrets lie in it.
    #[serde(default)]
    pub options: Map<String, Json>,
    /// `auth0` for the tenant's own users with passwords, else the kind of the upstream.
    pub strategy: String,
    /// What `connection` and `realm` parameters say; never changes.
    pub name: String,
    /// Where an administrator of the upstream sets it up.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub provisioning_ticket_url: Option<String>,
    /// Whether third-party clients may use it without being enabled.
    #[serde(default)]
    pub is_domain_connection: bool,
    /// Whether the login page has a button for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub show_as_button: Option<bool>,
    /// `active`: whether users sign in with it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub authentication: Option<Json>,
    /// `active`: whether accounts may be connected for their tokens.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connected_accounts: Option<Json>,
    /// What the login page's button says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub display_name: Option<String>,
    /// The clients whose users may sign in with it.
    #[serde(default)]
    pub enabled_clients: Vec<ClientId>,
    /// Names by which a password grant may call it.
    #[serde(default)]
    pub realms: Vec<String>,
    /// Free data: at most 10 keys of at most 255 characters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metadata: Option<Map<String, Json>>,
    /// Settings that are kept as given.
    #[serde(flatten)]
    pub other: Map<String, Json>,
    /// When it was made.
    #[serde(skip)]
    pub created_at: Timestamp,
    /// The row's version.
    #[serde(skip)]
    pub version: i64,
}

impl fmt::Debug for Connection {
    /// Without the options.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection")
            .field("id", &self.id)
            .field("strategy", &self.strategy)
            .field("name", &self.name)
            .field("enabled_clients", &self.enabled_clients)
            .field("version", &self.version)
            .finish_non_exhaustive()
    }
}

impl Connection {
    /// A connection with what the service fills in, and then what `body` says.
    pub fn new(random: &Random, body: &Map<String, Json>) -> Result<Self, serde_json::Error> {
        let text = |key: &str| body.get(key).and_then(Json::as_str).unwrap_or_default();
        let (name, strategy) = (text("name"), text("strategy"));
        let mut doc = defaults::connection(name, strategy);
        doc.insert("id".into(), format!("con_{}", random.alphanumeric(16)).into());
        for (key, value) in body {
            let value = match value {
                _ if key == "id" => continue,
                Json::Null => continue,
                Json::Object(given) if key == "options" => defaults::options(strategy, given).into(),
                value => value.clone(),
            };
            doc.insert(key.clone(), value);
        }
        if !doc.contains_key("options") {
            doc.insert("options".into(), defaults::options(strategy, &Map::new()).into());
        }
        let connection: Self = serde_json::from_value(Json::Object(doc))?;
        Ok(Self { version: 1, ..connection })
    }

    /// The connection after a PATCH: keys are replaced whole, `options` among them but for what its strategy always has; `name` and `strategy` never change.
    ///
    /// Whom it is enabled for changes through [`set_client`] and [`set_clients`] alone.
    pub fn patched(&self, patch: &Map<String, Json>) -> Result<Self, serde_json::Error> {
        let mut patch = patch.clone();
        patch.shift_remove("enabled_clients");
        match patch.get_mut("options") {
            Some(Json::Object(given)) => *given = defaults::patched_options(&self.strategy, given),
            // A connection always has options; `null` leaves them as they are.
            Some(Json::Null) => {
                patch.shift_remove("options");
            }
            _ => {}
        }
        let connection: Self = document::patch(self, &patch)?;
        Ok(Self {
            id: self.id.clone(),
            name: self.name.clone(),
            strategy: self.strategy.clone(),
            created_at: self.created_at,
            version: self.version,
            ..connection
        })
    }

    /// Whether its users are the tenant's own, with passwords.
    pub fn is_database(&self) -> bool {
        self.strategy == "auth0"
    }

    /// Whether users may sign in with it.
    pub fn is_active(&self) -> bool {
        let active = self.authentication.as_ref().and_then(|settings| settings.get("active"));
        active.and_then(Json::as_bool).unwrap_or(true)
    }

    /// Whether the client's users may sign in with it.
    pub fn is_enabled_for(&self, client_id: &ClientId) -> bool {
        self.enabled_clients.contains(client_id)
    }

    /// Whether people may sign themselves up.
    pub fn allows_signup(&self) -> bool {
        self.is_database() && !self.switch("disable_signup")
    }

    /// Whether it signs people in by codes and links that go to their e-mail addresses.
    pub fn sends_codes_by_email(&self) -> bool {
        self.strategy == "email"
    }

    /// Whether it signs people in by codes that go to their phones.
    pub fn sends_codes_by_sms(&self) -> bool {
        self.strategy == "sms"
    }

    /// Whether it signs people in by what is sent to them.
    pub fn sends_codes(&self) -> bool {
        self.sends_codes_by_email() || self.sends_codes_by_sms()
    }

    /// Whether a code makes a user of somebody whom nobody knows.
    pub fn takes_new_users(&self) -> bool {
        !self.switch("disable_signup")
    }

    /// Whether people who forgot their password may set another.
    pub fn allows_password_reset(&self) -> bool {
        self.is_database() && !self.switch("disable_self_service_change_password")
    }

    /// Whether its users have user names.
    pub fn has_usernames(&self) -> bool {
        let active = self.option("/attributes/username/identifier/active").and_then(Json::as_bool);
        active.unwrap_or_else(|| self.switch("requires_username"))
    }

    /// The shortest and the longest user name: 1 and 15 unless set.
    pub fn username_length(&self) -> (usize, usize) {
        let length = |key: &str| {
            let set = self
                .option(&format!("/validation/username/{key}"))
                .or_else(|| self.option(&format!("/attributes/username/validation/{key}_length")));
            set.and_then(Json::as_u64).and_then(|length| usize::try_from(length).ok())
        };
        (length("min").unwrap_or(1), length("max").unwrap_or(15))
    }

    /// How strong passwords must be: `none`, `low`, `fair`, `good` or `excellent`.
    pub fn password_policy(&self) -> &str {
        self.option("/passwordPolicy").and_then(Json::as_str).unwrap_or("good")
    }

    /// Whether failed logins are counted: unless its option says otherwise.
    pub fn has_brute_force_protection(&self) -> bool {
        self.options.get("brute_force_protection").and_then(Json::as_bool).unwrap_or(true)
    }

    fn switch(&self, option: &str) -> bool {
        self.options.get(option).and_then(Json::as_bool).unwrap_or(false)
    }

    /// The option at a JSON pointer (RFC 6901).
    pub(crate) fn option(&self, pointer: &str) -> Option<&Json> {
        let (first, rest) = pointer.strip_prefix('/')?.split_once('/').unwrap_or((&pointer[1..], ""));
        let option = self.options.get(first)?;
        if rest.is_empty() { Some(option) } else { option.pointer(&format!("/{rest}")) }
    }
}

/// The connection that every new tenant has.
pub fn username_password(random: &Random, enabled_clients: &[ClientId]) -> Connection {
    let body = json!({
        "name": "Username-Password-Authentication",
        "strategy": "auth0",
        "enabled_clients": enabled_clients,
    });
    let body = body.as_object().expect("it is written as an object");
    Connection::new(random, body).expect("all its fields are there")
}

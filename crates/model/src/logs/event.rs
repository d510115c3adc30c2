//! An event that is about to be written.

use std::net::IpAddr;
use std::sync::Arc;

use serde_json::{Map, Value};

use super::Kind;
use super::id::Ids;
use super::redact::redact;
use crate::app::{Model, Peer};
use crate::clients::Client;
use crate::clock::Timestamp;
use crate::connections::Connection;
use crate::ids::{ClientId, TenantId, UserId};
use crate::tenants::Tenant;
use crate::users::User;

/// The longest `user_name`, `description`, `scope` and the like, in characters: an anonymous caller chooses them.
const MOST_CHARACTERS: usize = 8192;

/// Something that happened, with what is known of it. Unknown is null in the entry.
#[derive(Clone, Debug)]
pub struct Event {
    ids: Arc<Ids>,
    tenant: TenantId,
    kind: Kind,
    date: Timestamp,
    hostname: String,
    description: Option<String>,
    connection: Option<ConnectionPart>,
    client_id: Option<ClientId>,
    client_name: Option<String>,
    ip: Option<IpAddr>,
    user_agent: Option<String>,
    user_id: Option<UserId>,
    user_name: Option<String>,
    audience: Option<String>,
    scope: Option<String>,
    details: Option<Value>,
}

#[derive(Clone, Debug)]
struct ConnectionPart {
    name: String,
    id: Option<String>,
    strategy: Option<String>,
}

impl Event {
    /// An event of now.
    pub fn new(app: &Model, tenant: &Tenant, kind: Kind) -> Self {
        app.audit.event(&tenant.id, &tenant.host, kind, app.clock.now())
    }

    pub(super) fn at(ids: Arc<Ids>, tenant: &TenantId, hostname: &str, kind: Kind, date: Timestamp) -> Self {
        Self {
            ids,
            tenant: tenant.clone(),
            kind,
            date,
            hostname: hostname.to_owned(),
            description: None,
            connection: None,
            client_id: None,
            client_name: None,
            ip: None,
            user_agent: None,
            user_id: None,
            user_name: None,
            audience: None,
            scope: None,
            details: None,
        }
    }

    /// Who is at the other end.
    #[must_use]
    pub fn peer(mut self, peer: &Peer) -> Self {
        self.ip = Some(peer.ip);
        self.user_agent.clone_from(&peer.user_agent);
        self
    }

    /// Through which application.
    #[must_use]
    pub fn client(self, client: &Client) -> Self {
        self.client_id(&client.client_id).client_name(&client.name)
    }

    /// Through which application, when only its id is known.
    #[must_use]
    pub fn client_id(mut self, client_id: &ClientId) -> Self {
        self.client_id = Some(client_id.clone());
        self
    }

    /// The application's name.
    #[must_use]
    pub fn client_name(mut self, name: &str) -> Self {
        self.client_name = Some(cut(name));
        self
    }

    /// Of which user. They are named by what they log in with.
    #[must_use]
    pub fn user(self, user: &User) -> Self {
        let names = [&user.username, &user.email, &user.phone_number, &user.name];
        let name = names.into_iter().flatten().next().cloned();
        let event = self.user_id(&user.id);
        match name {
            Some(name) => event.user_name(&name),
            None => event,
        }
    }

    /// Of which user, when only the id is known.
    #[must_use]
    pub fn user_id(mut self, user_id: &UserId) -> Self {
        self.user_id = Some(user_id.clone());
        self
    }

    /// What the user typed as their name.
    #[must_use]
    pub fn user_name(mut self, name: &str) -> Self {
        self.user_name = Some(cut(name));
        self
    }

    /// Through which connection.
    #[must_use]
    pub fn connection(mut self, connection: &Connection) -> Self {
        self.connection = Some(ConnectionPart {
            name: connection.name.clone(),
            id: Some(connection.id.clone()),
            strategy: Some(connection.strategy.clone()),
        });
        self
    }

    /// Through which connection, when only its name is known.
    #[must_use]
    pub fn connection_name(mut self, name: &str) -> Self {
        self.connection = Some(ConnectionPart { name: cut(name), id: None, strategy: None });
        self
    }

    /// For which API.
    #[must_use]
    pub fn audience(mut self, audience: &str) -> Self {
        self.audience = Some(cut(audience));
        self
    }

    /// For which scopes, separated by blanks.
    #[must_use]
    pub fn scope(mut self, scope: &str) -> Self {
        self.scope = Some(cut(scope));
        self
    }

    /// What a reader of the log should know: a reason, or an operation's title.
    #[must_use]
    pub fn description(mut self, description: &str) -> Self {
        self.description = Some(cut(description));
        self
    }

    /// Anything more, as an object. It is redacted and cut at once: an event may wait before it is written.
    #[must_use]
    pub fn details(mut self, mut details: Value) -> Self {
        redact(&mut details);
        self.details = Some(details);
        self
    }

    /// What happened.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    pub(super) fn next_id(&self) -> String {
        self.ids.next(self.date)
    }

    pub(super) fn tenant(&self) -> &TenantId {
        &self.tenant
    }

    pub(super) fn date(&self) -> Timestamp {
        self.date
    }

    pub(super) fn source(&self) -> Option<IpAddr> {
        self.ip
    }

    /// The columns that are searched: NUL cannot be stored.
    pub(super) fn columns(&self) -> [Option<String>; 4] {
        let text = |value: Option<&str>| value.map(clean);
        [
            text(self.user_id.as_ref().map(UserId::as_str)),
            text(self.client_id.as_ref().map(ClientId::as_str)),
            text(self.connection.as_ref().map(|connection| connection.name.as_str())),
            self.ip.map(|ip| ip.to_string()),
        ]
    }

    /// The whole entry, in the recorded order of keys.
    pub(super) fn to_entry(&self, id: &str) -> Map<String, Value> {
        let connection = self.connection.as_ref();
        let strategy = connection.and_then(|connection| connection.strategy.as_deref());
        let entry = [
            ("_id", id.into()),
            ("log_id", id.into()),
            ("date", self.date.iso().into()),
            ("type", self.kind.code().into()),
            ("description", text(Some(self.description.as_deref().unwrap_or_default()))),
            ("connection", text(connection.map(|connection| connection.name.as_str()))),
            ("connection_id", text(connection.and_then(|connection| connection.id.as_deref()))),
            ("organization_id", Value::Null),
            ("organization_name", Value::Null),
            ("client_id", text(self.client_id.as_ref().map(ClientId::as_str))),
            ("client_name", text(self.client_name.as_deref())),
            ("ip", self.ip.map_or(Value::Null, |ip| ip.to_string().into())),
            ("hostname", text(Some(&self.hostname))),
            ("details", self.details.clone().unwrap_or_default()),
            ("user_id", text(self.user_id.as_ref().map(UserId::as_str))),
            ("user_name", text(self.user_name.as_deref())),
            ("user_agent", text(self.user_agent.as_deref())),
            ("audience", text(self.audience.as_deref())),
            ("scope", text(self.scope.as_deref())),
            ("strategy", text(strategy)),
            ("strategy_type", text(strategy.map(strategy_type))),
            ("isMobile", self.user_agent.as_ref().is_some_and(|agent| agent.contains("Mobi")).into()),
            ("location_info", Value::Null),
        ];
        entry.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
    }
}

fn text(value: Option<&str>) -> Value {
    value.map_or(Value::Null, |value| clean(value).into())
}

/// Without NUL, which cannot be searched on PostgreSQL.
fn clean(text: &str) -> String {
    text.replace('\0', "\u{fffd}")
}

fn cut(text: &str) -> String {
    text.chars().take(MOST_CHARACTERS).collect()
}

/// What kind of strategy it is.
fn strategy_type(strategy: &str) -> &'static str {
    match strategy {
        "auth0" => "database",
        "email" | "sms" => "passwordless",
        "ad" | "adfs" | "auth0-adldap" | "google-apps" | "office365" | "oidc" | "okta" | "pingfederate"
        | "samlp" | "sharepoint" | "waad" => "enterprise",
        _ => "social",
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::testing::TestModel;

    #[tokio::test]
    async fn a_client_and_a_connection_are_named_in_full() {
        for app in TestModel::each().await {
            let client = app.add_client(json!({"name": "App"})).await;
            let connection = app.add_connection(json!({"name": "people", "strategy": "auth0"})).await;
            let tenant = crate::tenants::resolve(&app, "acme.test").await.unwrap().unwrap();
            let event = Event::new(&app, &tenant, Kind::Signup).client(&client).connection(&connection);
            let entry = event.to_entry("1");
            for (key, expected) in [
                ("type", "ss"),
                ("date", "2023-11-14T22:13:20.000Z"),
                ("hostname", "acme.test"),
                ("client_id", client.client_id.as_str()),
                ("client_name", "App"),
                ("connection", "people"),
                ("connection_id", &connection.id),
                ("strategy", "auth0"),
                ("strategy_type", "database"),
            ] {
                assert_eq!(entry[key], json!(expected), "{key}");
            }
        }
    }

    #[test]
    fn a_strategy_is_of_a_type() {
        let types = ["auth0", "sms", "samlp", "google-oauth2"].map(strategy_type);
        assert_eq!(types, ["database", "passwordless", "enterprise", "social"]);
    }
}

//! What the recorded tenant held before the recording's first request, as far as its answers tell, put into ours as it was
//! recorded and with its ids.

use std::collections::BTreeSet;

use db::{Batch, params};
use model::attack_protection::{
    self, BotDetection, BreachedPasswords, BruteForce, Settings, Stored, SuspiciousIp, load_captcha,
    save_captcha,
};
use model::branding::{self, Branding};
use model::client_grants::{self, ClientGrant};
use model::clients::{self, Client};
use model::connections::{self, Connection};
use model::document::object;
use model::guardian;
use model::logs::{self, Event, Kind};
use model::mail::providers::{self, Provider};
use model::mail::templates::{self, Template};
use model::resource_servers::{self, ResourceServer};
use model::tenants::{self, Tenant};
use model::users::{self, NewUser};
use model::{App, ClientId};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use super::compare;
use super::exchange::Exchange;
use super::names::Names;

type Object = Map<String, Value>;

/// The objects that answers show and no request of the recording made.
struct Before<'a> {
    app: &'a App,
    tenant: &'a Tenant,
    names: &'a Names,
    exchanges: &'a [&'a Exchange],
    /// Ids that the recording itself brings into being.
    born: BTreeSet<String>,
}

/// Puts into the tenant what `sent` tells of it; `all` are the recording's exchanges, those included that are not sent.
///
/// Answers the ids of what is there then.
pub async fn restore(
    app: &App,
    tenant: &Tenant,
    names: &Names,
    all: &[Exchange],
    sent: &[&Exchange],
) -> BTreeSet<String> {
    let made = all.iter().filter(|exchange| exchange.method == "POST");
    let born = made.filter_map(|exchange| compare::id(&exchange.response_body)).map(str::to_owned).collect();
    let before = Before { app, tenant, names, exchanges: sent, born };
    let mut restored = BTreeSet::new();
    before.database_connection().await;
    before.clients(&mut restored).await;
    before.connections(&mut restored).await;
    before.resource_servers(&mut restored).await;
    before.client_grants(&mut restored).await;
    before.settings().await;
    before.branding().await;
    before.attack_protection().await;
    before.guardian().await;
    before.email_provider().await;
    before.email_templates().await;
    before.users().await;
    restored
}

/// Leaves in the log the entries that `sent` tell of, and as many newer ones as the page that is asked for next skips.
pub async fn restore_logs(app: &App, tenant: &Tenant, names: &Names, sent: &[&Exchange], next: &Exchange) {
    let before = Before { app, tenant, names, exchanges: sent, born: BTreeSet::new() };
    let entries = before.objects::<Object>("logs");
    let first = next.objects().first().and_then(|entry| entry.get("log_id")?.as_str()).map(str::to_owned);
    let newer =
        entries.iter().filter(|(entry, _)| entry.get("log_id").and_then(Value::as_str) > first.as_deref());
    let skipped = skipped(next).saturating_sub(newer.count());

    app.audit.flush().await;
    let mut batch = Batch::new();
    batch.execute("DELETE FROM logs WHERE tenant = $1", params![&tenant.id]);
    for (entry, _) in entries {
        let text = |key: &str| entry.get(key).and_then(Value::as_str).map(str::to_owned);
        let [id, kind, user_id, client_id] = ["log_id", "type", "user_id", "client_id"].map(text);
        let (connection, ip) = (text("connection"), text("ip"));
        batch.execute(
            "INSERT INTO logs (tenant, id, date, type, user_id, client_id, connection, ip, doc) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
            params![&tenant.id, id, app.clock.now(), kind, user_id, client_id, connection, ip, entry],
        );
    }
    for _ in 0..skipped {
        logs::record(&mut batch, Event::new(app, tenant, Kind::Signup));
    }
    before.commit(batch).await;
}

/// How many items come before the page that is asked for.
fn skipped(exchange: &Exchange) -> usize {
    let query = exchange.query();
    let number = |key: &str| query.iter().find(|(name, _)| name == key)?.1.parse::<usize>().ok();
    number("page").zip(number("per_page")).map_or(0, |(page, per_page)| page * per_page)
}

impl Before<'_> {
    /// The objects of a family that were there already, each as it is first seen whole, in our names.
    fn objects<T: DeserializeOwned>(&self, family: &str) -> Vec<(T, Object)> {
        let mut seen = BTreeSet::new();
        let mut objects = Vec::new();
        for exchange in self.exchanges.iter().filter(|exchange| exchange.status == 200) {
            let segments = exchange.segments();
            if segments[0] != family
                || segments.len() > 2
                || !["GET", "PATCH"].contains(&exchange.method.as_str())
            {
                continue;
            }
            for object in exchange.objects() {
                let object = self.names.value(&object.clone().into());
                let id = compare::id(&object).unwrap_or_default().to_owned();
                if self.born.contains(&id) || seen.contains(&id) {
                    continue;
                }
                if let (Ok(known), Value::Object(object)) = (serde_json::from_value(object.clone()), object) {
                    seen.insert(id);
                    objects.push((known, object));
                }
            }
        }
        objects
    }

    /// The tenants that were recorded let users of their first connection have a username or not.
    async fn database_connection(&self) {
        let Some(mut connection) = self.default_connection().await else { return };
        let attribute = json!({ "identifier": { "active": true }, "profile_required": false });
        let mut attributes = json!({ "email": attribute, "username": attribute });
        attributes["username"]["validation"] = json!({ "min_length": 1, "max_length": 128 });
        connection.options.insert("attributes".to_owned(), attributes);
        let mut batch = Batch::new();
        connections::save(self.app, &mut batch, &self.tenant.id, &mut connection);
        self.commit(batch).await;
    }

    async fn default_connection(&self) -> Option<Connection> {
        let name = "Username-Password-Authentication";
        let found = connections::find_by_name(self.app, &self.tenant.id, name).await.expect("reads")?;
        connections::load(self.app, &self.tenant.id, &found.id).await.expect("reads")
    }

    async fn clients(&self, restored: &mut BTreeSet<String>) {
        let now = self.app.clock.now();
        for (_, object) in self.objects::<Client>("clients") {
            let shown = [
                "tenant",
                "client_secret",
                "signing_keys",
                "cross_origin_auth",
                "callback_url_template",
                "encrypted",
            ];
            let stored: Object =
                object.into_iter().filter(|(key, _)| !shown.contains(&key.as_str())).collect();
            let mut client: Client = serde_json::from_value(stored.into()).expect("it was one before");
            client.version = 1;
            client.global |= self.is_listed_as_global(client.client_id.as_str());
            let mut batch = Batch::new();
            if client.global {
                batch
                    .execute("DELETE FROM clients WHERE tenant = $1 AND is_global", params![&self.tenant.id]);
            }
            clients::insert(self.app, &mut batch, &self.tenant.id, &mut client, "secret", now);
            restored.insert(client.client_id.to_string());
            self.commit(batch).await;
        }
    }

    /// Whether it is an item of a list that asks for the client that stands for all applications.
    fn is_listed_as_global(&self, client_id: &str) -> bool {
        let asks =
            |exchange: &&&Exchange| exchange.query().contains(&("is_global".to_owned(), "true".to_owned()));
        let items = self.exchanges.iter().filter(asks).flat_map(|exchange| exchange.objects());
        items.into_iter().any(|item| item.get("client_id").is_some_and(|id| id == client_id))
    }

    async fn connections(&self, restored: &mut BTreeSet<String>) {
        for exchange in self.exchanges {
            for client_id in exchange.request_body["enabled_clients"].as_array().into_iter().flatten() {
                let client_id = client_id.as_str().filter(|client_id| !self.born.contains(*client_id));
                if let Some(client_id) = client_id {
                    self.client(&client_id.into()).await;
                }
            }
        }
        let now = self.app.clock.now();
        for (mut connection, _) in self.objects::<Connection>("connections") {
            let mut batch = Batch::new();
            let ours = self.default_connection().await.filter(|ours| ours.name == connection.name);
            if let Some(ours) = ours {
                connections::remove(&mut batch, &self.tenant.id, &ours, self.app.clock.now());
            }
            connection.enabled_clients.retain(|client_id| !self.born.contains(client_id.as_str()));
            for client_id in &connection.enabled_clients {
                self.client(client_id).await;
            }
            restored.insert(connection.id.clone());
            let connection = Connection { version: 1, ..connection };
            connections::insert(self.app, &mut batch, &self.tenant.id, &connection, now);
            self.commit(batch).await;
        }
    }

    async fn resource_servers(&self, restored: &mut BTreeSet<String>) {
        for (api, _) in self.objects::<ResourceServer>("resource-servers") {
            if api.is_system {
                continue;
            }
            let mut batch = Batch::new();
            restored.insert(api.id.clone());
            let api = ResourceServer { version: 1, ..api };
            resource_servers::insert(self.app, &mut batch, &self.tenant.id, &api, self.app.clock.now());
            self.commit(batch).await;
        }
    }

    async fn client_grants(&self, restored: &mut BTreeSet<String>) {
        for (grant, _) in self.objects::<ClientGrant>("client-grants") {
            let mut batch = Batch::new();
            if let Some(client_id) = &grant.client_id {
                self.client(client_id).await;
            }
            self.api(&grant.audience).await;
            restored.insert(grant.id.clone());
            let grant = ClientGrant { version: 1, ..grant };
            client_grants::insert(&mut batch, &self.tenant.id, &grant, self.app.clock.now());
            self.commit(batch).await;
        }
    }

    /// A client of which only the id was seen, unless it is there.
    async fn client(&self, client_id: &ClientId) {
        if clients::load(self.app, &self.tenant.id, client_id.as_str()).await.expect("reads").is_none() {
            let name = Map::from_iter([("name".to_owned(), client_id.as_str().into())]);
            let mut client = Client::new(client_id.clone(), &name).expect("it is a client");
            let mut batch = Batch::new();
            clients::insert(
                self.app,
                &mut batch,
                &self.tenant.id,
                &mut client,
                "secret",
                self.app.clock.now(),
            );
            self.commit(batch).await;
        }
    }

    /// An API of which only the identifier was seen, unless it is there.
    async fn api(&self, identifier: &str) {
        let found = resource_servers::find_by_identifier(self.app, &self.tenant.id, identifier).await;
        if found.expect("reads").is_none() {
            let body = Map::from_iter([("identifier".to_owned(), identifier.into())]);
            let api = ResourceServer::new(&self.app.random, &body).expect("it is an API");
            let mut batch = Batch::new();
            resource_servers::insert(self.app, &mut batch, &self.tenant.id, &api, self.app.clock.now());
            self.commit(batch).await;
        }
    }

    async fn settings(&self) {
        let Some(first) = self.first("tenants") else { return };
        let ours = tenants::load_settings(self.app, &self.tenant.id).await.expect("reads");
        // An answer to PATCH does not tell what may be chosen.
        let keys = object(&ours).into_iter().filter(|(key, _)| key != "sandbox_versions_available");
        let unset = keys.map(|(key, _)| (key, Value::Null)).collect();
        let bare = ours.patched(&unset).expect("every setting can be unset");
        let mut settings = bare.patched(&object(&first)).expect("they are settings");
        let mut batch = Batch::new();
        tenants::save_settings(&mut batch, &self.tenant.id, &mut settings);
        self.commit(batch).await;
    }

    async fn branding(&self) {
        let Some(first) = self.first("branding") else { return };
        let mut branding: Branding = serde_json::from_value(first).expect("it is branding");
        let mut batch = Batch::new();
        branding::save(&mut batch, &self.tenant.id, &mut branding, self.app.clock.now());
        self.commit(batch).await;
    }

    async fn attack_protection(&self) {
        self.protection::<BruteForce>().await;
        self.protection::<SuspiciousIp>().await;
        self.protection::<BreachedPasswords>().await;
        self.protection::<BotDetection>().await;
        let mut seen =
            self.exchanges.iter().filter(|exchange| exchange.segments().ends_with(&["captcha".into()]));
        let Some(first) = seen.find_map(|exchange| exchange.response_body.as_object()) else { return };
        let captcha = load_captcha(self.app, &self.tenant.id).await.expect("reads");
        let mut batch = Batch::new();
        save_captcha(self.app, &mut batch, &self.tenant.id, &mut captcha.patched(first));
        self.commit(batch).await;
    }

    /// The settings of a part as its first answer tells them.
    async fn protection<T: Settings>(&self) {
        let mut seen =
            self.exchanges.iter().filter(|exchange| exchange.segments().ends_with(&[T::PART.into()]));
        let Some(first) = seen.next() else { return };
        let settings: T = serde_json::from_value(first.response_body.clone()).expect("they are settings");
        let mut batch = Batch::new();
        attack_protection::save(&mut batch, &self.tenant.id, &mut Stored { settings, version: 0 });
        self.commit(batch).await;
    }

    /// What is read of second factors before it is written.
    async fn guardian(&self) {
        let mut guardian = guardian::load(self.app, &self.tenant.id).await.expect("reads");
        let mut seen = BTreeSet::new();
        for exchange in self.exchanges.iter().filter(|exchange| exchange.family() == "guardian") {
            let path = exchange.segments().split_off(1).join("/");
            if !seen.insert(path.clone()) || exchange.method != "GET" || exchange.status != 200 {
                continue;
            }
            match (path.as_str(), &exchange.response_body) {
                ("factors", Value::Array(factors)) => {
                    let written = |name: &str| seen.contains(&format!("factors/{name}"));
                    for factor in factors {
                        let name = factor["name"].as_str().expect("it has a name");
                        guardian.enable(name, factor["enabled"] == true && !written(name));
                    }
                }
                ("policies", Value::Array(policies)) => {
                    let names = policies.iter().filter_map(Value::as_str);
                    guardian.policies = names.map(str::to_owned).collect();
                }
                ("factors/sms/templates", Value::Object(templates)) => {
                    guardian.phone_templates = Some(templates.clone());
                }
                ("factors/sms/providers/twilio", Value::Object(kept)) => {
                    guardian.set_provider("twilio", kept.clone());
                }
                ("factors/push-notification/providers/sns", Value::Object(kept)) => {
                    guardian.set_provider("sns", kept.clone());
                }
                ("factors/push-notification/providers/apns", Value::Object(kept)) => {
                    let mut kept = kept.clone();
                    if kept.shift_remove("enabled") == Some(true.into()) {
                        kept.insert("p12".into(), "a certificate".into());
                    }
                    guardian.set_provider("apns", kept);
                }
                ("factors/duo/settings", Value::Object(kept)) => guardian.set_provider("duo", kept.clone()),
                _ => {}
            }
        }
        if !seen.is_empty() {
            let mut batch = Batch::new();
            guardian::save(&mut batch, self.app, &self.tenant.id, &mut guardian);
            self.commit(batch).await;
        }
    }

    /// A provider that the first request finds, with its secrets unknown.
    async fn email_provider(&self) {
        let first = self.exchanges.iter().find(|exchange| exchange.family() == "emails");
        let Some(first) = first.filter(|exchange| exchange.status == 200) else { return };
        let Value::Object(body) = self.names.value(&first.response_body) else { return };
        let mut provider = Provider::new(&body).expect("it is a provider");
        let mut batch = Batch::new();
        providers::save(self.app, &mut batch, &self.tenant.id, &mut provider);
        self.commit(batch).await;
    }

    /// Templates that the first request about them finds.
    async fn email_templates(&self) {
        let mut seen = BTreeSet::new();
        for exchange in self.exchanges.iter().filter(|exchange| exchange.family() == "email-templates") {
            let segments = exchange.segments();
            let named =
                segments.get(1).map(String::as_str).or_else(|| exchange.request_body["template"].as_str());
            let Some(name) = named.filter(|name| seen.insert((*name).to_owned())) else { continue };
            let found = match exchange.status {
                200 if exchange.method != "POST" => self.names.value(&exchange.response_body),
                // It is there already, and what it says is not told.
                409 => json!({ "template": name, "enabled": true }),
                _ => continue,
            };
            let Value::Object(body) = found else { continue };
            let mut template = Template::new(&body).expect("it is a template");
            let mut batch = Batch::new();
            templates::save(&mut batch, &self.tenant.id, &mut template);
            self.commit(batch).await;
        }
    }

    /// Users of whom only the id was seen, in a ticket.
    async fn users(&self) {
        for exchange in self.exchanges.iter().filter(|exchange| exchange.family() == "tickets") {
            let Some(id) = exchange.request_body["user_id"].as_str() else { continue };
            if self.born.contains(id) {
                continue;
            }
            let connection = self.default_connection().await.expect("every tenant has it");
            let new = NewUser {
                user_id: id.split_once('|').map(|(_, rest)| rest.to_owned()),
                email: Some("chuck@example.com".into()),
                ..NewUser::default()
            };
            let mut batch = Batch::new();
            let user = users::new_database_user(self.app, &self.tenant.id, &connection, new);
            users::insert(&mut batch, &user);
            self.commit(batch).await;
        }
    }

    /// What the first request of a family that has one object answered.
    fn first(&self, family: &str) -> Option<Value> {
        let first = self.exchanges.iter().find(|exchange| exchange.family() == family)?;
        Some(self.names.value(&first.response_body))
    }

    async fn commit(&self, batch: Batch) {
        self.app.db.commit(batch).await.expect("what was recorded can be stored");
    }
}

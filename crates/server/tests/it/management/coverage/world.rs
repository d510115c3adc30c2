//! What operations are called on, and with.

use axum::http::Method;
use management::Operation;
use model::attack_protection::{self as protection, Stage};
use model::jobs::{self, Job};
use serde_json::{Map, Value, json};

use super::Row;
use crate::management::sign_ins::SignIn;
use crate::support::{Answer, Caller, TestApp};

/// Where a user's factors are.
const METHODS: &str = "/users/{id}/authentication-methods";

/// Whom or what a call is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whose {
    /// The caller's, where there is such a thing; else something that exists.
    Own,
    /// Another user's, or something that exists.
    Other,
    /// Nobody's: the id is well formed and there is no such thing.
    Missing,
}

pub const WHOSE: [Whose; 3] = [Whose::Own, Whose::Other, Whose::Missing];

/// What an operation is called with.
#[derive(Clone, Debug)]
pub struct Call {
    pub method: Method,
    pub path: String,
    body: Option<Value>,
}

impl Call {
    pub async fn by(&self, caller: &Caller) -> Answer {
        let path = format!("/api/v2{}", self.path);
        match &self.body {
            Some(Value::String(form)) => {
                let kind = "multipart/form-data; boundary=x";
                caller.send(self.method.clone(), &path, Some(kind), form.clone()).await
            }
            Some(body) => caller.json(self.method.clone(), &path, body.clone()).await,
            None => caller.send(self.method.clone(), &path, None, String::new()).await,
        }
    }
}

/// The objects that operations are called on.
pub struct World {
    pub app: TestApp,
    pub admin: Caller,
}

impl World {
    pub async fn new(app: TestApp) -> Self {
        let app = app.without_limits();
        let admin = app.admin();
        let world = Self { app, admin };
        for user in ["alice", "bob"] {
            world.user(user).await;
        }
        world
    }

    /// Makes the user, unless they are there.
    pub async fn user(&self, name: &str) {
        let there = self.admin.get(&format!("/api/v2/users/auth0%7C{name}")).await;
        if there.status == 404 {
            self.app.add_user(&format!("auth0|{name}")).await;
        }
    }

    fn unique(&self, prefix: &str) -> String {
        format!("{prefix}{}", self.app.app.random.hex(12))
    }

    async fn made(&self, path: &str, body: Value) -> Value {
        let answer = self.admin.post(path, body).await;
        assert_eq!(answer.status, 201, "{path}: {}", answer.text);
        answer.body
    }

    /// A fresh object for a path that begins with `family`, and its id as it stands in a path.
    async fn object(&self, family: &str) -> String {
        let id = |object: Value, key: &str| object[key].as_str().expect("it has an id").to_owned();
        match family {
            "client-grants" => id(self.made("/api/v2/client-grants", self.client_grant().await).await, "id"),
            "clients" | "doorward" => {
                id(self.made("/api/v2/clients", json!({ "name": "c" })).await, "client_id")
            }
            "connections" => {
                let body = json!({ "name": self.unique("c"), "strategy": "auth0" });
                id(self.made("/api/v2/connections", body).await, "id")
            }
            "resource-servers" => {
                let body = json!({ "identifier": self.unique("urn:") });
                id(self.made("/api/v2/resource-servers", body).await, "id")
            }
            "keys" => {
                // Only what was rotated away can be revoked.
                self.made("/api/v2/keys/signing/rotate", json!({})).await;
                let keys = self.admin.get("/api/v2/keys/signing").await.body;
                let keys = keys.as_array().expect("is a list");
                let previous = keys.iter().find(|key| key["previous"] == true && key["revoked"] == false);
                id(previous.expect("there is one now").clone(), "kid")
            }
            "logs" => {
                self.app.app.audit.flush().await;
                id(self.admin.get("/api/v2/logs?per_page=1").await.body[0].clone(), "log_id")
            }
            "grants" => self.consent().await,
            "roles" => self.role().await,
            "sessions" => SignIn::of(&self.app, "auth0|alice", "").await.sid,
            "refresh-tokens" => SignIn::of(&self.app, "auth0|alice", "").await.family,
            "jobs" => self.job().await,
            "device-credentials" => {
                let alice = self.app.token("auth0|alice", "create:current_user_device_credentials");
                let made = alice.post("/api/v2/device-credentials", self.device()).await;
                assert_eq!(made.status, 201, "{}", made.text);
                id(made.body, "id")
            }
            // There may be only so many.
            "log-streams" => match self.admin.get("/api/v2/log-streams").await.body {
                Value::Array(there) if !there.is_empty() => id(there[0].clone(), "id"),
                _ => id(self.admin.post("/api/v2/log-streams", stream()).await.body, "id"),
            },
            "anomaly" => self.throttled().await,
            "email-templates" => self.email_template().await,
            other => panic!("write here how to make one of {other}"),
        }
    }

    /// The id of the only factor of a user.
    async fn factor(&self, user: &str) -> String {
        let path = format!("/api/v2{}", METHODS.replace("{id}", user));
        self.admin.delete(&path).await;
        let made = self.made(&path, json!({ "type": "phone", "phone_number": "+15551234567" })).await;
        made["id"].as_str().expect("it has an id").replace("phone|", "")
    }

    /// A text of the tenant's own.
    async fn email_template(&self) -> String {
        let there = self.admin.get("/api/v2/email-templates/verify_email").await;
        if there.status == 404 {
            let made = self.admin.post("/api/v2/email-templates", template("verify_email")).await;
            assert_eq!(made.status, 200, "{}", made.text);
        }
        "verify_email".to_owned()
    }

    /// Sets what sends the tenant's mail, or takes it away, so that a call finds what it needs.
    async fn email_provider(&self, wanted: bool) {
        let path = "/api/v2/emails/provider";
        assert_eq!(self.admin.delete(path).await.status, 204);
        if wanted {
            self.made(path, provider()).await;
        }
    }

    /// Takes a text of the tenant's own away: no operation does that.
    async fn no_email_template(&self, name: &str) {
        let mut batch = db::Batch::new();
        let tenant = &self.app.tenant.id;
        batch.execute(
            "DELETE FROM email_templates WHERE tenant = $1 AND template = $2",
            db::params![tenant, name],
        );
        batch.changed("email_templates", tenant.as_str(), name);
        self.app.app.db.commit(batch).await.expect("deletes");
    }

    async fn role(&self) -> String {
        let made = self.admin.post("/api/v2/roles", json!({ "name": self.unique("r") })).await;
        assert_eq!(made.status, 200, "{}", made.text);
        made.body["id"].as_str().expect("it has an id").to_owned()
    }

    /// A permission that there is.
    async fn permissions(&self) -> Value {
        let identifier = self.unique("urn:");
        let body = json!({ "identifier": identifier, "scopes": [{ "value": "read:a" }] });
        self.made("/api/v2/resource-servers", body).await;
        json!({ "permissions": [{ "resource_server_identifier": identifier, "permission_name": "read:a" }] })
    }

    /// What Alice consented to.
    async fn consent(&self) -> String {
        let mut batch = db::Batch::new();
        let audience = self.unique("urn:");
        let (app, tenant) = (&self.app.app, &self.app.tenant.id);
        let whose = (&"auth0|alice".into(), &"spa".into(), &*audience);
        let grant = model::grants::grow(&mut batch, app, tenant, whose, None, &["openid"]);
        app.db.commit(batch).await.expect("a consent");
        grant.id
    }

    /// A job that is done.
    async fn job(&self) -> String {
        let app = &self.app.app;
        let mut job = Job::new(app, &self.app.tenant.id, jobs::Kind::VerificationEmail, Map::new());
        job.status = jobs::Status::Completed;
        let mut batch = db::Batch::new();
        jobs::insert(&mut batch, &job);
        app.db.commit(batch).await.expect("a job");
        job.id
    }

    /// A device that has no key yet.
    fn device(&self) -> Value {
        let id = self.app.app.random.hex(32);
        json!({ "device_name": "d", "type": "public_key", "value": "ABCD", "device_id": id })
    }

    /// A user of whom nobody has heard yet: the id without `auth0|`.
    async fn stranger(&self) -> String {
        let name = self.unique("s");
        self.app.add_user(&format!("auth0|{name}")).await;
        name
    }

    /// A linked account of a user, if there is such a user.
    async fn linked(&self, user: &str) -> String {
        let stranger = self.stranger().await;
        let body = json!({ "provider": "auth0", "user_id": stranger });
        let answer = self.admin.post(&format!("/api/v2/users/{user}/identities"), body).await;
        assert!([201, 404].contains(&answer.status), "{}", answer.text);
        stranger
    }

    /// An address that has no sign-ups left.
    async fn throttled(&self) -> String {
        let (app, tenant) = (&self.app.app, &self.app.tenant.id);
        let ip = format!("198.51.{}.{}", app.random.bytes::<1>()[0], app.random.bytes::<1>()[0]);
        let address = ip.parse().expect("is an address");
        while protection::admit(app, tenant, Stage::Signup, address, |_| {}).await.expect("counts") {}
        ip
    }

    /// The form of an import of nobody, for which there is a place.
    async fn import(&self) -> String {
        while jobs::run_next(&self.app.app).await.expect("it runs") {}
        let found = self.admin.get("/api/v2/connections?name=Username-Password-Authentication").await;
        let id = found.body[0]["id"].as_str().expect("every tenant has it");
        format!(
            "--x\r\ncontent-disposition: form-data; name=\"connection_id\"\r\n\r\n{id}\r\n\
             --x\r\ncontent-disposition: form-data; name=\"users\"; filename=\"u.json\"\r\n\r\n[]\r\n--x--\r\n"
        )
    }

    /// A credential of a client, and its id.
    async fn credential(&self, client: &str) -> String {
        let made = self.made(&format!("/api/v2/clients/{client}/credentials"), credential()).await;
        made["id"].as_str().expect("it has an id").to_owned()
    }

    async fn client_grant(&self) -> Value {
        let audience = self.unique("urn:");
        self.made("/api/v2/resource-servers", json!({ "identifier": audience })).await;
        json!({ "client_id": "m2m", "audience": audience, "scope": [] })
    }

    /// A call that succeeds for whoever may: on fresh objects, so that calls do not meet each other.
    pub async fn call(&self, operation: &Operation, whose: Whose, scope: &str) -> Call {
        let mut parts = operation.path[1..].split('/');
        let family = parts.next().expect("a path has a first part");
        let id = match (family, whose) {
            _ if !operation.path.contains('{') => String::new(),
            ("users" | "user-blocks", Whose::Own) => "auth0%7Calice".to_owned(),
            ("users" | "user-blocks", Whose::Other) => "auth0%7Cbob".to_owned(),
            ("users" | "user-blocks", Whose::Missing) => "auth0%7Cnobody".to_owned(),
            ("anomaly", Whose::Missing) => "192.0.2.1".to_owned(),
            ("client-grants", Whose::Missing) => "cgr_0000000000000000".to_owned(),
            ("connections", Whose::Missing) => "con_0000000000000000".to_owned(),
            ("jobs", Whose::Missing) => "job_0000000000000000".to_owned(),
            ("log-streams", Whose::Missing) => "lst_0000000000000000".to_owned(),
            ("device-credentials", Whose::Missing) => "dcr_0000000000000000".to_owned(),
            ("email-templates", Whose::Missing) => "async_approval".to_owned(),
            (_, Whose::Missing) => "000000000000000000000000".to_owned(),
            ("guardian", _) if operation.path == "/guardian/factors/{name}" => "otp".to_owned(),
            ("guardian", _) => self.factor("auth0%7Calice").await,
            (family, _) => self.object(family).await,
        };
        let path = operation
            .path
            .replace("{id}", &id)
            .replace("{client_id}", &id)
            .replace("{kid}", &id)
            .replace("{name}", &id)
            .replace("{templateName}", &id);
        let path = match path.strip_prefix("/users/{user_id}") {
            Some(rest) => format!("/users/{id}{rest}"),
            None => path,
        };
        let path = path.replace("/multifactor/{provider}", "/multifactor/google-authenticator");
        let path = match path.split_once("{authentication_method_id}") {
            Some((before, _)) if whose == Whose::Missing => format!("{before}totp%7Cdev_0000000000000000"),
            Some((before, _)) => format!("{before}{}", self.factor(&id).await),
            None => path,
        };
        let path = match path.split_once("{credential_id}") {
            Some((before, _)) if whose == Whose::Missing => format!("{before}cred_0000000000000000000000"),
            Some((before, _)) => format!("{before}{}", self.credential(&id).await),
            None => path,
        };
        if (operation.method.as_str(), operation.path) == ("POST", METHODS) && whose != Whose::Missing {
            // A user may have only so many.
            self.admin.delete(&format!("/api/v2{path}")).await;
        }
        match (operation.method.as_str(), operation.path) {
            ("POST", "/emails/provider") => self.email_provider(false).await,
            (_, "/emails/provider") => self.email_provider(true).await,
            ("POST", "/email-templates") => self.no_email_template("stolen_credentials").await,
            _ => {}
        }
        let path = match (operation.method.as_str(), operation.path) {
            ("GET", "/users-by-email") => format!("{path}?email=alice@example.com"),
            (_, "/user-blocks") => format!("{path}?identifier=alice@example.com"),
            ("GET", "/refresh-tokens") => format!("{path}?user_id=auth0|alice"),
            ("DELETE", "/grants") => format!("{path}?user_id=auth0|nobody"),
            ("DELETE", "/users/{id}/identities/{provider}/{user_id}") => {
                let account = self.linked(&id).await;
                path.replace("{provider}", "auth0").replace("{user_id}", &account)
            }
            _ => path,
        };
        let body = match (operation.method.as_str(), operation.path) {
            (_, "/roles/{id}/permissions" | "/users/{id}/permissions") if operation.method != Method::GET => {
                Some(self.permissions().await)
            }
            (_, "/users/{id}/roles") if operation.method != Method::GET => {
                Some(json!({ "roles": [self.role().await] }))
            }
            ("POST", "/roles/{id}/users") => Some(json!({ "users": ["auth0|bob"] })),
            ("POST", "/roles") => Some(json!({ "name": self.unique("r") })),
            ("PATCH", "/roles/{id}") => Some(json!({ "description": self.unique("d") })),
            ("PATCH", "/sessions/{id}") => Some(json!({ "session_metadata": { "a": "b" } })),
            ("PATCH", "/refresh-tokens/{id}") => Some(json!({ "refresh_token_metadata": { "a": "b" } })),
            ("POST", "/refresh-tokens/revoke") => Some(json!({ "user_id": "auth0|alice" })),
            ("POST", "/users/{id}/revoke-access") => Some(json!({})),
            ("POST", "/sessions/{id}/revoke") => None,
            ("PUT", "/guardian/policies") => Some(json!([])),
            ("PUT", "/guardian/factors/{name}") => Some(json!({ "enabled": true })),
            ("PUT", METHODS) => Some(json!([{ "type": "email", "email": "a@example.com" }])),
            ("PUT", path) if path.ends_with("/push-notification/selected-provider") => {
                Some(json!({ "provider": "sns" }))
            }
            ("PUT", path) if path.ends_with("/selected-provider") => Some(json!({ "provider": "auth0" })),
            ("PUT", path) if path.ends_with("/message-types") => Some(json!({ "message_types": ["sms"] })),
            ("PUT", path) if path.ends_with("/templates") => {
                Some(json!({ "enrollment_message": "a", "verification_message": "b" }))
            }
            ("PUT" | "PATCH", path) if path.starts_with("/guardian") => Some(json!({})),
            ("POST", "/guardian/enrollments/ticket") => Some(json!({ "user_id": "auth0|alice" })),
            ("POST", METHODS) => Some(json!({ "type": "email", "email": "a@example.com" })),
            ("PATCH", "/users/{id}/authentication-methods/{authentication_method_id}") => {
                Some(json!({ "name": self.unique("n") }))
            }
            (
                _,
                "/users/{id}/multifactor/actions/invalidate-remember-browser"
                | "/users/{id}/recovery-code-regeneration",
            ) => None,
            ("PUT", "/email-templates/{templateName}") => Some(template("verify_email")),
            ("GET" | "DELETE" | "PUT", _) | (_, "/keys/signing/rotate" | "/clients/{id}/rotate-secret") => {
                None
            }
            ("POST", "/users") => Some(json!({
                "connection": "Username-Password-Authentication",
                "email": format!("{}@example.com", self.unique("u")),
                "password": "Correct-horse-9",
            })),
            ("POST", "/users/{id}/identities") if scope == "update:current_user_identities" => {
                let account = self.app.id_token(&format!("auth0|{}", self.stranger().await), "spa");
                Some(json!({ "link_with": account.bearer().await }))
            }
            ("POST", "/users/{id}/identities") => {
                Some(json!({ "provider": "auth0", "user_id": self.stranger().await }))
            }
            ("POST", "/device-credentials") if scope == "create:device_credentials" => {
                let mut device = self.device();
                device["user_id"] = json!("auth0|bob");
                Some(device)
            }
            ("POST", "/device-credentials") => Some(self.device()),
            ("POST", "/jobs/users-exports") => Some(json!({})),
            ("POST", "/jobs/users-imports") => Some(self.import().await.into()),
            ("POST", "/clients") => Some(json!({ "name": "c" })),
            ("POST", "/clients/{client_id}/credentials") => Some(credential()),
            ("PATCH", "/clients/{client_id}/credentials/{credential_id}") => {
                Some(json!({ "expires_at": null }))
            }
            ("POST", "/connections") => Some(json!({ "name": self.unique("c"), "strategy": "auth0" })),
            ("POST", "/resource-servers") => Some(json!({ "identifier": self.unique("urn:") })),
            ("POST", "/client-grants") => Some(self.client_grant().await),
            ("PATCH", "/users/{id}") if scope == "update:users_app_metadata" => {
                Some(json!({ "app_metadata": { self.unique("k"): 1 } }))
            }
            ("PATCH", "/users/{id}") => Some(json!({ "user_metadata": { self.unique("k"): 1 } })),
            ("PATCH", "/clients/{id}") if scope == "update:client_keys" => {
                Some(json!({ "client_secret": self.unique("secret-of-some-length-") }))
            }
            ("PATCH", "/clients/{id}") if scope == "update:clients" => {
                Some(json!({ "name": self.unique("c") }))
            }
            ("PATCH", "/clients/{id}") => Some(json!({})),
            ("PATCH", "/connections/{id}") => Some(json!({ "display_name": self.unique("c") })),
            ("PATCH", "/connections/{id}/clients") => Some(json!([{ "client_id": "spa", "status": true }])),
            ("PATCH", "/resource-servers/{id}") => Some(json!({ "name": self.unique("r") })),
            ("PATCH", "/client-grants/{id}") => Some(json!({ "scope": [] })),
            ("PATCH", path) if path.starts_with("/attack-protection/") => Some(json!({})),
            ("PATCH", "/doorward/clients/{id}" | "/doorward/protocol") => Some(json!({ "strict": null })),
            ("PATCH", "/doorward/administrators") => Some(json!({ "emails": [] })),
            ("PATCH", "/doorward/self-service") => Some(json!({ "notices": null })),
            ("POST", "/email-templates") => Some(template("stolen_credentials")),
            ("PATCH", "/email-templates/{templateName}") => Some(json!({ "subject": self.unique("s") })),
            ("POST", "/log-streams") => Some(stream()),
            ("PATCH", "/log-streams/{id}") => Some(json!({ "name": self.unique("s") })),
            ("POST", "/emails/provider") => Some(provider()),
            ("PATCH", "/emails/provider") => Some(json!({ "enabled": false })),
            (
                "POST",
                "/tickets/email-verification" | "/tickets/password-change" | "/jobs/verification-email",
            ) => Some(json!({ "user_id": "auth0|bob" })),
            ("PATCH", "/branding") => Some(json!({ "colors": { "primary": "#112233" } })),
            ("PATCH", "/tenants/settings") => Some(json!({ "friendly_name": self.unique("t") })),
            (method, path) => panic!("write here what {method} {path} is called with"),
        };
        Call { method: operation.method.clone(), path, body }
    }

    /// Calls, and asserts the refusal, whole, and that nothing was written but the audit log.
    pub async fn refused(&self, call: &Call, caller: &Caller, expected: &Value, who: &str) {
        self.app.app.db.statements();
        let answer = call.by(caller).await;
        let ran = self.app.app.db.statements();
        let place = format!("{} {} by {who}", call.method, call.path);
        assert_eq!(
            (u64::from(answer.status), &answer.body),
            (expected["statusCode"].as_u64().expect("is one"), expected),
            "{place}"
        );
        let writes = ran
            .iter()
            .filter(|sql| !sql.trim_start().starts_with("SELECT") && !sql.starts_with("INSERT INTO logs"));
        assert_eq!(writes.collect::<Vec<_>>(), Vec::<&db::Sql>::new(), "{place}");
    }

    /// One call for each of [`WHOSE`]: for those who are refused, whom one object lasts.
    pub async fn calls(&self, operation: &Operation) -> [Call; 3] {
        let [own, other, missing] = WHOSE;
        [
            self.call(operation, own, "").await,
            self.call(operation, other, "").await,
            self.call(operation, missing, "").await,
        ]
    }

    /// Calls, and asserts the success that the row tells of.
    pub async fn allowed(&self, row: &Row, whose: Whose, scope: &str, caller: &Caller) {
        let call = self.call(row.operation, whose, scope).await;
        let answer = call.by(caller).await;
        let expected = if whose == Whose::Missing { row.missing } else { row.done };
        assert_eq!(answer.status, expected, "{} {} with {scope}: {}", call.method, call.path, answer.text);
    }
}

fn template(name: &str) -> Value {
    json!({ "template": name, "body": "b", "from": "", "subject": "s", "syntax": "liquid", "enabled": true })
}

/// A stream that is kept and delivers nothing.
fn stream() -> Value {
    json!({ "type": "sumo", "sink": { "sumoSourceAddress": "https://sumo.test" } })
}

fn provider() -> Value {
    json!({ "name": "smtp", "credentials": { "smtp_host": "mail.test", "smtp_pass": "secret" } })
}

/// A client's credential.
fn credential() -> Value {
    json!({ "credential_type": "cert_subject_dn", "subject_dn": "CN=client.test" })
}

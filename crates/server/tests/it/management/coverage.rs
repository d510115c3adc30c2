//! Who may call what: each operation of the table, with each scope that could matter, on one's own object, another's and one that is
//! not there. The cells are written down here a second time, by hand: the table cannot be its own witness.

use axum::http::Method;
use management::{Operation, operations};
use model::attack_protection::{self as protection, Stage};
use model::bootstrap::{self, Scopes};
use model::jobs::{self, Job};
use model::resource_servers::CURRENT_USER_SCOPES;
use serde_json::{Map, Value, json};

use super::sign_ins::SignIn;
use crate::security::refusals::{refusal, unowned};
use crate::support::{Answer, Caller, TestApp};

/// Nobody is ever issued this one, but it is a scope over one's own.
const NEVER_ISSUED: &str = "delete:current_user";

/// The operations: their scopes in the order of the published list, the status of success, and the one where the path names nothing
/// that exists.
///
/// `*` opens only one's own user, `~` only one's own rows; `+` stands before a scope that the refusal does not name; `a&b` needs both.
const CELLS: &[(&str, &str, u16, u16)] = &[
    ("GET /anomaly/blocks/ips/{id}", "read:anomaly_blocks", 200, 404),
    ("DELETE /anomaly/blocks/ips/{id}", "delete:anomaly_blocks", 204, 204),
    ("GET /attack-protection/bot-detection", "read:attack_protection", 200, 200),
    ("PATCH /attack-protection/bot-detection", "update:attack_protection", 200, 200),
    ("GET /attack-protection/breached-password-detection", "read:attack_protection", 200, 200),
    ("PATCH /attack-protection/breached-password-detection", "update:attack_protection", 200, 200),
    ("GET /attack-protection/brute-force-protection", "read:attack_protection", 200, 200),
    ("PATCH /attack-protection/brute-force-protection", "update:attack_protection", 200, 200),
    ("GET /attack-protection/captcha", "read:attack_protection", 200, 200),
    ("PATCH /attack-protection/captcha", "update:attack_protection", 200, 200),
    ("GET /attack-protection/suspicious-ip-throttling", "read:attack_protection", 200, 200),
    ("PATCH /attack-protection/suspicious-ip-throttling", "update:attack_protection", 200, 200),
    ("GET /branding", "read:branding", 200, 200),
    ("PATCH /branding", "update:branding", 200, 200),
    ("GET /client-grants", "read:client_grants", 200, 200),
    ("POST /client-grants", "create:client_grants", 201, 201),
    ("GET /client-grants/{id}", "read:client_grants", 200, 404),
    ("PATCH /client-grants/{id}", "update:client_grants", 200, 404),
    ("DELETE /client-grants/{id}", "delete:client_grants", 204, 204),
    ("GET /clients", "read:clients read:client_keys read:client_credentials read:client_summary", 200, 200),
    ("POST /clients", "create:clients", 201, 201),
    (
        "GET /clients/{id}",
        "read:clients read:client_keys read:client_credentials read:client_summary",
        200,
        404,
    ),
    (
        "PATCH /clients/{id}",
        "update:clients update:client_keys update:client_credentials update:client_token_vault_privileged_access",
        200,
        404,
    ),
    ("DELETE /clients/{id}", "delete:clients", 204, 204),
    ("POST /clients/{id}/rotate-secret", "update:client_keys", 200, 404),
    ("GET /clients/{client_id}/credentials", "read:client_credentials", 200, 404),
    ("POST /clients/{client_id}/credentials", "create:client_credentials", 201, 404),
    ("GET /clients/{client_id}/credentials/{credential_id}", "read:client_credentials", 200, 404),
    ("PATCH /clients/{client_id}/credentials/{credential_id}", "update:client_credentials", 200, 404),
    ("DELETE /clients/{client_id}/credentials/{credential_id}", "delete:client_credentials", 204, 204),
    (
        "GET /clients/{id}/connections",
        "read:connections&read:clients read:clients&read:connections read:client_summary&read:connections",
        200,
        404,
    ),
    ("GET /connections", "read:connections", 200, 200),
    ("POST /connections", "create:connections", 201, 201),
    ("GET /connections/{id}", "read:connections", 200, 404),
    ("PATCH /connections/{id}", "update:connections", 200, 404),
    ("DELETE /connections/{id}", "delete:connections", 202, 202),
    ("GET /connections/{id}/clients", "read:connections", 200, 404),
    ("PATCH /connections/{id}/clients", "update:connections", 204, 404),
    ("GET /device-credentials", "read:device_credentials", 200, 200),
    (
        "POST /device-credentials",
        "~create:current_user_device_credentials +create:device_credentials",
        201,
        201,
    ),
    (
        "DELETE /device-credentials/{id}",
        "delete:device_credentials ~delete:current_user_device_credentials",
        204,
        204,
    ),
    ("GET /doorward/clients/{id}", "read:doorward_protocol", 200, 404),
    ("PATCH /doorward/clients/{id}", "update:doorward_protocol", 200, 404),
    ("GET /doorward/protocol", "read:doorward_protocol", 200, 200),
    ("PATCH /doorward/protocol", "update:doorward_protocol", 200, 200),
    ("GET /doorward/administrators", "read:doorward_administrators", 200, 200),
    ("PATCH /doorward/administrators", "update:doorward_administrators", 200, 200),
    ("GET /doorward/self-service", "read:doorward_self_service", 200, 200),
    ("PATCH /doorward/self-service", "update:doorward_self_service", 200, 200),
    ("POST /email-templates", "create:email_templates", 200, 200),
    ("GET /email-templates/{templateName}", "read:email_templates", 200, 404),
    ("PUT /email-templates/{templateName}", "update:email_templates", 200, 404),
    ("PATCH /email-templates/{templateName}", "update:email_templates", 200, 404),
    ("GET /log-streams", "read:log_streams", 200, 200),
    ("POST /log-streams", "create:log_streams", 200, 200),
    ("GET /log-streams/{id}", "read:log_streams", 200, 404),
    ("PATCH /log-streams/{id}", "update:log_streams", 200, 404),
    ("DELETE /log-streams/{id}", "delete:log_streams", 204, 204),
    ("GET /emails/provider", "read:email_provider", 200, 200),
    ("POST /emails/provider", "create:email_provider", 201, 201),
    ("PATCH /emails/provider", "update:email_provider", 200, 200),
    ("DELETE /emails/provider", "delete:email_provider", 204, 204),
    ("GET /grants", "read:grants", 200, 200),
    ("DELETE /grants", "delete:grants", 204, 204),
    ("DELETE /grants/{id}", "delete:grants", 204, 204),
    ("POST /jobs/verification-email", "update:users", 201, 201),
    ("POST /jobs/users-exports", "read:users", 200, 200),
    ("POST /jobs/users-imports", "create:users", 202, 202),
    ("POST /guardian/enrollments/ticket", "create:guardian_enrollment_tickets", 200, 200),
    ("GET /guardian/enrollments/{id}", "read:guardian_enrollments", 200, 404),
    ("DELETE /guardian/enrollments/{id}", "delete:guardian_enrollments", 204, 404),
    ("GET /guardian/factors", "read:guardian_factors", 200, 200),
    ("GET /guardian/factors/duo/settings", "read:guardian_factors", 200, 200),
    ("PUT /guardian/factors/duo/settings", "update:guardian_factors", 200, 200),
    ("PATCH /guardian/factors/duo/settings", "update:guardian_factors", 200, 200),
    ("GET /guardian/factors/phone/message-types", "read:guardian_factors", 200, 200),
    ("PUT /guardian/factors/phone/message-types", "update:guardian_factors", 200, 200),
    ("GET /guardian/factors/phone/providers/twilio", "read:guardian_factors", 200, 200),
    ("PUT /guardian/factors/phone/providers/twilio", "update:guardian_factors", 200, 200),
    ("GET /guardian/factors/phone/selected-provider", "read:guardian_factors", 200, 200),
    ("PUT /guardian/factors/phone/selected-provider", "update:guardian_factors", 200, 200),
    ("GET /guardian/factors/phone/templates", "read:guardian_factors", 200, 200),
    ("PUT /guardian/factors/phone/templates", "update:guardian_factors", 200, 200),
    ("GET /guardian/factors/sms/providers/twilio", "read:guardian_factors", 200, 200),
    ("PUT /guardian/factors/sms/providers/twilio", "update:guardian_factors", 200, 200),
    ("GET /guardian/factors/sms/selected-provider", "read:guardian_factors", 200, 200),
    ("PUT /guardian/factors/sms/selected-provider", "update:guardian_factors", 200, 200),
    ("GET /guardian/factors/sms/templates", "read:guardian_factors", 200, 200),
    ("PUT /guardian/factors/sms/templates", "update:guardian_factors", 200, 200),
    ("GET /guardian/factors/push-notification/providers/apns", "read:guardian_factors", 200, 200),
    ("PUT /guardian/factors/push-notification/providers/apns", "update:guardian_factors", 200, 200),
    ("PATCH /guardian/factors/push-notification/providers/apns", "update:guardian_factors", 200, 200),
    ("PUT /guardian/factors/push-notification/providers/fcm", "update:guardian_factors", 200, 200),
    ("PATCH /guardian/factors/push-notification/providers/fcm", "update:guardian_factors", 200, 200),
    ("PUT /guardian/factors/push-notification/providers/fcmv1", "update:guardian_factors", 200, 200),
    ("PATCH /guardian/factors/push-notification/providers/fcmv1", "update:guardian_factors", 200, 200),
    ("GET /guardian/factors/push-notification/providers/sns", "read:guardian_factors", 200, 200),
    ("PUT /guardian/factors/push-notification/providers/sns", "update:guardian_factors", 200, 200),
    ("PATCH /guardian/factors/push-notification/providers/sns", "update:guardian_factors", 200, 200),
    ("GET /guardian/factors/push-notification/selected-provider", "read:guardian_factors", 200, 200),
    ("PUT /guardian/factors/push-notification/selected-provider", "update:guardian_factors", 200, 200),
    ("PUT /guardian/factors/{name}", "update:guardian_factors", 200, 400),
    ("GET /guardian/policies", "read:mfa_policies", 200, 200),
    ("PUT /guardian/policies", "update:mfa_policies", 200, 200),
    ("GET /jobs/{id}", "create:users read:users", 200, 404),
    ("GET /jobs/{id}/errors", "create:users read:users", 204, 404),
    ("GET /keys/signing", "read:signing_keys", 200, 200),
    (
        "POST /keys/signing/rotate",
        "create:signing_keys&update:signing_keys update:signing_keys&create:signing_keys",
        201,
        201,
    ),
    ("GET /keys/signing/{kid}", "read:signing_keys", 200, 404),
    ("PUT /keys/signing/{kid}/revoke", "update:signing_keys", 200, 404),
    ("GET /logs", "read:logs read:logs_users", 200, 200),
    ("GET /logs/{id}", "read:logs read:logs_users", 200, 404),
    ("GET /refresh-tokens", "read:refresh_tokens", 200, 200),
    ("POST /refresh-tokens/revoke", "delete:refresh_tokens", 202, 202),
    ("GET /refresh-tokens/{id}", "read:refresh_tokens", 200, 404),
    ("PATCH /refresh-tokens/{id}", "update:refresh_tokens", 200, 404),
    ("DELETE /refresh-tokens/{id}", "delete:refresh_tokens", 202, 202),
    ("GET /resource-servers", "read:resource_servers", 200, 200),
    ("POST /resource-servers", "create:resource_servers", 201, 201),
    ("GET /resource-servers/{id}", "read:resource_servers", 200, 404),
    ("PATCH /resource-servers/{id}", "update:resource_servers", 200, 404),
    ("DELETE /resource-servers/{id}", "delete:resource_servers", 204, 204),
    ("GET /roles", "read:roles", 200, 200),
    ("POST /roles", "create:roles", 200, 200),
    ("GET /roles/{id}", "read:roles", 200, 404),
    ("PATCH /roles/{id}", "update:roles", 200, 404),
    ("DELETE /roles/{id}", "delete:roles", 200, 404),
    ("GET /roles/{id}/permissions", "read:roles", 200, 404),
    ("POST /roles/{id}/permissions", "update:roles", 201, 404),
    ("DELETE /roles/{id}/permissions", "update:roles", 204, 404),
    ("GET /roles/{id}/users", "read:users read:roles read:role_members", 200, 404),
    ("POST /roles/{id}/users", "update:roles create:role_members", 200, 404),
    ("GET /sessions/{id}", "read:sessions", 200, 404),
    ("PATCH /sessions/{id}", "update:sessions", 200, 404),
    ("DELETE /sessions/{id}", "delete:sessions", 202, 202),
    (
        "POST /sessions/{id}/revoke",
        "delete:sessions&delete:refresh_tokens delete:refresh_tokens&delete:sessions",
        202,
        404,
    ),
    ("GET /tenants/settings", "read:tenant_settings", 200, 200),
    ("PATCH /tenants/settings", "update:tenant_settings", 200, 200),
    ("POST /tickets/email-verification", "create:user_tickets", 201, 201),
    ("POST /tickets/password-change", "create:user_tickets", 201, 201),
    ("GET /user-blocks", "read:users", 200, 200),
    ("DELETE /user-blocks", "update:users", 204, 204),
    ("GET /user-blocks/{id}", "read:users", 200, 404),
    ("DELETE /user-blocks/{id}", "update:users", 204, 404),
    ("GET /users", "read:users read:user_idp_tokens", 200, 200),
    ("POST /users", "create:users", 201, 201),
    ("GET /users-by-email", "read:users", 200, 200),
    ("GET /users/{id}", "read:users *read:current_user read:user_idp_tokens", 200, 404),
    (
        "PATCH /users/{id}",
        "update:users update:users_app_metadata *update:current_user_metadata *+create:current_user_metadata",
        200,
        404,
    ),
    ("DELETE /users/{id}", "delete:users *delete:current_user", 204, 204),
    ("POST /users/{id}/identities", "update:users *update:current_user_identities", 201, 404),
    (
        "DELETE /users/{id}/identities/{provider}/{user_id}",
        "update:users *update:current_user_identities",
        200,
        404,
    ),
    ("GET /users/{id}/logs", "read:logs read:logs_users", 200, 200),
    ("GET /users/{id}/authentication-methods", "read:authentication_methods", 200, 404),
    ("POST /users/{id}/authentication-methods", "create:authentication_methods", 201, 404),
    ("PUT /users/{id}/authentication-methods", "update:authentication_methods", 200, 404),
    ("DELETE /users/{id}/authentication-methods", "delete:authentication_methods", 204, 204),
    (
        "GET /users/{id}/authentication-methods/{authentication_method_id}",
        "read:authentication_methods",
        200,
        404,
    ),
    (
        "PATCH /users/{id}/authentication-methods/{authentication_method_id}",
        "update:authentication_methods",
        200,
        404,
    ),
    (
        "DELETE /users/{id}/authentication-methods/{authentication_method_id}",
        "delete:authentication_methods",
        204,
        404,
    ),
    ("DELETE /users/{id}/authenticators", "delete:guardian_enrollments", 204, 204),
    ("GET /users/{id}/enrollments", "read:users *read:current_user", 200, 404),
    ("POST /users/{id}/multifactor/actions/invalidate-remember-browser", "update:users", 204, 204),
    ("DELETE /users/{id}/multifactor/{provider}", "update:users *+delete:current_user_metadata", 204, 404),
    ("POST /users/{id}/recovery-code-regeneration", "update:users", 200, 404),
    ("GET /users/{id}/permissions", "read:users", 200, 404),
    ("POST /users/{id}/permissions", "update:users", 201, 404),
    ("DELETE /users/{id}/permissions", "update:users", 204, 404),
    (
        "POST /users/{id}/revoke-access",
        "delete:sessions&delete:refresh_tokens delete:refresh_tokens&delete:sessions",
        202,
        202,
    ),
    ("GET /users/{id}/roles", "read:users read:roles read:role_members", 200, 404),
    ("POST /users/{id}/roles", "update:users create:role_members", 204, 404),
    ("DELETE /users/{id}/roles", "update:users delete:role_members", 204, 404),
    ("GET /users/{user_id}/refresh-tokens", "read:refresh_tokens", 200, 404),
    ("DELETE /users/{user_id}/refresh-tokens", "delete:refresh_tokens", 202, 404),
    ("GET /users/{user_id}/sessions", "read:sessions", 200, 404),
    ("DELETE /users/{user_id}/sessions", "delete:sessions", 202, 404),
];

/// Where a user's factors are.
const METHODS: &str = "/users/{id}/authentication-methods";

/// One line of [`CELLS`], read.
struct Row {
    operation: &'static Operation,
    cells: Vec<Cell>,
    done: u16,
    missing: u16,
}

/// A scope of an operation.
struct Cell {
    scope: &'static str,
    own: bool,
    /// What is one's own is told by the row, not by the path: another's answers like one that is not there.
    row: bool,
    named: bool,
    with: Option<&'static str>,
}

impl Row {
    fn all() -> Vec<Self> {
        let name = |operation: &Operation| format!("{} {}", operation.method, operation.path);
        for operation in operations() {
            let rows = CELLS.iter().filter(|(row, ..)| *row == name(operation)).count();
            assert_eq!(rows, 1, "write a line for {}, and what it is called with", name(operation));
        }
        let row = |(row, scopes, done, missing): &(&str, &'static str, u16, u16)| {
            let operation = operations().iter().find(|operation| name(operation) == *row);
            let operation = operation.unwrap_or_else(|| panic!("there is no operation {row}"));
            Self {
                operation,
                cells: scopes.split(' ').map(Cell::read).collect(),
                done: *done,
                missing: *missing,
            }
        };
        CELLS.iter().map(row).collect()
    }

    /// The cell that this scope alone opens to a user.
    fn own(&self, scope: &str) -> Option<&Cell> {
        self.cells.iter().find(|cell| cell.own && cell.scope == scope)
    }

    fn insufficient(&self) -> Value {
        let named: Vec<_> = self.cells.iter().filter(|cell| cell.named).map(|cell| cell.scope).collect();
        refusal(
            403,
            "Forbidden",
            &format!("Insufficient scope, expected any of: {}", named.join(",")),
            "insufficient_scope",
        )
    }
}

impl Cell {
    fn read(text: &'static str) -> Self {
        let row = text.starts_with('~');
        let own = row || text.starts_with('*');
        let text = text.trim_start_matches(['*', '~']);
        let named = !text.starts_with('+');
        let (scope, with) = match text.trim_start_matches('+').split_once('&') {
            Some((scope, with)) => (scope, Some(with)),
            None => (text.trim_start_matches('+'), None),
        };
        Self { scope, own, row, named, with }
    }
}

/// Whom or what a call is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Whose {
    /// The caller's, where there is such a thing; else something that exists.
    Own,
    /// Another user's, or something that exists.
    Other,
    /// Nobody's: the id is well formed and there is no such thing.
    Missing,
}

const WHOSE: [Whose; 3] = [Whose::Own, Whose::Other, Whose::Missing];

/// What an operation is called with.
#[derive(Clone, Debug)]
struct Call {
    method: Method,
    path: String,
    body: Option<Value>,
}

impl Call {
    async fn by(&self, caller: &Caller) -> Answer {
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
struct World {
    app: TestApp,
    admin: Caller,
}

impl World {
    async fn new(app: TestApp) -> Self {
        let app = app.without_limits();
        let admin = app.admin();
        let world = Self { app, admin };
        for user in ["alice", "bob"] {
            world.user(user).await;
        }
        world
    }

    /// Makes the user, unless they are there.
    async fn user(&self, name: &str) {
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
    async fn call(&self, operation: &Operation, whose: Whose, scope: &str) -> Call {
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
    async fn refused(&self, call: &Call, caller: &Caller, expected: &Value, who: &str) {
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
    async fn calls(&self, operation: &Operation) -> [Call; 3] {
        let [own, other, missing] = WHOSE;
        [
            self.call(operation, own, "").await,
            self.call(operation, other, "").await,
            self.call(operation, missing, "").await,
        ]
    }

    /// Calls, and asserts the success that the row tells of.
    async fn allowed(&self, row: &Row, whose: Whose, scope: &str, caller: &Caller) {
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

/// The scopes over one's own.
fn own_scopes() -> impl Iterator<Item = &'static str> {
    CURRENT_USER_SCOPES.into_iter().chain([NEVER_ISSUED])
}

both_databases! {
    /// CU-03: a person's token opens the documented cells of their own user, and nothing else.
    async fn cu_03_a_persons_token_opens_only_the_documented_cells(app: TestApp) {
        let world = World::new(app).await;
        for row in Row::all() {
            let calls = world.calls(row.operation).await;
            for scope in own_scopes().chain([""]) {
                let alice = world.app.token("auth0|alice", &format!("openid {scope}"));
                for (whose, call) in WHOSE.into_iter().zip(&calls) {
                    match (row.own(scope), whose) {
                        (Some(cell), _) if whose == Whose::Own || cell.row => {
                            world.allowed(&row, whose, scope, &alice).await;
                            world.user("alice").await;
                        }
                        (Some(_), _) => world.refused(call, &alice, &unowned(), scope).await,
                        (None, _) => world.refused(call, &alice, &row.insufficient(), scope).await,
                    }
                }
            }
        }
    }

    /// A machine's token opens what its scopes are for, on everybody's; a scope over one's own is worth nothing to it.
    async fn a_machines_token_opens_only_the_cells_of_its_scopes(app: TestApp) {
        let world = World::new(app).await;
        for row in Row::all() {
            let call = world.call(row.operation, Whose::Other, "").await;
            for scope in own_scopes().chain([""]) {
                world.refused(&call, &world.app.machine(scope), &row.insufficient(), scope).await;
            }
            for cell in row.cells.iter().filter(|cell| !cell.own) {
                let mut scopes = cell.scope.to_owned();
                if let Some(with) = cell.with {
                    world.refused(&call, &world.app.machine(&scopes), &row.insufficient(), &scopes).await;
                    scopes = format!("{scopes} {with}");
                }
                for whose in WHOSE {
                    world.allowed(&row, whose, cell.scope, &world.app.machine(&scopes)).await;
                    world.user("alice").await;
                    world.user("bob").await;
                }
            }
        }
    }

    /// MG-02: whatever the scope, no operation answers without a token, with another API's, or with another tenant's.
    async fn mg_02_no_operation_answers_a_token_that_is_not_for_it(app: TestApp) {
        let world = World::new(app).await;
        let missing = refusal(401, "Unauthorized", "Missing authentication", "");
        let audience = refusal(401, "Unauthorized", "Bad audience: https://id.test/api/v2/", "");
        let mut foreign = refusal(401, "Unauthorized", "Invalid token", "");
        foreign["attributes"] = json!({ "error": "Invalid token" });
        let every = |scopes: &[&'static str]| scopes.join(" ");
        for row in Row::all() {
            let scopes: Vec<_> = row.cells.iter().map(|cell| cell.scope).chain(own_scopes()).collect();
            for call in &world.calls(row.operation).await {
                let alice = world.app.token("auth0|alice", &every(&scopes));
                let machine = world.app.machine(&every(&scopes));
                world.refused(call, &world.app.caller(), &missing, "nobody").await;
                for caller in [alice, machine] {
                    let other_api = caller.claiming("aud", "https://api.test/");
                    world.refused(call, &other_api, &audience, "a token for another API").await;
                    let theirs = caller
                        .claiming("iss", world.app.other.issuer.clone())
                        .claiming("aud", world.app.other.management_audience());
                    let bearer = theirs.at(&world.app.other).bearer().await;
                    let theirs = world.app.caller().with("authorization", &format!("Bearer {bearer}"));
                    world.refused(call, &theirs, &foreign, "another tenant's token").await;
                    // The same claims as a good token, signed by another tenant.
                    let bearer = caller.at(&world.app.other).bearer().await;
                    let forged = world.app.caller().with("authorization", &format!("Bearer {bearer}"));
                    world.refused(call, &forged, &foreign, "another tenant's signature").await;
                }
            }
        }
    }
}

both_databases! {
    /// What belongs to one tenant is to another's administrator as if it were not there.
    async fn another_tenants_objects_are_not_there(app: TestApp) {
        let world = World::new(app).await;
        let other = &world.app.other;
        let made = bootstrap::create_machine_client(&world.app.app, other, "Theirs", Scopes::All).await;
        let (client, _) = made.expect("a new client");
        let theirs = world.admin.at(other).claiming("azp", client.as_str()).claiming("sub", format!("{client}@clients"));
        let theirs =
            theirs.claiming("iss", other.issuer.clone()).claiming("aud", other.management_audience());
        // The names of factors are the same everywhere.
        let named = |row: &&Row| row.operation.path.contains('{') && row.operation.path != "/guardian/factors/{name}";
        for row in Row::all().iter().filter(named) {
            let call = world.call(row.operation, Whose::Other, "").await;
            let upto = row.operation.path.split('/').position(|part| part.starts_with('{'));
            let object: Vec<_> = call.path.split('/').take(upto.expect("it has a parameter") + 1).collect();
            // A consent and a device's key are shown in lists alone.
            let object = object.join("/").replace("/grants/", "/grants?client_id=spa&id=");
            let object = object.replace("/device-credentials/", "/device-credentials?type=public_key&id=");
            let object = format!("/api/v2{}", object.split("&id=").next().unwrap_or_default());
            let before = world.admin.get(&object).await;
            assert_eq!(before.status, 200, "{object}: {}", before.text);
            let answer = call.by(&theirs).await;
            assert_eq!(answer.status, row.missing, "{} {}: {}", call.method, call.path, answer.text);
            assert_eq!(world.admin.get(&object).await.text, before.text, "{} {}", call.method, call.path);
        }
    }
}

/// The scopes are the published ones, in their order. Looks at the reference beside a checkout, where there is one.
#[test]
fn the_scopes_are_the_published_ones() {
    let reference =
        concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/reference/management-operations.tsv");
    let Ok(reference) = std::fs::read_to_string(reference) else { return };
    // What is Doorward's own is published nowhere else.
    for row in Row::all().iter().filter(|row| !row.operation.path.starts_with("/doorward/")) {
        let (method, path) = (row.operation.method.as_str(), format!("/api/v2{}", row.operation.path));
        let line = reference.lines().map(|line| line.split('\t').collect::<Vec<_>>());
        let line = line.clone().find(|line| line[0] == method && line[1] == path);
        let line = line.unwrap_or_else(|| panic!("{method} {path} is no published operation"));
        let read = |scope: &Cell| (scope.scope.to_owned(), scope.own, scope.named);
        let published: Vec<_> = line[4]
            .split(' ')
            .map(|text| {
                let name = text.trim_start_matches(['*', '+']);
                (name.to_owned(), text.contains('*'), !text.contains('+'))
            })
            .collect();
        assert_eq!(row.cells.iter().map(read).collect::<Vec<_>>(), published, "{method} {path}");
    }
}

/// A client's credential.
fn credential() -> Value {
    json!({ "credential_type": "cert_subject_dn", "subject_dn": "CN=client.test" })
}

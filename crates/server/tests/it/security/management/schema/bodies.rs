//! The bodies of all operations that have one, and objects to send them to.

use management::documents::Document;
use management::users::authentication_methods as methods;
use management::validation::{Strict, Validator};
use management::{
    administrators, attack_protection, branding, client_grants, clients, connections, device_credentials,
    email_templates, emails, guardian, jobs, log_streams, permissions, protocol, refresh_tokens,
    resource_servers, roles, self_service, sessions, tenants, tickets, users,
};
use model::roles::Role;
use serde_json::{Value, json};

use crate::management::sign_ins::SignIn;
use crate::support::app::CONNECTION;
use crate::support::{Caller, TestApp};

/// What an operation is called with.
pub struct Body {
    pub operation: &'static str,
    pub path: String,
    /// A body that is accepted, each time.
    pub good: fn(u64) -> Value,
    /// Of all that could be in it.
    pub schema: Value,
}

macro_rules! schema {
    ($body:ty) => {
        Validator::of::<$body>(Strict::AsDerived).schema().clone()
    };
}

/// A role that is there.
const ROLE: &str = "rol_0000000000000001";

fn permission() -> Value {
    json!({ "permissions": [{ "resource_server_identifier": "urn:x", "permission_name": "read:a" }] })
}

fn template(name: &str) -> Value {
    json!({ "template": name, "body": "b", "from": "", "subject": "s", "syntax": "liquid", "enabled": true })
}

/// The bodies of all operations that have one, and objects to send them to.
pub async fn bodies(app: &TestApp, admin: &Caller) -> Vec<Body> {
    app.add_user("auth0|alice").await;
    let made = async |path: &str, body: Value, id: &str| {
        let answer = admin.post(&format!("/api/v2/{path}"), body).await;
        assert_eq!(answer.status, 201, "{}", answer.text);
        answer.body[id].as_str().expect("is text").to_owned()
    };
    let client = made("clients", json!({ "name": "c" }), "client_id").await;
    let subject = json!({ "credential_type": "cert_subject_dn", "subject_dn": "CN=a" });
    let credential = made(&format!("clients/{client}/credentials"), subject, "id").await;
    let connection = made("connections", json!({ "name": "c", "strategy": "auth0" }), "id").await;
    let api = json!({ "identifier": "urn:x", "scopes": [{ "value": "read:a" }] });
    let api = made("resource-servers", api, "id").await;
    // Nothing that is tried on alice ends it.
    app.add_user("auth0|carol").await;
    let signed = SignIn::of(app, "auth0|carol", "").await;
    let now = app.app.clock.now();
    let role = Role { id: ROLE.to_owned(), ..Role::new(&app.app.random, "There", None, now) };
    let mut batch = db::Batch::new();
    model::roles::insert(&mut batch, &app.tenant.id, &role);
    app.app.db.commit(batch).await.expect("a role");
    let grant = json!({ "client_id": "m2m", "audience": "urn:x", "scope": [] });
    let grant = made("client-grants", grant, "id").await;
    let phone = json!({ "type": "phone", "phone_number": "+15551234567" });
    let method = made("users/auth0%7Calice/authentication-methods", phone, "id").await.replace('|', "%7C");
    let provider = json!({ "name": "smtp", "credentials": { "smtp_host": "mail.test" } });
    made("emails/provider", provider, "name").await;
    assert_eq!(admin.post("/api/v2/email-templates", template("verify_email")).await.status, 200);
    let stream = json!({ "type": "http", "sink": { "httpEndpoint": "https://example.com/logs" } });
    let stream =
        admin.post("/api/v2/log-streams", stream).await.body["id"].as_str().expect("is text").to_owned();
    let body = |operation, path: &str, good, schema| Body { operation, path: path.to_owned(), good, schema };
    vec![
        body(
            "PATCH /attack-protection/bot-detection",
            "attack-protection/bot-detection",
            |_| json!({}),
            schema!(Document<attack_protection::UpdateBotDetection>),
        ),
        body(
            "PATCH /attack-protection/breached-password-detection",
            "attack-protection/breached-password-detection",
            |_| json!({}),
            schema!(Document<attack_protection::UpdateBreachedPasswords>),
        ),
        body(
            "PATCH /attack-protection/brute-force-protection",
            "attack-protection/brute-force-protection",
            |_| json!({}),
            schema!(Document<attack_protection::UpdateBruteForce>),
        ),
        body(
            "PATCH /attack-protection/captcha",
            "attack-protection/captcha",
            |_| json!({}),
            schema!(Document<attack_protection::UpdateCaptcha>),
        ),
        body(
            "PATCH /attack-protection/suspicious-ip-throttling",
            "attack-protection/suspicious-ip-throttling",
            |_| json!({}),
            schema!(Document<attack_protection::UpdateSuspiciousIp>),
        ),
        body("PATCH /branding", "branding", |_| json!({}), schema!(Document<branding::UpdateBranding>)),
        body(
            "POST /client-grants",
            "client-grants",
            |_| json!({ "client_id": "unknown", "audience": "urn:x", "scope": [] }),
            schema!(Document<client_grants::CreateClientGrant>),
        ),
        body(
            "PATCH /client-grants/{id}",
            &format!("client-grants/{grant}"),
            |_| json!({ "scope": [] }),
            schema!(Document<client_grants::UpdateClientGrant>),
        ),
        body(
            "POST /clients/{client_id}/credentials",
            &format!("clients/{client}/credentials"),
            |_| json!({ "credential_type": "cert_subject_dn", "subject_dn": "CN=a" }),
            schema!(Document<clients::credentials::CreateCredential>),
        ),
        body(
            "PATCH /clients/{client_id}/credentials/{credential_id}",
            &format!("clients/{client}/credentials/{credential}"),
            |_| json!({ "expires_at": null }),
            schema!(clients::credentials::UpdateCredential),
        ),
        body(
            "POST /clients",
            "clients",
            |_| json!({ "name": "c" }),
            schema!(Document<clients::CreateClient>),
        ),
        body(
            "PATCH /clients/{id}",
            &format!("clients/{client}"),
            |_| json!({ "name": "c" }),
            schema!(Document<clients::UpdateClient>),
        ),
        body(
            "POST /connections",
            "connections",
            |number| json!({ "name": format!("c{number}"), "strategy": "auth0" }),
            schema!(Document<connections::CreateConnection>),
        ),
        body(
            "PATCH /connections/{id}",
            &format!("connections/{connection}"),
            |_| json!({ "display_name": "c" }),
            schema!(Document<connections::UpdateConnection>),
        ),
        body(
            "PATCH /connections/{id}/clients",
            &format!("connections/{connection}/clients"),
            |_| json!([{ "client_id": "spa", "status": true }]),
            schema!(connections::EnableClients),
        ),
        body("POST /jobs/users-exports", "jobs/users-exports", |_| json!({}), schema!(jobs::CreateExport)),
        body(
            "POST /device-credentials",
            "device-credentials",
            |number| {
                json!({ "device_name": "d", "type": "public_key", "value": "ABCD", "device_id": format!("{number:x}"),
                        "user_id": "auth0|alice" })
            },
            schema!(device_credentials::CreateDeviceCredential),
        ),
        body(
            "PATCH /doorward/administrators",
            "doorward/administrators",
            |_| json!({ "emails": ["ops@example.com"] }),
            schema!(administrators::UpdateAdministrators),
        ),
        body(
            "PATCH /doorward/clients/{id}",
            &format!("doorward/clients/{client}"),
            |_| json!({ "strict": null }),
            schema!(Document<protocol::UpdateClientProtocol>),
        ),
        body(
            "PATCH /doorward/protocol",
            "doorward/protocol",
            |_| json!({ "strict": null }),
            schema!(Document<protocol::UpdateProtocol>),
        ),
        body(
            "PATCH /doorward/self-service",
            "doorward/self-service",
            |_| json!({ "notices": {} }),
            schema!(Document<self_service::UpdateSelfService>),
        ),
        body(
            "POST /email-templates",
            "email-templates",
            |_| template("taken"),
            schema!(Document<email_templates::SetTemplate>),
        ),
        body(
            "PUT /email-templates/{templateName}",
            "email-templates/verify_email",
            |_| template("verify_email"),
            schema!(Document<email_templates::SetTemplate>),
        ),
        body(
            "PATCH /email-templates/{templateName}",
            "email-templates/verify_email",
            |_| json!({ "subject": "s" }),
            schema!(Document<email_templates::UpdateTemplate>),
        ),
        body(
            "POST /emails/provider",
            "emails/provider",
            |_| json!({ "name": "taken", "credentials": { "smtp_host": "mail.test" } }),
            schema!(Document<emails::CreateProvider>),
        ),
        body(
            "PATCH /emails/provider",
            "emails/provider",
            |_| json!({ "enabled": true }),
            schema!(Document<emails::UpdateProvider>),
        ),
        body(
            "POST /log-streams",
            "log-streams",
            |_| json!({ "type": "http", "sink": { "httpEndpoint": "https://example.com/logs" }, "startFrom": "no moment" }),
            schema!(Document<log_streams::CreateLogStream>),
        ),
        body(
            "PATCH /log-streams/{id}",
            &format!("log-streams/{stream}"),
            |_| json!({ "name": "n" }),
            schema!(Document<log_streams::UpdateLogStream>),
        ),
        body(
            "POST /jobs/verification-email",
            "jobs/verification-email",
            |_| json!({ "user_id": "auth0|alice" }),
            schema!(jobs::SendVerification),
        ),
        body(
            "POST /tickets/email-verification",
            "tickets/email-verification",
            |_| json!({ "user_id": "auth0|alice" }),
            schema!(tickets::VerifyEmail),
        ),
        body(
            "POST /tickets/password-change",
            "tickets/password-change",
            |_| json!({ "user_id": "auth0|alice" }),
            schema!(tickets::ChangePassword),
        ),
        body(
            "POST /resource-servers",
            "resource-servers",
            |number| json!({ "identifier": format!("urn:{number}") }),
            schema!(Document<resource_servers::CreateResourceServer>),
        ),
        body(
            "PATCH /resource-servers/{id}",
            &format!("resource-servers/{api}"),
            |_| json!({ "name": "r" }),
            schema!(Document<resource_servers::UpdateResourceServer>),
        ),
        body(
            "PATCH /tenants/settings",
            "tenants/settings",
            |_| json!({ "friendly_name": "t" }),
            schema!(Document<tenants::UpdateSettings>),
        ),
        body(
            "POST /users",
            "users",
            |number| json!({ "connection": CONNECTION, "email": format!("{number}@example.com"), "password": "Correct-horse-9" }),
            schema!(users::CreateUser),
        ),
        body(
            "PATCH /users/{id}",
            "users/auth0%7Calice",
            |_| json!({ "name": "u" }),
            schema!(users::UpdateUser),
        ),
        body(
            "POST /users/{id}/identities",
            "users/auth0%7Calice/identities",
            |_| json!({ "provider": "auth0", "user_id": "nobody" }),
            schema!(users::LinkIdentity),
        ),
        body(
            "POST /roles",
            "roles",
            |number| json!({ "name": format!("r{number}") }),
            schema!(roles::CreateRole),
        ),
        body(
            "PATCH /roles/{id}",
            &format!("roles/{ROLE}"),
            |_| json!({ "description": "d" }),
            schema!(roles::UpdateRole),
        ),
        body(
            "POST /roles/{id}/permissions",
            &format!("roles/{ROLE}/permissions"),
            |_| permission(),
            schema!(permissions::Permissions),
        ),
        body(
            "POST /roles/{id}/users",
            &format!("roles/{ROLE}/users"),
            |_| json!({ "users": ["auth0|alice"] }),
            schema!(roles::AssignUsers),
        ),
        body(
            "POST /users/{id}/permissions",
            "users/auth0%7Calice/permissions",
            |_| permission(),
            schema!(permissions::Permissions),
        ),
        body(
            "POST /users/{id}/roles",
            "users/auth0%7Calice/roles",
            |_| json!({ "roles": [ROLE] }),
            schema!(users::roles::Roles),
        ),
        body(
            "POST /users/{id}/revoke-access",
            "users/auth0%7Calice/revoke-access",
            |_| json!({ "preserve_refresh_tokens": true }),
            schema!(sessions::RevokeAccess),
        ),
        body(
            "PATCH /sessions/{id}",
            &format!("sessions/{}", signed.sid),
            |_| json!({ "session_metadata": {} }),
            schema!(sessions::UpdateSession),
        ),
        body(
            "PATCH /refresh-tokens/{id}",
            &format!("refresh-tokens/{}", signed.family),
            |_| json!({ "refresh_token_metadata": {} }),
            schema!(refresh_tokens::UpdateRefreshToken),
        ),
        body(
            "POST /refresh-tokens/revoke",
            "refresh-tokens/revoke",
            |_| json!({ "user_id": "auth0|nobody" }),
            schema!(refresh_tokens::RevokeRefreshTokens),
        ),
        body(
            "POST /guardian/enrollments/ticket",
            "guardian/enrollments/ticket",
            |_| json!({ "user_id": "auth0|alice" }),
            schema!(guardian::CreateTicket),
        ),
        body(
            "PUT /guardian/factors/{name}",
            "guardian/factors/otp",
            |_| json!({ "enabled": false }),
            schema!(guardian::EnableFactor),
        ),
        body("PUT /guardian/policies", "guardian/policies", |_| json!([]), schema!(guardian::Policies)),
        body(
            "PUT /guardian/factors/duo/settings",
            "guardian/factors/duo/settings",
            |_| json!({}),
            schema!(Document<guardian::Duo>),
        ),
        body(
            "PATCH /guardian/factors/duo/settings",
            "guardian/factors/duo/settings",
            |_| json!({}),
            schema!(Document<guardian::Duo>),
        ),
        body(
            "PUT /guardian/factors/phone/message-types",
            "guardian/factors/phone/message-types",
            |_| json!({ "message_types": [] }),
            schema!(guardian::MessageTypes),
        ),
        body(
            "PUT /guardian/factors/phone/providers/twilio",
            "guardian/factors/phone/providers/twilio",
            |_| json!({}),
            schema!(Document<guardian::Twilio>),
        ),
        body(
            "PUT /guardian/factors/phone/selected-provider",
            "guardian/factors/phone/selected-provider",
            |_| json!({ "provider": "auth0" }),
            schema!(guardian::PhoneProvider),
        ),
        body(
            "PUT /guardian/factors/phone/templates",
            "guardian/factors/phone/templates",
            |_| json!({ "enrollment_message": "e", "verification_message": "v" }),
            schema!(Document<guardian::PhoneTemplates>),
        ),
        body(
            "PUT /guardian/factors/sms/providers/twilio",
            "guardian/factors/sms/providers/twilio",
            |_| json!({}),
            schema!(Document<guardian::Twilio>),
        ),
        body(
            "PUT /guardian/factors/sms/selected-provider",
            "guardian/factors/sms/selected-provider",
            |_| json!({ "provider": "auth0" }),
            schema!(guardian::PhoneProvider),
        ),
        body(
            "PUT /guardian/factors/sms/templates",
            "guardian/factors/sms/templates",
            |_| json!({ "enrollment_message": "e", "verification_message": "v" }),
            schema!(Document<guardian::PhoneTemplates>),
        ),
        body(
            "PUT /guardian/factors/push-notification/providers/apns",
            "guardian/factors/push-notification/providers/apns",
            |_| json!({}),
            schema!(Document<guardian::Apns>),
        ),
        body(
            "PUT /guardian/factors/push-notification/providers/fcm",
            "guardian/factors/push-notification/providers/fcm",
            |_| json!({}),
            schema!(Document<guardian::Fcm>),
        ),
        body(
            "PUT /guardian/factors/push-notification/providers/fcmv1",
            "guardian/factors/push-notification/providers/fcmv1",
            |_| json!({}),
            schema!(Document<guardian::FcmV1>),
        ),
        body(
            "PUT /guardian/factors/push-notification/providers/sns",
            "guardian/factors/push-notification/providers/sns",
            |_| json!({}),
            schema!(Document<guardian::Sns>),
        ),
        body(
            "PATCH /guardian/factors/push-notification/providers/apns",
            "guardian/factors/push-notification/providers/apns",
            |_| json!({}),
            schema!(Document<guardian::Apns>),
        ),
        body(
            "PATCH /guardian/factors/push-notification/providers/fcm",
            "guardian/factors/push-notification/providers/fcm",
            |_| json!({}),
            schema!(Document<guardian::Fcm>),
        ),
        body(
            "PATCH /guardian/factors/push-notification/providers/fcmv1",
            "guardian/factors/push-notification/providers/fcmv1",
            |_| json!({}),
            schema!(Document<guardian::FcmV1>),
        ),
        body(
            "PATCH /guardian/factors/push-notification/providers/sns",
            "guardian/factors/push-notification/providers/sns",
            |_| json!({}),
            schema!(Document<guardian::Sns>),
        ),
        body(
            "PUT /guardian/factors/push-notification/selected-provider",
            "guardian/factors/push-notification/selected-provider",
            |_| json!({ "provider": "sns" }),
            schema!(guardian::PushProvider),
        ),
        body(
            "POST /users/{id}/authentication-methods",
            "users/auth0%7Calice/authentication-methods",
            |_| json!({ "type": "webauthn-roaming" }),
            schema!(methods::CreateMethod),
        ),
        body(
            "PATCH /users/{id}/authentication-methods/{authentication_method_id}",
            &format!("users/auth0%7Calice/authentication-methods/{method}"),
            |_| json!({ "name": "n" }),
            schema!(methods::UpdateMethod),
        ),
        body(
            "PUT /users/{id}/authentication-methods",
            "users/auth0%7Calice/authentication-methods",
            |_| json!([{ "type": "email", "email": "a@example.com" }]),
            schema!(methods::SetMethods),
        ),
    ]
}

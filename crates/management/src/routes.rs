//! The table of operations: one line each, with its scopes in the order of the published list and what each of them grants.

use std::sync::{Arc, LazyLock};

use axum::Router;
use axum::extract::{Request, State};
use axum::http::Method;
use model::App;
use model::self_service::Change;

use crate::access::Grant;
use crate::limits::{Limiter, Limits};
use crate::operations::{Api, Operation, Power, everyone, own_id, own_row, power};
use crate::table::Table;
use crate::users::authentication_methods as methods;
use crate::{
    administrators, anomaly, attack_protection, branding, client_grants, clients, connections,
    device_credentials, email_templates, emails, grants, guardian, jobs, log_streams, logs, my_account,
    protocol, refresh_tokens, resource_servers, roles, self_service, sessions, signing_keys, tenants,
    tickets, user_blocks, users,
};

const GET: Method = Method::GET;
const POST: Method = Method::POST;
const PUT: Method = Method::PUT;
const PATCH: Method = Method::PATCH;
const DELETE: Method = Method::DELETE;

/// Everything below `/api/v2`. The columns are kept by hand.
#[rustfmt::skip]
fn table(table: Table, largest_import: u64) -> Table {
    use Power::*;

    table
        .op(GET, "/anomaly/blocks/ips/{id}", "Check if an IP address is blocked", &[everyone("read:anomaly_blocks")], anomaly::check)
        .op(DELETE, "/anomaly/blocks/ips/{id}", "Remove the blocked IP address", &[everyone("delete:anomaly_blocks")], anomaly::lift)

        .op(GET, "/attack-protection/bot-detection", "Get Bot Detection settings", &[everyone("read:attack_protection")], attack_protection::get_bot_detection)
        .op(PATCH, "/attack-protection/bot-detection", "Update Bot Detection settings", &[everyone("update:attack_protection")], attack_protection::update_bot_detection)
        .op(GET, "/attack-protection/breached-password-detection", "Get Breached Password Detection settings", &[everyone("read:attack_protection")], attack_protection::get_breached_passwords)
        .op(PATCH, "/attack-protection/breached-password-detection", "Update Breached Password Detection settings", &[everyone("update:attack_protection")], attack_protection::update_breached_passwords)
        .op(GET, "/attack-protection/brute-force-protection", "Get Brute-force settings", &[everyone("read:attack_protection")], attack_protection::get_brute_force)
        .op(PATCH, "/attack-protection/brute-force-protection", "Update Brute-force settings", &[everyone("update:attack_protection")], attack_protection::update_brute_force)
        .op(GET, "/attack-protection/captcha", "Get the CAPTCHA configuration for a tenant", &[everyone("read:attack_protection")], attack_protection::get_captcha)
        .op(PATCH, "/attack-protection/captcha", "Update the CAPTCHA configuration for a tenant", &[everyone("update:attack_protection")], attack_protection::update_captcha)
        .op(GET, "/attack-protection/suspicious-ip-throttling", "Get Suspicious IP Throttling settings", &[everyone("read:attack_protection")], attack_protection::get_suspicious_ip)
        .op(PATCH, "/attack-protection/suspicious-ip-throttling", "Update Suspicious IP Throttling settings", &[everyone("update:attack_protection")], attack_protection::update_suspicious_ip)

        .op(GET, "/branding", "Get branding settings", &[everyone("read:branding")], branding::get)
        .op(PATCH, "/branding", "Update branding settings", &[everyone("update:branding")], branding::update)

        .op(GET, "/client-grants", "Get client grants", &[everyone("read:client_grants")], client_grants::list)
        .op(POST, "/client-grants", "Create client grant", &[everyone("create:client_grants")], client_grants::create)
        .op(GET, "/client-grants/{id}", "Get a client grant", &[everyone("read:client_grants")], client_grants::get)
        .op(PATCH, "/client-grants/{id}", "Update client grant", &[everyone("update:client_grants")], client_grants::update)
        .op(DELETE, "/client-grants/{id}", "Delete client grant", &[everyone("delete:client_grants")], client_grants::delete)

        .op(GET, "/clients", "Get clients", &[everyone("read:clients"), power("read:client_keys", Secrets),
            power("read:client_credentials", SummaryOnly), power("read:client_summary", SummaryOnly)], clients::list)
        .op(POST, "/clients", "Create a client", &[everyone("create:clients")], clients::create)
        .op(GET, "/clients/{id}", "Get client by ID", &[everyone("read:clients"), power("read:client_keys", Secrets),
            power("read:client_credentials", SummaryOnly), power("read:client_summary", SummaryOnly)], clients::get)
        .op(PATCH, "/clients/{id}", "Update a client", &[everyone("update:clients"), power("update:client_keys", ClientKeys),
            power("update:client_credentials", ClientCredentials), power("update:client_token_vault_privileged_access", TokenVault)], clients::update)
        .op(DELETE, "/clients/{id}", "Delete a client", &[everyone("delete:clients")], clients::delete)
        .op(POST, "/clients/{id}/rotate-secret", "Rotate a client secret", &[everyone("update:client_keys")], clients::rotate_secret)
        .op(GET, "/clients/{client_id}/credentials", "Get client credentials", &[everyone("read:client_credentials")], clients::credentials::list)
        .op(POST, "/clients/{client_id}/credentials", "Create a client credential", &[everyone("create:client_credentials")], clients::credentials::create)
        .op(GET, "/clients/{client_id}/credentials/{credential_id}", "Get client credential details", &[everyone("read:client_credentials")], clients::credentials::get)
        .op(PATCH, "/clients/{client_id}/credentials/{credential_id}", "Update a client credential", &[everyone("update:client_credentials")], clients::credentials::update)
        .op(DELETE, "/clients/{client_id}/credentials/{credential_id}", "Delete a client credential", &[everyone("delete:client_credentials")], clients::credentials::delete)
        .op(GET, "/clients/{id}/connections", "Get enabled connections for a client", &[everyone("read:connections").and("read:clients"),
            everyone("read:clients").and("read:connections"), everyone("read:client_summary").and("read:connections")], clients::connections)

        .op(GET, "/connections", "Get all connections", &[everyone("read:connections")], connections::list)
        .op(POST, "/connections", "Create a connection", &[everyone("create:connections")], connections::create)
        .op(GET, "/connections/{id}", "Get a connection", &[everyone("read:connections")], connections::get)
        .op(PATCH, "/connections/{id}", "Update a connection", &[everyone("update:connections")], connections::update)
        .op(DELETE, "/connections/{id}", "Delete a connection", &[everyone("delete:connections")], connections::delete)
        .op(GET, "/connections/{id}/clients", "Get enabled clients for a connection", &[everyone("read:connections")], connections::clients)
        .op(PATCH, "/connections/{id}/clients", "Update enabled clients for a connection", &[everyone("update:connections")], connections::enable_clients)

        .op(GET, "/device-credentials", "Retrieve device credentials", &[everyone("read:device_credentials")], device_credentials::list)
        .op(POST, "/device-credentials", "Create a device public key credential", &[own_row("create:current_user_device_credentials"),
            everyone("create:device_credentials").unnamed()], device_credentials::create)
        .op(DELETE, "/device-credentials/{id}", "Delete a device credential", &[everyone("delete:device_credentials"),
            own_row("delete:current_user_device_credentials")], device_credentials::delete)

        .op(GET, "/doorward/administrators", "Get the administrators", &[everyone("read:doorward_administrators")], administrators::get)
        .op(PATCH, "/doorward/administrators", "Update the administrators", &[everyone("update:doorward_administrators")], administrators::update)
        .op(GET, "/doorward/clients/{id}", "Get the protocol of a client", &[everyone("read:doorward_protocol")], protocol::get_of_client)
        .op(PATCH, "/doorward/clients/{id}", "Update the protocol of a client", &[everyone("update:doorward_protocol")], protocol::update_of_client)
        .op(GET, "/doorward/protocol", "Get the protocol of the tenant", &[everyone("read:doorward_protocol")], protocol::get)
        .op(PATCH, "/doorward/protocol", "Update the protocol of the tenant", &[everyone("update:doorward_protocol")], protocol::update)
        .op(GET, "/doorward/self-service", "Get the self-service policy", &[everyone("read:doorward_self_service")], self_service::get)
        .op(PATCH, "/doorward/self-service", "Update the self-service policy", &[everyone("update:doorward_self_service")], self_service::update)

        .op(POST, "/email-templates", "Create an email template", &[everyone("create:email_templates")], email_templates::create)
        .op(GET, "/email-templates/{templateName}", "Get an email template", &[everyone("read:email_templates")], email_templates::get)
        .op(PUT, "/email-templates/{templateName}", "Update an email template", &[everyone("update:email_templates")], email_templates::replace)
        .op(PATCH, "/email-templates/{templateName}", "Patch an email template", &[everyone("update:email_templates")], email_templates::update)

        .op(GET, "/emails/provider", "Get email provider", &[everyone("read:email_provider")], emails::get)
        .op(POST, "/emails/provider", "Configure email provider", &[everyone("create:email_provider")], emails::create)
        .op(PATCH, "/emails/provider", "Update email provider", &[everyone("update:email_provider")], emails::update)
        .op(DELETE, "/emails/provider", "Delete email provider", &[everyone("delete:email_provider")], emails::delete)

        .op(GET, "/grants", "Get grants", &[everyone("read:grants")], grants::list)
        .op(DELETE, "/grants", "Delete a grant by user_id", &[everyone("delete:grants")], grants::delete_of_user)
        .op(DELETE, "/grants/{id}", "Delete a grant by id", &[everyone("delete:grants")], grants::delete)

        .op(POST, "/jobs/verification-email", "Send an email address verification email", &[everyone("update:users")], jobs::send_verification)
        .op(POST, "/jobs/users-exports", "Create export users job", &[everyone("read:users")], jobs::create_export)
        .op(POST, "/jobs/users-imports", "Create import users job", &[everyone("create:users")],
            move |State(app): State<App>, grant: Grant, request: Request| jobs::create_import(app, grant, largest_import, request))
        .op(POST, "/guardian/enrollments/ticket", "Create a multi-factor authentication enrollment ticket", &[everyone("create:guardian_enrollment_tickets")], guardian::create_ticket)
        .op(GET, "/guardian/enrollments/{id}", "Retrieve a multi-factor authentication enrollment", &[everyone("read:guardian_enrollments")], guardian::get_enrollment)
        .op(DELETE, "/guardian/enrollments/{id}", "Delete a multi-factor authentication enrollment", &[everyone("delete:guardian_enrollments")], guardian::remove_enrollment)
        .op(GET, "/guardian/factors", "Retrieve factors and multi-factor authentication status", &[everyone("read:guardian_factors")], guardian::list_factors)
        .op(GET, "/guardian/factors/duo/settings", "Get Duo configuration", &[everyone("read:guardian_factors")], guardian::duo)
        .op(PUT, "/guardian/factors/duo/settings", "Set Duo configuration", &[everyone("update:guardian_factors")], guardian::set_duo)
        .op(PATCH, "/guardian/factors/duo/settings", "Update Duo configuration", &[everyone("update:guardian_factors")], guardian::update_duo)
        .op(GET, "/guardian/factors/phone/message-types", "Retrieve enabled phone factors", &[everyone("read:guardian_factors")], guardian::message_types)
        .op(PUT, "/guardian/factors/phone/message-types", "Update enabled phone factors", &[everyone("update:guardian_factors")], guardian::set_message_types)
        .op(GET, "/guardian/factors/phone/providers/twilio", "Retrieve Twilio Phone configuration", &[everyone("read:guardian_factors")], guardian::twilio)
        .op(PUT, "/guardian/factors/phone/providers/twilio", "Update Twilio Phone configuration", &[everyone("update:guardian_factors")], guardian::set_twilio)
        .op(GET, "/guardian/factors/phone/selected-provider", "Retrieve Phone configuration", &[everyone("read:guardian_factors")], guardian::phone_provider)
        .op(PUT, "/guardian/factors/phone/selected-provider", "Update Phone configuration", &[everyone("update:guardian_factors")], guardian::set_phone_provider)
        .op(GET, "/guardian/factors/phone/templates", "Retrieve Phone enrollment and verification templates", &[everyone("read:guardian_factors")], guardian::phone_templates)
        .op(PUT, "/guardian/factors/phone/templates", "Update Phone enrollment and verification templates", &[everyone("update:guardian_factors")], guardian::set_phone_templates)
        .op(GET, "/guardian/factors/sms/providers/twilio", "Retrieve Twilio SMS configuration", &[everyone("read:guardian_factors")], guardian::twilio)
        .op(PUT, "/guardian/factors/sms/providers/twilio", "Update Twilio SMS configuration", &[everyone("update:guardian_factors")], guardian::set_twilio)
        .op(GET, "/guardian/factors/sms/selected-provider", "Retrieve SMS configuration", &[everyone("read:guardian_factors")], guardian::phone_provider)
        .op(PUT, "/guardian/factors/sms/selected-provider", "Update SMS configuration", &[everyone("update:guardian_factors")], guardian::set_phone_provider)
        .op(GET, "/guardian/factors/sms/templates", "Retrieve SMS enrollment and verification templates", &[everyone("read:guardian_factors")], guardian::phone_templates)
        .op(PUT, "/guardian/factors/sms/templates", "Update SMS enrollment and verification templates", &[everyone("update:guardian_factors")], guardian::set_phone_templates)
        .op(GET, "/guardian/factors/push-notification/providers/apns", "Retrieve APNS push notification configuration", &[everyone("read:guardian_factors")], guardian::apns)
        .op(PUT, "/guardian/factors/push-notification/providers/apns", "Set APNS configuration", &[everyone("update:guardian_factors")], guardian::set_apns)
        .op(PATCH, "/guardian/factors/push-notification/providers/apns", "Update APNS configuration", &[everyone("update:guardian_factors")], guardian::update_apns)
        .op(PUT, "/guardian/factors/push-notification/providers/fcm", "Set FCM configuration", &[everyone("update:guardian_factors")], guardian::set_fcm)
        .op(PATCH, "/guardian/factors/push-notification/providers/fcm", "Update FCM configuration", &[everyone("update:guardian_factors")], guardian::update_fcm)
        .op(PUT, "/guardian/factors/push-notification/providers/fcmv1", "Set FCM v1 configuration", &[everyone("update:guardian_factors")], guardian::set_fcmv1)
        .op(PATCH, "/guardian/factors/push-notification/providers/fcmv1", "Update FCM v1 configuration", &[everyone("update:guardian_factors")], guardian::update_fcmv1)
        .op(GET, "/guardian/factors/push-notification/providers/sns", "Retrieve AWS SNS push notification configuration", &[everyone("read:guardian_factors")], guardian::sns)
        .op(PUT, "/guardian/factors/push-notification/providers/sns", "Set SNS configuration", &[everyone("update:guardian_factors")], guardian::set_sns)
        .op(PATCH, "/guardian/factors/push-notification/providers/sns", "Update SNS configuration", &[everyone("update:guardian_factors")], guardian::update_sns)
        .op(GET, "/guardian/factors/push-notification/selected-provider", "Retrieve push notification provider", &[everyone("read:guardian_factors")], guardian::push_provider)
        .op(PUT, "/guardian/factors/push-notification/selected-provider", "Update push notification configuration", &[everyone("update:guardian_factors")], guardian::set_push_provider)
        .op(PUT, "/guardian/factors/{name}", "Update multi-factor authentication type", &[everyone("update:guardian_factors")], guardian::set_factor)
        .op(GET, "/guardian/policies", "Get multi-factor authentication policies", &[everyone("read:mfa_policies")], guardian::policies)
        .op(PUT, "/guardian/policies", "Update multi-factor authentication policies", &[everyone("update:mfa_policies")], guardian::set_policies)

        .op(GET, "/jobs/{id}", "Get a job", &[everyone("create:users"), everyone("read:users")], jobs::get)
        .op(GET, "/jobs/{id}/errors", "Get job error details", &[everyone("create:users"), everyone("read:users")], jobs::errors)

        .op(GET, "/keys/signing", "Get all Application Signing Keys", &[everyone("read:signing_keys")], signing_keys::list)
        .op(POST, "/keys/signing/rotate", "Rotate the Application Signing Key", &[everyone("create:signing_keys").and("update:signing_keys"),
            everyone("update:signing_keys").and("create:signing_keys")], signing_keys::rotate)
        .op(GET, "/keys/signing/{kid}", "Get an Application Signing Key by its key id", &[everyone("read:signing_keys")], signing_keys::get)
        .op(PUT, "/keys/signing/{kid}/revoke", "Revoke an Application Signing Key by its key id", &[everyone("update:signing_keys")], signing_keys::revoke)

        .op(GET, "/log-streams", "Get log streams", &[everyone("read:log_streams")], log_streams::list)
        .op(POST, "/log-streams", "Create a log stream", &[everyone("create:log_streams")], log_streams::create)
        .op(GET, "/log-streams/{id}", "Get log stream by ID", &[everyone("read:log_streams")], log_streams::get)
        .op(PATCH, "/log-streams/{id}", "Update a log stream", &[everyone("update:log_streams")], log_streams::update)
        .op(DELETE, "/log-streams/{id}", "Delete log stream", &[everyone("delete:log_streams")], log_streams::delete)

        .op(GET, "/logs", "Search log events", &[everyone("read:logs"), everyone("read:logs_users")], logs::list)
        .op(GET, "/logs/{id}", "Get a log event by id", &[everyone("read:logs"), everyone("read:logs_users")], logs::get)

        .op(GET, "/refresh-tokens", "Get refresh tokens", &[everyone("read:refresh_tokens")], refresh_tokens::list)
        .op(POST, "/refresh-tokens/revoke", "Revoke refresh tokens", &[everyone("delete:refresh_tokens")], refresh_tokens::revoke)
        .op(GET, "/refresh-tokens/{id}", "Get a refresh token", &[everyone("read:refresh_tokens")], refresh_tokens::get)
        .op(PATCH, "/refresh-tokens/{id}", "Update a refresh token", &[everyone("update:refresh_tokens")], refresh_tokens::update)
        .op(DELETE, "/refresh-tokens/{id}", "Delete a refresh token", &[everyone("delete:refresh_tokens")], refresh_tokens::delete)

        .op(GET, "/resource-servers", "Get resource servers", &[everyone("read:resource_servers")], resource_servers::list)
        .op(POST, "/resource-servers", "Create a resource server", &[everyone("create:resource_servers")], resource_servers::create)
        .op(GET, "/resource-servers/{id}", "Get a resource server", &[everyone("read:resource_servers")], resource_servers::get)
        .op(PATCH, "/resource-servers/{id}", "Update a resource server", &[everyone("update:resource_servers")], resource_servers::update)
        .op(DELETE, "/resource-servers/{id}", "Delete a resource server", &[everyone("delete:resource_servers")], resource_servers::delete)

        .op(GET, "/roles", "Get roles", &[everyone("read:roles")], roles::list)
        .op(POST, "/roles", "Create a role", &[everyone("create:roles")], roles::create)
        .op(GET, "/roles/{id}", "Get a role", &[everyone("read:roles")], roles::get)
        .op(PATCH, "/roles/{id}", "Update a role", &[everyone("update:roles")], roles::update)
        .op(DELETE, "/roles/{id}", "Delete a role", &[everyone("delete:roles")], roles::delete)
        .op(GET, "/roles/{id}/permissions", "Get permissions granted by role", &[everyone("read:roles")], roles::list_permissions)
        .op(POST, "/roles/{id}/permissions", "Associate permissions with a role", &[everyone("update:roles")], roles::add_permissions)
        .op(DELETE, "/roles/{id}/permissions", "Remove permissions from a role", &[everyone("update:roles")], roles::remove_permissions)
        .op(GET, "/roles/{id}/users", "Get a role's users", &[everyone("read:users"), everyone("read:roles"), everyone("read:role_members")], roles::list_users)
        .op(POST, "/roles/{id}/users", "Assign users to a role", &[everyone("update:roles"), everyone("create:role_members")], roles::assign_users)

        .op(GET, "/sessions/{id}", "Get session", &[everyone("read:sessions")], sessions::get)
        .op(PATCH, "/sessions/{id}", "Update session", &[everyone("update:sessions")], sessions::update)
        .op(DELETE, "/sessions/{id}", "Delete session", &[everyone("delete:sessions")], sessions::delete)
        .op(POST, "/sessions/{id}/revoke", "Revokes a session", &[everyone("delete:sessions").and("delete:refresh_tokens"),
            everyone("delete:refresh_tokens").and("delete:sessions")], sessions::revoke)

        .op(GET, "/tenants/settings", "Get tenant settings", &[everyone("read:tenant_settings")], tenants::get)
        .op(PATCH, "/tenants/settings", "Update tenant settings", &[everyone("update:tenant_settings")], tenants::update)

        .op(POST, "/tickets/email-verification", "Create an email verification ticket", &[everyone("create:user_tickets")], tickets::verify_email)
        .op(POST, "/tickets/password-change", "Create a password change ticket", &[everyone("create:user_tickets")], tickets::change_password)

        .op(GET, "/user-blocks", "Get blocks by identifier", &[everyone("read:users")], user_blocks::find)
        .op(DELETE, "/user-blocks", "Unblock by identifier", &[everyone("update:users")], user_blocks::lift_by_identifier)
        .op(GET, "/user-blocks/{id}", "Get a user's blocks", &[everyone("read:users")], user_blocks::get)
        .op(DELETE, "/user-blocks/{id}", "Unblock a user", &[everyone("update:users")], user_blocks::lift)

        .op(GET, "/users", "List or Search Users", &[everyone("read:users"), power("read:user_idp_tokens", IdpTokens)], users::list)
        .op(POST, "/users", "Create a User", &[everyone("create:users")], users::create)
        .op(GET, "/users-by-email", "Search Users by Email", &[everyone("read:users")], users::by_email)
        .op(GET, "/users/{id}", "Get a User", &[everyone("read:users"), own_id("read:current_user"), power("read:user_idp_tokens", IdpTokens)], users::get)
        .op(PATCH, "/users/{id}", "Update a User", &[everyone("update:users"), power("update:users_app_metadata", AppMetadataOnly),
            own_id("update:current_user_metadata"), own_id("create:current_user_metadata").with(AddMetadataOnly).unnamed()], users::update)
        .op(DELETE, "/users/{id}", "Delete a User", &[everyone("delete:users"), own_id("delete:current_user")], users::delete)
        .op(GET, "/users/{id}/authentication-methods", "Get a list of authentication methods", &[everyone("read:authentication_methods")], methods::list)
        .op(POST, "/users/{id}/authentication-methods", "Creates an authentication method for a given user", &[everyone("create:authentication_methods")], methods::create)
        .op(PUT, "/users/{id}/authentication-methods", "Update all authentication methods by replacing them with the given ones", &[everyone("update:authentication_methods")], methods::set)
        .op(DELETE, "/users/{id}/authentication-methods", "Delete all authentication methods for the given user", &[everyone("delete:authentication_methods")], methods::remove_all)
        .op(GET, "/users/{id}/authentication-methods/{authentication_method_id}", "Get an authentication method by ID", &[everyone("read:authentication_methods")], methods::get)
        .op(PATCH, "/users/{id}/authentication-methods/{authentication_method_id}", "Update an authentication method", &[everyone("update:authentication_methods")], methods::update)
        .op(DELETE, "/users/{id}/authentication-methods/{authentication_method_id}", "Delete an authentication method by ID", &[everyone("delete:authentication_methods")], methods::remove)
        .op(DELETE, "/users/{id}/authenticators", "Delete All Authenticators", &[everyone("delete:guardian_enrollments")], users::factors::remove_authenticators)
        .op(GET, "/users/{id}/enrollments", "Get the First Confirmed Multi-factor Authentication Enrollment", &[everyone("read:users"), own_id("read:current_user")], users::factors::enrollments)
        .op(POST, "/users/{id}/identities", "Link a User Account",
            &[everyone("update:users"), own_id("update:current_user_identities").asking(Change::LinkIdentity)], users::link)
        .op(DELETE, "/users/{id}/identities/{provider}/{user_id}", "Unlink a User Identity",
            &[everyone("update:users"), own_id("update:current_user_identities").asking(Change::UnlinkIdentity)], users::unlink)
        .op(GET, "/users/{id}/logs", "Get user's log events", &[everyone("read:logs"), everyone("read:logs_users")], logs::list_of_user)
        .op(POST, "/users/{id}/multifactor/actions/invalidate-remember-browser", "Invalidate All Remembered Browsers for Multi-factor Authentication", &[everyone("update:users")], users::factors::forget_browsers)
        .op(DELETE, "/users/{id}/multifactor/{provider}", "Delete a User's Multi-factor Provider", &[everyone("update:users"),
            own_id("delete:current_user_metadata").unnamed().asking(Change::RemoveFactor)], users::factors::remove_multifactor)
        .op(POST, "/users/{id}/recovery-code-regeneration", "Generate New Multi-factor Authentication Recovery Code", &[everyone("update:users")], users::factors::regenerate_recovery_code)
        .op(GET, "/users/{id}/permissions", "Get a User's Permissions", &[everyone("read:users")], users::roles::list_permissions)
        .op(POST, "/users/{id}/permissions", "Assign Permissions to a User", &[everyone("update:users")], users::roles::add_permissions)
        .op(DELETE, "/users/{id}/permissions", "Remove Permissions from a User", &[everyone("update:users")], users::roles::remove_permissions)
        .op(POST, "/users/{id}/revoke-access", "Revokes selected resources from a user", &[everyone("delete:sessions").and("delete:refresh_tokens"),
            everyone("delete:refresh_tokens").and("delete:sessions")], sessions::revoke_access)
        .op(GET, "/users/{id}/roles", "Get a user's roles", &[everyone("read:users"), everyone("read:roles"), everyone("read:role_members")], users::roles::list)
        .op(POST, "/users/{id}/roles", "Assign roles to a user", &[everyone("update:users"), everyone("create:role_members")], users::roles::assign)
        .op(DELETE, "/users/{id}/roles", "Removes roles from a user", &[everyone("update:users"), everyone("delete:role_members")], users::roles::remove)
        .op(GET, "/users/{user_id}/refresh-tokens", "Get refresh tokens for a user", &[everyone("read:refresh_tokens")], refresh_tokens::of_user)
        .op(DELETE, "/users/{user_id}/refresh-tokens", "Delete refresh tokens for a user", &[everyone("delete:refresh_tokens")], refresh_tokens::delete_of_user)
        .op(GET, "/users/{user_id}/sessions", "Get sessions for user", &[everyone("read:sessions")], sessions::of_user)
        .op(DELETE, "/users/{user_id}/sessions", "Delete sessions for user", &[everyone("delete:sessions")], sessions::delete_of_user)
}

/// The routes of the Management and the My Account API, to be merged at the root.
pub fn routes() -> Router<App> {
    routes_with(Limits::default())
}

/// [`routes`] with other rate limits.
pub fn routes_with(limits: Limits) -> Router<App> {
    // A person has one bucket for all that they call.
    let limiter = Arc::new(Limiter::new(limits));
    let own = my_account::table(Table::new(Api::MyAccount, limiter.clone()));
    let table = table(Table::new(Api::Management, limiter), limits.import);
    jobs::downloads().nest("/api/v2", table.router()).nest("/me/v1", own.router())
}

/// The operations, in the order of the table.
pub fn operations() -> &'static [Operation] {
    static OPERATIONS: LazyLock<Vec<Operation>> = LazyLock::new(|| {
        let limits = Limits::default();
        table(Table::new(Api::Management, Arc::new(Limiter::new(limits))), limits.import).operations()
    });
    &OPERATIONS
}

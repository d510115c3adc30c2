//! A queued message to a phone: what it says, and its way.

use serde_json::{Map, Value, json};

use super::{Kind, Letter, Mail, SendError};
use crate::clock::Timestamp;
use crate::factors::codes::{self, LIFETIME};
use crate::tenants::Tenant;
use crate::{Model, clients, guardian, sms, tenants};

/// What a message says, by the tenant's own text if there is one and it is of use, else by the published one. It has the form of a mail,
/// which the outbox shows.
///
/// # Errors
/// When the database fails. The inner error is a message whose code has ended meanwhile, was given, or was followed by another: whoever got
/// them in the wrong order would type the older.
pub(super) async fn render(
    app: &Model,
    tenant: &Tenant,
    letter: &Letter,
    created_at: Timestamp,
) -> Result<Result<Mail, SendError>, db::Error> {
    if created_at.plus_seconds(LIFETIME) <= app.clock.now() {
        return Ok(Err(SendError::lasting("the code has ended before it could be sent")));
    }
    if let Some(user_id) = &letter.user_id
        && !codes::is_awaited(&app.db, &tenant.id, user_id, &letter.to, created_at).await?
    {
        return Ok(Err(SendError::lasting("nobody waits for the code any more")));
    }
    let code = letter.variables.get("code").and_then(Value::as_str).unwrap_or_default();
    let variables = variables(app, tenant, letter).await?;
    let guardian = guardian::find(app, &tenant.id).await?;
    let (own, published) = guardian.message(letter.kind == Kind::SmsEnrollment);
    let text = own.and_then(|own| sms::filled(own, &variables, code));
    let text = text.or_else(|| sms::filled(&published, &variables, code)).unwrap_or_else(|| code.to_owned());
    let html = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    let html = format!("<!doctype html><html><head></head><body><p>{html}</p></body></html>");
    Ok(Ok(Mail { from: "SMS".to_owned(), to: letter.to.clone(), subject: text.clone(), html, text }))
}

/// What a text may name: Auth0's variables.
async fn variables(app: &Model, tenant: &Tenant, letter: &Letter) -> Result<Map<String, Value>, db::Error> {
    let settings = tenants::settings(app, &tenant.id).await?;
    let client = match &letter.client_id {
        Some(id) => clients::find(app, &tenant.id, id.as_str()).await?,
        None => None,
    };
    let friendly_name = settings.friendly_name.as_deref().unwrap_or(&tenant.name);
    let application = client.map(|client| json!({ "name": client.name, "clientID": client.client_id }));
    let mut variables = letter.variables.clone();
    variables.shift_remove("req");
    for (name, value) in [
        (
            "tenant",
            json!({ "name": tenant.name, "friendly_name": friendly_name, "friendlyName": friendly_name }),
        ),
        ("phone_number", letter.to.as_str().into()),
        ("application", application.unwrap_or_default()),
    ] {
        variables.insert(name.to_owned(), value);
    }
    Ok(variables)
}

/// Hands a message to the tenant's gateway.
///
/// # Errors
/// When the database fails. The inner error says why it was not taken.
pub(super) async fn send(
    app: &Model,
    tenant: &Tenant,
    letter: &Letter,
    mail: &Mail,
) -> Result<Result<(), SendError>, db::Error> {
    let Some(gateway) = sms::gateway(app, &tenant.id).await? else {
        return Ok(Err(SendError::passing(sms::SmsError::NoGateway)));
    };
    let asked_by = letter.variables.get("req").cloned().unwrap_or_default();
    let message = sms::Message { to: &mail.to, text: &mail.text, asked_by };
    let sent = sms::send(app, &tenant.issuer, &gateway, message).await;
    Ok(sent.map_err(|error| match error {
        // It may be the number's fault, which anybody can type.
        sms::SmsError::Refused(_) => SendError::refused(error),
        _ => SendError::passing(error),
    }))
}

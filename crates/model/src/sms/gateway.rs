//! The way of messages to phones: an HTTP gateway of the tenant's own is asked to send them, as the options of a connection of strategy `sms`
//! say. The way to it is [`crate::net`]: no tenant makes the server speak to what only the server reaches.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hyper::header::{AUTHORIZATION, HeaderValue};
use serde_json::{Map, Value, json};

use crate::app::Model;
use crate::connections::Connection;
use crate::jose::SigningKey;
use crate::mail::liquid::{self, Form};

/// Seconds that a gateway may take a token of ours for.
const TOKEN_LIFETIME: i64 = 300;

/// What a message says where the connection says nothing.
const TEMPLATE: &str = "Your verification code is: @@password@@";

/// The longest message, in characters: four parts of an SMS.
const LONGEST: usize = 612;

/// A message, and whose wish it is.
#[derive(Clone, Debug)]
pub struct Message<'a> {
    /// The number, `+` and digits.
    pub to: &'a str,
    /// What it says.
    pub text: &'a str,
    /// Who asks, as [`crate::Peer::told`] has it: for a connection that wants that forwarded.
    pub asked_by: Value,
}

/// Why nothing was sent; the text is for the log.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SmsError {
    /// The connection names no gateway.
    #[error("No SMS gateway is configured")]
    NoGateway,
    /// The gateway did not answer, or could not be asked.
    #[error("The SMS gateway did not take the message: {0}")]
    Failed(String),
    /// The gateway answered this status.
    #[error("The SMS gateway did not take the message: status {0}")]
    Refused(u16),
}

/// Whether the connection names a gateway.
pub fn has_gateway(connection: &Connection) -> bool {
    gateway(connection).is_some()
}

fn gateway(connection: &Connection) -> Option<&str> {
    text(connection, "/gateway_url").filter(|url| !url.is_empty())
}

fn text<'a>(connection: &'a Connection, pointer: &str) -> Option<&'a str> {
    connection.option(pointer)?.as_str()
}

/// Asks the gateway to send a message: a POST of `recipient`, `body` and `sender`, and who asked (`req`) where the connection wants that
/// forwarded. Any status from 200 to 299 says that it will.
///
/// # Errors
/// See [`SmsError`].
pub async fn send(
    app: &Model,
    issuer: &str,
    connection: &Connection,
    message: Message<'_>,
) -> Result<(), SmsError> {
    let url = gateway(connection).ok_or(SmsError::NoGateway)?;
    let failed = |error: &dyn std::fmt::Display| SmsError::Failed(error.to_string());
    let mut body = Map::from_iter([
        ("recipient".to_owned(), Value::from(message.to)),
        ("body".to_owned(), message.text.into()),
    ]);
    if let Some(from) = text(connection, "/from") {
        body.insert("sender".into(), from.into());
    }
    if connection.option("/forward_req_info").and_then(Value::as_bool) == Some(true) {
        body.insert("req".into(), message.asked_by);
    }
    let mut headers = Vec::new();
    if let Some(token) = token(app, issuer, connection).map_err(|error| failed(&error))? {
        let value = HeaderValue::try_from(format!("Bearer {token}")).map_err(|error| failed(&error))?;
        headers.push((AUTHORIZATION, value));
    }
    let body = Value::Object(body).to_string().into_bytes();
    match app.net.post(url, headers, "application/json", body).await {
        Ok((200..=299, _)) => Ok(()),
        Ok((status, _)) => Err(SmsError::Refused(status)),
        Err(error) => Err(failed(&error)),
    }
}

/// What a message with a code to sign in with says: the connection's template, with `@@password@@` or Liquid's `{{ code }}` in it.
pub fn words(connection: &Connection, to: &str, code: &str, app: &str) -> String {
    let template = text(connection, "/template").unwrap_or(TEMPLATE);
    let said = match text(connection, "/syntax") {
        Some("liquid") => {
            let app = json!({ "name": app });
            let variables = json!({
                "code": code, "password": code, "phone_number": to, "application": app, "client": app,
            });
            variables.as_object().and_then(|variables| filled(template, variables, code))
        }
        _ => of_use(template.replace("@@password@@", code).replace("@@application.name@@", app), code),
    };
    said.unwrap_or_else(|| TEMPLATE.replace("@@password@@", code))
}

/// A template in Liquid with its variables filled in. None, where what comes of it says no code, is longer than a message, or does not
/// parse: it would be of no use.
pub fn filled(template: &str, variables: &Map<String, Value>, code: &str) -> Option<String> {
    of_use(liquid::render(template, Form::Text, variables).ok()?, code)
}

fn of_use(said: String, code: &str) -> Option<String> {
    (said.contains(code) && said.chars().count() <= LONGEST).then_some(said)
}

/// The token that a gateway asks for, signed with the secret that it shares with the tenant.
fn token(app: &Model, issuer: &str, connection: &Connection) -> Result<Option<String>, String> {
    let part = |name: &str| text(connection, &format!("/gateway_authentication/{name}"));
    let Some(secret) = part("secret").filter(|secret| !secret.is_empty()) else { return Ok(None) };
    let encoded = connection.option("/gateway_authentication/secret_base64_encoded").and_then(Value::as_bool);
    let secret = match encoded {
        Some(true) => STANDARD.decode(secret).map_err(|_| "the secret is not base64".to_owned())?,
        _ => secret.as_bytes().to_vec(),
    };
    let now = app.clock.now().seconds();
    let mut claims = Map::from_iter([
        ("iss".to_owned(), Value::from(issuer)),
        ("iat".to_owned(), now.into()),
        ("exp".to_owned(), (now + TOKEN_LIFETIME).into()),
    ]);
    for (claim, name) in [("sub", "subject"), ("aud", "audience")] {
        if let Some(value) = part(name) {
            claims.insert(claim.into(), value.into());
        }
    }
    let signed = SigningKey::hs256(None, &secret).sign_jwt("JWT", &claims);
    signed.map(Some).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    fn said(options: Value) -> String {
        let body = json!({ "name": "sms", "strategy": "sms", "options": options });
        let connection = Connection::new(&Random::seeded(1), body.as_object().unwrap()).unwrap();
        words(&connection, "+4915", "123456", "Notes")
    }

    #[test]
    fn a_message_says_its_code_whatever_the_template() {
        let plain = "Your verification code is: 123456";
        assert_eq!(said(json!({})), plain);
        assert_eq!(
            said(json!({ "template": "@@password@@ opens @@application.name@@" })),
            "123456 opens Notes"
        );
        let liquid = json!({ "syntax": "liquid", "template": "{{ code }} opens {{ application.name }}" });
        assert_eq!(said(liquid), "123456 opens Notes");
        for template in ["", "Hello", "{{ code"] {
            assert_eq!(said(json!({ "syntax": "liquid", "template": template })), plain, "{template}");
        }
        assert_eq!(said(json!({ "template": format!("@@password@@{}", "x".repeat(700)) })), plain);
    }
}

//! Handing a mail to the tenant's mail server.

use std::time::Duration;

use lettre::message::header::ContentTransferEncoding;
use lettre::message::{Mailbox, MultiPart, SinglePart};
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Tls, TlsParameters};
use lettre::transport::smtp::extension::ClientId;
use lettre::{AsyncSmtpTransport, AsyncTransport, Message, Tokio1Executor};
use tracing::Instrument;

use super::providers::Provider;
use super::render::Mail;
use crate::net::Net;

/// How long one try may take, from the connection to the end.
const LONGEST: Duration = Duration::from_secs(60);
/// How long the server may take for one answer.
const ANSWER: Duration = Duration::from_secs(20);

/// Why a mail was not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct SendError {
    /// For the log: it may name the server, and holds nothing of the letter's text.
    pub reason: String,
    /// Whether no later try can succeed: the address is none, or the server knows no such mailbox.
    pub is_final: bool,
    /// Whether it keeps the other letters that go the same way: nobody answered there.
    pub keeps_others: bool,
}

impl SendError {
    /// A reason that may pass.
    pub(super) fn passing(reason: impl std::fmt::Display) -> Self {
        Self { reason: reason.to_string(), is_final: false, keeps_others: true }
    }

    /// A reason that may pass, of this letter alone as far as is known.
    pub(super) fn refused(reason: impl std::fmt::Display) -> Self {
        Self { keeps_others: false, ..Self::passing(reason) }
    }

    /// A reason that no later try mends.
    pub(super) fn lasting(reason: impl std::fmt::Display) -> Self {
        Self { reason: reason.to_string(), is_final: true, keeps_others: false }
    }
}

/// The message as it travels. Addresses are parsed and every header is encoded: none can hold a line break.
///
/// # Errors
/// For an address that is none.
pub(super) fn message(mail: &Mail, id: &str, host: &str) -> Result<Message, SendError> {
    let mailbox = |text: &str, whose: &str| {
        text.parse::<Mailbox>().map_err(|error| SendError::lasting(format!("the {whose}'s address: {error}")))
    };
    // A sender that is wrong in the settings can be mended; a recipient cannot.
    let from = mailbox(&mail.from, "sender").map_err(|error| SendError::passing(error.reason))?;
    let part = |part: lettre::message::SinglePartBuilder, text: &str| {
        part.header(ContentTransferEncoding::QuotedPrintable).body(text.to_owned())
    };
    Message::builder()
        .from(from)
        .to(mailbox(&mail.to, "recipient")?)
        .subject(&mail.subject)
        .message_id(Some(format!("<{id}@{host}>")))
        .header(Automatic)
        .multipart(
            MultiPart::alternative()
                .singlepart(part(
                    SinglePart::builder().header(lettre::message::header::ContentType::TEXT_PLAIN),
                    &mail.text,
                ))
                .singlepart(part(
                    SinglePart::builder().header(lettre::message::header::ContentType::TEXT_HTML),
                    &mail.html,
                )),
        )
        .map_err(SendError::lasting)
}

/// `Auto-Submitted: auto-generated` (RFC 3834 §5): nobody's absence notice answers it.
#[derive(Clone)]
struct Automatic;

impl lettre::message::header::Header for Automatic {
    fn name() -> lettre::message::header::HeaderName {
        lettre::message::header::HeaderName::new_from_ascii_str("Auto-Submitted")
    }

    fn parse(_: &str) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        Ok(Self)
    }

    fn display(&self) -> lettre::message::header::HeaderValue {
        lettre::message::header::HeaderValue::new(Self::name(), "auto-generated".into())
    }
}

/// Sends a mail by the tenant's provider.
///
/// # Errors
/// When there is none that can, or the server does not take it.
pub(super) async fn send(
    net: &Net,
    provider: Option<&Provider>,
    mail: &Mail,
    id: &str,
    host: &str,
) -> Result<(), SendError> {
    let host = host.split(':').next().unwrap_or_default();
    let provider = able(provider)?;
    let message = message(mail, id, host)?;
    let transport = transport(net, provider, host).await?;
    let server = provider.credential("smtp_host");
    let span =
        tracing::debug_span!(target: "traces", "mail", otel.kind = "client", "server.address" = server);
    match tokio::time::timeout(LONGEST, transport.send(message).instrument(span)).await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(error)) => {
            // RFC 5321 §4.2.3: these speak of the recipient, not of us.
            let code = error.status().map(u16::from);
            let is_final = error.is_permanent() && matches!(code, Some(550 | 551 | 553));
            Err(SendError { reason: describe(&error), is_final, keeps_others: !is_final })
        }
        Err(_) => Err(SendError::passing("the mail server takes too long")),
    }
}

/// Speaks to the tenant's mail server as far as to be let in.
///
/// # Errors
/// Why no letter would go out.
pub(super) async fn try_out(net: &Net, provider: Option<&Provider>, host: &str) -> Result<(), SendError> {
    let transport = transport(net, able(provider)?, host.split(':').next().unwrap_or_default()).await?;
    match tokio::time::timeout(LONGEST, transport.test_connection()).await {
        Ok(Ok(true)) => Ok(()),
        Ok(Ok(false)) => Err(SendError::passing("the mail server does not answer")),
        Ok(Err(error)) => Err(SendError::passing(describe(&error))),
        Err(_) => Err(SendError::passing("the mail server takes too long")),
    }
}

/// The provider, if it is one that delivers.
fn able(provider: Option<&Provider>) -> Result<&Provider, SendError> {
    let Some(provider) = provider else {
        return Err(SendError::passing("no e-mail provider is configured"));
    };
    if provider.name != "smtp" {
        let text = format!("the e-mail provider `{}` is stored, but only `smtp` can deliver", provider.name);
        return Err(SendError::passing(text));
    }
    if provider.enabled == Some(false) {
        return Err(SendError::passing("the e-mail provider is not enabled"));
    }
    Ok(provider)
}

/// An error with its causes.
fn describe(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        let inner_text = inner.to_string();
        if !text.contains(&inner_text) {
            text.push_str(": ");
            text.push_str(&inner_text);
        }
        cause = inner.source();
    }
    text
}

/// TLS from the start on port 465, else by STARTTLS, which must be there. Only a server on this machine may do without. The connection
/// goes to an address that was looked at.
async fn transport(
    net: &Net,
    provider: &Provider,
    host: &str,
) -> Result<AsyncSmtpTransport<Tokio1Executor>, SendError> {
    let server = provider.credential("smtp_host").unwrap_or_default();
    if server.is_empty() {
        return Err(SendError::passing("the e-mail provider has no `smtp_host`"));
    }
    let port = provider.credentials.get("smtp_port").and_then(serde_json::Value::as_u64);
    let port = port.and_then(|port| u16::try_from(port).ok()).unwrap_or(587);
    let addresses = net.addresses(server).await.map_err(SendError::passing)?;
    let Some(address) = addresses.first() else {
        return Err(SendError::passing("the mail server has no address"));
    };
    let local = address.to_canonical().is_loopback();
    let tls = match port {
        _ if local => Tls::None,
        465 => Tls::Wrapper(parameters(server)?),
        _ => Tls::Required(parameters(server)?),
    };
    let mut transport = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(address.to_string())
        .port(port)
        .tls(tls)
        .timeout(Some(ANSWER))
        .hello_name(ClientId::Domain(host.to_owned()));
    if let (Some(user), Some(password)) = (provider.credential("smtp_user"), provider.credential("smtp_pass"))
    {
        transport = transport.credentials(Credentials::new(user.to_owned(), password.to_owned()));
    }
    Ok(transport.build())
}

fn parameters(server: &str) -> Result<TlsParameters, SendError> {
    TlsParameters::new(server.to_owned()).map_err(SendError::passing)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mail(to: &str, subject: &str) -> Mail {
        Mail {
            from: "Acme <no-reply@acme.test>".into(),
            to: to.into(),
            subject: subject.into(),
            html: "<p>Hällo</p>".into(),
            text: "Hällo\n.\nx".into(),
        }
    }

    #[test]
    fn no_header_can_be_smuggled_in() {
        for to in ["ann@example.com\r\nBcc: all@a.test", "ann@example.com\nx@y.z", "a@b.c, d@e.f", "", "ann"]
        {
            let error = message(&mail(to, "Hi"), "1", "acme.test").unwrap_err();
            assert!(error.is_final, "{to}: {error}");
        }
        let sent = message(&mail("ann@example.com", "Hi\r\nBcc: all@a.test"), "1", "acme.test").unwrap();
        let text = String::from_utf8(sent.formatted()).unwrap();
        let headers = text.split("\r\n\r\n").next().unwrap();
        assert!(!headers.lines().any(|line| line.starts_with("Bcc")), "{headers}");
    }

    #[test]
    fn a_mail_has_both_forms_and_says_that_nobody_wrote_it() {
        let sent = message(&mail("ann@example.com", "Grüße"), "abc", "acme.test").unwrap();
        let text = String::from_utf8(sent.formatted()).unwrap();
        for part in [
            "From: Acme <no-reply@acme.test>",
            "To: ann@example.com",
            "Message-ID: <abc@acme.test>",
            "Auto-Submitted: auto-generated",
            "multipart/alternative",
            "text/plain; charset=utf-8",
            "text/html; charset=utf-8",
            "H=C3=A4llo",
        ] {
            assert!(text.contains(part), "{part}\n{text}");
        }
    }
}

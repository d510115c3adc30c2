//! A queued letter as the mail that goes out.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::liquid::{self, Form};
use super::{Kind, Letter, builtin, providers, templates};
use crate::clock::Timestamp;
use crate::tenants::Tenant;
use crate::{Model, branding, clients, tenants};

/// The longest subject, in characters.
const LONGEST_SUBJECT: usize = 250;
/// Buttons, where the tenant has no colour of its own or an unreadable one.
const PRIMARY: &str = "#0059d6";

/// The words of a mail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Text {
    /// One line.
    pub subject: String,
    /// The HTML document.
    pub html: String,
    /// The same as plain text.
    pub text: String,
}

/// A mail that is ready to go.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mail {
    /// The sender, `address` or `Name <address>`.
    pub from: String,
    /// The address it goes to.
    pub to: String,
    /// One line.
    pub subject: String,
    /// The HTML document.
    pub html: String,
    /// The same as plain text.
    pub text: String,
}

/// Renders a letter by the tenant's own template, if there is one and it works, else by the built-in texts.
///
/// # Errors
/// When the database fails. The inner error is a letter whose variables are too large for any text.
pub async fn render(
    app: &Model,
    tenant: &Tenant,
    letter: &Letter,
    created_at: Timestamp,
) -> Result<Result<Mail, liquid::Error>, db::Error> {
    let provider = providers::find(app, &tenant.id).await?;
    let variables = variables(app, tenant, letter, created_at).await?;
    let standard = provider.as_ref().and_then(|provider| provider.default_from_address.clone());
    let standard = standard
        .filter(|from| !from.is_empty())
        .unwrap_or_else(|| format!("no-reply@{}", tenant.host.split(':').next().unwrap_or_default()));
    let (mut from, mut own) = (standard, None);
    if let Some(template) = templates::find_enabled(app, &tenant.id, letter.kind).await? {
        match by_template(&template, &variables) {
            Ok((sender, text)) => {
                own = Some(text);
                from = sender.unwrap_or(from);
            }
            Err(error) => {
                tracing::warn!(tenant = %tenant.id, template = template.template, %error, "a mail template fails: the built-in text goes out");
            }
        }
    }
    let text = match own {
        Some(text) => text,
        None => match builtin::letter(letter.kind, &variables) {
            Ok(text) => text,
            Err(error) => return Ok(Err(error)),
        },
    };
    let subject = one_line(&text.subject, LONGEST_SUBJECT);
    Ok(Ok(Mail { from, to: letter.to.clone(), subject, html: text.html, text: text.text }))
}

/// Sender and words by a tenant's own template. What it leaves empty is the built-in's.
fn by_template(
    template: &templates::Template,
    variables: &Map<String, Value>,
) -> Result<(Option<String>, Text), liquid::Error> {
    let fill = |source: &Option<String>| -> Result<Option<String>, liquid::Error> {
        let Some(source) = source.as_deref().filter(|source| !source.trim().is_empty()) else {
            return Ok(None);
        };
        liquid::render(source, Form::Text, variables).map(|text| Some(one_line(&text, LONGEST_SUBJECT)))
    };
    let kind = Kind::from_name(&template.template).unwrap_or(Kind::VerifyEmail);
    let built_in = builtin::letter(kind, variables)?;
    let subject = fill(&template.subject)?.unwrap_or(built_in.subject);
    let body = template.body.as_deref().filter(|body| !body.trim().is_empty());
    let (html, text) = match body {
        Some(body) => {
            let html = liquid::render(body, Form::Html, variables)?;
            let text = plain(&html);
            (html, text)
        }
        None => (built_in.html, built_in.text),
    };
    Ok((fill(&template.from)?, Text { subject, html, text }))
}

/// What a template may name: Auth0's variables.
async fn variables(
    app: &Model,
    tenant: &Tenant,
    letter: &Letter,
    created_at: Timestamp,
) -> Result<Map<String, Value>, db::Error> {
    let settings = tenants::settings(app, &tenant.id).await?;
    let branding = branding::find(app, &tenant.id).await?;
    let client = match &letter.client_id {
        Some(id) => clients::find(app, &tenant.id, id.as_str()).await?,
        None => None,
    };
    let colour = branding.colors.as_ref().and_then(|colours| colours.primary.clone());
    let (primary, on_primary) = readable(colour.as_deref().unwrap_or(PRIMARY));
    let logo = branding.logo_url.clone().or_else(|| settings.picture_url.clone());
    let mut variables = letter.variables.clone();
    let common = json!({
        "tenant": tenant.name,
        "friendly_name": settings.friendly_name.as_deref().unwrap_or(&tenant.name),
        "support_email": settings.support_email,
        "support_url": settings.support_url,
        "home_url": tenant.issuer,
        "picture_url": logo.filter(|url| url.starts_with("https://")),
        "primary_color": primary,
        "on_primary": on_primary,
        "now": created_at,
        "application": client.map(|client| json!({
            "name": client.name, "clientID": client.client_id, "client_id": client.client_id,
        })),
    });
    if let Value::Object(common) = common {
        // A letter's own variables come before: none of them has a name of these.
        common.into_iter().for_each(|(name, value)| {
            variables.entry(name).or_insert(value);
        });
    }
    if let Some(user) = variables.get("user").cloned() {
        variables.insert("email".into(), user["email"].clone());
    }
    Ok(variables)
}

/// A colour `#rrggbb` and the better of black and white on it.
fn readable(colour: &str) -> (&str, &'static str) {
    let channel = |at: usize| colour.get(at..at + 2).and_then(|digits| u8::from_str_radix(digits, 16).ok());
    match (colour.len(), colour.starts_with('#'), channel(1), channel(3), channel(5)) {
        (7, true, Some(red), Some(green), Some(blue)) => {
            let light = 299 * u32::from(red) + 587 * u32::from(green) + 114 * u32::from(blue) > 140_000;
            (colour, if light { "#000000" } else { "#ffffff" })
        }
        _ => (PRIMARY, "#ffffff"),
    }
}

/// A text without line breaks and other control characters: it stands in a header.
fn one_line(text: &str, most: usize) -> String {
    let text: String = text.chars().map(|char| if char.is_control() { ' ' } else { char }).collect();
    text.trim().chars().take(most).collect()
}

/// What a reader without HTML sees: the text, with each link's address behind it.
fn plain(html: &str) -> String {
    let mut text = String::with_capacity(html.len() / 2);
    let (mut rest, mut link) = (html, None);
    while let Some(start) = rest.find('<') {
        text.push_str(&collapsed(&rest[..start]));
        let Some(length) = rest[start..].find('>') else { break };
        let tag = &rest[start + 1..start + length];
        rest = &rest[start + length + 1..];
        let name: String = tag.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '/').collect();
        match name.to_ascii_lowercase().as_str() {
            hidden @ ("style" | "script" | "head" | "title") => {
                let end = format!("</{hidden}");
                let lower = rest.to_ascii_lowercase();
                rest = lower.find(&end).map_or("", |at| &rest[at..]);
            }
            "br" | "br/" | "/tr" | "li" => text.push('\n'),
            "/p" | "/div" | "/h1" | "/h2" | "/h3" | "/table" | "/ul" | "/ol" => text.push_str("\n\n"),
            "a" => link = attribute(tag, "href"),
            "/a" => {
                if let Some(url) = link.take()
                    && !text.ends_with(&url)
                {
                    text.push_str(&format!(" ({url})"));
                }
            }
            _ => {}
        }
    }
    if !rest.contains('<') {
        text.push_str(&collapsed(rest));
    }
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    let mut kept = String::new();
    for (index, line) in lines.iter().enumerate() {
        if !line.is_empty() || index > 0 && !lines[index - 1].is_empty() {
            kept.push_str(line);
            kept.push('\n');
        }
    }
    kept.trim().to_owned()
}

/// With one blank for many, and characters for the references that templates use.
fn collapsed(text: &str) -> String {
    let mut kept = String::with_capacity(text.len());
    for char in text.chars() {
        if !char.is_whitespace() {
            kept.push(char);
        } else if !kept.ends_with(' ') {
            kept.push(' ');
        }
    }
    unescaped(&kept)
}

fn unescaped(text: &str) -> String {
    text.replace("&nbsp;", " ")
        .replace("&lt;", "<")
        .replace("&gt;", ">")
        .replace("&quot;", "\"")
        .replace("&#34;", "\"")
        .replace("&#39;", "'")
        .replace("&copy;", "©")
        .replace("&amp;", "&")
}

fn attribute(tag: &str, name: &str) -> Option<String> {
    let after = tag.split_once(&format!("{name}=")).map(|(_, after)| after)?;
    let quote = after.chars().next().filter(|quote| ['"', '\''].contains(quote))?;
    after[1..].split(quote).next().map(unescaped)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn html_has_a_plain_form_with_its_links() {
        let html = "<html><head><style>p{}</style><title>x</title></head><body>\n <h1>Hello &amp; welcome</h1>\
                    <p>Please\n   <a class='b' href=\"https://a.test/?a=1&amp;b=2\">confirm</a>.</p><p>Or: <a href='https://b.test'>https://b.test</a><br>Bye</p>";
        assert_eq!(
            plain(html),
            "Hello & welcome\n\nPlease confirm (https://a.test/?a=1&b=2).\n\nOr: https://b.test\nBye"
        );
        assert_eq!(plain("a < b and <unclosed"), "a");
    }

    #[test]
    fn a_header_has_no_line_breaks() {
        assert_eq!(one_line("Hi\r\nBcc: all@a.test\u{0}", 250), "Hi  Bcc: all@a.test");
        assert_eq!(one_line(&"x".repeat(1000), 250).len(), 250);
    }

    #[test]
    fn a_button_is_readable_on_any_colour() {
        assert_eq!(readable("#ffff00"), ("#ffff00", "#000000"));
        assert_eq!(readable("#101216"), ("#101216", "#ffffff"));
        for bad in ["red;}", "#12345", "#€€", "#gggggg"] {
            assert_eq!(readable(bad), (PRIMARY, "#ffffff"), "{bad}");
        }
    }
}

//! The built-in texts: one layout, and for each kind its words (`data/mail/en.json`).

use std::collections::HashMap;
use std::sync::LazyLock;

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::liquid::{self, Form};
use super::{Kind, render::Text};

const LAYOUT_HTML: &str = include_str!("../../data/mail/layout.html");
const LAYOUT_TEXT: &str = include_str!("../../data/mail/layout.txt");

/// The words of all letters.
#[derive(Deserialize)]
struct Words {
    common: Common,
    letters: HashMap<String, Letter>,
}

#[derive(Deserialize)]
struct Common {
    or_copy: String,
    footer: Vec<String>,
    day: String,
    days: String,
    hour: String,
    hours: String,
    minute: String,
    minutes: String,
}

/// The words of one letter, themselves templates.
#[derive(Deserialize)]
struct Letter {
    subject: String,
    title: String,
    body: Vec<String>,
    button: Option<String>,
    after: Vec<String>,
}

static WORDS: LazyLock<Words> = LazyLock::new(|| {
    serde_json::from_str(include_str!("../../data/mail/en.json")).expect("the built-in texts are tested")
});

/// The built-in letter of a kind, which is no message to a phone.
///
/// # Errors
/// When the variables are too large for any text.
pub(super) fn letter(kind: Kind, variables: &Map<String, Value>) -> Result<Text, liquid::Error> {
    let words = &WORDS.letters[kind.name()];
    let mut all = variables.clone();
    if let Some(seconds) = variables.get("url_lifetime").and_then(Value::as_i64) {
        all.insert("lifetime".into(), lifetime(seconds)?.into());
    }
    let fill = |text: &str| liquid::render(text, Form::Text, &all);
    let fill_all = |texts: &[String]| -> Result<Vec<String>, liquid::Error> {
        let filled = texts.iter().map(|text| fill(text)).collect::<Result<Vec<_>, _>>()?;
        Ok(filled.into_iter().filter(|text| !text.is_empty()).collect())
    };
    let subject = fill(&words.subject)?;
    let body = fill_all(&words.body)?;
    let link = variables.get("url").or_else(|| variables.get("link")).and_then(Value::as_str);
    let button = words.button.as_deref().filter(|_| link.is_some());
    let mut parts = json!({
        "subject": subject,
        "preview": body.first(),
        "title": fill(&words.title)?,
        "body": body,
        "button": button,
        "link": link,
        "or_copy": WORDS.common.or_copy,
        "after": fill_all(&words.after)?,
        "footer": fill_all(&WORDS.common.footer)?,
    });
    for name in ["friendly_name", "picture_url", "primary_color", "on_primary", "code"] {
        parts[name] = variables.get(name).cloned().unwrap_or_default();
    }
    let Value::Object(parts) = parts else { unreachable!("it is written as an object") };
    Ok(Text {
        html: liquid::render(LAYOUT_HTML, Form::Html, &parts)?,
        text: liquid::render(LAYOUT_TEXT, Form::Text, &parts)?,
        subject,
    })
}

/// A number of seconds in words, by its largest unit.
fn lifetime(seconds: i64) -> Result<String, liquid::Error> {
    let common = &WORDS.common;
    let (n, one, many) = match seconds {
        172_800.. => (seconds / 86_400, &common.day, &common.days),
        86_400.. => (1, &common.day, &common.days),
        3_600.. => (seconds / 3_600, &common.hour, &common.hours),
        _ => ((seconds / 60).max(1), &common.minute, &common.minutes),
    };
    let number = Map::from_iter([("n".to_owned(), n.into())]);
    if n == 1 { Ok(one.clone()) } else { liquid::render(many, Form::Text, &number) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_its_words_and_its_secret_in_both_forms() {
        let variables = json!({
            "friendly_name": "Acme & Co", "url": "https://a.test/u?ticket=x&y=1#", "link": "https://a.test/l", "code": "481516",
            "url_lifetime": 432_000, "now": "2026-03-04T05:06:07.000Z", "application": { "name": "Notes <b>" },
            "user": { "email": "ann@example.com", "given_name": "Ann" }, "primary_color": "#111111", "on_primary": "#ffffff",
            "support_email": "help@acme.test"
        });
        let variables = variables.as_object().unwrap();
        for kind in Kind::ALL.iter().filter(|kind| !kind.is_message()) {
            let Text { subject, html, text } = letter(*kind, variables).unwrap();
            assert!(!subject.is_empty() && !subject.contains("{{") && !html.contains("{{"), "{kind:?}");
            assert!(
                html.contains("Acme &amp; Co") && text.contains("Acme & Co") && !html.contains("<b>"),
                "{kind:?}"
            );
            assert!(text.contains("Help: help@acme.test"));
            let words = &WORDS.letters[kind.name()];
            if words.button.is_some() {
                assert!(html.contains("href=\"https://a.test/u?ticket=x&amp;y=1#\""), "{kind:?}");
                assert!(text.contains("\nhttps://a.test/u?ticket=x&y=1#\n"), "{kind:?}: {text}");
            }
            if kind.name().ends_with("_code") {
                assert!(html.contains(">481516</p>") && text.contains("    481516\n"), "{kind:?}");
            }
        }
        let Text { text, .. } = letter(Kind::VerifyEmail, variables).unwrap();
        assert!(text.contains("The link works once, for 5 days."), "{text}");
        let Text { text, .. } = letter(Kind::PasswordChanged, variables).unwrap();
        assert!(text.contains("was changed on March 4, 2026 at 05:06 UTC."), "{text}");
    }

    #[test]
    fn a_lifetime_is_told_by_its_largest_unit() {
        let told = [60, 90, 3_600, 7_300, 86_400, 432_000, 5].map(|seconds| lifetime(seconds).unwrap());
        assert_eq!(told, ["1 minute", "1 minute", "1 hour", "2 hours", "1 day", "5 days", "1 minute"]);
    }
}

//! A browser: it keeps cookies, follows redirects that stay with us, and fills in our forms.

use std::collections::BTreeMap;

use serde_json::Value;

use super::app::PASSWORD;
use super::{Answer, Caller};

/// The code verifier of RFC 7636, Appendix B, and its S256 challenge.
pub const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
pub const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

/// The cookie of a session.
pub const SESSION: &str = "__Host-auth0";

/// Where the apps of the tests get their answers.
pub const CALLBACK: &str = "https://app.test/cb";

/// Somebody at a browser of their own.
#[derive(Clone)]
pub struct Browser {
    caller: Caller,
    pub cookies: BTreeMap<String, String>,
}

impl Browser {
    /// A browser without cookies.
    pub fn new(caller: Caller) -> Self {
        Self { caller, cookies: BTreeMap::new() }
    }

    /// The caller behind it, with its cookies.
    pub fn caller(&self) -> Caller {
        let cookies: Vec<_> = self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        if cookies.is_empty() { self.caller.clone() } else { self.caller.with("cookie", &cookies.join("; ")) }
    }

    /// A link.
    pub async fn get(&mut self, path: &str) -> Answer {
        let answer = self.caller().get(path).await;
        self.keep(answer)
    }

    /// A call with a JSON body by a page of `origin` that sends cookies along.
    pub async fn call(&mut self, origin: &str, path: &str, body: Value) -> Answer {
        let answer = self.caller().with("origin", origin).post(path, body).await;
        self.keep(answer)
    }

    /// A form.
    pub async fn post(&mut self, path: &str, fields: &[(&str, &str)]) -> Answer {
        let answer = self.caller().form(path, fields).await;
        self.keep(answer)
    }

    fn keep(&mut self, answer: Answer) -> Answer {
        for line in answer.headers.get_all("set-cookie") {
            let (cookie, attributes) =
                line.to_str().expect("is text").split_once(';').expect("has attributes");
            let (name, value) = cookie.split_once('=').expect("has a value");
            if attributes.contains("Max-Age=0") {
                self.cookies.remove(name);
            } else {
                self.cookies.insert(name.to_owned(), value.to_owned());
            }
        }
        answer
    }

    /// A link, and every redirect after it that stays here.
    pub async fn open(&mut self, path: &str) -> Answer {
        let answer = self.get(path).await;
        self.follow(answer).await
    }

    async fn follow(&mut self, mut answer: Answer) -> Answer {
        for _ in 0..8 {
            match answer.location() {
                location if location.starts_with('/') => answer = self.get(location).await,
                _ => return answer,
            }
        }
        panic!("redirected too often: {answer:?}");
    }

    /// Fills in the form of the page that `answer` is, and follows where it leads.
    pub async fn submit(&mut self, page: &Answer, typed: &[(&str, &str)]) -> Answer {
        let form = Form::of(page);
        let mut fields: Vec<_> =
            form.fields.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        fields.retain(|(name, _)| !typed.iter().any(|(other, _)| other == name));
        fields.extend(typed);
        let answer = self.post(&form.action, &fields).await;
        self.follow(answer).await
    }

    /// Goes to `path`, signs in where asked to and consents where asked to, and stops at what leaves us.
    pub async fn sign_in(&mut self, path: &str, email: &str) -> Answer {
        let mut answer = self.open(path).await;
        for _ in 0..2 {
            let action = if answer.text.contains("<form") { Form::of(&answer).action } else { String::new() };
            if action.starts_with("/u/login") {
                answer = self.submit(&answer, &[("username", email), ("password", PASSWORD)]).await;
            } else if action.starts_with("/u/consent") {
                answer = self.submit(&answer, &[("action", "accept")]).await;
            }
        }
        answer
    }
}

/// The first form of a page.
#[derive(Debug)]
pub struct Form {
    pub action: String,
    pub fields: Vec<(String, String)>,
}

impl Form {
    /// Reads it as a browser does.
    pub fn of(page: &Answer) -> Self {
        let (_, form) = page.text.split_once("<form").unwrap_or_else(|| panic!("no form: {page:?}"));
        let (form, _) = form.split_once("</form>").expect("the form ends");
        let action = attribute(form, "action").expect("the form leads somewhere");
        let inputs = form.split("<input").skip(1).map(|input| &input[..input.find('>').expect("ends")]);
        let ticked = |input: &&str| {
            attribute(input, "type").as_deref() != Some("checkbox") || input.contains(" checked")
        };
        let fields = inputs.filter(ticked).filter_map(|input| {
            Some((attribute(input, "name")?, attribute(input, "value").unwrap_or_default()))
        });
        Self { action, fields: fields.collect() }
    }

    /// The value of a field; empty when there is none.
    pub fn field(&self, name: &str) -> &str {
        self.fields.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value)
    }
}

/// The decoded value of an attribute of the tag that `text` begins with.
fn attribute(text: &str, name: &str) -> Option<String> {
    let (_, value) = text.split_once(&format!(" {name}=\""))?;
    Some(unescape(value.split_once('"')?.0))
}

/// Replaces character references as HTML has them.
pub fn unescape(text: &str) -> String {
    let mut parts = text.split('&');
    let mut plain = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (name, rest) = part.split_once(';').unwrap_or_else(|| panic!("a bare & in {text}"));
        plain.push(match name {
            "lt" => '<',
            "gt" => '>',
            "amp" => '&',
            "quot" => '"',
            numeric => {
                let code = numeric.strip_prefix('#').and_then(|digits| digits.parse().ok());
                code.and_then(char::from_u32).unwrap_or_else(|| panic!("&{name}; is no reference"))
            }
        });
        plain.push_str(rest);
    }
    plain
}

/// An authorize request.
#[derive(Clone)]
pub struct Authorize(Vec<(String, String)>);

impl Authorize {
    /// One that asks for `response_type`, with `openid` and what else every request has.
    pub fn new(client_id: &str, response_type: &str) -> Self {
        let usual = [
            ("client_id", client_id),
            ("response_type", response_type),
            ("redirect_uri", CALLBACK),
            ("scope", "openid"),
            ("state", "st"),
            ("nonce", "no"),
        ];
        Self(usual.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect())
    }

    /// One for a code, with the challenge of [`VERIFIER`].
    pub fn code(client_id: &str) -> Self {
        Self::new(client_id, "code").with("code_challenge", CHALLENGE).with("code_challenge_method", "S256")
    }

    /// With another value of a parameter.
    pub fn with(&self, name: &str, value: &str) -> Self {
        let mut request = self.without(name);
        request.0.push((name.to_owned(), value.to_owned()));
        request
    }

    /// Without a parameter.
    pub fn without(&self, name: &str) -> Self {
        Self(self.0.iter().filter(|(known, _)| known != name).cloned().collect())
    }

    /// As `application/x-www-form-urlencoded`.
    pub fn encoded(&self) -> String {
        url::form_urlencoded::Serializer::new(String::new()).extend_pairs(&self.0).finish()
    }

    /// As a link.
    pub fn path(&self) -> String {
        format!("/authorize?{}", self.encoded())
    }
}

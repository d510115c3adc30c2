//! The parameters of a request, from its query, a form or a JSON object: text only, each at most once.

use axum::http::{HeaderMap, header};
use model::transactions::Source;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};

/// The parameters of a request, in the order they came. Empty ones count as absent (RFC 6749 §3.1).
#[derive(Clone, Debug, Default)]
pub struct Params {
    pairs: Vec<(String, String)>,
    source: Source,
}

/// Why parameters are refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParamsError {
    /// A parameter came twice (RFC 6749 §3.1).
    #[error("Parameter {0} must not be repeated")]
    Repeated(String),
    /// A parameter of a JSON body is not a string.
    #[error("Parameter {0} must be a string")]
    NotText(String),
    /// Bad percent-encoding, bytes that are not UTF-8, or a NUL.
    #[error("The request holds bytes that are not valid text")]
    Encoding,
    /// More than a sign-in can carry along.
    #[error("The request is too long")]
    TooLong,
    /// More parameters than any request needs.
    #[error("The request holds too many parameters")]
    TooMany,
    /// A body that is neither a form nor a JSON object.
    #[error("The request body is neither a form nor a JSON object")]
    Body,
}

impl Params {
    /// The parameters of `pairs`, which come from one of our own sealed states.
    pub fn from_pairs(pairs: Vec<(String, String)>, source: Source) -> Self {
        Self { pairs, source }
    }

    /// How they came.
    pub fn source(&self) -> Source {
        self.source
    }

    /// The same parameters, which came in this way.
    pub fn sent(self, source: Source) -> Self {
        Self { source, ..self }
    }

    /// Those whose names `keep` says yes to.
    pub fn only(&self, keep: impl Fn(&str) -> bool) -> Self {
        let pairs = self.pairs.iter().filter(|(name, _)| keep(name)).cloned().collect();
        Self { pairs, source: self.source }
    }

    /// The parameters as pairs, to be sealed.
    pub fn into_pairs(self) -> Vec<(String, String)> {
        self.pairs
    }

    /// Parses a query string or a form body.
    pub fn parse_form(text: &str) -> Result<Self, ParamsError> {
        let mut params = Self::default();
        for pair in text.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            params.add(decode(name)?, decode(value)?)?;
        }
        Ok(params)
    }

    /// Parses a body by its content type: a JSON object, else a form (authentication contract §0.1).
    pub fn parse_body(headers: &HeaderMap, body: &[u8]) -> Result<Self, ParamsError> {
        let text = std::str::from_utf8(body).map_err(|_| ParamsError::Encoding)?;
        if !is_json(headers) {
            return Self::parse_form(text);
        }
        Self::parse_json(text)
    }

    /// Parses a JSON object.
    pub fn parse_json(text: &str) -> Result<Self, ParamsError> {
        let object: Object = serde_json::from_str(text).map_err(|_| ParamsError::Body)?;
        let mut params = Self::default();
        for (name, value) in object.0 {
            match value {
                serde_json::Value::Null => {}
                serde_json::Value::String(value) => params.add(name, value)?,
                _ if KNOWN.contains(&name.as_str()) => return Err(ParamsError::NotText(name)),
                _ => {} // Unknown parameters are ignored, whatever they hold.
            }
        }
        Ok(params)
    }

    /// Parses a body as [`Params::parse_body`] does and refuses what that refuses, but keeps values that are no text.
    pub fn parse_object(
        headers: &HeaderMap,
        body: &[u8],
    ) -> Result<serde_json::Map<String, serde_json::Value>, ParamsError> {
        let params = Self::parse_body(headers, body)?;
        match is_json(headers) {
            true => serde_json::from_slice(body).map_err(|_| ParamsError::Body),
            false => Ok(params.pairs.into_iter().map(|(name, value)| (name, value.into())).collect()),
        }
    }

    /// These parameters and those of `other`: together, too, each comes at most once.
    pub fn and(mut self, other: Self) -> Result<Self, ParamsError> {
        for (name, value) in other.pairs {
            self.add(name, value)?;
        }
        Ok(self)
    }

    /// Adds a parameter; one that means something here comes at most once.
    pub fn add(&mut self, name: String, value: String) -> Result<(), ParamsError> {
        if self.pairs.len() == MOST {
            return Err(ParamsError::TooMany);
        }
        if name.contains('\0') || value.contains('\0') {
            return Err(ParamsError::Encoding);
        }
        let base = name.strip_suffix("[]").unwrap_or(&name);
        if base != name && KNOWN.contains(&base) {
            return Err(ParamsError::NotText(base.to_owned()));
        }
        if self.pairs.iter().any(|(known, _)| *known == name) {
            return if KNOWN.contains(&name.as_str()) { Err(ParamsError::Repeated(name)) } else { Ok(()) };
        }
        self.pairs.push((name, value));
        Ok(())
    }

    /// How many bytes names and values take together.
    pub fn length(&self) -> usize {
        self.pairs.iter().map(|(name, value)| name.len() + value.len()).sum()
    }

    /// The value of `name`; `None` when it is absent or empty.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.raw(name).filter(|value| !value.is_empty())
    }

    /// The value of `name`, which may be empty.
    pub fn raw(&self, name: &str) -> Option<&str> {
        self.pairs.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// Whether `name` was sent, be it empty.
    pub fn has(&self, name: &str) -> bool {
        self.raw(name).is_some()
    }
}

/// Whether the body says that it is JSON.
pub fn is_json(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    kind.trim_start().to_ascii_lowercase().starts_with("application/json")
}

/// How many parameters a request may have.
const MOST: usize = 100;

/// The parameters that mean something here: these may not be repeated, and must be text.
const KNOWN: &[&str] = &[
    "access_token",
    "acr_values",
    "audience",
    "auth_req_id",
    "authenticator_id",
    "authorization_details",
    "binding_code",
    "binding_message",
    "challenge_type",
    "claims",
    "client_assertion",
    "client_assertion_type",
    "client_id",
    "client_secret",
    "code",
    "code_challenge",
    "code_challenge_method",
    "code_verifier",
    "connection",
    "device_code",
    "dpop_jkt",
    "federated",
    "grant_type",
    "id_token_hint",
    "login_hint",
    "login_ticket",
    "logout_hint",
    "max_age",
    "mfa_token",
    "nonce",
    "oob_channel",
    "oob_code",
    "organization",
    "otp",
    "password",
    "post_logout_redirect_uri",
    "prompt",
    "realm",
    "recovery_code",
    "redirect_uri",
    "refresh_token",
    "request",
    "request_uri",
    "requested_expiry",
    "requested_token_type",
    "response_mode",
    "response_type",
    "returnTo",
    "scope",
    "screen_hint",
    "state",
    "subject_token",
    "subject_token_type",
    "token",
    "ui_locales",
    "user_code",
    "username",
    "web_message_target",
    "web_message_uri",
    "_csrf",
    "action",
    "actor_token",
    "actor_token_type",
    "email",
];

/// Whether a parameter of this name means something here.
pub fn is_known(name: &str) -> bool {
    KNOWN.contains(&name)
}

/// Decodes a form value strictly: `+` is a blank, every `%` begins two hexadecimal digits, the bytes are UTF-8.
pub fn decode(text: &str) -> Result<String, ParamsError> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let mut digit = || rest.next().and_then(|byte| char::from(byte).to_digit(16));
                let (high, low) =
                    (digit().ok_or(ParamsError::Encoding)?, digit().ok_or(ParamsError::Encoding)?);
                u8::try_from(high * 16 + low).map_err(|_| ParamsError::Encoding)?
            }
            byte => byte,
        });
    }
    String::from_utf8(bytes).map_err(|_| ParamsError::Encoding)
}

/// A JSON object as its pairs, repeated keys included.
struct Object(Vec<(String, serde_json::Value)>);

impl<'de> Deserialize<'de> for Object {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Pairs;
        impl<'de> Visitor<'de> for Pairs {
            type Value = Object;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Object, A::Error> {
                let mut pairs = Vec::new();
                while let Some(pair) = map.next_entry()? {
                    pairs.push(pair);
                }
                Ok(Object(pairs))
            }
        }
        deserializer.deserialize_map(Pairs)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;

    fn json(body: &str) -> Result<Params, ParamsError> {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json; charset=utf-8"));
        Params::parse_body(&headers, body.as_bytes())
    }

    #[test]
    fn a_parameter_comes_once() {
        let repeated = Err(ParamsError::Repeated("state".into()));
        assert_eq!(Params::parse_form("state=a&state=b").map(drop), repeated);
        let (query, body) = (Params::parse_form("state=a").unwrap(), Params::parse_form("state=a").unwrap());
        assert_eq!(query.and(body).map(drop), repeated);
        assert_eq!(json(r#"{"state":"a","state":"b"}"#).map(drop), repeated);
        assert!(Params::parse_form("other=a&other=b").is_ok());
    }

    #[test]
    fn the_number_of_parameters_is_bounded() {
        let named = |count: usize| (0..count).map(|name| format!("p{name}=")).collect::<Vec<_>>().join("&");
        assert!(Params::parse_form(&named(100)).is_ok());
        assert_eq!(Params::parse_form(&named(101)).map(drop), Err(ParamsError::TooMany));
        let json_of = |count: usize| {
            serde_json::json!(
                (0..count).map(|n| (format!("p{n}"), "v")).collect::<std::collections::BTreeMap<_, _>>()
            )
        };
        assert_eq!(json(&json_of(101).to_string()).map(drop), Err(ParamsError::TooMany));
    }

    #[test]
    fn values_are_text() {
        let not_text = Err(ParamsError::NotText("code".into()));
        for body in [r#"{"code":1}"#, r#"{"code":["a"]}"#, r#"{"code":{"a":1}}"#, r#"{"code":true}"#] {
            assert_eq!(json(body).map(drop), not_text, "{body}");
        }
        assert_eq!(Params::parse_form("code[]=a").map(drop), not_text);
        assert!(json(r#"{"other":[1]}"#).is_ok());
        for body in ["[]", "\"a\"", "{", "1"] {
            assert_eq!(json(body).map(drop), Err(ParamsError::Body), "{body}");
        }
    }

    #[test]
    fn encoding_is_strict() {
        assert_eq!(decode("a+b%20c%7C").as_deref(), Ok("a b c|"));
        for bad in ["%", "%z", "%zz", "%4", "%ff", "%c3%28"] {
            assert_eq!(decode(bad), Err(ParamsError::Encoding), "{bad}");
        }
        assert_eq!(Params::parse_form("state=%00").map(drop), Err(ParamsError::Encoding));
    }

    #[test]
    fn an_empty_value_is_absent_but_was_sent() {
        let params = Params::parse_form("federated&state=").unwrap();
        assert_eq!(
            (params.get("federated"), params.has("federated"), params.get("state")),
            (None, true, None)
        );
    }
}

//! The claims that a request names one by one: the `claims` parameter (OpenID Connect Core §5.5).

use db::Value;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json};

use crate::document;
use crate::users::User;

/// The most claims that are looked at for one place.
const MOST: usize = 100;

/// What a request names, by where it is to be told.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct RequestedClaims {
    /// At `/userinfo`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub userinfo: Vec<RequestedClaim>,
    /// In the ID token.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub id_token: Vec<RequestedClaim>,
}

/// A claim that is asked for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RequestedClaim {
    /// Its name.
    pub name: String,
    /// Whether the client says that it cannot do without. No error comes of that but for `acr` (§5.5.1.1).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub essential: bool,
    /// The values of which it must have one; any where there is none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub values: Vec<Json>,
}

impl RequestedClaim {
    /// One whose value does not matter.
    pub fn any(name: &str) -> Self {
        Self { name: name.to_owned(), essential: false, values: Vec::new() }
    }

    fn takes(&self, value: &Json) -> bool {
        self.values.is_empty() || self.values.contains(value)
    }
}

/// A `claims` parameter that is none, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("claims must be a JSON object as OpenID Connect Core section 5.5 has it")]
pub struct Malformed;

impl RequestedClaims {
    /// Reads the parameter. Members that the specification does not know are ignored (§5.5).
    ///
    /// # Errors
    /// When it is no object, or a claim's request is none.
    pub fn parse(text: &str) -> Result<Self, Malformed> {
        let Ok(Json::Object(members)) = serde_json::from_str(text) else { return Err(Malformed) };
        let of = |name: &str| match members.get(name) {
            None | Some(Json::Null) => Ok(Vec::new()),
            Some(Json::Object(claims)) => {
                claims.iter().take(MOST).map(|(name, request)| requested(name, request)).collect()
            }
            Some(_) => Err(Malformed),
        };
        Ok(Self { userinfo: of("userinfo")?, id_token: of("id_token")? })
    }

    /// Whether nothing is named.
    pub fn is_empty(&self) -> bool {
        self.userinfo.is_empty() && self.id_token.is_empty()
    }

    /// The scopes that would have told the same: a user who is asked for consent is asked for these too.
    pub fn scopes(&self) -> impl Iterator<Item = &'static str> {
        self.userinfo.iter().chain(&self.id_token).filter_map(|claim| scope_of(&claim.name))
    }

    /// As a column holds it.
    pub(crate) fn to_column(claims: Option<&Self>) -> Value {
        match claims.filter(|claims| !claims.is_empty()) {
            Some(claims) => document::column(claims, &[]),
            None => Value::from(None::<Map<String, Json>>),
        }
    }

    /// From such a column.
    pub(crate) fn from_column(column: Option<Map<String, Json>>) -> Result<Option<Self>, db::Error> {
        column.map(document::parse).transpose()
    }
}

fn requested(name: &str, request: &Json) -> Result<RequestedClaim, Malformed> {
    if name.contains('\0') || name.len() > 255 {
        return Err(Malformed);
    }
    let request = match request {
        Json::Null => return Ok(RequestedClaim::any(name)),
        Json::Object(request) => request,
        _ => return Err(Malformed),
    };
    let essential = match request.get("essential") {
        None => false,
        Some(essential) => essential.as_bool().ok_or(Malformed)?,
    };
    let values = match (request.get("value"), request.get("values")) {
        (Some(value), _) => vec![value.clone()],
        (None, Some(values)) => values.as_array().ok_or(Malformed)?.clone(),
        (None, None) => Vec::new(),
    };
    if !values.iter().all(|value| document::is_shallow(value, document::DEEPEST)) {
        return Err(Malformed);
    }
    Ok(RequestedClaim { name: name.to_owned(), essential, values })
}

/// The scope that tells a claim (§5.4); `None` for what is the protocol's own, or unknown.
fn scope_of(claim: &str) -> Option<&'static str> {
    Some(match claim {
        "name" | "given_name" | "family_name" | "middle_name" | "nickname" | "preferred_username"
        | "profile" | "picture" | "website" | "gender" | "birthdate" | "zoneinfo" | "locale"
        | "updated_at" => "profile",
        "email" | "email_verified" => "email",
        "phone_number" | "phone_number_verified" => "phone",
        "address" => "address",
        _ => return None,
    })
}

impl User {
    /// Those of the standard claims that are asked for and that there are; one with another value than was asked for is not told.
    pub fn requested_claims(&self, asked: &[RequestedClaim]) -> Map<String, Json> {
        let mut all = self.claims(|scope| ["profile", "email", "phone", "address"].contains(&scope));
        let mut told = Map::new();
        for claim in asked {
            if let Some(value) = all.shift_remove(&claim.name).filter(|value| claim.takes(value)) {
                told.insert(claim.name.clone(), value);
            }
        }
        told
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::users::fixture::chuck;

    #[test]
    fn a_request_names_claims_with_or_without_values() {
        let text = r#"{"userinfo":{"email":null,"name":{"essential":true}},
            "id_token":{"acr":{"values":["a","b"]},"sub":{"value":"x"}},"other":7}"#;
        let claims = RequestedClaims::parse(text).unwrap();
        let claim = |name: &str, essential, values: &[&str]| RequestedClaim {
            name: name.into(),
            essential,
            values: values.iter().map(|value| json!(value)).collect(),
        };
        assert_eq!(claims.userinfo, [claim("email", false, &[]), claim("name", true, &[])]);
        assert_eq!(claims.id_token, [claim("acr", false, &["a", "b"]), claim("sub", false, &["x"])]);
        assert_eq!(claims.scopes().collect::<Vec<_>>(), ["email", "profile"]);
        let stored: RequestedClaims = document::parse(document::object(&claims)).unwrap();
        assert_eq!(stored, claims);
        assert!(RequestedClaims::parse("{}").unwrap().is_empty());
    }

    #[test]
    fn what_is_no_request_is_refused() {
        for text in [
            "",
            "x",
            "[]",
            "\"a\"",
            r#"{"userinfo":[]}"#,
            r#"{"id_token":"a"}"#,
            r#"{"userinfo":{"a":true}}"#,
            r#"{"userinfo":{"a":{"essential":"yes"}}}"#,
            r#"{"userinfo":{"a":{"values":"b"}}}"#,
            r#"{"userinfo":{"a\u0000":null}}"#,
        ] {
            assert_eq!(RequestedClaims::parse(text), Err(Malformed), "{text}");
        }
    }

    #[test]
    fn a_claim_is_told_where_it_is_there_and_has_the_value() {
        let user = chuck();
        let told = |text: &str| {
            let claims = RequestedClaims::parse(&format!(r#"{{"userinfo":{text}}}"#)).unwrap();
            Json::Object(user.requested_claims(&claims.userinfo))
        };
        assert_eq!(
            told(r#"{"email":null,"website":{"essential":true}}"#),
            json!({ "email": "chuck878@example.com" })
        );
        assert_eq!(told(r#"{"email":{"value":"other@example.com"}}"#), json!({}));
        let one = r#"{"email":{"values":["other@example.com","chuck878@example.com"]}}"#;
        assert_eq!(told(one), json!({ "email": "chuck878@example.com" }));
        for never in ["identities", "created_at", "sub", "iss", "app_metadata", "password"] {
            assert_eq!(told(&format!(r#"{{"{never}":null}}"#)), json!({}), "{never}");
        }
    }
}

//! Parameters of the path. They are percent-decoded once, after routing: `%2F` inside an id is a slash of the id, and an
//! id may come as `auth0|x`, `auth0%7Cx` or `auth0%7cx` (management contract §1.2). Ids compare byte by byte.

use std::net::IpAddr;

use axum::RequestPartsExt;
use axum::extract::{FromRequestParts, RawPathParams};
use axum::http::request::Parts;
use model::{ClientId, UserId};

use crate::errors::Error;

/// No id is longer.
const LONGEST: usize = 1024;

/// The parameters of the path, in order.
#[derive(Clone, Copy, Debug)]
pub struct Path<T>(pub T);

/// A parameter that knows its syntax.
pub trait Parameter: Sized {
    /// Reads the decoded `value` of the parameter `name`.
    ///
    /// # Errors
    /// 400 `invalid_uri`.
    fn read(name: &str, value: &str) -> Result<Self, Error>;
}

impl Parameter for UserId {
    fn read(name: &str, value: &str) -> Result<Self, Error> {
        user_id(name, value)
    }
}

impl Parameter for ClientId {
    fn read(name: &str, value: &str) -> Result<Self, Error> {
        text("client-id", name, value).map(Self::from)
    }
}

impl Parameter for String {
    fn read(name: &str, value: &str) -> Result<Self, Error> {
        text("id", name, value).map(Self::from)
    }
}

impl Parameter for IpAddr {
    fn read(name: &str, value: &str) -> Result<Self, Error> {
        let shown: String = value.chars().take(255).collect();
        let refused = |format: &str| {
            format!("Path validation error: 'Object didn't pass validation for format {format}: {shown}'.")
        };
        value.parse().map_err(|_| {
            Error::InvalidUri(format!(
                "Path validation error: 'None of the valid schemas were met' on property {name}. \
                 Inner errors: [ {} (also) {} ].",
                refused("ipv4"),
                refused("ipv6")
            ))
        })
    }
}

/// A user's id: `{provider}|{rest}`, where the rest may hold further bars.
///
/// # Errors
/// 400 `invalid_uri`.
pub fn user_id(name: &str, value: &str) -> Result<UserId, Error> {
    match text("user-id", name, value)?.split_once('|') {
        Some((provider, rest)) if !provider.is_empty() && !rest.is_empty() => Ok(UserId::from(value)),
        _ => Err(malformed("user-id", name, value)),
    }
}

/// Any parameter: bounded, and without a NUL, which no database takes.
fn text<'a>(format: &str, name: &str, value: &'a str) -> Result<&'a str, Error> {
    if value.is_empty() || value.len() > LONGEST || value.contains('\0') {
        return Err(malformed(format, name, value));
    }
    Ok(value)
}

fn malformed(format: &str, name: &str, value: &str) -> Error {
    let shown: String = value.chars().take(255).collect();
    Error::InvalidUri(format!(
        "Path validation error: 'Object didn't pass validation for format {format}: {shown}' on property {name}."
    ))
}

/// A parameter that is none of those that there are.
pub fn no_match(name: &str, value: &str) -> Error {
    let shown: String = value.chars().take(255).collect();
    Error::InvalidUri(format!("Path validation error: 'No enum match for: {shown}' on property {name}."))
}

impl<T: Parameter, S: Send + Sync> FromRequestParts<S> for Path<T> {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Error> {
        let params = decoded(parts).await?;
        match params.as_slice() {
            [(name, value)] => T::read(name, value).map(Self),
            _ => Err(Error::Internal),
        }
    }
}

impl<A: Parameter, B: Parameter, S: Send + Sync> FromRequestParts<S> for Path<(A, B)> {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Error> {
        let params = decoded(parts).await?;
        match params.as_slice() {
            [(a, first), (b, second)] => Ok(Self((A::read(a, first)?, B::read(b, second)?))),
            _ => Err(Error::Internal),
        }
    }
}

impl<A: Parameter, B: Parameter, C: Parameter, S: Send + Sync> FromRequestParts<S> for Path<(A, B, C)> {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Error> {
        let params = decoded(parts).await?;
        match params.as_slice() {
            [(a, first), (b, second), (c, third)] => {
                Ok(Self((A::read(a, first)?, B::read(b, second)?, C::read(c, third)?)))
            }
            _ => Err(Error::Internal),
        }
    }
}

/// The names and decoded values of the path's parameters.
///
/// # Errors
/// 400 `invalid_uri` when one is not UTF-8.
pub async fn decoded(parts: &mut Parts) -> Result<Vec<(String, String)>, Error> {
    let params = parts.extract::<RawPathParams>().await.map_err(|_| {
        Error::InvalidUri("Path validation error: 'Parameters are percent-encoded UTF-8'.".into())
    })?;
    Ok(params.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_id_has_a_provider_and_a_rest() {
        for good in ["auth0|x", "samlp|conn-name|jane", "waad|a@b/c", "email|5f"] {
            assert_eq!(user_id("id", good).unwrap().as_str(), good);
        }
        for bad in ["6560cd0f6caaac5b4692f454", "", "|x", "auth0|", "auth0|\0", "auth0%7Cx", "auth0\u{ff5c}x"]
        {
            assert!(user_id("id", bad).is_err(), "{bad}");
        }
        assert!(user_id("id", &format!("auth0|{}", "x".repeat(2000))).is_err());
    }

    #[test]
    fn a_parameter_is_as_long_as_it_may_be_and_no_longer() {
        assert!(text("string", "id", &"x".repeat(LONGEST)).is_ok());
        assert!(text("string", "id", &"x".repeat(LONGEST + 1)).is_err());
    }

    #[test]
    fn a_bad_id_is_quoted_in_the_published_words() {
        assert_eq!(
            user_id("id", "6560cd0f6caaac5b4692f454").unwrap_err().to_string(),
            "Path validation error: 'Object didn't pass validation for format user-id: 6560cd0f6caaac5b4692f454' on property id."
        );
    }
}

//! Compact tokens: from text to claims that can be trusted.

use std::borrow::Borrow;

use serde_json::{Map, Value};

use super::{Algorithm, VerifyingKey, strict};
use crate::clock::Timestamp;

/// The longest token looked at, in bytes; a longer one is invalid.
const LONGEST: usize = 64 * 1024;

/// How far another clock may be ahead, in seconds: for `iat` and `nbf`. An expiry has no such grace.
const LEEWAY: i64 = 60;

/// The last second of the year 9999: later moments are mistakes.
const LAST_SECOND: i64 = 253_402_300_799;

/// Header members that bring a key, a place to fetch one, a changed meaning, or encryption: a token with any of them
/// is refused before it costs anything (RFC 8725 §3.10, RFC 7797, RFC 7516).
const REFUSED_MEMBERS: [&str; 15] =
    ["jwk", "jku", "x5u", "x5c", "crit", "b64", "zip", "enc", "epk", "apu", "apv", "iv", "tag", "p2s", "p2c"];

/// Names of header members with which a token is refused.
pub(super) fn refused_members() -> impl Iterator<Item = &'static str> {
    REFUSED_MEMBERS.into_iter()
}

/// Claims that are strings wherever they occur.
const TEXTS: [&str; 11] =
    ["iss", "sub", "jti", "azp", "client_id", "scope", "nonce", "sid", "gty", "org_id", "org_name"];

/// Claims that are whole seconds since the epoch wherever they occur. RFC 7519 §2 would allow fractions; nobody needs them.
const MOMENTS: [&str; 4] = ["exp", "iat", "nbf", "auth_time"];

/// Claims without which a token is not accepted.
const REQUIRED: [&str; 4] = ["iss", "sub", "aud", "exp"];

/// Claims that say from whom, about whom and for whom a token is.
const ADDRESS: [&str; 3] = ["iss", "sub", "aud"];

/// Why a token is not accepted. The variants are the answers a client can tell apart (management contract §2.2).
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// It has not three parts, and so is no JWS in compact form: perhaps an opaque token.
    #[error("not a JSON Web Token")]
    Malformed,
    /// The signature is not that of the key it names.
    #[error("invalid signature")]
    Signature,
    /// All is well with it but for its age.
    #[error("expired token")]
    Expired,
    /// Anything else: encoding, header, unknown or revoked key, claims.
    #[error("invalid token")]
    Invalid,
    /// The keys could not be read; this says nothing of the token.
    #[error(transparent)]
    Failed(#[from] db::Error),
}

/// The protected header of a verified token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// The algorithm, which is the key's.
    pub alg: Algorithm,
    /// The id of the key.
    pub kid: Option<String>,
    /// The type, for example `JWT` or `at+jwt`.
    pub typ: Option<String>,
}

/// A token whose signature, times and types are right. Issuer, audience and meaning are for the caller to check.
#[derive(Clone, Debug)]
pub struct Verified {
    /// The protected header.
    pub header: Header,
    /// The claims, in the token's order; registered ones have their registered types.
    pub claims: Map<String, Value>,
}

impl Verified {
    /// The claim `name`, if it is there and a string.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.claims.get(name).and_then(Value::as_str)
    }

    /// The claim `name`, if it is there and an integer: for the times, seconds since the epoch.
    pub fn integer(&self, name: &str) -> Option<i64> {
        self.claims.get(name).and_then(Value::as_i64)
    }

    /// The thumbprint of the key that it is bound to, if it is bound (RFC 9449 §6.1).
    ///
    /// # Errors
    /// When it is bound in another way, which nobody here can check.
    #[expect(clippy::result_unit_err, reason = "there is nothing more to say")]
    pub fn bound_to(&self) -> Result<Option<&str>, ()> {
        match self.claims.get("cnf") {
            None => Ok(None),
            Some(confirmation) => confirmation.get("jkt").and_then(Value::as_str).map(Some).ok_or(()),
        }
    }

    /// The thumbprint of the certificate that it is bound to (RFC 8705 §3.1).
    pub fn bound_to_certificate(&self) -> Option<&str> {
        self.claims.get("cnf")?.get("x5t#S256")?.as_str()
    }

    /// The issuer.
    pub fn issuer(&self) -> &str {
        self.text("iss").unwrap_or_default()
    }

    /// The subject.
    pub fn subject(&self) -> &str {
        self.text("sub").unwrap_or_default()
    }

    /// Whether `audience` is the audience or one of them.
    pub fn is_for(&self, audience: &str) -> bool {
        match self.claims.get("aud") {
            Some(Value::String(one)) => one == audience,
            Some(Value::Array(several)) => several.iter().any(|one| one == audience),
            _ => false,
        }
    }

    /// RFC 7519 §4.1.4–4.1.6.
    pub(crate) fn check_times(&self, now: Timestamp) -> Result<(), VerifyError> {
        let now = now.seconds();
        let expires = self.integer("exp").ok_or(VerifyError::Invalid)?;
        let begins = self.integer("nbf").max(self.integer("iat"));
        if begins.is_some_and(|begins| begins > now + LEEWAY) {
            return Err(VerifyError::Invalid);
        }
        if expires <= now { Err(VerifyError::Expired) } else { Ok(()) }
    }
}

/// Verifies a token against `keys`: the one whose id the token carries, with that key's algorithm and no other.
///
/// Work is bounded by the token's length, and nothing is fetched. `iss`, `sub`, `aud` and `exp` must be there;
/// registered claims must have their types (a wrong type is a failure, not an absence); `exp` must lie ahead, `nbf`
/// and `iat` not more than a minute.
///
/// # Errors
/// `Malformed`, `Invalid`, `Signature` or `Expired`, in this order: an expired token is otherwise good.
pub fn verify_jwt<K: Borrow<VerifyingKey>>(
    token: &str,
    keys: &[K],
    now: Timestamp,
) -> Result<Verified, VerifyError> {
    let verified = verify_claims(token, keys)?;
    verified.check_times(now)?;
    Ok(verified)
}

/// As [`verify_jwt`], but a token that is only expired is accepted: for hints, which give no right (OIDC Core §3.1.2.1).
///
/// # Errors
/// `Malformed`, `Invalid` or `Signature`.
pub fn verify_jwt_of_any_age<K: Borrow<VerifyingKey>>(
    token: &str,
    keys: &[K],
    now: Timestamp,
) -> Result<Verified, VerifyError> {
    let verified = verify_claims(token, keys)?;
    match verified.check_times(now) {
        Ok(()) | Err(VerifyError::Expired) => Ok(verified),
        Err(error) => Err(error),
    }
}

/// As [`verify_jwt`], but `iss`, `sub` and `aud` may be missing or of any type: for a caller that has an answer of its own to each.
///
/// # Errors
/// As [`verify_jwt`].
pub fn verify_jwt_unaddressed<K: Borrow<VerifyingKey>>(
    token: &str,
    keys: &[K],
    now: Timestamp,
) -> Result<Verified, VerifyError> {
    let (header, payload) = verify_jws(token, keys)?;
    let claims = strict::object(&payload).ok_or(VerifyError::Invalid)?;
    let mut others = claims.clone();
    others.extend(ADDRESS.map(|name| (name.to_owned(), Value::from("any"))));
    check_types(&others)?;
    let verified = Verified { header, claims };
    verified.check_times(now)?;
    Ok(verified)
}

/// As [`verify_jwt`], for a token that a client signed with one of its `keys`: it need not name its key, and then any of them will
/// do; one that names a key is verified by that alone. Any `iss`, `sub`, `aud` and `exp` that are there have their types; which must
/// be there, and the times, are for the caller to say.
///
/// # Errors
/// `Malformed`, `Invalid` or `Signature`.
pub fn verify_jwt_of_client<K: Borrow<VerifyingKey>>(
    token: &str,
    keys: &[K],
) -> Result<Verified, VerifyError> {
    let parts = Parts::of(token)?;
    let named = parts.header.kid.as_deref();
    let fits =
        |key: &&VerifyingKey| key.algorithm() == parts.header.alg && (named.is_none() || key.kid() == named);
    let mut candidates = keys.iter().map(Borrow::borrow).filter(fits).peekable();
    if candidates.peek().is_none() {
        return Err(VerifyError::Invalid);
    }
    if !candidates.any(|key| parts.verified_by(key)) {
        return Err(VerifyError::Signature);
    }
    let claims = strict::object(&parts.payload).ok_or(VerifyError::Invalid)?;
    check_given_types(&claims)?;
    Ok(Verified { header: parts.header, claims })
}

/// The claims that a token makes, unproven: only to find out whose keys would prove it.
pub fn named_claims(token: &str) -> Option<Map<String, Value>> {
    let payload = token.split('.').nth(1).filter(|_| token.len() <= LONGEST)?;
    strict::object(&strict::base64url(payload)?)
}

/// The algorithm that a token's header names; `None` where there is no such header. Nothing is proven by it: it only tells why a
/// token was refused.
pub fn named_algorithm(token: &str) -> Option<String> {
    let (header, _) = token.split_once('.').filter(|_| token.len() <= LONGEST)?;
    let members = strict::object(&strict::base64url(header)?)?;
    members.get("alg")?.as_str().map(str::to_owned)
}

fn verify_claims<K: Borrow<VerifyingKey>>(token: &str, keys: &[K]) -> Result<Verified, VerifyError> {
    let (header, payload) = verify_jws(token, keys)?;
    let claims = strict::object(&payload).ok_or(VerifyError::Invalid)?;
    check_types(&claims)?;
    Ok(Verified { header, claims })
}

/// RFC 7515 §5.2 for the compact form: the header and the signed payload.
pub(super) fn verify_jws<K: Borrow<VerifyingKey>>(
    token: &str,
    keys: &[K],
) -> Result<(Header, Vec<u8>), VerifyError> {
    let parts = Parts::of(token)?;
    let key = keys
        .iter()
        .map(Borrow::borrow)
        .find(|key| key.kid() == parts.header.kid.as_deref() && key.algorithm() == parts.header.alg)
        .ok_or(VerifyError::Invalid)?;
    if !parts.verified_by(key) {
        return Err(VerifyError::Signature);
    }
    Ok((parts.header, parts.payload))
}

/// The three parts of a token, decoded.
pub(super) struct Parts<'a> {
    signed: &'a str,
    pub header: Header,
    pub payload: Vec<u8>,
    signature: Vec<u8>,
}

impl<'a> Parts<'a> {
    fn of(token: &'a str) -> Result<Self, VerifyError> {
        let mut parts = token.split('.');
        let (Some(header), Some(payload), Some(signature), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(VerifyError::Malformed);
        };
        if token.len() > LONGEST {
            return Err(VerifyError::Invalid);
        }
        let read = read_header(header).ok_or(VerifyError::Invalid)?;
        let signed = &token[..header.len() + 1 + payload.len()];
        Self::decoded(signed, read, payload, signature).ok_or(VerifyError::Invalid)
    }

    /// The parts of a token whose header was read already.
    pub fn with(token: &'a str, header: Header) -> Option<Self> {
        let mut parts = token.split('.');
        let (Some(first), Some(payload), Some(signature), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return None;
        };
        Self::decoded(&token[..first.len() + 1 + payload.len()], header, payload, signature)
    }

    fn decoded(signed: &'a str, header: Header, payload: &str, signature: &str) -> Option<Self> {
        Some(Self {
            signed,
            header,
            payload: strict::base64url(payload)?,
            signature: strict::base64url(signature)?,
        })
    }

    /// Whether they are signed by this key.
    pub fn verified_by(&self, key: &VerifyingKey) -> bool {
        key.verifies(self.signed.as_bytes(), &self.signature)
    }
}

/// The header, if it is one that we understand wholly. Members that we do not know and that change nothing are
/// ignored (RFC 7515 §4).
fn read_header(encoded: &str) -> Option<Header> {
    let members = strict::object(&strict::base64url(encoded)?)?;
    if REFUSED_MEMBERS.iter().any(|name| members.contains_key(*name)) {
        return None;
    }
    let text = |name: &str| match members.get(name) {
        None => Some(None),
        Some(Value::String(value)) => Some(Some(value.clone())),
        Some(_) => None,
    };
    Some(Header { alg: Algorithm::from_name(&text("alg")??)?, kid: text("kid")?, typ: text("typ")? })
}

/// RFC 7519 §4.1: the registered claims have their types, and the required ones are there.
fn check_types(claims: &Map<String, Value>) -> Result<(), VerifyError> {
    let all_there = REQUIRED.iter().all(|name| claims.contains_key(*name));
    if all_there { check_given_types(claims) } else { Err(VerifyError::Invalid) }
}

/// RFC 7519 §4.1: the registered claims that are there have their types.
pub(super) fn check_given_types(claims: &Map<String, Value>) -> Result<(), VerifyError> {
    let texts = TEXTS.iter().filter_map(|name| claims.get(*name)).all(Value::is_string);
    let moments = MOMENTS
        .iter()
        .filter_map(|name| claims.get(*name))
        .all(|value| value.as_i64().is_some_and(|second| (0..=LAST_SECOND).contains(&second)));
    let audience = match claims.get("aud") {
        Some(Value::Array(several)) => !several.is_empty() && several.iter().all(Value::is_string),
        Some(other) => other.is_string(),
        None => true,
    };
    if texts && moments && audience { Ok(()) } else { Err(VerifyError::Invalid) }
}

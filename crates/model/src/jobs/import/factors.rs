//! `mfa_factors` of a row: second factors that its user has already, in the published format.

use serde_json::{Map, Value};

use super::row::RowError;
use crate::app::Model;
use crate::factors::{Factor, Kind, totp};
use crate::ids::{TenantId, UserId};
use crate::users;

/// The most of a row.
const MOST: usize = 10;

/// A factor that a row brings.
#[derive(Clone, PartialEq, Eq)]
pub(super) enum Imported {
    /// The seed of an authenticator app.
    Totp(Vec<u8>),
    /// The address that gets codes.
    Email(String),
    /// The number that gets codes.
    Phone(String),
}

impl std::fmt::Debug for Imported {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.kind().as_str())
    }
}

impl Imported {
    fn kind(&self) -> Kind {
        match self {
            Self::Totp(_) => Kind::Totp,
            Self::Email(_) => Kind::Email,
            Self::Phone(_) => Kind::Phone,
        }
    }

    /// The factor, confirmed: whoever exported it says so.
    pub(super) fn factor(&self, app: &Model, tenant: &TenantId, user: &UserId) -> Factor {
        let mut factor = Factor::confirmed(app, user, self.kind());
        match self {
            Self::Totp(seed) => factor.with_seed(app, tenant, seed),
            Self::Email(address) => factor.with_address(address),
            Self::Phone(number) => {
                factor.preferred = Some("sms".to_owned());
                factor.with_address(number)
            }
        }
    }
}

/// Reads the factors of a row. A refusal says where, and nothing of a seed.
pub(super) fn read(factors: &Value) -> Result<Vec<Imported>, RowError> {
    let Value::Array(items) = factors else {
        return Err(wrong("INVALID_TYPE", "Expected type array", "mfa_factors"));
    };
    if items.is_empty() || items.len() > MOST {
        let told = format!("Array has {} items, of 1 to {MOST}", items.len());
        return Err(wrong("NOT_PASSED", &told, "mfa_factors"));
    }
    let mut read: Vec<Imported> = Vec::with_capacity(items.len());
    for (place, item) in items.iter().enumerate() {
        let factor = one(item, &format!("mfa_factors.{place}"))?;
        let is_there = |other: &Imported| match (other, &factor) {
            // An authenticator app there is once.
            (Imported::Totp(_), Imported::Totp(_)) => true,
            (other, factor) => other == factor,
        };
        if read.iter().any(is_there) {
            let path = format!("mfa_factors.{place}");
            return Err(wrong("MFA_FACTORS_FAILED", "The factor is there twice", &path));
        }
        read.push(factor);
    }
    Ok(read)
}

fn one(item: &Value, path: &str) -> Result<Imported, RowError> {
    let Some(item) = item.as_object() else {
        return Err(wrong("INVALID_TYPE", "Expected type object", path));
    };
    let mut entries = item.iter();
    let (Some((name, value)), None) = (entries.next(), entries.next()) else {
        return Err(wrong("NOT_PASSED", &format!("Object has {} properties, not 1", item.len()), path));
    };
    match name.as_str() {
        "totp" => {
            let path = format!("{path}.totp");
            let secret = only(value, "secret", &path)?;
            let plain =
                !secret.is_empty() && secret.bytes().all(|byte| matches!(byte, b'A'..=b'Z' | b'2'..=b'7'));
            let seed = totp::decode_imported(secret).filter(|_| plain);
            seed.map(Imported::Totp).ok_or_else(|| {
                wrong(
                    "PATTERN",
                    "String is no secret of 16 to 103 characters ^[A-Z2-7]+$",
                    &format!("{path}.secret"),
                )
            })
        }
        "email" => {
            let path = format!("{path}.email");
            let address = only(value, "value", &path)?;
            match users::is_email(address) {
                true => Ok(Imported::Email(address.to_lowercase())),
                false => Err(wrong(
                    "FORMAT",
                    "Object didn't pass validation for format email",
                    &format!("{path}.value"),
                )),
            }
        }
        "phone" => {
            let path = format!("{path}.phone");
            let number = only(value, "value", &path)?;
            match super::row::is_phone(number) {
                true => Ok(Imported::Phone(number.to_owned())),
                false => Err(wrong(
                    "PATTERN",
                    "String does not match pattern ^\\+[0-9]{1,15}$",
                    &format!("{path}.value"),
                )),
            }
        }
        other => {
            let shown: String = other.chars().take(64).collect();
            Err(wrong("NOT_PASSED", &format!("Additional properties not allowed: {shown}"), path))
        }
    }
}

/// The only property of an object, a text.
fn only<'a>(object: &'a Value, name: &str, path: &str) -> Result<&'a str, RowError> {
    let object: &Map<String, Value> =
        object.as_object().ok_or_else(|| wrong("INVALID_TYPE", "Expected type object", path))?;
    if object.keys().any(|key| key != name) {
        return Err(wrong("NOT_PASSED", "Additional properties not allowed", path));
    }
    let missing = || wrong("OBJECT_REQUIRED", &format!("Missing required property: {name}"), path);
    let value = object.get(name).ok_or_else(missing)?;
    let text = value.as_str().filter(|text| !text.contains('\0'));
    text.ok_or_else(|| wrong("INVALID_TYPE", "Expected type string", &format!("{path}.{name}")))
}

fn wrong(code: &'static str, message: &str, path: &str) -> RowError {
    RowError::at(code, message, path)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn factors_are_as_published() {
        let whole = json!([
            { "totp": { "secret": "JBSWY3DPEHPK3PXP" } },
            { "email": { "value": "Ann@Example.com" } },
            { "phone": { "value": "+15551234567" } },
            { "phone": { "value": "+15551234568" } },
        ]);
        let Ok([Imported::Totp(seed), Imported::Email(address), Imported::Phone(_), Imported::Phone(_)]) =
            read(&whole).map(|read| <[Imported; 4]>::try_from(read).unwrap())
        else {
            panic!("{whole}")
        };
        assert_eq!((seed.as_slice(), &*address), (b"Hello!\xde\xad\xbe\xef".as_slice(), "ann@example.com"));
    }

    #[test]
    fn what_is_no_factor_is_refused_where_it_is() {
        let app = json!({ "totp": { "secret": "JBSWY3DPEHPK3PXP" } });
        let mail = json!({ "email": { "value": "a@b.test" } });
        for (factors, code, path) in [
            (json!({}), "INVALID_TYPE", "mfa_factors"),
            (json!([]), "NOT_PASSED", "mfa_factors"),
            (json!(vec![mail.clone(); 11]), "NOT_PASSED", "mfa_factors"),
            (json!([5]), "INVALID_TYPE", "mfa_factors.0"),
            (json!([{}]), "NOT_PASSED", "mfa_factors.0"),
            (json!([{ "totp": app["totp"], "email": mail["email"] }]), "NOT_PASSED", "mfa_factors.0"),
            (json!([{ "push": {} }]), "NOT_PASSED", "mfa_factors.0"),
            (json!([mail, { "totp": "A" }]), "INVALID_TYPE", "mfa_factors.1.totp"),
            (json!([{ "totp": {} }]), "OBJECT_REQUIRED", "mfa_factors.0.totp"),
            (json!([{ "totp": { "secret": 5 } }]), "INVALID_TYPE", "mfa_factors.0.totp.secret"),
            (json!([{ "totp": { "secret": "JBSWY3DP" } }]), "PATTERN", "mfa_factors.0.totp.secret"),
            (json!([{ "totp": { "secret": "jbswy3dpehpk3pxp" } }]), "PATTERN", "mfa_factors.0.totp.secret"),
            (
                json!([{ "totp": { "secret": "JBSWY3DPEHPK3PXP", "x": 1 } }]),
                "NOT_PASSED",
                "mfa_factors.0.totp",
            ),
            (json!([{ "email": { "value": "nope" } }]), "FORMAT", "mfa_factors.0.email.value"),
            (json!([{ "phone": { "value": "555" } }]), "PATTERN", "mfa_factors.0.phone.value"),
            (json!([app, app]), "MFA_FACTORS_FAILED", "mfa_factors.1"),
            (json!([mail, mail]), "MFA_FACTORS_FAILED", "mfa_factors.1"),
        ] {
            let refused = read(&factors).unwrap_err();
            assert_eq!((refused.code, refused.path.as_deref()), (code, Some(path)), "{factors}");
        }
    }
}

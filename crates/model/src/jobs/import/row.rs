//! One row of an import: read, checked against the published schema, and refused in its words.

use serde_json::{Map, Value, json};

use super::factors::{self, Imported};
use crate::connections::Connection;
use crate::document::shallow;
use crate::passwords::imported::{self, Unfit};
use crate::users::{self, NewUser};

/// What stands in the place of a secret.
const MASK: &str = "*****";

/// How deep a row is told of.
const DEEPEST: usize = 64;

/// The properties of a row.
const KNOWN: [&str; 17] = [
    "email",
    "email_verified",
    "phone_number",
    "phone_verified",
    "user_id",
    "username",
    "given_name",
    "family_name",
    "name",
    "nickname",
    "picture",
    "blocked",
    "password_hash",
    "custom_password_hash",
    "app_metadata",
    "user_metadata",
    "mfa_factors",
];

/// A row that is a user.
#[derive(Clone, Debug)]
pub(super) struct Row {
    /// The user.
    pub new: NewUser,
    /// Whether the row says anything of the address being verified.
    pub email_verified: Option<bool>,
    /// The hash to store.
    pub hash: Option<String>,
    /// Whether the hash is one that an upsert may replace.
    pub is_custom_hash: bool,
    /// The second factors that the user has already.
    pub factors: Vec<Imported>,
}

/// One reason to refuse a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct RowError {
    pub code: &'static str,
    pub message: String,
    pub path: Option<String>,
}

impl RowError {
    pub(super) fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), path: None }
    }

    pub(super) fn at(code: &'static str, message: impl Into<String>, path: &str) -> Self {
        Self { path: Some(path.to_owned()), ..Self::new(code, message) }
    }

    fn to_wire(&self) -> Value {
        let mut wire = json!({ "code": self.code, "message": self.message });
        if let Some(path) = &self.path {
            wire["path"] = path.as_str().into();
        }
        wire
    }
}

impl From<Unfit> for RowError {
    fn from(unfit: Unfit) -> Self {
        Self { code: unfit.code, message: unfit.message, path: Some(unfit.path) }
    }
}

/// What is told of a row that was refused. Its secrets are masked, and what lies very deep in it is left out.
pub(super) fn report(user: &Value, errors: &[RowError]) -> Map<String, Value> {
    let mut told = Map::new();
    told.insert("user".to_owned(), shallow(&masked(user), DEEPEST));
    told.insert("errors".to_owned(), errors.iter().map(RowError::to_wire).collect());
    told
}

fn masked(user: &Value) -> Value {
    let mut user = user.clone();
    let mut hide = |pointer: &str| {
        if let Some(secret) = user.pointer_mut(pointer) {
            *secret = MASK.into();
        }
    };
    hide("/password_hash");
    for secret in ["hash/value", "hash/key/value", "salt/value"] {
        hide(&format!("/custom_password_hash/{secret}"));
    }
    // What is in the place of an object, or beside the properties that are known, may be a secret too.
    if user.get("custom_password_hash").is_some_and(|hash| !hash.is_object()) {
        hide_at(&mut user, "/custom_password_hash");
    }
    for part in ["hash", "salt", "hash/key"] {
        let pointer = format!("/custom_password_hash/{part}");
        if user.pointer(&pointer).is_some_and(|part| !part.is_object()) {
            hide_at(&mut user, &pointer);
        }
    }
    if let Some(factors) = user.get_mut("mfa_factors") {
        mask_factors(factors);
    }
    if let Some(password) = user.get_mut("password") {
        *password = MASK.into();
    }
    user
}

fn hide_at(user: &mut Value, pointer: &str) {
    if let Some(secret) = user.pointer_mut(pointer) {
        *secret = MASK.into();
    }
}

/// Every text in the factors that is a TOTP secret, or might be one.
fn mask_factors(factors: &mut Value) {
    match factors {
        Value::Array(items) => {
            for item in items {
                match item {
                    Value::Object(factor) => mask_totp(factor),
                    other => *other = MASK.into(),
                }
            }
        }
        other => *other = MASK.into(),
    }
}

fn mask_totp(factor: &mut Map<String, Value>) {
    let Some(totp) = factor.get_mut("totp") else { return };
    match totp.get_mut("secret") {
        Some(secret) => *secret = MASK.into(),
        None => *totp = MASK.into(),
    }
}

/// Reads a row.
///
/// # Errors
/// All that is wrong with it.
pub(super) fn read(connection: &Connection, user: &Value) -> Result<Row, Vec<RowError>> {
    let Some(user) = user.as_object() else {
        return Err(vec![RowError::new("INVALID_TYPE", "Expected type object")]);
    };
    let mut reader = Reader { user, errors: Vec::new() };
    let row = reader.row(connection);
    match reader.errors.is_empty() {
        true => Ok(row),
        false => Err(reader.errors),
    }
}

struct Reader<'a> {
    user: &'a Map<String, Value>,
    errors: Vec<RowError>,
}

impl Reader<'_> {
    fn row(&mut self, connection: &Connection) -> Row {
        let user = self.user;
        for other in user.keys().filter(|key| !KNOWN.contains(&key.as_str())) {
            let shown: String = other.chars().take(64).collect();
            self.error("NOT_PASSED", format!("Additional properties not allowed: {shown}"), &shown);
        }
        let has_attributes = connection.options.contains_key("attributes");
        let identified = ["email", "username", "phone_number"].iter().any(|name| user.contains_key(*name));
        if has_attributes && !identified {
            self.errors
                .push(RowError::new("ANY_OF_MISSING", "Missing one of: email, username, phone_number"));
        } else if !has_attributes && !user.contains_key("email") {
            self.error("OBJECT_REQUIRED", "Missing required property: email", "email");
        }
        let email = self.text("email", 254);
        if let Some(email) = email.as_deref().filter(|email| !users::is_email(email)) {
            let told = format!("Object didn't pass validation for format email: {}", clip(email));
            self.error("FORMAT", told, "email");
        }
        let username = self.text("username", 128);
        if let Some(username) = &username {
            self.check_username(connection, username);
        }
        let phone_number = self.text("phone_number", 16);
        if let Some(phone) = phone_number.as_deref().filter(|phone| !is_phone(phone)) {
            let told = format!("String does not match pattern ^\\+[0-9]{{1,15}}$: {}", clip(phone));
            self.error("PATTERN", told, "phone_number");
        }
        let user_id = self.text("user_id", 255);
        if let Some(id) = user_id.as_deref().filter(|id| id.is_empty() || id.contains(char::is_whitespace)) {
            let told = format!("String does not match pattern ^\\S+$: {}", clip(id));
            self.error("PATTERN", told, "user_id");
        }
        let email_verified = self.switch("email_verified");
        let (hash, is_custom_hash) = self.hash();
        let factors = match user.get("mfa_factors").map(factors::read) {
            None => Vec::new(),
            Some(Ok(factors)) => factors,
            Some(Err(error)) => {
                self.errors.push(error);
                Vec::new()
            }
        };
        Row {
            email_verified,
            hash,
            is_custom_hash,
            factors,
            new: NewUser {
                user_id,
                email,
                email_verified: email_verified.unwrap_or(false),
                username,
                phone_number,
                phone_verified: self.switch("phone_verified").unwrap_or(false),
                name: self.text("name", 300),
                nickname: self.text("nickname", 300),
                given_name: self.text("given_name", 150),
                family_name: self.text("family_name", 150),
                picture: self.text("picture", 2048),
                blocked: self.switch("blocked"),
                user_metadata: self.metadata("user_metadata", users::check_user_metadata),
                app_metadata: self.metadata("app_metadata", users::check_app_metadata),
            },
        }
    }

    fn error(&mut self, code: &'static str, message: impl Into<String>, path: &str) {
        self.errors.push(RowError::at(code, message, path));
    }

    fn check_username(&mut self, connection: &Connection, username: &str) {
        let (shortest, longest) = connection.username_length();
        if !connection.has_usernames() {
            let told = "Cannot set username for connection without requires_username.";
            self.error("NOT_PASSED", told, "username");
        } else if !users::is_username(username, shortest, longest) {
            let told = format!("Object didn't pass validation for format username: {}", clip(username));
            self.error("FORMAT", told, "username");
        }
    }

    fn text(&mut self, name: &str, longest: usize) -> Option<String> {
        match self.user.get(name)? {
            Value::String(text) if text.contains('\0') => {
                self.error("FORMAT", "A string holds a NUL", name);
                None
            }
            Value::String(text) if text.chars().count() > longest => {
                let length = text.chars().count();
                self.error(
                    "MAX_LENGTH",
                    format!("String is too long ({length} chars), maximum {longest}"),
                    name,
                );
                None
            }
            Value::String(text) => Some(text.clone()),
            other => {
                self.wrong_type(name, "string", other);
                None
            }
        }
    }

    fn switch(&mut self, name: &str) -> Option<bool> {
        match self.user.get(name)? {
            Value::Bool(on) => Some(*on),
            other => {
                self.wrong_type(name, "boolean", other);
                None
            }
        }
    }

    fn metadata(
        &mut self,
        name: &str,
        check: fn(&Map<String, Value>) -> Result<(), users::MetadataError>,
    ) -> Option<Map<String, Value>> {
        match self.user.get(name)? {
            Value::Object(metadata) => {
                if let Err(error) = check(metadata).and_then(|()| users::check_metadata_size(metadata)) {
                    self.error("NOT_PASSED", error.to_string(), name);
                }
                Some(metadata.clone())
            }
            other => {
                self.wrong_type(name, "object", other);
                None
            }
        }
    }

    /// The hash to store, and whether it came as `custom_password_hash`.
    fn hash(&mut self) -> (Option<String>, bool) {
        let custom = self.user.get("custom_password_hash");
        let plain = self.text("password_hash", 4096);
        let read = match (plain, custom) {
            (Some(_), Some(_)) => {
                let told = "password_hash and custom_password_hash are mutually exclusive";
                self.error("NOT_PASSED", told, "custom_password_hash");
                return (None, true);
            }
            (Some(hash), None) => imported::bcrypt_hash(&hash),
            (None, Some(Value::Object(custom))) => imported::custom_hash(custom),
            (None, Some(other)) => {
                self.wrong_type("custom_password_hash", "object", other);
                return (None, true);
            }
            (None, None) => return (None, false),
        };
        let hash = read.map_err(|unfit| self.errors.push(unfit.into())).ok();
        (hash, custom.is_some())
    }

    fn wrong_type(&mut self, name: &str, expected: &str, found: &Value) {
        let found = match found {
            Value::Null => "null",
            Value::Bool(_) => "boolean",
            Value::Number(number) if number.is_f64() => "number",
            Value::Number(_) => "integer",
            Value::String(_) => "string",
            Value::Array(_) => "array",
            Value::Object(_) => "object",
        };
        self.error("INVALID_TYPE", format!("Expected type {expected} but found type {found}"), name);
    }
}

pub(super) fn is_phone(text: &str) -> bool {
    text.strip_prefix('+').is_some_and(|digits| {
        (1..=15).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit())
    })
}

fn clip(text: &str) -> String {
    text.chars().take(255).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::connections;
    use crate::random::Random;

    fn errors(user: Value) -> Vec<(&'static str, String)> {
        let connection = connections::username_password(&Random::seeded(1), &[]);
        let errors = read(&connection, &user).err().unwrap_or_default();
        errors.into_iter().map(|error| (error.code, error.path.unwrap_or_default())).collect()
    }

    fn told(expected: &[(&'static str, &str)]) -> Vec<(&'static str, String)> {
        expected.iter().map(|(code, path)| (*code, (*path).to_owned())).collect()
    }

    #[test]
    fn a_row_is_refused_for_all_that_is_wrong_with_it() {
        assert_eq!(errors(json!({ "email": "a@b.test", "name": "A", "user_metadata": {} })), []);
        for (user, expected) in [
            (json!(5), &[("INVALID_TYPE", "")][..]),
            (json!({}), &[("OBJECT_REQUIRED", "email")]),
            (json!({ "email": "nope" }), &[("FORMAT", "email")]),
            (json!({ "email": 5 }), &[("INVALID_TYPE", "email")]),
            (
                json!({ "email": "x", "blocked": "no", "made_up": 1 }),
                &[("NOT_PASSED", "made_up"), ("FORMAT", "email"), ("INVALID_TYPE", "blocked")],
            ),
            (json!({ "email": "a@b.test", "name": "x".repeat(301) }), &[("MAX_LENGTH", "name")]),
            (json!({ "email": "a@b.test", "name": "x\0" }), &[("FORMAT", "name")]),
            (json!({ "email": "a@b.test", "user_id": "a b" }), &[("PATTERN", "user_id")]),
            (json!({ "email": "a@b.test", "username": "ann" }), &[("NOT_PASSED", "username")]),
            (json!({ "email": "a@b.test", "phone_number": "555" }), &[("PATTERN", "phone_number")]),
            (
                json!({ "email": "a@b.test", "app_metadata": { "user_id": 1 } }),
                &[("NOT_PASSED", "app_metadata")],
            ),
            (json!({ "email": "a@b.test", "password_hash": "é" }), &[("PATTERN", "password_hash")]),
            (
                json!({ "email": "a@b.test", "password_hash": "x", "custom_password_hash": {} }),
                &[("NOT_PASSED", "custom_password_hash")],
            ),
            (
                json!({ "email": "a@b.test", "mfa_factors": [{ "totp": { "secret": "A" } }] }),
                &[("PATTERN", "mfa_factors.0.totp.secret")],
            ),
        ] {
            assert_eq!(errors(user.clone()), told(expected), "{user}");
        }
    }

    #[test]
    fn a_report_holds_no_secret() {
        let user = json!({
            "email": "a@b.test",
            "password_hash": "secret",
            "password": "secret",
            "custom_password_hash": {
                "algorithm": "hmac",
                "hash": { "value": "secret", "encoding": "hex", "key": { "value": "secret" } },
                "salt": { "value": "secret" }
            },
            "mfa_factors": [{ "totp": { "secret": "secret" } }, { "totp": "secret" }, "secret", { "email": { "value": "a@b.test" } }]
        });
        let told = Value::Object(report(&user, &[RowError::at("FORMAT", "m", "p")]));
        assert!(
            !told.to_string().contains(r#""secret","#) && !told.to_string().contains(r#":"secret""#),
            "{told}"
        );
        assert_eq!(told["user"]["custom_password_hash"]["algorithm"], "hmac");
        assert_eq!(told["user"]["mfa_factors"][3]["email"]["value"], "a@b.test");
        assert_eq!(told["errors"], json!([{ "code": "FORMAT", "message": "m", "path": "p" }]));
        for part in [json!("secret"), json!(["secret"]), json!({ "hash": "secret", "salt": "secret" })] {
            let told = masked(&json!({ "custom_password_hash": part })).to_string();
            assert!(!told.contains("\"secret\""), "{told}");
        }
    }
}

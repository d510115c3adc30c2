//! Hashes of other systems, as an import brings them: `password_hash` and `custom_password_hash` in its ten kinds. They are understood
//! and bounded when they come in, stored as text, compared at the next login, and then replaced.

use std::num::NonZeroU32;

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::digests::Digest;
use super::formats::{self, BCRYPT_LONGEST};
use crate::seal::same;

/// The most that PBKDF2 may take: rounds, times the blocks of the key.
const MOST_PBKDF2: u64 = 2_000_000;

/// Where PBKDF2 and scrypt, in the units of the two bounds, take about as long as a hash of today's cost.
const QUICK: u64 = 60_000;

/// The most that scrypt may take: cost, block size and parallelization multiplied. It bounds its memory to 128 MiB.
const MOST_SCRYPT: u64 = 1 << 20;

/// The longest text of an imported hash, salt or key, and the longest key of scrypt and PBKDF2, in bytes.
const LONGEST: usize = 4096;
const LONGEST_KEY: usize = 512;

const CONFIG: GeneralPurposeConfig = GeneralPurposeConfig::new()
    .with_decode_padding_mode(DecodePaddingMode::Indifferent)
    .with_decode_allow_trailing_bits(true);
const STANDARD: GeneralPurpose = GeneralPurpose::new(&alphabet::STANDARD, CONFIG);
const URL_SAFE: GeneralPurpose = GeneralPurpose::new(&alphabet::URL_SAFE, CONFIG);

/// What is wrong with a hash: one of the published codes, what it says, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unfit {
    /// `ENUM_MISMATCH`, `FORMAT`, `MAXIMUM`, …
    pub code: &'static str,
    /// In words; never with a secret.
    pub message: String,
    /// The property, with dots: `custom_password_hash.hash.value`.
    pub path: String,
}

type Result<T> = std::result::Result<T, Unfit>;

/// The text to store of a `password_hash`: bcrypt with `$2a$` or `$2b$`.
///
/// # Errors
/// When it is none, or asks for too much.
pub fn bcrypt_hash(hash: &str) -> Result<String> {
    bcrypt(hash, "password_hash", &["$2a$", "$2b$"])
}

/// The text to store of a `custom_password_hash`.
///
/// # Errors
/// When it is of an unknown kind, incomplete, cannot be read, or asks for too much.
pub fn custom_hash(custom: &Map<String, Value>) -> Result<String> {
    let given = Given::read(custom)?;
    let stored = match given.algorithm {
        "argon2" => {
            given.without_salt()?.in_utf8()?;
            return argon2(given.hash);
        }
        "bcrypt" => {
            given.in_utf8()?;
            let hash = bcrypt(given.hash, "custom_password_hash.hash.value", &["$2a$", "$2b$", "$2y$"])?;
            if given.salt.is_none() && given.password == Encoding::Utf8 {
                return Ok(hash);
            }
            given.stored(Method::Bcrypt { hash })
        }
        "ldap" => {
            given.without_salt()?.in_utf8()?;
            ldap(&given)?
        }
        "pbkdf2" => {
            given.without_salt()?.in_utf8()?;
            let (method, salt) = pbkdf2(given.hash)?;
            Imported { salt: Some(salt), ..given.stored(method) }
        }
        "hmac" => {
            let digest = given.digest.ok_or_else(|| missing("hash.digest"))?;
            let digest = Digest::parse(digest).ok_or_else(|| mismatch("hash.digest", digest))?;
            let key = given.key.clone().ok_or_else(|| missing("hash.key"))?;
            given.stored(Method::Hmac {
                digest,
                key: Bytes(key),
                hash: Bytes(given.of_length(digest.length())?),
            })
        }
        "scrypt" => given.stored(scrypt(&given, custom)?),
        name @ ("md4" | "md5" | "sha1" | "sha256" | "sha512") => {
            let digest = Digest::parse(name).ok_or_else(|| mismatch("algorithm", name))?;
            given.stored(Method::Digest { digest, hash: Bytes(given.of_length(digest.length())?) })
        }
        other => return Err(mismatch("algorithm", other)),
    };
    Ok(serde_json::to_string(&stored).expect("it is plain data with text keys"))
}

/// A hash of another system as it is stored: an object, so that the text begins with `{`.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Imported {
    #[serde(flatten)]
    method: Method,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    salt: Option<Bytes>,
    #[serde(default)]
    position: Position,
    #[serde(default)]
    password: Encoding,
}

/// How the hash was made.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "method", rename_all = "lowercase")]
enum Method {
    Digest { digest: Digest, hash: Bytes },
    Hmac { digest: Digest, key: Bytes, hash: Bytes },
    Pbkdf2 { digest: Digest, rounds: NonZeroU32, hash: Bytes },
    Scrypt { cost: u8, block_size: u32, parallelization: u32, hash: Bytes },
    Bcrypt { hash: String },
}

/// Where the salt stood when the hash was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Position {
    #[default]
    Prefix,
    Suffix,
}

/// How the characters of the password were written when the hash was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Encoding {
    #[default]
    Utf8,
    Utf16,
    Latin1,
}

/// Bytes, in base64 where they are stored.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Bytes(Vec<u8>);

impl Serialize for Bytes {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        serializer.serialize_str(&STANDARD.encode(&self.0))
    }
}

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        STANDARD.decode(text).map(Self).map_err(serde::de::Error::custom)
    }
}

impl Imported {
    /// A stored hash, unless it asks for too much.
    pub(super) fn read(stored: &str) -> Option<Self> {
        let imported: Self = serde_json::from_str(stored).ok()?;
        imported.method.is_bearable().then_some(imported)
    }

    /// Whether it is compared sooner than one is made today.
    pub(super) fn is_quick(&self) -> bool {
        match &self.method {
            Method::Digest { .. } | Method::Hmac { .. } => true,
            Method::Pbkdf2 { digest, rounds, hash } => {
                let blocks = hash.0.len().div_ceil(digest.length()) as u64;
                u64::from(rounds.get()).saturating_mul(blocks) < QUICK
            }
            Method::Scrypt { cost, block_size, parallelization, .. } => {
                let lanes = u64::from(*block_size) * u64::from(*parallelization);
                lanes.checked_shl((*cost).into()).is_some_and(|work| work < QUICK)
            }
            Method::Bcrypt { hash } => formats::is_quick_bcrypt(hash),
        }
    }

    /// Whether it is the hash of `password`.
    pub(super) fn matches(&self, password: &str) -> bool {
        let Some(mut input) = self.password.encode(password) else { return false };
        let salt = self.salt.as_ref().map_or(&[][..], |salt| &salt.0);
        // These two take the salt for itself; to the others it is a part of the password.
        match &self.method {
            Method::Scrypt { cost, block_size, parallelization, hash } => {
                let Ok(params) = scrypt::Params::new(*cost, *block_size, *parallelization) else {
                    return false;
                };
                let mut output = vec![0; hash.0.len()];
                return scrypt::scrypt(&input, salt, &params, &mut output).is_ok() && same(&output, &hash.0);
            }
            Method::Pbkdf2 { digest, rounds, hash } => {
                return same(&digest.pbkdf2(&input, salt, *rounds, hash.0.len()), &hash.0);
            }
            Method::Digest { .. } | Method::Hmac { .. } | Method::Bcrypt { .. } => {}
        }
        match self.position {
            Position::Prefix => drop(input.splice(0..0, salt.iter().copied())),
            Position::Suffix => input.extend_from_slice(salt),
        }
        match &self.method {
            Method::Digest { digest, hash } => same(&digest.of(&input), &hash.0),
            Method::Hmac { digest, key, hash } => same(&digest.hmac(&key.0, &input), &hash.0),
            Method::Bcrypt { hash } => {
                input.len() <= BCRYPT_LONGEST
                    && !input.contains(&0)
                    && bcrypt::verify(&input, hash).unwrap_or(false)
            }
            Method::Scrypt { .. } | Method::Pbkdf2 { .. } => unreachable!("they were answered above"),
        }
    }
}

impl Method {
    fn is_bearable(&self) -> bool {
        match self {
            Self::Digest { .. } | Self::Hmac { .. } => true,
            Self::Pbkdf2 { digest, rounds, hash, .. } => {
                let blocks = hash.0.len().div_ceil(digest.length());
                hash.0.len() <= LONGEST_KEY && u64::from(rounds.get()) * blocks as u64 <= MOST_PBKDF2
            }
            Self::Scrypt { cost, block_size, parallelization, hash } => {
                let work = (u64::from(*block_size) * u64::from(*parallelization)).checked_shl((*cost).into());
                hash.0.len() <= LONGEST_KEY
                    && *cost < 32
                    && u64::from(*block_size) * u64::from(*parallelization) <= MOST_SCRYPT
                    && work.is_some_and(|work| work <= MOST_SCRYPT)
            }
            Self::Bcrypt { hash } => formats::is_bearable_bcrypt(hash),
        }
    }
}

impl Encoding {
    fn parse(name: &str) -> Option<Self> {
        Some(match name {
            "utf8" => Self::Utf8,
            "utf16le" | "ucs2" => Self::Utf16,
            "ascii" | "latin1" | "binary" => Self::Latin1,
            _ => return None,
        })
    }

    /// The password in it; `None` where a character has no place in it.
    fn encode(self, password: &str) -> Option<Vec<u8>> {
        match self {
            Self::Utf8 => Some(password.as_bytes().to_vec()),
            Self::Utf16 => Some(password.encode_utf16().flat_map(u16::to_le_bytes).collect()),
            Self::Latin1 => password.chars().map(|c| u8::try_from(u32::from(c)).ok()).collect(),
        }
    }
}

/// A `custom_password_hash` whose parts have their types.
struct Given<'a> {
    algorithm: &'a str,
    hash: &'a str,
    encoding: Option<&'a str>,
    digest: Option<&'a str>,
    key: Option<Vec<u8>>,
    salt: Option<Vec<u8>>,
    position: Position,
    password: Encoding,
}

impl<'a> Given<'a> {
    fn read(custom: &'a Map<String, Value>) -> Result<Self> {
        let known =
            ["algorithm", "hash", "salt", "password", "keylen", "cost", "blockSize", "parallelization"];
        no_others(custom, "", &known)?;
        let algorithm = text(custom, "", "algorithm")?.ok_or_else(|| missing("algorithm"))?;
        let hash = object(custom, "hash")?.ok_or_else(|| missing("hash"))?;
        no_others(hash, "hash", &["value", "encoding", "digest", "key"])?;
        let key = match object_in(hash, "hash", "key")? {
            Some(key) => {
                no_others(key, "hash.key", &["value", "encoding"])?;
                Some(bytes(key, "hash.key")?)
            }
            None => None,
        };
        let (salt, position) = match object(custom, "salt")? {
            Some(salt) => {
                no_others(salt, "salt", &["value", "encoding", "position"])?;
                let position = match text(salt, "salt", "position")? {
                    None | Some("prefix") => Position::Prefix,
                    Some("suffix") => Position::Suffix,
                    Some(other) => return Err(mismatch("salt.position", other)),
                };
                (Some(bytes(salt, "salt")?), position)
            }
            None => (None, Position::Prefix),
        };
        let password = match object(custom, "password")? {
            Some(password) => {
                no_others(password, "password", &["encoding"])?;
                let name = text(password, "password", "encoding")?.unwrap_or("utf8");
                Encoding::parse(name).ok_or_else(|| mismatch("password.encoding", name))?
            }
            None => Encoding::Utf8,
        };
        Ok(Self {
            algorithm,
            hash: text(hash, "hash", "value")?.ok_or_else(|| missing("hash.value"))?,
            encoding: text(hash, "hash", "encoding")?,
            digest: text(hash, "hash", "digest")?,
            key,
            salt,
            position,
            password,
        })
    }

    fn stored(&self, method: Method) -> Imported {
        Imported {
            method,
            salt: self.salt.clone().map(Bytes),
            position: self.position,
            password: self.password,
        }
    }

    fn without_salt(&self) -> Result<&Self> {
        match self.salt {
            None => Ok(self),
            Some(_) => {
                Err(unfit("NOT_PASSED", format!("salt is not allowed with {}", self.algorithm), "salt"))
            }
        }
    }

    fn in_utf8(&self) -> Result<&Self> {
        match self.encoding {
            None | Some("utf8") => Ok(self),
            Some(other) => Err(mismatch("hash.encoding", other)),
        }
    }

    /// The hash's bytes, which are as many as its function gives.
    fn of_length(&self, length: usize) -> Result<Vec<u8>> {
        let hash = match self.encoding {
            Some(encoding @ ("hex" | "base64")) => decode(self.hash, encoding, "hash.value")?,
            Some(other) => return Err(mismatch("hash.encoding", other)),
            None => return Err(missing("hash.encoding")),
        };
        if hash.len() == length {
            return Ok(hash);
        }
        let problem = format!("The hash has {} bytes, not {length}", hash.len());
        Err(unfit("FORMAT", problem, "hash.value"))
    }
}

fn bcrypt(hash: &str, path: &str, prefixes: &[&str]) -> Result<String> {
    let told = |code, message: String| Unfit { code, message, path: path.to_owned() };
    let in_alphabet = |byte: u8| byte.is_ascii_alphanumeric() || b"./".contains(&byte);
    let is_bcrypt = prefixes.iter().any(|prefix| hash.starts_with(prefix))
        && hash.len() == 60
        && hash.is_ascii()
        && hash.as_bytes()[4..6].iter().all(u8::is_ascii_digit)
        && hash.as_bytes()[6] == b'$'
        && hash.bytes().skip(7).all(in_alphabet);
    if !is_bcrypt {
        return Err(told("PATTERN", format!("The hash is not bcrypt with {}", prefixes.join(" or "))));
    }
    if !formats::is_bearable_bcrypt(hash) {
        return Err(told("MAXIMUM", format!("The cost is not 4 to {}", formats::MOST_BCRYPT)));
    }
    Ok(hash.to_owned())
}

fn argon2(hash: &str) -> Result<String> {
    match formats::read_argon2(hash) {
        Ok(()) => Ok(hash.to_owned()),
        Err(formats::Unreadable::Malformed) => {
            Err(unfit("FORMAT", "The hash is not argon2 in PHC string format".into(), "hash.value"))
        }
        Err(formats::Unreadable::Unbearable) => Err(unfit(
            "MAXIMUM",
            "The hash asks for more than 128 MiB of memory or too much time".into(),
            "hash.value",
        )),
    }
}

/// RFC 2307 §5.3: `{SSHA}` and base64 of the digest, followed by the salt.
fn ldap(given: &Given<'_>) -> Result<Imported> {
    let malformed =
        |what: &str| unfit("FORMAT", format!("The hash is not an RFC 2307 password: {what}"), "hash.value");
    let rest = given.hash.strip_prefix('{').and_then(|rest| rest.split_once('}'));
    let (scheme, encoded) = rest.ok_or_else(|| malformed("it has no scheme"))?;
    let scheme = scheme.to_ascii_lowercase();
    let (salted, name) = match scheme.as_str() {
        "smd5" => (true, "md5"),
        "md5" => (false, "md5"),
        "sha" => (false, "sha1"),
        "ssha" => (true, "sha1"),
        other => match other.strip_prefix('s') {
            Some(name) if name.starts_with("sha") => (true, name),
            _ => (false, other),
        },
    };
    let digest = Digest::parse(name).filter(|_| name.starts_with("sha") || name == "md5");
    let digest = digest.ok_or_else(|| malformed("its scheme is not supported"))?;
    let mut hash = decode(encoded, "base64", "hash.value")?;
    if hash.len() < digest.length() || !salted && hash.len() > digest.length() {
        return Err(malformed("its length is not its scheme's"));
    }
    let salt = hash.split_off(digest.length());
    let method = Method::Digest { digest, hash: Bytes(hash) };
    Ok(Imported { salt: salted.then_some(Bytes(salt)), position: Position::Suffix, ..given.stored(method) })
}

/// `$pbkdf2-<digest>$i=<rounds>,l=<length>$<salt>$<hash>`.
fn pbkdf2(hash: &str) -> Result<(Method, Bytes)> {
    let malformed = || unfit("FORMAT", "The hash is not PBKDF2 in PHC string format".into(), "hash.value");
    let parts: Vec<&str> = hash.split('$').collect();
    let (id, params, salt, output) = match parts.as_slice() {
        ["", id, salt, output] => (*id, "", *salt, *output),
        ["", id, params, salt, output] => (*id, *params, *salt, *output),
        _ => return Err(malformed()),
    };
    let name = id.strip_prefix("pbkdf2-").ok_or_else(malformed)?;
    let digest = Digest::parse_openssl(name)
        .ok_or_else(|| unfit("ENUM_MISMATCH", format!("No enum match for: {}", clip(name)), "hash.value"))?;
    let (mut rounds, mut length) = (100_000, 64);
    for param in params.split(',').filter(|param| !param.is_empty()) {
        match param.split_once('=') {
            Some(("i", number)) => rounds = number.parse().map_err(|_| malformed())?,
            Some(("l", number)) => length = number.parse().map_err(|_| malformed())?,
            _ => return Err(malformed()),
        }
    }
    let rounds = NonZeroU32::new(rounds).ok_or_else(malformed)?;
    let [salt, hash] = [salt, output].map(|text| decode(text, "base64", "hash.value"));
    let (salt, hash) = (Bytes(salt?), Bytes(hash?));
    if hash.0.len() != length || hash.0.is_empty() {
        return Err(malformed());
    }
    Ok((bearable(Method::Pbkdf2 { digest, rounds, hash })?, salt))
}

fn scrypt(given: &Given<'_>, custom: &Map<String, Value>) -> Result<Method> {
    let number = |name: &str, default: Option<u64>| {
        let value = match custom.get(name) {
            None => default.ok_or_else(|| missing(name))?,
            Some(value) => value.as_u64().ok_or_else(|| type_of(name, "integer"))?,
        };
        let small = u32::try_from(value).map_err(|_| too_much(name))?;
        if small == 0 {
            Err(unfit("MINIMUM", "Value 0 is less than minimum 1".into(), name))
        } else {
            Ok(small)
        }
    };
    let length = number("keylen", None)?;
    let cost = number("cost", Some(16_384))?;
    if !cost.is_power_of_two() || cost < 2 {
        return Err(unfit("NOT_PASSED", "cost is not a power of two greater than one".into(), "cost"));
    }
    let (block_size, parallelization) = (number("blockSize", Some(8))?, number("parallelization", Some(1))?);
    let hash = Bytes(given.of_length(length as usize)?);
    let cost = u8::try_from(cost.trailing_zeros()).unwrap_or(u8::MAX);
    bearable(Method::Scrypt { cost, block_size, parallelization, hash })
}

fn bearable(method: Method) -> Result<Method> {
    if method.is_bearable() {
        return Ok(method);
    }
    let path = if matches!(method, Method::Scrypt { .. }) { "cost" } else { "hash.value" };
    Err(too_much(path))
}

fn too_much(path: &str) -> Unfit {
    unfit("MAXIMUM", "The hash asks for too much memory or time".into(), path)
}

/// `value` in `encoding`, by default as it is.
fn bytes(object: &Map<String, Value>, path: &str) -> Result<Vec<u8>> {
    let value = text(object, path, "value")?.ok_or_else(|| missing(&format!("{path}.value")))?;
    let encoding = text(object, path, "encoding")?.unwrap_or("utf8");
    decode(value, encoding, path)
}

fn decode(value: &str, encoding: &str, path: &str) -> Result<Vec<u8>> {
    let malformed = || unfit("FORMAT", format!("The value is not {encoding}"), path);
    match encoding {
        "utf8" => Ok(value.as_bytes().to_vec()),
        "base64" => STANDARD.decode(value).or_else(|_| URL_SAFE.decode(value)).map_err(|_| malformed()),
        "hex" => {
            let digits: Option<Vec<u8>> =
                value.chars().map(|c| c.to_digit(16).and_then(|digit| u8::try_from(digit).ok())).collect();
            let digits = digits.filter(|digits| digits.len().is_multiple_of(2)).ok_or_else(malformed)?;
            Ok(digits.chunks_exact(2).map(|pair| pair[0] << 4 | pair[1]).collect())
        }
        other => Err(mismatch(&format!("{path}.encoding"), other)),
    }
}

fn no_others(object: &Map<String, Value>, path: &str, known: &[&str]) -> Result<()> {
    match object.keys().find(|key| !known.contains(&key.as_str())) {
        None => Ok(()),
        Some(other) => {
            Err(unfit("NOT_PASSED", format!("Additional properties not allowed: {}", clip(other)), path))
        }
    }
}

fn text<'a>(object: &'a Map<String, Value>, path: &str, name: &str) -> Result<Option<&'a str>> {
    let at = || if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
    match object.get(name) {
        None => Ok(None),
        Some(Value::String(text)) if text.len() <= LONGEST => Ok(Some(text)),
        Some(Value::String(_)) => {
            Err(unfit("MAX_LENGTH", format!("String is too long, maximum {LONGEST}"), &at()))
        }
        Some(_) => Err(type_of(&at(), "string")),
    }
}

fn object<'a>(custom: &'a Map<String, Value>, name: &str) -> Result<Option<&'a Map<String, Value>>> {
    object_in(custom, "", name)
}

fn object_in<'a>(
    object: &'a Map<String, Value>,
    path: &str,
    name: &str,
) -> Result<Option<&'a Map<String, Value>>> {
    match object.get(name) {
        None => Ok(None),
        Some(Value::Object(inner)) => Ok(Some(inner)),
        Some(_) => {
            Err(type_of(&if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }, "object"))
        }
    }
}

fn unfit(code: &'static str, message: String, path: &str) -> Unfit {
    let path = if path.is_empty() {
        "custom_password_hash".to_owned()
    } else {
        format!("custom_password_hash.{path}")
    };
    Unfit { code, message, path }
}

fn missing(path: &str) -> Unfit {
    unfit("OBJECT_REQUIRED", format!("Missing required property: {path}"), path)
}

fn mismatch(path: &str, found: &str) -> Unfit {
    unfit("ENUM_MISMATCH", format!("No enum match for: {}", clip(found)), path)
}

fn type_of(path: &str, expected: &str) -> Unfit {
    unfit("INVALID_TYPE", format!("Expected type {expected}"), path)
}

fn clip(text: &str) -> String {
    text.chars().take(64).collect()
}

#[cfg(test)]
mod tests;

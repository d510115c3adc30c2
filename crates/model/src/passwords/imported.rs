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

    /// Whether it is compared in no time at all.
    pub(super) fn is_quick(&self) -> bool {
        matches!(self.method, Method::Digest { .. } | Method::Hmac { .. })
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
mod tests {
    use serde_json::json;

    use super::*;

    fn stored(custom: Value) -> Result<String> {
        custom_hash(custom.as_object().unwrap())
    }

    fn code(custom: Value) -> &'static str {
        stored(custom.clone()).map(|_| "").unwrap_or_else(|unfit| {
            assert!(unfit.path.starts_with("custom_password_hash"), "{custom}: {unfit:?}");
            unfit.code
        })
    }

    fn hash(algorithm: &str, value: &str, encoding: &str) -> Value {
        json!({ "algorithm": algorithm, "hash": { "value": value, "encoding": encoding } })
    }

    #[track_caller]
    fn fits(password: &str, custom: Value) {
        let text = stored(custom.clone()).unwrap_or_else(|unfit| panic!("{custom}: {unfit:?}"));
        let imported = Imported::read(&text).unwrap_or_else(|| panic!("{text}"));
        assert!(imported.matches(password), "{custom}");
        for other in ["", "other", &format!("{password} "), &password.to_uppercase()] {
            assert!(other == password || !imported.matches(other), "{custom} with {other}");
        }
    }

    /// RFC 1320 §A.5, RFC 1321 §A.5, RFC 3174 §7.3, FIPS 180-4's examples of `abc`.
    #[test]
    fn published_digests_are_matched_in_every_encoding() {
        for (algorithm, digest) in [
            ("md4", "a448017aaf21d8525fc10ae87aa6729d"),
            ("md5", "900150983cd24fb0d6963f7d28e17f72"),
            ("sha1", "a9993e364706816aba3e25717850c26c9cd0d89d"),
            ("sha256", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
            (
                "sha512",
                "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f",
            ),
        ] {
            fits("abc", hash(algorithm, digest, "hex"));
            fits("abc", hash(algorithm, &digest.to_uppercase(), "hex"));
            let bytes = decode(digest, "hex", "").unwrap();
            for text in [STANDARD.encode(&bytes), URL_SAFE.encode(&bytes)] {
                fits("abc", hash(algorithm, &text, "base64"));
                fits("abc", hash(algorithm, text.trim_end_matches('='), "base64"));
            }
        }
    }

    /// The schema's own example: MD5 of `salt` and `password`.
    #[test]
    fn a_salt_stands_before_or_behind() {
        let mut custom = hash("md5", "67A1E09BB1F83F5007DC119C14D663AA", "hex");
        custom["salt"] = json!({ "value": "salt" });
        fits("password", custom.clone());
        custom["salt"] = json!({ "value": "73616c74", "encoding": "hex", "position": "prefix" });
        fits("password", custom.clone());
        custom["salt"] = json!({ "value": "password", "position": "suffix" });
        fits("salt", custom.clone());
        custom["salt"] = json!({ "value": "c2FsdA==", "encoding": "base64" });
        fits("password", custom);
    }

    /// RFC 2202 §2 and §3, RFC 4231 §4.3: the key `Jefe`. RIPEMD-160: RFC 2286 §2.
    #[test]
    fn published_macs_are_matched() {
        for (digest, mac) in [
            ("md5", "750c783e6ab0b503eaa86e310a5db738"),
            ("sha1", "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79"),
            ("ripemd160", "dda6c0213a485a9e24f4742064a7f033b43c4069"),
            ("sha224", "a30e01098bc6dbbf45690f3a7e9e6d0f8bbea2a39e6148008fd05e44"),
            ("sha256", "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"),
            (
                "sha384",
                "af45d2e376484031617f78d2b58a6b1b9c7ef464f5a01b47e42ec3736322445e8e2240ca5e69e2c78b3239ecfab21649",
            ),
            (
                "sha512",
                "164b7a7bfcf819e2e395fbe73b56e0a387bd64222e831fd610270cd7ea2505549758bf75c05a994a6d034f65f8f0e6fdcaeab1a34d4a6b4b636e070a38bce737",
            ),
        ] {
            let mut custom = hash("hmac", mac, "hex");
            custom["hash"]["digest"] = digest.into();
            custom["hash"]["key"] = json!({ "value": "Jefe" });
            fits("what do ya want for nothing?", custom.clone());
            custom["hash"]["key"] = json!({ "value": "4a656665", "encoding": "hex" });
            fits("what do ya want for nothing?", custom);
        }
        for digest in ["md4", "whirlpool"] {
            let digest = Digest::parse(digest).unwrap();
            // RFC 2104 §2, written out.
            let (inner, outer) = (vec![0x36 ^ b'k'], vec![0x5c ^ b'k']);
            let pad = |first: Vec<u8>, rest: u8| [first, vec![rest; 63]].concat();
            let inner = digest.of(&[pad(inner, 0x36), b"text".to_vec()].concat());
            let expected = digest.of(&[pad(outer, 0x5c), inner].concat());
            assert_eq!(digest.hmac(b"k", b"text"), expected, "{digest:?}");
        }
    }

    /// ISO/IEC 10118-3 and the RIPEMD-160 paper: the digests of `abc`.
    #[test]
    fn the_rarer_digests_are_the_published_ones() {
        let of =
            |digest: Digest| digest.of(b"abc").iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        assert_eq!(of(Digest::Ripemd160), "8eb208f7e05d987a9b044a8e98c6b087f15a0bfc");
        assert_eq!(
            of(Digest::Whirlpool),
            "4e2448a4c6f486bb16b6562c73b4020bf3043e3a731bce721ae1b303d97e6d4c7181eebdb6c57e277d0e34957114cbd6c797fc9d95d8b582d225292076d4eef5"
        );
        for digest in ["md4", "md5", "ripemd160", "sha1", "sha224", "sha256", "sha384", "sha512", "whirlpool"]
        {
            let digest = Digest::parse(digest).unwrap();
            assert_eq!(digest.of(b"x").len(), digest.length(), "{digest:?}");
        }
    }

    /// RFC 6070 §2 and RFC 7914 §11, in PHC strings.
    #[test]
    fn published_pbkdf2_hashes_are_matched() {
        let phc = |id: &str, rounds: u32, salt: &str, hash: &str| {
            let hash = decode(hash, "hex", "").unwrap();
            let b64 = |bytes: &[u8]| STANDARD.encode(bytes).trim_end_matches('=').to_owned();
            let text =
                format!("$pbkdf2-{id}$i={rounds},l={}${}${}", hash.len(), b64(salt.as_bytes()), b64(&hash));
            json!({ "algorithm": "pbkdf2", "hash": { "value": text, "encoding": "utf8" } })
        };
        fits("password", phc("sha1", 1, "salt", "0c60c80f961f0e71f3a9b524af6012062fe037a6"));
        fits("password", phc("RSA-SHA1", 4096, "salt", "4b007901b765489abead49d926f721d065a429c1"));
        fits(
            "passwordPASSWORDpassword",
            phc(
                "sha1WithRSA",
                4096,
                "saltSALTsaltSALTsaltSALTsaltSALTsalt",
                "3d2eec4fe41c849b80c8d83662c0e44a8b291a964cf2f07038",
            ),
        );
        fits(
            "passwd",
            phc(
                "sha256",
                1,
                "salt",
                "55ac046e56e3089fec1691c22544b605f94185216dde0465e68b9d57c20dacbc49ca9cccf179b645991664b39d77ef317c71b845b1e30bd509112041d3a19783",
            ),
        );
        assert_eq!(code(phc("mdc2", 1, "salt", "00")), "ENUM_MISMATCH");
        assert_eq!(code(phc("sha256", 4_000_000, "salt", &"00".repeat(32))), "MAXIMUM");
        for text in [
            "",
            "$pbkdf2-sha1",
            "$pbkdf2-sha1$i=0,l=1$AA$AA",
            "$pbkdf2-sha1$i=1,l=2$AA$AA",
            "$pbkdf2-sha1$x=1$AA$AA",
        ] {
            assert_eq!(code(hash("pbkdf2", text, "utf8")), "FORMAT", "{text}");
        }
    }

    /// PBKDF2 of the digests that AWS-LC lacks: the blocks of RFC 8018 §5.2, written out.
    #[test]
    fn pbkdf2_of_the_rarer_digests_is_built_on_their_hmac() {
        for name in ["md4", "md5", "ripemd160", "sha224", "whirlpool"] {
            let digest = Digest::parse(name).unwrap();
            let mut round = digest.hmac(b"password", b"salt\0\0\0\x01");
            let mut block = round.clone();
            for _ in 1..3 {
                round = digest.hmac(b"password", &round);
                block.iter_mut().zip(&round).for_each(|(sum, byte)| *sum ^= byte);
            }
            let made = digest.pbkdf2(b"password", b"salt", NonZeroU32::new(3).unwrap(), digest.length());
            assert_eq!(made, block, "{name}");
        }
    }

    /// RFC 7914 §12.
    #[test]
    fn published_scrypt_hashes_are_matched() {
        let scrypt = |hash: &str, salt: &str, cost: u32, block_size: u32, parallelization: u32| {
            json!({
                "algorithm": "scrypt",
                "hash": { "value": hash, "encoding": "hex" },
                "salt": { "value": salt },
                "keylen": 64,
                "cost": cost,
                "blockSize": block_size,
                "parallelization": parallelization
            })
        };
        let first = "77d6576238657b203b19ca42c18a0497f16b4844e3074ae8dfdffa3fede21442fcd0069ded0948f8326a753a0fc81f17e8d3e0fb2e0d3628cf35e20c38d18906";
        fits("", scrypt(first, "", 16, 1, 1));
        let second = "fdbabe1c9d3472007856e7190d01e9fe7c6ad7cbc8237830e77376634b3731622eaf30d92e22a3886ff109279d9830dac727afb94a83ee6d8360cbdfa2cc0640";
        fits("password", scrypt(second, "NaCl", 1024, 8, 16));
        for (cost, block_size, expected) in [
            (1 << 20, 8, "MAXIMUM"),
            (1000, 8, "NOT_PASSED"),
            (1, 8, "NOT_PASSED"),
            (16, 0, "MINIMUM"),
            (16, u32::MAX, "MAXIMUM"),
        ] {
            assert_eq!(code(scrypt(first, "", cost, block_size, 1)), expected, "{cost} {block_size}");
        }
        let mut without = scrypt(first, "", 16, 1, 1);
        without.as_object_mut().unwrap().shift_remove("keylen");
        assert_eq!(code(without), "OBJECT_REQUIRED");
    }

    /// Made by a directory server's rules: SHA-1 of `secret`, and of `secret` and a salt.
    #[test]
    fn directory_passwords_are_matched() {
        let sha = STANDARD.encode(Digest::Sha1.of(b"secret"));
        fits("secret", hash("ldap", &format!("{{SHA}}{sha}"), "utf8"));
        fits("secret", hash("ldap", "{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=", "utf8"));
        fits("secret", hash("ldap", "{MD5}Xr4ilOzQ4PCOq3aQ0qbuaQ==", "utf8"));
        for (scheme, digest) in [
            ("SMD5", Digest::Md5),
            ("ssha", Digest::Sha1),
            ("SSHA256", Digest::Sha256),
            ("SSHA384", Digest::Sha384),
            ("SSHA512", Digest::Sha512),
        ] {
            let salted = [digest.of(b"secretsalt"), b"salt".to_vec()].concat();
            fits("secret", hash("ldap", &format!("{{{scheme}}}{}", STANDARD.encode(salted)), "utf8"));
        }
        for bad in [
            "",
            "secret",
            "{CRYPT}x",
            "{SHA}",
            "{SHA}AAAA",
            "{MD4}AAAA",
            "{SHA512}5en6G6MezRroT3XKqkdPOmY/BfQ=",
        ] {
            assert_eq!(code(hash("ldap", bad, "utf8")), "FORMAT", "{bad}");
        }
    }

    #[test]
    fn a_password_is_written_as_it_was_when_it_was_hashed() {
        let of = |bytes: &[u8]| {
            Digest::Sha256.of(bytes).iter().map(|byte| format!("{byte:02x}")).collect::<String>()
        };
        for (encoding, bytes) in [
            ("utf8", &b"\xc3\xa9"[..]),
            ("utf16le", b"\xe9\0"),
            ("ucs2", b"\xe9\0"),
            ("latin1", b"\xe9"),
            ("binary", b"\xe9"),
        ] {
            let mut custom = hash("sha256", &of(bytes), "hex");
            custom["password"] = json!({ "encoding": encoding });
            let imported = Imported::read(&stored(custom).unwrap()).unwrap();
            assert!(imported.matches("é") && !imported.matches("è"), "{encoding}");
        }
        let mut custom = hash("sha256", &of(b"x"), "hex");
        custom["password"] = json!({ "encoding": "latin1" });
        assert!(
            !Imported::read(&stored(custom).unwrap()).unwrap().matches("\u{178}"),
            "it has no place in Latin-1"
        );
    }

    /// crypt_blowfish's `U*U`, and the same with a salt before it.
    #[test]
    fn bcrypt_and_argon2_are_stored_as_they_are() {
        let bcrypt = "$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW";
        assert_eq!(stored(json!({ "algorithm": "bcrypt", "hash": { "value": bcrypt } })).unwrap(), bcrypt);
        assert_eq!(bcrypt_hash(bcrypt).unwrap(), bcrypt);
        let salted = json!({ "algorithm": "bcrypt", "hash": { "value": bcrypt }, "salt": { "value": "U*" } });
        fits("U", salted);
        let argon2 = "$argon2id$v=19$m=65536,t=2,p=1$J6Q/82PCyaNpYKRELJyTZg$m04qUAB8rexWDR4+/0f+SFB+4XMFxt7YAvAq2UycYos";
        assert_eq!(stored(json!({ "algorithm": "argon2", "hash": { "value": argon2 } })).unwrap(), argon2);
    }

    #[test]
    fn a_hash_that_asks_for_too_much_is_refused() {
        let argon2 = |m: u32, t: u32| {
            let value = format!(
                "$argon2id$v=19$m={m},t={t},p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4"
            );
            json!({ "algorithm": "argon2", "hash": { "value": value } })
        };
        assert_eq!(code(argon2(65_536, 3)), "");
        assert_eq!(code(argon2(4 * 1024 * 1024, 1)), "MAXIMUM");
        assert_eq!(code(argon2(65_536, u32::MAX)), "MAXIMUM");
        let bcrypt = |cost: &str| format!("$2b${cost}$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW");
        for (cost, expected) in
            [("15", ""), ("16", "MAXIMUM"), ("31", "MAXIMUM"), ("03", "MAXIMUM"), ("xx", "PATTERN")]
        {
            assert_eq!(
                bcrypt_hash(&bcrypt(cost)).map(|_| "").unwrap_or_else(|unfit| unfit.code),
                expected,
                "{cost}"
            );
        }
    }

    #[test]
    fn what_is_no_hash_is_refused_with_its_place() {
        let mut hmac = hash("hmac", "750c783e6ab0b503eaa86e310a5db738", "hex");
        assert_eq!(code(hmac.clone()), "OBJECT_REQUIRED");
        hmac["hash"]["digest"] = "crc32".into();
        assert_eq!(code(hmac), "ENUM_MISMATCH");
        for (custom, expected) in [
            (json!({}), "OBJECT_REQUIRED"),
            (json!({ "algorithm": "md5" }), "OBJECT_REQUIRED"),
            (json!({ "algorithm": "md5", "hash": {} }), "OBJECT_REQUIRED"),
            (json!({ "algorithm": "md5", "hash": { "value": "00" } }), "OBJECT_REQUIRED"),
            (json!({ "algorithm": 5, "hash": {} }), "INVALID_TYPE"),
            (json!({ "algorithm": "rot13", "hash": { "value": "x" } }), "ENUM_MISMATCH"),
            (hash("md5", "900150983cd24fb0d6963f7d28e17f7", "hex"), "FORMAT"),
            (hash("md5", "900150983cd24fb0d6963f7d28e17f72aa", "hex"), "FORMAT"),
            (hash("md5", "zz0150983cd24fb0d6963f7d28e17f72", "hex"), "FORMAT"),
            (hash("md5", "é", "base64"), "FORMAT"),
            (hash("md5", "900150983cd24fb0d6963f7d28e17f72", "utf8"), "ENUM_MISMATCH"),
            (hash("bcrypt", "$2b$05$é", "utf8"), "PATTERN"),
            (
                hash("bcrypt", "$2x$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW", "utf8"),
                "PATTERN",
            ),
            (hash("argon2", "$argon2id$", "utf8"), "FORMAT"),
            (
                json!({ "algorithm": "argon2", "hash": { "value": "x" }, "salt": { "value": "x" } }),
                "NOT_PASSED",
            ),
            (json!({ "algorithm": "md5", "hash": { "value": "x" }, "made_up": 1 }), "NOT_PASSED"),
        ] {
            assert_eq!(code(custom.clone()), expected, "{custom}");
        }
        assert_eq!(bcrypt_hash(&"é".repeat(30)).unwrap_err().code, "PATTERN");
    }
}

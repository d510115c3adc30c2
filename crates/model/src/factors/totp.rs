//! Codes of an authenticator app: HMAC-SHA-1, six digits, thirty seconds (RFC 6238, RFC 4226), which is what every app knows.

use std::sync::LazyLock;

use aws_lc_rs::hmac;
use data_encoding::Encoding;
use db::{Batch, params};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::Factor;
use crate::clock::Timestamp;
use crate::ids::TenantId;
use crate::random::Random;
use crate::seal::same;
use crate::users::User;

/// Seconds that a code lasts.
const PERIOD: i64 = 30;

/// Digits of a code.
const DIGITS: usize = 6;

/// Steps before and after the present one whose codes are taken: a phone's clock is never quite right (RFC 6238 §5.2).
const DRIFT: i64 = 1;

/// The shortest seed that is taken, in bytes (RFC 4226 §4, R6).
const SHORTEST: usize = 16;

/// The shortest that is taken of another system: 80 bits were the custom of the first apps.
const SHORTEST_IMPORTED: usize = 10;

/// The longest seed that is taken, in bytes.
const LONGEST: usize = 64;

/// All but what RFC 3986 §2.3 leaves unreserved.
const COMPONENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// A new seed of 160 bits (RFC 4226 §4, R6).
pub fn new_seed(random: &Random) -> [u8; 20] {
    random.bytes()
}

/// A code as a person may type it: six digits, with blanks and hyphens between them and in any width.
pub fn typed(text: &str) -> Option<String> {
    let mut code = String::with_capacity(DIGITS);
    for char in text.chars().take(64) {
        match char {
            '0'..='9' => code.push(char),
            '\u{ff10}'..='\u{ff19}' => {
                code.extend(char::from_u32(u32::from(char) - 0xff10 + u32::from('0')));
            }
            char if char.is_whitespace() || char == '-' => {}
            _ => return None,
        }
    }
    (code.len() == DIGITS).then_some(code)
}

/// The step whose code this is, if it is one that may be used now and is after `last_step`.
///
/// Every step is compared, and each in constant time.
pub fn step_of(seed: &[u8], code: &str, last_step: i64, now: Timestamp) -> Option<i64> {
    let present = now.seconds().div_euclid(PERIOD);
    let mut found = None;
    for step in present - DRIFT..=present + DRIFT {
        if same(code_at(seed, step).as_bytes(), code.as_bytes()) && step > last_step {
            found = Some(step);
        }
    }
    found
}

impl Factor {
    /// [`step_of`] with what is known of this factor.
    pub fn step_of(&self, seed: &[u8], code: &str, now: Timestamp) -> Option<i64> {
        step_of(seed, code, self.last_step, now)
    }
}

/// The code of a time step (RFC 4226 §5.3).
pub fn code_at(seed: &[u8], step: i64) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, seed);
    let tag = hmac::sign(&key, &step.to_be_bytes());
    let tag = tag.as_ref();
    let offset = usize::from(tag[tag.len() - 1] & 0x0f);
    let mut number = [0; 4];
    number.copy_from_slice(&tag[offset..offset + 4]);
    format!("{:06}", (u32::from_be_bytes(number) & 0x7fff_ffff) % 1_000_000)
}

/// The code of a moment: what an app shows then.
pub fn code_now(seed: &[u8], now: Timestamp) -> String {
    code_at(seed, now.seconds().div_euclid(PERIOD))
}

/// Spends the code of a step, once: of two racing sign-ins with one code the other is a `Conflict` (RFC 6238 §5.2).
pub fn spend(batch: &mut Batch, tenant: &TenantId, factor: &Factor, step: i64, now: Timestamp) {
    batch
        .execute(
            "UPDATE factors SET last_step = $1, last_auth_at = $2
             WHERE tenant = $3 AND id = $4 AND last_step < $1 AND confirmed_at IS NOT NULL",
            params![step, now, tenant, &factor.id],
        )
        .expect(1);
}

/// Base32 as people and apps write it: in any case, without padding, with spaces between. Bits that make no byte are not looked at.
static BASE32: LazyLock<Encoding> = LazyLock::new(|| {
    let mut rules = data_encoding::BASE32_NOPAD.specification();
    rules.translate.from.push_str("abcdefghijklmnopqrstuvwxyz");
    rules.translate.to.push_str("ABCDEFGHIJKLMNOPQRSTUVWXYZ");
    rules.ignore.push(' ');
    rules.check_trailing_bits = false;
    rules.encoding().expect("these rules fit together")
});

/// A seed as people and apps write it: base32.
pub fn encode(seed: &[u8]) -> String {
    BASE32.encode(seed)
}

/// A seed from base32 in any case, with or without padding: 16 to 64 bytes.
pub fn decode(text: &str) -> Option<Vec<u8>> {
    decode_from(text, SHORTEST)
}

/// A seed that another system gave out, which may have been of 10 bytes: the app that holds it knows no other.
pub fn decode_imported(text: &str) -> Option<Vec<u8>> {
    decode_from(text, SHORTEST_IMPORTED)
}

fn decode_from(text: &str, shortest: usize) -> Option<Vec<u8>> {
    let text = text.trim_end_matches('=');
    if text.len() > LONGEST * 2 {
        return None;
    }
    let seed = BASE32.decode(text.as_bytes()).ok()?;
    (shortest..=LONGEST).contains(&seed.len()).then_some(seed)
}

/// How an app's list of accounts names the user's.
pub fn account(user: &User) -> String {
    user.email.clone().or_else(|| user.name.clone()).unwrap_or_else(|| user.id.to_string())
}

/// What the QR code holds: the key URI that authenticator apps read, for `account` at `issuer`.
pub fn key_uri(issuer: &str, account: &str, seed: &[u8]) -> String {
    // A colon separates the two.
    let part = |text: &str| {
        let text: String = text.chars().filter(|char| *char != ':').take(64).collect();
        utf8_percent_encode(&text, COMPONENT).to_string()
    };
    let (issuer, account) = (part(issuer), part(account));
    let secret = encode(seed);
    format!(
        "otpauth://totp/{issuer}:{account}?secret={secret}&issuer={issuer}&algorithm=SHA1&digits=6&period=30"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The seed of both RFCs' vectors.
    const SEED: &[u8] = b"12345678901234567890";

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_millis(seconds * 1000)
    }

    /// RFC 6238, Appendix B, SHA-1: the last six of its eight digits.
    #[test]
    fn rfc_6238_appendix_b() {
        for (seconds, code) in [
            (59, "287082"),
            (1_111_111_109, "081804"),
            (1_111_111_111, "050471"),
            (1_234_567_890, "005924"),
            (2_000_000_000, "279037"),
            (20_000_000_000, "353130"),
        ] {
            assert_eq!(code_now(SEED, at(seconds)), code);
        }
    }

    /// RFC 4226, Appendix D.
    #[test]
    fn rfc_4226_appendix_d() {
        let codes = [
            "755224", "287082", "359152", "969429", "338314", "254676", "287922", "162583", "399871",
            "520489",
        ];
        for (step, code) in (0..).zip(codes) {
            assert_eq!(code_at(SEED, step), code);
        }
    }

    #[test]
    fn a_seed_may_be_written_with_blanks_as_long_as_it_is_not_too_long() {
        let text = encode(&[7; LONGEST]);
        let padded = |length: usize| format!("{text}{}", " ".repeat(length - text.len()));
        assert_eq!(decode(&padded(LONGEST * 2)).as_deref(), Some(&[7; LONGEST][..]));
        assert_eq!(decode(&padded(LONGEST * 2 + 1)), None);
    }

    #[test]
    fn one_step_of_drift_is_taken_and_no_used_step() {
        let now = at(3000);
        for (step, taken) in [(98, false), (99, true), (100, true), (101, true), (102, false)] {
            let code = code_at(SEED, step);
            assert_eq!(step_of(SEED, &code, 0, now), taken.then_some(step));
            assert_eq!(step_of(SEED, &code, step, now), None, "it was used");
        }
        assert_eq!(step_of(SEED, &code_at(SEED, 99), 100, now), None, "a later one was used");
    }

    #[test]
    fn a_code_may_be_typed_in_more_ways_than_one() {
        for text in ["123456", " 123 456 ", "123-456", "１２３４５６", "123\u{a0}456"] {
            assert_eq!(typed(text).as_deref(), Some("123456"), "{text}");
        }
        for text in ["", "12345", "1234567", "0123456", "12345a", "١٢٣٤٥٦", "123.456"] {
            assert_eq!(typed(text), None, "{text}");
        }
    }

    /// RFC 4648 §10, without padding; decoding is tested on seeds, which are longer.
    #[test]
    fn base32_is_that_of_rfc_4648() {
        for (plain, text) in [
            ("", ""),
            ("f", "MY"),
            ("fo", "MZXQ"),
            ("foo", "MZXW6"),
            ("foob", "MZXW6YQ"),
            ("fooba", "MZXW6YTB"),
            ("foobar", "MZXW6YTBOI"),
        ] {
            assert_eq!(encode(plain.as_bytes()), text);
        }
        for length in SHORTEST..=LONGEST {
            let seed: Vec<u8> = (0..length).map(|at| u8::try_from(at * 37 % 256).unwrap()).collect();
            assert_eq!(decode(&encode(&seed)).as_deref(), Some(&*seed));
            assert_eq!(decode(&encode(&seed).to_lowercase()).as_deref(), Some(&*seed));
        }
        for bad in ["", "MZXW6YTBOI", "GEZDGNBVGY3TQOJQ1", &"A".repeat(500)] {
            assert_eq!(decode(bad), None, "{bad}");
        }
    }

    #[test]
    fn the_uri_names_issuer_and_account() {
        assert_eq!(
            key_uri("Acme: Shop", "a+b@example.com", SEED),
            "otpauth://totp/Acme%20Shop:a%2Bb%40example.com?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&issuer=Acme%20Shop\
             &algorithm=SHA1&digits=6&period=30"
        );
    }
}

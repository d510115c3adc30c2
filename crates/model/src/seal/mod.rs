//! Sealing of what must be read back, and digests of what must not.
//!
//! An envelope is `1 ‖ key id (4) ‖ salt (24) ‖ ciphertext ‖ tag (16)`: AES-256-GCM under a key and a nonce that
//! HKDF-SHA256 (RFC 5869) derives from the master key and the random salt. Each envelope has a key of its own, so no
//! counter is kept and none can run out. The context (`table/row/column`, or the purpose) is authenticated: an
//! envelope opens only where it was put.

mod master;
mod rewrap;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::digest::SHA256;
use aws_lc_rs::hkdf::{HKDF_SHA256, KeyType, Prk, Salt};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

pub use master::{MasterKey, MasterKeyError};
pub use rewrap::{Rewrapped, SEALED, SealedColumn, opens, rewrap, signing_keys_open};

use crate::random::Random;

const VERSION: u8 = 1;
const KEY_ID: usize = 4;
const SALT: usize = 24;
const TAG: usize = 16;
/// What stands before the ciphertext.
const HEADER: usize = 1 + KEY_ID + SALT;

/// Why an envelope does not open: it was changed, belongs elsewhere, or its master key is not here. Which of them is
/// not told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a sealed value does not open: another place, another master key, or changed")]
pub struct OpenError;

impl From<OpenError> for db::Error {
    fn from(error: OpenError) -> Self {
        db::Error::Failed(error.to_string())
    }
}

/// Seals under the newest master key and opens under any of them.
pub struct Sealer {
    /// The newest first.
    keys: Vec<DerivingKey>,
    /// Always the system's: a salt must not repeat even where a test repeats everything else.
    random: Random,
}

/// A master key, ready to derive.
struct DerivingKey {
    id: [u8; KEY_ID],
    derive: Prk,
}

impl Sealer {
    /// A sealer of the newest key and the older ones whose envelopes must still open.
    pub fn new(newest: &MasterKey, older: &[MasterKey]) -> Self {
        let keys = std::iter::once(newest).chain(older).map(DerivingKey::new).collect();
        Self { keys, random: Random::system() }
    }

    /// Seals `plain` for the place or purpose `context` (see [`context`]).
    pub fn seal(&self, context: &str, plain: &[u8]) -> Vec<u8> {
        let key = &self.keys[0];
        let salt: [u8; SALT] = self.random.bytes();
        let mut envelope = Vec::with_capacity(HEADER + plain.len() + TAG);
        envelope.push(VERSION);
        envelope.extend(key.id);
        envelope.extend(salt);
        let (cipher, nonce) = key.cipher(&salt);
        let aad = aad(&envelope, context);
        let mut body = plain.to_vec();
        cipher
            .seal_in_place_append_tag(nonce, Aad::from(aad), &mut body)
            .expect("AES-GCM takes any text that fits in memory");
        envelope.append(&mut body);
        envelope
    }

    /// Opens what was sealed for the same context.
    ///
    /// # Errors
    /// When the envelope was changed, sealed for another context, or under a master key that is not here.
    pub fn open(&self, context: &str, envelope: &[u8]) -> Result<Zeroizing<Vec<u8>>, OpenError> {
        let (header, body) = envelope.split_at_checked(HEADER).ok_or(OpenError)?;
        let (version, rest) = (header[0], &header[1..]);
        let (id, salt) = rest.split_at(KEY_ID);
        let key = self.keys.iter().find(|key| key.id == id).ok_or(OpenError)?;
        if version != VERSION {
            return Err(OpenError);
        }
        let (cipher, nonce) = key.cipher(salt);
        let mut plain = Zeroizing::new(body.to_vec());
        let length = cipher
            .open_in_place(nonce, Aad::from(aad(header, context)), &mut plain)
            .map_err(|_| OpenError)?
            .len();
        plain.truncate(length);
        Ok(plain)
    }

    /// Seals a text that travels, in a URL or a cookie: base64url.
    pub fn seal_text(&self, context: &str, plain: &str) -> String {
        URL_SAFE_NO_PAD.encode(self.seal(context, plain.as_bytes()))
    }

    /// Opens what `seal_text` made.
    ///
    /// # Errors
    /// As [`Sealer::open`], and when the text is not base64url of a sealed text.
    pub fn open_text(&self, context: &str, sealed: &str) -> Result<Zeroizing<String>, OpenError> {
        let envelope = URL_SAFE_NO_PAD.decode(sealed).map_err(|_| OpenError)?;
        let mut plain = self.open(context, &envelope)?;
        String::from_utf8(std::mem::take(&mut *plain)).map(Zeroizing::new).map_err(|_| OpenError)
    }

    /// Whether the envelope is under the newest master key.
    fn is_newest(&self, envelope: &[u8]) -> bool {
        envelope.get(..1 + KEY_ID).is_some_and(|start| start[0] == VERSION && start[1..] == self.keys[0].id)
    }
}

impl std::fmt::Debug for Sealer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sealer").field("keys", &self.keys.len()).finish_non_exhaustive()
    }
}

impl DerivingKey {
    fn new(master: &MasterKey) -> Self {
        let derive = Salt::new(HKDF_SHA256, b"doorward master key").extract(master.bytes());
        let mut id = [0; KEY_ID];
        expand(&derive, &[b"id"], &mut id);
        Self { id, derive }
    }

    /// The cipher and the nonce of the envelope with this salt.
    fn cipher(&self, salt: &[u8]) -> (LessSafeKey, Nonce) {
        let mut material = Zeroizing::new([0; 32 + 12]);
        expand(&self.derive, &[b"seal", salt], &mut *material);
        let key = UnboundKey::new(&AES_256_GCM, &material[..32]).expect("32 bytes are an AES-256 key");
        let nonce = Nonce::try_assume_unique_for_key(&material[32..]).expect("12 bytes are a nonce");
        (LessSafeKey::new(key), nonce)
    }
}

/// HKDF-Expand (RFC 5869 §2.3).
fn expand(derive: &Prk, info: &[&[u8]], out: &mut [u8]) {
    struct Length(usize);
    impl KeyType for Length {
        fn len(&self) -> usize {
            self.0
        }
    }
    derive
        .expand(info, Length(out.len()))
        .and_then(|material| material.fill(out))
        .expect("a few bytes are within what HKDF gives");
}

/// What is authenticated beside the plaintext: the header, which has a fixed length, and the context.
fn aad(header: &[u8], context: &str) -> Vec<u8> {
    [header, context.as_bytes()].concat()
}

/// The context of a sealed column: `table/row/column`, the row being its key's parts without the tenant's place
/// changing. `/` and `%` in a part are escaped, so that no two places have one context.
pub fn context(table: &str, row: &[&str], column: &str) -> String {
    let mut context = table.to_owned();
    for part in row {
        context.push('/');
        context.push_str(&part.replace('%', "%25").replace('/', "%2F"));
    }
    context.push('/');
    context.push_str(column);
    context
}

/// The SHA-256 of a secret that is compared but never read back: tokens, codes, tickets, session ids. They are
/// random, so no slow hash is needed.
pub fn digest(value: &str) -> [u8; 32] {
    let mut digest = [0; 32];
    digest.copy_from_slice(aws_lc_rs::digest::digest(&SHA256, value.as_bytes()).as_ref());
    digest
}

/// Whether two byte strings are the same, in a time that depends on their lengths only.
pub fn same(a: &[u8], b: &[u8]) -> bool {
    a.ct_eq(b).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sealer(seeds: &[u64]) -> Sealer {
        let keys: Vec<MasterKey> =
            seeds.iter().map(|seed| MasterKey::generate(&Random::seeded(*seed))).collect();
        Sealer::new(&keys[0], &keys[1..])
    }

    #[test]
    fn what_is_sealed_opens_in_its_place_only() {
        let sealer = sealer(&[1]);
        let envelope = sealer.seal("clients/t/c/secret", b"s3cret");
        assert_eq!(**sealer.open("clients/t/c/secret", &envelope).unwrap(), *b"s3cret");
        assert_eq!(sealer.open("clients/t/d/secret", &envelope), Err(OpenError));
        assert_eq!(sealer.open("", &envelope), Err(OpenError));
        assert!(!envelope.windows(6).any(|window| window == b"s3cret"));
    }

    #[test]
    fn every_changed_bit_is_noticed() {
        let sealer = sealer(&[1]);
        let envelope = sealer.seal("c", b"plain");
        for bit in 0..envelope.len() * 8 {
            let mut changed = envelope.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(sealer.open("c", &changed), Err(OpenError), "bit {bit}");
        }
        for length in 0..envelope.len() {
            assert_eq!(sealer.open("c", &envelope[..length]), Err(OpenError), "cut at {length}");
        }
    }

    #[test]
    fn one_plaintext_never_has_one_envelope() {
        let sealer = sealer(&[1]);
        let (one, two) = (sealer.seal("c", b"plain"), sealer.seal("c", b"plain"));
        assert_ne!(one[5..29], two[5..29], "the salts differ");
        assert_ne!(one[29..], two[29..]);
        assert_eq!(sealer.open("c", &sealer.seal("c", b"")).unwrap().len(), 0);
    }

    #[test]
    fn an_older_key_opens_and_a_strange_one_does_not() {
        let envelope = sealer(&[1]).seal("c", b"plain");
        let both = sealer(&[2, 1]);
        assert_eq!(**both.open("c", &envelope).unwrap(), *b"plain");
        assert!(!both.is_newest(&envelope));
        let again = both.seal("c", b"plain");
        assert!(both.is_newest(&again));
        assert_eq!(sealer(&[1]).open("c", &again), Err(OpenError), "sealed under the newest");
        assert_eq!(sealer(&[3]).open("c", &envelope), Err(OpenError));
    }

    #[test]
    fn a_sealed_text_travels_in_a_url() {
        let sealer = sealer(&[1]);
        let sealed = sealer.seal_text("login", "zähler");
        assert!(sealed.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_'));
        assert_eq!(*sealer.open_text("login", &sealed).unwrap(), "zähler");
        assert_eq!(sealer.open_text("other", &sealed), Err(OpenError));
        assert_eq!(sealer.open_text("login", "!"), Err(OpenError));
        let binary = URL_SAFE_NO_PAD.encode(sealer.seal("login", &[0xff]));
        assert_eq!(sealer.open_text("login", &binary), Err(OpenError));
    }

    #[test]
    fn contexts_of_different_rows_differ() {
        assert_eq!(context("clients", &["t", "c"], "secret"), "clients/t/c/secret");
        assert_ne!(context("t", &["a/b", "c"], "x"), context("t", &["a", "b/c"], "x"));
        assert_ne!(context("t", &["a/b"], "x"), context("t", &["a%2Fb"], "x"));
    }

    #[test]
    fn a_digest_is_sha_256() {
        let hex: String = digest("abc").iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        assert!(same(&digest("a"), &digest("a")));
        assert!(!same(b"a", b"b") && !same(b"a", b"ab"));
    }
}

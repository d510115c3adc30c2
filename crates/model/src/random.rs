//! Randomness, passed in like the clock. In production it is the operating system's by way of AWS-LC.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use aws_lc_rs::rand::{SecureRandom, SystemRandom};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

const ALPHANUMERIC: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

const DIGITS: &[u8; 10] = b"0123456789";

const UPPER_ALPHANUMERIC: &[u8; 36] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";

/// Without the four that look like others.
const BASE58: &[u8; 58] = b"123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";

/// A source of random values. Clones of a seeded source share its position.
#[derive(Clone, Debug)]
pub struct Random(Source);

#[derive(Clone, Debug)]
enum Source {
    System,
    Seeded { seed: u64, position: Arc<AtomicU64> },
}

impl Random {
    /// The operating system's generator.
    pub fn system() -> Self {
        Self(Source::System)
    }

    /// A repeatable sequence: for tests only.
    pub fn seeded(seed: u64) -> Self {
        Self(Source::Seeded { seed, position: Arc::default() })
    }

    /// Fills `bytes`.
    pub fn fill(&self, bytes: &mut [u8]) {
        match &self.0 {
            Source::System => {
                SystemRandom::new()
                    .fill(bytes)
                    .expect("the operating system's generator never fails once it runs");
            }
            Source::Seeded { seed, position } => {
                for chunk in bytes.chunks_mut(32) {
                    let mut input = [0; 16];
                    input[..8].copy_from_slice(&seed.to_be_bytes());
                    input[8..].copy_from_slice(&position.fetch_add(1, Ordering::Relaxed).to_be_bytes());
                    let block = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &input);
                    chunk.copy_from_slice(&block.as_ref()[..chunk.len()]);
                }
            }
        }
    }

    /// `N` random bytes.
    pub fn bytes<const N: usize>(&self) -> [u8; N] {
        let mut bytes = [0; N];
        self.fill(&mut bytes);
        bytes
    }

    /// An unguessable value of 256 bits, 43 characters of base64url.
    pub fn token(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.bytes::<32>())
    }

    /// `length` characters of `A-Za-z0-9`, each equally likely (about 5.95 bits a character).
    pub fn alphanumeric(&self, length: usize) -> String {
        self.characters(ALPHANUMERIC, length)
    }

    /// `length` digits, each equally likely (about 3.32 bits a digit).
    pub fn digits(&self, length: usize) -> String {
        self.characters(DIGITS, length)
    }

    /// `length` characters of `A-Z0-9`, each equally likely (about 5.17 bits a character).
    pub fn upper_alphanumeric(&self, length: usize) -> String {
        self.characters(UPPER_ALPHANUMERIC, length)
    }

    /// `length` characters of base58, each equally likely (about 5.86 bits a character).
    pub fn base58(&self, length: usize) -> String {
        self.characters(BASE58, length)
    }

    fn characters<const N: usize>(&self, alphabet: &[u8; N], length: usize) -> String {
        let mut text = String::with_capacity(length);
        // Bytes above the greatest multiple are thrown away, so that no character is favoured.
        let usable = 256 / N * N;
        while text.len() < length {
            let bytes = self.bytes::<32>().into_iter().map(usize::from).filter(|byte| *byte < usable);
            for byte in bytes.take(length - text.len()) {
                text.push(char::from(alphabet[byte % N]));
            }
        }
        text
    }

    /// `length` lower-case hexadecimal digits.
    pub fn hex(&self, length: usize) -> String {
        let mut bytes = vec![0; length.div_ceil(2)];
        self.fill(&mut bytes);
        let mut text: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        text.truncate(length);
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_repeats_and_its_values_differ() {
        let (one, two) = (Random::seeded(7), Random::seeded(7));
        let (first, second) = (one.token(), one.token());
        assert_ne!(first, second);
        assert_eq!(two.token(), first);
    }

    #[test]
    fn lengths_are_as_asked() {
        let random = Random::system();
        assert_eq!(random.alphanumeric(33).len(), 33);
        assert_eq!(random.upper_alphanumeric(24).len(), 24);
        assert_eq!(random.base58(22).len(), 22);
        assert_eq!(random.hex(24).len(), 24);
        assert_eq!(random.token().len(), 43);
    }
}

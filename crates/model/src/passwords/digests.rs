//! The hash functions of other systems, and what is built on them. SHA is AWS-LC's; what it lacks is RustCrypto's.

use std::num::NonZeroU32;

use aws_lc_rs::{digest, hmac as aws_hmac, pbkdf2 as aws_pbkdf2};
use hmac::digest::Digest as _;
use hmac::{KeyInit, Mac, SimpleHmac};
use md4::Md4;
use md5::Md5;
use ripemd::Ripemd160;
use serde::{Deserialize, Serialize};
use sha2::Sha224;
use whirlpool::Whirlpool;

/// A hash function.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Digest {
    Md4,
    Md5,
    Ripemd160,
    Sha1,
    Sha224,
    Sha256,
    Sha384,
    Sha512,
    Whirlpool,
}

impl Digest {
    /// By the name that an import gives.
    pub(super) fn parse(name: &str) -> Option<Self> {
        Some(match name {
            "md4" => Self::Md4,
            "md5" => Self::Md5,
            "ripemd160" => Self::Ripemd160,
            "sha1" => Self::Sha1,
            "sha224" => Self::Sha224,
            "sha256" => Self::Sha256,
            "sha384" => Self::Sha384,
            "sha512" => Self::Sha512,
            "whirlpool" => Self::Whirlpool,
            _ => return None,
        })
    }

    /// By one of the names that OpenSSL has for it: `RSA-SHA256`, `md5WithRSAEncryption`, `ssl3-sha1`, `rmd160`, …
    pub(super) fn parse_openssl(name: &str) -> Option<Self> {
        let name = name.to_ascii_lowercase();
        let name = name.strip_prefix("rsa-").or(name.strip_prefix("ssl3-")).unwrap_or(&name);
        let name = name.strip_suffix("withrsaencryption").or(name.strip_suffix("withrsa")).unwrap_or(name);
        match name {
            "ripemd" | "rmd160" => Some(Self::Ripemd160),
            "sha1-2" => Some(Self::Sha1),
            name => Self::parse(name),
        }
    }

    /// Bytes of a hash.
    pub(super) fn length(self) -> usize {
        match self {
            Self::Md4 | Self::Md5 => 16,
            Self::Ripemd160 | Self::Sha1 => 20,
            Self::Sha224 => 28,
            Self::Sha256 => 32,
            Self::Sha384 => 48,
            Self::Sha512 | Self::Whirlpool => 64,
        }
    }

    /// The hash.
    pub(super) fn of(self, data: &[u8]) -> Vec<u8> {
        let sha = |algorithm| digest::digest(algorithm, data).as_ref().to_vec();
        match self {
            Self::Md4 => Md4::digest(data).to_vec(),
            Self::Md5 => Md5::digest(data).to_vec(),
            Self::Ripemd160 => Ripemd160::digest(data).to_vec(),
            Self::Whirlpool => Whirlpool::digest(data).to_vec(),
            Self::Sha1 => sha(&digest::SHA1_FOR_LEGACY_USE_ONLY),
            Self::Sha224 => sha(&digest::SHA224),
            Self::Sha256 => sha(&digest::SHA256),
            Self::Sha384 => sha(&digest::SHA384),
            Self::Sha512 => sha(&digest::SHA512),
        }
    }

    /// HMAC (RFC 2104).
    pub(super) fn hmac(self, key: &[u8], data: &[u8]) -> Vec<u8> {
        macro_rules! rustcrypto {
            ($hash:ty) => {{
                let mut mac =
                    SimpleHmac::<$hash>::new_from_slice(key).expect("HMAC takes a key of any length");
                mac.update(data);
                mac.finalize().into_bytes().to_vec()
            }};
        }
        let sha = |algorithm| aws_hmac::sign(&aws_hmac::Key::new(algorithm, key), data).as_ref().to_vec();
        match self {
            Self::Md4 => rustcrypto!(Md4),
            Self::Md5 => rustcrypto!(Md5),
            Self::Ripemd160 => rustcrypto!(Ripemd160),
            Self::Whirlpool => rustcrypto!(Whirlpool),
            Self::Sha1 => sha(aws_hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY),
            Self::Sha224 => sha(aws_hmac::HMAC_SHA224),
            Self::Sha256 => sha(aws_hmac::HMAC_SHA256),
            Self::Sha384 => sha(aws_hmac::HMAC_SHA384),
            Self::Sha512 => sha(aws_hmac::HMAC_SHA512),
        }
    }

    /// PBKDF2 (RFC 8018 §5.2) with HMAC.
    pub(super) fn pbkdf2(self, password: &[u8], salt: &[u8], rounds: NonZeroU32, length: usize) -> Vec<u8> {
        let mut output = vec![0; length];
        let mut sha = |algorithm| aws_pbkdf2::derive(algorithm, rounds, salt, password, &mut output);
        match self {
            Self::Sha1 => sha(aws_pbkdf2::PBKDF2_HMAC_SHA1),
            Self::Sha256 => sha(aws_pbkdf2::PBKDF2_HMAC_SHA256),
            Self::Sha384 => sha(aws_pbkdf2::PBKDF2_HMAC_SHA384),
            Self::Sha512 => sha(aws_pbkdf2::PBKDF2_HMAC_SHA512),
            Self::Md4 => pbkdf2::pbkdf2_hmac::<Md4>(password, salt, rounds.get(), &mut output),
            Self::Md5 => pbkdf2::pbkdf2_hmac::<Md5>(password, salt, rounds.get(), &mut output),
            Self::Ripemd160 => {
                pbkdf2::pbkdf2_hmac::<Ripemd160>(password, salt, rounds.get(), &mut output);
            }
            Self::Sha224 => pbkdf2::pbkdf2_hmac::<Sha224>(password, salt, rounds.get(), &mut output),
            Self::Whirlpool => {
                pbkdf2::pbkdf2_hmac::<Whirlpool>(password, salt, rounds.get(), &mut output);
            }
        }
        output
    }
}

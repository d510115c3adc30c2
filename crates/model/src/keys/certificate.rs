//! The self-signed certificate that stands beside a public key, and the forms in which it is shown.

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair, SerialNumber, date_time_ymd};

use crate::clock::Timestamp;
use crate::jose::KeyError;

/// How long a certificate lasts. Nobody checks it: the key's state counts.
const LIFETIME_DAYS: i64 = 5_000;

/// An X.509 certificate in DER.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate(Vec<u8>);

impl Certificate {
    /// Signs a certificate of the private key with itself; its common name is `host` without a port, cut at the 64
    /// characters that X.520 allows.
    pub(super) fn self_signed(
        host: &str,
        pkcs8: &[u8],
        mut serial: [u8; 16],
        now: Timestamp,
    ) -> Result<Self, KeyError> {
        const FAILED: KeyError = KeyError("the certificate could not be made");
        // RFC 5280 §4.1.2.2: positive.
        serial[0] = serial[0] & 0x7f | 0x40;
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, common_name(host));
        params.serial_number = Some(SerialNumber::from_slice(&serial));
        let [from, to] = [now, now.plus_seconds(LIFETIME_DAYS * 86_400)].map(|moment| {
            let (year, month, day) = day(moment);
            date_time_ymd(year, month, day)
        });
        (params.not_before, params.not_after) = (from, to);
        let pair = KeyPair::try_from(pkcs8).map_err(|_| FAILED)?;
        let certificate = params.self_signed(&pair).map_err(|_| FAILED)?;
        Ok(Self(certificate.der().to_vec()))
    }

    /// A certificate of any host.
    #[cfg(test)]
    pub(crate) fn for_tests(host: &str, pkcs8: &[u8], now: Timestamp) -> Self {
        Self::self_signed(host, pkcs8, [1; 16], now).expect("it is a key")
    }

    /// Reads the first element of an `x5c` member.
    pub(super) fn from_x5c(x5c: &serde_json::Value) -> Option<Self> {
        STANDARD.decode(x5c.get(0)?.as_str()?).ok().map(Self)
    }

    /// DER.
    pub fn der(&self) -> &[u8] {
        &self.0
    }

    /// An element of `x5c`: base64 of the DER (RFC 7517 §4.7).
    pub(super) fn base64(&self) -> String {
        STANDARD.encode(&self.0)
    }

    /// `x5t`: base64url of the SHA-1 of the DER (RFC 7517 §4.8).
    pub(super) fn x5t(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.sha1())
    }

    /// PEM, with the line ends that the Management API uses.
    pub fn pem(&self) -> String {
        pem("CERTIFICATE", &self.0)
    }

    /// The certificate alone in a PKCS #7 message without content or signers (RFC 2315 §9.1), as PEM.
    pub fn pkcs7(&self) -> String {
        const SIGNED_DATA: &[u8] = &[0x06, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 7, 2];
        const DATA: &[u8] = &[0x06, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 7, 1];
        const VERSION_1: &[u8] = &[0x02, 1, 1];
        let no_digests = tlv(SET, &[]);
        let no_content = tlv(SEQUENCE, &[DATA]);
        let certificates = tlv(CONTEXT_0, &[&self.0]);
        let no_signers = tlv(SET, &[]);
        let signed = tlv(SEQUENCE, &[VERSION_1, &no_digests, &no_content, &certificates, &no_signers]);
        pem("PKCS7", &tlv(SEQUENCE, &[SIGNED_DATA, &tlv(CONTEXT_0, &[&signed])]))
    }

    /// The SHA-1 of the DER as `CC:FB:…`.
    pub fn fingerprint(&self) -> String {
        self.sha1().map(|byte| format!("{byte:02X}")).join(":")
    }

    /// The SHA-1 of the DER as `CCFB…`.
    pub fn thumbprint(&self) -> String {
        self.sha1().map(|byte| format!("{byte:02X}")).concat()
    }

    fn sha1(&self) -> [u8; 20] {
        let mut sha1 = [0; 20];
        sha1.copy_from_slice(digest(&SHA1_FOR_LEGACY_USE_ONLY, &self.0).as_ref());
        sha1
    }
}

const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
const CONTEXT_0: u8 = 0xa0;

/// An ASN.1 value in DER: tag, length, contents (X.690 §8.1).
fn tlv(tag: u8, contents: &[&[u8]]) -> Vec<u8> {
    let contents = contents.concat();
    let length = contents.len().to_be_bytes();
    let significant = &length[length.iter().position(|byte| *byte != 0).unwrap_or(length.len() - 1)..];
    let mut out = vec![tag];
    if contents.len() >= 0x80 {
        out.push(0x80 | significant.len() as u8);
    }
    out.extend_from_slice(significant);
    out.extend(contents);
    out
}

/// RFC 7468 §2 with CRLF, and without a last line end.
fn pem(label: &str, der: &[u8]) -> String {
    let text = STANDARD.encode(der);
    let mut lines = vec![format!("-----BEGIN {label}-----")];
    lines.extend(text.as_bytes().chunks(64).map(|line| line.iter().copied().map(char::from).collect()));
    lines.push(format!("-----END {label}-----"));
    lines.join("\r\n")
}

fn common_name(host: &str) -> String {
    let is_port = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let name = host.rsplit_once(':').filter(|(_, port)| is_port(port)).map_or(host, |(name, _)| name);
    name.chars().take(64).collect()
}

/// Year, month and day, in UTC.
fn day(moment: Timestamp) -> (i32, u8, u8) {
    let moment = jiff::Timestamp::from_millisecond(moment.millis()).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
    let date = moment.to_zoned(jiff::tz::TimeZone::UTC).date();
    (i32::from(date.year()), date.month().unsigned_abs(), date.day().unsigned_abs())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jose::{Algorithm, SigningKey};

    const NOW: Timestamp = Timestamp::from_millis(1_700_000_000_000);

    fn certificate(algorithm: Algorithm) -> (Certificate, SigningKey) {
        let der = SigningKey::generate(algorithm).unwrap();
        let certificate = Certificate::self_signed("tenant.example", &der, [0xff; 16], NOW).unwrap();
        (certificate, SigningKey::from_pkcs8(algorithm, None, &der).unwrap())
    }

    fn contains(der: &[u8], part: &[u8]) -> bool {
        der.windows(part.len()).any(|window| window == part)
    }

    #[test]
    fn a_certificate_is_signed_by_the_key_it_holds() {
        let (certificate, key) = certificate(Algorithm::RS256);
        let der = certificate.der();
        // SEQUENCE { what is signed, algorithm, BIT STRING }: both outer headers have four bytes, and the signature ends it.
        assert_eq!((der[0], der[1], der[4], der[5]), (SEQUENCE, 0x82, SEQUENCE, 0x82));
        let signed = &der[4..8 + usize::from(u16::from_be_bytes([der[6], der[7]]))];
        assert!(key.verifying_key().unwrap().verifies(signed, &der[der.len() - 256..]));
        let modulus = URL_SAFE_NO_PAD.decode(key.public_jwk()["n"].as_str().unwrap()).unwrap();
        assert!(contains(signed, &modulus));
        assert!(contains(signed, b"tenant.example"));
        assert!(contains(signed, b"231114000000Z") && contains(signed, b"370723000000Z"), "its days");
    }

    #[test]
    fn every_public_key_algorithm_has_one() {
        for algorithm in [Algorithm::PS256, Algorithm::ES256, Algorithm::EdDSA] {
            assert!(contains(certificate(algorithm).0.der(), b"tenant.example"), "{algorithm:?}");
        }
    }

    #[test]
    fn the_common_name_is_the_host_alone_and_not_too_long() {
        assert_eq!(common_name("tenant.example"), "tenant.example");
        assert_eq!(common_name("localhost:3000"), "localhost");
        assert_eq!(common_name("[::1]:443"), "[::1]");
        assert_eq!(common_name(&"h".repeat(80)), "h".repeat(64));
    }

    #[test]
    fn digests_and_pem_have_the_published_shapes() {
        let certificate = Certificate(b"abc".to_vec());
        assert_eq!(certificate.thumbprint(), "A9993E364706816ABA3E25717850C26C9CD0D89D");
        assert_eq!(certificate.fingerprint(), "A9:99:3E:36:47:06:81:6A:BA:3E:25:71:78:50:C2:6C:9C:D0:D8:9D");
        assert_eq!(certificate.x5t(), "qZk-NkcGgWq6PiVxeFDCbJzQ2J0");
        assert_eq!(certificate.pem(), "-----BEGIN CERTIFICATE-----\r\nYWJj\r\n-----END CERTIFICATE-----");
        let long = Certificate(vec![0; 60]).pem();
        assert_eq!(long.lines().map(str::len).collect::<Vec<_>>(), [27, 64, 16, 25]);
    }

    #[test]
    fn a_pkcs7_message_holds_the_certificate_and_nothing_else() {
        let pem = Certificate(vec![0x30, 0]).pkcs7();
        let text: String = pem.lines().filter(|line| !line.starts_with("-----")).collect();
        assert_eq!(pem.lines().next(), Some("-----BEGIN PKCS7-----"));
        let expected = [
            &[0x30, 0x27][..],
            &[0x06, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 7, 2],
            &[0xa0, 0x1a, 0x30, 0x18, 0x02, 1, 1, 0x31, 0],
            &[0x30, 11, 0x06, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 7, 1],
            &[0xa0, 2, 0x30, 0, 0x31, 0],
        ]
        .concat();
        assert_eq!(STANDARD.decode(text).unwrap(), expected);
    }

    #[test]
    fn lengths_are_der() {
        for (length, header) in [
            (0, vec![SET, 0]),
            (127, vec![SET, 127]),
            (128, vec![SET, 0x81, 128]),
            (300, vec![SET, 0x82, 1, 44]),
        ] {
            let out = tlv(SET, &[&vec![7; length]]);
            assert_eq!((&out[..header.len()], out.len()), (&header[..], header.len() + length));
        }
    }
}

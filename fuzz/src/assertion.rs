use std::sync::OnceLock;

use model::jose::SigningKey;
use percent_encoding::{NON_ALPHANUMERIC, percent_encode};

use super::product::{FORM, ISSUER, Product, SECRET, integer, is_for, part, split, text, token, whole};

/// Client assertions at `/oauth/revoke`, where nothing but the client decides: the first line is the header, the rest are the claims, and
/// the signature is that of the client's secret. The input is taken for a whole assertion too.
pub fn assertion(data: &[u8]) -> bool {
    static KEY: OnceLock<SigningKey> = OnceLock::new();
    let product = Product::get();
    let key = KEY.get_or_init(|| SigningKey::hs256(None, SECRET.as_bytes()));
    let (header, claims) = split(data);
    let signed = token(key, header, &product.fill(claims, &[]));
    let taken = shown(product, signed.as_bytes());
    if let Some(whole) = whole(data) {
        shown(product, whole.as_bytes());
    }
    taken
}

/// Whether the client is known by the assertion: then it holds, and proves nothing a second time.
fn shown(product: &Product, assertion: &[u8]) -> bool {
    let body = format!(
        "token=a&client_assertion={}&client_assertion_type=urn%3Aietf%3Aparams%3Aoauth%3Aclient-assertion-type%3Ajwt-bearer",
        percent_encode(assertion, NON_ALPHANUMERIC)
    );
    let answer = || product.send("POST", b"/oauth/revoke", &[FORM], body.as_bytes()).expect("is a request");
    let first = answer();
    if first.status != 200 {
        assert!(matches!(first.status, 400 | 401), "{}: {}", first.status, first.text);
        return false;
    }
    holds(product, std::str::from_utf8(assertion).expect("is text"));
    assert_eq!(answer().status, 401, "it is taken twice");
    true
}

/// RFC 7523 §3, of an assertion that was accepted.
fn holds(product: &Product, assertion: &str) {
    let (header, claims) = (part(assertion, 0), part(assertion, 1));
    assert_eq!(text(&header, "alg"), "HS256");
    assert!(!header.contains_key("crit") && !header.contains_key("jwk"), "{header:?}");
    assert_eq!((text(&claims, "iss"), text(&claims, "sub")), ("signed", "signed"));
    let audiences = [ISSUER, ISSUER.trim_end_matches('/'), "https://id.test/oauth/token"];
    assert!(audiences.iter().any(|audience| is_for(&claims, audience)), "{claims:?}");
    let now = product.app.clock.now().seconds();
    assert!(integer(&claims, "exp").is_some_and(|exp| exp > now && exp <= now + 310), "{claims:?}");
    for name in ["iat", "nbf"] {
        assert!(claims.get(name).is_none_or(|at| at.as_i64().is_some_and(|at| at <= now + 10)), "{claims:?}");
    }
    assert!((1..=64).contains(&text(&claims, "jti").len()), "{claims:?}");
}

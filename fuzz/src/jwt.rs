use std::sync::OnceLock;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use model::jose::{
    Algorithm, SigningKey, Verified, VerifyingKey, verify_jwt, verify_jwt_of_any_age, verify_jwt_of_client,
    verify_jwt_unaddressed,
};
use serde_json::{Map, Value};

use super::product::{ISSUER, Product, SECRET, USER, integer, is_for, part, split, text, token, whole};

/// What no header of a token that counts may hold.
const REFUSED: [&str; 8] = ["jwk", "jku", "x5u", "x5c", "crit", "b64", "zip", "enc"];

/// Tokens that come to us: the first line is the header, the rest are the claims, and the signatures are good, as an HMAC and as one of
/// Ed25519. The input is taken for a whole token too. The parser is called directly; claims that it takes are then signed by the tenant,
/// and shown to `/userinfo`, the Management API and the logout.
pub fn jwt(data: &[u8]) -> bool {
    let product = Product::get();
    let keys = Keys::get();
    let (header, claims) = split(data);
    let claims = product.fill(claims, &[]);
    let mut taken = false;
    // The dear one only where the header wants it: what names neither is not verified by either.
    let dear = header.windows(5).any(|window| window == b"EdDSA");
    for key in &keys.signing[..1 + usize::from(dear)] {
        taken |= verified(product, keys, &token(key, header, &claims), Some(key.algorithm()));
    }
    if let Some(whole) = whole(data) {
        verified(product, keys, whole, None);
    }
    if let Some(claims) = serde_json::from_slice(&claims).ok().filter(|_| taken) {
        show(product, &claims);
    }
    taken
}

struct Keys {
    signing: [SigningKey; 2],
    verifying: Vec<VerifyingKey>,
}

impl Keys {
    fn get() -> &'static Self {
        static KEYS: OnceLock<Keys> = OnceLock::new();
        KEYS.get_or_init(|| {
            let pkcs8 = SigningKey::generate(Algorithm::EdDSA).expect("is made");
            let signing = [
                SigningKey::hs256(None, SECRET.as_bytes()),
                SigningKey::from_pkcs8(Algorithm::EdDSA, None, &pkcs8).expect("is a key"),
            ];
            let verifying = signing.iter().map(|key| key.verifying_key().expect("is a key")).collect();
            Self { signing, verifying }
        })
    }
}

/// Whether the strictest of the ways to verify takes the token. What it takes the others take too, and read alike.
fn verified(product: &Product, keys: &Keys, token: &str, signed_with: Option<Algorithm>) -> bool {
    let now = product.app.clock.now();
    let strictest = verify_jwt(token, &keys.verifying, now).ok();
    let others = [
        verify_jwt_of_any_age(token, &keys.verifying, now).ok(),
        verify_jwt_unaddressed(token, &keys.verifying, now).ok(),
        verify_jwt_of_client(token, &keys.verifying).ok(),
    ];
    for other in &others {
        assert!(other.is_some() || strictest.is_none(), "{token} is taken by the strictest alone");
    }
    for verified in others.iter().chain([&strictest]).flatten() {
        honest(keys, token, verified, signed_with);
    }
    let Some(strictest) = strictest else { return false };
    let (claims, second) = (&strictest.claims, now.seconds());
    assert!(integer(claims, "exp").is_some_and(|exp| exp > second), "{token} has ended");
    for begins in ["iat", "nbf"].iter().filter_map(|name| claims.get(*name)) {
        assert!(begins.as_i64().is_some_and(|begins| begins <= second + 60), "{token} has not begun");
    }
    assert!(claims["iss"].is_string() && claims["sub"].is_string());
    assert!(
        claims["aud"].is_string()
            || claims["aud"].as_array().is_some_and(|several| several.iter().all(Value::is_string))
    );
    true
}

/// What was verified is what the token says to whoever reads it, signed by the key whose algorithm it names, and spelled in the one way
/// that there is.
fn honest(keys: &Keys, token: &str, verified: &Verified, signed_with: Option<Algorithm>) {
    let (header, claims) = (part(token, 0), part(token, 1));
    assert_eq!(claims, verified.claims);
    assert_eq!(text(&header, "alg"), verified.header.alg.name());
    assert!(signed_with.is_none_or(|algorithm| algorithm == verified.header.alg), "{token}");
    assert!(!REFUSED.iter().any(|name| header.contains_key(*name)), "{token}");
    assert!(header.get("kid").is_none(), "{token} names a key, and ours have no names");
    let key = keys.signing.iter().find(|key| key.algorithm() == verified.header.alg).expect("is one of ours");
    let (signed, signature) = token.rsplit_once('.').expect("has a signature");
    assert_eq!(URL_SAFE_NO_PAD.encode(key.sign(signed.as_bytes()).expect("signs")), signature);
}

/// Shows the claims, signed, where tokens are taken. What is told is told to whom it belongs.
fn show(product: &Product, claims: &Map<String, Value>) {
    let token = product.signed(claims);
    let bearer = format!("Bearer {token}");
    let authorization: [(&str, &[u8]); 1] = [("authorization", bearer.as_bytes())];
    let scopes: Vec<_> = text(claims, "scope").split_ascii_whitespace().collect();
    let holds = |audience: &str| {
        assert_eq!(text(claims, "iss"), ISSUER);
        assert!(is_for(claims, audience) && claims.contains_key("iat"), "{claims:?}");
        assert!(claims.get("cnf").is_none(), "{claims:?} is bound to a key that was not shown");
    };
    let told = product.send("GET", b"/userinfo", &authorization, b"").expect("is a request");
    if told.status == 200 {
        holds("https://id.test/userinfo");
        assert!(scopes.contains(&"openid") && text(claims, "sub") == USER, "{claims:?}");
        let told: Value = serde_json::from_str(&told.text).expect("is JSON");
        assert_eq!(told["sub"], USER);
    }
    let read =
        product.send("GET", b"/api/v2/users/auth0%7Calice", &authorization, b"").expect("is a request");
    if read.status == 200 {
        holds("https://id.test/api/v2/");
        let own = scopes.contains(&"read:current_user") && text(claims, "sub") == USER;
        let machine = scopes.contains(&"read:users") && !text(claims, "azp").is_empty();
        assert!(own || machine, "{claims:?}");
    }
    let own =
        product.send("GET", b"/me/v1/authentication-methods", &authorization, b"").expect("is a request");
    if own.status == 200 {
        holds("https://id.test/me/");
        assert_eq!(text(claims, "sub"), USER);
    }
    product.send("GET", format!("/oidc/logout?id_token_hint={token}").as_bytes(), &[], b"");
}

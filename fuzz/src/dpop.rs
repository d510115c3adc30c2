use std::sync::OnceLock;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use model::jose::{Algorithm, SigningKey, thumbprint};
use model::proof_of_possession::{self as proofs, Expected, ProofError};
use model::seal::digest;
use serde_json::{Map, Value, json};
use url::Url;

use super::product::{ISSUER, Product, USER, integer, part, split, text, token, whole};

const TOKEN_ENDPOINT: &str = "https://id.test/oauth/token";
const USERINFO: &str = "https://id.test/userinfo";

/// Proofs of possession: the first line is the header, the rest are the claims, and the signature is good. `KEY` in the header stands for
/// the key that signed; `ATH` for the hash of the token beside it and `NONCE` for a nonce of ours, in the claims. The input is taken for a
/// whole proof too. The check is called directly, as the token endpoint calls it, and `/userinfo` is shown the proof beside a token that is
/// bound to the key.
pub fn dpop(data: &[u8]) -> bool {
    let product = Product::get();
    let holder = Holder::get();
    let (header, claims) = split(data);
    let nonce = proofs::nonce(&product.app, &product.tenant.id);
    let words = [("KEY", holder.jwk.as_str()), ("ATH", holder.hash.as_str()), ("NONCE", nonce.as_str())];
    let header = product.fill(header, &words[..1]);
    let claims = product.fill(claims, &words[1..]);
    let proof = token(&holder.key, &header, &claims);
    let mut taken = accepted(product, &proof, &nonce);
    if let Some(whole) = whole(data) {
        taken |= accepted(product, whole, &nonce);
    }
    let beside_a_token = claims.windows(3).any(|window| window == b"ath");
    taken || beside_a_token && told(product, holder, &proof)
}

/// Somebody who holds a key, and a token that is bound to it.
struct Holder {
    key: SigningKey,
    jwk: String,
    thumbprint: String,
    token: String,
    hash: String,
}

impl Holder {
    fn get() -> &'static Self {
        static HOLDER: OnceLock<Holder> = OnceLock::new();
        HOLDER.get_or_init(|| {
            let product = Product::get();
            let pkcs8 = SigningKey::generate(Algorithm::ES256).expect("is made");
            let key = SigningKey::from_pkcs8(Algorithm::ES256, None, &pkcs8).expect("is a key");
            let jwk = key.public_jwk();
            let thumbprint = thumbprint(&jwk).expect("is a key");
            let now = product.app.clock.now().seconds();
            let claims = json!({
                "iss": ISSUER,
                "sub": USER,
                "aud": [USERINFO],
                "iat": now,
                "exp": now + 7200,
                "scope": "openid",
                "azp": "page",
                "cnf": { "jkt": thumbprint },
            });
            let token = product.signed(claims.as_object().expect("is one"));
            let hash = URL_SAFE_NO_PAD.encode(digest(&token));
            Self { key, jwk: Value::Object(jwk).to_string(), thumbprint, token, hash }
        })
    }
}

/// Whether the token endpoint takes the proof: then it holds, and is not taken again.
fn accepted(product: &Product, proof: &str, nonce: &str) -> bool {
    let wanted = Expected {
        method: "POST",
        url: TOKEN_ENDPOINT,
        access_token: None,
        nonce: proof.len().is_multiple_of(2),
    };
    let check = || product.wait(proofs::check(&product.app, &product.tenant, proof, wanted));
    match check() {
        Ok(jkt) => {
            let claims = holds(product, proof, &jkt, "POST", TOKEN_ENDPOINT);
            assert!(
                claims.get("nonce").is_none_or(|given| given == nonce)
                    && (claims.contains_key("nonce") || !wanted.nonce),
                "{claims:?}"
            );
            assert!(matches!(check(), Err(ProofError::Invalid(_))), "{proof} is taken twice");
            true
        }
        Err(ProofError::Failed(error)) => panic!("{error}"),
        Err(_) => false,
    }
}

/// Whether `/userinfo` takes the proof beside the holder's token.
fn told(product: &Product, holder: &Holder, proof: &str) -> bool {
    let authorization = format!("DPoP {}", holder.token);
    let headers: [(&str, &[u8]); 2] =
        [("authorization", authorization.as_bytes()), ("dpop", proof.as_bytes())];
    let told = product.send("GET", b"/userinfo", &headers, b"").is_some_and(|answer| answer.status == 200);
    if told {
        let claims = holds(product, proof, &holder.thumbprint, "GET", USERINFO);
        assert_eq!(text(&claims, "ath"), holder.hash);
        let again = product.send("GET", b"/userinfo", &headers, b"").expect("is a request");
        assert_eq!(again.status, 401, "{proof} is taken twice");
    }
    told
}

/// RFC 9449 §4.3, of a proof that was accepted. Its claims.
fn holds(product: &Product, proof: &str, jkt: &str, method: &str, url: &str) -> Map<String, Value> {
    let (header, claims) = (part(proof, 0), part(proof, 1));
    assert_eq!((text(&header, "typ"), text(&header, "alg")), ("dpop+jwt", "ES256"));
    let jwk = header["jwk"].as_object().expect("brings a key");
    assert!(!jwk.contains_key("d") && !header.contains_key("crit"), "{header:?}");
    assert_eq!(thumbprint(jwk).as_deref(), Some(jkt));
    assert_eq!(text(&claims, "htm"), method);
    let (given, own) =
        (Url::parse(text(&claims, "htu")).expect("is a URL"), Url::parse(url).expect("is a URL"));
    assert_eq!(
        (given.origin(), given.path(), given.username()),
        (own.origin(), own.path(), ""),
        "{claims:?}"
    );
    let (now, made) = (product.app.clock.now().seconds(), integer(&claims, "iat").expect("has its time"));
    assert!(made > now - 300 && made <= now + 60, "{claims:?}");
    assert!((1..=128).contains(&text(&claims, "jti").len()), "{claims:?}");
    claims
}

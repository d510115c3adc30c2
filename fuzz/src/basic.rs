use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use percent_encoding::percent_decode_str;

use super::product::{FORM, Product, SECRET};

/// The `Authorization` header of a client at `/oauth/revoke`, where nothing but the client decides: as it comes, and with the input as what
/// stands in it encoded.
pub fn basic(data: &[u8]) -> bool {
    let product = Product::get();
    let encoded = [b"Basic ", STANDARD.encode(data).as_bytes()].concat();
    shown(product, data) | shown(product, &encoded)
}

/// Whether the client is known by the header: then it names a client and its secret, or the client that has none.
fn shown(product: &Product, header: &[u8]) -> bool {
    let headers = [FORM, ("authorization", header)];
    let Some(answer) = product.send("POST", b"/oauth/revoke", &headers, b"token=a") else { return false };
    if answer.status != 200 {
        assert_eq!(answer.status, 401, "{}", answer.text);
        assert!(answer.text.contains("\"error\":\"invalid_client\""), "{}", answer.text);
        return false;
    }
    let header = std::str::from_utf8(header).expect("is text");
    let (scheme, encoded) = header.split_once(' ').expect("has a scheme");
    assert!(scheme.eq_ignore_ascii_case("basic"), "{header}");
    let pair = STANDARD.decode(encoded.trim()).expect("is encoded");
    let pair = std::str::from_utf8(&pair).expect("is text");
    let (client, secret) = pair.split_once(':').expect("is a pair");
    let [client, secret] = [client, secret].map(decoded);
    assert!(
        client == "page" || ["web", "post", "signed"].contains(&client.as_str()) && secret == SECRET,
        "{pair}"
    );
    true
}

/// As a form's value is decoded, leniently.
fn decoded(text: &str) -> String {
    percent_decode_str(&text.replace('+', " ")).decode_utf8().expect("is text").into_owned()
}

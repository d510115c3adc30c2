//! HTTP Basic (RFC 6749 §2.3.1).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::Shown;
use crate::params;

/// Reads `Basic base64(urlencode(id):urlencode(secret))` (RFC 6749 §2.3.1).
pub(super) fn parse(value: &str) -> Option<Shown> {
    let (scheme, encoded) = value.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let decoded = String::from_utf8(STANDARD.decode(encoded.trim()).ok()?).ok()?;
    let (id, secret) = decoded.split_once(':')?;
    let (client_id, secret) = (params::decode(id).ok()?, params::decode(secret).ok()?);
    let usable = !client_id.is_empty() && !client_id.contains('\0');
    usable.then(|| Shown { client_id, secret: Some(secret).filter(|secret| !secret.is_empty()), basic: true })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn basic(pair: &str) -> String {
        format!("Basic {}", STANDARD.encode(pair))
    }

    #[test]
    fn basic_is_decoded_and_then_form_decoded() {
        let parsed = parse(&basic("a%3Ab:s%2Bt+u")).unwrap();
        assert_eq!((parsed.client_id.as_str(), parsed.secret.as_deref()), ("a:b", Some("s+t u")));
        for bad in [
            "Basic",
            "Basic !!!",
            "Bearer abc",
            &basic("no-colon"),
            &basic(":s"),
            &basic("a:%zz"),
            &basic("%00:s"),
        ] {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }
}

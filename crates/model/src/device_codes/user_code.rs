//! The code that a person reads on a device and types elsewhere (RFC 8628 §6.1): how it is made, shown and typed.

use serde_json::Value as Json;

use crate::random::Random;
use crate::tenants::Settings;

/// Consonants: no words come of them, and none looks like a digit.
const BASE20: &[u8] = b"BCDFGHJKLMNPQRSTVWXZ";
const DIGITS: &[u8] = b"0123456789";

/// The fewest characters: of 20 letters 25 bits and more, of digits as much needs nine.
const SHORTEST: [usize; 2] = [6, 8];

/// How a tenant's codes look: `device_flow` of its settings (authentication contract §4.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserCodes {
    charset: &'static [u8],
    mask: String,
}

impl UserCodes {
    /// As the tenant has set them; a mask that leaves too little to guess counts as none.
    pub fn of(settings: &Settings) -> Self {
        let said = settings.other.get("device_flow");
        let text = |key: &str| said.and_then(|said| said.get(key)).and_then(Json::as_str);
        let digits = text("charset") == Some("digits");
        let (charset, shortest, usual) = match digits {
            true => (DIGITS, SHORTEST[1], "***-***-***"),
            false => (BASE20, SHORTEST[0], "****-****"),
        };
        let fits = |mask: &&str| {
            mask.matches('*').count() >= shortest && mask.chars().all(|char| "*- ".contains(char))
        };
        Self { charset, mask: text("mask").filter(fits).unwrap_or(usual).to_owned() }
    }

    /// A new code, as it is shown.
    pub fn new_code(&self, random: &Random) -> String {
        self.mask.chars().map(|char| if char == '*' { one_of(self.charset, random) } else { char }).collect()
    }
}

/// One character, each equally likely.
fn one_of(charset: &[u8], random: &Random) -> char {
    loop {
        let [byte] = random.bytes();
        // What is above the greatest multiple is thrown away, so that no character is favoured.
        if usize::from(byte) < 256 / charset.len() * charset.len() {
            return char::from(charset[usize::from(byte) % charset.len()]);
        }
    }
}

/// A code as a person may type it: in any case, with blanks and hyphens anywhere.
pub fn typed(text: &str) -> Option<String> {
    let kept = text.chars().take(64).filter(|char| !char.is_whitespace() && *char != '-');
    let code: String = kept.map(|char| char.to_ascii_uppercase()).collect();
    let fits =
        (SHORTEST[0]..=20).contains(&code.len()) && code.bytes().all(|byte| byte.is_ascii_alphanumeric());
    fits.then_some(code)
}

/// A code that was [`typed`], in two halves as most are shown.
pub fn shown(code: &str) -> String {
    let (first, second) = code.split_at(code.len() / 2);
    format!("{first}-{second}")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn codes(device_flow: Json) -> UserCodes {
        let mut settings = Settings::new("T");
        settings.other.insert("device_flow".into(), device_flow);
        UserCodes::of(&settings)
    }

    #[test]
    fn a_code_has_the_tenants_characters_and_mask() {
        let random = Random::seeded(1);
        for (set, shape) in [
            (json!(null), "BBBB-BBBB"),
            (json!({ "charset": "digits" }), "000-000-000"),
            (json!({ "charset": "digits", "mask": "**** ****" }), "0000 0000"),
            (json!({ "charset": "base20", "mask": "***-***" }), "BBB-BBB"),
            // Too little to guess, or no mask at all.
            (json!({ "charset": "base20", "mask": "**-**" }), "BBBB-BBBB"),
            (json!({ "charset": "digits", "mask": "***-***" }), "000-000-000"),
            (json!({ "mask": "****-****<" }), "BBBB-BBBB"),
        ] {
            let code = codes(set.clone()).new_code(&random);
            let of = |char: char| match char {
                char if char.is_ascii_digit() => '0',
                char if BASE20.contains(&(char as u8)) => 'B',
                other => other,
            };
            assert_eq!(code.chars().map(of).collect::<String>(), shape, "{set}: {code}");
        }
    }

    #[test]
    fn a_code_is_typed_in_any_way() {
        for text in ["QTZL-MCBW", "qtzlmcbw", " q t z l - m c b w "] {
            assert_eq!(typed(text).as_deref(), Some("QTZLMCBW"), "{text}");
        }
        for bad in ["", "QTZLM", "QTZL-MCBÖ", &"B".repeat(21)] {
            assert_eq!(typed(bad), None, "{bad}");
        }
        assert_eq!(shown("QTZLMCBW"), "QTZL-MCBW");
    }
}

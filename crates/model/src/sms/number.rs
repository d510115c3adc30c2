//! Phone numbers as people type them.

/// The digits of the shortest number with its country code.
const SHORTEST: usize = 7;

/// The digits of the longest (E.164).
const LONGEST: usize = 15;

/// The most characters that anybody types for one.
const LONGEST_TYPED: usize = 64;

/// A number in international form, as a person may type it: with blanks, hyphens, dots, slashes and brackets, in any width, and `00` for
/// the `+`. Answered as E.164 has it: `+` and digits.
pub fn typed(text: &str) -> Option<String> {
    let mut number = String::with_capacity(LONGEST + 1);
    let text = text.trim();
    if text.chars().nth(LONGEST_TYPED).is_some() {
        return None;
    }
    for char in text.chars() {
        match char {
            '0'..='9' => number.push(char),
            '\u{ff10}'..='\u{ff19}' => {
                number.extend(char::from_u32(u32::from(char) - 0xff10 + u32::from('0')));
            }
            '+' | '\u{ff0b}' if number.is_empty() => number.push('+'),
            char if char.is_whitespace() || "-./()\u{2010}\u{2011}\u{2013}".contains(char) => {}
            _ => return None,
        }
    }
    let digits = number.strip_prefix('+').or_else(|| number.strip_prefix("00"))?;
    // No country's code begins with a zero.
    let fits = (SHORTEST..=LONGEST).contains(&digits.len()) && !digits.starts_with('0');
    fits.then(|| format!("+{digits}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_may_be_typed_in_more_ways_than_one() {
        for text in [
            "+15550100123",
            " +1 (555) 010-0123 ",
            "001 555.010.0123",
            "+1/555/0100123",
            "＋１５５５０１００１２３",
            "+1\u{a0}555\u{2011}0100123",
        ] {
            assert_eq!(typed(text).as_deref(), Some("+15550100123"), "{text}");
        }
        for text in [
            "",
            "+",
            "15550100123",
            "555 0100",
            "+0155501001",
            "00001555010",
            "+1 555",
            "+1234567890123456",
            "+1555+0100123",
            "+1 555 0100 x12",
            "+١٢٣٤٥٦٧٨",
            &format!("+1555010{}0123", " ".repeat(60)),
        ] {
            assert_eq!(typed(text), None, "{text}");
        }
    }
}

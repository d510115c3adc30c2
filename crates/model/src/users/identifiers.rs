//! What may be an e-mail address and what a username, where people or tools give one.

/// Whether `text` can be an e-mail address: one `@`, a local part of at most 64 bytes, a host with a dot, no blanks and
/// nothing that would need quoting (RFC 5321 §4.5.3.1, without quoted local parts).
///
/// Beyond ASCII there are letters and digits alone: an accent that is a character of its own would make a second address
/// that looks like the first (RFC 6532 §3.1 wants them composed).
pub fn is_email(text: &str) -> bool {
    let Some((local, host)) = text.rsplit_once('@') else { return false };
    let plain = |c: char| match c.is_ascii() {
        true => c.is_ascii_graphic() && !"()<>[],;:\\\"@".contains(c),
        false => c.is_alphanumeric(),
    };
    let dotted = |part: &str| {
        !part.is_empty() && !part.starts_with('.') && !part.ends_with('.') && !part.contains("..")
    };
    text.len() <= 254
        && local.len() <= 64
        && dotted(local)
        && local.chars().all(plain)
        && dotted(host)
        && host.contains('.')
        && host.chars().all(|c| c.is_alphanumeric() || matches!(c, '-' | '.'))
}

/// Whether `text` can be a username of a connection that wants `shortest` to `longest` characters: letters, digits and
/// `_ + - . ! # $ ^ ~ ' @`, but never an e-mail address.
pub fn is_username(text: &str, shortest: usize, longest: usize) -> bool {
    let length = text.chars().count();
    (shortest..=longest).contains(&length)
        && text.chars().all(|c| c.is_alphanumeric() || "_+-.!#$^~'@".contains(c))
        && !is_email(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn e_mail_addresses_are_told_from_other_text() {
        for good in ["a@b.test", "first.last+tag@sub.example.com", "o'hara@example.com", "ü@exämple.de"] {
            assert!(is_email(good), "{good}");
        }
        for bad in [
            "",
            "a",
            "a@",
            "@b.test",
            "a@b",
            "a b@c.test",
            "jose\u{301}@c.test",
            "a\u{200b}b@c.test",
            "a@b..test",
            ".a@b.test",
            "a@b.test.",
            "<a>@b.test",
            "a@b_c.test",
        ] {
            assert!(!is_email(bad), "{bad}");
        }
        assert!(!is_email(&format!("{}@b.test", "a".repeat(65))));
    }

    #[test]
    fn usernames_keep_to_their_lengths_and_are_no_addresses() {
        assert!(is_username("chuck_norris", 1, 15));
        assert!(!is_username("", 1, 15) && !is_username("abcdefghijklmnop", 1, 15));
        assert!(!is_username("a@b.test", 1, 15) && !is_username("a b", 1, 15));
    }
}

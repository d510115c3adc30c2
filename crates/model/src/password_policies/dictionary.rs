//! The common passwords that are built in: `data/README.md` says where they come from.

/// In the order of their bytes, one a line.
const FIRST: &str = include_str!("../../data/common_passwords_10k.txt");
const FURTHER: &str = include_str!("../../data/common_passwords_more.txt");

/// How many of the most common passwords.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Common {
    /// The first 10,000.
    TenThousand,
    /// All of the list: 30,000.
    All,
}

impl Common {
    /// Whether `password`, in lower case, is one of them.
    pub(super) fn holds(self, password: &str) -> bool {
        is_line_of(FIRST, password) || self == Self::All && is_line_of(FURTHER, password)
    }
}

/// Whether `word` is a line of a sorted text.
fn is_line_of(text: &str, word: &str) -> bool {
    let bytes = text.as_bytes();
    let (mut low, mut high) = (0, bytes.len());
    while low < high {
        let middle = low + (high - low) / 2;
        let start = bytes[..middle].iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1).max(low);
        let end =
            bytes[middle..].iter().position(|byte| *byte == b'\n').map_or(bytes.len(), |end| middle + end);
        match bytes[start..end].cmp(word.as_bytes()) {
            std::cmp::Ordering::Equal => return true,
            std::cmp::Ordering::Less => low = end + 1,
            std::cmp::Ordering::Greater => high = start,
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_of_the_lists_is_found_and_nothing_else() {
        assert_eq!(FIRST.lines().count(), 10_000);
        for word in FIRST.lines() {
            assert!(Common::TenThousand.holds(word) && Common::All.holds(word), "{word}");
        }
        for word in FURTHER.lines() {
            assert!(!Common::TenThousand.holds(word) && Common::All.holds(word), "{word}");
        }
        for word in ["", "\n", "password\n", "password1234567890", "correct horse", "zzzzzzzzzzzzzz", "!"] {
            assert!(!Common::All.holds(word), "{word:?}");
        }
    }

    #[test]
    fn the_lists_are_sorted_and_in_lower_case() {
        for list in [FIRST, FURTHER] {
            assert!(list.lines().is_sorted_by(|one, two| one < two));
            assert_eq!(list, list.to_lowercase());
        }
    }
}

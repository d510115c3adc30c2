//! How strong a password must be (the connection's `passwordPolicy`).

use crate::connections::Connection;

/// What a connection asks of a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PasswordPolicy {
    /// The fewest characters.
    pub min_length: usize,
    /// Which kinds of characters it must hold.
    pub kinds: Kinds,
    /// Whether a character may stand more than twice in a row.
    pub repeats: bool,
}

/// Which of lower case, upper case, numbers and special characters a password must hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kinds {
    /// Any.
    Any,
    /// Lower case, upper case and a number.
    LowerUpperNumber,
    /// Three of the four.
    Three,
}

impl PasswordPolicy {
    /// The policy of a connection: `good` unless set, as Auth0's.
    pub fn of(connection: &Connection) -> Self {
        let (min_length, kinds, repeats) = match connection.password_policy() {
            "none" => (1, Kinds::Any, true),
            "low" => (6, Kinds::Any, true),
            "fair" => (8, Kinds::LowerUpperNumber, true),
            "excellent" => (10, Kinds::Three, false),
            _ => (8, Kinds::Three, true),
        };
        Self { min_length: connection.password_min_length().unwrap_or(min_length), kinds, repeats }
    }

    /// Whether `password` does what is asked.
    pub fn accepts(&self, password: &str) -> bool {
        let has = |kind: fn(char) -> bool| password.chars().any(kind);
        let (lower, upper, number) =
            (has(char::is_lowercase), has(char::is_uppercase), has(char::is_numeric));
        let special = has(|c| !c.is_alphanumeric());
        let kinds = match self.kinds {
            Kinds::Any => true,
            Kinds::LowerUpperNumber => lower && upper && number,
            Kinds::Three => [lower, upper, number, special].into_iter().filter(|held| *held).count() >= 3,
        };
        password.chars().count() >= self.min_length && kinds && (self.repeats || !thrice(password))
    }
}

/// Whether a character stands more than twice in a row.
fn thrice(password: &str) -> bool {
    let characters: Vec<char> = password.chars().collect();
    characters.windows(3).any(|three| three[0] == three[1] && three[1] == three[2])
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: PasswordPolicy = PasswordPolicy { min_length: 8, kinds: Kinds::Three, repeats: true };

    #[test]
    fn good_asks_for_eight_characters_of_three_kinds() {
        for (password, accepted) in [
            ("Passw0rd", true),
            ("Pa$sword", true),
            ("passw0r!", true),
            ("Passw0r", false),
            ("password1", false),
            ("PASSWORD1", false),
            ("Pässwörd1", true),
        ] {
            assert_eq!(GOOD.accepts(password), accepted, "{password}");
        }
    }

    #[test]
    fn fair_and_excellent_ask_for_their_own() {
        let fair = PasswordPolicy { kinds: Kinds::LowerUpperNumber, ..GOOD };
        assert!(fair.accepts("Passw0rd") && !fair.accepts("Pa$sword"));
        let excellent = PasswordPolicy { min_length: 10, repeats: false, ..GOOD };
        assert!(
            excellent.accepts("Passw0rd12")
                && !excellent.accepts("Passsw0rd12")
                && !excellent.accepts("Passw0rd1")
        );
        let none = PasswordPolicy { min_length: 1, kinds: Kinds::Any, repeats: true };
        assert!(none.accepts("a") && !none.accepts(""));
    }
}

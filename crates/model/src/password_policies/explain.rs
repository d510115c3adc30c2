//! How a weak password is explained to clients that show it themselves (authentication contract §8.1).

use serde_json::{Value, json};

use super::{Class, PasswordPolicy, Rule, Weakness};
use crate::users::User;

/// The characters in a row that are shown as an example.
const THRICE: &str = "aaa";

impl PasswordPolicy {
    /// `rules` and `verified`: what is asked of the strength of a password, and which of it `password` does.
    pub fn explain(&self, password: &str, user: &User) -> Value {
        let strength = self.rules().into_iter().filter(Rule::is_of_strength);
        let rules: Vec<Value> = strength.map(|rule| self.explain_rule(&rule, password, user)).collect();
        let verified = rules.iter().all(|rule| rule["verified"] == true);
        json!({ "rules": rules, "verified": verified })
    }

    fn explain_rule(&self, rule: &Rule, password: &str, user: &User) -> Value {
        let verified = self.keeps(rule, password, user);
        let mut told = json!({ "message": rule.message() });
        match rule {
            Rule::Length(least) => told["format"] = json!([least]),
            Rule::Classes(least, classes) => {
                if *least < classes.len() {
                    told["format"] = json!([least, classes.len()]);
                }
                let item = |class: &Class| {
                    let held = password.chars().any(|c| class.holds(c));
                    json!({ "message": class.message(), "code": class.code(), "verified": held })
                };
                told["items"] = classes.iter().map(item).collect();
            }
            Rule::NoRepeats => told["format"] = json!([2, THRICE]),
            Rule::NoSequences | Rule::NotCommon | Rule::NotPersonal => {}
        }
        told["code"] = rule.code().into();
        told["verified"] = verified.into();
        told
    }

    /// What is asked, as a list in plain text.
    pub fn text(&self) -> String {
        let mut lines = Vec::new();
        for rule in self.rules().iter().filter(|rule| rule.is_of_strength()) {
            let message = rule.message();
            match rule {
                Rule::Length(least) => lines.push(format!("* {}", message.replace("%d", &least.to_string()))),
                Rule::Classes(least, classes) => {
                    let message = message.replacen("%d", &least.to_string(), 1);
                    lines.push(format!("* {}", message.replacen("%d", &classes.len().to_string(), 1)));
                    lines.extend(classes.iter().map(|class| format!(" * {}", class.message())));
                }
                _ => lines.push(format!("* {}", message.replace("%d", "2").replace("%s", THRICE))),
            }
        }
        lines.join("\n")
    }
}

impl Rule {
    fn is_of_strength(&self) -> bool {
        !matches!(self, Self::NotCommon | Self::NotPersonal)
    }

    fn code(&self) -> &'static str {
        match self {
            Self::Length(1) => "nonEmpty",
            Self::Length(_) => "lengthAtLeast",
            Self::Classes(least, classes) if *least < classes.len() => "containsAtLeast",
            Self::Classes(..) => "shouldContain",
            Self::NoRepeats => "identicalChars",
            Self::NoSequences => "sequentialChars",
            Self::NotCommon => "dictionary",
            Self::NotPersonal => "noUserInfo",
        }
    }

    fn message(&self) -> &'static str {
        match self {
            Self::Length(1) => "Non-empty password required",
            Self::Length(_) => "At least %d characters in length",
            Self::Classes(least, classes) if *least < classes.len() => {
                "Contain at least %d of the following %d types of characters:"
            }
            Self::Classes(..) => "Should contain:",
            Self::NoRepeats => "No more than %d identical characters in a row (such as, \"%s\" not allowed)",
            Self::NoSequences => "No more than 2 sequential characters in a row",
            Self::NotCommon => "Password is too common",
            Self::NotPersonal => "Password contains user information",
        }
    }
}

impl Class {
    fn code(self) -> &'static str {
        match self {
            Self::Lower => "lowerCase",
            Self::Upper => "upperCase",
            Self::Number => "numbers",
            Self::Special => "specialCharacters",
        }
    }

    fn message(self) -> &'static str {
        match self {
            Self::Lower => "Lower case letters (a-z)",
            Self::Upper => "Upper case letters (A-Z)",
            Self::Number => "Numbers (such as 0-9)",
            Self::Special => "Special characters (such as !@#$%^&*)",
        }
    }
}

impl Weakness {
    /// The error's name, as clients know it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Strength => "PasswordStrengthError",
            Self::Dictionary => "PasswordDictionaryError",
            Self::UserInfo => "PasswordNoUserInfoError",
            Self::History => "PasswordHistoryError",
        }
    }

    /// What it says, without the name.
    pub fn message(self) -> &'static str {
        match self {
            Self::Strength => "Password is too weak",
            Self::Dictionary => "Password is too common",
            Self::UserInfo => "Password contains user information",
            Self::History => "Password has previously been used",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::connections;
    use crate::random::Random;
    use crate::users::fixture::chuck;

    #[test]
    fn a_weak_password_is_explained_rule_by_rule() {
        let policy = PasswordPolicy::of(&connections::username_password(&Random::seeded(1), &[]));
        assert_eq!(
            policy.explain("password", &chuck()),
            json!({
                "rules": [
                    { "message": "At least %d characters in length", "format": [8], "code": "lengthAtLeast", "verified": true },
                    {
                        "message": "Contain at least %d of the following %d types of characters:",
                        "format": [3, 4],
                        "items": [
                            { "message": "Lower case letters (a-z)", "code": "lowerCase", "verified": true },
                            { "message": "Upper case letters (A-Z)", "code": "upperCase", "verified": false },
                            { "message": "Numbers (such as 0-9)", "code": "numbers", "verified": false },
                            { "message": "Special characters (such as !@#$%^&*)", "code": "specialCharacters", "verified": false }
                        ],
                        "code": "containsAtLeast",
                        "verified": false
                    }
                ],
                "verified": false
            })
        );
        assert_eq!(
            policy.text(),
            "* At least 8 characters in length\n\
             * Contain at least 3 of the following 4 types of characters:\n \
             * Lower case letters (a-z)\n \
             * Upper case letters (A-Z)\n \
             * Numbers (such as 0-9)\n \
             * Special characters (such as !@#$%^&*)"
        );
    }

    #[test]
    fn the_name_and_the_message_are_what_the_error_says() {
        for weakness in [Weakness::Strength, Weakness::Dictionary, Weakness::UserInfo, Weakness::History] {
            assert_eq!(weakness.to_string(), format!("{}: {}", weakness.name(), weakness.message()));
        }
    }
}

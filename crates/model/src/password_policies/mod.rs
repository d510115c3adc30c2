//! What a connection asks of a password (management contract §4.2: `passwordPolicy` and the options beside it, or the newer
//! `password_options`), and the one way to a new password's hash: [`accept`].

mod dictionary;
mod explain;
mod history;
mod personal;

use serde_json::Value as Json;

use crate::Model;
use crate::clock::Timestamp;
use crate::connections::Connection;
use crate::credentials;
use crate::identities::Identity;
use crate::ids::TenantId;
use crate::passwords::HashError;
use crate::users::User;

use dictionary::Common;

/// The most passwords that are remembered.
const LONGEST_HISTORY: usize = 24;

/// What a connection asks of a password.
#[derive(Clone, Debug, PartialEq)]
pub struct PasswordPolicy {
    /// The fewest characters.
    pub min_length: usize,
    /// Which classes of characters count.
    pub classes: Vec<Class>,
    /// Of how many of them there must be one.
    pub least_classes: usize,
    /// Whether a character may stand more than twice in a row.
    pub repeats: bool,
    /// Whether three characters may follow each other as in `abc` or `321`.
    pub sequences: bool,
    /// How many of the last passwords may not come again.
    pub history: usize,
    /// The built-in list of common passwords, where the connection asks for one.
    common: Option<Common>,
    /// Words that are no passwords, in lower case.
    words: Vec<String>,
    /// The attributes of the user that may not stand in a password.
    personal: Vec<String>,
}

/// A class of characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// `a` to `z`, and the lower case letters of other scripts.
    Lower,
    /// `A` to `Z`, and the upper case letters of other scripts.
    Upper,
    /// Digits.
    Number,
    /// All that is neither a letter nor a digit.
    Special,
}

/// One thing that a connection asks of a password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rule {
    /// At least so many characters.
    Length(usize),
    /// Characters of so many of these classes.
    Classes(usize, Vec<Class>),
    /// No character more than twice in a row.
    NoRepeats,
    /// No three characters that follow each other.
    NoSequences,
    /// No common password.
    NotCommon,
    /// Nothing that is known of its user.
    NotPersonal,
}

/// Why a password is refused. The texts are the published ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Weakness {
    /// Too short, or of too few classes of characters.
    #[error("PasswordStrengthError: Password is too weak")]
    Strength,
    /// On a list.
    #[error("PasswordDictionaryError: Password is too common")]
    Dictionary,
    /// It holds what is known of its user.
    #[error("PasswordNoUserInfoError: Password contains user information")]
    UserInfo,
    /// It was the user's before.
    #[error("PasswordHistoryError: Password has previously been used")]
    History,
}

/// Why there is no new password.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    /// The connection does not take it.
    #[error(transparent)]
    Weak(#[from] Weakness),
    /// It could not be hashed: too long, or the pool is full.
    #[error(transparent)]
    Hash(#[from] HashError),
    /// The history could not be read.
    #[error(transparent)]
    Database(#[from] db::Error),
}

/// A password that was accepted and hashed, to be written.
#[derive(Clone)]
pub struct NewPassword {
    hash: String,
    history: usize,
}

/// Whether `connection` takes `password` for this identity of `user`, as they will be; then its hash, from the pool of its own.
///
/// A user who is not written yet has no history. A rule that speaks of the user's own data looks at `user` as it is given.
///
/// # Errors
/// Which rule refuses it; 503 is the answer to a full pool.
pub async fn accept(
    app: &Model,
    connection: &Connection,
    user: &User,
    identity: &Identity,
    password: &str,
) -> Result<NewPassword, Refused> {
    let policy = PasswordPolicy::of(connection);
    policy.check(password, user)?;
    if policy.history > 0 && history::holds(app, &user.tenant, identity, password, policy.history).await? {
        return Err(Weakness::History.into());
    }
    let hash = app.hasher.hash(password.to_owned()).await?;
    Ok(NewPassword { hash, history: policy.history })
}

impl NewPassword {
    /// A password of which only the hash is known, from an import.
    pub fn of_hash(connection: &Connection, hash: String) -> Self {
        Self { hash, history: PasswordPolicy::of(connection).history }
    }

    /// Writes it, and remembers it where the connection keeps a history. In a batch that also writes a new user it comes after
    /// [`crate::users::insert`].
    pub fn set(&self, batch: &mut db::Batch, tenant: &TenantId, identity: &Identity, now: Timestamp) {
        credentials::set(batch, tenant, identity, &self.hash, now);
        if self.history > 0 {
            history::remember(batch, tenant, identity, &self.hash, self.history, now);
        }
    }
}

impl std::fmt::Debug for NewPassword {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NewPassword").finish_non_exhaustive()
    }
}

impl PasswordPolicy {
    /// The policy of a connection: `good` unless set, as Auth0's. `password_options` go before what they are a newer way to say.
    pub fn of(connection: &Connection) -> Self {
        use Class::{Lower, Number, Special, Upper};
        let all = vec![Lower, Upper, Number, Special];
        let (min_length, classes, least_classes, repeats) = match connection.password_policy() {
            "none" => (1, vec![], 0, true),
            "low" => (6, vec![], 0, true),
            "fair" => (8, vec![Lower, Upper, Number], 3, true),
            "excellent" => (10, all.clone(), 3, false),
            _ => (8, all.clone(), 3, true),
        };
        let mut policy = Self {
            min_length,
            classes,
            least_classes,
            repeats,
            sequences: true,
            history: 0,
            common: None,
            words: Vec::new(),
            personal: Vec::new(),
        };
        policy.read_older(connection);
        policy.read_newer(connection);
        policy.history = policy.history.min(LONGEST_HISTORY);
        policy
    }

    /// `password_complexity_options`, `password_history`, `password_dictionary`, `password_no_personal_info`.
    fn read_older(&mut self, connection: &Connection) {
        let option = |pointer: &str| connection.option(pointer);
        let on = |name: &str| option(&format!("/{name}/enable")) == Some(&Json::Bool(true));
        if let Some(length) = option("/password_complexity_options/min_length").and_then(number) {
            self.min_length = length;
        }
        if on("password_history") {
            self.history = option("/password_history/size").and_then(number).unwrap_or(5);
        }
        if on("password_dictionary") {
            self.common = Some(Common::TenThousand);
            self.words = words(option("/password_dictionary/dictionary"));
        }
        if on("password_no_personal_info") {
            self.personal = personal::DEFAULT.map(str::to_owned).to_vec();
        }
    }

    /// `password_options`. What a tenant cannot ask for is a password that is cut (`max_length_exceeded: truncate`): here none is.
    fn read_newer(&mut self, connection: &Connection) {
        let option = |pointer: &str| connection.option(&format!("/password_options/{pointer}"));
        let on = |name: &str| option(&format!("{name}/active")) == Some(&Json::Bool(true));
        if let Some(length) = option("complexity/min_length").and_then(number) {
            self.min_length = length;
        }
        if let Some(types) = option("complexity/character_types").and_then(Json::as_array) {
            self.classes = types.iter().filter_map(Json::as_str).filter_map(Class::parse).collect();
            let three =
                option("complexity/character_type_rule").and_then(Json::as_str) == Some("three_of_four");
            self.least_classes = if three { 3.min(self.classes.len()) } else { self.classes.len() };
        }
        let blocks = |name: &str| option(&format!("complexity/{name}")).map(|set| set == "block");
        if let Some(blocked) = blocks("identical_characters") {
            self.repeats = !blocked;
        }
        if let Some(blocked) = blocks("sequential_characters") {
            self.sequences = !blocked;
        }
        if on("history") {
            self.history = option("history/size").and_then(number).unwrap_or(3);
        }
        if on("dictionary") {
            let largest = option("dictionary/default").and_then(Json::as_str) == Some("en_100k");
            self.common = Some(if largest { Common::All } else { Common::TenThousand });
            self.words = words(option("dictionary/custom"));
        }
        if on("profile_data") {
            let fields = option("profile_data/blocked_fields").and_then(Json::as_array);
            self.personal = match fields {
                Some(fields) => fields.iter().filter_map(Json::as_str).map(str::to_owned).collect(),
                None => personal::DEFAULT.map(str::to_owned).to_vec(),
            };
        }
    }

    /// All that is asked, but for the history, which nobody can know beforehand.
    pub fn rules(&self) -> Vec<Rule> {
        let mut rules = vec![Rule::Length(self.min_length)];
        if self.least_classes > 0 {
            rules.push(Rule::Classes(self.least_classes, self.classes.clone()));
        }
        let further = [
            (!self.repeats, Rule::NoRepeats),
            (!self.sequences, Rule::NoSequences),
            (self.common.is_some(), Rule::NotCommon),
            (!self.personal.is_empty(), Rule::NotPersonal),
        ];
        rules.extend(further.into_iter().filter_map(|(asked, rule)| asked.then_some(rule)));
        rules
    }

    /// Whether `password` keeps one of the [`rules`](Self::rules).
    pub fn keeps(&self, rule: &Rule, password: &str, user: &User) -> bool {
        match rule {
            Rule::Length(least) => password.chars().count() >= *least,
            Rule::Classes(least, classes) => {
                classes.iter().filter(|class| password.chars().any(|c| class.holds(c))).count() >= *least
            }
            Rule::NoRepeats => !in_a_row(password, |one, two| one == two),
            Rule::NoSequences => {
                let follows = |one: char, two: char| {
                    one.is_alphanumeric() && two.is_alphanumeric() && u32::from(one) + 1 == u32::from(two)
                };
                !in_a_row(password, follows) && !in_a_row(password, |one, two| follows(two, one))
            }
            Rule::NotCommon => {
                let lower = password.to_lowercase();
                !self.words.contains(&lower) && !self.common.is_some_and(|common| common.holds(&lower))
            }
            Rule::NotPersonal => !personal::stands_in(password, user, &self.personal),
        }
    }

    /// Whether `password` keeps all rules for `user`, but for the history.
    ///
    /// # Errors
    /// The kind of the first rule that it breaks.
    pub fn check(&self, password: &str, user: &User) -> Result<(), Weakness> {
        match self.rules().into_iter().find(|rule| !self.keeps(rule, password, user)) {
            None => Ok(()),
            Some(Rule::NotCommon) => Err(Weakness::Dictionary),
            Some(Rule::NotPersonal) => Err(Weakness::UserInfo),
            Some(_) => Err(Weakness::Strength),
        }
    }
}

impl Class {
    fn parse(name: &str) -> Option<Self> {
        match name {
            "lowercase" => Some(Self::Lower),
            "uppercase" => Some(Self::Upper),
            "number" => Some(Self::Number),
            "special" => Some(Self::Special),
            _ => None,
        }
    }

    fn holds(self, c: char) -> bool {
        match self {
            Self::Lower => c.is_lowercase(),
            Self::Upper => c.is_uppercase(),
            Self::Number => c.is_numeric(),
            Self::Special => !c.is_alphanumeric(),
        }
    }
}

/// Whether three characters stand in a row of which each goes with the one before.
fn in_a_row(password: &str, goes: impl Fn(char, char) -> bool) -> bool {
    let characters: Vec<char> = password.chars().collect();
    characters.windows(3).any(|three| goes(three[0], three[1]) && goes(three[1], three[2]))
}

fn number(value: &Json) -> Option<usize> {
    value.as_u64().and_then(|number| usize::try_from(number).ok())
}

fn words(list: Option<&Json>) -> Vec<String> {
    list.and_then(Json::as_array)
        .into_iter()
        .flatten()
        .filter_map(Json::as_str)
        .map(str::to_lowercase)
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::random::Random;
    use crate::users::fixture::chuck;

    fn policy(options: Json) -> PasswordPolicy {
        let body = json!({ "name": "db", "strategy": "auth0", "options": options });
        PasswordPolicy::of(&Connection::new(&Random::seeded(1), body.as_object().unwrap()).unwrap())
    }

    #[track_caller]
    fn judge(options: Json, expected: &[(&str, Option<Weakness>)]) {
        let policy = policy(options.clone());
        for (password, weakness) in expected {
            assert_eq!(policy.check(password, &chuck()).err(), *weakness, "{password} with {options}");
        }
    }

    const WEAK: Option<Weakness> = Some(Weakness::Strength);

    #[test]
    fn good_is_the_default_and_asks_for_eight_characters_of_three_classes() {
        let expected = [
            ("Passw0rd", None),
            ("Pa$sword", None),
            ("passw0r!", None),
            ("Passw0r", WEAK),
            ("password1", WEAK),
            ("PASSWORD1", WEAK),
            ("Pässwörd1", None),
        ];
        judge(json!({}), &expected);
        judge(json!({ "passwordPolicy": "good" }), &expected);
    }

    #[test]
    fn each_level_asks_for_its_own() {
        judge(json!({ "passwordPolicy": "none" }), &[("a", None), ("", WEAK)]);
        judge(json!({ "passwordPolicy": "low" }), &[("aaaaaa", None), ("aaaaa", WEAK)]);
        judge(json!({ "passwordPolicy": "fair" }), &[("Passw0rd", None), ("Pa$sword", WEAK)]);
        judge(
            json!({ "passwordPolicy": "excellent" }),
            &[("Passw0rd12", None), ("Passsw0rd12", WEAK), ("Passw0rd1", WEAK)],
        );
        judge(
            json!({ "passwordPolicy": "low", "password_complexity_options": { "min_length": 3 } }),
            &[("aaa", None), ("aa", WEAK)],
        );
    }

    #[test]
    fn long_passwords_need_nothing_but_what_is_asked() {
        let long = "correct horse battery staple ".repeat(3);
        judge(json!({ "passwordPolicy": "none" }), &[(&long, None)]);
        judge(json!({ "passwordPolicy": "low" }), &[(&long, None)]);
    }

    #[test]
    fn common_passwords_and_own_words_are_refused_in_any_case() {
        let dictionary = json!({ "enable": true, "dictionary": ["Acme-2026!"] });
        judge(
            json!({ "passwordPolicy": "none", "password_dictionary": dictionary }),
            &[
                ("password", Some(Weakness::Dictionary)),
                ("PassWord", Some(Weakness::Dictionary)),
                ("acme-2026!", Some(Weakness::Dictionary)),
                ("acme-2026!!", None),
            ],
        );
        judge(
            json!({ "passwordPolicy": "none", "password_dictionary": { "enable": false } }),
            &[("password", None)],
        );
    }

    #[test]
    fn what_is_known_of_the_user_is_refused() {
        let options = json!({ "passwordPolicy": "none", "password_no_personal_info": { "enable": true } });
        judge(
            options,
            &[
                ("xx-CHUCK878-xx", Some(Weakness::UserInfo)),
                ("chucky-and-me", Some(Weakness::UserInfo)),
                ("my-test-user636", Some(Weakness::UserInfo)),
                ("example.com", None),
                ("Correct-horse-9", None),
            ],
        );
    }

    #[test]
    fn the_newer_options_say_it_in_their_own_way() {
        let complexity = json!({
            "min_length": 6,
            "character_types": ["lowercase", "number"],
            "character_type_rule": "all",
            "identical_characters": "block",
            "sequential_characters": "block"
        });
        judge(
            json!({ "password_options": { "complexity": complexity } }),
            &[
                ("horse9", None),
                ("horses", WEAK),
                ("hors9", WEAK),
                ("hooorse9", WEAK),
                ("horse789", WEAK),
                ("horse987", WEAK),
                ("horse-9a", None),
            ],
        );
        let four = json!(["uppercase", "lowercase", "number", "special"]);
        let three =
            json!({ "min_length": 1, "character_types": four, "character_type_rule": "three_of_four" });
        judge(json!({ "password_options": { "complexity": three } }), &[("aB1", None), ("aB", WEAK)]);
        let all = json!({ "active": true, "default": "en_100k", "custom": ["Acme"] });
        let profile =
            json!({ "active": true, "blocked_fields": ["username", "user_metadata.favourite_attack"] });
        let plain = json!({ "min_length": 1 });
        judge(
            json!({ "password_options": { "dictionary": all, "profile_data": profile, "complexity": plain } }),
            &[
                ("acme", Some(Weakness::Dictionary)),
                ("a-roundhouse_kick", Some(Weakness::UserInfo)),
                ("my-test-user636", Some(Weakness::UserInfo)),
                ("my-chucky", None),
            ],
        );
    }

    #[test]
    fn a_history_has_at_most_24_passwords() {
        let size = |options: Json| policy(options).history;
        assert_eq!(size(json!({})), 0);
        assert_eq!(size(json!({ "password_history": { "enable": false, "size": 3 } })), 0);
        assert_eq!(size(json!({ "password_history": { "enable": true } })), 5);
        assert_eq!(size(json!({ "password_history": { "enable": true, "size": 24 } })), 24);
        assert_eq!(size(json!({ "password_history": { "enable": true, "size": 1000 } })), 24);
        assert_eq!(size(json!({ "password_options": { "history": { "active": true } } })), 3);
    }
}

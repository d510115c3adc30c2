//! Identities: the accounts a user can log in with. The first is the primary and gives the user their id; others were
//! linked (management contract §1.5).
//!
//! An identity of a database or passwordless connection is found by its login identifiers (e-mail, username, phone
//! number), folded here so that case and Unicode variants of one address are one account, whatever the database's collation.

use db::{Batch, Db, Error, params};
use serde_json::{Map, Value};

use crate::ids::{TenantId, UserId};

/// The most identities a user can have.
pub const MOST: usize = 50;

/// One account of a user.
#[derive(Clone, Debug, PartialEq)]
pub struct Identity {
    /// The connection's name.
    pub connection: String,
    /// The provider, which begins the user's id: `auth0`, `google-oauth2`, `email`, `sms`, …
    pub provider: String,
    /// The account's id at the provider: what follows the first `|` of the user's id.
    pub user_id: String,
    /// Whether the provider is a social one.
    pub is_social: bool,
    /// `profileData`: the profile that this identity brought, once anything has been linked.
    pub profile: Option<Map<String, Value>>,
    /// The login identifiers as they are stored, so that a save writes them only when they changed.
    pub(crate) stored: Login,
}

/// What somebody types to log in, folded.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Login {
    pub(crate) email: Option<String>,
    pub(crate) username: Option<String>,
    pub(crate) phone: Option<String>,
}

impl Identity {
    /// A new identity, with no profile of its own yet.
    pub fn new(connection: &str, provider: &str, user_id: &str, is_social: bool) -> Self {
        Self {
            connection: connection.to_owned(),
            provider: provider.to_owned(),
            user_id: user_id.to_owned(),
            is_social,
            profile: None,
            stored: Login::default(),
        }
    }

    /// The id a user has whose primary identity this is.
    pub fn as_user_id(&self) -> UserId {
        UserId::from(format!("{}|{}", self.provider, self.user_id))
    }

    /// Whether passwords belong to it: only a database connection's identities have them.
    pub fn is_database(&self) -> bool {
        self.provider == "auth0"
    }

    /// The item of a user's `identities` array: `profileData` first when there is one, as recorded.
    pub fn to_wire(&self) -> Map<String, Value> {
        let mut wire = Map::new();
        if let Some(profile) = &self.profile {
            wire.insert("profileData".to_owned(), Value::Object(profile.clone()));
        }
        wire.insert("connection".to_owned(), self.connection.as_str().into());
        wire.insert("user_id".to_owned(), self.user_id.as_str().into());
        wire.insert("provider".to_owned(), self.provider.as_str().into());
        wire.insert("isSocial".to_owned(), self.is_social.into());
        wire
    }

    /// The identifiers that this identity's connection finds people by. Social and enterprise providers have none: they
    /// know their people by `user_id`, and two of them may share an address.
    pub(crate) fn login(&self, email: Option<&str>, username: Option<&str>, phone: Option<&str>) -> Login {
        let (by_email, by_username, by_phone) = match self.provider.as_str() {
            "auth0" => (true, true, true),
            "email" => (true, false, false),
            "sms" => (false, false, true),
            _ => (false, false, false),
        };
        Login {
            email: email.filter(|_| by_email).map(fold_email),
            username: username.filter(|_| by_username).map(fold_username),
            phone: phone.filter(|_| by_phone).map(fold_phone),
        }
    }

    /// The login identifiers of a linked identity, which are in its own profile.
    pub(crate) fn own_login(&self) -> Login {
        let text = |key: &str| self.profile.as_ref()?.get(key)?.as_str();
        self.login(text("email"), text("username"), text("phone_number"))
    }
}

/// The user whose identity this is, be it the primary or a linked one.
pub async fn owner(
    db: &Db,
    tenant: &TenantId,
    provider: &str,
    user_id: &str,
) -> Result<Option<UserId>, Error> {
    let row = db.read_one(
        "SELECT user_id FROM identities WHERE tenant = $1 AND provider = $2 AND subject = $3",
        params![tenant, provider, user_id],
    );
    row.await?.map(|mut row| row.take()).transpose()
}

/// An e-mail address as it is stored and shown: lower case.
pub fn stored_email(email: &str) -> String {
    email.to_lowercase()
}

/// A username as it is stored and shown: lower case.
pub fn stored_username(username: &str) -> String {
    username.to_lowercase()
}

/// The form in which e-mail addresses are compared: two addresses that a person would take for one have one form. Mail goes to the
/// stored address, never to what was typed.
///
/// The domain is mapped as host names are (IDNA), and so are the words of the local part: without regard to case, to
/// composed or decomposed accents, or to full-width forms (UTS 46). It is a key, not an address: `é` becomes Punycode.
pub fn fold_email(email: &str) -> String {
    let lower = email.to_lowercase();
    if lower.is_ascii() {
        return lower;
    }
    match lower.rsplit_once('@') {
        Some((local, domain)) => format!("{}@{}", fold_words(local), fold_host(domain)),
        None => fold_words(&lower),
    }
}

/// The form in which usernames are compared: the same folding as an e-mail's local part.
pub fn fold_username(username: &str) -> String {
    let lower = username.to_lowercase();
    if lower.is_ascii() { lower } else { fold_words(&lower) }
}

/// The form in which phone numbers are compared: without blanks and punctuation.
pub fn fold_phone(phone: &str) -> String {
    phone.chars().filter(|c| *c == '+' || c.is_alphanumeric()).collect()
}

/// A name folded for a search that ignores case.
pub fn fold_name(name: &str) -> String {
    name.to_lowercase()
}

/// Folds each run of letters and digits by itself, and leaves what stands between (`.`, `+`, `-`, …).
fn fold_words(text: &str) -> String {
    let mut folded = String::with_capacity(text.len());
    let mut word = String::new();
    for c in text.chars() {
        if c.is_ascii() && !c.is_ascii_alphanumeric() {
            fold_word(&word, &mut folded);
            word.clear();
            folded.push(c);
        } else {
            word.push(c);
        }
    }
    fold_word(&word, &mut folded);
    folded
}

fn fold_word(word: &str, folded: &mut String) {
    if word.is_ascii() {
        folded.push_str(word);
        return;
    }
    // A host's last label may not be a number, so one is added for the mapping and taken off again.
    let host = fold_host(&format!("{word}.x"));
    folded.push_str(host.strip_suffix(".x").unwrap_or(word));
}

/// A host name's canonical form; what is none stays as it is.
fn fold_host(host: &str) -> String {
    url::Host::parse(host).map_or_else(|_| host.to_owned(), |host| host.to_string())
}

/// Writes a new identity of `user` at `position` of the array.
pub(crate) fn insert(
    batch: &mut Batch,
    tenant: &TenantId,
    user: &UserId,
    position: usize,
    identity: &Identity,
    login: &Login,
) {
    batch
        .execute(
            "INSERT INTO identities (tenant, provider, subject, connection, user_id, position, is_social, email, username, phone, profile)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
            params![
                tenant,
                &identity.provider,
                &identity.user_id,
                &identity.connection,
                user,
                place(position),
                identity.is_social,
                &login.email,
                &login.username,
                &login.phone,
                &identity.profile,
            ],
        )
        .expect(1);
}

/// Gives an identity to `to` at `position`: it must still belong to `from`.
pub(crate) fn give(
    batch: &mut Batch,
    tenant: &TenantId,
    (from, to): (&UserId, &UserId),
    position: usize,
    identity: &Identity,
    login: &Login,
) {
    batch
        .execute(
            "UPDATE identities SET user_id = $1, position = $2, email = $3, username = $4, phone = $5, profile = $6
             WHERE tenant = $7 AND provider = $8 AND subject = $9 AND user_id = $10",
            params![
                to,
                place(position),
                &login.email,
                &login.username,
                &login.phone,
                &identity.profile,
                tenant,
                &identity.provider,
                &identity.user_id,
                from,
            ],
        )
        .expect(1);
}

fn place(position: usize) -> i64 {
    i64::try_from(position).expect("a user has few identities")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variants_of_one_address_fold_to_one_form() {
        let one = fold_email("josé@bücher.example");
        for variant in
            ["JOSÉ@BÜCHER.EXAMPLE", "jose\u{301}@bu\u{308}cher.example", "josé@xn--bcher-kva.example"]
        {
            assert_eq!(fold_email(variant), one, "{variant}");
        }
        assert_eq!(fold_email("\u{ff41}nna@example.com"), "anna@example.com");
        assert_eq!(fold_email("\u{212a}im@example.com"), "kim@example.com");
        assert_eq!(fold_email("\u{ff11}\u{ff12}@example.com"), "12@example.com");
    }

    #[test]
    fn different_addresses_stay_different() {
        let forms =
            ["jose@a.example", "josé@a.example", "jo.sé@a.example", "josé+x@a.example", "j%6fsé@a.example"];
        for (at, one) in forms.iter().enumerate() {
            for other in &forms[at + 1..] {
                assert_ne!(fold_email(one), fold_email(other));
            }
        }
    }

    #[test]
    fn a_phone_number_folds_without_punctuation() {
        assert_eq!(fold_phone("+1 (555) 010-20"), "+155501020");
    }

    #[test]
    fn only_connections_that_find_people_by_an_identifier_store_it() {
        let login = |provider| {
            let found =
                Identity::new("c", provider, "1", false).login(Some("A@x.y"), Some("Al"), Some("+1 2"));
            (found.email.is_some(), found.username.is_some(), found.phone.is_some())
        };
        assert_eq!(login("auth0"), (true, true, true));
        assert_eq!(login("email"), (true, false, false));
        assert_eq!(login("sms"), (false, false, true));
        assert_eq!(login("samlp"), (false, false, false));
    }
}

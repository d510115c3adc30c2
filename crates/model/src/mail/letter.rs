//! A letter that is about to be queued.

use serde_json::{Map, Value, json};

use super::Kind;
use crate::document::shallow;
use crate::ids::{ClientId, UserId};
use crate::users::User;

/// How deep a variable is kept. Metadata may nest as deep as JSON is read at all, and lies deeper in a letter.
const DEEPEST: usize = 32;

/// A letter: what it is about, to whom, and what its text may name.
#[derive(Clone, Debug)]
pub struct Letter {
    /// What it is about.
    pub kind: Kind,
    /// The address it goes to.
    pub to: String,
    /// Whom it is about: the audit log names them where it cannot be delivered.
    pub user_id: Option<UserId>,
    /// The application that it came from: `application` in its text.
    pub client_id: Option<ClientId>,
    /// What the text may name besides the tenant and the application: `user`, `url`, `code` and what its [`Kind`] says.
    pub variables: Map<String, Value>,
}

impl Letter {
    /// A letter to any address.
    pub fn new(kind: Kind, to: &str) -> Self {
        Self { kind, to: to.to_owned(), user_id: None, client_id: None, variables: Map::new() }
    }

    /// A letter to a user's address; `None` where they have none.
    pub fn to_user(kind: Kind, user: &User) -> Option<Self> {
        Some(Self::new(kind, user.email.as_deref()?).about(user))
    }

    /// Says whom the letter is about: `user` in its text, as they are now.
    #[must_use]
    pub fn about(mut self, user: &User) -> Self {
        self.user_id = Some(user.id.clone());
        let about = json!({
            "user_id": user.id,
            "email": user.email,
            "email_verified": user.email_verified,
            "username": user.username,
            "phone_number": user.phone_number,
            "name": user.name,
            "nickname": user.nickname,
            "given_name": user.given_name,
            "family_name": user.family_name,
            "picture": user.picture,
            "created_at": user.created_at,
            "user_metadata": user.user_metadata,
            "app_metadata": user.app_metadata,
        });
        self.with("user", about)
    }

    /// Names the application that it came from.
    #[must_use]
    pub fn client(mut self, client_id: &ClientId) -> Self {
        self.client_id = Some(client_id.clone());
        self
    }

    /// Lets the text name `value` by `name`, but for what lies very deep in it.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.variables.insert(name.to_owned(), shallow(&value.into(), DEEPEST));
        self
    }
}

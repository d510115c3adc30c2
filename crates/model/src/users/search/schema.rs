//! What can be searched, and how each field is compared.

/// The fields of a list that can be searched. Everything else is refused, so secrets cannot be guessed letter by letter.
pub struct Schema {
    /// Fields by name.
    pub fields: &'static [Field],
    /// Columns with metadata: `{name}.{key}…` is compared by equality.
    pub metadata: &'static [(&'static str, &'static str)],
    /// What a bare term is looked for in.
    pub bare: &'static [&'static str],
}

/// A field that can be searched.
pub struct Field {
    /// Its name in a query.
    pub name: &'static str,
    /// The SQL expression of its value.
    pub column: &'static str,
    /// How it is compared.
    pub kind: Kind,
}

/// How a field is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A text, to the letter.
    Text,
    /// A text that is stored in lower case: case does not count.
    Folded,
    /// A folded text in which a bare term may be one of the words.
    Words,
    /// `true` or `false`.
    Bool,
    /// A whole number.
    Int,
    /// A moment: milliseconds, given as `2025-12-01` or a full ISO 8601 time.
    Moment,
    /// A text column of the user's identities: one of them must match.
    Identity,
    /// The part of an e-mail address after the `@`.
    Domain,
}

const fn field(name: &'static str, column: &'static str, kind: Kind) -> Field {
    Field { name, column, kind }
}

/// The fields of users, on `users u`.
pub static USERS: Schema = Schema {
    fields: &[
        field("user_id", "u.id", Kind::Text),
        field("email", "u.email", Kind::Folded),
        field("email.domain", "u.email", Kind::Domain),
        field("email_verified", "u.email_verified", Kind::Bool),
        field("username", "u.username", Kind::Text),
        field("phone_number", "u.phone_number", Kind::Text),
        field("phone_verified", "u.phone_verified", Kind::Bool),
        field("name", "u.name_folded", Kind::Words),
        field("nickname", "u.nickname_folded", Kind::Words),
        field("given_name", "u.given_name_folded", Kind::Words),
        field("family_name", "u.family_name_folded", Kind::Words),
        field("picture", "u.picture", Kind::Text),
        field("blocked", "u.blocked", Kind::Bool),
        field("created_at", "u.created_at", Kind::Moment),
        field("updated_at", "u.updated_at", Kind::Moment),
        field("last_login", "u.last_login", Kind::Moment),
        field("last_password_reset", "u.last_password_reset", Kind::Moment),
        field("last_ip", "u.last_ip", Kind::Text),
        field("logins_count", "u.logins_count", Kind::Int),
        field("identities.connection", "x.connection", Kind::Identity),
        field("identities.provider", "x.provider", Kind::Identity),
        field("identities.user_id", "x.subject", Kind::Identity),
    ],
    metadata: &[("user_metadata", "u.user_metadata"), ("app_metadata", "u.app_metadata")],
    bare: &["email", "name", "nickname", "given_name", "family_name", "username", "phone_number", "user_id"],
};

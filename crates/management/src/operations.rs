//! What an operation of the table is: its method and path, its scopes, and what holding each of them grants.

use axum::http::Method;
use model::self_service::Change;
use model::tenants::Tenant;

/// The APIs that are served in this way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Api {
    /// The Management API: `/api/v2`.
    Management,
    /// The My Account API: `/me/v1`.
    MyAccount,
}

impl Api {
    /// What the tokens for it name as their audience.
    pub fn audience(self, tenant: &Tenant) -> String {
        match self {
            Self::Management => tenant.management_audience(),
            Self::MyAccount => tenant.my_account_audience(),
        }
    }
}

/// One operation of an API. The whole tables are [`crate::operations`] and [`crate::my_account::operations`].
#[derive(Clone, Debug)]
pub struct Operation {
    /// The API that it is of.
    pub api: Api,
    /// The HTTP method.
    pub method: Method,
    /// The path below the API's own, with `{name}` for a parameter.
    pub path: &'static str,
    /// The operation's title, as the audit log writes it.
    pub title: &'static str,
    /// The scopes, in the order of the published list.
    pub scopes: Vec<Scope>,
}

impl Operation {
    /// The change of a person's own that it is, where the self-service policy may ask for a proof first.
    pub fn asks(&self) -> Option<Change> {
        self.scopes.iter().find_map(|scope| scope.asks)
    }
}

/// A scope of an operation and what holding it grants there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scope {
    /// The scope as it stands in a token.
    pub name: &'static str,
    /// Whose objects it reaches.
    pub over: Over,
    /// What it adds, or what it is limited to.
    pub power: Option<Power>,
    /// A second scope without which this one grants nothing here.
    pub together_with: Option<&'static str>,
    /// Whether the 403 message names it.
    pub named: bool,
    /// The change that it lets a person make of what is theirs, where the self-service policy may ask for a proof first.
    pub asks: Option<Change>,
}

/// Whose objects a scope reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Over {
    /// Everyone's.
    Everyone,
    /// Only those of the token's subject, who is a user and is named by the first parameter of the path.
    OwnId,
    /// Only those of the token's subject, who is a user; the rows say whose they are.
    OwnRow,
}

/// What a scope does besides opening an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Power {
    /// Answers show the tokens that identity providers issued for the user.
    IdpTokens,
    /// Answers show client secrets and keys.
    Secrets,
    /// Limit: of a user only `app_metadata` may be written.
    AppMetadataOnly,
    /// Limit: `user_metadata` keys may be added, none changed or removed.
    AddMetadataOnly,
    /// Limit: of a client only the published summary is shown.
    SummaryOnly,
    /// Limit: of a client only its secret and keys may be written. Without it, not even beside another scope, they may not.
    ClientKeys,
    /// Limit: of a client only what refers to its credentials may be written.
    ClientCredentials,
    /// Limit: of a client only its privileged access to the token vault may be written.
    TokenVault,
}

impl Power {
    /// Whether this narrows what the scope opens, rather than adding to it.
    pub const fn is_limit(self) -> bool {
        !matches!(self, Self::IdpTokens | Self::Secrets)
    }
}

/// A scope that reaches everyone's objects.
pub const fn everyone(name: &'static str) -> Scope {
    Scope { name, over: Over::Everyone, power: None, together_with: None, named: true, asks: None }
}

/// A scope that reaches everyone's objects, with a power of its own.
pub const fn power(name: &'static str, power: Power) -> Scope {
    everyone(name).with(power)
}

/// A current-user scope where the first parameter of the path names the user.
pub const fn own_id(name: &'static str) -> Scope {
    Scope { over: Over::OwnId, ..everyone(name) }
}

/// A current-user scope where the row says whose it is.
pub const fn own_row(name: &'static str) -> Scope {
    Scope { over: Over::OwnRow, ..everyone(name) }
}

impl Scope {
    /// The same scope with a power or a limit.
    pub const fn with(self, power: Power) -> Self {
        Self { power: Some(power), ..self }
    }

    /// The same scope, worth something only to a token that holds `other` too.
    pub const fn and(self, other: &'static str) -> Self {
        Self { together_with: Some(other), ..self }
    }

    /// The same scope, subject to what the self-service policy asks for before this change.
    pub const fn asking(self, change: Change) -> Self {
        Self { asks: Some(change), ..self }
    }

    /// The same scope, accepted but left out of the 403 message.
    pub const fn unnamed(self) -> Self {
        Self { named: false, ..self }
    }
}

//! `/api/v2/users/{id}/identities`: linking makes an account an identity of another user, unlinking makes it a user of its own
//! again (management contract §1.5, §1.6).

use axum::extract::State;
use axum::http::StatusCode;
use db::Batch;
use model::connections::{self, Connection};
use model::mail::{self, Kind, Letter};
use model::paging::Paging;
use model::users::{self, User};
use model::{App, UserId, identities, self_service};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use super::link_with::{self, Proof};
use crate::access::{Grant, Reach};
use crate::answers::{Answer, Created};
use crate::errors::{Error, Missing};
use crate::paths::{Parameter, Path};
use crate::requests::Json;

/// The providers that an identity can be of.
#[rustfmt::skip]
const PROVIDERS: &[&str] = &[
    "ad", "adfs", "amazon", "apple", "dropbox", "bitbucket", "auth0-oidc", "auth0", "baidu", "bitly", "box", "custom", "daccount",
    "dwolla", "email", "evernote-sandbox", "evernote", "exact", "facebook", "fitbit", "github", "google-apps", "google-oauth2",
    "instagram", "ip", "line", "linkedin", "oauth1", "oauth2", "office365", "oidc", "okta", "paypal", "paypal-sandbox",
    "pingfederate", "planningcenter", "salesforce-community", "salesforce-sandbox", "salesforce", "samlp", "sharepoint", "shopify",
    "shop", "sms", "soundcloud", "thirtysevensignals", "twitter", "untappd", "vkontakte", "waad", "weibo", "windowslive",
    "wordpress", "yahoo", "yandex",
];

/// The body of `POST /users/{id}/identities`: either `link_with`, or the account's provider and id.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("minProperties" = 1))]
pub struct LinkIdentity {
    /// Identity provider of the secondary user account being linked.
    #[schemars(extend("enum" = PROVIDERS))]
    pub provider: Option<String>,
    /// connection_id of the secondary user account being linked when more than one `auth0` database provider exists.
    #[schemars(regex(pattern = r"^con_[A-Za-z0-9]{16}$"))]
    pub connection_id: Option<String>,
    /// user_id of the secondary user account being linked.
    #[schemars(with = "Option<String>", extend("type" = ["string", "integer"], "minimum" = 0, "maximum" = i64::MAX))]
    pub user_id: Option<AccountId>,
    /// JWT for the secondary account being linked. If sending this parameter, `provider`, `user_id`, and `connection_id` must not be sent.
    pub link_with: Option<String>,
}

/// An account's id at its provider: some providers number theirs.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub enum AccountId {
    /// The usual form, with or without `provider|` before it.
    Text(String),
    /// As some social providers have it.
    Number(i64),
}

/// `{provider}` of a path.
#[derive(Clone, Debug)]
pub struct Provider(String);

impl Parameter for Provider {
    fn read(name: &str, value: &str) -> Result<Self, Error> {
        if !PROVIDERS.contains(&value) {
            let shown: String = value.chars().take(255).collect();
            return Err(Error::InvalidUri(format!(
                "Path validation error: 'No enum match for: {shown}' on property {name}."
            )));
        }
        Ok(Self(value.to_owned()))
    }
}

/// The account that is to become an identity.
enum Secondary {
    /// The one that an ID token proves.
    Proven(Proof),
    /// The one that an administrator names.
    Named { provider: String, account: String, connection: Option<String> },
}

/// `POST /users/{id}/identities`: links an account to the user, and answers their identities.
///
/// A person proves by an ID token that the account is theirs; an administrator may name it. The account's metadata is discarded, and
/// all that it is signed in with ends, but for the session that the ID token is of: the browser in which its owner just signed in to
/// it is signed in as the primary user from now on.
///
/// # Errors
/// 400 `invalid_body`, 403 `insufficient_scope` for a person who names an account, 404 `inexistent_user`, 409 for an account that is
/// linked already.
pub async fn link(
    State(app): State<App>,
    grant: Grant,
    Path(id): Path<UserId>,
    Json(body): Json<LinkIdentity>,
) -> Result<Created<Value>, Error> {
    let secondary = body.secondary(&app, &grant).await?;
    let tenant = &grant.tenant.id;
    let policy = self_service::find(&app, tenant).await?;
    let decide = async || {
        let mut primary = grant.user(&app, &id).await?.ok_or(Error::NotFound(Missing::User))?;
        let other = secondary.find(&app, &grant, &primary).await?;
        let mut batch = Batch::new();
        users::link(&mut batch, &mut primary, &other, secondary.session(), app.clock.now());
        if policy.sends(Kind::IdentityLinked) {
            tell_both(&mut batch, &app, &grant, Kind::IdentityLinked, [&primary, &other]);
        }
        let answer = primary.identities_to_wire();
        grant.wrote(&app, &mut batch, StatusCode::CREATED, &answer);
        Ok::<_, Error>((batch, answer))
    };
    app.db.retry(decide).await.map(Created)
}

/// `DELETE /users/{id}/identities/{provider}/{user_id}`: makes a linked account a user of its own again, without metadata, and
/// answers the identities that are left.
///
/// # Errors
/// 400 `operation_not_supported` for the main identity, 400 `invalid_uri` for one that the user does not have, 404 `inexistent_user`.
pub async fn unlink(
    State(app): State<App>,
    grant: Grant,
    Path((id, Provider(provider), account)): Path<(UserId, Provider, String)>,
) -> Result<Answer<Value>, Error> {
    let tenant = &grant.tenant.id;
    let policy = self_service::find(&app, tenant).await?;
    let decide = async || {
        let mut user = grant.user(&app, &id).await?.ok_or(Error::NotFound(Missing::User))?;
        let position = position(&user, &provider, &account)?;
        let mut batch = Batch::new();
        let restored = users::unlink(&mut batch, &mut user, position, app.clock.now())
            .ok_or(Error::NotSupported("Main identity cannot be removed.".into()))?;
        if policy.sends(Kind::IdentityUnlinked) {
            tell_both(&mut batch, &app, &grant, Kind::IdentityUnlinked, [&user, &restored]);
        }
        let answer = user.identities_to_wire();
        grant.wrote(&app, &mut batch, StatusCode::OK, &answer);
        Ok::<_, Error>((batch, answer))
    };
    app.db.retry(decide).await.map(Answer)
}

/// Tells the owner of each account that the other was linked to it or unlinked from it: should it be one person, at one address, once.
fn tell_both(batch: &mut Batch, app: &App, grant: &Grant, kind: Kind, [user, other]: [&User; 2]) {
    let both = [(user, other), (other, user)];
    let told = if user.email == other.email { &both[..1] } else { &both };
    for (user, account) in told {
        let Some(letter) = Letter::to_user(kind, user) else { continue };
        let letter = letter.with("account", known_as(account));
        let letter = match grant.caller.bearer() {
            Some(bearer) => letter.client(&bearer.client),
            None => letter,
        };
        mail::queue(batch, app, &grant.tenant.id, letter);
    }
}

/// What people call an account.
fn known_as(user: &User) -> &str {
    let names = [&user.email, &user.username, &user.phone_number, &user.name];
    names.into_iter().flatten().next().unwrap_or(&user.primary().connection)
}

/// The place of the identity that a path names: by its id, or by `connection|id`.
fn position(user: &User, provider: &str, account: &str) -> Result<usize, Error> {
    let named = user.identities.iter().position(|identity| {
        let with_connection = || {
            account
                .strip_prefix(&*identity.connection)?
                .strip_prefix('|')
                .filter(|id| *id == identity.user_id)
        };
        identity.provider == provider && (identity.user_id == account || with_connection().is_some())
    });
    named.ok_or_else(|| Error::InvalidUri("The specified identity does not exist.".into()))
}

impl LinkIdentity {
    /// Whom the body means. A person may mean only an account that they prove to be theirs.
    async fn secondary(self, app: &App, grant: &Grant) -> Result<Secondary, Error> {
        let Self { provider, connection_id, user_id, link_with } = self;
        let named = [
            ("provider", provider.is_some()),
            ("connection_id", connection_id.is_some()),
            ("user_id", user_id.is_some()),
        ];
        let named: Vec<_> = named.into_iter().filter_map(|(name, there)| there.then_some(name)).collect();
        if matches!(grant.reach, Reach::Own(_)) && !named.is_empty() {
            return Err(Error::InsufficientScope(vec!["update:users"]));
        }
        let problem =
            |text: String| Error::InvalidBody(format!("Payload validation error: '{text}'.").into());
        if let Some(token) = link_with {
            return match named.as_slice() {
                [] => link_with::verify(app, grant, &token).await.map(Secondary::Proven),
                others => Err(problem(format!("Additional properties not allowed: {}", others.join(",")))),
            };
        }
        let missing = |property: &str| problem(format!("Missing required property: {property}"));
        let provider = provider.ok_or_else(|| missing("provider"))?;
        let account = match user_id.ok_or_else(|| missing("user_id"))? {
            AccountId::Text(text) => text,
            AccountId::Number(number) => number.to_string(),
        };
        let account = match account.strip_prefix(&*provider).and_then(|rest| rest.strip_prefix('|')) {
            Some(rest) => rest.to_owned(),
            None => account,
        };
        Ok(Secondary::Named { provider, account, connection: connection_id })
    }
}

impl Secondary {
    /// The session in which the account was proven to be its owner's.
    fn session(&self) -> Option<&str> {
        match self {
            Self::Proven(proof) => proof.sid.as_deref(),
            Self::Named { .. } => None,
        }
    }

    fn provider(&self) -> &str {
        match self {
            Self::Proven(proof) => proof.user.provider(),
            Self::Named { provider, .. } => provider,
        }
    }

    fn account(&self) -> &str {
        match self {
            Self::Proven(proof) => proof.user.subject(),
            Self::Named { account, .. } => account,
        }
    }

    /// The user whose only claim to the account is that it is theirs, if they may be linked to `primary` now.
    async fn find(&self, app: &App, grant: &Grant, primary: &User) -> Result<User, Error> {
        let tenant = &grant.tenant.id;
        let connection = self.connection(app, grant).await?;
        let owner = identities::owner(&app.db, tenant, self.provider(), self.account()).await?;
        let Some(owner) = owner else { return Err(self.nobody(connection.is_some())) };
        let is_primary = owner.provider() == self.provider() && owner.subject() == self.account();
        if !is_primary {
            return Err(Error::AlreadyExists("Specified identity already exists."));
        }
        if owner == primary.id {
            return Err(refused("Main identity and the new one are the same."));
        }
        let found = users::find(&app.db, tenant, &owner).await?.filter(|user| self.is_of(user));
        let user = found.ok_or_else(|| self.nobody(connection.is_some()))?;
        if connection.is_some_and(|connection| connection != user.primary().connection) {
            return Err(refused("Linking to an inexistent identity is not allowed."));
        }
        // Whoever is shut out does not come back in through another account.
        if user.is_blocked() || primary.identities.len() + user.identities.len() > identities::MOST {
            return Err(refused("Unable to link with the secondary account."));
        }
        Ok(user)
    }

    /// The name of the connection that the account must be of, where one is named.
    async fn connection(&self, app: &App, grant: &Grant) -> Result<Option<String>, Error> {
        let Self::Named { provider, connection, .. } = self else { return Ok(None) };
        let tenant = &grant.tenant.id;
        let fits = |connection: &Connection| connection.strategy == *provider;
        let unknown = || refused("The provider/connection is not configured.");
        if let Some(id) = connection {
            let found = connections::find(app, tenant, id).await?;
            let found = found.filter(|connection| fits(connection)).ok_or_else(unknown)?;
            return Ok(Some(found.name.clone()));
        }
        let filter = connections::Filter { strategies: vec![provider.clone()], ..Default::default() };
        let one = Paging::Offset { page: 0, per_page: 1, totals: false };
        match connections::list(app, tenant, &filter, &one).await?.items.is_empty() {
            true => Err(unknown()),
            false => Ok(None),
        }
    }

    /// Whether the proof, if there is one, is of this user, and not of another who had the id before.
    fn is_of(&self, user: &User) -> bool {
        match self {
            Self::Proven(proof) => user.created_at.seconds() <= proof.issued_at,
            Self::Named { .. } => true,
        }
    }

    /// The refusal where there is no such account.
    fn nobody(&self, with_connection: bool) -> Error {
        refused(match self {
            Self::Proven(_) => "Provided secondary account not found.",
            Self::Named { .. } if with_connection => "Linking to an inexistent identity is not allowed.",
            Self::Named { .. } => "Linking to an inexistent identity requires a connection.",
        })
    }
}

/// 400 `invalid_body` with a published reason.
pub(super) fn refused(reason: &'static str) -> Error {
    Error::InvalidBody(reason.into())
}

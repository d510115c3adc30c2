//! `/api/v2/tickets` (management contract §3.3).

use axum::extract::State;
use axum::http::StatusCode;
use db::Batch;
use model::tickets::{self, Kind, LIFETIME, Ticket};
use model::users::{self, User};
use model::{App, ClientId, Model, UserId, clients, connections};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::access::Grant;
use crate::answers::Created;
use crate::errors::{Error, Missing};
use crate::requests::Json;

/// The body of `POST /tickets/email-verification`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct VerifyEmail {
    /// URL the user will be redirected to in the classic Universal Login experience once the ticket is used. Cannot be specified when using client_id or organization_id.
    #[schemars(length(max = 2048), extend("format" = "url"))]
    pub result_url: Option<String>,
    /// user_id of for whom the ticket should be created.
    #[schemars(length(max = 1024), extend("format" = "user-id"))]
    pub user_id: String,
    /// ID of the client (application). If provided for tenants using New Universal Login experience, the user will be prompted to redirect to the default login route of the corresponding application once the ticket is used.
    #[schemars(extend("format" = "client-id"))]
    pub client_id: Option<String>,
    /// (Optional) Organization ID – the ID of the Organization.
    #[schemars(length(max = 50))]
    pub organization_id: Option<String>,
    /// Number of seconds for which the ticket is valid before expiration. If unspecified or set to 0, this value defaults to 432000 seconds (5 days).
    #[schemars(range(min = 0, max = 2_147_483_647))]
    pub ttl_sec: Option<i64>,
    /// Whether to include the email address as part of the returnUrl in the reset_email (true), or not (false).
    #[serde(rename = "includeEmailInRedirect")]
    pub include_email_in_redirect: Option<bool>,
    /// This must be provided to verify primary social, enterprise and passwordless email identities. Also, is needed to verify secondary identities.
    pub identity: Option<TicketIdentity>,
}

/// The body of `POST /tickets/password-change`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ChangePassword {
    /// URL the user will be redirected to in the classic Universal Login experience once the ticket is used. Cannot be specified when using client_id or organization_id.
    #[schemars(length(max = 2048), extend("format" = "url"))]
    pub result_url: Option<String>,
    /// user_id of for whom the ticket should be created.
    #[schemars(length(max = 1024), extend("format" = "user-id"))]
    pub user_id: Option<String>,
    /// ID of the client (application). If provided for tenants using New Universal Login experience, the user will be prompted to redirect to the default login route of the corresponding application once the ticket is used.
    #[schemars(extend("format" = "client-id"))]
    pub client_id: Option<String>,
    /// (Optional) Organization ID – the ID of the Organization.
    #[schemars(length(max = 50))]
    pub organization_id: Option<String>,
    /// ID of the connection. If provided, allows the user to be specified using email instead of user_id. If you set this value, you must also send the email parameter. You cannot send user_id when specifying a connection_id.
    #[schemars(regex(pattern = "^con_[A-Za-z0-9]{16}$"))]
    pub connection_id: Option<String>,
    /// Email address of the user for whom the tickets should be created. Requires the connection_id parameter. Cannot be specified when using user_id.
    #[schemars(length(max = 320), extend("format" = "email"))]
    pub email: Option<String>,
    /// Number of seconds for which the ticket is valid before expiration. If unspecified or set to 0, this value defaults to 432000 seconds (5 days).
    #[schemars(range(min = 0, max = 2_147_483_647))]
    pub ttl_sec: Option<i64>,
    /// Whether to set the email_verified attribute to true (true) or whether it should not be updated (false).
    pub mark_email_as_verified: Option<bool>,
    /// Whether to include the email address as part of the returnUrl in the reset_email (true), or not (false).
    #[serde(rename = "includeEmailInRedirect")]
    pub include_email_in_redirect: Option<bool>,
    /// The user's identity whose password it is.
    pub identity: Option<TicketIdentity>,
}

/// One of a user's identities.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TicketIdentity {
    /// user_id of the identity.
    #[schemars(length(min = 1, max = 1024))]
    pub user_id: String,
    /// Identity provider name of the identity (e.g. `google-oauth2`).
    #[schemars(length(min = 1, max = 128))]
    pub provider: String,
    /// connection_id of the identity.
    #[schemars(regex(pattern = "^con_[A-Za-z0-9]{16}$"))]
    pub connection_id: Option<String>,
}

/// What both bodies say of the link.
struct Wanted<'a> {
    kind: Kind,
    result_url: Option<&'a str>,
    client_id: Option<&'a str>,
    ttl_sec: Option<i64>,
    include_email: bool,
    marks_verified: bool,
}

/// Whom a link is for.
enum Whom<'a> {
    /// A user's id, and which of their identities.
    Id(&'a str, Option<&'a TicketIdentity>),
    /// A connection's id, and an address there.
    Email(&'a str, &'a str),
}

/// `POST /tickets/email-verification`: a link that proves a user's address.
///
/// # Errors
/// 404 `inexistent_user`, 400 for a user without an address, an unknown client, or an identity that is not theirs.
pub async fn verify_email(
    State(app): State<App>,
    grant: Grant,
    Json(body): Json<VerifyEmail>,
) -> Result<Created<Value>, Error> {
    let wanted = Wanted {
        kind: Kind::Verification,
        result_url: body.result_url.as_deref(),
        client_id: body.client_id.as_deref(),
        ttl_sec: body.ttl_sec,
        include_email: body.include_email_in_redirect.unwrap_or(false),
        marks_verified: true,
    };
    check(&app, &grant, &wanted, body.organization_id.is_some()).await?;
    create(&app, &grant, &wanted, &Whom::Id(&body.user_id, body.identity.as_ref())).await
}

/// `POST /tickets/password-change`: a link that sets a user's password.
///
/// # Errors
/// 404 `inexistent_user`, 400 for a user without a password of ours, or a user who is named in two ways or in none.
pub async fn change_password(
    State(app): State<App>,
    grant: Grant,
    Json(body): Json<ChangePassword>,
) -> Result<Created<Value>, Error> {
    let wanted = Wanted {
        kind: Kind::Password,
        result_url: body.result_url.as_deref(),
        client_id: body.client_id.as_deref(),
        ttl_sec: body.ttl_sec,
        include_email: body.include_email_in_redirect.unwrap_or(false),
        marks_verified: body.mark_email_as_verified.unwrap_or(false),
    };
    let whom = match (&body.user_id, &body.connection_id, &body.email) {
        (Some(id), None, None) => Whom::Id(id, body.identity.as_ref()),
        (None, Some(connection_id), Some(email)) => Whom::Email(connection_id, email),
        (Some(_), ..) => return Err(bad("Cannot specify both user_id and connection_id or email.")),
        (None, None, None) => {
            return Err(bad("Either user_id or connection_id and email must be specified."));
        }
        (None, ..) => return Err(bad("connection_id and email must be specified together.")),
    };
    check(&app, &grant, &wanted, body.organization_id.is_some()).await?;
    create(&app, &grant, &wanted, &whom).await
}

/// What no schema says of the two.
async fn check(app: &Model, grant: &Grant, wanted: &Wanted<'_>, for_organization: bool) -> Result<(), Error> {
    if for_organization {
        return Err(bad("The organization does not exist"));
    }
    let Some(client_id) = wanted.client_id else { return Ok(()) };
    if wanted.result_url.is_some() {
        return Err(bad("Cannot specify both client_id and result_url."));
    }
    match clients::find(app, &grant.tenant.id, client_id).await? {
        Some(_) => Ok(()),
        None => Err(bad("The client does not exist")),
    }
}

async fn create(
    app: &Model,
    grant: &Grant,
    wanted: &Wanted<'_>,
    whom: &Whom<'_>,
) -> Result<Created<Value>, Error> {
    let decide = async || {
        let (user, position) = find(app, grant, wanted.kind, whom).await?;
        let mut batch = Batch::new();
        users::unchanged(&mut batch, &user);
        let lifetime = wanted.ttl_sec.filter(|seconds| *seconds > 0).unwrap_or(LIFETIME);
        let ticket = Ticket {
            marks_verified: wanted.marks_verified,
            result_url: wanted.result_url.map(str::to_owned),
            include_email: wanted.include_email,
            client_id: wanted.client_id.map(ClientId::from),
            ..Ticket::new(app, wanted.kind, &user, position, lifetime)
        };
        let token = tickets::insert(app, &mut batch, &grant.tenant.id, &ticket);
        // The log is no place for a link that works.
        let path = format!("{}{}", grant.tenant.issuer, wanted.kind.path());
        grant.wrote(app, &mut batch, StatusCode::CREATED, &json!({ "ticket": path }));
        Ok::<_, Error>((batch, json!({ "ticket": tickets::link(&grant.tenant.issuer, wanted.kind, &token) })))
    };
    app.db.retry(decide).await.map(Created)
}

/// The user who is named, and the place of the identity that the link is for.
async fn find(app: &Model, grant: &Grant, kind: Kind, whom: &Whom<'_>) -> Result<(User, usize), Error> {
    let (user, position) = match whom {
        Whom::Email(connection_id, email) => by_email(app, grant, connection_id, email).await?,
        Whom::Id(id, named) => {
            let user = users::find(&app.db, &grant.tenant.id, &UserId::from(*id)).await?;
            let user = user.ok_or(Error::NotFound(Missing::User))?;
            let position = identity(&user, *named)?.unwrap_or(0);
            (user, position)
        }
    };
    match kind {
        Kind::Verification if tickets::email_of(&user, position).is_none() => {
            Err(bad("The user does not have an email address."))
        }
        Kind::Password if !user.identities[position].is_database() => {
            Err(bad("The user's main connection does not support this operation."))
        }
        _ => Ok((user, position)),
    }
}

/// The user with this address at a connection, and the identity that it names.
async fn by_email(
    app: &Model,
    grant: &Grant,
    connection_id: &str,
    email: &str,
) -> Result<(User, usize), Error> {
    let tenant = &grant.tenant.id;
    let connection = connections::find(app, tenant, connection_id).await?.ok_or_else(|| {
        Error::InvalidBody(format!("The connection with id {connection_id} does not exist.").into())
    })?;
    let found = users::find_login(&app.db, tenant, &connection.name, email).await?;
    let found = found.ok_or(Error::NotFound(Missing::User))?;
    Ok((found.user, found.identity))
}

/// The place of the identity that is named, if one is.
pub(crate) fn identity(user: &User, named: Option<&TicketIdentity>) -> Result<Option<usize>, Error> {
    let Some(named) = named else { return Ok(None) };
    let found = user.identity(&named.provider, &named.user_id);
    let position = found.map(|(position, _)| position);
    position.map(Some).ok_or_else(|| bad("The user exists, but does not contain the given identity."))
}

fn bad(text: &'static str) -> Error {
    Error::InvalidBody(text.into())
}

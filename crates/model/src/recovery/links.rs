//! The mails with links: what the tenant's templates say of the links, the ticket, and the letter.

use db::Batch;
use serde_json::{Map, Value, json};
use url::Url;

use crate::ids::ClientId;
use crate::mail::liquid::{self, Form};
use crate::mail::{self, Kind, Letter, templates};
use crate::tenants::Tenant;
use crate::tickets::{self, Ticket};
use crate::users::User;
use crate::{Model, clients};

/// What a tenant's template says of the links in its letters.
#[derive(Clone, Debug, Default)]
pub struct Links {
    lifetime: Option<i64>,
    /// Where they lead in the end, a template.
    result_url: Option<String>,
    include_email: bool,
    variables: Map<String, Value>,
    /// Whether the tenant has switched letters of this kind off.
    pub switched_off: bool,
}

impl Links {
    /// Of letters of this kind, for an application.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn of(
        app: &Model,
        tenant: &Tenant,
        kind: Kind,
        client_id: Option<&ClientId>,
    ) -> Result<Self, db::Error> {
        let stored = templates::find(app, &tenant.id, kind).await?;
        let switched_off = stored.is_some_and(|template| !template.is_enabled());
        let client = match client_id {
            Some(id) => clients::find(app, &tenant.id, id.as_str()).await?,
            None => None,
        };
        let application =
            client.map(|client| json!({ "name": client.name, "clientID": client.client_id, "client_id": client.client_id }));
        let variables = Map::from_iter([
            ("application".to_owned(), json!(application)),
            ("tenant".to_owned(), tenant.name.as_str().into()),
        ]);
        let template = templates::find_enabled(app, &tenant.id, kind).await?;
        Ok(Self {
            lifetime: template.as_ref().and_then(|template| template.lifetime()),
            result_url: template.as_ref().and_then(|template| template.result_url.clone()),
            include_email: template
                .as_ref()
                .and_then(|template| template.include_email_in_redirect)
                .unwrap_or(false),
            variables,
            switched_off,
        })
    }

    /// Seconds that a link works.
    pub fn lifetime(&self) -> i64 {
        self.lifetime.unwrap_or(tickets::LIFETIME)
    }

    /// Where a link for `user` leads in the end. What is no web address leads nowhere.
    fn result_url(&self, letter: &Letter) -> Option<String> {
        let source = self.result_url.as_deref()?;
        let mut variables = self.variables.clone();
        variables.extend(letter.variables.clone());
        let url = liquid::render(source, Form::Text, &variables).ok()?.trim().to_owned();
        Url::parse(&url).is_ok_and(|url| matches!(url.scheme(), "https" | "http")).then_some(url)
    }
}

/// Puts a letter with a link that sets a new password into the queue. `None`, and nothing, where the identity has no address.
pub fn queue_reset(
    app: &Model,
    batch: &mut Batch,
    tenant: &Tenant,
    (user, position): (&User, usize),
    client_id: Option<&ClientId>,
    links: &Links,
) -> Option<()> {
    // Whoever reads the mail has proved that the address is theirs.
    queue(app, batch, tenant, (user, position), client_id, links, (Kind::ResetEmail, tickets::Kind::Password))
}

/// Puts a letter into the queue that tells of a password that has leaked, with a link that sets another. `None`, and nothing, where the
/// identity has no address.
pub fn queue_stolen(
    app: &Model,
    batch: &mut Batch,
    tenant: &Tenant,
    (user, position): (&User, usize),
    client_id: Option<&ClientId>,
    links: &Links,
) -> Option<()> {
    let kinds = (Kind::StolenCredentials, tickets::Kind::Password);
    queue(app, batch, tenant, (user, position), client_id, links, kinds)
}

/// Puts a letter with a link that proves the address into the queue. `None`, and nothing, where the identity has none.
pub fn queue_verification(
    app: &Model,
    batch: &mut Batch,
    tenant: &Tenant,
    (user, position): (&User, usize),
    client_id: Option<&ClientId>,
    links: &Links,
) -> Option<()> {
    queue(
        app,
        batch,
        tenant,
        (user, position),
        client_id,
        links,
        (Kind::VerifyEmail, tickets::Kind::Verification),
    )
}

fn queue(
    app: &Model,
    batch: &mut Batch,
    tenant: &Tenant,
    (user, position): (&User, usize),
    client_id: Option<&ClientId>,
    links: &Links,
    (kind, ticket_kind): (Kind, tickets::Kind),
) -> Option<()> {
    let email = tickets::email_of(user, position)?.to_owned();
    let mut letter = Letter::new(kind, &email).about(user);
    letter.variables["user"]["email"] = email.as_str().into();
    letter = letter.with("connection", json!({ "name": user.identities[position].connection }));
    letter.client_id = client_id.cloned();
    let ticket = Ticket {
        marks_verified: true,
        result_url: links.result_url(&letter),
        include_email: links.include_email,
        client_id: client_id.cloned(),
        ..Ticket::new(app, ticket_kind, user, position, links.lifetime())
    };
    let token = tickets::insert(app, batch, &tenant.id, &ticket);
    let letter = letter
        .with("url", tickets::link(&tenant.issuer, ticket_kind, &token))
        .with("url_lifetime", links.lifetime());
    mail::queue(batch, app, &tenant.id, letter);
    Some(())
}

//! `/api/v2/device-credentials`: public keys of devices, and the users' refresh tokens beside them (management contract §1.9).

use axum::extract::State;
use axum::http::StatusCode;
use db::Batch;
use model::device_credentials::{self, Entry, Filter, Kind, MOST_LISTED, PublicKey};
use model::mail::{self, Kind as Letters, Letter};
use model::paging::Paging;
use model::users::{self, User};
use model::{App, ClientId, UserId, self_service};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::access::{Grant, Reach, Subject};
use crate::answers::{Answer, Created, NoContent};
use crate::errors::Error;
use crate::fields::Fields;
use crate::lists::{Pages, Style};
use crate::paths::{Parameter, Path};
use crate::requests::{Json, Query};

const LIST: Style = Style { first_thousand: true, ..Style::offsets("device_credentials") };

/// The query of `GET /device-credentials`.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct ListDeviceCredentials {
    /// The page.
    #[serde(flatten)]
    pub pages: Pages,
    /// The fields.
    #[serde(flatten)]
    pub fields: Fields,
    /// user_id of the devices to retrieve.
    pub user_id: Option<String>,
    /// client_id of the devices to retrieve.
    pub client_id: Option<String>,
    /// Type of credentials to retrieve. Must be `public_key`, `refresh_token` or `rotating_refresh_token`. The property will default to `refresh_token` when paging is requested
    #[serde(rename = "type")]
    #[schemars(extend("enum" = ["public_key", "refresh_token", "rotating_refresh_token"]))]
    pub kind: Option<String>,
}

/// The body of `POST /device-credentials`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateDeviceCredential {
    /// Name for this device easily recognized by owner.
    #[schemars(length(min = 1, max = 512))]
    pub device_name: String,
    /// Type of credential. Must be public_key.
    #[serde(rename = "type")]
    #[schemars(extend("enum" = ["public_key"]))]
    pub kind: String,
    /// Base64 encoded string containing the credential.
    #[schemars(length(min = 1, max = 8192), regex(pattern = r"^[A-Za-z0-9+/_-]+={0,2}$"))]
    pub value: String,
    /// Unique identifier for the device. Recommend using Android_ID on Android and identifierForVendor.
    #[schemars(length(max = 36), regex(pattern = r"^[-A-Fa-f0-9]+$"))]
    pub device_id: String,
    /// client_id of the client (application) this credential is for.
    #[schemars(extend("format" = "client-id"))]
    pub client_id: Option<String>,
    /// user_id of the user this credential is for.
    #[schemars(length(min = 1, max = 1024))]
    pub user_id: Option<String>,
}

/// `{id}` of a path.
#[derive(Clone, Debug)]
pub struct CredentialId(String);

impl Parameter for CredentialId {
    fn read(name: &str, value: &str) -> Result<Self, Error> {
        if device_credentials::suffix(value).is_none() {
            let shown: String = value.chars().take(255).collect();
            return Err(Error::InvalidUri(format!(
                "Path validation error: 'String does not match pattern ^dcr_[A-Za-z0-9]{{16}}$: {shown}' on property {name}."
            )));
        }
        Ok(Self(value.to_owned()))
    }
}

/// `GET /device-credentials`: keys and living refresh tokens, the oldest first.
///
/// # Errors
/// 400 `invalid_query_string`, and `invalid_paging` beyond the first 1000.
pub async fn list(
    State(app): State<App>,
    grant: Grant,
    Query(query): Query<ListDeviceCredentials>,
) -> Result<Answer<Value>, Error> {
    let paging = LIST.paging(&query.pages)?;
    let Paging::Offset { page, per_page, totals } = paging else { return Err(Error::Internal) };
    let paged = query.pages.page.is_some() || query.pages.per_page.is_some() || totals;
    let kind = query.kind.as_deref().and_then(Kind::from_name);
    let filter = Filter {
        user_id: query.user_id.map(UserId::from),
        client_id: query.client_id.map(ClientId::from),
        kind: kind.or(paged.then_some(Kind::RefreshToken)),
    };
    let limit = if paged { i64::from(per_page) } else { MOST_LISTED };
    let window = (i64::from(page) * i64::from(per_page), limit);
    let found = device_credentials::list(&app.db, &grant.tenant.id, &filter, window, app.clock.now()).await?;
    let found = found.map(|entry: Entry| Ok::<_, Error>(query.fields.of(entry.to_wire())))?;
    Ok(Answer(LIST.answer(&paging, found)))
}

/// `POST /device-credentials`: registers a device's public key for the caller's own user and client.
///
/// # Errors
/// 403 for another user or client, 409 for a device that has a key already.
pub async fn create(
    State(app): State<App>,
    grant: Grant,
    Json(body): Json<CreateDeviceCredential>,
) -> Result<Created<Value>, Error> {
    let tenant = &grant.tenant.id;
    let (user_id, client_id) = owner(&grant, &body)?;
    let policy = self_service::find(&app, tenant).await?;
    let decide = async || {
        let user = grant.user(&app, &user_id).await?.ok_or(Error::ForbiddenDevice("user"))?;
        let key = PublicKey {
            id: device_credentials::new_id(&app),
            user_id: user_id.clone(),
            client_id: client_id.clone(),
            device_id: body.device_id.clone(),
            device_name: body.device_name.clone(),
            value: body.value.clone(),
            created_at: app.clock.now(),
        };
        let answer = json!({ "id": key.id });
        let mut batch = Batch::new();
        users::unchanged(&mut batch, &user);
        device_credentials::insert(&mut batch, tenant, &key);
        if policy.sends(Letters::DeviceRegistered) {
            tell(&mut batch, &app, &grant, Letters::DeviceRegistered, &user, &key.device_name);
        }
        grant.wrote(&app, &mut batch, StatusCode::CREATED, &answer);
        Ok::<_, Error>((batch, answer))
    };
    app.db.retry(decide).await.map(Created).map_err(|error| match error {
        error if error.taken() == Some("device_credentials_device") => {
            Error::AlreadyExists("A public key already exists for the device.")
        }
        // The client is gone since the token was looked at.
        Error::Database(db::Error::ForeignKey) => Error::InvalidToken,
        error => error,
    })
}

/// Whose key it is, and with which client: the caller's own, and no other. A machine names the user.
fn owner(grant: &Grant, body: &CreateDeviceCredential) -> Result<(UserId, ClientId), Error> {
    let bearer = grant.caller.bearer().ok_or(Error::Internal)?;
    let named = body.user_id.as_deref().map(UserId::from);
    let user = match (&bearer.subject, named) {
        (Subject::User(own), Some(named)) if *own != named => None,
        (Subject::User(own), _) => Some(own.clone()),
        (Subject::Client, named) => named.filter(|_| grant.reach == Reach::Everyone),
    };
    let user = user.ok_or(Error::ForbiddenDevice("user"))?;
    match &body.client_id {
        Some(client) if *client != bearer.client.as_str() => Err(Error::ForbiddenDevice("client")),
        _ => Ok((user, bearer.client.clone())),
    }
}

/// Tells a user of one of their devices.
fn tell(batch: &mut Batch, app: &App, grant: &Grant, kind: Letters, user: &User, device: &str) {
    let Some(letter) = Letter::to_user(kind, user) else { return };
    let letter = letter.with("device", device);
    let letter = match grant.caller.bearer() {
        Some(bearer) => letter.client(&bearer.client),
        None => letter,
    };
    mail::queue(batch, app, &grant.tenant.id, letter);
}

/// `DELETE /device-credentials/{id}`: ends a key, or a refresh token and all that came of it. Another's entry answers like one that
/// is not there: it is gone already.
pub async fn delete(
    State(app): State<App>,
    grant: Grant,
    Path(CredentialId(id)): Path<CredentialId>,
) -> Result<NoContent, Error> {
    let tenant = &grant.tenant.id;
    let policy = self_service::find(&app, tenant).await?;
    let decide = async || {
        let mut batch = Batch::new();
        let own = match &grant.reach {
            Reach::Own(own) => Some(own),
            Reach::Everyone => None,
        };
        if let Some(own) = own {
            grant.user(&app, own).await?.iter().for_each(|user| users::unchanged(&mut batch, user));
        }
        device_credentials::remove(&mut batch, tenant, &id, own);
        if policy.sends(Letters::DeviceRemoved)
            && let Some((owner, device)) = device_credentials::find_device(&app.db, tenant, &id, own).await?
            && let Some(user) = users::find(&app.db, tenant, &owner).await?
        {
            tell(&mut batch, &app, &grant, Letters::DeviceRemoved, &user, &device);
        }
        grant.wrote(&app, &mut batch, StatusCode::NO_CONTENT, &Value::Null);
        Ok::<_, Error>((batch, ()))
    };
    app.db.retry(decide).await?;
    Ok(NoContent)
}

//! The services that deliver messages, and their texts. The texts are those of messages to phones, which leave by the gateway of the tenant's
//! `sms` connection; the services are kept as they are given, and nothing is delivered through them.

use axum::extract::State;
use model::App;
use model::guardian;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::change;
use crate::access::Grant;
use crate::answers::Answer;
use crate::changes::Change;
use crate::documents::Document;
use crate::errors::Error;
use crate::requests::Json;

type Object = Map<String, Value>;

/// The account at Twilio.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Twilio {
    /// From number
    #[schemars(default, extend("minLength" = 0, "maxLength" = 64))]
    pub from: Change<String>,
    /// Copilot SID
    #[schemars(default, extend("minLength" = 1, "maxLength" = 1000))]
    pub messaging_service_sid: Change<String>,
    /// Twilio Authentication token
    #[schemars(default, extend("minLength" = 1, "maxLength" = 1000))]
    pub auth_token: Change<String>,
    /// Twilio SID
    #[schemars(default, extend("minLength" = 1, "maxLength" = 1000))]
    pub sid: Change<String>,
}

/// The account at Amazon SNS.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Sns {
    /// The access key's id.
    #[schemars(default, extend("minLength" = 1, "maxLength" = 1000))]
    pub aws_access_key_id: Change<String>,
    /// The access key.
    #[schemars(default, extend("minLength" = 1, "maxLength" = 1000))]
    pub aws_secret_access_key: Change<String>,
    /// The region.
    #[schemars(default, extend("minLength" = 1, "maxLength" = 1000, "pattern" = AWS_REGION))]
    pub aws_region: Change<String>,
    /// The application at Apple's service.
    #[schemars(default, extend("minLength" = 1, "maxLength" = 1000))]
    pub sns_apns_platform_application_arn: Change<String>,
    /// The application at Google's service.
    #[schemars(default, extend("minLength" = 1, "maxLength" = 1000))]
    pub sns_gcm_platform_application_arn: Change<String>,
}

const AWS_REGION: &str = "^(?:us-east-[0-9]{1,2}|us-west-[0-9]{1,2}|ap-southeast-[0-9]{1,2}|ap-northeast-[0-9]{1,2}|ap-central-[0-9]{1,2}|eu-west-[0-9]{1,2}|eu-central-[0-9]{1,2})$";

/// The certificate for Apple's push notifications.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Apns {
    /// Whether it is for development.
    pub sandbox: Option<bool>,
    /// The app.
    #[schemars(default, extend("minLength" = 1, "maxLength" = 1000))]
    pub bundle_id: Change<String>,
    /// Base64 encoded certificate.
    #[schemars(default, extend("minLength" = 1, "maxLength" = 10000))]
    pub p12: Change<String>,
}

/// The key for Google's older push notifications.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Fcm {
    /// The key.
    #[schemars(default, extend("minLength" = 1, "maxLength" = 152))]
    pub server_key: Change<String>,
}

/// The credentials for Google's push notifications.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct FcmV1 {
    /// The credentials.
    #[schemars(default, extend("minLength" = 1, "maxLength" = 10000))]
    pub server_credentials: Change<String>,
}

/// The account at Duo.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Duo {
    /// The integration key.
    #[schemars(length(max = 10000))]
    pub ikey: Option<String>,
    /// The secret key.
    #[schemars(length(min = 1, max = 10000))]
    pub skey: Option<String>,
    /// The host.
    #[schemars(length(max = 10000))]
    pub host: Option<String>,
}

/// A way to a phone.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum MessageType {
    /// A message.
    Sms,
    /// A call.
    Voice,
}

/// How codes reach a phone.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MessageTypes {
    /// The list of phone factors to enable on the tenant. Can include `sms` and `voice`.
    #[schemars(length(max = 2))]
    pub message_types: Vec<MessageType>,
}

/// Who delivers to phones.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PhoneProvider {
    /// The provider.
    #[schemars(extend("enum" = ["auth0", "twilio", "phone-message-hook"]))]
    pub provider: String,
}

/// Who delivers push notifications.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PushProvider {
    /// The provider.
    #[schemars(extend("enum" = ["guardian", "sns", "direct"]))]
    pub provider: String,
}

/// The texts of messages to phones.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct PhoneTemplates {
    /// Message sent to the user when they are invited to enroll with a phone number.
    #[schemars(length(max = 10000))]
    pub enrollment_message: String,
    /// Message sent to the user when they are prompted to verify their account.
    #[schemars(length(max = 10000))]
    pub verification_message: String,
}

/// What is answered of the settings of a service: to a GET, and to a write.
struct Service {
    name: &'static str,
    read: fn(Object) -> Object,
    written: fn(Object) -> Object,
}

const TWILIO: Service = Service { name: "twilio", read: with_nulls, written: |sent| sent };
const SNS: Service =
    Service { name: "sns", read: |kept| without(kept, "aws_secret_access_key"), written: |sent| sent };
const APNS: Service = Service { name: "apns", read: apns_status, written: |sent| without(sent, "p12") };
const FCM: Service = Service { name: "fcm", read: |_| Object::new(), written: |_| Object::new() };
const FCM_V1: Service = Service { name: "fcmv1", ..FCM };
const DUO: Service = Service { name: "duo", read: |kept| kept, written: |sent| sent };

/// What was left out is told as `null`, once anything is set.
fn with_nulls(mut kept: Object) -> Object {
    if !kept.is_empty() {
        for key in ["auth_token", "sid", "from", "messaging_service_sid"] {
            kept.entry(key).or_insert(Value::Null);
        }
    }
    kept
}

fn without(mut object: Object, key: &str) -> Object {
    object.shift_remove(key);
    object
}

fn apns_status(kept: Object) -> Object {
    if kept.is_empty() {
        return kept;
    }
    let enabled = kept.get("p12").is_some_and(Value::is_string);
    let mut shown = without(kept, "p12");
    shown.insert("enabled".into(), enabled.into());
    shown
}

impl Service {
    async fn get(&self, app: &App, grant: &Grant) -> Result<Answer<Object>, Error> {
        let kept = guardian::load(app, &grant.tenant.id).await?.provider(self.name);
        Ok(Answer((self.read)(kept)))
    }

    /// Puts the settings in the place of what there was.
    async fn put(&self, app: &App, grant: &Grant, sent: &Object) -> Result<Answer<Object>, Error> {
        change(app, grant, |guardian| {
            guardian.set_provider(self.name, sent.clone());
            (self.written)(sent.clone())
        })
        .await
    }

    /// Puts the settings over what there was.
    async fn patch(&self, app: &App, grant: &Grant, sent: &Object) -> Result<Answer<Object>, Error> {
        change(app, grant, |guardian| {
            let mut merged = guardian.provider(self.name);
            merged.extend(sent.clone());
            guardian.set_provider(self.name, merged.clone());
            (self.written)(merged)
        })
        .await
    }
}

/// The handlers of a service: to read it, to replace it, and to change some of it.
macro_rules! handlers {
    ($($(#[$doc:meta])* $name:ident = $service:ident.$method:ident($($body:ty)?);)*) => {
        $(handlers!{ @one $(#[$doc])* $name = $service.$method($($body)?) })*
    };
    (@one $(#[$doc:meta])* $name:ident = $service:ident.$method:ident()) => {
        $(#[$doc])*
        pub async fn $name(State(app): State<App>, grant: Grant) -> Result<Answer<Object>, Error> {
            $service.$method(&app, &grant).await
        }
    };
    (@one $(#[$doc:meta])* $name:ident = $service:ident.$method:ident($body:ty)) => {
        $(#[$doc])*
        ///
        /// # Errors
        /// 400 `invalid_body`.
        pub async fn $name(
            State(app): State<App>,
            grant: Grant,
            Json(body): Json<Document<$body>>,
        ) -> Result<Answer<Object>, Error> {
            $service.$method(&app, &grant, &body.keys).await
        }
    };
}

handlers! {
    /// `GET /guardian/factors/{phone|sms}/providers/twilio`.
    twilio = TWILIO.get();
    /// `PUT /guardian/factors/{phone|sms}/providers/twilio`: both paths are one.
    set_twilio = TWILIO.put(Twilio);
    /// `GET /guardian/factors/push-notification/providers/sns`: the key itself is not told again.
    sns = SNS.get();
    /// `PUT /guardian/factors/push-notification/providers/sns`.
    set_sns = SNS.put(Sns);
    /// `PATCH /guardian/factors/push-notification/providers/sns`.
    update_sns = SNS.patch(Sns);
    /// `GET /guardian/factors/push-notification/providers/apns`: the certificate is not told again.
    apns = APNS.get();
    /// `PUT /guardian/factors/push-notification/providers/apns`.
    set_apns = APNS.put(Apns);
    /// `PATCH /guardian/factors/push-notification/providers/apns`.
    update_apns = APNS.patch(Apns);
    /// `PUT /guardian/factors/push-notification/providers/fcm`: nothing of it is told.
    set_fcm = FCM.put(Fcm);
    /// `PATCH /guardian/factors/push-notification/providers/fcm`.
    update_fcm = FCM.patch(Fcm);
    /// `PUT /guardian/factors/push-notification/providers/fcmv1`: nothing of it is told.
    set_fcmv1 = FCM_V1.put(FcmV1);
    /// `PATCH /guardian/factors/push-notification/providers/fcmv1`.
    update_fcmv1 = FCM_V1.patch(FcmV1);
    /// `GET /guardian/factors/duo/settings`.
    duo = DUO.get();
    /// `PUT /guardian/factors/duo/settings`.
    set_duo = DUO.put(Duo);
    /// `PATCH /guardian/factors/duo/settings`.
    update_duo = DUO.patch(Duo);
}

/// `GET /guardian/factors/phone/message-types`.
pub async fn message_types(State(app): State<App>, grant: Grant) -> Result<Answer<Value>, Error> {
    let guardian = guardian::find(&app, &grant.tenant.id).await?;
    Ok(Answer(json!({ "message_types": guardian.message_types })))
}

/// `PUT /guardian/factors/phone/message-types`.
///
/// # Errors
/// 400 `invalid_body`.
pub async fn set_message_types(
    State(app): State<App>,
    grant: Grant,
    Json(body): Json<MessageTypes>,
) -> Result<Answer<Value>, Error> {
    change(&app, &grant, |guardian| {
        let name = |kind: &MessageType| match kind {
            MessageType::Sms => "sms".to_owned(),
            MessageType::Voice => "voice".to_owned(),
        };
        guardian.message_types = body.message_types.iter().map(name).collect();
        json!(body)
    })
    .await
}

/// `GET /guardian/factors/{phone|sms}/selected-provider`.
pub async fn phone_provider(State(app): State<App>, grant: Grant) -> Result<Answer<PhoneProvider>, Error> {
    let set = guardian::find(&app, &grant.tenant.id).await?.phone_provider.clone();
    Ok(Answer(PhoneProvider { provider: set.unwrap_or_else(|| "auth0".to_owned()) }))
}

/// `PUT /guardian/factors/{phone|sms}/selected-provider`: both paths are one.
///
/// # Errors
/// 400 `invalid_body`.
pub async fn set_phone_provider(
    State(app): State<App>,
    grant: Grant,
    Json(body): Json<PhoneProvider>,
) -> Result<Answer<Value>, Error> {
    change(&app, &grant, |guardian| {
        guardian.phone_provider = Some(body.provider.clone());
        json!(body)
    })
    .await
}

/// `GET /guardian/factors/push-notification/selected-provider`.
pub async fn push_provider(State(app): State<App>, grant: Grant) -> Result<Answer<PushProvider>, Error> {
    let set = guardian::find(&app, &grant.tenant.id).await?.push_provider.clone();
    Ok(Answer(PushProvider { provider: set.unwrap_or_else(|| "guardian".to_owned()) }))
}

/// `PUT /guardian/factors/push-notification/selected-provider`.
///
/// # Errors
/// 400 `invalid_body`.
pub async fn set_push_provider(
    State(app): State<App>,
    grant: Grant,
    Json(body): Json<PushProvider>,
) -> Result<Answer<Value>, Error> {
    change(&app, &grant, |guardian| {
        guardian.push_provider = Some(body.provider.clone());
        json!(body)
    })
    .await
}

/// `GET /guardian/factors/{phone|sms}/templates`: the published texts until others are set.
pub async fn phone_templates(State(app): State<App>, grant: Grant) -> Result<Answer<Object>, Error> {
    Ok(Answer(guardian::find(&app, &grant.tenant.id).await?.templates()))
}

/// `PUT /guardian/factors/{phone|sms}/templates`: both paths are one.
///
/// # Errors
/// 400 `invalid_body`.
pub async fn set_phone_templates(
    State(app): State<App>,
    grant: Grant,
    Json(body): Json<Document<PhoneTemplates>>,
) -> Result<Answer<Object>, Error> {
    change(&app, &grant, |guardian| {
        guardian.phone_templates = Some(body.keys.clone());
        body.keys.clone()
    })
    .await
}

//! The audit log's view of a call: every successful write in the batch of the write, every read and every refusal through
//! the queue (management contract §3.4).

use std::sync::{Arc, OnceLock};

use axum::http::{Method, StatusCode, Uri};
use axum::response::Response;
use db::Batch;
use model::logs::{self, Event, Kind, Share};
use model::tenants::Tenant;
use model::{Model, Peer, UserId};
use serde::Serialize;
use serde_json::{Map, Value, json};
use url::form_urlencoded;

use crate::access::{Bearer, Grant, Subject};
use crate::operations::Operation;

/// The longest path that is recorded of somebody unknown, in bytes.
const STRANGERS_PATH: usize = 256;

/// One call, as far as it is known: who asks for what. It is put into words only when it is recorded.
#[derive(Debug)]
pub struct Call {
    operation: Arc<Operation>,
    tenant: Arc<Tenant>,
    peer: Peer,
    uri: Uri,
    bearer: OnceLock<Bearer>,
    body: OnceLock<Value>,
    recorded: OnceLock<()>,
}

/// Why a call was refused; an error leaves it in its response.
#[derive(Clone, Debug)]
pub struct Refused(pub Value);

impl Call {
    /// A call whose token was not looked at yet.
    pub fn new(operation: Arc<Operation>, tenant: Arc<Tenant>, peer: Peer, uri: Uri) -> Self {
        Self {
            operation,
            tenant,
            peer,
            uri,
            bearer: OnceLock::new(),
            body: OnceLock::new(),
            recorded: OnceLock::new(),
        }
    }

    /// The operation that is called.
    pub fn operation(&self) -> &Operation {
        &self.operation
    }

    /// The tenant of the request's host.
    pub fn tenant(&self) -> &Arc<Tenant> {
        &self.tenant
    }

    /// The token is good: this is who calls.
    pub fn identified(&self, bearer: Bearer) -> &Bearer {
        self.bearer.get_or_init(|| bearer)
    }

    /// Who is at the other end of the connection.
    pub fn peer(&self) -> &Peer {
        &self.peer
    }

    /// Who calls, once their token was found good.
    pub fn bearer(&self) -> Option<&Bearer> {
        self.bearer.get()
    }

    /// The body was read. It may be large: only the beginning is kept for the log.
    pub fn sent(&self, body: &Value) {
        let _ = self.body.set(logs::excerpt(body));
    }

    /// An event of this call besides the call itself.
    pub fn of(&self, app: &Model, kind: Kind) -> Event {
        let event = Event::new(app, &self.tenant, kind).peer(&self.peer);
        match self.bearer.get() {
            Some(bearer) => event.client_id(&bearer.client),
            None => event,
        }
    }

    fn event(&self, app: &Model, kind: Kind, status: StatusCode, answer: Value) -> Event {
        let details = json!({ "request": self.request(), "response": { "statusCode": status.as_u16(), "body": answer } });
        let event = Event::new(app, &self.tenant, kind).peer(&self.peer).description(self.operation.title);
        let event = match self.bearer.get() {
            Some(bearer) => event.client_id(&bearer.client),
            None => event,
        };
        match self.user() {
            Some(user) => event.user_id(user).details(details),
            None => event.details(details),
        }
    }

    fn user(&self) -> Option<&UserId> {
        match &self.bearer.get()?.subject {
            Subject::User(user) => Some(user),
            Subject::Client => None,
        }
    }

    /// `details.request`, as recorded.
    fn request(&self) -> Value {
        let mut auth = Map::new();
        if let Some(bearer) = self.bearer.get() {
            let mut scopes: Vec<_> = bearer.scopes.iter().collect();
            scopes.sort_unstable();
            scopes.dedup();
            auth.insert("credentials".into(), json!({ "jti": bearer.token_id, "scopes": scopes }));
            auth.insert("strategy".into(), "jwt".into());
            auth.insert(
                "user".into(),
                json!(self.user().map_or(json!({}), |user| json!({ "user_id": user }))),
            );
        }
        let mut request = Map::new();
        request.insert("method".into(), self.operation.method.as_str().to_ascii_lowercase().into());
        request.insert("path".into(), self.path().into());
        request.insert("query".into(), self.query());
        request.insert("userAgent".into(), self.peer.user_agent.clone().into());
        request.insert("body".into(), self.body.get().cloned().unwrap_or_else(|| json!({})));
        request.insert("channel".into(), "api".into());
        request.insert("ip".into(), self.peer.ip.to_string().into());
        request.insert("auth".into(), auth.into());
        Value::Object(request)
    }
}

impl Call {
    /// The path; of somebody unknown only its beginning.
    fn path(&self) -> &str {
        let path = self.uri.path();
        match self.bearer.get() {
            Some(_) => path,
            None => &path[..path.floor_char_boundary(STRANGERS_PATH)],
        }
    }

    /// The parameters of the query; of somebody unknown none.
    fn query(&self) -> Value {
        let query = self.bearer.get().and_then(|_| self.uri.query()).unwrap_or_default();
        let pairs = form_urlencoded::parse(query.as_bytes());
        logs::excerpt(&Value::Object(pairs.map(|(name, value)| (name.into_owned(), value.into())).collect()))
    }
}

impl Grant {
    /// Records a successful write in the batch that writes: `status` and `answer` are what the caller gets.
    pub fn wrote<T: Serialize>(&self, app: &Model, batch: &mut Batch, status: StatusCode, answer: &T) {
        let answer = serde_json::to_value(answer).unwrap_or_default();
        logs::record(batch, self.caller.event(app, Kind::ApiOperation, status, answer));
        // A batch may be decided anew, and is recorded with it.
        let _ = self.caller.recorded.set(());
    }
}

/// Records what no batch carried: a read, or a refusal.
pub fn answered(app: &Model, call: &Call, response: &Response) {
    let status = response.status();
    let kind = match status {
        StatusCode::TOO_MANY_REQUESTS => Kind::ApiLimit,
        status if !status.is_success() => Kind::FailedApiOperation,
        _ if call.operation.method == Method::GET => Kind::ApiRead,
        _ => {
            debug_assert!(call.recorded.get().is_some(), "{} is not in the audit log", call.operation.path);
            return;
        }
    };
    let share = if call.bearer.get().is_some() { Share::Known } else { Share::Stranger };
    app.audit.push_from(call.peer.ip, share, app.clock.now(), || {
        let answer = response.extensions().get::<Refused>().map(|refused| refused.0.clone());
        call.event(app, kind, status, answer.unwrap_or_default())
    });
}

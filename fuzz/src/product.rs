//! The whole product on a database of its own, to which the targets send requests.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, Request, header};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use db::{Batch, Db};
use management::Limits;
use model::attack_protection::Breaches;
use model::bootstrap::{self, NewTenant};
use model::clients::{self, Client};
use model::jose::{Algorithm, SigningKey};
use model::keys::Keys;
use model::migrations::MIGRATIONS;
use model::passwords::Hasher;
use model::seal::{MasterKey, Sealer};
use model::tenants::Tenant;
use model::users::{self, NewUser};
use model::{App, Clock, Model, Net, Random, Timestamp, connections, credentials, logs};
use serde_json::{Map, Value, json};
use server::peer::{Proxies, RemoteAddress};
use server::router;
use server::router::Front;
use tokio::runtime::Runtime;
use tower::ServiceExt;

/// When every run begins: 2026-01-01T12:00:00Z. The clock stands still.
const NOW: Timestamp = Timestamp::from_millis(1_767_268_800_000);

/// The secret of every client that has one.
pub const SECRET: &str = "a secret that has thirty-two letters and more";

/// A page of the clients' app: the only address outside that anything may be sent to.
pub const CALLBACK: &str = "https://app.test/cb";

/// The tenant's issuer.
pub const ISSUER: &str = "https://id.test/";

/// The only user.
pub const USER: &str = "auth0|alice";

/// The connection that every tenant has.
const CONNECTION: &str = "Username-Password-Authentication";

const PASSWORD: &str = "Correct-horse-9";

/// The type of a form.
pub const FORM: (&str, &[u8]) = ("content-type", b"application/x-www-form-urlencoded");

/// The type of a JSON body.
pub const JSON: (&str, &[u8]) = ("content-type", b"application/json");

/// The product. Its clients are `web` and `post`, which have a secret, `page`, which has none, and `signed`, which signs assertions with
/// its secret; `web` and `page` are strict.
pub struct Product {
    runtime: Runtime,
    /// What it runs on.
    pub app: App,
    router: Front,
    /// The tenant at `id.test`.
    pub tenant: Arc<Tenant>,
    fresh: AtomicU64,
}

/// An answer that breaks none of the rules that hold for every answer.
pub struct Answer {
    /// The status.
    pub status: u16,
    headers: HeaderMap,
    /// The body.
    pub text: String,
}

impl Product {
    /// The one of this process.
    pub fn get() -> &'static Self {
        static PRODUCT: OnceLock<Product> = OnceLock::new();
        PRODUCT.get_or_init(|| {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            let runtime = runtime.expect("a runtime");
            let (app, tenant) = runtime.block_on(prepare());
            // A run makes more calls in its one second than any person may.
            let limits = Limits { user: None, ..Limits::default() };
            let router = router::layered(app.clone(), Proxies::default(), limits, |routes| routes);
            let product = Self { runtime, app, router, tenant, fresh: AtomicU64::new(0) };
            product.name_directory();
            product
        })
    }

    /// Without it, the contract has 500 for a password.
    fn name_directory(&self) {
        let bearer = format!("Bearer {}", self.signed(&machine(self, "update:tenant_settings")));
        let headers = [("authorization", bearer.as_bytes()), JSON];
        let body = json!({ "default_directory": CONNECTION }).to_string();
        let answer = self.send("PATCH", b"/api/v2/tenants/settings", &headers, body.as_bytes());
        assert!(answer.is_some_and(|answer| answer.status == 200));
    }

    /// Sends a request, reads the answer to its end, and checks what holds for every answer. What is no request is not sent.
    pub fn send(&self, method: &str, path: &[u8], headers: &[(&str, &[u8])], body: &[u8]) -> Option<Answer> {
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header("host", &self.tenant.host)
            .header("content-length", body.len());
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let mut request = request.body(Body::from(body.to_vec())).ok()?;
        request.extensions_mut().insert(RemoteAddress(([203, 0, 113, 9], 4711).into()));
        let (parts, text) = self.wait(async {
            let response = self.router.clone().oneshot(request).await.expect("it always answers");
            let (parts, body) = response.into_parts();
            (parts, to_bytes(body, usize::MAX).await.expect("an answer in memory is read whole"))
        });
        let text = String::from_utf8(text.to_vec()).expect("every answer is text");
        let answer = Answer { status: parts.status.as_u16(), headers: parts.headers, text };
        answer.check();
        Some(answer)
    }

    /// What comes of `future`.
    pub fn wait<T>(&self, future: impl Future<Output = T>) -> T {
        self.runtime.block_on(future)
    }

    /// `text` with what the words stand for, and with what `more` of them do.
    pub fn fill(&self, text: &[u8], more: &[(&str, &str)]) -> Vec<u8> {
        let now = self.app.clock.now();
        let after = |seconds: i64| now.plus_seconds(seconds).seconds().to_string();
        let mut text = text.to_vec();
        for (word, value) in [("NOW", after(0)), ("SOON", after(60)), ("LATER", after(1_000_000_000))] {
            replace(&mut text, word, &value);
        }
        // A number of this process's own: the same input is good again.
        replace(&mut text, "FRESH", &format!("id{}", self.fresh.fetch_add(1, Ordering::Relaxed)));
        for (word, value) in more {
            replace(&mut text, word, value);
        }
        text
    }

    /// The claims as a token that the tenant signed.
    pub fn signed(&self, claims: &Map<String, Value>) -> String {
        let token = self.app.keys.sign(&self.app, &self.tenant.id, Algorithm::EdDSA, "JWT", claims);
        self.wait(token).expect("the tenant has keys")
    }
}

impl Answer {
    /// Never a failure of the server's; nobody is sent elsewhere than to what the clients list; pages lead nowhere else, and hold no markup
    /// but ours; cookies are this host's alone; what says that it is JSON is.
    fn check(&self) {
        assert!(self.status < 500, "{}: {}", self.status, self.text);
        if let Some(location) = self.location() {
            assert!(leads_home(location), "sent to {location}");
        }
        for cookie in self.cookies() {
            let (name, attributes) =
                (cookie.split('=').next().unwrap_or_default(), cookie.to_ascii_lowercase());
            assert!(name.starts_with("__Host-auth0") && !attributes.contains("domain="), "{cookie}");
            for needed in ["; path=/", "; secure", "; httponly"] {
                assert!(attributes.contains(needed), "{cookie}");
            }
        }
        let kind = self.header("content-type").unwrap_or_default();
        if kind.starts_with("text/html") {
            for action in self.text.split(" action=\"").skip(1) {
                let action = action.split('"').next().unwrap_or_default();
                assert!(leads_home(action), "a form leads to {action}");
            }
            // The seeds bring this tag along.
            assert!(!self.text.contains("<xss"), "{}", self.text);
        }
        if kind.starts_with("application/json") && !self.text.is_empty() {
            let json: Result<Value, _> = serde_json::from_str(&self.text);
            assert!(json.is_ok(), "{}", self.text);
        }
    }

    /// Where it leads.
    pub fn location(&self) -> Option<&str> {
        self.header("location")
    }

    /// The cookies that it sets.
    pub fn cookies(&self) -> impl Iterator<Item = &str> {
        self.headers.get_all(header::SET_COOKIE).iter().filter_map(|value| value.to_str().ok())
    }

    /// The value of a cookie that it sets.
    pub fn cookie(&self, name: &str) -> Option<&str> {
        let value = self.cookies().find_map(|cookie| cookie.strip_prefix(name)?.strip_prefix('='));
        value?.split(';').next()
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().expect("our headers are ASCII"))
    }
}

/// Whether an address is this host's, or the one page that clients list, with whatever parameters. Scheme and host may be in any case.
fn leads_home(address: &str) -> bool {
    let here = address.strip_prefix('/').or_else(|| address.strip_prefix(ISSUER));
    let site = CALLBACK.len() - "/cb".len();
    let (start, path) = address.split_at_checked(site).unwrap_or((address, ""));
    let app = path.strip_prefix("/cb").filter(|_| start.eq_ignore_ascii_case(&CALLBACK[..site]));
    here.is_some_and(|rest| !rest.starts_with(['/', '\\']))
        || app.is_some_and(|rest| rest.is_empty() || rest.starts_with(['?', '#']))
}

fn replace(text: &mut Vec<u8>, word: &str, value: &str) {
    let mut at = 0;
    while let Some(found) = text[at..].windows(word.len()).position(|window| window == word.as_bytes()) {
        let start = at + found;
        text.splice(start..start + word.len(), value.bytes());
        at = start + value.len();
    }
}

/// The first line, and what comes after it.
pub fn split(data: &[u8]) -> (&[u8], &[u8]) {
    let end = data.iter().position(|byte| *byte == b'\n').unwrap_or(data.len());
    (&data[..end], data.get(end + 1..).unwrap_or_default())
}

/// The input as a token, where it has the three parts of one.
pub fn whole(data: &[u8]) -> Option<&str> {
    let dots = data.iter().filter(|byte| **byte == b'.').count();
    std::str::from_utf8(data).ok().filter(|_| dots == 2)
}

/// A token of these parts, as they are, with a good signature.
pub fn token(key: &SigningKey, header: &[u8], claims: &[u8]) -> String {
    let signed = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims));
    let signature = key.sign(signed.as_bytes()).expect("signs");
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
}

/// A part of a token that was accepted, read with nothing of the product's: of a name that came twice the last counts, so that whoever
/// reads leniently reads the same.
pub fn part(token: &str, number: usize) -> Map<String, Value> {
    let text = token.split('.').nth(number).expect("it has such a part");
    let json = URL_SAFE_NO_PAD.decode(text).expect("it is encoded without padding");
    serde_json::from_slice(&json).expect("it is an object")
}

/// A claim that is an integer.
pub fn integer(claims: &Map<String, Value>, name: &str) -> Option<i64> {
    claims.get(name)?.as_i64()
}

/// A claim that is text.
pub fn text<'a>(claims: &'a Map<String, Value>, name: &str) -> &'a str {
    claims.get(name).and_then(Value::as_str).unwrap_or_default()
}

/// Whether the audience is this, or this among others.
pub fn is_for(claims: &Map<String, Value>, audience: &str) -> bool {
    match claims.get("aud") {
        Some(Value::Array(several)) => several.iter().any(|one| one == audience),
        one => one.and_then(Value::as_str) == Some(audience),
    }
}

/// The claims of a machine's token for the Management API.
pub fn machine(product: &Product, scope: &str) -> Map<String, Value> {
    let now = product.app.clock.now().seconds();
    object(json!({
        "iss": ISSUER,
        "sub": "web@clients",
        "aud": "https://id.test/api/v2/",
        "iat": now,
        "exp": now + 7200,
        "scope": scope,
        "azp": "web",
        "gty": "client-credentials",
    }))
}

async fn prepare() -> (App, Arc<Tenant>) {
    let db = Db::open(&db::testing::sqlite()).await.expect("the database opens");
    db.migrate(MIGRATIONS).await.expect("the schema fits");
    let (clock, random) = (Clock::fixed(NOW), Random::seeded(1));
    let app = Arc::new(Model {
        audit: logs::Queue::start(db.clone(), clock.clone(), &random),
        db,
        clock,
        seal: Sealer::new(&MasterKey::generate(&Random::seeded(2)), &[]),
        random,
        breaches: Breaches::default(),
        hasher: Hasher::for_tests(),
        keys: Keys::for_tests(),
        net: Net::new([]),
    });
    let new = NewTenant { id: "id".into(), host: "id.test".into(), name: "Tenant".into() };
    let tenant = Arc::new(bootstrap::create_tenant(&app, new).await.expect("a new tenant"));
    for (id, method, strict) in [
        ("web", "client_secret_basic", true),
        ("post", "client_secret_post", false),
        ("page", "none", true),
        ("signed", "client_secret_post", false),
    ] {
        let body = json!({
            "name": id,
            "oidc_conformant": true,
            "callbacks": [CALLBACK],
            "web_origins": ["https://app.test"],
            "allowed_logout_urls": [CALLBACK],
            "token_endpoint_auth_method": method,
            "grant_types": ["authorization_code", "implicit", "refresh_token", "client_credentials", "password"],
        });
        add_client(&app, &tenant, id, &object(body), strict).await;
    }
    add_user(&app, &tenant).await;
    (app, tenant)
}

async fn add_client(app: &App, tenant: &Tenant, id: &str, body: &Map<String, Value>, strict: bool) {
    let mut client = Client::new(id.into(), body).expect("a client");
    client.protocol.strict = Some(strict);
    let connection = connections::find_by_name(app, &tenant.id, CONNECTION).await;
    let connection = connection.expect("reads").expect("every tenant has it");
    let (mut batch, now) = (Batch::new(), app.clock.now());
    clients::insert(app, &mut batch, &tenant.id, &mut client, SECRET, now);
    connections::set_client(&mut batch, &tenant.id, &connection.id, &client.client_id, true, now);
    app.db.commit(batch).await.expect("a new client");
}

async fn add_user(app: &App, tenant: &Tenant) {
    let connection = connections::find_by_name(app, &tenant.id, CONNECTION).await;
    let connection = connection.expect("reads").expect("every tenant has it");
    let new = NewUser {
        user_id: Some("alice".into()),
        email: Some("alice@example.com".into()),
        email_verified: true,
        ..NewUser::default()
    };
    let user = users::new_database_user(app, &tenant.id, &connection, new);
    let hash = app.hasher.hash(PASSWORD.to_owned()).await.expect("hashes");
    let mut batch = Batch::new();
    users::insert(&mut batch, &user);
    credentials::set(&mut batch, &tenant.id, user.primary(), &hash, app.clock.now());
    app.db.commit(batch).await.expect("a new user");
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(object) => object,
        other => panic!("{other} is no object"),
    }
}

/// A browser in which the user signed in, and began to once more.
pub struct Browser {
    /// The value of the cookie of the session.
    pub session: String,
    /// The value of the cookie that binds sign-ins to the browser.
    pub binding: String,
    /// The `state` of the page of the sign-in that was begun.
    pub state: String,
}

impl Browser {
    /// The one of this process.
    pub fn get() -> &'static Self {
        static BROWSER: OnceLock<Browser> = OnceLock::new();
        BROWSER.get_or_init(|| Self::signed_in(Product::get()))
    }

    fn signed_in(product: &Product) -> Self {
        let begun = product.send("GET", AUTHORIZE.as_bytes(), &[], b"").expect("is a request");
        let binding = begun.cookie("__Host-auth0-txn").expect("binds the browser").to_owned();
        let page = begun.location().expect("leads to the page").to_owned();
        let cookie = format!("__Host-auth0-txn={binding}");
        let shown = product
            .send("GET", page.as_bytes(), &[("cookie", cookie.as_bytes())], b"")
            .expect("is a request");
        let csrf = shown.text.split("name=\"_csrf\" value=\"").nth(1).and_then(|rest| rest.split('"').next());
        let form = format!(
            "state={}&_csrf={}&username=alice%40example.com&password={PASSWORD}&action=default",
            state_of(&page),
            csrf.expect("the form has its token")
        );
        let headers = [FORM, ("cookie", cookie.as_bytes())];
        let done = product.send("POST", b"/u/login", &headers, form.as_bytes()).expect("is a request");
        let session = done.cookie("__Host-auth0").expect("signed in").to_owned();
        let cookies = format!("{cookie}; __Host-auth0={session}");
        let again = format!("{AUTHORIZE}&prompt=login");
        let begun = product
            .send("GET", again.as_bytes(), &[("cookie", cookies.as_bytes())], b"")
            .expect("is a request");
        let state = state_of(begun.location().expect("leads to the page")).to_owned();
        Self { session, binding, state }
    }
}

/// A request of the client `web`, which needs nobody's consent.
pub const AUTHORIZE: &str =
    "/authorize?client_id=web&response_type=code&scope=openid&redirect_uri=https%3A%2F%2Fapp.test%2Fcb";

fn state_of(page: &str) -> &str {
    page.split("state=").nth(1).and_then(|rest| rest.split('&').next()).expect("a page has its state")
}

//! The whole product on a database of its own: the router that `serve` builds, a clock that stands still, a second
//! tenant from the start.

use std::sync::{Arc, LazyLock};

use db::{Batch, Db};
use management::Limits;
use model::attack_protection::Breaches;
use model::bootstrap::{self, NewTenant};
use model::clients::{self, Client};
use model::keys::Keys;
use model::migrations::MIGRATIONS;
use model::passwords::Hasher;
use model::resource_servers::{self, ResourceServer};
use model::seal::{MasterKey, Sealer};
use model::tenants::Tenant;
use model::users::{self, NewUser, User};
use model::{App, Clock, Model, Net, Random, Timestamp, connections, credentials, logs};
use serde_json::{Map, Value, json};
use server::peer::Proxies;
use server::router;
use server::router::Front;

use super::{Caller, Engine, hook};

/// When every test begins: 2026-01-01T12:00:00Z.
pub const NOW: Timestamp = Timestamp::from_millis(1_767_268_800_000);

/// The password of every user that [`TestApp::add_user`] makes.
pub const PASSWORD: &str = "Correct-horse-9";

/// A password that is known to have leaked. Tenants that do not ask do not mind.
pub const LEAKED: &str = "Leaked-horse-9";

static LEAKED_FILE: LazyLock<Breaches> = LazyLock::new(|| {
    // sha1sum of it.
    let line = "01777A3CAE5FD27609C75221ED2A68B203CC0863:7\n";
    let path = std::env::temp_dir().join(format!("doorward-leaked-{}.txt", std::process::id()));
    std::fs::write(&path, line).expect("writes");
    let breaches = Breaches::open(&path).expect("opens");
    // It is open, and needs no name.
    std::fs::remove_file(&path).expect("removes");
    breaches
});

/// The connection that every tenant has.
pub const CONNECTION: &str = "Username-Password-Authentication";

/// The product under test.
pub struct TestApp {
    pub app: App,
    pub router: Front,
    /// The tenant of `id.test`.
    pub tenant: Arc<Tenant>,
    /// The tenant of `other.test`, which holds nothing but what every tenant holds.
    pub other: Arc<Tenant>,
    pub engine: Engine,
    /// The address of the database.
    pub database: String,
}

impl TestApp {
    /// On a fresh database of this kind.
    pub async fn on(engine: Engine) -> Self {
        Self::with_proxies(engine, Proxies::default()).await
    }

    /// With proxies in front.
    pub async fn with_proxies(engine: Engine, proxies: Proxies) -> Self {
        let database = engine.database().await;
        // What is there already is a second older than what a test adds, so lists by age have one order.
        let (clock, random) = (Clock::fixed(NOW.plus_seconds(-1)), Random::seeded(1));
        let app = open(&database, clock, random).await;
        let [tenant, other] = ["id", "other"].map(|id| NewTenant {
            id: id.into(),
            host: format!("{id}.test"),
            name: format!("Tenant {id}"),
        });
        let tenant = Arc::new(bootstrap::create_tenant(&app, tenant).await.expect("a new tenant"));
        let other = Arc::new(bootstrap::create_tenant(&app, other).await.expect("a new tenant"));
        let router = router::router(app.clone(), proxies);
        let this = Self { app, router, tenant, other, engine, database };
        this.add_client(
            "spa",
            json!({ "app_type": "spa", "token_endpoint_auth_method": "none", "oidc_conformant": true }),
        )
        .await;
        this.add_client(
            "m2m",
            json!({ "app_type": "non_interactive", "grant_types": ["client_credentials"] }),
        )
        .await;
        this.app.clock.advance(1);
        this
    }

    /// Without the limit on a person's calls, for tests that make many.
    pub fn without_limits(mut self) -> Self {
        let limits = Limits { user: None, ..Limits::default() };
        self.router = router::layered(self.app.clone(), Proxies::default(), limits, |routes| routes);
        self
    }

    /// A client whose id is `id` and whose secret is `id-secret`, enabled for the connection of every tenant.
    pub async fn add_client(&self, id: &str, body: Value) -> Client {
        let mut all = Map::from_iter([("name".to_owned(), Value::from(id))]);
        all.extend(object(body));
        let mut client = Client::new(id.into(), &all).expect("the test wrote a client");
        let connection = connections::find_by_name(&self.app, &self.tenant.id, CONNECTION).await;
        let connection = connection.expect("reads").expect("every tenant has it");
        let (mut batch, now) = (Batch::new(), self.app.clock.now());
        clients::insert(&self.app, &mut batch, &self.tenant.id, &mut client, &secret_of(id), now);
        connections::set_client(&mut batch, &self.tenant.id, &connection.id, &client.client_id, true, now);
        self.app.db.commit(batch).await.expect("a new client");
        client
    }

    /// An API.
    pub async fn add_api(&self, identifier: &str, body: Value) -> ResourceServer {
        let mut all = Map::from_iter([("identifier".to_owned(), Value::from(identifier))]);
        all.extend(object(body));
        let api = ResourceServer::new(&self.app.random, &all).expect("the test wrote an API");
        let mut batch = Batch::new();
        resource_servers::insert(&self.app, &mut batch, &self.tenant.id, &api, self.app.clock.now());
        self.app.db.commit(batch).await.expect("a new API");
        api
    }

    /// The user `auth0|NAME` with the e-mail address `NAME@example.com` and the password [`PASSWORD`].
    pub async fn add_user(&self, id: &str) -> User {
        let name = id.strip_prefix("auth0|").expect("a database user's id begins with auth0|");
        let new = NewUser {
            user_id: Some(name.to_owned()),
            email: Some(format!("{name}@example.com")),
            email_verified: true,
            ..NewUser::default()
        };
        self.add_user_with(new).await
    }

    /// A user with the password [`PASSWORD`].
    pub async fn add_user_with(&self, new: NewUser) -> User {
        let connection = connections::find_by_name(&self.app, &self.tenant.id, CONNECTION).await;
        let connection = connection.expect("reads").expect("every tenant has it");
        let user = users::new_database_user(&self.app, &self.tenant.id, &connection, new);
        let hash = self.app.hasher.hash(PASSWORD.to_owned()).await.expect("hashes");
        let mut batch = Batch::new();
        users::insert(&mut batch, &user);
        credentials::set(&mut batch, &self.tenant.id, user.primary(), &hash, self.app.clock.now());
        self.app.db.commit(batch).await.expect("a new user");
        user
    }

    /// The user `auth0|NAME` with an address and without a password, as of one who signs in elsewhere.
    pub async fn add_user_without_password(&self, id: &str) -> User {
        let user = self.add_user(id).await;
        let mut batch = Batch::new();
        credentials::remove(&mut batch, &self.tenant.id, user.primary());
        self.app.db.commit(batch).await.expect("writes");
        user
    }

    /// Somebody without a token, at another node on the same database: on PostgreSQL alone.
    pub async fn second_node(&self) -> Caller {
        let app = open(&self.database, self.app.clock.clone(), Random::seeded(3)).await;
        Caller { router: router::router(app.clone(), Proxies::default()), app, ..self.caller() }
    }

    /// Somebody without a token.
    pub fn caller(&self) -> Caller {
        Caller {
            app: self.app.clone(),
            router: self.router.clone(),
            tenant: self.tenant.clone(),
            claims: None,
            headers: Vec::new(),
            remote: ([203, 0, 113, 9], 4711).into(),
        }
    }

    /// A user's access token for the Management API, issued now to the client `spa`.
    pub fn token(&self, user: &str, scopes: &str) -> Caller {
        self.token_for(user, "spa", scopes)
    }

    /// A machine's access token for the Management API, issued now to the client `m2m`.
    pub fn machine(&self, scopes: &str) -> Caller {
        self.token_for("m2m@clients", "m2m", scopes).claiming("gty", "client-credentials")
    }

    /// A machine's token with every scope of the Management API.
    pub fn admin(&self) -> Caller {
        self.machine(&bootstrap::all_scopes().collect::<Vec<_>>().join(" "))
    }

    /// A user's access token for the Management API, issued now to this client.
    pub fn token_of(&self, user: &str, client: &str, scopes: &str) -> Caller {
        self.token_for(user, client, scopes)
    }

    fn token_for(&self, subject: &str, client: &str, scopes: &str) -> Caller {
        let now = self.app.clock.now().seconds();
        let claims = object(json!({
            "iss": self.tenant.issuer,
            "sub": subject,
            "aud": self.tenant.management_audience(),
            "iat": now,
            "exp": now + 7200,
            "scope": scopes,
            "azp": client,
        }));
        Caller { claims: Some(claims), ..self.caller() }
    }

    /// An ID token about a user, issued now to a client: its claims may be changed before [`Caller::bearer`] signs it.
    pub fn id_token(&self, user: &str, client: &str) -> Caller {
        let now = self.app.clock.now().seconds();
        let claims = object(json!({
            "iss": self.tenant.issuer,
            "sub": user,
            "aud": client,
            "iat": now,
            "exp": now + 36_000,
        }));
        Caller { claims: Some(claims), ..self.caller() }
    }

    /// The types of the tenant's audit events, oldest first, those of the queue included.
    pub async fn events(&self) -> Vec<String> {
        self.app.audit.flush().await;
        let sql = "SELECT type FROM logs WHERE tenant = $1 ORDER BY id LIMIT 1000";
        let rows = self.app.db.read(sql, db::params![&self.tenant.id]).await.expect("reads");
        rows.into_iter().map(|mut row| row.take().expect("is a text")).collect()
    }
}

/// The secret of the client that [`TestApp::add_client`] made.
pub fn secret_of(client: &str) -> String {
    format!("{client}-secret")
}

/// The application on a database that may hold data already.
pub async fn open(database: &str, clock: Clock, random: Random) -> App {
    open_with(database, clock, random, &MasterKey::generate(&Random::seeded(2))).await
}

/// The same where another master key sealed the data.
pub async fn open_with(database: &str, clock: Clock, random: Random, key: &MasterKey) -> App {
    let db = Db::open(database).await.expect("the database opens");
    db.migrate(MIGRATIONS).await.expect("the schema fits");
    Arc::new(Model {
        audit: logs::Queue::start(db.clone(), clock.clone(), &random),
        db,
        clock,
        seal: Sealer::new(key, &[]),
        random,
        breaches: LEAKED_FILE.clone(),
        hasher: Hasher::for_tests(),
        keys: Keys::for_tests(),
        // What a test listens on is on this machine, and only at this address.
        net: Net::new(["127.0.0.1/32".parse().expect("is a network")]).trusting(hook::trust()),
    })
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(object) => object,
        other => panic!("{other} is no object"),
    }
}

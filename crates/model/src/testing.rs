//! What the tests of this crate begin with: a model on a database of its own, with one tenant.

use std::ops::Deref;

use db::{Batch, Db};
use serde_json::{Map, Value as Json};

use crate::attack_protection::Breaches;
use crate::bootstrap::{NewTenant, create_tenant};
use crate::client_grants::{self, ClientGrant};
use crate::clients::{self, Client};
use crate::clock::{Clock, Timestamp};
use crate::connections::{self, Connection};
use crate::factors::{self, Factor, Kind};
use crate::ids::TenantId;
use crate::keys::Keys;
use crate::migrations::MIGRATIONS;
use crate::net::Net;
use crate::paging::Paging;
use crate::passwords::Hasher;
use crate::random::Random;
use crate::resource_servers::{self, ResourceServer};
use crate::seal::{MasterKey, Sealer};
use crate::users::{self, NewUser, User};
use crate::{Model, logs};

/// A model and its tenant `acme` at `acme.test`.
pub(crate) struct TestModel {
    model: Model,
    pub(crate) tenant: TenantId,
    pub(crate) master_key: MasterKey,
}

impl Deref for TestModel {
    type Target = Model;

    fn deref(&self) -> &Model {
        &self.model
    }
}

impl TestModel {
    /// One on each engine.
    pub(crate) async fn each() -> Vec<Self> {
        let urls = [db::testing::sqlite(), db::testing::Postgres::database().await];
        let mut models = Vec::new();
        for url in urls {
            models.push(Self::new(&url).await);
        }
        models
    }

    async fn new(url: &str) -> Self {
        let db = Db::open(url).await.unwrap();
        db.migrate(MIGRATIONS).await.unwrap();
        let random = Random::seeded(1);
        let clock = Clock::fixed(Timestamp::from_millis(1_700_000_000_000));
        let master_key = MasterKey::generate(&random);
        let model = Model {
            audit: logs::Queue::start(db.clone(), clock.clone(), &random),
            seal: Sealer::new(&master_key, &[]),
            breaches: Breaches::none(),
            hasher: Hasher::for_tests(),
            keys: Keys::for_tests(),
            net: Net::new([]),
            db,
            clock,
            random,
        };
        let tenant = TenantId::from("acme");
        let new = NewTenant { id: tenant.clone(), host: "acme.test".into(), name: "acme".into() };
        create_tenant(&model, new).await.unwrap();
        Self { model, tenant, master_key }
    }

    /// A stored client whose secret is `secret`.
    pub(crate) async fn add_client(&self, body: Json) -> Client {
        let mut client = Client::new(clients::new_id(&self.random), &object(body)).unwrap();
        let mut batch = Batch::new();
        clients::insert(self, &mut batch, &self.tenant, &mut client, "secret", self.clock.now());
        self.db.commit(batch).await.unwrap();
        client
    }

    pub(crate) async fn add_connection(&self, body: Json) -> Connection {
        let connection = Connection::new(&self.random, &object(body)).unwrap();
        let mut batch = Batch::new();
        connections::insert(self, &mut batch, &self.tenant, &connection, self.clock.now());
        self.db.commit(batch).await.unwrap();
        connection
    }

    /// A stored user `a@example.com` of a connection of their own.
    pub(crate) async fn add_user(&self) -> User {
        let connection = self.add_connection(serde_json::json!({ "name": "db", "strategy": "auth0" })).await;
        let new = NewUser { email: Some("a@example.com".into()), ..NewUser::default() };
        let user = users::new_database_user(self, &self.tenant, &connection, new);
        let mut batch = Batch::new();
        users::insert(&mut batch, &user);
        self.db.commit(batch).await.unwrap();
        user
    }

    /// An authenticator app of a user of their own.
    pub(crate) async fn add_factor(&self) -> Factor {
        let user = self.add_user().await;
        let factor = Factor::confirmed(self, &user.id, Kind::Totp).with_seed(self, &self.tenant, b"seed");
        let mut batch = Batch::new();
        factors::insert(&mut batch, &self.tenant, &factor);
        self.db.commit(batch).await.unwrap();
        factor
    }

    pub(crate) async fn add_api(&self, body: Json) -> ResourceServer {
        let api = ResourceServer::new(&self.random, &object(body)).unwrap();
        let mut batch = Batch::new();
        resource_servers::insert(self, &mut batch, &self.tenant, &api, self.clock.now());
        self.db.commit(batch).await.unwrap();
        api
    }

    pub(crate) async fn add_grant(&self, body: Json) -> ClientGrant {
        let grant = ClientGrant::new(&self.random, &object(body)).unwrap();
        let mut batch = Batch::new();
        client_grants::insert(&mut batch, &self.tenant, &grant, self.clock.now());
        self.db.commit(batch).await.unwrap();
        grant
    }
}

/// A page by offset, with the number of all matches.
pub(crate) fn page(page: u32, per_page: u32) -> Paging {
    Paging::Offset { page, per_page, totals: true }
}

/// The object that a `json!` is.
pub(crate) fn object(value: Json) -> Map<String, Json> {
    value.as_object().cloned().unwrap()
}

//! What somebody is signed in with, for tests of what ends it.

use model::access_tokens::{self, AccessToken};
use model::authorization_codes::{self, Code};
use model::identities::Identity;
use model::refresh_tokens::{self, Family};
use model::seal::digest;
use model::sessions::{self, Limits, Session};
use model::{Peer, clients};

use crate::support::TestApp;
use crate::support::app::CONNECTION;

/// A session and what came of it at the client `spa`: a code, a refresh token and an opaque access token.
pub struct SignIn {
    pub sid: String,
    pub family: String,
    cookie: String,
    code: String,
    refresh_token: String,
    access_token: String,
}

/// Which of them still work: session, code, refresh token, access token.
pub type Working = [bool; 4];

pub const ALL: Working = [true; 4];
pub const NONE: Working = [false; 4];

impl SignIn {
    /// Signs the user in for `audience`; it is empty for `/userinfo` alone.
    pub async fn of(app: &TestApp, user: &str, audience: &str) -> Self {
        let (model, tenant, now) = (&app.app, &app.tenant.id, app.app.clock.now());
        let peer = Peer { ip: [192, 0, 2, 7].into(), user_agent: None };
        let limits = Limits { idle: 3600, absolute: 3600 };
        let client = clients::find(model, tenant, "spa").await.expect("reads").expect("every test has it");
        let (provider, account) = user.split_once('|').expect("is an id");
        let identity = Identity::new(CONNECTION, provider, account, false);
        let (session, cookie) = Session::begin(model, &peer, user.into(), &identity, limits);
        let [code, access_token] = [model.random.token(), model.random.token()];
        let refresh_token = refresh_tokens::new_token(model);

        let mut batch = db::Batch::new();
        sessions::insert(&mut batch, tenant, &session);
        let issued = Code {
            hash: digest(&code),
            client_id: client.client_id.clone(),
            user_id: user.into(),
            sid: session.sid.clone(),
            redirect_uri: None,
            challenge: None,
            nonce: None,
            scope: "openid".into(),
            requested_scope: "openid".into(),
            audience: audience.into(),
            auth_time: None,
            mfa: false,
            acr: None,
            jkt: None,
            claims: None,
            details: None,
            issued_at: now,
            expires_at: now.plus_seconds(60),
            spent_at: None,
        };
        authorization_codes::insert(&mut batch, tenant, &issued);
        let family =
            Family::begin(model, &client, user.into(), &session.sid, audience, "openid offline_access", None);
        refresh_tokens::insert(&mut batch, tenant, &family, &refresh_token, &peer);
        let opaque = AccessToken {
            hash: digest(&access_token),
            client_id: client.client_id.clone(),
            user_id: user.into(),
            scope: "openid".into(),
            code_hash: None,
            family: None,
            jkt: None,
            certificate: None,
            claims: None,
            expires_at: now.plus_seconds(3600),
        };
        access_tokens::insert(&mut batch, tenant, &opaque);
        model.db.commit(batch).await.expect("signs in");
        Self { sid: session.sid, family: family.id, cookie, code, refresh_token, access_token }
    }

    /// What of it still works.
    pub async fn working(&self, app: &TestApp) -> Working {
        let (db, tenant, now) = (&app.app.db, &app.tenant.id, app.app.clock.now());
        [
            sessions::find_by_token(db, tenant, &self.cookie, now).await.expect("reads").is_some(),
            authorization_codes::find(db, tenant, &digest(&self.code)).await.expect("reads").is_some(),
            refresh_tokens::find(db, tenant, &self.refresh_token).await.expect("reads").is_some(),
            access_tokens::find(db, tenant, &digest(&self.access_token), now).await.expect("reads").is_some(),
        ]
    }
}

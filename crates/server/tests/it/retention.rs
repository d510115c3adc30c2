//! What the retention job deletes, and what it leaves.

use db::{Batch, params};
use model::{Timestamp, retention};

use crate::support::TestApp;
use crate::support::app::NOW;

const DAY: i64 = 24 * 3600;

/// One row of every table that ends, ending at `end`.
fn rows(batch: &mut Batch, app: &TestApp, name: &str, end: Timestamp) {
    let tenant = &app.tenant.id;
    let hash = |kind: &str| model::seal::digest(&format!("{kind} {name}")).to_vec();
    batch.execute(
        "INSERT INTO sessions (tenant, sid, hash, user_id, connection, created_at, authenticated_at, last_interacted_at,
         idle_expires_at, expires_at, ip) VALUES ($1, $2, $3, $4, 'c', $5, $5, $5, $6, $6, '203.0.113.9')",
        params![tenant, name, hash("session"), "auth0|alice", NOW, end],
    );
    batch.execute(
        "INSERT INTO transactions (tenant, id, sid, authenticated, consented, expires_at)
         VALUES ($1, $2, $2, $3, $3, $4)",
        params![tenant, name, true, end],
    );
    batch.execute(
        "INSERT INTO authorization_codes (tenant, hash, client_id, user_id, sid, scope, requested_scope, audience,
         issued_at, expires_at) VALUES ($1, $2, 'spa', 'auth0|alice', $3, '', '', '', $4, $5)",
        params![tenant, hash("code"), name, NOW, end],
    );
    batch.execute(
        "INSERT INTO access_tokens (tenant, hash, client_id, user_id, scope, expires_at)
         VALUES ($1, $2, 'spa', 'auth0|alice', '', $3)",
        params![tenant, hash("token"), end],
    );
    batch.execute(
        "INSERT INTO tickets (tenant, hash, kind, user_id, provider, subject, marks_verified, include_email, created_at, expires_at)
         VALUES ($1, $2, 'password', 'auth0|alice', 'auth0', 'alice', $3, $3, $4, $5)",
        params![tenant, hash("ticket"), true, NOW, end],
    );
    batch.execute(
        "INSERT INTO refresh_token_families (tenant, id, client_id, user_id, sid, audience, scope, rotating, generation,
         created_at, expires_at, ip) VALUES ($1, $2, 'spa', 'auth0|alice', $2, '', '', $3, 1, $4, $5, '203.0.113.9')",
        params![tenant, name, true, NOW, end],
    );
    batch.execute(
        "INSERT INTO refresh_token_families (tenant, id, client_id, user_id, sid, audience, scope, rotating, generation,
         created_at, idle_expires_at, ip) VALUES ($1, $2, 'spa', 'auth0|alice', $2, '', '', $3, 1, $4, $5, '203.0.113.9')",
        params![tenant, format!("idle {name}"), true, NOW, end],
    );
    batch.execute(
        "INSERT INTO login_attempts (tenant, subject, ip, connection, identifier, attempts, failures, attempted_at, expires_at)
         VALUES ($1, $2, '203.0.113.9', 'c', $2, 1, 1, $3, $4)",
        params![tenant, name, NOW, end],
    );
    batch.execute(
        "INSERT INTO address_attempts (tenant, stage, ip, full_at) VALUES ($1, 'pre-login', $2, $3)",
        params![tenant, name, end],
    );
    batch.execute(
        "INSERT INTO mfa_tokens (tenant, hash, user_id, client_id, connection, audience, scope, expires_at)
         VALUES ($1, $2, 'auth0|alice', 'spa', 'c', '', '', $3)",
        params![tenant, hash("mfa"), end],
    );
    batch.execute(
        "INSERT INTO device_codes (tenant, hash, user_code, client_id, audience, scope, mfa, denied, created_at, expires_at)
         VALUES ($1, $2, $2, 'spa', '', '', $3, $3, $4, $5)",
        params![tenant, hash("device"), false, NOW, end],
    );
    batch.execute(
        "INSERT INTO passwordless_codes (tenant, connection, address, hash, client_id, tries, sent_at, expires_at)
         VALUES ($1, 'email', $2, $3, 'spa', 0, $4, $5)",
        params![tenant, name, hash("passwordless"), NOW, end],
    );
    batch.execute(
        "INSERT INTO device_limits (tenant, who, free_at) VALUES ($1, $2, $3)",
        params![tenant, hash("share"), end],
    );
    batch.execute(
        "INSERT INTO backchannel_requests (tenant, hash, id, client_id, user_id, audience, scope, binding_message, mfa, denied, pace,
         created_at, expires_at) VALUES ($1, $2, $3, 'spa', 'auth0|alice', '', '', '', $4, $4, 5000, $5, $6)",
        params![tenant, hash("backchannel"), name, false, NOW, end],
    );
    batch.execute(
        "INSERT INTO login_tickets (tenant, hash, client_id, user_id, provider, subject, connection, origin, browser, verifier,
         verifier_id, created_at, expires_at)
         VALUES ($1, $2, 'spa', 'auth0|alice', 'auth0', 'alice', 'c', '', $2, $2, '', $3, $4)",
        params![tenant, hash("login"), NOW, end],
    );
    batch.execute(
        "INSERT INTO unblock_tickets (tenant, hash, user_id, created_at, expires_at) VALUES ($1, $2, 'auth0|alice', $3, $4)",
        params![tenant, hash("unblock"), NOW, end],
    );
}

async fn count(app: &TestApp, sql: &'static str) -> i64 {
    let mut row = app.app.db.read_one(sql, vec![]).await.expect("reads").expect("a row");
    row.take().expect("a number")
}

async fn left(app: &TestApp) -> Vec<i64> {
    vec![
        count(app, "SELECT COUNT(*) FROM sessions").await,
        count(app, "SELECT COUNT(*) FROM transactions").await,
        count(app, "SELECT COUNT(*) FROM authorization_codes").await,
        count(app, "SELECT COUNT(*) FROM access_tokens").await,
        count(app, "SELECT COUNT(*) FROM refresh_token_families").await,
        count(app, "SELECT COUNT(*) FROM tickets").await,
        count(app, "SELECT COUNT(*) FROM logs").await,
        count(app, "SELECT COUNT(*) FROM login_attempts").await,
        count(app, "SELECT COUNT(*) FROM address_attempts").await,
        count(app, "SELECT COUNT(*) FROM unblock_tickets").await,
        count(app, "SELECT COUNT(*) FROM mfa_tokens").await,
        count(app, "SELECT COUNT(*) FROM device_codes").await,
        count(app, "SELECT COUNT(*) FROM device_limits").await,
        count(app, "SELECT COUNT(*) FROM passwordless_codes").await,
        count(app, "SELECT COUNT(*) FROM login_tickets").await,
        count(app, "SELECT COUNT(*) FROM backchannel_requests").await,
    ]
}

both_databases! {
    /// A code is kept for a day after its end, so that its second use is noticed; log entries for 30 days.
    async fn what_has_ended_is_deleted_and_nothing_else(app: TestApp) {
        app.add_user("auth0|alice").await;
        let mut batch = Batch::new();
        // More than one statement deletes at a time.
        for place in 0..100 {
            rows(&mut batch, &app, &format!("ended {place}"), NOW.plus_seconds(-1));
            app.app.db.commit(std::mem::take(&mut batch)).await.expect("writes");
        }
        rows(&mut batch, &app, "alive", NOW.plus_seconds(40 * DAY));
        app.app.db.commit(batch).await.expect("writes");
        let form = [("grant_type", "client_credentials"), ("client_id", "m2m"), ("client_secret", "m2m-secret")];
        assert!(app.caller().form("/oauth/token", &form).await.status >= 400);
        let form = [form[0], form[1], form[2], ("audience", "https://nowhere.test/")];
        assert_eq!(app.caller().form("/oauth/token", &form).await.status, 403);
        let logged = app.events().await.len() as i64;
        assert!(logged > 0);

        assert_eq!(retention::sweep(&app.app).await.expect("sweeps"), 1100);
        assert_eq!(left(&app).await, [1, 1, 101, 1, 2, 1, logged, 1, 101, 1, 101, 101, 1, 1, 1, 101]);
        app.app.clock.advance(DAY);
        assert_eq!(retention::sweep(&app.app).await.expect("sweeps"), 500);
        assert_eq!(left(&app).await, [1, 1, 1, 1, 2, 1, logged, 1, 1, 1, 1, 1, 1, 1, 1, 1]);
        app.app.clock.advance(29 * DAY + 1);
        assert_eq!(retention::sweep(&app.app).await.expect("sweeps"), logged as u64);
        assert_eq!(left(&app).await, [1, 1, 1, 1, 2, 1, 0, 1, 1, 1, 1, 1, 1, 1, 1, 1]);
        assert_eq!(retention::sweep(&app.app).await.expect("sweeps"), 0);
    }

    /// What proves once is forgotten when it would prove nothing any more.
    async fn spent_ids_are_kept_while_they_matter(app: TestApp) {
        use model::spent_ids::{self, Kind};
        let spend = async |jti: &str, seconds: i64| {
            let owner = (Kind::ClientAssertion, "m2m");
            spent_ids::spend(&app.app, &app.tenant.id, owner, jti, NOW.plus_seconds(seconds)).await.expect("writes")
        };
        assert_eq!((spend("a", 60).await, spend("b", 120).await, spend("a", 300).await), (true, true, false));
        // And a minute more, for a node whose clock is behind.
        app.app.clock.advance(121);
        assert_eq!(retention::sweep(&app.app).await.expect("sweeps"), 1);
        assert_eq!((spend("a", 300).await, spend("b", 300).await), (true, false));
        // Each kind has ids of its own.
        let proof = spent_ids::spend(&app.app, &app.tenant.id, (Kind::Proof, "m2m"), "b", NOW.plus_seconds(300));
        assert!(proof.await.expect("writes"));
    }
}

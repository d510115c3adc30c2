//! LK: an account is linked by whoever proves that it is theirs, and by nobody else.

use axum::http::Method;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use model::jose::{Algorithm, SigningKey};
use model::resource_servers::CURRENT_USER_SCOPES;
use serde_json::{Value, json};

use super::refusals::{Attempt, bad_token, insufficient, invalid_body, refusal, unowned};
use super::{API, browser, claims, prepared, stored};
use crate::support::app::{CONNECTION, PASSWORD};
use crate::support::browser::{CALLBACK, VERIFIER};
use crate::support::{Authorize, Browser, Caller, TestApp};

const ALICE: &str = "/api/v2/users/auth0%7Calice";
const BOB: &str = "/api/v2/users/auth0%7Cbob";
const LINKS: &str = "/api/v2/users/auth0%7Calice/identities";

/// Everything that a person's token may hold.
fn every_scope() -> String {
    format!("openid profile email {}", CURRENT_USER_SCOPES.join(" "))
}

/// With alice, bob and carol, and no limit on their calls.
async fn people(app: TestApp) -> TestApp {
    let app = app.without_limits();
    for user in ["auth0|alice", "auth0|bob", "auth0|carol"] {
        app.add_user(user).await;
    }
    app
}

/// The body that links the account of an ID token.
async fn with(account: &Caller) -> Value {
    json!({ "link_with": account.bearer().await })
}

fn post<'a>(path: &'a str, body: &'a Value) -> Attempt<'a> {
    Attempt { method: Method::POST, path, body: Some(body) }
}

/// The identity of a database user who was made by the tests and linked.
fn identity(name: &str) -> Value {
    json!({
        "profileData": { "email": format!("{name}@example.com"), "email_verified": true },
        "connection": CONNECTION,
        "user_id": name,
        "provider": "auth0",
        "isSocial": false,
    })
}

const INVALID: &str = "Invalid token (link_with).";
const ALGORITHM: &str = "JWT (link_with) must have an alg of RS256.";
const AUDIENCE: &str = "JWT (link_with) contains an invalid aud claim.";
const SUBJECT: &str = "JWT (link_with) contains an invalid sub claim.";

both_databases! {
    async fn lk_01_only_a_good_id_token_of_the_calling_client_links(app: TestApp) {
        let app = people(app).await;
        let alice = app.token("auth0|alice", &every_scope());
        let id_token = app.id_token("auth0|bob", "spa");
        let good = id_token.bearer().await;
        let [header, payload, signature] = parts(&good);
        let claims = Value::Object(id_token.claims.clone().expect("has claims"));
        let encoded = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let signed = async |algorithm, typ| {
            app.app.keys.sign(&app.app, &app.tenant.id, algorithm, typ, &claims).await.expect("signs")
        };
        let mut carol = claims.clone();
        carol["sub"] = json!("auth0|carol");
        let with_the_secret = SigningKey::hs256(None, b"spa-secret").sign_jwt("JWT", &claims).expect("signs");
        let unsigned = |alg: &str| format!("{}.{payload}.", encoded(&json!({ "alg": alg, "typ": "JWT" })));
        let mut named_none = Vec::new();
        for alg in ["none", "None", "nOnE", "HS256"] {
            named_none.push((unsigned(alg), ALGORITHM));
        }
        let changed = async |name: &str, value: Value| id_token.claiming(name, value).bearer().await;
        let now = app.app.clock.now().seconds();
        let mut cases = vec![
            // As it was signed, and not.
            (format!("{header}.{}.{signature}", encoded(&carol)), INVALID),
            (format!("{header}.{payload}.{}", parts(&app.id_token("auth0|carol", "spa").bearer().await)[2]), INVALID),
            (format!("{header}.{payload}."), INVALID),
            (format!("{good}="), INVALID),
            (good[..good.len() - 1].to_owned(), INVALID),
            (id_token.at(&app.other).bearer().await, INVALID),
            (with_the_secret, ALGORITHM),
            (signed(Algorithm::ES256, "JWT").await, ALGORITHM),
            (signed(Algorithm::RS256, "logout+jwt").await, INVALID),
            (signed(Algorithm::RS256, "at+jwt").await, INVALID),
            // Of its time.
            (changed("exp", json!(now)).await, INVALID),
            (changed("exp", json!("2030-01-01")).await, INVALID),
            (changed("iat", json!(now + 3600)).await, INVALID),
            (changed("iat", Value::Null).await, INVALID),
            (changed("nbf", json!(now + 3600)).await, INVALID),
            // From us, for the caller's client, about somebody.
            (changed("iss", json!("https://other.test/")).await, "JWT (link_with) must have the same issuer as the calling user."),
            (changed("iss", Value::Null).await, "JWT (link_with) must have the same issuer as the calling user."),
            (changed("aud", json!("m2m")).await, "JWT (link_with) must have an aud claim that matches that of the calling token's azp."),
            (changed("aud", json!("")).await, "JWT (link_with) must have an aud claim that matches that of the calling token's azp."),
            (changed("aud", json!(["spa"])).await, AUDIENCE),
            (changed("aud", json!(5)).await, AUDIENCE),
            (changed("aud", Value::Null).await, AUDIENCE),
            (changed("sub", Value::Null).await, "JWT (link_with) must contains sub claim."),
            (changed("sub", json!(5)).await, SUBJECT),
            (changed("sub", json!(["auth0|bob"])).await, SUBJECT),
            (changed("sub", json!("bob")).await, SUBJECT),
            (changed("sub", json!("|bob")).await, SUBJECT),
            (changed("sub", json!("auth0|")).await, SUBJECT),
            (changed("sub", json!("auth0|nobody")).await, "Provided secondary account not found."),
            (changed("sub", json!("auth0|bob ")).await, "Provided secondary account not found."),
            (changed("sub", json!("Auth0|bob")).await, "Provided secondary account not found."),
            // No ID token at all.
            (app.token("auth0|bob", &every_scope()).bearer().await, INVALID),
            (app.token("auth0|bob", "").claiming("aud", "spa").bearer().await, INVALID),
            (app.token("auth0|bob", "").claiming("aud", "spa").claiming("azp", Value::Null).claiming("client_id", "spa").bearer().await, INVALID),
            (app.machine("read:users").bearer().await, INVALID),
            ("v1.opaque".into(), INVALID),
            (String::new(), INVALID),
            ("a.b.c".into(), INVALID),
            ("..".into(), INVALID),
            (format!("{}.{payload}.{signature}", encoded(&json!({ "alg": 5 }))), INVALID),
            ("a".repeat(100_000), INVALID),
        ];
        cases.extend(named_none);
        for (token, told) in cases {
            let body = json!({ "link_with": token });
            post(LINKS, &body).refused(&app, &alice, &invalid_body(told)).await;
        }
        // A mere field of another type, or beside others.
        for (body, told) in [
            (json!({ "link_with": 5 }), "Payload validation error: 'Expected type string but found type integer' on property link_with (JWT for the secondary account being linked. If sending this parameter, `provider`, `user_id`, and `connection_id` must not be sent.)."),
            (json!({}), "Payload validation error: 'Too few properties defined (0), minimum 1'."),
            (json!({ "link_with": good, "x": 1 }), "Payload validation error: 'Additional properties not allowed: x'."),
        ] {
            post(LINKS, &body).refused(&app, &alice, &invalid_body(told)).await;
        }
        let linked = alice.post(LINKS, json!({ "link_with": good })).await;
        assert_eq!((linked.status, &linked.body), (201, &json!([identity("alice"), identity("bob")])), "{}", linked.text);
    }

    /// A token is worth what its user is at this moment.
    async fn lk_01_an_id_token_ends_with_its_user(app: TestApp) {
        let app = people(app).await;
        let (alice, admin) = (app.token("auth0|alice", &every_scope()), app.admin());
        let body = with(&app.id_token("auth0|bob", "spa")).await;
        assert_eq!(admin.patch(BOB, json!({ "blocked": true })).await.status, 200);
        post(LINKS, &body).refused(&app, &alice, &invalid_body("Unable to link with the secondary account.")).await;
        assert_eq!(admin.delete(BOB).await.status, 204);
        let gone = invalid_body("Provided secondary account not found.");
        post(LINKS, &body).refused(&app, &alice, &gone).await;
        app.add_user("auth0|bob").await;
        post(LINKS, &body).refused(&app, &alice, &gone).await;
        let anew = with(&app.id_token("auth0|bob", "spa")).await;
        assert_eq!(alice.post(LINKS, anew).await.status, 201);

        // What was linked and unlinked is made anew too.
        assert_eq!(alice.delete(&format!("{LINKS}/auth0/bob")).await.status, 200);
        app.app.clock.advance(1);
        let old = with(&app.id_token("auth0|bob", "spa").claiming("iat", app.app.clock.now().seconds() - 5)).await;
        post(LINKS, &old).refused(&app, &alice, &gone).await;
    }

    async fn lk_02_a_person_links_by_proof_alone_and_to_themselves(app: TestApp) {
        let app = people(app).await;
        let alice = app.token("auth0|alice", &every_scope());
        let proof = app.id_token("auth0|bob", "spa").bearer().await;
        for body in [
            json!({ "provider": "auth0", "user_id": "bob" }),
            json!({ "provider": "auth0", "user_id": "auth0|bob" }),
            json!({ "provider": "auth0", "user_id": 5 }),
            json!({ "provider": "auth0", "user_id": "nobody" }),
            json!({ "provider": "auth0" }),
            json!({ "user_id": "bob" }),
            json!({ "connection_id": "con_0000000000000000" }),
            json!({ "provider": "auth0", "user_id": "bob", "link_with": proof }),
        ] {
            post(LINKS, &body).refused(&app, &alice, &insufficient("update:users")).await;
        }
        let proof = json!({ "link_with": proof });
        let to_alice = json!({ "link_with": app.id_token("auth0|alice", "spa").bearer().await });
        for path in ["/api/v2/users/auth0%7Cbob/identities", "/api/v2/users/auth0%7Cnobody/identities"] {
            for body in [&proof, &to_alice, &json!({ "provider": "auth0", "user_id": "alice" }), &json!({})] {
                post(path, body).refused(&app, &alice, &unowned()).await;
            }
        }
        let needed = insufficient("update:users,update:current_user_identities");
        for scope in CURRENT_USER_SCOPES.iter().filter(|scope| **scope != "update:current_user_identities") {
            post(LINKS, &proof).refused(&app, &app.token("auth0|alice", scope), &needed).await;
        }
        let by_name = json!({ "provider": "auth0", "user_id": "bob" });
        for scope in ["update:current_user_identities", "update:users_app_metadata", "create:users", ""] {
            post(LINKS, &by_name).refused(&app, &app.machine(scope), &needed).await;
        }
        let linked = app.machine("update:users").post(LINKS, by_name).await;
        assert_eq!((linked.status, &linked.body), (201, &json!([identity("alice"), identity("bob")])), "{}", linked.text);
    }

    async fn lk_03_an_account_is_linked_once_and_never_to_itself(app: TestApp) {
        let app = people(app).await;
        let (alice, admin) = (app.token("auth0|alice", &every_scope()), app.admin());
        let (bob, carol) = (app.id_token("auth0|bob", "spa"), app.id_token("auth0|carol", "spa"));
        let same = invalid_body("Main identity and the new one are the same.");
        let itself = with(&app.id_token("auth0|alice", "spa")).await;
        post(LINKS, &itself).refused(&app, &alice, &same).await;
        let named = json!({ "provider": "auth0", "user_id": "auth0|alice" });
        post(LINKS, &named).refused(&app, &admin, &same).await;

        assert_eq!(alice.post(LINKS, with(&bob).await).await.status, 201);
        let twice = refusal(409, "Conflict", "Specified identity already exists.", "");
        let body = with(&bob).await;
        post(LINKS, &body).refused(&app, &alice, &twice).await;
        let named = json!({ "provider": "auth0", "user_id": "bob" });
        post(LINKS, &named).refused(&app, &admin, &twice).await;
        // Whoever had the token of the linked account links nothing with it: their user is gone.
        let path = format!("{BOB}/identities");
        let body = with(&carol).await;
        post(&path, &body).refused(&app, &app.token("auth0|bob", &every_scope()), &bad_token("Invalid token")).await;

        // An account of another user is theirs; a user with accounts brings them all.
        let carols = "/api/v2/users/auth0%7Ccarol/identities";
        let body = with(&bob).await;
        post(carols, &body).refused(&app, &app.token("auth0|carol", &every_scope()), &twice).await;
        let linked = app.token("auth0|carol", &every_scope()).post(carols, with(&app.id_token("auth0|alice", "spa")).await).await;
        assert_eq!((linked.status, &linked.body), (201, &json!([identity("carol"), identity("alice"), identity("bob")])), "{}", linked.text);
        assert_eq!(admin.get(ALICE).await.status, 404);
        let users = admin.get("/api/v2/users").await;
        assert_eq!(users.body.as_array().map(Vec::len), Some(1), "{}", users.text);
    }

    async fn lk_04_a_link_discards_the_accounts_metadata_and_unlinking_makes_a_user_of_it(app: TestApp) {
        let app = people(app).await;
        let (alice, admin) = (app.token("auth0|alice", &every_scope()), app.admin());
        let metadata = |who: &str| json!({ "user_metadata": { "of": who }, "app_metadata": { "of": who } });
        for (path, who) in [(ALICE, "alice"), (BOB, "bob")] {
            assert_eq!(admin.patch(path, metadata(who)).await.status, 200);
        }
        let before = admin.get(ALICE).await.body;
        app.app.clock.advance(1);
        let linked = alice.post(LINKS, with(&app.id_token("auth0|bob", "spa")).await).await;
        assert_eq!((linked.status, &linked.body), (201, &json!([identity("alice"), identity("bob")])), "{}", linked.text);
        let mut expected = before.clone();
        expected["identities"] = linked.body.clone();
        expected["updated_at"] = json!("2026-01-01T12:00:01.000Z");
        assert_eq!(admin.get(ALICE).await.body, expected);
        assert_eq!(admin.get(BOB).await.status, 404);
        for path in ["/api/v2/users-by-email?email=bob@example.com", "/api/v2/users?q=email:bob@example.com"] {
            assert_eq!(admin.get(path).await.body, json!([]), "{path}");
        }

        let unlinked = alice.delete(&format!("{LINKS}/auth0/bob")).await;
        assert_eq!((unlinked.status, &unlinked.body), (200, &json!([identity("alice")])), "{}", unlinked.text);
        expected["identities"] = unlinked.body.clone();
        assert_eq!(admin.get(ALICE).await.body, expected);
        let bob = admin.get(BOB).await;
        assert_eq!(
            (bob.status, &bob.body["email"], &bob.body["identities"], &bob.body["created_at"]),
            (
                200,
                &json!("bob@example.com"),
                &json!([{ "connection": CONNECTION, "user_id": "bob", "provider": "auth0", "isSocial": false }]),
                &json!("2026-01-01T12:00:01.000Z"),
            ),
            "{}", bob.text
        );
        assert_eq!((bob.body.get("user_metadata"), bob.body.get("app_metadata")), (None, None));

        let letters = app.app.db.read("SELECT kind, recipient FROM letters WHERE tenant = $1 ORDER BY kind, recipient", db::params![&app.tenant.id]);
        let letters = letters.await.expect("reads").into_iter().map(|mut row| (row.take().expect("a kind"), row.take().expect("an address")));
        let letters: Vec<(String, String)> = letters.collect();
        let told = [("identity_linked", "alice"), ("identity_linked", "bob"), ("identity_unlinked", "alice"), ("identity_unlinked", "bob")];
        assert_eq!(letters, told.map(|(kind, who)| (kind.to_owned(), format!("{who}@example.com"))));
        for (to, variables) in app.letters("identity_linked").await {
            let other = if to == "alice@example.com" { "bob@example.com" } else { "alice@example.com" };
            assert_eq!(variables["account"], other, "{to}");
        }

        let entries = admin.get("/api/v2/logs?q=type%3Asapi&per_page=2").await.body;
        let told = |entry: &Value| json!([entry["description"], entry["user_id"], entry["details"]["response"], entry["details"]["request"]["body"]]);
        assert_eq!(told(&entries[0]), json!(["Unlink a User Identity", "auth0|alice", { "statusCode": 200, "body": unlinked.body }, {}]));
        let sent = json!({ "link_with": "*****" });
        assert_eq!(told(&entries[1]), json!(["Link a User Account", "auth0|alice", { "statusCode": 201, "body": linked.body }, sent]));
    }

    /// The browser in which the owner of an account just signed in to it is signed in as the primary user; nothing else is.
    async fn lk_04_the_browser_goes_on_as_the_primary_user(app: TestApp) {
        let app = prepared(app).await;
        let admin = app.admin();
        let elsewhere = signed_in(&app, "bob").await;
        let mut here = signed_in(&app, "alice").await;
        let alice = app.token_of("auth0|alice", "page", &every_scope());

        // A second sign-in, to bob's account, in the same browser.
        let request = Authorize::code("page").with("prompt", "login").with("scope", "openid offline_access").with("audience", API);
        let landed = here.sign_in(&request.path(), "bob@example.com").await;
        let tokens = redeem(&app, &landed.param("code")).await;
        assert_eq!(claims(text(&tokens, "id_token"))["sub"], "auth0|bob");
        assert_eq!(silently(&mut here.clone()).await, "auth0|bob");

        // He gave his second factor in it.
        let mut batch = db::Batch::new();
        batch.execute("UPDATE sessions SET mfa_at = $1 WHERE user_id = $2", db::params![app.app.clock.now(), "auth0|bob"]);
        app.app.db.commit(batch).await.expect("writes");

        let linked = alice.post(LINKS, json!({ "link_with": tokens["id_token"] })).await;
        assert_eq!(linked.status, 201, "{}", linked.text);
        assert_eq!(silently(&mut here.clone()).await, "auth0|alice");
        let proven: i64 = stored(&app, "SELECT COUNT(*) FROM sessions WHERE tenant = $1 AND mfa_at IS NOT NULL", db::params![]).await;
        assert_eq!(proven, 0, "bob's second factor is none of alice's");
        assert_eq!(silently(&mut elsewhere.clone()).await, "login_required");
        let sessions: i64 = stored(&app, "SELECT COUNT(*) FROM sessions WHERE tenant = $1", db::params![]).await;
        assert_eq!(sessions, 1, "bob's other session has ended with him");
        let fields = [("grant_type", "refresh_token"), ("client_id", "page"), ("refresh_token", text(&tokens, "refresh_token"))];
        let refreshed = app.caller().form("/oauth/token", &fields).await;
        assert_eq!((refreshed.status, &refreshed.body["error"]), (403, &json!("invalid_grant")), "{}", refreshed.text);

        // Who signs in with either password is alice.
        let mut anew = browser(&app);
        anew.sign_in(&Authorize::code("page").path(), "bob@example.com").await;
        assert_eq!(silently(&mut anew).await, "auth0|alice");
        assert_eq!(admin.delete(&format!("{LINKS}/auth0/bob")).await.status, 200);
        let mut anew = browser(&app);
        anew.sign_in(&Authorize::code("page").path(), "bob@example.com").await;
        assert_eq!(silently(&mut anew).await, "auth0|bob");
        assert_eq!(silently(&mut here).await, "login_required", "what began with bob's password went with him");
    }

    /// A token names a session; only the account's own living one moves.
    async fn lk_04_only_the_accounts_own_living_session_moves(app: TestApp) {
        let app = prepared(app).await;
        app.add_user("auth0|carol").await;
        let alice = app.token_of("auth0|alice", "page", &every_scope());
        let mut carol = signed_in(&app, "carol").await;
        let mut bob = signed_in(&app, "bob").await;
        let sid: String = stored(&app, "SELECT sid FROM sessions WHERE tenant = $1 AND user_id = $2", db::params!["auth0|carol"]).await;
        let named = app.id_token("auth0|bob", "page").claiming("sid", sid);
        assert_eq!(alice.post(LINKS, with(&named).await).await.status, 201);
        assert_eq!(silently(&mut carol).await, "auth0|carol");
        assert_eq!(silently(&mut bob).await, "login_required");

        let sid: String = stored(&app, "SELECT sid FROM sessions WHERE tenant = $1 AND user_id = $2", db::params!["auth0|carol"]).await;
        app.app.clock.advance(60 * 60 * 24 * 30);
        let alice = app.token_of("auth0|alice", "page", &every_scope());
        let named = app.id_token("auth0|carol", "page").claiming("sid", sid);
        assert_eq!(alice.post(LINKS, with(&named).await).await.status, 201);
        let sessions: i64 = stored(&app, "SELECT COUNT(*) FROM sessions WHERE tenant = $1 AND user_id = $2", db::params!["auth0|alice"]).await;
        assert_eq!(sessions, 0, "what has expired is nobody's");
    }

    /// CU-02, CU-18, CU-19 over linking: the own id to the byte, and a caller who is still there.
    async fn cu_18_an_identity_is_linked_and_removed_by_the_exact_id(app: TestApp) {
        let app = people(app).await;
        let alice = app.token("auth0|alice", &every_scope());
        for own in ["auth0|alice", "auth0%7Calice", "auth0%7calice"] {
            let linked = alice.post(&format!("/api/v2/users/{own}/identities"), with(&app.id_token("auth0|bob", "spa")).await).await;
            assert_eq!(linked.status, 201, "{own}: {}", linked.text);
            let unlinked = alice.delete(&format!("/api/v2/users/{own}/identities/auth0/bob")).await;
            assert_eq!(unlinked.status, 200, "{own}: {}", unlinked.text);
        }
        let body = with(&app.id_token("auth0|bob", "spa")).await;
        for other in ["Auth0%7Calice", "auth0%7Calice%20", "auth0%7Calice.", "auth0%7Calice%2F", "auth0%7C%7Calice", "auth0%7Cbob", "auth0%7Cnobody"] {
            let path = format!("/api/v2/users/{other}/identities");
            post(&path, &body).refused(&app, &alice, &unowned()).await;
            let path = format!("/api/v2/users/{other}/identities/auth0/bob");
            Attempt { method: Method::DELETE, path: &path, body: None }.refused(&app, &alice, &unowned()).await;
        }
        for (bad, shown) in [("auth0%257Calice", "auth0%7Calice"), ("auth0%EF%BD%9Calice", "auth0\u{ff5c}alice"), ("alice", "alice")] {
            let malformed = format!("Path validation error: 'Object didn't pass validation for format user-id: {shown}' on property id.");
            let expected = refusal(400, "Bad Request", &malformed, "invalid_uri");
            let path = format!("/api/v2/users/{bad}/identities");
            post(&path, &body).refused(&app, &alice, &expected).await;
        }
    }

    async fn cu_19_a_link_is_its_users_when_it_is_made(app: TestApp) {
        let app = people(app).await;
        let (alice, admin) = (app.token("auth0|alice", &every_scope()), app.admin());
        let body = with(&app.id_token("auth0|bob", "spa")).await;
        let gone = bad_token("Invalid token");
        for change in [json!({ "blocked": true }), Value::Null] {
            let admin_too = admin.clone();
            let first = async move {
                let done = if change.is_null() { admin_too.delete(ALICE).await } else { admin_too.patch(ALICE, change).await };
                assert!([200, 204].contains(&done.status), "{}", done.text);
            };
            let late = alice.hold_back(Method::POST, LINKS, first, body.clone()).await;
            assert_eq!((late.status, &late.body), (401, &gone));
            let unlinked = alice.delete(&format!("{LINKS}/auth0/bob")).await;
            assert_eq!((unlinked.status, &unlinked.body), (401, &gone));
            assert_eq!(admin.get(BOB).await.status, 200);
            let _ = admin.patch(ALICE, json!({ "blocked": false })).await;
        }
    }
}

both_databases_at_once! {
    /// Of two links in opposite directions at once one succeeds; nobody is lost and nothing is linked twice.
    async fn lk_03_of_two_opposite_links_one_succeeds(app: TestApp) {
        let app = app.without_limits();
        let admin = app.admin();
        for round in 0..10 {
            let (one, other) = (format!("a{round}"), format!("b{round}"));
            for user in [&one, &other] {
                app.add_user(&format!("auth0|{user}")).await;
            }
            let mut links = Vec::new();
            for (primary, secondary) in [(&one, &other), (&other, &one)] {
                let caller = app.token(&format!("auth0|{primary}"), "update:current_user_identities");
                let body = with(&app.id_token(&format!("auth0|{secondary}"), "spa")).await;
                let path = format!("/api/v2/users/auth0%7C{primary}/identities");
                links.push(tokio::spawn(async move { caller.post(&path, body).await.status }));
            }
            let mut statuses = Vec::new();
            for link in links {
                statuses.push(link.await.expect("runs"));
            }
            statuses.sort_unstable();
            // The loser's own user is gone by then, or still was there when it was asked for.
            assert_eq!(statuses[0], 201, "{statuses:?}");
            assert!([400, 401, 409].contains(&statuses[1]), "{statuses:?}");
            let left = admin.get("/api/v2/users?q=user_id:auth0*&per_page=100").await.body;
            let ours = left.as_array().expect("is a list").iter().filter(|user| {
                [format!("auth0|{one}"), format!("auth0|{other}")].contains(&user["user_id"].as_str().unwrap_or_default().to_owned())
            });
            let identities: Vec<_> = ours.map(|user| user["identities"].as_array().map(Vec::len)).collect();
            assert_eq!(identities, [Some(2)], "{left}");
        }
    }

    /// Whoever is blocked or deleted at the same moment is not linked, or was linked before.
    /// Who signed in with the account that is unlinked is signed in as nobody; who did with another of the user's stays.
    async fn lk_04_unlinking_ends_what_began_with_the_account(app: TestApp) {
        let app = prepared(app).await;
        let admin = app.admin();
        let client = json!({ "grant_types": ["authorization_code", "refresh_token", "implicit"], "refresh_token": { "rotation_type": "rotating", "expiration_type": "expiring" } });
        assert_eq!(admin.patch("/api/v2/clients/page", client).await.status, 200);
        let offline = async |browser: &mut Browser| {
            let request = Authorize::code("page").with("scope", "openid offline_access").path();
            let landed = browser.sign_in(&request, "").await;
            redeem(&app, &landed.param("code")).await["refresh_token"].as_str().expect("is text").to_owned()
        };
        let renews = async |token: &str| {
            let fields = [("grant_type", "refresh_token"), ("client_id", "page"), ("refresh_token", token)];
            app.caller().form("/oauth/token", &fields).await.status == 200
        };
        // The browser that links goes on as alice; another signs in with bob's password afterwards.
        let mut bobs = signed_in(&app, "bob").await;
        let landed = bobs.get(&Authorize::new("page", "id_token").with("prompt", "none").path()).await;
        let body = json!({ "link_with": landed.param("id_token") });
        let alice = app.token_of("auth0|alice", "page", "update:current_user_identities");
        let linked = alice.post(LINKS, body).await;
        assert_eq!(linked.status, 201, "{}", linked.text);
        let (mut later, mut own) = (signed_in(&app, "bob").await, signed_in(&app, "alice").await);
        for browser in [&mut bobs, &mut later, &mut own] {
            assert_eq!(silently(browser).await, "auth0|alice");
        }
        let (of_bob, of_alice) = (offline(&mut later).await, offline(&mut own).await);
        // One that is signed out has left a refresh token.
        let mut gone = signed_in(&app, "bob").await;
        let of_gone = offline(&mut gone).await;
        assert_eq!(gone.get("/v2/logout?client_id=page").await.status, 200);
        // And a password buys one without a session.
        let realm = "http://auth0.com/oauth/grant-type/password-realm";
        let grants = json!({ "app_type": "native", "oidc_conformant": true, "token_endpoint_auth_method": "none", "grant_types": [realm, "refresh_token"] });
        app.add_client("phone", grants).await;
        let fields = [
            ("grant_type", realm), ("client_id", "phone"), ("realm", CONNECTION), ("username", "bob@example.com"),
            ("password", PASSWORD), ("scope", "openid offline_access"),
        ];
        let bought = app.caller().form("/oauth/token", &fields).await;
        assert_eq!(bought.status, 200, "{}", bought.text);
        let by_password = text(&bought.body, "refresh_token").to_owned();
        assert_eq!(alice.delete(&format!("{LINKS}/auth0/bob")).await.status, 200);
        let fields = [("grant_type", "refresh_token"), ("client_id", "phone"), ("refresh_token", &by_password)];
        assert_eq!(app.caller().form("/oauth/token", &fields).await.status, 403);
        // Neither browser has proved to be alice's: the one that linked showed a token of hers.
        assert_eq!([silently(&mut later).await, silently(&mut bobs).await], ["login_required"; 2]);
        assert_eq!(silently(&mut own).await, "auth0|alice");
        assert_eq!([renews(&of_bob).await, renews(&of_gone).await, renews(&of_alice).await], [false, false, true]);
    }

    async fn lk_03_a_link_and_a_block_or_delete_do_not_mix(app: TestApp) {
        let app = app.without_limits();
        let admin = app.admin();
        app.add_user("auth0|alice").await;
        for round in 0..20 {
            let user = format!("auth0|c{round}");
            app.add_user(&user).await;
            let path = format!("/api/v2/users/auth0%7Cc{round}");
            let alice = app.token("auth0|alice", "update:current_user_identities");
            let body = with(&app.id_token(&user, "spa")).await;
            let link = tokio::spawn(async move { alice.post(LINKS, body).await });
            let (other, there, blocks) = (admin.clone(), path.clone(), round % 2 == 0);
            let shut = tokio::spawn(async move {
                if blocks { other.patch(&there, json!({ "blocked": true })).await } else { other.delete(&there).await }
            });
            let (link, shut) = (link.await.expect("runs"), shut.await.expect("runs"));
            let identities = admin.get(ALICE).await.body["identities"].to_string();
            let is_linked = identities.contains(&format!("\"user_id\":\"c{round}\""));
            assert_eq!(is_linked, link.status == 201, "{}", link.text);
            let left = admin.get(&path).await;
            match (link.status, blocks) {
                (201, true) => assert_eq!((shut.status, left.status), (404, 404)),
                (201, false) => assert_eq!((shut.status, left.status), (204, 404)),
                (400, true) => assert_eq!((shut.status, left.status, &left.body["blocked"]), (200, 200, &json!(true))),
                (400, false) => assert_eq!((shut.status, left.status), (204, 404)),
                _ => panic!("{}", link.text),
            }
        }
    }
}

fn parts(token: &str) -> [&str; 3] {
    token.split('.').collect::<Vec<_>>().try_into().unwrap_or_else(|_| panic!("{token} has not three parts"))
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or_else(|| panic!("no {key} in {value}"))
}

/// A browser in which `user` is signed in to `page`.
async fn signed_in(app: &TestApp, user: &str) -> Browser {
    let mut browser = browser(app);
    let landed = browser.sign_in(&Authorize::code("page").path(), &format!("{user}@example.com")).await;
    assert!(!landed.param("code").is_empty(), "{landed:?}");
    browser
}

/// Redeems a code of `page`.
async fn redeem(app: &TestApp, code: &str) -> Value {
    let fields = [
        ("grant_type", "authorization_code"),
        ("client_id", "page"),
        ("code", code),
        ("redirect_uri", CALLBACK),
        ("code_verifier", VERIFIER),
    ];
    let answer = app.caller().form("/oauth/token", &fields).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    answer.body
}

/// Whom a silent renewal is about, or why there is none.
async fn silently(browser: &mut Browser) -> String {
    let answer = browser.get(&Authorize::new("page", "id_token").with("prompt", "none").path()).await;
    match answer.param("error") {
        error if !error.is_empty() => error,
        _ => text(&claims(&answer.param("id_token")), "sub").to_owned(),
    }
}

//! CU: what a browser app may do with the token of its own user, and that it is nothing more.

use axum::http::Method;
use management::operations;
use model::credentials;
use model::resource_servers::CURRENT_USER_SCOPES;
use model::users::{self, NewUser};
use serde_json::{Map, Value, json};

use super::refusals::{
    Attempt, bad_header, bad_token, forbidden_fields, insufficient, invalid_body, missing_authentication,
    refusal, unowned,
};
use super::{API, browser, prepared};
use crate::support::app::{CONNECTION, NOW, PASSWORD};
use crate::support::{Answer, Authorize, Caller, TestApp};

const ALICE: &str = "/api/v2/users/auth0%7Calice";
const BOB: &str = "/api/v2/users/auth0%7Cbob";

/// With alice, who has something of everything, and bob.
async fn people(app: TestApp) -> TestApp {
    let alice = NewUser {
        user_id: Some("alice".into()),
        email: Some("alice@example.com".into()),
        email_verified: true,
        given_name: Some("Alice".into()),
        family_name: Some("Liddell".into()),
        name: Some("Alice Liddell".into()),
        nickname: Some("al".into()),
        picture: Some("https://pictures.test/alice.png".into()),
        user_metadata: Some(object(json!({ "color": "teal", "deep": { "a": 1, "b": [1, 2] } }))),
        app_metadata: Some(object(json!({ "plan": "gold" }))),
        ..NewUser::default()
    };
    app.add_user_with(alice).await;
    app.add_user("auth0|bob").await;
    app
}

fn object(value: Value) -> Map<String, Value> {
    value.as_object().expect("is an object").clone()
}

/// Everything that a person's token may ever hold, and more.
fn every_scope() -> String {
    format!("openid profile email {} delete:current_user", CURRENT_USER_SCOPES.join(" "))
}

/// What everybody may see of alice.
fn alice_as_made() -> Value {
    json!({
        "created_at": "2026-01-01T12:00:00.000Z",
        "email": "alice@example.com",
        "email_verified": true,
        "family_name": "Liddell",
        "given_name": "Alice",
        "identities": [{ "connection": CONNECTION, "user_id": "alice", "provider": "auth0", "isSocial": false }],
        "name": "Alice Liddell",
        "nickname": "al",
        "picture": "https://pictures.test/alice.png",
        "updated_at": "2026-01-01T12:00:00.000Z",
        "user_id": "auth0|alice",
        "user_metadata": { "color": "teal", "deep": { "a": 1, "b": [1, 2] } },
        "app_metadata": { "plan": "gold" },
    })
}

/// The tokens that a sign-in to `page` gives: `access_token`, `id_token`, `refresh_token`, and `code`, which is unspent.
async fn issued(app: &TestApp, audience: &str, scope: &str) -> Value {
    let mut browser = browser(app);
    let request = Authorize::code("page").with("scope", scope);
    let request = if audience.is_empty() { request } else { request.with("audience", audience) };
    let landed = browser.sign_in(&request.path(), "alice@example.com").await;
    let spent = landed.param("code");
    let fields = [
        ("grant_type", "authorization_code"),
        ("client_id", "page"),
        ("code", &*spent),
        ("redirect_uri", crate::support::browser::CALLBACK),
        ("code_verifier", crate::support::browser::VERIFIER),
    ];
    let mut tokens = app.caller().form("/oauth/token", &fields).await;
    assert_eq!(tokens.status, 200, "{}", tokens.text);
    tokens.body["code"] = browser.open(&request.path()).await.param("code").into();
    tokens.body
}

/// Somebody who sends this and no more as `Authorization`.
fn saying(app: &TestApp, authorization: &str) -> Caller {
    app.caller().with("authorization", authorization)
}

both_databases! {
    /// The own profile, whole, and nothing that is not for its owner.
    async fn cu_01_a_user_reads_their_own_profile(app: TestApp) {
        let app = people(app).await;
        let answer = app.token("auth0|alice", "read:current_user").get(ALICE).await;
        assert_eq!((answer.status, &answer.body), (200, &alice_as_made()));
        assert_eq!(answer.header("cache-control"), "private, no-store");
        let stored = users::find(&app.app.db, &app.tenant.id, &"auth0|alice".into()).await.expect("reads").expect("is there");
        let credential = credentials::find(&app.app.db, &app.tenant.id, stored.primary()).await.expect("reads");
        let hash = credential.expect("has a password").hash;
        assert!(hash.starts_with("$argon2id$"), "{hash}");
        let salt_and_key = hash.rsplitn(3, '$').take(2);
        assert!(salt_and_key.into_iter().all(|part| !answer.text.contains(part)), "{}", answer.text);
        for word in ["password", "hash", "token", "secret", "totp", "recovery", "tenant", "version"] {
            assert!(!answer.text.contains(word), "{word}: {}", answer.text);
        }
    }

    /// The ownership rule comes before anything is read of the other user: the answer and the statements are the same whether they
    /// exist or not.
    async fn cu_02_the_answer_tells_nothing_of_another_user(app: TestApp) {
        let app = people(app).await.without_limits();
        app.add_user("auth0|blocked").await;
        assert_eq!(app.admin().patch("/api/v2/users/auth0%7Cblocked", json!({ "blocked": true })).await.status, 200);
        app.add_user("auth0|deleted").await;
        assert_eq!(app.admin().delete("/api/v2/users/auth0%7Cdeleted").await.status, 204);
        let alice = app.token("auth0|alice", &every_scope());
        // Clients and keys are cached from the first call on.
        assert_eq!(alice.get(ALICE).await.status, 200);

        let mut paths: Vec<_> = operations().iter().filter(|operation| operation.path.starts_with("/users/{id}")).collect();
        paths.sort_by_key(|operation| operation.path);
        let known = |method: &Method, path: &str| paths.iter().find(|operation| operation.method == *method && operation.path == path);
        let templates = paths.iter().map(|operation| operation.path).chain(["/users/{id}/nothing", "/users/{id}/identities/auth0/x"]);
        for template in templates {
            for method in [Method::GET, Method::PATCH, Method::POST, Method::PUT, Method::DELETE] {
                let mut first: Option<(Answer, Vec<db::Sql>)> = None;
                for user in ["bob", "nobody", "blocked", "deleted"] {
                    let path = format!("/api/v2{}", template.replace("{id}", &format!("auth0%7C{user}")));
                    app.app.audit.flush().await;
                    app.app.db.statements();
                    let body = json!({ "user_metadata": { "a": 1 } });
                    let mut answer = alice.json(method.clone(), &path, body).await;
                    app.app.audit.flush().await;
                    let ran = app.app.db.statements();
                    answer.headers.remove("x-request-id");
                    match known(&method, template) {
                        Some(operation) if operation.scopes.iter().any(|scope| scope.name.contains("current_user")) => {
                            assert_eq!(answer.body, unowned(), "{method} {path}");
                        }
                        Some(_) => assert_eq!(answer.body["errorCode"], "insufficient_scope", "{method} {path}"),
                        None => assert!([404, 405].contains(&answer.status), "{method} {path}: {}", answer.text),
                    }
                    let reads = ran.iter().filter(|sql| sql.contains("users")).count();
                    assert_eq!(reads, usize::from(known(&method, template).is_some()), "{method} {path}: {ran:?}");
                    match &first {
                        None => first = Some((answer, ran)),
                        Some((before, statements)) => {
                            assert_eq!((answer.status, &answer.text), (before.status, &before.text), "{method} {path}");
                            assert_eq!(answer.headers, before.headers, "{method} {path}");
                            assert_eq!(&ran, statements, "{method} {path}");
                        }
                    }
                }
            }
        }
        for user in ["bob", "nobody"] {
            let path = format!("/api/v2/users/auth0%7C{user}");
            Attempt::get(&path).is_refused(&app, &alice, &unowned()).await;
            let body = json!({ "user_metadata": { "a": 1 } });
            Attempt::patch(&path, &body).is_refused(&app, &alice, &unowned()).await;
            Attempt { method: Method::DELETE, path: &path, body: None }.is_refused(&app, &alice, &unowned()).await;
        }
    }

    /// Lists belong to administrators: neither a count nor a match is told.
    async fn cu_04_no_list_answers_a_persons_token(app: TestApp) {
        let app = people(app).await;
        let alice = app.token("auth0|alice", &every_scope());
        let lists = operations().iter().filter(|operation| operation.method == Method::GET && !operation.path.contains('{'));
        for operation in lists.clone() {
            let scopes: Vec<_> = operation.scopes.iter().filter(|scope| scope.named).map(|scope| scope.name).collect();
            assert!(scopes.iter().all(|scope| !scope.contains("current_user")), "{}", operation.path);
            let expected = insufficient(&scopes.join(","));
            for query in ["", "?q=user_id:%22auth0%7Calice%22", "?email=bob@example.com", "?email=x", "?include_totals=true&bad=%22"] {
                let path = format!("/api/v2{}{query}", operation.path);
                Attempt::get(&path).is_refused(&app, &alice, &expected).await;
            }
        }
        assert!(lists.count() > 10);
        let scopes = [
            ("/api/v2/users", "read:users,read:user_idp_tokens"),
            ("/api/v2/users-by-email?email=bob@example.com", "read:users"),
            ("/api/v2/logs", "read:logs,read:logs_users"),
            ("/api/v2/clients", "read:clients,read:client_keys,read:client_credentials,read:client_summary"),
        ];
        for (path, scopes) in scopes {
            for scope in CURRENT_USER_SCOPES {
                let alice = app.token("auth0|alice", scope);
                Attempt::get(path).is_refused(&app, &alice, &insufficient(scopes)).await;
            }
        }
        let answer = alice.get("/api/v2/device-credentials").await;
        assert!([403, 404].contains(&answer.status), "{}", answer.text);
    }

    /// RFC 6750: one header, one scheme, and no other place.
    async fn cu_05_a_token_comes_in_one_authorization_header(app: TestApp) {
        let app = people(app).await;
        let good = app.token("auth0|alice", &every_scope()).bearer().await;
        for accepted in [format!("Bearer {good}"), format!("bearer {good}"), format!("BEARER {good}")] {
            assert_eq!(saying(&app, &accepted).get(ALICE).await.status, 200);
        }
        let nobody = app.caller();
        for missing in [
            nobody.clone(),
            saying(&app, ""),
            saying(&app, &format!("Token {good}")),
            saying(&app, &format!("Basic {good}")),
            saying(&app, &format!("DPoP {good}")),
            saying(&app, &good),
            saying(&app, &format!("Bearer{good}")),
            saying(&app, &format!("Bearer:{good}")),
            saying(&app, &format!("Bearer {good}")).with("authorization", &format!("Bearer {good}")),
            saying(&app, &format!("Bearer {good}")).with("authorization", "Basic eDp5"),
            nobody.with("cookie", &format!("access_token={good}; token={good}; Authorization=Bearer {good}")),
            nobody.with("x-authorization", &format!("Bearer {good}")).with("proxy-authorization", &format!("Bearer {good}")),
        ] {
            let answer = Attempt::get(ALICE).is_refused(&app, &missing, &missing_authentication()).await;
            assert_eq!(answer.header("www-authenticate"), "Bearer");
        }
        for bad in ["Bearer", "Bearer ", &format!("Bearer {good} {good}"), &format!("Bearer {good}, Bearer {good}"), "Bearer a", "Bearer a.b"] {
            Attempt::get(ALICE).is_refused(&app, &saying(&app, bad), &bad_header()).await;
        }
        for query in ["access_token", "token", "authorization", "bearer", "id_token"] {
            let path = format!("{ALICE}?{query}={good}");
            Attempt::get(&path).is_refused(&app, &nobody, &missing_authentication()).await;
        }
        let form = nobody.send(Method::PATCH, ALICE, Some("application/x-www-form-urlencoded"), format!("access_token={good}")).await;
        assert_eq!((form.status, form.body), (401, missing_authentication()));
    }

    /// What else Doorward issues is no access token of this API.
    async fn cu_06_only_an_access_token_for_this_api_is_one(app: TestApp) {
        let app = prepared(app).await;
        let ours = issued(&app, &app.tenant.management_audience(), "openid read:current_user").await;
        let other = issued(&app, API, "openid offline_access read:a").await;
        let opaque = issued(&app, "", "openid").await;
        let text = |tokens: &Value, name: &str| tokens[name].as_str().unwrap_or_else(|| panic!("no {name}")).to_owned();
        let good = saying(&app, &format!("Bearer {}", text(&ours, "access_token"))).get(ALICE).await;
        assert_eq!((good.status, &good.body["user_id"]), (200, &json!("auth0|alice")), "{}", good.text);

        let audience = refusal(401, "Unauthorized", "Bad audience: https://id.test/api/v2/", "");
        for (token, expected) in [
            (text(&ours, "id_token"), bad_token("Invalid token")),
            (text(&other, "id_token"), bad_token("Invalid token")),
            (text(&other, "access_token"), audience),
            (text(&opaque, "access_token"), bad_header()),
            (text(&other, "refresh_token"), bad_header()),
            (text(&ours, "code"), bad_header()),
        ] {
            Attempt::get(ALICE).is_refused(&app, &saying(&app, &format!("Bearer {token}")), &expected).await;
        }
        // An ID token is told from an access token by more than its audience, which its client could name.
        let alice = app.token("auth0|alice", "read:current_user");
        for like_an_id_token in [
            alice.claiming("aud", "spa"),
            alice.claiming("aud", "spa").claiming("azp", Value::Null),
            alice.claiming("nonce", "n"),
            alice.claiming("azp", Value::Null),
            alice.claiming("aud", app.tenant.management_audience()).claiming("azp", app.tenant.management_audience()),
        ] {
            Attempt::get(ALICE).is_refused(&app, &like_an_id_token, &bad_token("Invalid token")).await;
        }
    }

    /// A token is what it was when it was signed, and for as long as it says.
    async fn cu_07_an_expired_or_altered_token_is_refused(app: TestApp) {
        use base64::Engine;
        use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;

        let app = people(app).await;
        let now = NOW.seconds();
        let alice = app.token("auth0|alice", &every_scope());
        let expired = bad_token("Expired token received for JSON Web Token validation");
        let signature = bad_token("Invalid signature received for JSON Web Token validation");
        for past in [alice.claiming("exp", now), alice.claiming("exp", now - 86_400).claiming("iat", now - 90_000)] {
            let answer = Attempt::get(ALICE).is_refused(&app, &past, &expired).await;
            let challenge = "Bearer error=\"Expired token received for JSON Web Token validation\"";
            assert_eq!(answer.header("www-authenticate"), challenge);
        }
        let good = alice.bearer().await;
        let [header, _, own] = good.split('.').collect::<Vec<_>>().try_into().expect("three parts");
        let mut claims = alice.claims.clone().expect("has claims");
        claims.insert("sub".into(), "auth0|bob".into());
        let altered = BASE64.encode(Value::Object(claims).to_string());
        let bob = app.token("auth0|bob", &every_scope()).bearer().await;
        let [_, bobs, bobs_signature] = bob.split('.').collect::<Vec<_>>().try_into().expect("three parts");
        for (token, path) in [
            (format!("{header}.{altered}.{own}"), BOB),
            (format!("{header}.{altered}.{bobs_signature}"), BOB),
            (format!("{header}.{bobs}.{own}"), BOB),
            (format!("{}.{bobs_signature}", good.rsplit_once('.').expect("parts").0), ALICE),
            (format!("{}.", good.rsplit_once('.').expect("parts").0), ALICE),
        ] {
            Attempt::get(path).is_refused(&app, &saying(&app, &format!("Bearer {token}")), &signature).await;
            let body = json!({ "user_metadata": { "a": 1 } });
            Attempt::patch(path, &body).is_refused(&app, &saying(&app, &format!("Bearer {token}")), &signature).await;
        }
    }

    /// A person writes `user_metadata` and nothing else, though the value be the one that is there.
    async fn cu_10_a_user_writes_no_field_of_their_profile(app: TestApp) {
        let app = people(app).await;
        for scopes in ["update:current_user_metadata", "create:current_user_metadata", &every_scope()] {
            let alice = app.token("auth0|alice", scopes);
            for (field, value) in PROFILE_FIELDS.iter().map(|(field, value)| (*field, read(value))) {
                let body = json!({ field: value });
                Attempt::patch(ALICE, &body).is_refused(&app, &alice, &forbidden_fields(field)).await;
            }
            for (field, value) in UNKNOWN_FIELDS.iter().map(|(field, value)| (*field, read(value))) {
                let body = json!({ field: value });
                Attempt::patch(ALICE, &body).is_refused(&app, &alice, &unknown_field(field)).await;
            }
        }
        let seen = app.admin().get(ALICE).await;
        assert_eq!(seen.body, alice_as_made());
    }

    /// One forbidden field and the whole body is refused, what would have been allowed too.
    async fn cu_11_a_forbidden_field_takes_the_whole_body_with_it(app: TestApp) {
        let app = people(app).await;
        let alice = app.token("auth0|alice", &every_scope());
        for (field, value) in PROFILE_FIELDS.iter().map(|(field, value)| (*field, read(value))) {
            for body in [json!({ "user_metadata": { "a": 1 }, field: value }), json!({ field: value, "user_metadata": {} })] {
                Attempt::patch(ALICE, &body).is_refused(&app, &alice, &forbidden_fields(field)).await;
            }
        }
        for (field, value) in UNKNOWN_FIELDS.iter().map(|(field, value)| (*field, read(value))) {
            let body = json!({ "user_metadata": { "a": 1 }, field: value });
            Attempt::patch(ALICE, &body).is_refused(&app, &alice, &unknown_field(field)).await;
        }
        let body = json!({ "email": "x@example.com", "blocked": false, "user_metadata": { "a": 1 }, "app_metadata": {} });
        Attempt::patch(ALICE, &body).is_refused(&app, &alice, &forbidden_fields("blocked, email, app_metadata")).await;
        assert_eq!(app.admin().get(ALICE).await.body, alice_as_made());
    }

    /// A password is never changed with a token of a browser app.
    async fn cu_12_a_user_changes_no_password(app: TestApp) {
        let app = people(app).await;
        let alice = app.token("auth0|alice", &every_scope());
        let new = "Another-horse-10";
        for (body, fields) in [
            (json!({ "password": new }), "password"),
            (json!({ "password": new, "connection": CONNECTION }), "password, connection"),
            (json!({ "password": new, "connection": CONNECTION, "client_id": "spa" }), "password, connection, client_id"),
            (json!({ "password": null }), "password"),
        ] {
            Attempt::patch(ALICE, &body).is_refused(&app, &alice, &forbidden_fields(fields)).await;
        }
        let user = users::find(&app.app.db, &app.tenant.id, &"auth0|alice".into()).await.expect("reads").expect("is there");
        let credential = credentials::find(&app.app.db, &app.tenant.id, user.primary()).await.expect("reads").expect("has one");
        let verify = async |password: &str| {
            let verdict = app.app.hasher.verify(password.to_owned(), Some(credential.hash.clone())).await;
            verdict.expect("hashes").matches
        };
        assert_eq!((verify(PASSWORD).await, verify(new).await), (true, false));
        assert_eq!((credential.changed_at, user.last_password_reset), (NOW, None));
    }

    /// The first level merges; the rest of the profile stays as it is, to the byte.
    async fn cu_13_metadata_merges_at_its_first_level(app: TestApp) {
        let app = people(app).await;
        let alice = app.token("auth0|alice", "update:current_user_metadata");
        let rest = |answer: &Answer| {
            let mut rest = object(answer.body.clone());
            rest.shift_remove("user_metadata");
            rest.shift_remove("updated_at");
            Value::Object(rest).to_string()
        };
        let before = app.admin().get(ALICE).await;
        for (patch, expected) in [
            (json!({ "size": 1 }), json!({ "color": "teal", "deep": { "a": 1, "b": [1, 2] }, "size": 1 })),
            (json!({ "color": "red", "size": null }), json!({ "color": "red", "deep": { "a": 1, "b": [1, 2] } })),
            (json!({ "deep": { "a": null } }), json!({ "color": "red", "deep": { "a": null } })),
            (json!({ "absent": null }), json!({ "color": "red", "deep": { "a": null } })),
            (json!({ "deep": [], "color": "" }), json!({ "color": "", "deep": [] })),
            (json!({}), json!({})),
            (json!({ "__proto__": { "admin": true } }), json!({ "__proto__": { "admin": true } })),
        ] {
            app.app.clock.advance(1);
            let answer = alice.patch(ALICE, json!({ "user_metadata": patch })).await;
            assert_eq!((answer.status, &answer.body["user_metadata"]), (200, &expected), "{patch}: {}", answer.text);
            assert_eq!(answer.body["updated_at"], json!(app.app.clock.now()), "{patch}");
            assert_eq!(rest(&answer), rest(&before), "{patch}");
            assert_eq!(app.admin().get(ALICE).await.text, answer.text, "{patch}");
        }
        let updated = app.app.clock.now();
        app.app.clock.advance(1);
        let nothing = alice.patch(ALICE, json!({})).await;
        assert_eq!((nothing.status, &nothing.body["updated_at"]), (200, &json!(updated)), "an empty body changes nothing");
    }

    /// `create:` adds; it takes the other scope to change or to take away.
    async fn cu_14_a_create_only_token_adds_and_changes_nothing(app: TestApp) {
        let app = people(app).await;
        let alice = app.token("auth0|alice", "create:current_user_metadata");
        let added = alice.patch(ALICE, json!({ "user_metadata": { "size": { "x": 1 } } })).await;
        let all = json!({ "color": "teal", "deep": { "a": 1, "b": [1, 2] }, "size": { "x": 1 } });
        assert_eq!((added.status, &added.body["user_metadata"]), (200, &all), "{}", added.text);
        for (patch, fields) in [
            (json!({ "color": "red" }), "user_metadata.color"),
            (json!({ "color": "teal" }), "user_metadata.color"),
            (json!({ "color": null }), "user_metadata.color"),
            (json!({ "deep": { "c": 1 } }), "user_metadata.deep"),
            (json!({ "size": { "x": 1, "y": 2 } }), "user_metadata.size"),
            (json!({ "new": 1, "size": 2 }), "user_metadata.size"),
            (json!({ "absent": null }), "user_metadata.absent"),
            (json!({}), "user_metadata"),
        ] {
            let body = json!({ "user_metadata": patch });
            Attempt::patch(ALICE, &body).is_refused(&app, &alice, &forbidden_fields(fields)).await;
        }
        let bob = app.token("auth0|bob", "create:current_user_metadata");
        let first = bob.patch(BOB, json!({ "user_metadata": { "a": 1 } })).await;
        assert_eq!((first.status, &first.body["user_metadata"]), (200, &json!({ "a": 1 })), "{}", first.text);
        let both = app.token("auth0|alice", "create:current_user_metadata update:current_user_metadata");
        let changed = both.patch(ALICE, json!({ "user_metadata": { "color": "red", "deep": null, "size": null } })).await;
        assert_eq!((changed.status, &changed.body["user_metadata"]), (200, &json!({ "color": "red" })), "{}", changed.text);
    }
}

/// The fields of a profile that a body of PATCH knows, and a value that would be good for an administrator.
const PROFILE_FIELDS: [(&str, &str); 18] = [
    ("email", r#""mallory@example.com""#),
    ("email_verified", "true"),
    ("phone_number", r#""+15550100""#),
    ("phone_verified", "true"),
    ("password", r#""Another-horse-10""#),
    ("username", r#""mallory""#),
    ("blocked", "false"),
    ("name", r#""Alice Liddell""#),
    ("nickname", r#""al""#),
    ("given_name", r#""Alice""#),
    ("family_name", "null"),
    ("picture", r#""https://pictures.test/mallory.png""#),
    ("connection", r#""Username-Password-Authentication""#),
    ("client_id", r#""spa""#),
    ("verify_email", "false"),
    ("verify_phone_number", "false"),
    ("app_metadata", r#"{"plan":"gold"}"#),
    ("app_metadata", "{}"),
];

/// Fields that no body may name.
const UNKNOWN_FIELDS: [(&str, &str); 12] = [
    ("roles", r#"["admin"]"#),
    ("permissions", r#"["read:users"]"#),
    ("identities", "[]"),
    ("multifactor", "[]"),
    ("user_id", r#""auth0|alice""#),
    ("created_at", r#""2020-01-01T00:00:00.000Z""#),
    ("last_ip", r#""192.0.2.1""#),
    ("logins_count", "7"),
    ("tenant", r#""other""#),
    ("id", r#""auth0|bob""#),
    ("version", "1"),
    ("__proto__", r#"{"user_metadata":{}}"#),
];

fn read(text: &str) -> Value {
    serde_json::from_str(text).expect("is JSON")
}

fn unknown_field(field: &str) -> Value {
    invalid_body(&format!(
        "Payload validation error: 'Additional properties not allowed: {field} (consider storing them in app_metadata or \
         user_metadata. See \"Users Metadata\" in https://auth0.com/docs/api/v2/changes for more details)'."
    ))
}

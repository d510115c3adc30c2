//! Whom a token reaches: its own user, by the exact id, while they are there.

use axum::http::Method;
use management::operations;
use model::resource_servers::CURRENT_USER_SCOPES;
use model::{credentials, users};
use serde_json::{Value, json};

use super::{ALICE, alice_as_made, every_scope, people};
use crate::security::refusals::{Attempt, bad_token, insufficient, refusal, unowned};
use crate::support::app::{CONNECTION, PASSWORD};
use crate::support::socket::Socket;
use crate::support::{Answer, TestApp};

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
        let templates = paths.iter().map(|operation| operation.path).chain(["/users/{id}/nothing", "/users/{id}/identities/auth0"]);
        for template in templates {
            for method in [Method::GET, Method::PATCH, Method::POST, Method::PUT, Method::DELETE] {
                // So many refusals a second are noted.
                app.app.clock.advance(1);
                let mut first: Option<(Answer, Vec<db::Sql>)> = None;
                for user in ["bob", "nobody", "blocked", "deleted"] {
                    let path = template.replace("{provider}", "auth0").replace("{user_id}", "x");
                    let path = format!("/api/v2{}", path.replace("{id}", &format!("auth0%7C{user}")));
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
            Attempt::get(&path).refused(&app, &alice, &unowned()).await;
            let body = json!({ "user_metadata": { "a": 1 } });
            Attempt::patch(&path, &body).refused(&app, &alice, &unowned()).await;
            Attempt { method: Method::DELETE, path: &path, body: None }.refused(&app, &alice, &unowned()).await;
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
                Attempt::get(&path).refused(&app, &alice, &expected).await;
            }
        }
        assert!(lists.count() > 10);
        let scopes = [
            ("/api/v2/users", "read:users,read:user_idp_tokens"),
            ("/api/v2/users-by-email?email=bob@example.com", "read:users"),
            ("/api/v2/logs", "read:logs,read:logs_users"),
            ("/api/v2/device-credentials", "read:device_credentials"),
            ("/api/v2/device-credentials?user_id=auth0%7Calice", "read:device_credentials"),
            ("/api/v2/clients", "read:clients,read:client_keys,read:client_credentials,read:client_summary"),
        ];
        for (path, scopes) in scopes {
            for scope in CURRENT_USER_SCOPES {
                let alice = app.token("auth0|alice", scope);
                Attempt::get(path).refused(&app, &alice, &insufficient(scopes)).await;
            }
        }
    }

    /// An id is percent-decoded once and compared byte by byte, whatever a client encodes.
    async fn cu_18_an_id_is_decoded_once_and_compared_by_its_bytes(app: TestApp) {
        let app = people(app).await;
        let alice = app.token("auth0|alice", &every_scope());
        let body = json!({ "user_metadata": { "a": 1 } });
        for own in OWN {
            let path = format!("/api/v2/users/{own}");
            let (read, written) = (alice.get(&path).await, alice.patch(&path, body.clone()).await);
            assert_eq!((read.status, &read.body["user_id"]), (200, &json!("auth0|alice")), "{own}: {}", read.text);
            assert_eq!((written.status, &written.body["user_id"]), (200, &json!("auth0|alice")), "{own}: {}", written.text);
        }
        let malformed = |id: &str| refusal(
            400,
            "Bad Request",
            &format!("Path validation error: 'Object didn't pass validation for format user-id: {id}' on property id."),
            "invalid_uri",
        );
        for (other, decoded) in NO_ID {
            let path = format!("/api/v2/users/{other}");
            Attempt::get(&path).refused(&app, &alice, &malformed(decoded)).await;
            Attempt::patch(&path, &body).refused(&app, &alice, &malformed(decoded)).await;
        }
        for other in OTHERS {
            let path = format!("/api/v2/users/{other}");
            Attempt::get(&path).refused(&app, &alice, &unowned()).await;
            Attempt::patch(&path, &body).refused(&app, &alice, &unowned()).await;
            Attempt { method: Method::DELETE, path: &path, body: None }.refused(&app, &alice, &unowned()).await;
        }
        for other in NO_ROUTE {
            let answer = alice.get(&format!("/api/v2/users/{other}")).await;
            assert_eq!((answer.status, &answer.body), (404, &refusal(404, "Not Found", "Not Found", "")), "{other}");
        }
        for other in NO_URL {
            let answer = alice.get(&format!("/api/v2/users/{other}")).await;
            let expected = refusal(400, "Bad Request", "The URL is malformed.", "invalid_uri");
            assert_eq!((answer.status, &answer.body), (400, &expected), "{other}");
        }
    }

    /// The same over a socket, where bytes that no client library sends arrive as they are.
    async fn cu_18_an_id_on_the_wire_is_compared_by_its_bytes(app: TestApp) {
        let app = people(app).await.without_limits();
        let token = app.token("auth0|alice", &every_scope()).bearer().await;
        let socket = Socket::open(app.router.clone()).await;
        let ask = async |id: &[u8]| {
            let mut request = b"GET /api/v2/users/".to_vec();
            request.extend_from_slice(id);
            request.extend_from_slice(b" HTTP/1.1\r\nhost: id.test\r\nconnection: close\r\n");
            request.extend_from_slice(format!("authorization: Bearer {token}\r\n\r\n").as_bytes());
            let answer = socket.raw(&request).await;
            let status = answer.strip_prefix("HTTP/1.1 ").and_then(|rest| rest[..3].parse::<u16>().ok());
            assert!(status == Some(200) || !answer.contains("Liddell"), "{answer}");
            (status.unwrap_or_else(|| panic!("{id:?}: {answer:?}")), answer.contains("\"user_id\":\"auth0|alice\""))
        };
        for own in OWN {
            assert_eq!(ask(own.as_bytes()).await, (200, true), "{own}");
        }
        let refused = NO_ID.iter().map(|(other, _)| (*other, 400));
        let refused = refused.chain(OTHERS.map(|other| (other, 403))).chain(NO_ROUTE.map(|other| (other, 404)));
        for (other, status) in refused.chain(NO_URL.map(|other| (other, 400))) {
            assert_eq!(ask(other.as_bytes()).await, (status, false), "{other}");
        }
        let raw: [&[u8]; 9] = [
            b"auth0|alice ",
            b"auth0|alice\t",
            b"auth0|alice\0",
            b"auth0|alice\x0b",
            b"auth0|alice\r",
            b"auth0|alice\x7f",
            b"auth0\xef\xbd\x9calice",
            b"auth0|alic\xff",
            b"auth0|alice#",
        ];
        for bytes in raw {
            let (status, own) = ask(bytes).await;
            // A fragment is no part of a request's path: whoever sends one is asking for what is before it.
            let harmless = status == 200 && bytes.ends_with(b"#");
            assert!(harmless || ([400, 403].contains(&status) && !own), "{bytes:?}: {status}");
        }
        socket.stop().await;
    }

    /// A token is worth what its user is at this moment, and nothing to another user of the same address or id.
    async fn cu_19_a_token_ends_with_its_user(app: TestApp) {
        let app = people(app).await.without_limits();
        let (admin, gone) = (app.admin(), bad_token("Invalid token"));
        let alice = app.token("auth0|alice", &every_scope()).claiming("aud", json!([
            app.tenant.management_audience(),
            app.tenant.userinfo_audience(),
        ]));
        let works = async || {
            assert_eq!(alice.get(ALICE).await.status, 200);
            assert_eq!(alice.get("/userinfo").await.body["sub"], "auth0|alice");
        };
        let ended = async || {
            let body = json!({ "user_metadata": { "a": 1 } });
            for operation in operations() {
                let path = operation.path.replace("{provider}", "auth0").replace("{user_id}", "x").replace("{kid}", "x");
                let path = format!("/api/v2{}", path.replace("{id}", "auth0%7Calice"));
                let body = (operation.method != Method::GET).then_some(&body);
                let attempt = Attempt { method: operation.method.clone(), path: &path, body };
                let answer = attempt.refused(&app, &alice, &gone).await;
                assert_eq!(answer.header("www-authenticate"), "Bearer error=\"Invalid token\"");
            }
            let userinfo = alice.get("/userinfo").await;
            assert_eq!((userinfo.status, &*userinfo.text), (401, "Unauthorized"));
        };
        works().await;

        assert_eq!(admin.patch(ALICE, json!({ "blocked": true })).await.status, 200);
        ended().await;
        assert_eq!(admin.patch(ALICE, json!({ "blocked": false })).await.status, 200);
        works().await;

        assert_eq!(admin.delete(ALICE).await.status, 204);
        ended().await;
        assert_eq!(admin.get(ALICE).await.status, 404, "PATCH makes nobody");

        let again = |id: &str| json!({ "connection": CONNECTION, "email": "alice@example.com", "password": PASSWORD, "user_id": id });
        let heir = admin.post("/api/v2/users", again("heir")).await;
        assert_eq!((heir.status, &heir.body["user_id"]), (201, &json!("auth0|heir")), "{}", heir.text);
        ended().await;
        assert_eq!(admin.get("/api/v2/users/auth0%7Cheir").await.text, heir.text);
        Attempt::get("/api/v2/users/auth0%7Cheir").refused(&app, &alice, &gone).await;
        assert_eq!(admin.delete("/api/v2/users/auth0%7Cheir").await.status, 204);

        let namesake = admin.post("/api/v2/users", again("alice")).await;
        assert_eq!((namesake.status, &namesake.body["user_id"]), (201, &json!("auth0|alice")), "{}", namesake.text);
        ended().await;
        assert_eq!(admin.get(ALICE).await.text, namesake.text);
        let own = app.token("auth0|alice", &every_scope());
        assert_eq!(own.get(ALICE).await.text, namesake.text, "the namesake's own token is good");
    }

    /// A body that is held back does not outlast its user.
    async fn cu_19_a_write_is_its_users_when_it_is_made(app: TestApp) {
        let app = people(app).await.without_limits();
        let gone = bad_token("Invalid token");
        let alice = app.token("auth0|alice", &every_scope());
        let admin = app.admin();
        for body in [json!({ "user_metadata": { "a": 1 } }), json!({})] {
            let block = admin.clone();
            let blocked = async move { assert_eq!(block.patch(ALICE, json!({ "blocked": true })).await.status, 200) };
            let late = alice.hold_back(Method::PATCH, ALICE, blocked, body.clone()).await;
            assert_eq!((late.status, &late.body), (401, &gone), "{body}");
            assert_eq!(admin.patch(ALICE, json!({ "blocked": false })).await.body["user_metadata"].get("a"), None);
            assert_eq!(alice.hold_back(Method::PATCH, ALICE, async {}, body).await.status, 200);
            assert_eq!(admin.patch(ALICE, json!({ "user_metadata": { "a": null } })).await.status, 200);
        }
        // What would be refused in any case tells nothing of the user to somebody whom the token is no longer good for.
        let (block, clock, only_adds) = (admin.clone(), app.app.clock.clone(), app.token("auth0|alice", "create:current_user_metadata"));
        let change = json!({ "user_metadata": { "deep": 2 } });
        assert_eq!(only_adds.hold_back(Method::PATCH, ALICE, async {}, change.clone()).await.status, 403);
        let blocked = async move {
            assert_eq!(block.patch(ALICE, json!({ "blocked": true })).await.status, 200);
            clock.advance(2);
        };
        let late = only_adds.hold_back(Method::PATCH, ALICE, blocked, change).await;
        assert_eq!((late.status, &late.body), (401, &gone));
        assert_eq!(admin.patch(ALICE, json!({ "blocked": false })).await.status, 200);

        let (delete, clock) = (admin.clone(), app.app.clock.clone());
        let deleted = async move { assert_eq!(delete.delete(ALICE).await.status, 204) };
        let late = alice.hold_back(Method::PATCH, ALICE, deleted, json!({ "user_metadata": { "a": 1 } })).await;
        assert_eq!((late.status, &late.body), (401, &gone));
        assert_eq!(admin.get(ALICE).await.status, 404);

        app.add_user("auth0|alice").await;
        let replace = admin.clone();
        let replaced = async move {
            assert_eq!(replace.delete(ALICE).await.status, 204);
            clock.advance(1);
            let again = json!({ "connection": CONNECTION, "email": "alice@example.com", "password": PASSWORD, "user_id": "alice" });
            assert_eq!(replace.post("/api/v2/users", again).await.status, 201);
        };
        let late = alice.hold_back(Method::PATCH, ALICE, replaced, json!({ "user_metadata": { "a": 1 } })).await;
        assert_eq!((late.status, &late.body), (401, &gone));
        assert_eq!(admin.get(ALICE).await.body.get("user_metadata"), None);
    }

    /// Choosing fields never shows more than the whole answer has.
    async fn cu_23_fields_choose_among_what_is_shown_anyway(app: TestApp) {
        let app = people(app).await.without_limits();
        let alice = app.token("auth0|alice", &every_scope());
        let whole = alice.get(ALICE).await.body;
        for (fields, expected) in [
            ("email,user_id", json!({ "email": "alice@example.com", "user_id": "auth0|alice" })),
            ("user_metadata.deep.a", json!({ "user_metadata": { "deep": { "a": 1 } } })),
            ("app_metadata", json!({ "app_metadata": { "plan": "gold" } })),
            ("password,password_hash,credentials,_id,tenant,version,id,hash,logins", json!({})),
            ("identities.access_token,identities.refresh_token,identities.profileData", json!({})),
            ("user_metadata.__proto__,__proto__,constructor,user_metadata.deep.a.b.c", json!({})),
            ("*", json!({})),
            ("user_id; DROP TABLE users", json!({})),
            (",", json!({})),
        ] {
            let answer = alice.get(&format!("{ALICE}?fields={}", escaped(fields))).await;
            assert_eq!((answer.status, &answer.body), (200, &expected), "{fields}");
            let without = alice.get(&format!("{ALICE}?include_fields=false&fields={}", escaped(fields))).await;
            assert_eq!(without.status, 200, "{fields}");
            assert!(is_part(&without.body, &whole), "{fields}: {}", without.text);
        }
        let long = [",".repeat(10_000), "a,".repeat(7_000), "user_metadata.".repeat(1_000), ".".repeat(10_000)];
        for fields in long {
            for include in ["", "&include_fields=false"] {
                let answer = alice.get(&format!("{ALICE}?fields={fields}{include}")).await;
                assert_eq!(answer.status, 200, "{}", answer.text);
                assert!(is_part(&answer.body, &whole), "{}", answer.text);
            }
        }
        let refused = |problem: &str| refusal(400, "Bad Request", &format!("Query validation error: '{problem}."), "invalid_query_string");
        for (query, problem) in [
            ("fields=a&fields=b", "Expected type string but found type array' on property fields"),
            ("include_fields=maybe", "Expected type boolean but found type string' on property include_fields"),
            ("fields[]=email", "Additional properties not allowed: fields[]'"),
            ("FIELDS=email", "Additional properties not allowed: FIELDS'"),
        ] {
            let answer = alice.get(&format!("{ALICE}?{query}")).await;
            let told = answer.body["message"].as_str().unwrap_or_default();
            assert_eq!((answer.status, &answer.body["errorCode"]), (400, &json!("invalid_query_string")), "{query}");
            let expected = refused(problem);
            assert!(told.starts_with(expected["message"].as_str().expect("is text").trim_end_matches('.')), "{query}: {told}");
        }
        let endless = alice.get(&format!("{ALICE}?fields={}", "email,".repeat(10_000))).await;
        assert_eq!((endless.status, &endless.body["statusCode"]), (414, &json!(414)));
    }
}

/// The id of alice, as clients write it.
const OWN: [&str; 4] = ["auth0|alice", "auth0%7Calice", "auth0%7calice", "%61uth0%7C%61lice"];

/// What is no user's id, and what it says.
const NO_ID: [(&str, &str); 7] = [
    ("auth0%257Calice", "auth0%7Calice"),
    ("auth0%EF%BD%9Calice", "auth0\u{ff5c}alice"),
    ("auth0%E2%88%A3alice", "auth0\u{2223}alice"),
    ("alice", "alice"),
    ("%7Calice", "|alice"),
    ("auth0%7C", "auth0|"),
    ("..", ".."),
];

/// Ids that are another's, be there such a user or not.
const OTHERS: [&str; 16] = [
    "Auth0%7Calice",
    "AUTH0%7Calice",
    "auth0%7CAlice",
    "auth0%7Calice%20",
    "%20auth0%7Calice",
    "auth0%7Calice+",
    "auth0%7Calice.",
    "auth0%7Calice%2F",
    "auth0%7Calice%2F..%2Fauth0%7Cbob",
    "auth0%7Calice%7C",
    "auth0%7C%7Calice",
    "auth0%7Calice;a=b",
    "auth0%7Calic%D0%B5",
    "auth0%7Calice%E2%80%8B",
    "auth0%7Calice%0A",
    "auth0%7Calice%5C",
];

/// Paths that lead nowhere: nothing is normalized.
const NO_ROUTE: [&str; 5] = [
    "auth0%7Calice/",
    "auth0%7Calice//",
    "/auth0%7Calice",
    "./auth0%7Calice",
    "auth0%7Calice/../auth0%7Cbob",
];

/// What is no URL.
const NO_URL: [&str; 5] =
    ["auth0%7Calice%00", "auth0%7Calice%", "auth0%7Calice%zz", "auth0%7Calic%ff", "auth0%C1%BCalice"];

fn escaped(text: &str) -> String {
    url::form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

/// Whether all that `part` holds is in `whole`, at the same place.
fn is_part(part: &Value, whole: &Value) -> bool {
    match (part, whole) {
        (Value::Object(part), Value::Object(whole)) => {
            part.iter().all(|(key, value)| whole.get(key).is_some_and(|whole| is_part(value, whole)))
        }
        _ => part == whole,
    }
}

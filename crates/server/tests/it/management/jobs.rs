//! Jobs (management contract §3.2).

use std::io::Read;

use axum::http::Method;
use flate2::read::GzDecoder;
use model::jobs::import::Upload;
use model::jobs::{self, Job, Kind, Status};
use model::{credentials, retention, users};
use serde_json::{Map, Value, json};

use crate::security::refusals::refusal;
use crate::support::app::{CONNECTION, PASSWORD};
use crate::support::{Answer, Authorize, Browser, Caller, TestApp};

/// bcrypt of `hello`, as the published example has it.
const HELLO: &str = "$2b$10$nFguVi9LsCAcvTZFKQlRKeLVydo8ETv483lkNsSFI/Wl1Rz1Ypo1K";

async fn add(app: &TestApp, status: Status) -> Job {
    let mut job = Job::new(&app.app, &app.tenant.id, Kind::VerificationEmail, Map::new());
    job.status = status;
    let mut batch = db::Batch::new();
    jobs::insert(&mut batch, &job);
    app.app.db.commit(batch).await.expect("a job");
    job
}

/// The id of the connection that every tenant has.
async fn connection(app: &TestApp) -> String {
    let found = app.admin().get(&format!("/api/v2/connections?name={CONNECTION}")).await;
    found.body[0]["id"].as_str().expect("every tenant has it").to_owned()
}

/// A form with these fields and this file.
fn form(fields: &[(&str, &str)], file: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    for (name, value) in fields {
        body.extend(
            format!("--x\r\ncontent-disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n").into_bytes(),
        );
    }
    body.extend(b"--x\r\ncontent-disposition: form-data; name=\"users\"; filename=\"users.json\"\r\ncontent-type: application/json\r\n\r\n");
    body.extend(file);
    body.extend(b"\r\n--x--\r\n");
    body
}

async fn post(caller: &Caller, body: Vec<u8>) -> Answer {
    let path = "/api/v2/jobs/users-imports";
    caller.send_bytes(Method::POST, path, "multipart/form-data; boundary=x", body).await
}

/// Brings in a file, and runs the job to its end: what is told of it then, and of what was refused.
async fn import(app: &TestApp, more: &[(&str, &str)], file: &[u8]) -> (Value, Answer) {
    let id = connection(app).await;
    let fields = [&[("connection_id", id.as_str())], more].concat();
    let admin = app.machine("create:users");
    let answer = post(&admin, form(&fields, file)).await;
    assert_eq!(answer.status, 202, "{}", answer.text);
    let job = answer.body["id"].as_str().expect("it has an id").to_owned();
    while jobs::run_next(&app.app).await.expect("it runs") {}
    let done = admin.get(&format!("/api/v2/jobs/{job}")).await.body;
    (done, admin.get(&format!("/api/v2/jobs/{job}/errors")).await)
}

async fn import_users(app: &TestApp, more: &[(&str, &str)], users: Value) -> (Value, Answer) {
    import(app, more, users.to_string().as_bytes()).await
}

fn summary(inserted: u64, updated: u64, failed: u64) -> Value {
    json!({ "failed": failed, "updated": updated, "inserted": inserted, "total": inserted + updated + failed })
}

/// Whether somebody gets in with this password.
async fn enters(app: &TestApp, email: &str, password: &str) -> bool {
    let mut browser = Browser::new(app.caller());
    let page = browser.open(&Authorize::code("web").path()).await;
    let answer = browser.submit(&page, &[("username", email), ("password", password)]).await;
    !answer.param("code").is_empty()
}

/// Makes an export, and runs it to its end: the job, and its file.
async fn export(app: &TestApp, body: Value) -> (Value, String) {
    let admin = app.machine("read:users");
    let answer = admin.post("/api/v2/jobs/users-exports", body).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    assert_eq!(answer.body["status"], "pending");
    let job = answer.body["id"].as_str().expect("it has an id").to_owned();
    while jobs::run_next(&app.app).await.expect("it runs") {}
    let done = admin.get(&format!("/api/v2/jobs/{job}")).await.body;
    let file = fetch(app, &done).await;
    assert_eq!(file.status, 200, "{}", file.text);
    let mut text = String::new();
    GzDecoder::new(file.bytes.as_slice()).read_to_string(&mut text).expect("is gzip");
    (done, text)
}

async fn fetch(app: &TestApp, job: &Value) -> Answer {
    let location = job["location"].as_str().unwrap_or_else(|| panic!("no location: {job}"));
    app.caller().get(location.strip_prefix("https://id.test").expect("it is ours")).await
}

both_databases! {
    async fn a_job_tells_where_it_stands(app: TestApp) {
        let job = add(&app, Status::Completed).await;
        for scope in ["create:users", "read:users"] {
            let answer = app.machine(scope).get(&format!("/api/v2/jobs/{}", job.id)).await;
            assert_eq!((answer.status, &answer.body), (200, &json!({
                "type": "verification_email", "status": "completed", "created_at": "2026-01-01T12:00:00.000Z", "id": job.id
            })));
        }
    }

    async fn an_id_that_is_none_is_400_and_an_unknown_one_404(app: TestApp) {
        let admin = app.machine("create:users");
        let uploading = add(&app, Status::Uploading).await;
        for id in ["job_0000000000000000", &uploading.id] {
            let answer = admin.get(&format!("/api/v2/jobs/{id}")).await;
            assert_eq!((answer.status, answer.body), (404, refusal(404, "Not Found", "Job not found.", "inexistent_job")));
            let answer = admin.get(&format!("/api/v2/jobs/{id}/errors")).await;
            assert_eq!((answer.status, answer.body), (404, refusal(404, "Not Found", "The job does not exist", "inexistent_job")));
        }
        for path in ["/api/v2/jobs/job_1", "/api/v2/jobs/job_1/errors"] {
            let answer = admin.get(path).await;
            let text = "Path validation error: 'String does not match pattern ^job_[A-Za-z0-9]{16}$: job_1' on property id (ID of the job).";
            assert_eq!((answer.status, answer.body), (400, refusal(400, "Bad Request", text, "invalid_uri")));
        }
    }

    async fn a_job_is_kept_for_a_day(app: TestApp) {
        let job = add(&app, Status::Completed).await;
        let path = format!("/api/v2/jobs/{}", job.id);
        app.app.clock.advance(jobs::KEPT);
        assert_eq!(retention::sweep(&app.app).await.expect("sweeps"), 0);
        assert_eq!(app.machine("read:users").get(&path).await.status, 200);
        app.app.clock.advance(1);
        assert_eq!(retention::sweep(&app.app).await.expect("sweeps"), 1);
        let answer = app.machine("read:users").get(&path).await;
        assert_eq!((answer.status, &answer.body["message"]), (404, &Value::from("Job not found.")));
    }

    async fn an_import_makes_users_as_the_file_has_them(app: TestApp) {
        let (done, errors) = import_users(&app, &[("external_id", "batch-7")], json!([
            { "email": "Ann@Example.com", "email_verified": true, "user_id": "abc", "given_name": "Ann", "blocked": true,
              "user_metadata": { "theme": "dark" }, "app_metadata": { "plan": "gold" } },
            { "email": "bob@example.com" },
        ])).await;
        assert_eq!(errors.status, 204);
        assert_eq!(done, json!({
            "type": "users_import", "status": "completed", "connection_id": connection(&app).await, "connection": CONNECTION,
            "external_id": "batch-7", "created_at": "2026-01-01T12:00:00.000Z", "id": done["id"],
            "percentage_done": 100, "time_left_seconds": 0, "summary": summary(2, 0, 0),
        }));
        let ann = app.admin().get("/api/v2/users/auth0%7Cabc").await.body;
        assert_eq!(
            [&ann["email"], &ann["email_verified"], &ann["given_name"], &ann["blocked"], &ann["nickname"], &ann["user_metadata"], &ann["app_metadata"]],
            [&json!("ann@example.com"), &json!(true), &json!("Ann"), &json!(true), &json!("ann"), &json!({ "theme": "dark" }), &json!({ "plan": "gold" })]
        );
        let events = app.events().await;
        assert!(events.contains(&"sapi".to_owned()) && events.contains(&"sui".to_owned()), "{events:?}");
        let left = app.app.db.read("SELECT number FROM job_parts LIMIT 10", vec![]).await.expect("reads");
        assert!(left.is_empty(), "the hashes of the file are not kept");
    }

    async fn a_row_that_is_refused_is_told_without_its_secrets(app: TestApp) {
        app.add_user("auth0|alice").await;
        let (done, errors) = import_users(&app, &[("upsert", "false")], json!([
            { "email": "alice@example.com", "email_verified": true },
            { "email": "carol@example.com" },
            { "email": "Carol@example.com" },
            { "email": "nope", "password_hash": HELLO },
            { "email": "dan@example.com", "custom_password_hash": { "algorithm": "md5", "hash": { "value": "00", "encoding": "hex" } } },
        ])).await;
        assert_eq!((&done["status"], &done["summary"]), (&json!("completed"), &summary(1, 0, 4)));
        assert_eq!(errors.status, 200);
        assert_eq!(errors.body, json!([
            { "user": { "email": "alice@example.com", "email_verified": true },
              "errors": [{ "code": "DUPLICATED_USER", "message": "The user already exist and upsert parameter is false" }] },
            { "user": { "email": "Carol@example.com" },
              "errors": [{ "code": "DUPLICATED_USER", "message": "The user is in the file twice" }] },
            { "user": { "email": "nope", "password_hash": "*****" },
              "errors": [{ "code": "FORMAT", "message": "Object didn't pass validation for format email: nope", "path": "email" }] },
            { "user": { "email": "dan@example.com", "custom_password_hash": { "algorithm": "md5", "hash": { "value": "*****", "encoding": "hex" } } },
              "errors": [{ "code": "FORMAT", "message": "The hash has 1 bytes, not 16", "path": "custom_password_hash.hash.value" }] },
        ]));
    }

    async fn an_upsert_changes_whom_it_finds_by_their_address(app: TestApp) {
        app.add_user("auth0|alice").await;
        app.add_user("auth0|bob").await;
        let alice = "/api/v2/users/auth0%7Calice";
        app.admin().patch(alice, json!({ "user_metadata": { "old": 1 }, "app_metadata": { "kept": 1 } })).await;
        let (done, errors) = import_users(&app, &[("upsert", "true")], json!([
            { "email": "ALICE@example.com", "family_name": "Liddell", "user_metadata": { "new": 2 }, "blocked": true },
            { "email": "carol@example.com" },
            { "email": "dan@example.com", "user_id": "bob" },
            { "email": "bob@example.com", "user_id": "robert" },
        ])).await;
        assert_eq!(done["summary"], summary(1, 1, 2));
        let codes: Vec<_> = errors.body.as_array().expect("a list").iter().map(|row| &row["errors"][0]["code"]).collect();
        assert_eq!(codes, ["CONFLICT", "CONFLICT_EMAIL"]);
        let after = app.admin().get(alice).await.body;
        assert_eq!(
            (&after["family_name"], &after["user_metadata"], &after["app_metadata"], after.get("blocked")),
            (&json!("Liddell"), &json!({ "new": 2 }), &json!({ "kept": 1 }), None),
            "metadata as a whole, and no block"
        );
    }

    async fn an_imported_password_is_theirs_and_hashed_anew_at_the_first_login(app: TestApp) {
        let app = crate::security::prepared(app).await;
        let argon2 = "$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4";
        let custom = |algorithm: &str, value: &str, encoding: &str| {
            json!({ "algorithm": algorithm, "hash": { "value": value, "encoding": encoding } })
        };
        let mut hmac = custom("hmac", "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79", "hex");
        hmac["hash"]["digest"] = json!("sha1");
        hmac["hash"]["key"] = json!({ "value": "Jefe" });
        let mut scrypt = custom("scrypt", "fdbabe1c9d3472007856e7190d01e9fe7c6ad7cbc8237830e77376634b3731622eaf30d92e22a3886ff109279d9830dac727afb94a83ee6d8360cbdfa2cc0640", "hex");
        scrypt["salt"] = json!({ "value": "NaCl" });
        (scrypt["keylen"], scrypt["cost"], scrypt["parallelization"]) = (json!(64), json!(1024), json!(16));
        let mut md5 = custom("md5", "67A1E09BB1F83F5007DC119C14D663AA", "hex");
        md5["salt"] = json!({ "value": "salt" });
        let kinds = [
            ("bcrypt", "hello", custom("bcrypt", HELLO, "utf8")),
            ("argon2", "password", custom("argon2", argon2, "utf8")),
            ("hmac", "what do ya want for nothing?", hmac),
            ("ldap", "secret", custom("ldap", "{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=", "utf8")),
            ("md4", "abc", custom("md4", "a448017aaf21d8525fc10ae87aa6729d", "hex")),
            ("md5", "password", md5),
            ("sha1", "abc", custom("sha1", "a9993e364706816aba3e25717850c26c9cd0d89d", "hex")),
            ("sha256", "abc", custom("sha256", "ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0=", "base64")),
            ("sha512", "abc", custom("sha512", "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f", "hex")),
            ("pbkdf2", "password", custom("pbkdf2", "$pbkdf2-sha1$i=4096,l=20$c2FsdA$SwB5AbdlSJq+rUnZJvch0GWkKcE", "utf8")),
            ("scrypt", "password", scrypt),
        ];
        let mut file: Vec<Value> = kinds.iter().map(|(name, _, custom)| {
            json!({ "email": format!("{name}@example.com"), "user_id": name, "custom_password_hash": custom })
        }).collect();
        file.push(json!({ "email": "plain@example.com", "user_id": "plain", "password_hash": HELLO }));
        let (done, errors) = import_users(&app, &[], file.into()).await;
        assert_eq!((errors.status, &errors.body, &done["summary"]), (204, &Value::Null, &summary(12, 0, 0)), "{}", errors.text);
        for (name, password) in kinds.iter().map(|(name, password, _)| (*name, *password)).chain([("plain", "hello")]) {
            let email = format!("{name}@example.com");
            let user = users::find(&app.app.db, &app.tenant.id, &format!("auth0|{name}").as_str().into()).await.expect("reads").expect("was imported");
            let hash = async || credentials::find(&app.app.db, &app.tenant.id, user.primary()).await.expect("reads").expect("has one").hash;
            let imported = hash().await;
            assert!(!enters(&app, &email, "wrong").await, "{name}");
            assert_eq!(hash().await, imported, "{name}: a wrong password replaces nothing");
            assert!(enters(&app, &email, password).await, "{name}");
            let own = hash().await;
            assert!(own != imported && own.starts_with("$argon2id$v=19$m=8,"), "{name}: {own}");
            assert!(enters(&app, &email, password).await, "{name}, again");
        }
    }

    async fn imported_factors_are_asked_for_at_the_first_login(app: TestApp) {
        let app = crate::security::prepared(app).await;
        app.guard(&["otp", "email"], &["all-applications"]).await;
        app.add_totp("auth0|bob").await;
        app.add_user("auth0|carol").await;
        let totp = json!([{ "totp": { "secret": "JBSWY3DPEHPK3PXP" } }]);
        let (done, errors) = import_users(&app, &[("upsert", "true")], json!([
            { "email": "ann@example.com", "user_id": "ann", "password_hash": HELLO,
              "mfa_factors": [totp[0], { "email": { "value": "Ann@Example.com" } }, { "phone": { "value": "+15551234567" } }] },
            { "email": "bob@example.com", "mfa_factors": totp },
            { "email": "carol@example.com", "mfa_factors": totp },
            { "email": "dan@example.com", "mfa_factors": [{ "totp": { "secret": "nope" } }] },
        ])).await;
        assert_eq!(done["summary"], summary(1, 1, 2));
        assert_eq!(errors.body, json!([
            { "user": { "email": "bob@example.com", "mfa_factors": [{ "totp": { "secret": "*****" } }] },
              "errors": [{ "code": "MFA_FACTORS_FAILED", "message": "The user has second factors already" }] },
            { "user": { "email": "dan@example.com", "mfa_factors": [{ "totp": { "secret": "*****" } }] },
              "errors": [{ "code": "PATTERN", "message": "String is no secret of 16 to 103 characters ^[A-Z2-7]+$", "path": "mfa_factors.0.totp.secret" }] },
        ]));
        let methods = app.admin().get("/api/v2/users/auth0%7Cann/authentication-methods").await.body;
        let of = |key: &str| methods.as_array().expect("a list").iter().filter_map(|method| method[key].as_str()).collect::<std::collections::BTreeSet<_>>();
        assert_eq!((of("type"), of("email").len(), of("phone_number").len()), (["totp", "email", "phone"].into(), 1, 1), "{methods}");
        let user = app.admin().get("/api/v2/users/auth0%7Cann").await.body;
        assert_eq!(user["multifactor"], json!(["guardian"]));
        let mut browser = Browser::new(app.caller());
        let page = browser.open(&Authorize::code("web").path()).await;
        let page = browser.submit(&page, &[("username", "ann@example.com"), ("password", "hello")]).await;
        let landed = browser.give(&page, &app.code(b"Hello!\xde\xad\xbe\xef", 0)).await;
        assert!(!landed.param("code").is_empty(), "{landed:?}");
    }

    /// Whoever is named as an administrator is told of the end of an import, unless its caller wants no letter.
    async fn administrators_are_told_when_an_import_has_ended(app: TestApp) {
        let users = || json!([{ "email": "ann@example.com" }, { "email": "nope" }]);
        let told = async || app.letters("import_finished").await;
        import_users(&app, &[], users()).await;
        assert_eq!(told().await, [], "nobody is named");
        let named = app.machine("update:doorward_administrators").patch("/api/v2/doorward/administrators", json!({ "emails": ["ops@example.com"] })).await;
        assert_eq!(named.status, 200, "{}", named.text);
        import_users(&app, &[("send_completion_email", "false")], users()).await;
        assert_eq!(told().await, []);
        import_users(&app, &[("upsert", "true")], users()).await;
        let letters = told().await;
        let [(recipient, variables)] = letters.as_slice() else { panic!("{letters:?}") };
        assert_eq!(recipient, "ops@example.com");
        assert_eq!(json!(variables), json!({ "status": "completed", "inserted": 0, "updated": 1, "failed": 1 }));
    }

    /// What came of a file before its connection broke is deleted within the hour, and not while more of it comes.
    async fn a_lost_upload_leaves_nothing(app: TestApp) {
        let rows = format!("[{}", "{\"email\":\"ann@example.com\"},".repeat(60_000));
        let mut uploads = Vec::new();
        for _ in 0..2 {
            let mut upload = Upload::new(&app.app, &app.tenant.id);
            upload.push(&app.app, rows.as_bytes()).await.expect("writes");
            uploads.push(upload);
        }
        let parts = async || {
            let rows = app.app.db.read("SELECT DISTINCT job FROM job_parts LIMIT 10", vec![]).await.expect("reads");
            rows.len()
        };
        assert_eq!(parts().await, 2);
        app.app.clock.advance(3000);
        uploads[0].push(&app.app, &rows.as_bytes()[1..]).await.expect("writes");
        app.app.clock.advance(601);
        retention::sweep(&app.app).await.expect("sweeps");
        assert_eq!(parts().await, 1);
        app.app.clock.advance(3600);
        retention::sweep(&app.app).await.expect("sweeps");
        assert_eq!(parts().await, 0);
    }

    async fn a_custom_hash_is_replaced_until_its_user_signed_in(app: TestApp) {
        let app = crate::security::prepared(app).await;
        let md5 = |hash: &str| json!([{ "email": "ann@example.com", "custom_password_hash": { "algorithm": "md5", "hash": { "value": hash, "encoding": "hex" } } }]);
        let (abc, letter) = ("900150983cd24fb0d6963f7d28e17f72", "0cc175b9c0f1b6a831c399e269772661");
        import_users(&app, &[], md5(abc)).await;
        assert_eq!(import_users(&app, &[("upsert", "true")], md5(letter)).await.0["summary"], summary(0, 1, 0));
        assert!(!enters(&app, "ann@example.com", "abc").await && enters(&app, "ann@example.com", "a").await);
        import_users(&app, &[("upsert", "true")], md5(abc)).await;
        assert!(!enters(&app, "ann@example.com", "abc").await && enters(&app, "ann@example.com", "a").await);
        app.add_user("auth0|carol").await;
        let hash = json!([{ "email": "carol@example.com", "password_hash": HELLO }]);
        import_users(&app, &[("upsert", "true")], hash).await;
        assert!(enters(&app, "carol@example.com", PASSWORD).await, "a password_hash never replaces anything");
    }

    async fn a_form_that_makes_no_import_is_refused(app: TestApp) {
        let admin = app.admin();
        let id = connection(&app).await;
        let other = admin.post("/api/v2/connections", json!({ "name": "google", "strategy": "google-oauth2" })).await.body;
        let other = other["id"].as_str().expect("was made");
        let with = |fields: &[(&str, &str)]| form(fields, b"[]");
        let no_file = b"--x\r\ncontent-disposition: form-data; name=\"connection_id\"\r\n\r\nx\r\n--x--\r\n".to_vec();
        for (body, message, code) in [
            (no_file, "Must provide 'users' file as multipart part.", "invalid_body"),
            (form(&[("connection_id", &id)], b""), "Users file must not be empty.", "invalid_body"),
            (with(&[]), "Must provide 'connection_id' as multipart part.", "invalid_body"),
            (with(&[("connection_id", "nope")]), "Payload validation error: 'String does not match pattern ^con_[A-Za-z0-9]{16}$' on property connection_id.", "invalid_body"),
            (with(&[("connection_id", "con_0000000000000000")]), "The connection does not exist.", "inexistent_connection"),
            (with(&[("connection_id", other)]), "Connection must be a database connection.", "invalid_body"),
            (with(&[("connection_id", &id), ("upsert", "maybe")]), "Payload validation error: 'Expected type boolean but found type string' on property upsert.", "invalid_body"),
            (b"--x\r\nnonsense".to_vec(), "Payload validation error: 'Invalid multipart payload format'.", "invalid_body"),
            (b"".to_vec(), "Payload validation error: 'Invalid multipart payload format'.", "invalid_body"),
        ] {
            let answer = post(&admin, body).await;
            assert_eq!((answer.status, answer.body), (400, refusal(400, "Bad Request", message, code)));
        }
        let answer = admin.post("/api/v2/jobs/users-imports", json!({})).await;
        assert_eq!(answer.body, refusal(400, "Bad Request", "Payload validation error: 'Invalid multipart payload format'.", "invalid_body"));
        let made: Vec<_> = app.app.db.read("SELECT id FROM jobs LIMIT 10", vec![]).await.expect("reads");
        assert!(made.is_empty(), "nothing is left of any");
    }

    async fn a_form_has_a_largest_size(app: TestApp) {
        let admin = app.admin();
        let id = connection(&app).await;
        let filled = |length: usize| {
            let whole = form(&[("connection_id", &id)], b"[]").len();
            form(&[("connection_id", &id)], format!("[{}]", " ".repeat(length - whole)).as_bytes())
        };
        assert_eq!(post(&admin, filled(512_000)).await.status, 202);
        let expected = refusal(413, "Payload Too Large", "Payload content length greater than maximum allowed: 512000", "");
        for caller in [admin.clone(), admin.with("transfer-encoding", "chunked")] {
            let answer = post(&caller, filled(512_001)).await;
            assert_eq!((answer.status, answer.body), (413, expected.clone()));
        }
    }

    async fn two_imports_run_at_a_time(app: TestApp) {
        let admin = app.admin();
        let id = connection(&app).await;
        let body = || form(&[("connection_id", &id)], b"[{\"email\":\"a@example.com\"}]");
        for _ in 0..2 {
            assert_eq!(post(&admin, body()).await.status, 202);
        }
        let answer = post(&admin, body()).await;
        let text = "There are 2 active import users jobs, please wait until some of them are finished and try again";
        assert_eq!((answer.status, answer.body), (429, refusal(429, "Too Many Requests", text, "too_many_requests")));
        assert!(jobs::run_next(&app.app).await.expect("it runs"));
        assert_eq!(post(&admin, body()).await.status, 202, "a place is free");
        let theirs = app.app.db.read("SELECT id FROM jobs WHERE slot IS NOT NULL LIMIT 9", vec![]).await.expect("reads");
        assert_eq!(theirs.len(), 2);
    }

    async fn a_file_that_is_no_array_fails_the_job(app: TestApp) {
        for file in [&b"{}"[..], b"[{\"email\":\"a@example.com\"},", b"nonsense", b"\x1f\x8b\x08"] {
            let (done, errors) = import(&app, &[], file).await;
            let told = "Failed to parse users file JSON when importing users. Make sure it is valid JSON.";
            assert_eq!((&done["status"], &done["status_details"]), (&json!("failed"), &json!(told)));
            assert_eq!((errors.status, &errors.body["status_details"]), (200, &json!(told)));
            assert_eq!(app.admin().get("/api/v2/users").await.body, json!([]));
        }
        assert!(app.events().await.contains(&"fui".to_owned()));
    }

    async fn an_import_goes_on_where_it_was_when_its_runner_died(app: TestApp) {
        let users: Vec<_> = (0..230).map(|n| json!({ "email": format!("u{n}@example.com"), "password_hash": HELLO })).collect();
        let id = connection(&app).await;
        let admin = app.admin();
        let answer = post(&admin, form(&[("connection_id", &id)], json!(users).to_string().as_bytes())).await;
        let path = format!("/api/v2/jobs/{}", answer.body["id"].as_str().expect("it has an id"));
        // Each runner does one step, and is never heard of again.
        let mut seen = Vec::new();
        loop {
            app.app.clock.advance(60);
            if !jobs::step_next(&app.app).await.expect("a step") {
                break;
            }
            let told = admin.get(&path).await.body;
            assert!(!jobs::step_next(&app.app).await.expect("no step"), "it is the first one's for a while");
            seen.push((told["status"].as_str().unwrap_or_default().to_owned(), told["percentage_done"].as_u64().unwrap_or_default()));
        }
        let percentages: Vec<_> = seen.iter().map(|(_, percentage)| *percentage).collect();
        assert!(percentages.is_sorted() && percentages.len() >= 5, "{seen:?}");
        let told = admin.get(&path).await.body;
        assert_eq!((&told["status"], &told["summary"]), (&json!("completed"), &summary(230, 0, 0)), "each once");
    }

    async fn an_import_that_takes_too_long_fails(app: TestApp) {
        let id = connection(&app).await;
        let admin = app.admin();
        let users: Vec<_> = (0..60).map(|n| json!({ "email": format!("u{n}@example.com") })).collect();
        let answer = post(&admin, form(&[("connection_id", &id)], json!(users).to_string().as_bytes())).await;
        assert!(jobs::step_next(&app.app).await.expect("a step"));
        app.app.clock.advance(2 * 3600 + 1);
        assert!(jobs::run_next(&app.app).await.expect("it runs"));
        let told = app.admin().get(&format!("/api/v2/jobs/{}", answer.body["id"].as_str().expect("an id"))).await.body;
        assert_eq!((&told["status"], &told["summary"]["inserted"]), (&json!("failed"), &json!(50)));
    }

    async fn an_export_has_the_users_that_were_asked_for(app: TestApp) {
        for n in 0..250 {
            app.add_user(&format!("auth0|u{n:03}")).await;
        }
        let id = connection(&app).await;
        let fields = json!([{ "name": "user_id" }, { "name": "email", "export_as": "Mail" }, { "name": "identities[0].connection" }]);
        let (done, text) = export(&app, json!({ "connection_id": id, "format": "json", "fields": fields })).await;
        assert_eq!(
            (&done["type"], &done["status"], &done["percentage_done"], &done["time_left_seconds"], &done["connection"]),
            (&json!("users_export"), &json!("completed"), &json!(100), &json!(0), &json!(CONNECTION))
        );
        let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).expect("is JSON")).collect();
        assert_eq!(lines.len(), 250);
        for (n, line) in lines.iter().enumerate() {
            let expected = json!({ "user_id": format!("auth0|u{n:03}"), "Mail": format!("u{n:03}@example.com"), "identities[0].connection": CONNECTION });
            assert_eq!(*line, expected);
        }
        let (_, text) = export(&app, json!({ "format": "json", "limit": 120 })).await;
        assert_eq!(text.lines().count(), 120);
        let first: Value = serde_json::from_str(text.lines().next().expect("a line")).expect("is JSON");
        assert_eq!(first, json!({
            "Id": "auth0|u000", "Nickname": "u000", "Name": "u000@example.com", "Email": "u000@example.com", "Email Verified": true,
            "Picture": first["Picture"], "Connection": CONNECTION, "Created At": "2026-01-01T12:00:00.000Z", "Updated At": "2026-01-01T12:00:00.000Z",
        }));
    }

    async fn a_csv_export_is_safe_to_open(app: TestApp) {
        app.add_user("auth0|alice").await;
        let body = json!({ "name": "=1+1", "user_metadata": { "n": 5, "quote": "a\"b" } });
        app.admin().patch("/api/v2/users/auth0%7Calice", body).await;
        let fields = json!([{ "name": "name" }, { "name": "email_verified" }, { "name": "user_metadata.n" }, { "name": "user_metadata.quote", "export_as": "q" },
            { "name": "user_metadata.none" }, { "name": "created_at" }]);
        let (_, text) = export(&app, json!({ "format": "csv", "fields": fields })).await;
        assert_eq!(text, concat!(
            "\"name\",\"email_verified\",\"user_metadata.n\",\"q\",\"user_metadata.none\",\"created_at\"\r\n",
            "\"'=1+1\",true,5,\"'a\"\"b\",,\"2026-01-01T12:00:00.000Z\"\r\n"
        ));
        let admin = app.machine("read:users");
        let many: Vec<_> = (0..31).map(|n| json!({ "name": format!("user_metadata.f{n}") })).collect();
        for (body, message, code) in [
            (json!({ "format": "csv", "fields": many }), "Payload validation error: 'Array is too long (31), maximum 30' on property fields.", "invalid_body"),
            (json!({ "format": "csv", "fields": [{ "name": "app_metadata" }] }), "Payload validation error: 'app_metadata as a whole cannot be exported as csv' on property fields[0].name.", "invalid_body"),
            (json!({ "fields": [{ "name": "a[" }] }), "Payload validation error: 'not the name of an attribute' on property fields[0].name.", "invalid_body"),
            (json!({ "format": "xml" }), "Payload validation error: 'No enum match for: xml' on property format (Format of the file. Must be json or csv.).", "invalid_body"),
            (json!({ "connection_id": "con_0000000000000000" }), "The connection does not exist.", "inexistent_connection"),
        ] {
            let answer = admin.post("/api/v2/jobs/users-exports", body).await;
            assert_eq!((answer.status, answer.body), (400, refusal(400, "Bad Request", message, code)));
        }
        assert_eq!(admin.post("/api/v2/jobs/users-exports", json!({ "fields": many })).await.status, 200);
    }

    async fn an_exports_address_is_good_for_a_minute_and_for_its_tenant(app: TestApp) {
        app.add_user("auth0|alice").await;
        let (done, _) = export(&app, json!({ "format": "csv" })).await;
        let location = done["location"].as_str().expect("it has one");
        let path = location.strip_prefix("https://id.test").expect("it is ours");
        let file = app.caller().get(path).await;
        assert_eq!((file.status, file.header("content-type"), file.header("content-disposition")), (200, "application/gzip", "attachment; filename=\"id.csv.gz\""));
        assert!(file.header("cache-control").contains("no-store"));
        let mut forged = path.to_owned();
        forged.pop();
        for other in ["/downloads/users-exports", "/downloads/users-exports?ticket=x", &forged] {
            assert_eq!(app.caller().get(other).await.status, 403, "{other}");
        }
        assert_eq!(app.caller().at(&app.other).get(path).await.status, 403);
        app.app.clock.advance(60);
        assert_eq!(app.caller().get(path).await.status, 200);
        app.app.clock.advance(1);
        assert_eq!(app.caller().get(path).await.status, 403);
        let again = app.machine("read:users").get(&format!("/api/v2/jobs/{}", done["id"].as_str().expect("an id"))).await;
        assert_eq!(fetch(&app, &again.body).await.status, 200, "asked for anew");
    }

    /// The letter goes out with the job, to the address that the user has, with a link that proves it.
    async fn a_verification_mail_is_sent_on_request(app: TestApp) {
        app.add_user("auth0|alice").await;
        let admin = app.machine("update:users read:users");
        let own = "/api/v2/users/auth0%7Calice";
        assert_eq!(admin.patch(own, json!({ "email_verified": false })).await.status, 200);
        let answer = admin.post("/api/v2/jobs/verification-email", json!({ "user_id": "auth0|alice", "client_id": "spa" })).await;
        let id = answer.body["id"].as_str().expect("an id").to_owned();
        assert_eq!((answer.status, &answer.body), (201, &json!({
            "type": "verification_email", "status": "pending", "created_at": "2026-01-01T12:00:00.000Z", "id": id
        })));
        assert_eq!(admin.get(&format!("/api/v2/jobs/{id}")).await.body["status"], "completed");
        let letters = app.letters_to("alice@example.com", "verify_email").await;
        let mut browser = Browser::new(app.caller());
        let page = browser.open(&letters[0].link()).await;
        assert_eq!(browser.submit(&page, &[]).await.status, 200);
        assert_eq!(admin.get(own).await.body["email_verified"], true);
        for (body, status, message) in [
            (json!({ "user_id": "auth0|nobody" }), 404, "The user does not exist."),
            (json!({ "user_id": "auth0|alice", "client_id": "nothing" }), 400, "The client does not exist"),
            (json!({ "user_id": "auth0|alice", "identity": { "provider": "github", "user_id": "1" } }), 400, "The user exists, but does not contain the given identity."),
        ] {
            let refused = admin.post("/api/v2/jobs/verification-email", body.clone()).await;
            assert_eq!((refused.status, refused.body["message"].as_str()), (status, Some(message)), "{body}");
        }
        assert_eq!(app.posted().await.len(), 1);
    }
}

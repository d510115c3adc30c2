//! MG-03: a list gives a page, and goes on only from where it has been.

use axum::http::Method;
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use management::operations;
use serde_json::{Value, json};

use crate::management::sign_ins::SignIn;
use crate::security::refusals::refusal;
use crate::support::{Caller, TestApp};

/// The lists: whether they have checkpoints, and whether offsets end after the first thousand.
const LISTS: &[(&str, bool, bool)] = &[
    ("/client-grants", true, false),
    ("/clients", true, false),
    ("/clients/{id}/connections", true, false),
    ("/clients/{client_id}/credentials", false, false),
    ("/connections", true, false),
    ("/connections/{id}/clients", true, false),
    ("/device-credentials", false, true),
    ("/grants", false, false),
    ("/guardian/factors", false, false),
    ("/guardian/policies", false, false),
    ("/log-streams", false, false),
    ("/logs", false, true),
    // Goes on by the same places as the user's own list of them.
    ("/refresh-tokens", false, false),
    ("/resource-servers", false, false),
    ("/roles", false, false),
    ("/roles/{id}/permissions", false, false),
    ("/roles/{id}/users", true, false),
    ("/users", false, true),
    ("/users-by-email", false, false),
    ("/users/{id}/authentication-methods", false, false),
    ("/users/{id}/enrollments", false, false),
    ("/users/{id}/logs", false, true),
    ("/users/{id}/permissions", false, false),
    ("/users/{id}/roles", false, false),
    ("/users/{user_id}/refresh-tokens", true, false),
    ("/users/{user_id}/sessions", true, false),
    ("/keys/signing", false, false),
];

/// What answers one object.
const OBJECTS: &[&str] = &[
    "/anomaly/blocks/ips/{id}",
    "/attack-protection/bot-detection",
    "/attack-protection/breached-password-detection",
    "/attack-protection/brute-force-protection",
    "/attack-protection/captcha",
    "/attack-protection/suspicious-ip-throttling",
    "/branding",
    "/client-grants/{id}",
    "/clients/{id}",
    "/clients/{client_id}/credentials/{credential_id}",
    "/connections/{id}",
    "/doorward/clients/{id}",
    "/doorward/protocol",
    "/doorward/administrators",
    "/doorward/self-service",
    "/email-templates/{templateName}",
    "/emails/provider",
    "/guardian/enrollments/{id}",
    "/guardian/factors/duo/settings",
    "/guardian/factors/phone/message-types",
    "/guardian/factors/phone/providers/twilio",
    "/guardian/factors/phone/selected-provider",
    "/guardian/factors/phone/templates",
    "/guardian/factors/push-notification/providers/apns",
    "/guardian/factors/push-notification/providers/sns",
    "/guardian/factors/push-notification/selected-provider",
    "/guardian/factors/sms/providers/twilio",
    "/guardian/factors/sms/selected-provider",
    "/guardian/factors/sms/templates",
    "/jobs/{id}",
    // All of one file's rows, streamed.
    "/jobs/{id}/errors",
    "/keys/signing/{kid}",
    "/log-streams/{id}",
    "/logs/{id}",
    "/refresh-tokens/{id}",
    "/resource-servers/{id}",
    "/roles/{id}",
    "/sessions/{id}",
    "/tenants/settings",
    "/user-blocks",
    "/user-blocks/{id}",
    "/users/{id}",
    "/users/{id}/authentication-methods/{authentication_method_id}",
];

/// Lists that take no paging at all, since they are short.
const WHOLE: &[&str] = &[
    "/clients/{client_id}/credentials",
    "/guardian/factors",
    "/guardian/policies",
    "/keys/signing",
    "/log-streams",
    "/users/{id}/enrollments",
];

/// Lists that know nothing but checkpoints, and one that has all of an address.
const WRAPPED: &[&str] = &["/users-by-email", "}/connections", "}/clients", "/sessions", "/refresh-tokens"];

fn bad_query(problem: &str) -> Value {
    refusal(400, "Bad Request", &format!("Query validation error: '{problem}."), "invalid_query_string")
}

/// The path of a list, with what its parameters need.
async fn path(admin: &Caller, template: &str) -> String {
    let id = match template.split('/').nth(1) {
        Some("clients") => "spa".to_owned(),
        Some("connections") => {
            let all = admin.get("/api/v2/connections").await;
            all.body[0]["id"].as_str().unwrap_or_else(|| panic!("{}", all.text)).to_owned()
        }
        Some("roles") => {
            let all = admin.get("/api/v2/roles").await;
            all.body[0]["id"].as_str().map(str::to_owned).unwrap_or_default()
        }
        _ => "auth0%7Calice".to_owned(),
    };
    let path = template.replace("{id}", &id).replace("{client_id}", &id).replace("{user_id}", &id);
    format!("/api/v2{path}")
}

both_databases! {
    async fn mg_03_a_page_has_its_bounds(app: TestApp) {
        for operation in operations().iter().filter(|operation| operation.method == Method::GET) {
            let known = OBJECTS.contains(&operation.path) || LISTS.iter().any(|(path, ..)| *path == operation.path);
            assert!(known, "write here how {} is paged", operation.path);
        }
        app.add_user("auth0|alice").await;
        let admin = app.admin();
        assert_eq!(admin.post("/api/v2/roles", json!({ "name": "Reader" })).await.status, 200);
        for (template, _, first_thousand) in LISTS.iter().filter(|(path, ..)| !WHOLE.contains(path)) {
            let path = path(&admin, template).await;
            let (path, and) = match *template {
                "/users-by-email" => (format!("{path}?email=alice@example.com"), '&'),
                "/refresh-tokens" => (format!("{path}?user_id=auth0|alice"), '&'),
                _ => (path, '?'),
            };
            for (query, expected) in [
                ("per_page=101", "Value 101 is greater than maximum 100' on property per_page"),
                ("per_page=1000000000", "Value 1000000000 is greater than maximum 100' on property per_page"),
                ("per_page=-1", "Value -1 is less than minimum 0' on property per_page"),
                ("per_page=1e9", "Expected type integer but found type string' on property per_page"),
                ("per_page=%2050", "Expected type integer but found type string' on property per_page"),
                ("per_page=", "Expected type integer but found type string' on property per_page"),
                ("per_page=5&per_page=6", "Expected type integer but found type array' on property per_page"),
                ("page=abc", "Expected type integer but found type string' on property page"),
                ("page=-1", "Value -1 is less than minimum 0' on property page"),
                ("page=0x10", "Expected type integer but found type string' on property page"),
                ("page=1;DROP TABLE users", "Expected type integer but found type string' on property page"),
                ("take=0", "Value 0 is less than minimum 1' on property take"),
                ("take=1001", "Value 1001 is greater than maximum 1000' on property take"),
                ("take=x", "Expected type integer but found type string' on property take"),
                ("include_totals=maybe", "Expected type boolean but found type string' on property include_totals"),
                ("limit=5", "Additional properties not allowed: limit'"),
            ] {
                let answer = admin.get(&format!("{path}{and}{}", query.replace(' ', "%20"))).await;
                let told = answer.body["message"].as_str().unwrap_or_default();
                let start = format!("Query validation error: '{expected}");
                assert_eq!((answer.status, &answer.body["errorCode"]), (400, &json!("invalid_query_string")), "{path} {query}: {told}");
                assert!(told.starts_with(&start), "{path} {query}: {told}");
            }
            for page in ["4294967296", "99999999999999999999", "18446744073709551615"] {
                let answer = admin.get(&format!("{path}{and}page={page}")).await;
                assert_eq!(answer.status, 400, "{path} {page}: {}", answer.text);
            }
            for (page, per_page) in [(10, 100), (11, 100), (1000, 1), (20, 50), (4_294_967_295_u32, 100), (4_294_967_295, 1)] {
                let answer = admin.get(&format!("{path}{and}page={page}&per_page={per_page}")).await;
                if *first_thousand {
                    let message = "You can only page through the first 1000 records. See \
                        https://auth0.com/docs/users/search/v3/view-search-results-by-page#limitation";
                    assert_eq!(answer.body, refusal(400, "Bad Request", message, "invalid_paging"), "{path}");
                    let last = admin.get(&format!("{path}{and}page=9&per_page=100")).await;
                    assert_eq!((last.status, last.body.as_array().map(Vec::len)), (200, Some(0)), "{path}");
                } else if !WRAPPED.iter().any(|end| template.ends_with(end)) {
                    assert_eq!((answer.status, answer.body.as_array().map(Vec::len)), (200, Some(0)), "{path}: {}", answer.text);
                }
            }
        }
    }

    async fn mg_03_a_list_is_never_given_whole(app: TestApp) {
        for number in 0..51 {
            app.add_user(&format!("auth0|u{number}")).await;
        }
        let admin = app.admin();
        for query in ["", "?page=0", "?include_totals=false", "?sort=created_at:1", "?q=*", "?take=50&from="] {
            let answer = admin.get(&format!("/api/v2/users{query}")).await;
            assert_eq!(answer.body.as_array().map(Vec::len), Some(50), "{query}: {}", answer.status);
        }
        let none = admin.get("/api/v2/users?per_page=0").await;
        assert_eq!(none.body, json!([]));
        app.app.audit.flush().await;
        assert_eq!(admin.get("/api/v2/logs?take=100").await.body.as_array().map(|logs| logs.len() <= 100), Some(true));
    }

    /// The token that a page ends with is sealed: for its list and its tenant, and as it is.
    async fn mg_03_a_checkpoint_is_opaque_and_cannot_be_made(app: TestApp) {
        let admin = app.admin();
        for number in 0..3 {
            let api = format!("urn:{number}");
            assert_eq!(admin.post("/api/v2/resource-servers", json!({ "identifier": api })).await.status, 201);
            assert_eq!(admin.post("/api/v2/client-grants", json!({ "client_id": "m2m", "audience": api, "scope": [] })).await.status, 201);
            let connection = json!({ "name": format!("c{number}"), "strategy": "auth0", "enabled_clients": ["spa", "m2m"] });
            assert_eq!(admin.post("/api/v2/connections", connection).await.status, 201);
        }
        for user in ["auth0|alice", "auth0|bob"] {
            app.add_user(user).await;
            app.app.clock.advance(1);
            for _ in 0..2 {
                SignIn::of(&app, user, "").await;
                app.app.clock.advance(1);
            }
        }
        let role = admin.post("/api/v2/roles", json!({ "name": "Reader" })).await.body;
        let members = format!("/api/v2/roles/{}/users", role["id"].as_str().expect("it has an id"));
        assert_eq!(admin.post(&members, json!({ "users": ["auth0|alice", "auth0|bob"] })).await.status, 200);
        let expected = bad_query("Invalid checkpoint' on property from");
        let mut tokens = Vec::new();
        for (template, ..) in LISTS.iter().filter(|(_, checkpoints, _)| *checkpoints) {
            let path = path(&admin, template).await;
            let first = admin.get(&format!("{path}?take=1")).await;
            let next = first.body["next"].as_str().unwrap_or_else(|| panic!("{path}: {}", first.text)).to_owned();
            let second = admin.get(&format!("{path}?take=1&from={next}")).await;
            assert_eq!(second.status, 200, "{path}: {}", second.text);
            assert_ne!(second.text, first.text, "{path}");
            tokens.push((path, next));
        }
        for (path, token) in &tokens {
            let plain = URL_SAFE_NO_PAD.decode(token).or_else(|_| STANDARD.decode(token)).unwrap_or_default();
            let plain = String::from_utf8_lossy(&plain);
            assert!(["176726", "con_", "auth0|"].iter().all(|key| !plain.contains(key)), "{path}: {plain}");
            let mut forged = vec![
                "x".to_owned(),
                "0".to_owned(),
                "null".to_owned(),
                "' OR '1'='1".to_owned(),
                "1767268800000,x".to_owned(),
                STANDARD.encode("1767268800000,' OR 1=1 --"),
                URL_SAFE_NO_PAD.encode("1767268800000,con_0000000000000000"),
                URL_SAFE_NO_PAD.encode("0,"),
                format!("{token}A"),
                format!("{token}="),
                token[..token.len() - 1].to_owned(),
                token[1..].to_owned(),
                token.to_uppercase(),
                "A".repeat(1000),
            ];
            for at in (0..token.len()).step_by(5) {
                let other = if &token[at..=at] == "A" { "B" } else { "A" };
                forged.push(format!("{}{other}{}", &token[..at], &token[at + 1..]));
            }
            forged.extend(tokens.iter().filter(|(list, _)| list != path && !shares_table(list, path)).map(|(_, token)| token.clone()));
            for from in forged {
                let from: String = url::form_urlencoded::byte_serialize(from.as_bytes()).collect();
                let answer = admin.get(&format!("{path}?take=1&from={from}")).await;
                assert_eq!((answer.status, &answer.body), (400, &expected), "{path} {from}");
            }
            let endless = admin.get(&format!("{path}?take=1&from={}", "A".repeat(1001))).await;
            assert_eq!((endless.status, &endless.body["errorCode"]), (400, &json!("invalid_query_string")), "{}", endless.text);
        }
        // A log shipper goes on from an entry's id, which is no secret; but it is an id.
        for from in ["x", "' OR 1=1 --", "0 OR 1", "90%", "-1", "1e9"] {
            let from: String = url::form_urlencoded::byte_serialize(from.as_bytes()).collect();
            let answer = admin.get(&format!("/api/v2/logs?from={from}&take=5")).await;
            assert_eq!((answer.status, &answer.body), (400, &expected), "{from}");
        }
        // Another tenant's token of the same list.
        let (list, token) = &tokens[0];
        let made = model::bootstrap::create_machine_client(&app.app, &app.other, "Theirs", model::bootstrap::Scopes::All).await;
        let (client, _) = made.expect("a new client");
        let theirs = admin.at(&app.other).claiming("azp", client.as_str()).claiming("sub", format!("{client}@clients"));
        let theirs = theirs.claiming("iss", app.other.issuer.clone()).claiming("aud", app.other.management_audience());
        assert_eq!(theirs.get(&format!("{list}?take=1")).await.status, 200);
        let foreign = theirs.get(&format!("{list}?take=1&from={token}")).await;
        assert_eq!((foreign.status, &foreign.body), (400, &expected));
    }
}

/// Lists of one kind of object, though of another parent, may go on from each other's places: both filter what they show.
fn shares_table(one: &str, other: &str) -> bool {
    let kind = |path: &str| path.rsplit('/').next().unwrap_or_default().to_owned();
    kind(one) == kind(other)
}

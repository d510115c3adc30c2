//! Roles, permissions, and what they make of tokens (management contract §4.3, §4.6; authentication contract §1.6, §2.1).

use axum::http::Method;
use serde_json::{Value, json};

use crate::security::exchange::{Exchange, grant_of};
use crate::security::refusals::refusal;
use crate::security::{browser, claims, prepared};
use crate::support::app::{CONNECTION, PASSWORD};
use crate::support::{Answer, Authorize, Browser, Caller, TestApp};

const ROLES: &str = "/api/v2/roles";
const ALICE: &str = "/api/v2/users/auth0%7Calice";
const SHOP: &str = "https://shop.test/";

async fn role(admin: &Caller, name: &str) -> String {
    let made = admin.post(ROLES, json!({ "name": name, "description": format!("{name}s") })).await;
    assert_eq!(made.status, 200, "{}", made.text);
    made.body["id"].as_str().expect("it has an id").to_owned()
}

fn permissions(names: &[&str]) -> Value {
    let named =
        names.iter().map(|name| json!({ "resource_server_identifier": SHOP, "permission_name": name }));
    json!({ "permissions": named.collect::<Vec<_>>() })
}

/// A shop's API that enforces its policies, and tells permissions or not.
async fn shop(app: &TestApp, dialect: &str) {
    let api = json!({
        "name": "Shop",
        "scopes": [{ "value": "buy:food", "description": "Buy food" }, { "value": "read:shelves" }, { "value": "write:shelves" }],
        "allow_offline_access": true,
        "skip_consent_for_verifiable_first_party_clients": true,
        "enforce_policies": true,
        "token_dialect": dialect,
    });
    app.add_api(SHOP, api).await;
}

fn names(list: &Answer) -> Vec<String> {
    let of = |item: &Value| {
        item["permission_name"].as_str().or(item["name"].as_str()).expect("is text").to_owned()
    };
    list.body.as_array().unwrap_or_else(|| panic!("{}", list.text)).iter().map(of).collect()
}

#[track_caller]
fn assert_missing(answer: &Answer, message: &str) {
    let expected = json!({ "statusCode": 404, "error": "Not Found", "message": message });
    assert_eq!((answer.status, &answer.body), (404, &expected));
}

/// `DELETE` with a body.
async fn take(admin: &Caller, path: &str, body: Value) -> Answer {
    admin.json(Method::DELETE, path, body).await
}

/// What `page` gets for the shop in this browser: scope and claims.
async fn token(browser: &mut Browser, scope: &str) -> Value {
    let request = Authorize::new("page", "token").with("audience", SHOP).with("scope", scope);
    let landed = browser.sign_in(&request.path(), "alice@example.com").await;
    claims(&landed.param("access_token"))
}

both_databases! {
    async fn a_role_is_made_found_changed_and_deleted(app: TestApp) {
        let admin = app.admin();
        let made = admin.post(ROLES, json!({ "name": "Reader" })).await;
        let id = made.body["id"].as_str().expect("it has an id").to_owned();
        assert!(id.len() == 20 && id.starts_with("rol_"), "{id}");
        assert_eq!((made.status, &made.body), (200, &json!({ "id": id, "name": "Reader", "description": null, "type": "tenant" })));
        let path = format!("{ROLES}/{id}");
        assert_eq!(admin.get(&path).await.body, json!({ "id": id, "name": "Reader", "description": "", "type": "tenant" }));
        let taken = refusal(409, "Conflict", "The role already exists.", "");
        let again = admin.post(ROLES, json!({ "name": "Reader" })).await;
        assert_eq!((again.status, &again.body["message"]), (409, &taken["message"]));
        let other = role(&admin, "Writer").await;
        let renamed = admin.patch(&format!("{ROLES}/{other}"), json!({ "name": "Reader" })).await;
        assert_eq!((renamed.status, &renamed.body["message"]), (409, &taken["message"]));
        let changed = admin.patch(&path, json!({ "name": "Looker 50%", "description": "Looks" })).await;
        assert_eq!((changed.status, changed.body), (200, json!({ "id": id, "name": "Looker 50%", "description": "Looks", "type": "tenant" })));
        for (filter, found) in [("OOK", vec!["Looker 50%"]), ("r", vec!["Looker 50%", "Writer"]), ("%25", vec!["Looker 50%"]), ("_", vec![])] {
            assert_eq!(names(&admin.get(&format!("{ROLES}?name_filter={filter}&type=tenant")).await), found, "{filter}");
        }
        let page = admin.get(&format!("{ROLES}?page=1&per_page=1&include_totals=true")).await.body;
        assert_eq!((&page["start"], &page["limit"], &page["total"], &page["roles"][0]["name"]), (&json!(1), &json!(1), &json!(2), &json!("Writer")));
        let gone = admin.delete(&path).await;
        assert_eq!((gone.status, gone.body), (200, json!({})));
        assert_missing(&admin.get(&path).await, "The role does not exist.");
        assert_missing(&admin.delete(&path).await, "The role does not exist.");
        assert_missing(&admin.patch(&path, json!({ "name": "x" })).await, "The role does not exist.");
        for below in ["permissions", "users"] {
            assert_missing(&admin.get(&format!("{path}/{below}")).await, &format!("No such role with id: {id}"));
        }
        let organization = admin.post(ROLES, json!({ "name": "o", "type": "organization" })).await;
        assert_eq!((organization.status, &organization.body["errorCode"]), (400, &json!("invalid_body")));
    }

    async fn a_users_permissions_say_where_they_are_from(app: TestApp) {
        app.add_user("auth0|alice").await;
        shop(&app, "access_token").await;
        let admin = app.admin();
        let (buyer, clerk) = (role(&admin, "Buyer").await, role(&admin, "Clerk").await);
        for (role, names) in [(&buyer, ["buy:food", "read:shelves"]), (&clerk, ["read:shelves", "write:shelves"])] {
            let given = admin.post(&format!("{ROLES}/{role}/permissions"), permissions(&names)).await;
            assert_eq!((given.status, given.body), (201, json!({})));
        }
        let of_buyer = admin.get(&format!("{ROLES}/{buyer}/permissions?include_totals=true")).await.body;
        let food = json!({ "permission_name": "buy:food", "description": "Buy food", "resource_server_name": "Shop", "resource_server_identifier": SHOP });
        assert_eq!((&of_buyer["total"], &of_buyer["permissions"][0]), (&json!(2), &food));
        let roles = json!({ "roles": [buyer, clerk] });
        for _ in 0..2 {
            assert_eq!(admin.post(&format!("{ALICE}/roles"), roles.clone()).await.status, 204);
        }
        let own = admin.post(&format!("{ALICE}/permissions"), permissions(&["read:shelves"])).await;
        assert_eq!((own.status, own.body), (201, json!({})));
        assert_eq!(names(&admin.get(&format!("{ALICE}/roles")).await), ["Buyer", "Clerk"]);
        let told = admin.get(&format!("{ALICE}/permissions?page=0&per_page=2&include_totals=true")).await.body;
        let from = |id: &str, name: &str, kind: &str| json!({ "source_id": id, "source_name": name, "source_type": kind });
        assert_eq!((&told["total"], told["permissions"].as_array().map(Vec::len)), (&json!(3), Some(2)));
        assert_eq!(told["permissions"][0]["sources"], json!([from(&buyer, "Buyer", "ROLE")]));
        let mut sources = told["permissions"][1]["sources"].as_array().expect("a list").clone();
        sources.sort_by_key(|source| source["source_name"].as_str().map(str::to_owned));
        assert_eq!(sources, [from("", "", "DIRECT"), from(&buyer, "Buyer", "ROLE"), from(&clerk, "Clerk", "ROLE")]);

        // What is taken from the user stays with the role; what its API lists no more is nobody's.
        assert_eq!(take(&admin, &format!("{ALICE}/permissions"), permissions(&["read:shelves"])).await.status, 204);
        assert_eq!(take(&admin, &format!("{ALICE}/roles"), json!({ "roles": [clerk] })).await.status, 204);
        assert_eq!(names(&admin.get(&format!("{ALICE}/permissions")).await), ["buy:food", "read:shelves"]);
        let fewer = json!({ "scopes": [{ "value": "read:shelves" }] });
        let api = app.admin().get("/api/v2/resource-servers/https:%2F%2Fshop.test%2F").await.body;
        let api = format!("/api/v2/resource-servers/{}", api["id"].as_str().expect("it has an id"));
        assert_eq!(admin.patch(&api, fewer).await.status, 200);
        assert_eq!(names(&admin.get(&format!("{ALICE}/permissions")).await), ["read:shelves"]);
        assert_eq!(take(&admin, &format!("{ROLES}/{buyer}/permissions"), permissions(&["read:shelves"])).await.status, 204);
        assert_eq!(names(&admin.get(&format!("{ALICE}/permissions")).await), Vec::<String>::new());
        // With the API go its permissions, with the user and the role what ties them.
        assert_eq!(admin.post(&format!("{ROLES}/{clerk}/permissions"), permissions(&["read:shelves"])).await.status, 201);
        assert_eq!(admin.delete(&api).await.status, 204);
        assert_eq!(names(&admin.get(&format!("{ROLES}/{clerk}/permissions")).await), Vec::<String>::new());
        assert_eq!(admin.delete(&format!("{ROLES}/{buyer}")).await.status, 200);
        assert_eq!(names(&admin.get(&format!("{ALICE}/roles")).await), Vec::<String>::new());
    }

    async fn what_is_not_there_is_given_to_nobody(app: TestApp) {
        app.add_user("auth0|alice").await;
        shop(&app, "access_token").await;
        let admin = app.admin();
        let buyer = role(&admin, "Buyer").await;
        let given = format!("{ROLES}/{buyer}/permissions");
        let unknown = json!({ "permissions": [{ "resource_server_identifier": "urn:x", "permission_name": "a" }] });
        let answer = admin.post(&given, unknown).await;
        assert_eq!((answer.status, &answer.body["errorCode"]), (404, &json!("inexistent_resource_server")));
        let answer = admin.post(&given, permissions(&["buy:food", "steal:food"])).await;
        let told = "The permission steal:food does not exist on the resource server https://shop.test/.";
        assert_eq!((answer.status, &answer.body["message"]), (400, &json!(told)));
        assert_eq!(names(&admin.get(&given).await), Vec::<String>::new());
        let users = json!({ "users": ["auth0|alice", "auth0|nobody"] });
        let answer = admin.post(&format!("{ROLES}/{buyer}/users"), users).await;
        assert_eq!((answer.status, &answer.body["errorCode"]), (404, &json!("inexistent_user")));
        assert_eq!(admin.get(&format!("{ROLES}/{buyer}/users")).await.body, json!([]));
        let answer = admin.post(&format!("{ALICE}/roles"), json!({ "roles": [buyer, "rol_0000000000000000"] })).await;
        assert_missing(&answer, "The role does not exist.");
        assert_eq!(admin.get(&format!("{ALICE}/roles")).await.body, json!([]));
        let answer = admin.post("/api/v2/users/auth0%7Cnobody/roles", json!({ "roles": [buyer] })).await;
        assert_eq!((answer.status, &answer.body["errorCode"]), (404, &json!("inexistent_user")));
        // A user has fifty roles at most.
        let mut ids = Vec::new();
        for number in 0..50 {
            ids.push(role(&admin, &format!("r{number}")).await);
        }
        assert_eq!(admin.post(&format!("{ALICE}/roles"), json!({ "roles": ids })).await.status, 204);
        let answer = admin.post(&format!("{ALICE}/roles"), json!({ "roles": [buyer] })).await;
        assert_eq!((answer.status, &answer.body["errorCode"]), (400, &json!("invalid_body")));
    }

    async fn a_roles_users_are_listed_by_offset_and_by_checkpoint(app: TestApp) {
        let admin = app.admin();
        let buyer = role(&admin, "Buyer").await;
        let path = format!("{ROLES}/{buyer}/users");
        for name in ["alice", "bob", "carol"] {
            app.add_user(&format!("auth0|{name}")).await;
            let given = admin.post(&path, json!({ "users": [format!("auth0|{name}")] })).await;
            assert_eq!((given.status, given.body), (200, json!({})));
            app.app.clock.advance(1);
        }
        let page = admin.get(&format!("{path}?include_totals=true&per_page=2")).await.body;
        let first = &page["users"][0];
        assert_eq!((&page["total"], &first["user_id"], &first["email"], &first["name"]), (&json!(3), &json!("auth0|alice"), &json!("alice@example.com"), &json!("alice@example.com")));
        assert!(first["picture"].is_string() && first.as_object().map(serde_json::Map::len) == Some(4), "{first}");
        let one = admin.get(&format!("{path}?take=2")).await.body;
        let next = one["next"].as_str().expect("there is more");
        let two = admin.get(&format!("{path}?take=2&from={next}")).await.body;
        assert_eq!((&two["users"][0]["user_id"], two.get("next")), (&json!("auth0|carol"), None));
    }

    /// A user's token holds the scopes that were asked for and that they are permitted; the long form all that they are permitted.
    async fn an_api_that_enforces_its_policies_gives_what_roles_permit(app: TestApp) {
        let app = prepared(app).await;
        shop(&app, "access_token_authz").await;
        let admin = app.admin();
        let mut browser = browser(&app);
        let nothing = token(&mut browser, "openid buy:food read:shelves").await;
        assert_eq!((&nothing["scope"], &nothing["permissions"]), (&json!("openid"), &json!([])));
        let buyer = role(&admin, "Buyer").await;
        assert_eq!(admin.post(&format!("{ROLES}/{buyer}/permissions"), permissions(&["buy:food", "read:shelves"])).await.status, 201);
        assert_eq!(admin.post(&format!("{ALICE}/roles"), json!({ "roles": [buyer] })).await.status, 204);
        let some = token(&mut browser, "openid read:shelves write:shelves").await;
        assert_eq!((&some["scope"], &some["permissions"]), (&json!("openid read:shelves"), &json!(["buy:food", "read:shelves"])));

        // A code, and each refresh after it, are looked at anew.
        let request = Authorize::code("web").with("audience", SHOP).with("scope", "openid offline_access buy:food read:shelves");
        let code = browser.sign_in(&request.path(), "alice@example.com").await.param("code");
        assert_eq!(take(&admin, &format!("{ROLES}/{buyer}/permissions"), permissions(&["buy:food"])).await.status, 204);
        let issued = grant_of(&Exchange::code("web", &code).send(&app).await);
        let bought = claims(&issued.access_token);
        assert_eq!((&bought["scope"], &bought["permissions"]), (&json!("openid offline_access read:shelves"), &json!(["read:shelves"])));
        assert_eq!(admin.delete(&format!("{ROLES}/{buyer}")).await.status, 200);
        let renewed = grant_of(&Exchange::refresh("web", &issued.refresh_token).send(&app).await);
        let renewed = claims(&renewed.access_token);
        assert_eq!((&renewed["scope"], &renewed["permissions"]), (&json!("openid offline_access"), &json!([])));
        // A permission of their own does as well.
        assert_eq!(admin.post(&format!("{ALICE}/permissions"), permissions(&["write:shelves"])).await.status, 201);
        let own = token(&mut browser, "write:shelves buy:food").await;
        assert_eq!((&own["scope"], &own["permissions"]), (&json!("write:shelves"), &json!(["write:shelves"])));
    }

    /// Nor does a password buy more at the token endpoint, at once or by its refresh token.
    async fn a_password_buys_what_roles_permit(app: TestApp) {
        let app = prepared(app).await;
        shop(&app, "access_token_authz").await;
        let grant = "http://auth0.com/oauth/grant-type/password-realm";
        let client = json!({
            "app_type": "regular_web", "oidc_conformant": true, "token_endpoint_auth_method": "client_secret_post",
            "grant_types": ["password", grant, "refresh_token"],
        });
        app.add_client("legacy", client).await;
        assert_eq!(app.admin().post(&format!("{ALICE}/permissions"), permissions(&["buy:food"])).await.status, 201);
        let fields = [
            ("grant_type", grant), ("client_id", "legacy"), ("client_secret", "legacy-secret"), ("realm", CONNECTION),
            ("username", "alice@example.com"), ("password", PASSWORD), ("audience", SHOP),
            ("scope", "openid offline_access buy:food write:shelves"),
        ];
        let bought = app.caller().form("/oauth/token", &fields).await;
        assert_eq!((bought.status, &bought.body["scope"]), (200, &json!("openid offline_access buy:food")), "{}", bought.text);
        let told = claims(bought.body["access_token"].as_str().expect("is text"));
        assert_eq!((&told["scope"], &told["permissions"]), (&json!("openid offline_access buy:food"), &json!(["buy:food"])));
        assert_eq!(take(&app.admin(), &format!("{ALICE}/permissions"), permissions(&["buy:food"])).await.status, 204);
        let token = bought.body["refresh_token"].as_str().expect("is text");
        let renewed = grant_of(&Exchange::refresh("legacy", token).send(&app).await);
        assert_eq!(claims(&renewed.access_token)["scope"], "openid offline_access");
    }

    async fn the_short_form_tells_no_permissions_and_a_machine_has_its_grant(app: TestApp) {
        let app = prepared(app).await;
        shop(&app, "access_token").await;
        let mut browser = browser(&app);
        assert_eq!(token(&mut browser, "buy:food").await.get("permissions"), None);
        let admin = app.admin();
        let grant = json!({ "client_id": "m2m", "audience": SHOP, "scope": ["buy:food", "read:shelves"] });
        assert_eq!(admin.post("/api/v2/client-grants", grant).await.status, 201);
        let machine = async |scope: &str| {
            let fields = [("grant_type", "client_credentials"), ("client_id", "m2m"), ("client_secret", "m2m-secret"), ("audience", SHOP), ("scope", scope)];
            claims(app.caller().form("/oauth/token", &fields).await.body["access_token"].as_str().expect("is text"))
        };
        assert_eq!(machine("buy:food").await.get("permissions"), None);
        let api = admin.get("/api/v2/resource-servers/https:%2F%2Fshop.test%2F").await.body;
        let api = format!("/api/v2/resource-servers/{}", api["id"].as_str().expect("it has an id"));
        assert_eq!(admin.patch(&api, json!({ "token_dialect": "access_token_authz" })).await.status, 200);
        let told = machine("buy:food").await;
        assert_eq!((&told["scope"], &told["permissions"]), (&json!("buy:food"), &json!(["buy:food"])));
        // An API that enforces nothing gives every user what they ask for.
        assert_eq!(admin.patch(&api, json!({ "enforce_policies": false })).await.status, 200);
        let free = token(&mut browser, "buy:food").await;
        assert_eq!((&free["scope"], free.get("permissions")), (&json!("buy:food"), None));
    }

    /// Authentication contract §2.1, §2.2; RFC 9068 §2.
    async fn a_token_speaks_the_dialect_and_lasts_as_long_as_its_api_says(app: TestApp) {
        let app = prepared(app).await;
        shop(&app, "access_token").await;
        let admin = app.admin();
        let api = admin.get("/api/v2/resource-servers/https:%2F%2Fshop.test%2F").await.body;
        let api = format!("/api/v2/resource-servers/{}", api["id"].as_str().expect("it has an id"));
        let mut browser = browser(&app);
        for (dialect, short, tells) in [("access_token", false, false), ("access_token_authz", false, true), ("rfc9068_profile", true, false), ("rfc9068_profile_authz", true, true)] {
            let body = json!({ "token_dialect": dialect, "token_lifetime": 900, "token_lifetime_for_web": 600 });
            assert_eq!(admin.patch(&api, body).await.status, 200);
            let request = Authorize::new("page", "token").with("audience", SHOP).with("scope", "buy:food");
            let landed = browser.sign_in(&request.path(), "alice@example.com").await;
            let told = token(&mut browser, "buy:food").await;
            assert_eq!(told["exp"].as_i64().zip(told["iat"].as_i64()).map(|(end, begin)| end - begin), Some(600), "{dialect}");
            let named = ["azp", "client_id"].map(|name| told.get(name).cloned());
            assert_eq!(named, if short { [None, Some(json!("page"))] } else { [Some(json!("page")), None] }, "{dialect}");
            assert_eq!((told.get("jti").is_some(), told.get("permissions").is_some()), (short, tells), "{dialect}");
            let header = landed.param("access_token").split('.').next().map(|part| claims(&format!(".{part}."))["typ"].clone());
            assert_eq!(header, Some(json!(if short { "at+jwt" } else { "JWT" })), "{dialect}");
        }
    }
}

//! Codes by SMS, over the tenant's own gateway.

use serde_json::{Value, json};

use crate::security::exchange::{Exchange, assert_refused, grant_of, userinfo};
use crate::security::{browser, claims, prepared};
use crate::support::browser::CALLBACK;
use crate::support::factors::page_of;
use crate::support::hook::Hook;
use crate::support::{Answer, Authorize, TestApp};

const GRANT: &str = "http://auth0.com/oauth/grant-type/passwordless/otp";
const NUMBER: &str = "+15550100";

/// With the app `phone` and the connection `sms` on this gateway.
async fn ready(app: TestApp, gateway: &Hook) -> TestApp {
    let app = prepared(app).await;
    let phone = json!({
        "app_type": "native", "oidc_conformant": true, "callbacks": [CALLBACK], "token_endpoint_auth_method": "none",
        "grant_types": [GRANT, "authorization_code", "refresh_token"],
    });
    app.add_client("phone", phone).await;
    let connection = json!({
        "name": "sms", "strategy": "sms", "enabled_clients": ["phone"],
        "options": {
            "provider": "sms_gateway", "gateway_url": gateway.url, "from": "Acme", "syntax": "liquid",
            "template": "{{ code }} for {{ application.name }}", "forward_req_info": true, "brute_force_protection": true,
            "gateway_authentication": { "method": "bearer", "subject": "doorward", "audience": "gateway", "secret": "c2hhcmVk", "secret_base64_encoded": true },
        },
    });
    let made = app.admin().post("/api/v2/connections", connection).await;
    assert_eq!(made.status, 201, "{}", made.text);
    app
}

async fn start(app: &TestApp, body: Value) -> Answer {
    let mut whole = json!({ "client_id": "phone", "connection": "sms", "phone_number": NUMBER });
    whole.as_object_mut().expect("an object").extend(body.as_object().expect("an object").clone());
    app.caller().post("/passwordless/start", whole).await
}

/// The code in what the gateway was last asked to send.
fn code(gateway: &Hook) -> String {
    let (_, body) = gateway.posts().pop().expect("a message");
    let body: Value = serde_json::from_str(&body).expect("is JSON");
    body["body"].as_str().expect("is text").split(' ').next().expect("a word").to_owned()
}

fn give(code: &str) -> Exchange {
    Exchange::new("phone", GRANT)
        .without("client_secret")
        .with("username", NUMBER)
        .with("otp", code)
        .with("realm", "sms")
}

both_databases! {
    async fn a_code_by_sms_signs_in_and_makes_its_user(app: TestApp) {
        let gateway = Hook::open().await;
        let app = ready(app, &gateway).await;
        let sent = start(&app, json!({ "send": "code" })).await;
        let id = sent.body["_id"].as_str().expect("is text").to_owned();
        assert_eq!((sent.status, &sent.body), (200, &json!({ "_id": id, "phone_number": NUMBER, "phone_verified": false })));
        let (head, body) = gateway.posts().pop().expect("a message");
        let body: Value = serde_json::from_str(&body).expect("is JSON");
        let words = body["body"].as_str().expect("is text");
        let right = words.strip_suffix(" for phone").expect("the template").to_owned();
        assert_eq!((right.len(), &body["recipient"], &body["sender"], &body["req"]["ip"]), (6, &json!(NUMBER), &json!("Acme"), &json!("203.0.113.9")));
        let token = head.lines().find_map(|line| line.strip_prefix("authorization: bearer ")).expect("a token");
        assert_eq!(token.split('.').count(), 3);
        let wrong = if right == "000000" { "000001" } else { "000000" };
        assert_refused(&give(wrong).send(&app).await, 403, "invalid_grant", "Wrong phone number or verification code.");
        let answer = give(&right).with("scope", "openid phone").send(&app).await;
        let bought = grant_of(&answer);
        let told = userinfo(&app, &bought.access_token).await;
        assert_eq!(told.body, json!({ "sub": format!("sms|{id}"), "phone_number": NUMBER, "phone_number_verified": true }));
        assert_refused(&give(&right).send(&app).await, 403, "invalid_grant", "Wrong phone number or verification code.");
        // The same person comes back.
        app.app.clock.advance(60);
        assert_eq!(start(&app, json!({ "send": "link" })).await.body["_id"], json!(id), "there are no links by SMS");
        let again = give(&code(&gateway)).with("scope", "openid").send(&app).await;
        assert_eq!(claims(again.body["id_token"].as_str().expect("a token"))["sub"], format!("sms|{id}"));
    }

    async fn a_code_by_sms_signs_in_on_the_hosted_page(app: TestApp) {
        let gateway = Hook::open().await;
        let app = ready(app, &gateway).await;
        let mut browser = browser(&app);
        let page = browser.open(&Authorize::code("phone").with("connection", "sms").path()).await;
        assert!(page.text.contains("type=\"tel\""), "{}", page.text);
        let bad = browser.submit(&page, &[("address", "555 0100")]).await;
        assert!(bad.status == 400 && bad.text.contains("with its country code"), "{bad:?}");
        let page = browser.submit(&page, &[("address", "+1 (555) 01-00")]).await;
        assert!(page_of(&page) == "/u/passwordless-challenge" && page.text.contains("We sent a code to +15550100."), "{}", page.text);
        let landed = browser.submit(&page, &[("code", &code(&gateway))]).await;
        assert!(!landed.param("code").is_empty(), "{landed:?}");
        let silent = browser.open(&Authorize::code("phone").with("connection", "sms").with("prompt", "none").path()).await;
        assert!(!silent.param("code").is_empty(), "{silent:?}");
    }

    /// Where nobody new may sign up the gateway's answer would tell who is there: nobody waits for it.
    async fn a_gateway_that_fails_tells_nothing_of_who_is_there(app: TestApp) {
        let gateway = Hook::open().await;
        let app = ready(app, &gateway).await;
        assert_eq!(start(&app, json!({})).await.status, 200);
        grant_of(&give(&code(&gateway)).send(&app).await);
        let connection = app.admin().get("/api/v2/connections?name=sms").await.body[0].clone();
        let mut options = connection["options"].clone();
        options["disable_signup"] = json!(true);
        let path = format!("/api/v2/connections/{}", connection["id"].as_str().expect("is text"));
        assert_eq!(app.admin().patch(&path, json!({ "options": options })).await.status, 200);
        app.app.clock.advance(60);
        gateway.answers(500);
        for number in [NUMBER, "+15550199"] {
            let told = start(&app, json!({ "phone_number": number })).await;
            assert_eq!((told.status, &told.body["phone_number"]), (200, &json!(number)), "{told:?}");
        }
        // What became of it is noted, once the gateway has answered.
        for _ in 0..500 {
            if app.events().await.contains(&"fn".to_owned()) {
                return;
            }
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
        panic!("nothing is noted");
    }

    async fn a_gateway_that_fails_is_told(app: TestApp) {
        let gateway = Hook::open().await;
        let app = ready(app, &gateway).await;
        gateway.answers(500);
        assert_refused(&start(&app, json!({})).await, 400, "sms_provider_error", "The SMS gateway did not take the message");
        assert!(app.events().await.contains(&"fn".to_owned()));
        let mut browser = browser(&app);
        let page = browser.open(&Authorize::code("phone").with("connection", "sms").path()).await;
        app.app.clock.advance(60);
        let told = browser.submit(&page, &[("address", NUMBER)]).await;
        assert!(told.status == 502 && told.text.contains("We could not send the code."), "{told:?}");
        for (number, text) in [
            ("15550100", "String does not match pattern: ^\\+[0-9]{1,15}$"),
            ("+1 555", "String does not match pattern: ^\\+[0-9]{1,15}$"),
            ("+1234567890123456", "String does not match pattern: ^\\+[0-9]{1,15}$"),
            ("", "Missing required property: phone_number"),
        ] {
            assert_refused(&start(&app, json!({ "phone_number": number })).await, 400, "bad.phone_number", text);
        }
        // Nobody makes the server speak to what only the server reaches.
        let id = app.admin().get("/api/v2/connections?name=sms").await.body[0]["id"].as_str().expect("is text").to_owned();
        let inside = json!({ "options": { "gateway_url": "https://10.0.0.1/sms" } });
        assert_eq!(app.admin().patch(&format!("/api/v2/connections/{id}"), inside).await.status, 200);
        app.app.clock.advance(60);
        assert_refused(&start(&app, json!({})).await, 400, "sms_provider_error", "The SMS gateway did not take the message");
    }
}

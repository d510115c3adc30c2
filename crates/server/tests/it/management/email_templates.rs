//! A tenant's own texts, and the letters they become.

use db::Batch;
use model::mail::{self, Kind, Letter};
use serde_json::{Value, json};

use crate::support::TestApp;

const PATH: &str = "/api/v2/email-templates";

fn template() -> Value {
    json!({
        "template": "verify_email",
        "body": "<html><body><h1>Hi {{ user.given_name | default: 'you' }}</h1><p>{{ user.nickname }}</p><a href=\"{{ url }}\">Confirm</a> {{ nothing.here }}</body></html>",
        "from": "{{ application.name }} <hello@acme.test>",
        "subject": "Confirm, {{ user.email }}",
        "syntax": "liquid",
        "resultUrl": "https://{{ application.name | downcase }}.test/verified",
        "urlLifetimeInSeconds": 3600,
        "includeEmailInRedirect": true,
        "enabled": true
    })
}

async fn queue(app: &TestApp, letter: Letter) {
    let mut batch = Batch::new();
    mail::queue(&mut batch, &app.app, &app.tenant.id, letter);
    app.app.db.commit(batch).await.expect("queues");
}

both_databases! {
    async fn a_template_is_not_there_until_it_is_made(app: TestApp) {
        let admin = app.admin();
        let path = format!("{PATH}/verify_email");
        let missing = json!({ "statusCode": 404, "error": "Not Found", "message": "The template does not exist.", "errorCode": "inexistent_email_template" });
        for answer in [admin.get(&path).await, admin.patch(&path, json!({ "enabled": true })).await, admin.put(&path, template()).await] {
            assert_eq!((answer.status, answer.body), (404, missing.clone()));
        }
        let made = admin.post(PATH, template()).await;
        assert_eq!((made.status, &made.body), (200, &template()));
        let again = admin.post(PATH, template()).await;
        assert_eq!(
            (again.status, again.body),
            (409, json!({ "statusCode": 409, "error": "Conflict", "message": "Template verify_email already exists." }))
        );
        let patched = admin.patch(&path, json!({ "enabled": false, "resultUrl": null })).await;
        assert_eq!((patched.status, &patched.body["enabled"], patched.body.get("resultUrl")), (200, &json!(false), None));
        let whole = json!({ "template": "welcome_email", "body": "b", "from": "", "subject": "s", "syntax": "liquid", "enabled": true });
        let put = admin.put(&path, whole.clone()).await;
        assert_eq!((put.status, &put.body["template"], put.body.get("urlLifetimeInSeconds")), (200, &json!("verify_email"), None));
        let unknown = admin.get(&format!("{PATH}/nonsense")).await;
        assert_eq!((unknown.status, &unknown.body["errorCode"]), (400, &json!("invalid_uri")));
        assert_eq!(admin.get(&format!("{PATH}/password_changed")).await.status, 400, "a notice has no template");
    }

    async fn a_template_that_cannot_be_read_is_refused(app: TestApp) {
        let mut body = template();
        body["body"] = json!("<p>\n{% if user %}");
        let refused = app.admin().post(PATH, body).await;
        assert_eq!((refused.status, &refused.body["message"]), (400, &json!("Payload validation error: 'Template does not parse: `if` without `endif` in line 2' on property body.")));
    }

    /// A tenant's own text goes out, with what a stranger chose as text and never as markup.
    async fn a_letter_is_written_by_the_tenants_own_template(app: TestApp) {
        let admin = app.admin();
        app.add_client("Notes", json!({ "name": "Notes" })).await;
        assert_eq!(admin.post(PATH, template()).await.status, 200);
        app.add_user("auth0|alice").await;
        let name = json!({ "nickname": "<script>alert(1)</script>", "given_name": "Ann" });
        assert_eq!(admin.patch("/api/v2/users/auth0%7Calice", name).await.status, 200);
        let user = model::users::find(&app.app.db, &app.tenant.id, &"auth0|alice".into()).await.expect("reads").expect("is there");
        let letter = Letter::to_user(Kind::VerifyEmail, &user).expect("has an address").client(&"Notes".into());
        queue(&app, letter.clone().with("url", "https://id.test/u?a=1&b=2#")).await;
        let letters = app.posted().await;
        let mail = &letters[0].mail;
        assert_eq!((mail.from.as_str(), mail.subject.as_str()), ("Notes <hello@acme.test>", "Confirm, alice@example.com"));
        assert!(mail.html.contains("<h1>Hi Ann</h1><p>&lt;script&gt;alert(1)&lt;/script&gt;</p><a href=\"https://id.test/u?a=1&amp;b=2#\">"), "{}", mail.html);
        assert_eq!(mail.text, "Hi Ann\n\n<script>alert(1)</script>\n\nConfirm (https://id.test/u?a=1&b=2#)");
        // Switched off, the built-in one goes out.
        app.app.clock.advance(1);
        assert_eq!(admin.patch(&format!("{PATH}/verify_email"), json!({ "enabled": false })).await.status, 200);
        queue(&app, letter.with("url", "https://id.test/u")).await;
        let letters = app.posted().await;
        assert!(letters[1].mail.subject.starts_with("Verify your email for "), "{letters:?}");
        assert_eq!(letters[1].mail.from, "no-reply@id.test");
    }

    /// A template that does too much costs no letter: the built-in text goes out.
    async fn a_template_that_does_too_much_is_replaced(app: TestApp) {
        let body = json!({
            "template": "mfa_oob_code", "body": "{% for i in (1..100000000) %}x{% endfor %}", "from": "", "subject": "", "syntax": "liquid", "enabled": true
        });
        assert_eq!(app.admin().post(PATH, body).await.status, 200);
        queue(&app, Letter::new(Kind::MfaOobCode, "ann@example.com").with("code", "481516")).await;
        let letters = app.posted().await;
        assert!(letters[0].mail.html.contains(">481516</p>"), "{}", letters[0].mail.html);
    }

    /// A link's lifetime and its own end come from the template.
    async fn a_link_lives_and_leads_as_its_template_says(app: TestApp) {
        let admin = app.admin();
        app.add_client("Notes", json!({ "name": "Notes" })).await;
        assert_eq!(admin.post(PATH, template()).await.status, 200);
        let body = json!({ "client_id": "Notes", "connection": crate::support::app::CONNECTION, "email": "new+a@example.com", "password": crate::support::app::PASSWORD });
        assert_eq!(app.caller().post("/dbconnections/signup", body).await.status, 200);
        let link = app.letters_to("new+a@example.com", "verify_email").await[0].link();
        let mut browser = crate::support::Browser::new(app.caller());
        let page = browser.open(&link).await;
        assert!(page.header("content-security-policy").contains("form-action 'self' https://notes.test"), "{page:?}");
        let done = browser.submit(&page, &[]).await;
        assert_eq!(
            done.location(),
            "https://notes.test/verified?email=new%2Ba%40example.com&success=true&message=Your%20email%20was%20verified.%20You%20can%20continue%20using%20the%20application."
        );
    }
}

//! A tenant's colours and logo (management contract §4.10).

use serde_json::json;

use crate::support::TestApp;

const PATH: &str = "/api/v2/branding";

both_databases! {
    /// The recorded exchanges.
    async fn branding_is_empty_until_set_and_changes_by_key(app: TestApp) {
        let admin = app.machine("read:branding update:branding");
        assert_eq!(admin.get(PATH).await.body, json!({}));
        let gradient = json!({ "primary": "#ea5323", "page_background": { "type": "linear-gradient", "start": "#000000", "end": "#ffffff", "angle_deg": 35 } });
        let whole = json!({ "colors": gradient, "favicon_url": "https://mycompany.org/favicon.ico", "logo_url": "https://mycompany.org/logo.png",
            "font": { "url": "https://mycompany.org/font.otf" } });
        let (logo, icon) = (&whole["logo_url"], &whole["favicon_url"]);
        for (patch, after) in [
            (whole.clone(), whole.clone()),
            (json!({ "colors": { "primary": "#0059d6", "page_background": "#000000" }, "font": null }),
                json!({ "colors": { "primary": "#0059d6", "page_background": "#000000" }, "favicon_url": icon, "logo_url": logo })),
            (json!({ "favicon_url": null }), json!({ "colors": { "primary": "#0059d6", "page_background": "#000000" }, "logo_url": logo })),
            (json!({ "colors": null, "logo_url": null }), json!({})),
        ] {
            let answer = admin.patch(PATH, patch.clone()).await;
            assert_eq!((answer.status, &answer.body), (200, &after), "{patch}");
            assert_eq!(admin.get(PATH).await.body, after, "{patch}");
        }
        let writes = app.events().await.into_iter().filter(|kind| kind == "sapi").count();
        assert_eq!(writes, 4);
    }

    async fn what_no_page_can_look_like_is_refused(app: TestApp) {
        let admin = app.admin();
        for (body, message) in [
            (json!({}), "'Too few properties defined (0), minimum 1'."),
            (json!({ "theme": {} }), "'Additional properties not allowed: theme'."),
            (json!({ "logo_url": "http://mycompany.org/logo.png" }),
                "'Object didn't pass validation for format strict-https-uri-or-null: http://mycompany.org/logo.png' on property logo_url (URL for the logo. Must use HTTPS.)."),
            (json!({ "favicon_url": "javascript:alert(1)" }),
                "'Object didn't pass validation for format strict-https-uri-or-null: javascript:alert(1)' on property favicon_url (URL for the favicon. Must use HTTPS.)."),
            (json!({ "colors": { "primary": "red;}" } }), "'Object didn't pass validation for format html-color: red;}' on property colors.primary (Accent color.)."),
            (json!({ "font": { "url": 5 } }), "'Expected type string,null but found type integer' on property font.url \
                (URL for the custom font. The URL must point to a font file and not a stylesheet. Must use HTTPS.)."),
        ] {
            let answer = admin.patch(PATH, body.clone()).await;
            let expected = json!({ "statusCode": 400, "error": "Bad Request", "message": format!("Payload validation error: {message}"), "errorCode": "invalid_body" });
            assert_eq!((answer.status, &answer.body), (400, &expected), "{body}");
        }
        assert_eq!(admin.get(PATH).await.body, json!({}));
        let scope = app.machine("read:branding").patch(PATH, json!({ "logo_url": null })).await;
        assert_eq!((scope.status, scope.body["message"].as_str()), (403, Some("Insufficient scope, expected any of: update:branding")));
    }

    /// The next page that anybody opens looks so.
    async fn pages_follow_at_once(app: TestApp) {
        let page = async || app.caller().get("/authorize?client_id=nobody").await.text;
        assert!(!page().await.contains("https://mycompany.org/logo.png"));
        app.admin().patch(PATH, json!({ "logo_url": "https://mycompany.org/logo.png" })).await;
        assert!(page().await.contains("https://mycompany.org/logo.png"));
    }
}

//! Throttled addresses, told and released (management contract §4.16).

use model::attack_protection::{self as protection, Stage};
use serde_json::json;

use crate::support::TestApp;

both_databases! {
    async fn a_throttled_address_is_told_and_released(app: TestApp) {
        let reader = app.machine("read:anomaly_blocks");
        let writer = app.machine("delete:anomaly_blocks");
        for (address, neighbour) in [("198.51.100.7", "198.51.100.7"), ("2001:db8:1:2::7", "2001:db8:1:2:ffff::1")] {
            let path = format!("/api/v2/anomaly/blocks/ips/{}", address.replace(':', "%3A"));
            let missing = json!({ "statusCode": 404, "error": "Not Found", "message": "Not Found" });
            let answer = reader.get(&path).await;
            assert_eq!((answer.status, &answer.body), (404, &missing));
            let mut admitted = 0;
            let from = neighbour.parse().expect("is an address");
            while protection::admit(&app.app, &app.tenant.id, Stage::Signup, from, |_| {}).await.expect("counts") {
                admitted += 1;
            }
            assert_eq!(admitted, 50);
            let answer = reader.get(&path).await;
            assert_eq!((answer.status, answer.text.as_str()), (200, ""));
            assert_eq!(writer.delete(&path).await.status, 204);
            assert_eq!(reader.get(&path).await.status, 404);
            assert_eq!(writer.delete(&path).await.status, 204);
        }
    }

    async fn what_is_no_address_is_refused(app: TestApp) {
        let admin = app.admin();
        for bad in ["example.com", "10.0.0.0%2F8", "1.2.3", "%27"] {
            let path = format!("/api/v2/anomaly/blocks/ips/{bad}");
            for answer in [admin.get(&path).await, admin.delete(&path).await] {
                assert_eq!((answer.status, &answer.body["errorCode"]), (400, &json!("invalid_uri")), "{bad}");
                let message = answer.body["message"].as_str().expect("is text");
                assert!(message.starts_with("Path validation error: 'None of the valid schemas were met' on property id."), "{message}");
            }
        }
    }
}

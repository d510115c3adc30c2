//! What the account page is told before anybody signs in.

use db::Batch;
use model::clients;
use serde_json::json;

use crate::support::TestApp;

const PAGE: &str = "https://id.test/account/";

both_databases! {
    async fn the_account_page_has_the_client_that_lists_it_now(app: TestApp) {
        let caller = app.caller();
        let config = async || caller.get("/account/config.json").await;
        assert_eq!(config().await.status, 404);
        let mut client = app.add_client("page", json!({ "app_type": "spa", "callbacks": [PAGE] })).await;
        let found = config().await;
        assert_eq!((found.status, &found.body["client_id"], &found.body["domain"]), (200, &json!("page"), &json!("id.test")));
        client.callbacks = None;
        let mut batch = Batch::new();
        clients::save(&mut batch, &app.tenant.id, &mut client);
        app.app.db.commit(batch).await.expect("saves");
        assert_eq!(config().await.status, 404);
    }
}

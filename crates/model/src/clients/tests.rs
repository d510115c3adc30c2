use db::Batch;
use serde_json::{Value as Json, json};

use super::*;
use crate::paging::{self, Paging};
use crate::testing::{TestModel, object, page};
use crate::{client_grants, connections};

fn client(body: Json) -> Client {
    Client::new("c1".into(), &object(body)).unwrap()
}

#[test]
fn a_client_of_a_name_only_is_filled_in() {
    assert_eq!(
        Json::Object(client(json!({ "name": "App" })).to_wire("acme", Some("s3cret"), None)),
        json!({
            "tenant": "acme",
            "global": false,
            "is_token_endpoint_ip_header_trusted": false,
            "name": "App",
            "cross_origin_authentication": false,
            "is_first_party": true,
            "oidc_conformant": false,
            "refresh_token": {
                "expiration_type": "non-expiring",
                "leeway": 0,
                "infinite_token_lifetime": true,
                "infinite_idle_token_lifetime": true,
                "token_lifetime": 2_592_000,
                "idle_token_lifetime": 1_296_000,
                "rotation_type": "non-rotating"
            },
            "sso_disabled": false,
            "client_id": "c1",
            "jwt_configuration": { "lifetime_in_seconds": 36_000, "secret_encoded": false },
            "grant_types": ["authorization_code", "implicit", "refresh_token", "client_credentials"],
            "custom_login_page_on": true,
            "cross_origin_auth": false,
            "callback_url_template": false,
            "client_secret": "s3cret"
        })
    );
}

#[test]
fn public_clients_get_no_client_credentials() {
    for body in [
        json!({ "name": "a", "app_type": "spa", "token_endpoint_auth_method": "none" }),
        json!({ "name": "a", "app_type": "native" }),
        json!({ "name": "a", "token_endpoint_auth_method": "none" }),
    ] {
        let client = client(body);
        assert!(client.is_public());
        assert_eq!(client.grant_types.unwrap(), ["authorization_code", "implicit", "refresh_token"]);
    }
    let web = client(json!({ "name": "a", "app_type": "regular_web" }));
    assert!(!web.is_public() && web.allows_grant("client_credentials"));
}

#[test]
fn an_apis_own_client_is_filled_in_differently() {
    let client = client(
        json!({ "name": "a", "app_type": "resource_server", "resource_server_identifier": "https://api" }),
    );
    assert_eq!(client.grant_types.as_deref(), Some(&[][..]));
    assert!(client.oidc_conformant);
    assert_eq!(json!(client.jwt_configuration), json!({ "alg": "RS256", "secret_encoded": false }));
}

#[test]
fn what_is_given_stays_as_given() {
    let given = json!({
        "name": "a",
        "callbacks": [],
        "grant_types": [],
        "addons": { "samlp": { "audience": "x" } },
        "mobile": { "ios": { "team_id": "t" } },
        "native_social_login": { "apple": { "enabled": false } },
        "compliance_level": "none",
        "async_approval_notification_channels": ["guardian-push"]
    });
    let wire = client(given.clone()).to_wire("acme", None, None);
    for (key, value) in object(given) {
        assert_eq!(wire.get(&key), Some(&value), "{key}");
    }
}

#[test]
fn a_refresh_token_object_is_completed() {
    let given = json!({ "rotation_type": "rotating", "expiration_type": "expiring" });
    let settings = client(json!({ "name": "a", "refresh_token": given })).refresh_token;
    assert!(settings.rotate());
    assert_eq!((settings.lifetime(), settings.idle_lifetime()), (Some(2_592_000), Some(1_296_000)));
    let given = json!({ "rotation_type": "non-rotating", "expiration_type": "expiring", "infinite_token_lifetime": true });
    let settings = client(json!({ "name": "a", "refresh_token": given })).refresh_token;
    assert_eq!((settings.lifetime(), settings.idle_lifetime()), (None, Some(1_296_000)));
    assert!(!settings.rotate());
}

#[test]
fn a_patch_replaces_objects_whole_but_metadata_by_key() {
    let before = client(json!({
        "name": "a",
        "description": "d",
        "client_metadata": { "one": "1", "two": "2" },
        "addons": { "samlp": {} }
    }));
    let patch = json!({
        "description": null,
        "client_metadata": { "two": null, "three": "3" },
        "addons": { "aws": {} },
        "jwt_configuration": { "alg": "RS256" },
        "refresh_token": null
    });
    let after = before.patched(&object(patch)).unwrap();
    assert_eq!(after.description, None);
    assert_eq!(json!(after.client_metadata), json!({ "one": "1", "three": "3" }));
    assert_eq!(after.other["addons"], json!({ "aws": {} }));
    assert_eq!(
        json!(after.jwt_configuration),
        json!({ "alg": "RS256", "lifetime_in_seconds": 36_000, "secret_encoded": false })
    );
    assert_eq!(after.refresh_token, RefreshTokens::default());
}

/// Recorded: `terraform:TestAccClientSessionTransfer`.
#[test]
fn session_transfer_is_filled_in_and_merges() {
    let mut client = client(json!({ "name": "a" }));
    for (patch, key, expected) in [
        (json!({ "allow_refresh_token": true }), "enforce_device_binding", json!("ip")),
        (json!({ "delegation": { "allow_delegated_access": true } }), "allow_refresh_token", json!(true)),
        (json!({ "delegation": null }), "delegation", json!(null)),
    ] {
        client = client.patched(&object(json!({ "session_transfer": patch }))).unwrap();
        assert_eq!(json!(client.other["session_transfer"])[key], expected, "{key}");
    }
    client = client.patched(&object(json!({ "session_transfer": null }))).unwrap();
    assert!(!client.other.contains_key("session_transfer"));
}

/// Recorded, in all suites.
#[test]
fn refresh_tokens_of_clients_with_a_secret_last_longer() {
    let lifetimes = |method: &str| {
        let tokens = client(json!({ "name": "a", "token_endpoint_auth_method": method })).refresh_token;
        (tokens.token_lifetime, tokens.idle_token_lifetime)
    };
    assert_eq!(lifetimes("client_secret_post"), (31_557_600, 2_592_000));
    assert_eq!(lifetimes("none"), (2_592_000, 1_296_000));
}

#[test]
fn a_patch_never_changes_who_the_client_is() {
    let after = client(json!({ "name": "a" }))
        .patched(&object(json!({ "client_id": "other", "global": true, "name": "b" })))
        .unwrap();
    assert_eq!((after.client_id.as_str(), after.global, after.name.as_str()), ("c1", false, "b"));
}

#[test]
fn a_value_that_does_not_fit_is_refused() {
    assert!(client(json!({ "name": "a" })).patched(&object(json!({ "callbacks": "x" }))).is_err());
    assert!(client(json!({ "name": "a" })).patched(&object(json!({ "name": null }))).is_err());
}

#[test]
fn keys_take_the_place_of_the_secret() {
    let client = client(json!({ "name": "a", "client_authentication_methods": { "private_key_jwt": {} } }));
    assert!(!client.is_public());
    assert!(!client.to_wire("acme", Some("s3cret"), None).contains_key("client_secret"));
}

#[test]
fn back_channel_logout_goes_by_an_older_name_too() {
    let urls = json!({ "backchannel_logout_urls": ["https://app.test/logout"] });
    for name in ["oidc_logout", "oidc_backchannel_logout"] {
        let client = client(json!({ "name": "a", name: urls }));
        let wire = client.to_wire("acme", None, None);
        assert_eq!((&wire["oidc_logout"], &wire["oidc_backchannel_logout"]), (&urls, &urls));
        let after = client.patched(&object(json!({ name: null }))).unwrap();
        assert!(!after.to_wire("acme", None, None).contains_key("oidc_backchannel_logout"));
    }
}

#[test]
fn id_tokens_are_signed_as_set_or_as_the_client_can_check() {
    let alg = |body: Json| client(body).id_token_algorithm().to_owned();
    assert_eq!(alg(json!({ "name": "a" })), "HS256");
    assert_eq!(alg(json!({ "name": "a", "oidc_conformant": true })), "RS256");
    assert_eq!(alg(json!({ "name": "a", "app_type": "spa" })), "RS256");
    assert_eq!(alg(json!({ "name": "a", "jwt_configuration": { "alg": "PS256" } })), "PS256");
}

#[test]
fn origins_come_from_all_three_lists_but_web_messages_from_one() {
    let client = client(json!({
        "name": "a",
        "callbacks": ["https://cb.test/back", "com.example.app:/cb"],
        "allowed_origins": ["https://cors.test"],
        "web_origins": ["https://web.test"]
    }));
    for origin in ["https://cb.test", "https://cors.test", "https://web.test"] {
        assert!(client.allows_origin(origin), "{origin}");
        assert_eq!(client.allows_web_origin(origin), origin == "https://web.test");
    }
    assert!(!client.allows_origin("https://evil.test") && !client.allows_origin("null"));
}

#[tokio::test]
async fn a_client_is_stored_and_found() {
    for model in TestModel::each().await {
        let stored =
            model.add_client(json!({ "name": "a", "callbacks": ["https://a.test/cb"], "sso": true })).await;
        let found = find(&model, &model.tenant, stored.client_id.as_str()).await.unwrap().unwrap();
        assert!(*found == stored);
        assert!(found.check_secret("secret") && !found.check_secret("Secret") && !found.check_secret(""));
        assert_eq!(
            secret(&model, &model.tenant, &stored.client_id).await.unwrap().as_deref(),
            Some("secret")
        );
        assert!(find(&model, &"elsewhere".into(), stored.client_id.as_str()).await.unwrap().is_none());
    }
}

#[tokio::test]
async fn a_change_is_seen_at_once_and_only_one_of_two_wins() {
    for model in TestModel::each().await {
        let mut client = model.add_client(json!({ "name": "a" })).await;
        let id = client.client_id.to_string();
        let mut late = find(&model, &model.tenant, &id)
            .await
            .unwrap()
            .unwrap()
            .patched(&object(json!({ "name": "late" })))
            .unwrap();
        client.name = "b".into();
        let mut batch = Batch::new();
        save(&mut batch, &model.tenant, &mut client);
        model.db.commit(batch).await.unwrap();
        assert_eq!(find(&model, &model.tenant, &id).await.unwrap().unwrap().name, "b");
        let mut batch = Batch::new();
        save(&mut batch, &model.tenant, &mut late);
        assert!(matches!(
            model.db.commit(batch).await,
            Err(db::Error::Conflict { statement: 0, affected: 0 })
        ));
    }
}

#[tokio::test]
async fn a_new_secret_takes_the_place_of_the_old() {
    for model in TestModel::each().await {
        let mut client = model.add_client(json!({ "name": "a" })).await;
        let mut batch = Batch::new();
        set_secret(&model, &mut batch, &model.tenant, &mut client, "other");
        model.db.commit(batch).await.unwrap();
        let found = find(&model, &model.tenant, client.client_id.as_str()).await.unwrap().unwrap();
        assert!(found.check_secret("other") && !found.check_secret("secret"));
        assert_eq!(secret(&model, &model.tenant, &client.client_id).await.unwrap().as_deref(), Some("other"));
    }
}

#[tokio::test]
async fn a_page_counts_all_and_a_checkpoint_goes_on_where_it_ended() {
    for model in TestModel::each().await {
        for name in ["a", "b", "c"] {
            model.add_client(json!({ "name": name, "app_type": "spa" })).await;
            model.clock.advance(1);
        }
        let filter = Filter {
            is_global: Some(false),
            app_types: vec!["spa".into(), "native".into()],
            ..Filter::default()
        };
        let first = list(&model, &model.tenant, &filter, &page(0, 2)).await.unwrap();
        let names =
            |page: &paging::Page<Client>| page.items.iter().map(|c| c.name.clone()).collect::<Vec<_>>();
        assert_eq!((names(&first), first.total, first.next), (vec!["a".into(), "b".into()], Some(3), None));
        let second = list(&model, &model.tenant, &filter, &page(1, 2)).await.unwrap();
        assert_eq!(names(&second), ["c"]);

        let take = |after| Paging::Checkpoint { after, take: 2 };
        let first = list(&model, &model.tenant, &filter, &take(None)).await.unwrap();
        assert_eq!((names(&first), first.total), (vec!["a".into(), "b".into()], None));
        let last = list(&model, &model.tenant, &filter, &take(first.next.clone())).await.unwrap();
        assert_eq!((names(&last), last.next), (vec!["c".to_owned()], None));

        // A token that was made up, changed, or made for another tenant is no token.
        let token = first.next.unwrap();
        let mut changed = token.clone();
        changed.replace_range(50..51, if &token[50..51] == "A" { "B" } else { "A" });
        for forged in ["", "MSwx", "1' OR '1'='1", &changed] {
            let answer = list(&model, &model.tenant, &filter, &take(Some(forged.into()))).await;
            assert!(matches!(answer, Err(paging::Error::Checkpoint)), "{forged:?}");
        }
        let answer = list(&model, &"elsewhere".into(), &filter, &take(Some(token))).await;
        assert!(matches!(answer, Err(paging::Error::Checkpoint)));
    }
}

#[tokio::test]
async fn any_clients_origins_are_known_to_the_tenant() {
    for model in TestModel::each().await {
        let listed = async |origin: &str| origin_listed(&model, &model.tenant, origin).await.unwrap();
        assert!(!listed("https://a.app.test").await);
        let mut client = model
            .add_client(json!({
                "name": "a",
                "callbacks": ["https://*.app.test/cb", "http://localhost:3000/cb"],
                "web_origins": ["https://WEB.test:443"]
            }))
            .await;
        for origin in ["https://a.app.test", "http://localhost:3000", "https://web.test"] {
            assert!(listed(origin).await, "{origin}");
        }
        for origin in ["https://a.b.app.test", "http://localhost:3001", "http://web.test", "null", ""] {
            assert!(!listed(origin).await, "{origin}");
        }
        assert!(!origin_listed(&model, &"elsewhere".into(), "https://web.test").await.unwrap());

        client.callbacks = Some(vec!["https://app.test/cb".into()]);
        let mut batch = Batch::new();
        save(&mut batch, &model.tenant, &mut client);
        model.db.commit(batch).await.unwrap();
        assert!(listed("https://app.test").await && listed("https://web.test").await);
        assert!(!listed("https://a.app.test").await && !listed("http://localhost:3000").await);

        let mut batch = Batch::new();
        remove(&mut batch, &model.tenant, &client);
        model.db.commit(batch).await.unwrap();
        assert!(!listed("https://app.test").await && !listed("https://web.test").await);
    }
}

#[tokio::test]
async fn a_client_is_found_by_a_callback() {
    for model in TestModel::each().await {
        model.add_client(json!({ "name": "a", "callbacks": ["https://a.test/other"] })).await;
        let strangers =
            json!({ "name": "s", "callbacks": ["https://a.test/account/"], "is_first_party": false });
        model.add_client(strangers).await;
        let client = model.add_client(json!({ "name": "b", "callbacks": ["https://a.test/account/"] })).await;
        let found = async |callback: &str| find_by_callback(&model, &model.tenant, callback).await.unwrap();
        assert_eq!(found("https://a.test/account/").await, Some(client.client_id));
        assert_eq!(found("https://a.test/account").await, None);
    }
}

#[tokio::test]
async fn a_removed_client_takes_its_grants_and_connections_along() {
    for model in TestModel::each().await {
        let client = model.add_client(json!({ "name": "a" })).await;
        let id = client.client_id.clone();
        let connection =
            model.add_connection(json!({ "name": "db", "strategy": "auth0", "enabled_clients": [id] })).await;
        let api = model.add_api(json!({ "identifier": "https://api" })).await;
        let grant =
            model.add_grant(json!({ "client_id": id, "audience": api.identifier, "scope": [] })).await;
        let mut batch = Batch::new();
        remove(&mut batch, &model.tenant, &client);
        model.db.commit(batch).await.unwrap();
        assert!(find(&model, &model.tenant, id.as_str()).await.unwrap().is_none());
        assert!(client_grants::load(&model, &model.tenant, &grant.id).await.unwrap().is_none());
        let connection = connections::load(&model, &model.tenant, &connection.id).await.unwrap().unwrap();
        assert_eq!(connection.enabled_clients, []);
        assert!(connections::enabled_for(&model, &model.tenant, &id).await.unwrap().is_empty());
    }
}

#[tokio::test]
async fn the_client_of_all_applications_stays_and_stays_alone() {
    for model in TestModel::each().await {
        let filter = Filter { is_global: Some(true), ..Filter::default() };
        let global = list(&model, &model.tenant, &filter, &page(0, 50)).await.unwrap().items.remove(0);
        assert_eq!(global.name, "All Applications");
        let mut batch = Batch::new();
        remove(&mut batch, &model.tenant, &global);
        assert!(matches!(model.db.commit(batch).await, Err(db::Error::Conflict { .. })));
        let mut second = Client::all_applications("second".into());
        let mut batch = Batch::new();
        insert(&model, &mut batch, &model.tenant, &mut second, "secret", model.clock.now());
        assert!(
            matches!(model.db.commit(batch).await, Err(db::Error::Unique(index)) if index == "clients_global")
        );
    }
}

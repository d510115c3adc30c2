use db::{Batch, params};
use serde_json::{Value as Json, json};

use super::*;
use crate::paging::Paging;
use crate::password_policies::PasswordPolicy;
use crate::testing::{TestModel, object, page};

fn connection(body: Json) -> Connection {
    Connection::new(&Random::seeded(1), &object(body)).unwrap()
}

#[test]
fn a_database_connection_is_filled_in() {
    let connection =
        connection(json!({ "name": "db", "strategy": "auth0", "options": { "requires_username": true } }));
    assert!(connection.id.starts_with("con_") && connection.id.len() == 20);
    assert_eq!(
        json!(connection),
        json!({
            "id": connection.id,
            "options": {
                "mfa": { "active": true, "return_enroll_settings": true },
                "passwordPolicy": "good",
                "strategy_version": 2,
                "authentication_methods": { "password": { "enabled": true, "api_behavior": "required", "signup_behavior": "allow" }, "passkey": { "enabled": false } },
                "passkey_options": {
                    "challenge_ui": "both",
                    "progressive_enrollment_enabled": true,
                    "local_enrollment_enabled": true
                },
                "brute_force_protection": true,
                "requires_username": true
            },
            "strategy": "auth0",
            "name": "db",
            "is_domain_connection": false,
            "authentication": { "active": true },
            "connected_accounts": { "active": false },
            "enabled_clients": [],
            "realms": ["db"]
        })
    );
}

#[test]
fn a_patch_replaces_the_options_whole_and_never_the_name() {
    let before = connection(json!({ "name": "db", "strategy": "auth0", "display_name": "Database" }));
    let patch = json!({
        "options": { "disable_signup": true },
        "name": "other",
        "strategy": "sms",
        "enabled_clients": ["c1"],
        "display_name": null
    });
    let after = before.patched(&object(patch)).unwrap();
    assert!(!after.options.contains_key("passwordPolicy"));
    assert_eq!(
        (&after.options["disable_signup"], &after.options["brute_force_protection"]),
        (&json!(true), &json!(true))
    );
    assert_eq!((after.name.as_str(), after.strategy.as_str()), ("db", "auth0"));
    assert_eq!((after.enabled_clients.len(), after.display_name), (0, None));
}

#[test]
fn options_say_what_people_may_do() {
    let with = |options: Json| connection(json!({ "name": "db", "strategy": "auth0", "options": options }));
    let plain = with(json!({}));
    assert!(plain.allows_signup() && plain.is_active());
    assert!(!plain.has_usernames());
    assert_eq!(
        (plain.username_length(), plain.password_policy(), PasswordPolicy::of(&plain).min_length),
        ((1, 15), "good", 8)
    );
    let older = with(json!({
        "disable_signup": true,
        "disable_self_service_change_password": true,
        "requires_username": true,
        "validation": { "username": { "min": 3, "max": 20 } },
        "passwordPolicy": "low",
        "password_complexity_options": { "min_length": 12 }
    }));
    assert!(!older.allows_signup() && older.has_usernames());
    assert_eq!(
        (older.username_length(), older.password_policy(), PasswordPolicy::of(&older).min_length),
        ((3, 20), "low", 12)
    );
    let newer = with(json!({
        "attributes": { "username": { "identifier": { "active": true }, "validation": { "min_length": 4, "max_length": 9 } } },
        "password_options": { "complexity": { "min_length": 15 } }
    }));
    assert!(newer.has_usernames());
    assert_eq!((newer.username_length(), PasswordPolicy::of(&newer).min_length), ((4, 9), 15));
}

#[tokio::test]
async fn options_are_sealed_at_rest_and_come_back() {
    for model in TestModel::each().await {
        let stored = model
        .add_connection(
            json!({ "name": "up", "strategy": "oidc", "options": { "client_secret": "upstream-secret" } }),
        )
        .await;
        let found = find_by_name(&model, &model.tenant, "up").await.unwrap().unwrap();
        assert_eq!(json!(*found), json!(stored));
        assert_eq!(found.options["client_secret"], "upstream-secret");
        let sql = "SELECT options, doc FROM connections WHERE tenant = $1 AND id = $2";
        let mut row = model.db.read_one(sql, params![&model.tenant, &stored.id]).await.unwrap().unwrap();
        let (sealed, doc): (Vec<u8>, Json) = (row.take().unwrap(), row.take().unwrap());
        assert!(!String::from_utf8_lossy(&sealed).contains("upstream-secret"));
        assert!(!doc.to_string().contains("upstream-secret"));
    }
}

#[tokio::test]
async fn names_are_unique_in_a_tenant() {
    for model in TestModel::each().await {
        let body = json!({ "name": "Username-Password-Authentication", "strategy": "auth0" });
        let second = connection(body);
        let mut batch = Batch::new();
        insert(&model, &mut batch, &model.tenant, &second, model.clock.now());
        let answer = model.db.commit(batch).await;
        assert!(matches!(answer, Err(db::Error::Unique(index)) if index == "connections_name"));
    }
}

#[tokio::test]
async fn a_change_is_seen_at_once_and_only_one_of_two_wins() {
    for model in TestModel::each().await {
        let mut connection = model.add_connection(json!({ "name": "db", "strategy": "auth0" })).await;
        let mut late = connection.clone();
        assert!(find(&model, &model.tenant, &connection.id).await.unwrap().unwrap().allows_signup());
        connection.options.insert("disable_signup".into(), true.into());
        let mut batch = Batch::new();
        save(&model, &mut batch, &model.tenant, &mut connection);
        model.db.commit(batch).await.unwrap();
        assert!(!find(&model, &model.tenant, &connection.id).await.unwrap().unwrap().allows_signup());
        let mut batch = Batch::new();
        save(&model, &mut batch, &model.tenant, &mut late);
        assert!(matches!(model.db.commit(batch).await, Err(db::Error::Conflict { .. })));
    }
}

#[tokio::test]
async fn both_views_of_what_is_enabled_agree() {
    for model in TestModel::each().await {
        let one = model.add_client(json!({ "name": "one" })).await.client_id;
        let two = model.add_client(json!({ "name": "two" })).await.client_id;
        let mut connection = model
            .add_connection(json!({ "name": "db", "strategy": "auth0", "enabled_clients": [one] }))
            .await;
        let names = async |client: &ClientId| {
            let enabled = enabled_for(&model, &model.tenant, client).await.unwrap();
            enabled.iter().map(|connection| connection.name.clone()).collect::<Vec<_>>()
        };
        assert_eq!((names(&one).await, names(&two).await), (vec!["db".to_owned()], vec![]));

        let now = model.clock.now();
        let mut batch = Batch::new();
        set_clients(&mut batch, &model.tenant, &mut connection, vec![two.clone()], now);
        model.db.commit(batch).await.unwrap();
        assert_eq!((names(&one).await, names(&two).await), (vec![], vec!["db".to_owned()]));
        let loaded = load(&model, &model.tenant, &connection.id).await.unwrap().unwrap();
        assert!(loaded.is_enabled_for(&two) && !loaded.is_enabled_for(&one));

        let mut batch = Batch::new();
        set_client(&mut batch, &model.tenant, &connection.id, &one, true, now);
        set_client(&mut batch, &model.tenant, &connection.id, &two, true, now);
        model.db.commit(batch).await.unwrap();
        let take = Paging::Checkpoint { after: None, take: 1 };
        let first = list_clients(&model, &model.tenant, &connection.id, &take).await.unwrap();
        let take = Paging::Checkpoint { after: first.next, take: 1 };
        let second = list_clients(&model, &model.tenant, &connection.id, &take).await.unwrap();
        let mut listed = [first.items, second.items].concat();
        listed.sort();
        let mut both = vec![one.clone(), two];
        both.sort();
        assert_eq!((listed, second.next), (both, None));
        let of_client = list_for_client(&model, &model.tenant, &one, &["auth0".into()], &Paging::default())
            .await
            .unwrap();
        assert_eq!(of_client.items[0].enabled_clients.len(), 2);
        let of_client =
            list_for_client(&model, &model.tenant, &one, &["sms".into()], &Paging::default()).await.unwrap();
        assert_eq!(of_client.items, []);

        let mut batch = Batch::new();
        set_client(&mut batch, &model.tenant, &connection.id, &"nobody".into(), true, now);
        assert!(matches!(model.db.commit(batch).await, Err(db::Error::ForeignKey)));
    }
}

#[tokio::test]
async fn a_list_is_narrowed_by_strategy_and_name() {
    for model in TestModel::each().await {
        model.add_connection(json!({ "name": "sms", "strategy": "sms" })).await;
        let names = async |filter: Filter| {
            let page = list(&model, &model.tenant, &filter, &page(0, 50)).await.unwrap();
            page.items.into_iter().map(|connection| connection.name).collect::<Vec<_>>()
        };
        let strategies = |list: &[&str]| list.iter().map(|&one| one.to_owned()).collect();
        assert_eq!(names(Filter::default()).await.len(), 2);
        assert_eq!(
            names(Filter { strategies: strategies(&["sms", "email"]), ..Filter::default() }).await,
            ["sms"]
        );
        assert_eq!(names(Filter { name: Some("none".into()), ..Filter::default() }).await, [""; 0]);
    }
}

/// A user with an identity in `connection`, and perhaps a second one linked to it.
async fn add_user(model: &TestModel, id: &str, connection: &str, linked: Option<&str>) {
    let mut batch = Batch::new();
    batch.execute(
        "INSERT INTO users (tenant, id, email_verified, phone_verified, created_at, updated_at, logins_count, version) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
        params![&model.tenant, id, true, false, 0, 0, 0, 1],
    );
    for (position, connection) in [Some(connection), linked].into_iter().flatten().enumerate() {
        batch.execute(
            "INSERT INTO identities (tenant, provider, subject, connection, user_id, position, is_social) \
             VALUES ($1, $2, $3, $4, $5, $6, $7)",
            params![
                &model.tenant,
                "auth0",
                format!("{id}-{position}"),
                connection,
                id,
                position as i64,
                false
            ],
        );
    }
    model.db.commit(batch).await.unwrap();
}

#[tokio::test]
async fn a_removed_connection_takes_its_users_along_and_no_others() {
    for model in TestModel::each().await {
        let client = model.add_client(json!({ "name": "a" })).await.client_id;
        let gone = model
            .add_connection(json!({ "name": "gone", "strategy": "auth0", "enabled_clients": [client] }))
            .await;
        add_user(&model, "auth0|gone", "gone", None).await;
        add_user(&model, "auth0|linked", "kept", Some("gone")).await;
        add_user(&model, "auth0|kept", "kept", None).await;
        clear_users(&model, &model.tenant, &gone).await.unwrap();
        add_user(&model, "auth0|late", "gone", Some("kept")).await;
        assert!(find_by_name(&model, &model.tenant, "gone").await.unwrap().is_some());
        assert_eq!(enabled_for(&model, &model.tenant, &client).await.unwrap().len(), 1);

        let mut batch = Batch::new();
        remove(&mut batch, &model.tenant, &gone, model.clock.now());
        model.db.commit(batch).await.unwrap();
        assert!(find_by_name(&model, &model.tenant, "gone").await.unwrap().is_none());
        assert!(find(&model, &model.tenant, &gone.id).await.unwrap().is_none());
        assert!(enabled_for(&model, &model.tenant, &client).await.unwrap().is_empty());
        let sql = "SELECT u.id, u.version, i.connection FROM users u JOIN identities i \
               ON i.tenant = u.tenant AND i.user_id = u.id WHERE u.tenant = $1 ORDER BY u.id, i.connection";
        let rows = model.db.read(sql, params![&model.tenant]).await.unwrap();
        let left: Vec<(String, i64, String)> = rows
            .into_iter()
            .map(|mut row| (row.take().unwrap(), row.take().unwrap(), row.take().unwrap()))
            .collect();
        assert_eq!(
            left,
            [
                ("auth0|kept".to_owned(), 1, "kept".to_owned()),
                ("auth0|linked".to_owned(), 2, "kept".to_owned())
            ]
        );
    }
}

use std::net::IpAddr;

use serde_json::json;

use super::attempts::{folded, nobody};
use super::*;
use crate::ids::UserId;
use crate::testing::{TestModel, object};

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

#[test]
fn an_ipv6_network_is_one_address() {
    assert_eq!(network(ip("203.0.113.9")), "203.0.113.9");
    assert_eq!(network(ip("::ffff:203.0.113.9")), "203.0.113.9");
    assert_eq!(network(ip("2001:db8:1:2:3:4:5:6")), "2001:db8:1:2::/64");
    assert_eq!(network(ip("2001:db8:1:2::1")), network(ip("2001:db8:1:2:ffff::1")));
    assert_ne!(network(ip("2001:db8:1:2::1")), network(ip("2001:db8:1:3::1")));
}

#[test]
fn a_list_holds_addresses_and_networks() {
    let list = ["10.0.0.7", "192.168.0.0/16", "2001:db8::/32"].map(str::to_owned);
    for inside in ["10.0.0.7", "::ffff:10.0.0.7", "192.168.4.1", "2001:db8:5::1"] {
        assert!(is_listed(ip(inside), &list), "{inside}");
    }
    for outside in ["10.0.0.8", "192.169.0.1", "2001:db9::1", "::1"] {
        assert!(!is_listed(ip(outside), &list), "{outside}");
    }
}

#[test]
fn a_name_has_one_counter_however_it_is_written() {
    for (one, other) in [
        ("Alice@Example.com", " alice@example.com "),
        ("ALICE", "alice"),
        ("+1 (555) 010-0", "+15550100"),
        ("jos\u{e9}@example.com", "jose\u{301}@example.com"),
    ] {
        assert_eq!(folded(one), folded(other));
    }
    assert_ne!(folded("alice"), folded("alice@example.com"));
    assert!(!nobody("auth0|alice").contains('|'), "a name is never taken for a user's id");
}

#[test]
fn a_patch_reaches_inside_a_stage() {
    let stored = Stored::<SuspiciousIp>::default();
    let patch =
        object(json!({ "stage": { "pre-login": { "max_attempts": 5 } }, "allowlist": ["127.0.0.1"] }));
    let changed = stored.patched(&patch).unwrap().settings;
    assert_eq!(changed.stage.pre_login, Rate { max_attempts: 5, rate: 864_000 });
    assert_eq!(changed.stage.pre_user_registration, Rate { max_attempts: 50, rate: 1200 });
    assert_eq!((changed.enabled, changed.allowlist), (true, vec!["127.0.0.1".to_owned()]));
}

#[test]
fn nobody_is_told_daily_where_nobody_is_told() {
    let told = object(json!({
        "enabled": true,
        "admin_notification_frequency": ["daily"],
        "stage": { "pre-change-password": { "shields": ["admin_notification"] } }
    }));
    let told = Stored::<BreachedPasswords>::default().patched(&told).unwrap();
    let kept = told.patched(&object(json!({ "enabled": false }))).unwrap();
    assert_eq!(kept.settings.admin_notification_frequency, ["daily"]);
    let patch = object(json!({ "stage": { "pre-change-password": { "shields": ["block"] } } }));
    assert!(told.patched(&patch).unwrap().settings.admin_notification_frequency.is_empty());
}

#[test]
fn a_secret_is_kept_and_not_shown() {
    let patch = object(json!({
        "active_provider_id": "recaptcha_enterprise",
        "recaptcha_enterprise": { "site_key": "site", "api_key": "hidden", "project_id": "p" },
        "simple_captcha": { "anything": 1 }
    }));
    let captcha = Captcha::default().patched(&patch);
    assert_eq!(captcha.shown["recaptcha_enterprise"], json!({ "site_key": "site", "project_id": "p" }));
    assert_eq!(captcha.shown["simple_captcha"], json!({}));
    assert_eq!(captcha.secret("recaptcha_enterprise"), Some("hidden"));
    assert_eq!(captcha.shown["arkose"], Captcha::default().shown["arkose"]);
    assert!(!format!("{captcha:?}").contains("hidden"));
}

#[tokio::test]
async fn of_names_that_are_nobodys_the_newest_are_kept_and_of_users_all() {
    for app in TestModel::each().await {
        let user = app.add_user().await;
        let guess = async |user: Option<&UserId>, identifier: &str| {
            let who = Who { user, identifier, connection: "c", guarded: true };
            assert!(begin(&app, &app.tenant, ip("203.0.113.9"), who).await.unwrap().is_ok());
            app.clock.advance(1);
        };
        guess(Some(&user.id), "ann").await;
        for name in ["one", "two", "three", "four", "five"] {
            guess(None, name).await;
        }
        assert_eq!(forget_oldest_strangers(&app, &app.tenant, 5, 1).await.unwrap(), 0);
        assert_eq!(forget_oldest_strangers(&app, &app.tenant, 2, 1).await.unwrap(), 3);
        let sql = "SELECT identifier FROM login_attempts ORDER BY attempted_at, subject LIMIT 10";
        let rows = app.db.read(sql, vec![]).await.unwrap();
        let left: Vec<String> = rows.into_iter().map(|mut row| row.take().unwrap()).collect();
        assert_eq!(left, ["ann", "four", "five"]);
    }
}

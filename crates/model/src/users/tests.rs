//! What the family's statements promise, on each engine.

use db::{Db, Error};
use serde_json::{Value, json};

use super::defaults::{NewUser, database_user};
use super::fixture::{ann, chuck, commit, databases};
use super::search::{Filter, USERS};
use super::*;
use crate::credentials;

const DATABASE: &str = "Username-Password-Authentication";

fn tenant() -> TenantId {
    "tenant".into()
}

async fn add(db: &Db, user: &User) {
    commit(db, |batch| insert(batch, user)).await.unwrap();
}

async fn reread(db: &Db, user: &User) -> Option<User> {
    find(db, &user.tenant, &user.id).await.unwrap()
}

fn named(subject: &str, email: &str) -> User {
    let new = NewUser { email: Some(email.into()), ..NewUser::default() };
    database_user(&tenant(), DATABASE, subject, Timestamp::from_millis(1_000), new)
}

#[tokio::test]
async fn a_user_comes_back_as_written_and_only_in_their_tenant() {
    for db in databases().await {
        let mut user = chuck();
        user.phone_number = Some("+15550100".into());
        user.multifactor = vec!["guardian".into(), "google-authenticator".into()];
        user.profile = json!({"locale": "de"}).as_object().cloned();
        add(&db, &user).await;
        let found = reread(&db, &user).await.unwrap();
        assert_eq!(found.to_wire(), user.to_wire());
        assert_eq!(found.multifactor, user.multifactor);
        assert!(find(&db, &"other".into(), &user.id).await.unwrap().is_none());
    }
}

#[test]
fn who_has_little_metadata_is_light() {
    let with = |metadata: serde_json::Value| User { user_metadata: metadata.as_object().cloned(), ..chuck() };
    assert!(with(json!({ "color": "teal", "deep": { "a": [1, 2, 3] } })).is_light());
    assert!(!with(json!({ "long": "x".repeat(20_000) })).is_light());
    // A value takes far more than its text.
    assert!(!with(json!({ "deep": { "many": vec![0; 200] } })).is_light());
    let mut linked = chuck();
    linked.identities[0].profile = json!({ "many": vec![0; 200] }).as_object().cloned();
    assert!(!linked.is_light());
}

#[tokio::test]
async fn whoever_was_read_is_not_another_of_the_same_id() {
    for db in databases().await {
        add(&db, &chuck()).await;
        let mut before = reread(&db, &chuck()).await.unwrap();
        commit(&db, |batch| remove(batch, &tenant(), &before.id, before.created_at)).await.unwrap();
        add(&db, &User { created_at: Timestamp::from_millis(before.created_at.millis() + 1), ..chuck() })
            .await;
        assert_eq!(reread(&db, &before).await.unwrap().version, before.version);
        let mut primary = named("primary", "primary@example.com");
        add(&db, &primary).await;
        before.nickname = Some("Before".into());
        let (guarded, now) = (before.clone(), before.created_at);
        for late in [
            commit(&db, |batch| unchanged(batch, &guarded)).await,
            commit(&db, |batch| hold(batch, &guarded)).await,
            commit(&db, |batch| touch_login(batch, &guarded, now, "203.0.113.5")).await,
            commit(&db, |batch| save(batch, &mut before)).await,
        ] {
            assert!(matches!(late, Err(Error::Conflict { statement: 0, affected: 0 })), "{late:?}");
        }
        let linked = commit(&db, |batch| link(batch, &mut primary, &guarded, None, now)).await;
        assert!(matches!(linked, Err(Error::Conflict { affected: 0, .. })), "{linked:?}");
    }
}

#[tokio::test]
async fn a_save_is_refused_once_somebody_else_saved() {
    for db in databases().await {
        add(&db, &chuck()).await;
        let (mut one, mut two) = (reread(&db, &chuck()).await.unwrap(), reread(&db, &chuck()).await.unwrap());
        one.blocked = Some(true);
        two.nickname = Some("Two".into());
        commit(&db, |batch| save(batch, &mut one)).await.unwrap();
        let late = commit(&db, |batch| save(batch, &mut two)).await;
        assert!(matches!(late, Err(Error::Conflict { statement: 0, affected: 0 })), "{late:?}");
        let user = reread(&db, &chuck()).await.unwrap();
        assert_eq!((user.is_blocked(), user.nickname.as_deref(), user.version), (true, Some("Chucky"), 2));
        let again = commit(&db, |batch| save(batch, &mut one)).await;
        assert!(again.is_ok(), "a saved user can be saved again: {again:?}");
    }
}

#[tokio::test]
async fn a_guard_holds_until_the_user_is_saved() {
    for db in databases().await {
        let mut user = chuck();
        add(&db, &user).await;
        commit(&db, |batch| unchanged(batch, &user)).await.unwrap();
        let before = user.clone();
        commit(&db, |batch| save(batch, &mut user)).await.unwrap();
        assert!(matches!(commit(&db, |batch| unchanged(batch, &before)).await, Err(Error::Conflict { .. })));
    }
}

#[tokio::test]
async fn logins_are_counted_and_disturb_no_save() {
    for db in databases().await {
        let mut user = chuck();
        add(&db, &user).await;
        for millis in [2_000, 3_000] {
            let now = Timestamp::from_millis(millis);
            commit(&db, |batch| touch_login(batch, &user, now, "192.0.2.7")).await.unwrap();
        }
        commit(&db, |batch| save(batch, &mut user)).await.unwrap();
        let user = reread(&db, &user).await.unwrap();
        assert_eq!((user.logins_count, user.last_ip.as_deref()), (2, Some("192.0.2.7")));
        assert_eq!(user.last_login, Some(Timestamp::from_millis(3_000)));
        let stale = User { version: user.version - 1, ..user };
        let late =
            commit(&db, |batch| touch_login(batch, &stale, Timestamp::from_millis(4_000), "192.0.2.7"));
        assert!(
            matches!(late.await, Err(Error::Conflict { .. })),
            "nobody signs in as a user who changed meanwhile"
        );
    }
}

#[tokio::test]
async fn one_address_is_one_account_of_a_connection() {
    for db in databases().await {
        add(&db, &named("1", "josé@example.com")).await;
        for variant in ["JOSÉ@example.com", "jose\u{301}@example.com", "josé@EXAMPLE.com"] {
            let taken = commit(&db, |batch| insert(batch, &named("2", variant))).await;
            assert!(matches!(&taken, Err(Error::Unique(index)) if index == "identities_email"), "{taken:?}");
        }
        let mut elsewhere = named("3", "josé@example.com");
        elsewhere.identities[0].connection = "Another".into();
        add(&db, &elsewhere).await;
        let mut other = named("1", "josé@example.com");
        other.tenant = "other".into();
        add(&db, &other).await;
        add(&db, &ann()).await;
        let mut twin = named("4", "twin@example.com");
        twin.username = Some("ANN".into());
        let taken = commit(&db, |batch| insert(batch, &twin)).await;
        assert!(matches!(&taken, Err(Error::Unique(index)) if index == "identities_username"), "{taken:?}");
    }
}

/// MG-10.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_fifty_sign_ups_at_once_with_one_address_one_succeeds() {
    for db in databases().await {
        let variants = ["zoë@example.com", "ZOË@example.com", "zoe\u{308}@example.com", "Zoë@EXAMPLE.com"];
        let attempts: Vec<_> = (0..50)
            .map(|number| {
                let (db, user) = (db.clone(), named(&number.to_string(), variants[number % variants.len()]));
                tokio::spawn(async move { commit(&db, |batch| insert(batch, &user)).await })
            })
            .collect();
        let mut succeeded = 0;
        for attempt in attempts {
            match attempt.await.unwrap() {
                Ok(_) => succeeded += 1,
                Err(Error::Unique(index)) => assert_eq!(index, "identities_email"),
                Err(error) => panic!("{error}"),
            }
        }
        assert_eq!(succeeded, 1);
    }
}

#[tokio::test]
async fn a_changed_address_is_what_one_logs_in_with() {
    for db in databases().await {
        let mut user = ann();
        add(&db, &user).await;
        user.email = Some("new@example.com".into());
        commit(&db, |batch| save(batch, &mut user)).await.unwrap();
        assert!(find_by_login(&db, &tenant(), DATABASE, "ann@example.com").await.unwrap().is_none());
        let found = find_by_login(&db, &tenant(), DATABASE, "NEW@example.com").await.unwrap();
        assert_eq!(found.map(|user| user.id), Some(user.id));
        add(&db, &named("9", "ann@example.com")).await;
    }
}

#[tokio::test]
async fn a_login_finds_the_password_of_the_identity_that_was_named() {
    for db in databases().await {
        let user = chuck();
        let now = Timestamp::from_millis(5_000);
        commit(&db, |batch| {
            insert(batch, &user);
            credentials::set(batch, &tenant(), user.primary(), "hash", now);
        })
        .await
        .unwrap();
        for identifier in ["chuck878@example.com", "Chuck878@Example.com", "test-user636", " TEST-USER636 "] {
            let found = find_login(&db, &tenant(), DATABASE, identifier).await.unwrap().unwrap();
            let credential = found.credential.unwrap();
            assert_eq!((found.user.id.as_str(), found.identity), (user.id.as_str(), 0));
            assert_eq!((credential.hash.as_str(), credential.changed_at), ("hash", now));
        }
        for identifier in ["chuck", "", "%", "chuck878@example.com\0"] {
            assert!(
                find_login(&db, &tenant(), DATABASE, identifier).await.unwrap().is_none(),
                "{identifier:?}"
            );
        }
        assert!(find_login(&db, &tenant(), "Another", "test-user636").await.unwrap().is_none());
    }
}

#[tokio::test]
async fn an_address_goes_before_a_username_of_the_same_letters() {
    for db in databases().await {
        let mut odd = named("1", "odd@example.com");
        odd.username = Some("a@example.com".into());
        add(&db, &odd).await;
        add(&db, &named("2", "a@example.com")).await;
        let found = find_by_login(&db, &tenant(), DATABASE, "a@example.com").await.unwrap().unwrap();
        assert_eq!(found.id.as_str(), "auth0|2");
    }
}

#[tokio::test]
async fn a_password_change_conflicts_with_a_login_that_checked_the_old_one() {
    for db in databases().await {
        let user = chuck();
        let (tenant, identity) = (tenant(), user.primary());
        let now = Timestamp::from_millis(5_000);
        commit(&db, |batch| {
            insert(batch, &user);
            credentials::set(batch, &tenant, identity, "old", now);
        })
        .await
        .unwrap();
        let checked = credentials::find(&db, &tenant, identity).await.unwrap().unwrap();
        commit(&db, |batch| credentials::rehash(batch, &tenant, identity, &checked, "old, costlier"))
            .await
            .unwrap();
        let rehashed = credentials::find(&db, &tenant, identity).await.unwrap().unwrap();
        assert_eq!((rehashed.hash.as_str(), rehashed.changed_at), ("old, costlier", now));
        commit(&db, |batch| credentials::unchanged(batch, &tenant, identity, &rehashed)).await.unwrap();
        commit(&db, |batch| credentials::set(batch, &tenant, identity, "new", now)).await.unwrap();
        let late = commit(&db, |batch| credentials::unchanged(batch, &tenant, identity, &rehashed)).await;
        assert!(matches!(late, Err(Error::Conflict { .. })), "{late:?}");
        let late = commit(&db, |batch| credentials::rehash(batch, &tenant, identity, &rehashed, "x")).await;
        assert!(matches!(late, Err(Error::Conflict { .. })), "{late:?}");
        assert!(!format!("{rehashed:?}").contains("costlier"), "a hash is not printed");
        commit(&db, |batch| credentials::remove(batch, &tenant, identity)).await.unwrap();
        assert!(credentials::find(&db, &tenant, identity).await.unwrap().is_none());
    }
}

#[tokio::test]
async fn a_deleted_user_leaves_nothing() {
    for db in databases().await {
        let user = chuck();
        commit(&db, |batch| {
            insert(batch, &user);
            credentials::set(batch, &tenant(), user.primary(), "hash", user.created_at);
        })
        .await
        .unwrap();
        assert_eq!(
            commit(&db, |batch| remove(batch, &tenant(), &user.id, Timestamp::from_millis(0)))
                .await
                .unwrap()
                .affected
                .last(),
            Some(&1)
        );
        assert!(reread(&db, &user).await.is_none());
        assert!(find_by_login(&db, &tenant(), DATABASE, "test-user636").await.unwrap().is_none());
        assert!(credentials::find(&db, &tenant(), user.primary()).await.unwrap().is_none());
        assert_eq!(
            commit(&db, |batch| remove(batch, &tenant(), &user.id, Timestamp::from_millis(0)))
                .await
                .unwrap()
                .affected
                .last(),
            Some(&0)
        );
        add(&db, &user).await;
    }
}

/// Links `ann` to `chuck`; each has a password.
async fn linked(db: &Db) -> User {
    let (mut primary, secondary) = (chuck(), ann());
    commit(db, |batch| {
        for (user, hash) in [(&primary, "chuck's"), (&secondary, "ann's")] {
            insert(batch, user);
            credentials::set(batch, &tenant(), user.primary(), hash, user.created_at);
        }
    })
    .await
    .unwrap();
    let now = Timestamp::from_millis(1_674_673_300_000);
    commit(db, |batch| link(batch, &mut primary, &secondary, None, now)).await.unwrap();
    primary
}

#[tokio::test]
async fn a_linked_account_becomes_an_identity_of_the_primary() {
    for db in databases().await {
        let primary = linked(&db).await;
        let found = reread(&db, &primary).await.unwrap();
        assert_eq!(found.to_wire(), primary.to_wire());
        assert_eq!(
            found.identities_to_wire(),
            json!([
                {"profileData": {"email": "chuck878@example.com", "given_name": "Chuck", "family_name": "Sanchez",
                    "username": "test-user636", "nickname": "Chucky", "picture": "https://example-picture-url.jpg",
                    "email_verified": true},
                 "connection": DATABASE, "user_id": "63d17c4a9d503d76c056c160", "provider": "auth0", "isSocial": false},
                {"profileData": {"email": "ann@example.com", "username": "ann", "email_verified": false},
                 "connection": DATABASE, "user_id": "63d17c6b77d74b740960460a", "provider": "auth0", "isSocial": false},
            ])
        );
        assert!(reread(&db, &ann()).await.is_none());
        assert!(find_by_email(&db, &tenant(), "ann@example.com").await.unwrap().is_empty());
        let login = find_login(&db, &tenant(), DATABASE, "ann").await.unwrap().unwrap();
        assert_eq!((login.user.id, login.identity), (primary.id, 1));
        assert_eq!(login.credential.unwrap().hash, "ann's");
        let taken = commit(&db, |batch| insert(batch, &named("7", "ann@example.com"))).await;
        assert!(matches!(&taken, Err(Error::Unique(index)) if index == "identities_email"), "{taken:?}");
    }
}

#[tokio::test]
async fn the_primarys_own_profile_follows_the_root() {
    for db in databases().await {
        let mut primary = linked(&db).await;
        primary.given_name = Some("Carlos".into());
        commit(&db, |batch| save(batch, &mut primary)).await.unwrap();
        let found = reread(&db, &primary).await.unwrap();
        assert_eq!(found.identities_to_wire()[0]["profileData"]["given_name"], json!("Carlos"));
        assert_eq!(found.identities.len(), 2);
    }
}

#[tokio::test]
async fn an_unlinked_identity_is_a_user_again_without_metadata() {
    for db in databases().await {
        let mut primary = linked(&db).await;
        let now = Timestamp::from_millis(1_674_673_400_000);
        let mut batch = Batch::new();
        assert!(unlink(&mut batch, &mut primary, 0, now).is_none(), "the main identity stays");
        assert!(unlink(&mut batch, &mut primary, 2, now).is_none());
        assert!(batch.is_empty());
        let restored = unlink(&mut batch, &mut primary, 1, now).unwrap();
        db.commit(batch).await.unwrap();
        let found = reread(&db, &restored).await.unwrap();
        let mut expected = ann().to_wire();
        for key in ["created_at", "updated_at"] {
            expected[key] = json!(now.iso());
        }
        assert_eq!(Value::Object(found.to_wire()), Value::Object(expected));
        let left = reread(&db, &primary).await.unwrap();
        assert_eq!(left.identities.len(), 1);
        assert!(left.identities[0].profile.is_some(), "recorded: profileData stays");
        let login = find_login(&db, &tenant(), DATABASE, "ann@example.com").await.unwrap().unwrap();
        assert_eq!((login.user.id.as_str(), login.identity), (restored.id.as_str(), 0));
        assert_eq!(login.credential.unwrap().hash, "ann's");
    }
}

#[tokio::test]
async fn identities_linked_to_a_secondary_move_with_it() {
    for db in databases().await {
        let secondary = linked(&db).await;
        let mut primary = named("0", "zoe@example.com");
        add(&db, &primary).await;
        commit(&db, |batch| link(batch, &mut primary, &secondary, None, Timestamp::from_millis(2_000)))
            .await
            .unwrap();
        let found = reread(&db, &primary).await.unwrap();
        let subjects: Vec<_> = found.identities.iter().map(|identity| identity.user_id.as_str()).collect();
        assert_eq!(subjects, ["0", "63d17c4a9d503d76c056c160", "63d17c6b77d74b740960460a"]);
        assert!(reread(&db, &secondary).await.is_none());
    }
}

#[tokio::test]
async fn a_link_is_refused_when_either_user_changed() {
    for db in databases().await {
        for changed in [0, 1] {
            let mut users = [
                named(&format!("a{changed}"), "one@example.com"),
                named(&format!("b{changed}"), "two@example.com"),
            ];
            for user in &users {
                add(&db, user).await;
            }
            let (mut primary, secondary) = (users[0].clone(), users[1].clone());
            commit(&db, |batch| save(batch, &mut users[changed])).await.unwrap();
            let now = Timestamp::from_millis(2_000);
            let late = commit(&db, |batch| link(batch, &mut primary, &secondary, None, now)).await;
            assert!(matches!(late, Err(Error::Conflict { .. })), "{late:?}");
            for user in &users {
                assert_eq!(reread(&db, user).await.unwrap().identities.len(), 1);
                commit(&db, |batch| remove(batch, &tenant(), &user.id, Timestamp::from_millis(0)))
                    .await
                    .unwrap();
            }
        }
    }
}

async fn listed(db: &Db, query: &Query) -> (Vec<String>, Option<i64>) {
    let page = list(db, &tenant(), query).await.unwrap();
    (page.users.into_iter().map(|user| user.id.subject().to_owned()).collect(), page.total)
}

#[tokio::test]
async fn users_are_listed_by_pages_in_the_order_asked_for() {
    for db in databases().await {
        for (subject, email, millis) in
            [("1", "c@example.com", 3), ("2", "a@example.com", 1), ("3", "b@example.com", 2)]
        {
            let mut user = named(subject, email);
            user.created_at = Timestamp::from_millis(millis);
            add(&db, &user).await;
        }
        let mut other = named("4", "d@example.com");
        other.tenant = "other".into();
        add(&db, &other).await;
        let mut nameless = named("5", "x@example.com");
        (nameless.email, nameless.identities[0].connection) = (None, "Another".into());
        add(&db, &nameless).await;

        let query = Query { limit: 10, ..Query::default() };
        assert_eq!(listed(&db, &query).await.0, ["1", "2", "3", "5"]);
        for (sort, expected) in [
            ("email:1", ["2", "3", "1", "5"]),
            ("email:-1", ["1", "3", "2", "5"]),
            ("created_at:1", ["2", "3", "1", "5"]),
            ("created_at:-1", ["5", "1", "3", "2"]),
            ("blocked:1", ["1", "2", "3", "5"]),
        ] {
            let sort = Some(Sort::parse(sort).unwrap());
            assert_eq!(listed(&db, &Query { sort, ..query.clone() }).await.0, expected, "{sort:?}");
        }
        let page = Query { offset: 1, limit: 2, total: true, ..query.clone() };
        assert_eq!(listed(&db, &page).await, (vec!["2".to_owned(), "3".to_owned()], Some(4)));
        let connection = Query { connection: Some("Another".into()), total: true, ..query.clone() };
        assert_eq!(listed(&db, &connection).await, (vec!["5".to_owned()], Some(1)));
        let nothing = Query { limit: 0, total: true, ..query };
        assert_eq!(listed(&db, &nothing).await, (vec![], Some(4)));
    }
}

#[tokio::test]
async fn every_order_is_a_statement_that_runs() {
    for db in databases().await {
        add(&db, &chuck()).await;
        for column in SortColumn::ALL {
            for descending in [false, true] {
                let sort = Some(Sort { column: *column, descending });
                assert_eq!(listed(&db, &Query { sort, limit: 1, ..Query::default() }).await.0.len(), 1);
            }
        }
    }
}

#[tokio::test]
async fn a_page_holds_all_identities_of_its_users() {
    for db in databases().await {
        linked(&db).await;
        add(&db, &named("9", "zoe@example.com")).await;
        let page = list(&db, &tenant(), &Query { limit: 1, ..Query::default() }).await.unwrap();
        assert_eq!((page.users.len(), page.users[0].identities.len()), (1, 2));
    }
}

#[tokio::test]
async fn a_search_finds_what_it_says() {
    for db in databases().await {
        let mut chuck = chuck();
        chuck.user_metadata =
            json!({"plan": "gold", "seats": 5, "trial": true, "deep": {"a": "é\"x"}}).as_object().cloned();
        chuck.name = Some("Chuck Ñandú".into());
        chuck.logins_count = 7;
        add(&db, &chuck).await;
        let mut ann = ann();
        ann.blocked = Some(true);
        add(&db, &ann).await;
        let everyone = ["63d17c4a9d503d76c056c160", "63d17c6b77d74b740960460a"];
        let (only_chuck, only_ann, nobody) = (&everyone[..1], &everyone[1..], &everyone[..0]);
        for (query, expected) in [
            ("email:\"chuck878@example.com\"", only_chuck),
            ("email:CHUCK878@example.com", only_chuck),
            ("email:*@example.com", &everyone[..]),
            ("email.domain:example.com", &everyone),
            ("email.domain:ample.com", nobody),
            ("name:\"chuck ñANDÚ\"", only_chuck),
            ("name:chuck*", only_chuck),
            ("name:*ñandú", only_chuck),
            ("name:chuc?\\ ñandú", only_chuck),
            ("ñandú", only_chuck),
            ("username:ann", only_ann),
            ("username:Ann", nobody),
            ("username:*ANN*", only_ann),
            ("user_id:auth0|63d17c4a9d503d76c056c160", only_chuck),
            ("user_id:\"auth0|63d17c4a9d503d76c056c160\" OR username:ann", &everyone),
            ("identities.connection:Username-Password-Authentication", &everyone),
            ("identities.provider:google-oauth2", nobody),
            ("blocked:true", only_ann),
            ("-blocked:true", only_chuck),
            ("NOT _exists_:given_name", only_ann),
            ("logins_count:[5 TO *]", only_chuck),
            ("logins_count:{* TO 7}", only_ann),
            ("created_at:2023-01-25", &everyone),
            ("created_at:[2023-01-25T19:00:26.600Z TO 2023-01-26}", only_ann),
            ("user_metadata.plan:gold", only_chuck),
            ("user_metadata.plan:Gold", nobody),
            ("user_metadata.seats:5", only_chuck),
            ("user_metadata.trial:true", only_chuck),
            ("user_metadata.deep.a:\"é\\\"x\"", only_chuck),
            ("_exists_:user_metadata.deep", only_chuck),
            ("app_metadata.plan:gold", nobody),
            ("email:(\"ann@example.com\" OR \"chuck878@example.com\") AND NOT blocked:true", only_chuck),
            ("email:%@example.com", nobody),
            ("email:a_n@example.com", nobody),
        ] {
            let filter = Filter::parse(query, &USERS).unwrap();
            let query_of = Query { filter: Some(filter), limit: 10, total: true, ..Query::default() };
            let expected: Vec<String> = expected.iter().map(ToString::to_string).collect();
            let total = Some(i64::try_from(expected.len()).unwrap());
            assert_eq!(listed(&db, &query_of).await, (expected, total), "{query}");
        }
    }
}

#[tokio::test]
async fn a_user_is_found_by_the_exact_address() {
    for db in databases().await {
        add(&db, &chuck()).await;
        let mut elsewhere = named("3", "chuck878@example.com");
        elsewhere.identities[0].connection = "Another".into();
        add(&db, &elsewhere).await;
        let found = find_by_email(&db, &tenant(), "chuck878@example.com").await.unwrap();
        assert_eq!(found.len(), 2);
        assert!(find_by_email(&db, &tenant(), "CHUCK878@example.com").await.unwrap().is_empty());
    }
}

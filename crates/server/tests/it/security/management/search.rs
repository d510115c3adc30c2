//! MG-04, MG-05: what a caller looks for stays data, and costs no more than a page.

use serde_json::{Value, json};

use crate::support::TestApp;
use crate::support::caller::encode;

/// What ends a text, a name, a list or a comment, or begins a parameter.
const ENDS: [&str; 25] = [
    "", "1", "'", "\"", "`", "]", "')", "\")", "'))", "';", "\";", "\\'", "\\\"", "'||'", "/*", "*/", "--",
    ");", "%27", "\u{2019}", "\0", "$1", ":a", "?", "{{",
];
/// What would run then.
const THEN: [&str; 20] = [
    " OR 1=1 --",
    " OR '1'='1",
    "/**/OR/**/1=1",
    " OR pg_sleep(5) IS NULL --",
    " OR randomblob(1000000000) --",
    " AND 1=(SELECT COUNT(*) FROM users)",
    " UNION SELECT hash FROM credentials --",
    " || (SELECT hash FROM credentials)",
    "; DROP TABLE users; --",
    "; DELETE FROM users; --",
    "; UPDATE users SET blocked = TRUE; --",
    "; ATTACH DATABASE 'x' AS x; --",
    "; COPY users TO PROGRAM 'id'; --",
    "; COMMIT; --",
    " ORDER BY 99",
    " LIMIT 1 OFFSET 1",
    " GROUP BY hash HAVING 1=1",
    " IS NOT NULL",
    " LIKE '%'",
    " GLOB '*'",
];

/// Everything that lists users and what their tables are, to be compared.
async fn state(app: &TestApp) -> (Value, i64) {
    let users = app.admin().get("/api/v2/users?sort=created_at:1").await.body;
    let sql = "SELECT COUNT(*) FROM schema_migrations";
    let migrations = app.app.db.read_one(sql, vec![]).await.expect("reads").expect("a row").take();
    (users, migrations.expect("is a number"))
}

both_databases! {
    async fn mg_04_a_query_that_is_none_is_refused(app: TestApp) {
        for name in ["alice", "bob"] {
            app.add_user(&format!("auth0|{name}")).await;
        }
        let admin = app.admin();
        let (nested, negated) = (|deep| format!("{}name:alice{}", "(".repeat(deep), ")".repeat(deep)), "-".repeat(5_000));
        let endless = admin.get(&format!("/api/v2/users?{}", encode(&[("q", &nested(10_000))]))).await;
        assert_eq!(endless.status, 414, "{}", endless.text);
        let many = format!("name:alice{}", " OR name:alice".repeat(400));
        for query in [
            "\"", "name:\"alice", "name:alice\"", "(name:alice", "name:alice)", "((((", "))))", "()", "name:", ":alice", "AND", "name:alice AND",
            "OR OR", "NOT", "name:[a TO", "name:[a TO b", "name:{", "_exists_:", "\\", "name:a\\", "*ab", "name:*ab", "name:?ab", "/(a+)+$/",
            "name:/(a+)+$/", "name:alice~2", "password:*", "password:x", "_exists_:password", "_exists_:user_metadata.$x", "user_metadata.$:a", "hash:x", "credentials.hash:x", "identities.access_token:x",
            "identities.hash:*", "tenant:x", "u.id:x", "users.id:x", "user_metadata:x", "nobody_knows:x", "created_at:yesterday", "logins_count:many",
            "logins_count:[1 TO many]", &nested(17), &nested(2_000), &negated, &many,
        ] {
            for list in ["users", "logs"] {
                let answer = admin.get(&format!("/api/v2/{list}?{}", encode(&[("q", query)]))).await;
                let told = &query[..query.len().min(40)];
                assert_eq!((answer.status, &answer.body["errorCode"]), (400, &json!("invalid_query_string")), "{list}: {told}: {}", answer.text);
            }
        }
        // What is served of such things is a page like any other.
        for query in ["*", "name:*lic*", "email:alice*", "(((((((name:alice)))))))", "name:\"al\\\"ice\"", "name:alice AND NOT blocked:true"] {
            let answer = admin.get(&format!("/api/v2/users?{}", encode(&[("q", query)]))).await;
            assert_eq!((answer.status, answer.body.as_array().is_some()), (200, true), "{query}: {}", answer.text);
        }
    }

    async fn mg_05_what_is_looked_for_is_no_statement(app: TestApp) {
        for name in ["alice", "bob"] {
            app.add_user(&format!("auth0|{name}")).await;
        }
        let (admin, before) = (app.admin(), state(&app).await);
        let ids = json!([{ "user_id": "auth0|alice" }, { "user_id": "auth0|bob" }]);
        let payloads: Vec<String> = ENDS.iter().flat_map(|end| THEN.iter().map(move |then| format!("{end}{then}"))).collect();
        assert_eq!(payloads.len(), 500);
        for payload in &payloads {
            let phrase = format!("email:\"{}\"", payload.replace('\\', "\\\\").replace('"', "\\\""));
            let asked = |path: &str, fields: &[(&str, &str)]| format!("/api/v2/{path}?{}", encode(fields));
            let id = encode(&[("id", payload)]).replace('+', "%20").split_off("id=".len());
            for (path, expected) in [
                (asked("users", &[("q", &phrase)]), json!([])),
                (asked("users-by-email", &[("email", &format!("{payload}@example.com"))]), json!([])),
                (asked("users", &[("fields", payload), ("include_fields", "true")]), json!([{}, {}])),
                (asked("users", &[("sort", &format!("{payload}:1"))]), Value::Null),
                (format!("/api/v2/users/{id}"), Value::Null),
                (format!("/api/v2/users/auth0%7C{id}"), Value::Null),
                (asked("logs", &[("q", &format!("user_id:{phrase}"))]), Value::Null),
            ] {
                let answer = admin.get(&path).await;
                let refused = [400, 404].contains(&answer.status);
                assert!(refused || answer.status == 200 && answer.body == expected, "{path}: {} {}", answer.status, answer.text);
            }
            // Not as a phrase it may be a query of its own, and then finds users, and nothing else.
            let found = admin.get(&asked("users", &[("q", payload), ("fields", "user_id")])).await;
            let listed = found.body.as_array().is_some_and(|users| users.iter().all(|user| ids.as_array().is_some_and(|ids| ids.contains(user))));
            assert!(found.status == 400 || found.status == 200 && listed, "{payload}: {} {}", found.status, found.text);
            if payload.is_ascii() && !payload.contains('\0') {
                let caller = app.admin().with("user-agent", payload).with("auth0-client", payload);
                let answer = caller.get("/api/v2/users?fields=user_id&sort=created_at:1").await;
                assert_eq!((answer.status, &answer.body), (200, &ids), "{payload}");
            }
        }
        app.app.audit.flush().await;
        assert_eq!(state(&app).await, before);
    }
}

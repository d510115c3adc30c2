//! From an empty database to the first call of the Management API, by the command line alone.

use std::time::Duration;

use serde_json::json;

use crate::support::binary::{Site, complaint};
use crate::support::engine::Engine;

/// The value that a command printed beside `name`.
fn printed(output: &std::process::Output, name: &str) -> String {
    let text = String::from_utf8(output.stdout.clone()).expect("is text");
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    line.unwrap_or_else(|| panic!("no {name}: {text}{}", complaint(output))).trim().to_owned()
}

both_databases! {
    /// There are no default credentials and no way in over HTTP: the command line makes the first machine client, and
    /// can always make another.
    async fn mg_11_the_first_client_is_made_by_the_command_line(engine: Engine) {
        let site = Site::new(engine).await;
        let made = site.command(&["admin", "create-client", "--all-scopes"]);
        let another = site.command(&["admin", "create-client", "--name", "Reader", "--scopes", "read:clients,read:users"]);
        assert_ne!(printed(&made, "client_id"), printed(&another, "client_id"));
        assert_eq!(printed(&made, "audience"), "https://id.test/api/v2/");

        let server = site.serve();
        for (output, scopes) in [(&made, 100..1000), (&another, 2..3)] {
            let credentials = json!({
                "grant_type": "client_credentials",
                "client_id": printed(output, "client_id"),
                "client_secret": printed(output, "client_secret"),
                "audience": "https://id.test/api/v2/",
            });
            let header = "content-type: application/json\r\n";
            let token = server.json("POST", "/oauth/token", header, &credentials.to_string()).await;
            let granted = token["scope"].as_str().expect("a scope").split(' ').count();
            assert!(scopes.contains(&granted), "{token}");
            let header = format!("authorization: Bearer {}\r\n", token["access_token"].as_str().expect("a token"));
            assert_eq!(server.json("GET", "/api/v2/users", &header, "").await, json!([]));
        }
        let secrets = [&made, &another].map(|output| printed(output, "client_secret"));
        for line in server.log() {
            assert!(secrets.iter().all(|secret| !line.contains(secret.as_str())), "{line}");
            assert!(!line.contains("eyJ"), "{line}");
        }
    }

    async fn mg_11_a_fresh_server_has_no_way_in(engine: Engine) {
        let site = Site::new(engine).await;
        let server = site.serve();
        for path in ["/setup", "/install", "/bootstrap", "/admin", "/api/v2/setup", "/api/v2/doorward/bootstrap", "/dev", "/dev/clock", "/dev?token="] {
            for method in ["GET", "POST"] {
                let answer = server.ask(method, path, "", "").await;
                assert!(answer.starts_with("HTTP/1.1 404 "), "{method} {path}: {answer}");
            }
        }
        let grants = ["client_credentials", "password"];
        for (grant, name, secret) in grants.iter().flat_map(|grant| {
            ["admin", "Administration", "doorward", "m2m", ""].map(|name| (grant, name, "admin"))
        }) {
            let form = format!("grant_type={grant}&client_id={name}&client_secret={secret}&username=admin&password=admin");
            let header = "content-type: application/x-www-form-urlencoded\r\n";
            let answer = server.ask("POST", "/oauth/token", header, &form).await;
            assert!(answer.starts_with("HTTP/1.1 40"), "{form}: {answer}");
        }
    }

    /// The configured tenant has a client for its account page: people can sign in there from the start.
    async fn the_account_page_of_a_new_tenant_has_its_client(engine: Engine) {
        let site = Site::new(engine).await;
        let server = site.serve();
        let bare = server.ask("GET", "/", "", "").await.to_lowercase();
        assert!(bare.starts_with("http/1.1 307 ") && bare.contains("\r\nlocation: /account/\r\n"), "{bare}");
        let config = server.json("GET", "/account/config.json", "", "").await;
        assert_eq!((&config["domain"], &config["audience"]), (&json!("id.test"), &json!("https://id.test/api/v2/")));
        let query = format!(
            "client_id={}&response_type=code&redirect_uri=https%3A%2F%2Fid.test%2Faccount%2F&state=s&scope=openid\
             &code_challenge=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM&code_challenge_method=S256",
            config["client_id"].as_str().expect("a client")
        );
        let started = server.ask("GET", &format!("/authorize?{query}"), "", "").await;
        assert!(started.to_lowercase().contains("\r\nlocation: /u/login?state="), "{started}");
    }

    async fn a_command_says_which_tenants_there_are(engine: Engine) {
        let site = Site::with(&engine.database().await, "");
        let none = site.command(&["admin", "create-client", "--all-scopes"]);
        assert_eq!(complaint(&none), "doorward: there is no tenant yet: make one with `doorward admin create-tenant`\n");
        for issuer in ["https://one.test/", "https://two.test:8443"] {
            let made = site.command(&["admin", "create-tenant", "--issuer", issuer]);
            assert!(made.status.success(), "{}", complaint(&made));
        }
        let again = site.command(&["admin", "create-tenant", "--issuer", "https://one.test"]);
        assert_eq!(complaint(&again), "doorward: there is already a tenant at https://one.test/\n");
        let insecure = site.command(&["admin", "create-tenant", "--issuer", "http://three.test"]);
        assert!(complaint(&insecure).contains("must begin with https://"), "{}", complaint(&insecure));
        let which = site.command(&["admin", "create-client", "--all-scopes"]);
        assert_eq!(complaint(&which), "doorward: name one of the tenants with --tenant: one.test, two.test:8443\n");
        for name in ["two.test:8443", "two-test-8443"] {
            let made = site.command(&["admin", "create-client", "--tenant", name, "--scopes", "read:users"]);
            assert_eq!(printed(&made, "domain"), "two.test:8443");
        }
        let unknown = site.command(&["admin", "create-client", "--tenant", "one.test", "--scopes", "read:everything"]);
        assert_eq!(complaint(&unknown), "doorward: the Management API has no scope read:everything\n");
    }

    /// A further host answers, and its account page knows where it is.
    async fn a_tenant_is_given_a_further_host_and_loses_it(engine: Engine) {
        let site = Site::new(engine).await;
        let domain = |command: &str, issuer: &str| site.command(&["admin", command, "--issuer", issuer]);
        assert!(domain("add-domain", "https://login.test").status.success());
        let again = domain("add-domain", "https://login.test");
        assert_eq!(complaint(&again), "doorward: login.test is a host of the tenant id-test already\n");
        {
            let server = site.serve();
            let config = server.json("GET", "/account/config.json", "x-forwarded-host: login.test\r\n", "").await;
            assert_eq!((&config["domain"], &config["audience"]), (&json!("login.test"), &json!("https://id.test/api/v2/")));
        }
        let first = domain("remove-domain", "https://id.test");
        assert_eq!(complaint(&first), "doorward: id.test is the tenant's first host: its APIs are named after it\n");
        assert!(domain("remove-domain", "https://login.test").status.success());
        let unknown = domain("remove-domain", "https://login.test");
        assert_eq!(complaint(&unknown), "doorward: login.test is no host of the tenant id-test\n");
    }

    async fn keys_are_listed_rotated_and_revoked(engine: Engine) {
        let site = Site::new(engine).await;
        let list = || {
            let output = site.command(&["keys", "list"]);
            let text = String::from_utf8(output.stdout).expect("is text");
            let rows = text.lines().skip(1).map(|line| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>());
            rows.map(|row| (row[0].clone(), row[2].clone())).collect::<Vec<_>>()
        };
        // The configured tenant is made by whichever command comes first.
        let before = list();
        let states: Vec<&str> = before.iter().map(|(_, state)| state.as_str()).collect();
        assert_eq!(states, ["current", "next"]);
        assert!(site.command(&["keys", "rotate"]).status.success());
        let after = list();
        assert_eq!(after[0], (before[1].0.clone(), "current".into()));
        assert_eq!(after[2], (before[0].0.clone(), "previous".into()));
        let refused = site.command(&["keys", "revoke", &after[0].0]);
        assert_eq!(complaint(&refused), "doorward: only a previous key can be revoked\n");
        assert!(site.command(&["keys", "revoke", &before[0].0]).status.success());
        assert_eq!(list()[2], (before[0].0.clone(), "revoked".into()));
        let rewrapped = site.command(&["keys", "rewrap"]);
        assert!(rewrapped.status.success(), "{}", complaint(&rewrapped));
    }
}

/// On PostgreSQL the command line works beside running nodes: what it rotates and revokes counts there within seconds.
#[tokio::test]
async fn jw_07_a_running_node_follows_the_command_line() {
    let site = Site::new(Engine::Postgres).await;
    let made = site.command(&["admin", "create-client", "--scopes", "read:users"]);
    let server = site.serve();
    let form = format!(
        "grant_type=client_credentials&client_id={}&client_secret={}&audience=https%3A%2F%2Fid.test%2Fapi%2Fv2%2F",
        printed(&made, "client_id"),
        printed(&made, "client_secret")
    );
    let header = "content-type: application/x-www-form-urlencoded\r\n";
    let token = server.json("POST", "/oauth/token", header, &form).await;
    let header = format!("authorization: Bearer {}\r\n", token["access_token"].as_str().expect("a token"));
    let published = async || {
        let jwks = server.json("GET", "/.well-known/jwks.json", "", "").await;
        let keys = jwks["keys"].as_array().expect("is one").iter();
        keys.map(|key| key["kid"].as_str().expect("is text").to_owned()).collect::<Vec<_>>()
    };
    let [current, next] = <[String; 2]>::try_from(published().await).expect("two keys");

    assert!(site.command(&["keys", "rotate"]).status.success());
    while published().await.len() < 3 {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let kids = published().await;
    assert!(kids.contains(&current) && kids.contains(&next), "{kids:?}");
    assert_eq!(server.json("GET", "/api/v2/users", &header, "").await, json!([]));

    assert!(site.command(&["keys", "revoke", &current]).status.success());
    while published().await.contains(&current) {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let refused = server.ask("GET", "/api/v2/users", &header, "").await;
    assert!(refused.starts_with("HTTP/1.1 401 "), "{refused}");
}

//! `doorward doctor` finds what is wrong, says what to do, and changes nothing.

use std::fs;

use db::{Batch, Db, params};
use serde_json::json;

use crate::support::Engine;
use crate::support::binary::{Site, complaint};

/// Whether it ended well, and what it said.
fn examined(site: &Site) -> (bool, String) {
    let output = site.command(&["doctor"]);
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), complaint(&output));
    (output.status.success(), said)
}

fn lines<'a>(said: &'a str, kind: &str) -> Vec<&'a str> {
    said.lines().filter(|line| line.starts_with(kind)).collect()
}

both_databases! {
    async fn a_server_that_works_has_nothing_wrong(engine: Engine) {
        let site = Site::new(engine).await;
        let (well, said) = examined(&site);
        assert!(well, "{said}");
        assert!(site.command(&["keys", "list"]).status.success());
        let before = site.command(&["keys", "list"]).stdout;
        let (well, said) = examined(&site);
        assert!(well && said.contains("nothing is wrong"), "{said}");
        assert!(lines(&said, "WRONG").is_empty(), "{said}");
        for good in ["configuration: ", "master key: opens what is sealed", "database: answers, and its schema is up to date"] {
            assert!(said.contains(good), "{good}\n{said}");
        }
        assert!(said.contains("note   mail of id.test: no e-mail provider is configured"), "{said}");
        assert_eq!(site.command(&["keys", "list"]).stdout, before);
    }

    async fn codes_by_sms_without_a_gateway_are_noted(engine: Engine) {
        let database = engine.database().await;
        let site = Site::with(&database, "issuer = \"https://id.test/\"");
        assert!(site.command(&["keys", "list"]).status.success());
        assert!(!examined(&site).1.contains("SMS of"), "nobody wants them");
        let db = Db::open(&database).await.expect("opens");
        let mut batch = Batch::new();
        let doc = json!({ "factors": { "sms": true } });
        batch.execute("INSERT INTO guardian (tenant, doc, version) SELECT id, $1, 1 FROM tenants", params![doc]).expect(1);
        db.commit(batch).await.expect("writes");
        db.close().await;
        let (well, said) = examined(&site);
        let told = "note   SMS of id.test: the factor is enabled, and no connection of strategy sms names a gateway";
        assert!(well && said.contains(told), "{said}");
    }

    async fn another_master_key_is_found_out(engine: Engine) {
        let site = Site::new(engine).await;
        assert!(site.command(&["keys", "list"]).status.success());
        let key = site.directory.path().join("master.key");
        fs::remove_file(&key).expect("removes");
        let (well, said) = examined(&site);
        assert!(!well && said.contains("WRONG  master key: "), "{said}");
        assert!(crate::support::binary::run(&["keys", "new-master", &key.to_string_lossy()]).status.success());
        let (well, said) = examined(&site);
        assert!(!well && said.contains("WRONG  master key: it does not open what is sealed in the database"), "{said}");
        assert!(said.contains("doorward: 1 thing is wrong"), "{said}");
    }
}

#[tokio::test]
async fn what_is_wrong_is_told_with_what_to_do() {
    let site = Site::with("postgres://doorward@127.0.0.1:1/doorward", "issuer = \"https://id.test/\"");
    let (well, said) = examined(&site);
    assert!(!well && said.contains("WRONG  database: cannot connect"), "{said}");
    assert!(said.contains("is the address right, does the server answer"), "{said}");

    let site = Site::with("sqlite:doorward.db", "issuer = \"https://id.test/\"\nlisten_on = 1");
    let (well, said) = examined(&site);
    assert!(
        !well && said.contains("WRONG  configuration: ") && said.contains("unknown field `listen_on`"),
        "{said}"
    );
}

#[tokio::test]
async fn a_certificate_is_looked_at() {
    let tls = "issuer = \"https://id.test/\"\n[tls]\ncertificate = \"chain.pem\"\nkey = \"key.pem\"";
    let site = Site::with("sqlite:doorward.db", tls);
    let write = |name: &str, text: &str| fs::write(site.directory.path().join(name), text).expect("writes");
    let mut params = rcgen::CertificateParams::new(["id.test".to_owned()]).expect("parameters");
    let key = rcgen::KeyPair::generate().expect("a key");
    write("key.pem", &key.serialize_pem());
    write("chain.pem", &params.self_signed(&key).expect("signs").pem());
    let (well, said) = examined(&site);
    assert!(
        well && said.contains("note   TLS: the certificate is id.test's, and this machine does not trust"),
        "{said}"
    );
    let other = rcgen::KeyPair::generate().expect("a key");
    write("key.pem", &other.serialize_pem());
    let (well, said) = examined(&site);
    assert!(!well && said.contains("WRONG  TLS: `tls.key` does not fit"), "{said}");
    params.not_after = rcgen::date_time_ymd(2001, 1, 1);
    params.not_before = rcgen::date_time_ymd(2000, 1, 1);
    write("key.pem", &key.serialize_pem());
    write("chain.pem", &params.self_signed(&key).expect("signs").pem());
    let (well, said) = examined(&site);
    assert!(!well && said.contains("WRONG  TLS: the certificate has expired"), "{said}");
}

#[tokio::test]
async fn a_running_server_is_left_alone() {
    let site = Site::with("sqlite:doorward.db", "issuer = \"https://id.test/\"");
    let server = site.serve();
    let (well, said) = examined(&site);
    assert!(well && said.contains("note   database: the server runs and has it open"), "{said}");
    assert!(server.ask("GET", "/.well-known/jwks.json", "", "").await.starts_with("HTTP/1.1 200"));
}

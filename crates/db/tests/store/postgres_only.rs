//! What only PostgreSQL has: strict parameters, cut connections, deadlocks, other nodes' migrations, TLS.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use db::testing::Postgres;
use db::{Batch, Db, Error, Migration, Value, params};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use crate::{MIGRATIONS, Store, insert_token, insert_user, take};

#[tokio::test]
async fn a_parameter_of_another_kind_is_refused_by_name() {
    let store = Store::postgres().await;
    let cases: [(&'static str, Value, &str); 7] = [
        ("UPDATE users SET email = $1", Value::Int(1), "$1 is an integer where text is wanted"),
        ("UPDATE users SET logins = $1", Value::Text("1".into()), "$1 is a text where int8 is wanted"),
        ("UPDATE users SET blocked = $1", Value::Int(1), "$1 is an integer where bool is wanted"),
        ("UPDATE users SET logins = $1", Value::Bool(true), "$1 is a boolean where int8 is wanted"),
        ("UPDATE users SET doc = $1", Value::Text("{}".into()), "$1 is a text where json is wanted"),
        ("UPDATE users SET picture = $1", Value::Text("1".into()), "$1 is a text where bytea is wanted"),
        ("UPDATE users SET score = $1", Value::Int(1), "$1 is an integer where float8 is wanted"),
    ];
    for (sql, value, expected) in cases {
        let mut batch = Batch::new();
        batch.execute(sql, vec![value]);
        let text = store.db.commit(batch).await.unwrap_err().to_string();
        assert_eq!(text, format!("{expected}, in `{sql}`"));
    }
}

#[tokio::test]
async fn a_column_that_needs_a_cast_says_so() {
    let store = Store::postgres().await;
    store.add_user("a").await;
    let text = store.db.read("SELECT SUM(logins) FROM users", vec![]).await.unwrap_err().to_string();
    assert!(text.contains("numeric") && text.contains("needs a cast"), "{text}");
}

#[tokio::test]
async fn a_database_that_sorts_otherwise_is_refused() {
    let url = Postgres::database().await;
    let other =
        "CREATE DATABASE LOCALE LOCALE_PROVIDER icu ICU_LOCALE 'en-US' ENCODING 'UTF8' TEMPLATE template0";
    let (base, query) = url.split_once('?').unwrap_or((&url, ""));
    let (server, name) = base.rsplit_once('/').unwrap();
    let name = format!("{name}_icu");
    Postgres::execute(&url, &other.replace("DATABASE LOCALE", &format!("DATABASE {name}"))).await;
    let text = Db::open(&format!("{server}/{name}?{query}")).await.unwrap_err().to_string();
    assert!(text.starts_with("the database's collation is not C"), "{text}");
}

#[tokio::test]
async fn literals_are_prepared_once_and_built_text_is_not_kept() {
    let url = Store::postgres().await.url;
    let (base, _) = url.split_once('?').unwrap_or((&url, ""));
    let store = Store { db: Db::open(&format!("{base}?pool_size=1")).await.unwrap(), url };
    store.add_user("a").await;
    for _ in 0..5 {
        let mut batch = Batch::new();
        batch.guard("SELECT 1 FROM users WHERE id = $1", params!["a"]);
        batch.guard(String::from("SELECT 2 FROM users WHERE id = $1"), params!["a"]);
        batch.execute("UPDATE users SET logins = $1", params![1]).expect(1);
        batch.execute(String::from("UPDATE users SET logins = $1 + 0"), params![1]).expect(1);
        store.db.commit(batch).await.unwrap();
    }
    let sql =
        "SELECT statement FROM pg_prepared_statements WHERE statement NOT LIKE 'INSERT%' ORDER BY statement";
    let kept = take::<String>(store.db.read(sql, vec![]).await.unwrap());
    assert_eq!(kept, ["SELECT 1 FROM users WHERE id = $1 FOR SHARE", sql, "UPDATE users SET logins = $1"]);
}

/// Deadlocks are found at once here, so that the test is quick.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_deadlock_is_decided_anew() {
    let url = Postgres::database().await;
    let (base, _) = url.split_once('?').unwrap_or((&url, ""));
    let name = base.rsplit_once('/').unwrap().1;
    Postgres::execute(&url, &format!("ALTER DATABASE {name} SET deadlock_timeout = '5ms'")).await;
    let db = Db::open(&url).await.unwrap();
    db.migrate(&MIGRATIONS).await.unwrap();
    let store = Store { url, db };
    store.add_user("a").await;
    store.add_user("b").await;
    let mut writers = JoinSet::new();
    for writer in 0..4 {
        let db = store.db.clone();
        writers.spawn(async move {
            for _ in 0..20 {
                let both = if writer % 2 == 0 { ["a", "b"] } else { ["b", "a"] };
                let add = || async {
                    let mut batch = Batch::new();
                    for id in both {
                        let sql = "UPDATE users SET logins = logins + 1 WHERE id = $1";
                        batch.execute(sql, params![id]).expect(1);
                    }
                    Ok::<_, Error>((batch, ()))
                };
                db.retry(add).await.unwrap();
            }
        });
    }
    writers.join_all().await;
    let logins = store.db.read("SELECT logins FROM users", vec![]).await.unwrap();
    assert_eq!(take::<i64>(logins), [80, 80]);
}

static TEXT_LOGINS: [Migration; 2] = [
    MIGRATIONS[0],
    Migration {
        version: 2,
        name: "text",
        sqlite: "",
        postgres: "ALTER TABLE users ALTER COLUMN logins TYPE TEXT",
    },
];

#[tokio::test]
async fn a_migration_by_another_node_outdates_no_statement() {
    let store = Store::postgres().await;
    store.add_user("a").await;
    let sql = "SELECT logins FROM users WHERE id = $1";
    let update = "UPDATE users SET email = $1 RETURNING logins";
    let commit = || async {
        let mut batch = Batch::new();
        batch.execute(update, params!["x"]).expect(1);
        Ok::<_, Error>((batch, ()))
    };
    // Often enough for every connection of the pool to have prepared both.
    let db = &store.db;
    futures_util::future::join_all((0..32).map(|_| async { db.read(sql, params!["a"]).await.unwrap() }))
        .await;
    futures_util::future::join_all((0..8).map(|_| async { db.retry(commit).await.unwrap() })).await;
    Db::open(&store.url).await.unwrap().migrate(&TEXT_LOGINS).await.unwrap();
    for _ in 0..20 {
        assert_eq!(take::<String>(db.read(sql, params!["a"]).await.unwrap()), ["0"]);
        db.retry(commit).await.unwrap();
        let answers = db.snapshot(vec![(sql.into(), params!["a"])]).await.unwrap();
        assert_eq!(answers.len(), 1);
    }
}

/// Whether the server is the tests' own: what has to know its port or change its settings is left out otherwise.
fn is_private() -> bool {
    std::env::var_os("TEST_DATABASE_URL").is_none()
}

/// Writes while `cut` ends connections, and compares each answer with what is there.
async fn write_while_cut(db: Db, store: Store, cut: impl Future<Output = ()> + Send + 'static) {
    let stop = Arc::new(AtomicBool::new(false));
    let cutting = tokio::spawn(cut);
    let mut writers = JoinSet::new();
    for writer in 0..8 {
        let (db, stop) = (db.clone(), stop.clone());
        writers.spawn(async move {
            let mut answers = Vec::new();
            for step in 0.. {
                if stop.load(Ordering::Relaxed) {
                    break;
                }
                let id = format!("{writer} {step}");
                let mut batch = Batch::new();
                insert_user(&mut batch, &id);
                insert_token(&mut batch, &id, &id);
                answers.push((id, db.commit(batch).await));
            }
            answers
        });
    }
    cutting.await.unwrap();
    stop.store(true, Ordering::Relaxed);
    let mut wrote = 0;
    for (id, answer) in writers.join_all().await.into_iter().flatten() {
        let users = store.db.read("SELECT 1 FROM users WHERE id = $1", params![&id]).await.unwrap().len();
        let tokens = store.db.read("SELECT 1 FROM tokens WHERE id = $1", params![&id]).await.unwrap().len();
        assert_eq!(users, tokens, "{id} is there by half");
        match answer {
            Ok(_) => assert_eq!(users, 1, "{id} was acknowledged and is not there"),
            Err(Error::Retry) => assert_eq!(users, 0, "{id} is there though nothing was written"),
            Err(Error::Unknown) => {}
            Err(error) => panic!("{id}: {error:?}"),
        }
        wrote += users;
    }
    assert!(wrote > 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_terminated_connection_never_lies() {
    let store = Store::postgres().await;
    let db = Db::open(&store.url).await.unwrap();
    let other = store.db.clone();
    let cut = async move {
        for _ in 0..30 {
            let sql = "SELECT CAST(COUNT(pg_terminate_backend(pid)) AS BIGINT) FROM pg_stat_activity \
                       WHERE datname = current_database() AND pid <> pg_backend_pid() AND query LIKE $1";
            for kind in ["INSERT%", "COMMIT%", "BEGIN%"] {
                other.read(sql, params![kind]).await.unwrap();
                tokio::task::yield_now().await;
            }
        }
    };
    write_while_cut(db, store, cut).await;
}

/// The same when the connection breaks without a word: through a proxy that forgets them all now and then.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_cut_connection_never_lies() {
    if !is_private() {
        return;
    }
    let store = Store::postgres().await;
    let port: i64 = store.one("SELECT CAST(current_setting('port') AS BIGINT)", vec![]).await;
    let server = format!("127.0.0.1:{port}");
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let proxy = listener.local_addr().unwrap();
    let (cut, _) = tokio::sync::broadcast::channel::<()>(1);
    let cutter = cut.clone();
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let (server, mut cut) = (server.clone(), cut.subscribe());
            tokio::spawn(async move {
                let server = TcpStream::connect(server).await.unwrap();
                tokio::select! {
                    () = forward(client, server) => {}
                    _ = cut.recv() => {}
                }
            });
        }
    });
    let (base, _) = store.url.split_once('?').unwrap_or((&store.url, ""));
    let name = base.rsplit_once('/').unwrap().1;
    let db = Db::open(&format!("postgres://doorward@{proxy}/{name}?pool_size=8")).await.unwrap();
    let counter = store.db.clone();
    let cut = async move {
        for round in 1..=20 {
            // A few more rows each time, so that the cut falls anywhere.
            let enough = |mut row: db::Row| row.take::<i64>().unwrap() > round * 13;
            while !enough(counter.read_one("SELECT COUNT(*) FROM users", vec![]).await.unwrap().unwrap()) {}
            let _ = cutter.send(());
        }
    };
    write_while_cut(db, store, cut).await;
}

async fn forward(client: TcpStream, server: TcpStream) {
    let ((mut from_client, mut to_client), (mut from_server, mut to_server)) =
        (client.into_split(), server.into_split());
    tokio::select! {
        () = copy(&mut from_client, &mut to_server) => {}
        () = copy(&mut from_server, &mut to_client) => {}
    }
}

async fn copy(from: &mut (impl AsyncReadExt + Unpin), to: &mut (impl AsyncWriteExt + Unpin)) {
    let mut buffer = vec![0; 4096];
    while let Ok(read @ 1..) = from.read(&mut buffer).await {
        if to.write_all(&buffer[..read]).await.is_err() {
            return;
        }
    }
}

/// A certificate authority, and a certificate and key for `localhost` that it has signed, as PEM.
fn certificates() -> (String, String, String) {
    let mut authority = rcgen::CertificateParams::new(vec![]).unwrap();
    authority.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let authority_key = rcgen::KeyPair::generate().unwrap();
    let authority_certificate = authority.self_signed(&authority_key).unwrap().pem();
    let issuer = rcgen::Issuer::new(authority, authority_key);
    let key = rcgen::KeyPair::generate().unwrap();
    let certificate =
        rcgen::CertificateParams::new(vec!["localhost".into()]).unwrap().signed_by(&key, &issuer).unwrap();
    (authority_certificate, certificate.pem(), key.serialize_pem())
}

#[tokio::test]
async fn tls_verifies_the_certificate_and_its_name() {
    if !is_private() {
        return;
    }
    let store = Store::postgres().await;
    let directory: String = store.one("SELECT current_setting('data_directory')", vec![]).await;
    let port: i64 = store.one("SELECT CAST(current_setting('port') AS BIGINT)", vec![]).await;
    let (authority, certificate, key) = certificates();
    let owner = std::os::unix::fs::MetadataExt::uid(&std::fs::metadata(&directory).unwrap());
    for (name, text) in [("server.crt", &certificate), ("server.key", &key)] {
        let path = format!("{directory}/{name}");
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
        std::os::unix::fs::chown(&path, Some(owner), None).unwrap();
    }
    let here = store.url.split_once('?').unwrap_or((&store.url, "")).0;
    let name = here.rsplit_once('/').unwrap().1;
    let roots = |pem: &str| {
        let path = db::testing::sqlite().replace("sqlite:", "") + ".pem";
        std::fs::write(&path, pem).unwrap();
        path
    };
    let (ours, anothers) = (roots(&authority), roots(&certificates().0));
    let open = async |host: &str, rest: &str| {
        Db::open(&format!("postgres://doorward@{host}:{port}/{name}?{rest}")).await
    };

    let plain =
        open("localhost", &format!("sslmode=require&sslrootcert={ours}")).await.unwrap_err().to_string();
    assert!(plain.contains("server does not support TLS"), "{plain}");
    Postgres::execute(&store.url, "ALTER SYSTEM SET ssl = on").await;
    while store.one::<String>("SELECT current_setting('ssl')", vec![]).await != "on" {
        Postgres::execute(&store.url, "SELECT pg_reload_conf()").await;
    }

    for mode in ["require", "verify-full"] {
        let db = open("localhost", &format!("sslmode={mode}&sslrootcert={ours}")).await.unwrap();
        let ssl = "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()";
        assert!(db.read_one(ssl, vec![]).await.unwrap().unwrap().take::<bool>().unwrap());
    }
    let stranger =
        open("localhost", &format!("sslmode=require&sslrootcert={anothers}")).await.unwrap_err().to_string();
    assert!(stranger.contains("invalid peer certificate"), "{stranger}");
    let misnamed =
        open("127.0.0.1", &format!("sslmode=require&sslrootcert={ours}")).await.unwrap_err().to_string();
    assert!(misnamed.contains("not valid for name"), "{misnamed}");
    open("localhost", "sslmode=disable").await.unwrap();
    for nothing in ["/nowhere.pem", "/dev/null"] {
        assert!(open("localhost", &format!("sslmode=require&sslrootcert={nothing}")).await.is_err());
    }
}

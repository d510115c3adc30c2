//! Spans, as a collector gets them. `make otel` builds the feature and runs this.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use model::jose::Algorithm;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::running::free_address;
use crate::support::Engine;
use crate::support::binary::{Server, Site, complaint};
use crate::support::client_key::ClientKey;

const JSON: &str = "content-type: application/json\r\n";

/// A span as it came: ids in hexadecimal.
#[derive(Clone, Debug, Default)]
struct Span {
    trace: String,
    id: String,
    parent: String,
    name: String,
    kind: u64,
    attributes: BTreeMap<String, String>,
}

impl Span {
    fn has(&self, name: &str, value: &str) -> bool {
        self.attributes.get(name).is_some_and(|found| found == value)
    }
}

/// A head in lower case, and a body.
type Post = (String, Vec<u8>);

/// Something that takes spans.
struct Collector {
    address: std::net::SocketAddr,
    came: Arc<Mutex<Vec<Post>>>,
}

impl Collector {
    async fn open() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("bound");
        let came = Arc::<Mutex<Vec<Post>>>::default();
        let seen = came.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                if let Some(request) = take(stream).await {
                    seen.lock().expect("nobody panics").push(request);
                }
            }
        });
        Self { address, came }
    }

    fn table(&self, lines: &str) -> String {
        format!("[traces]\ncollector = \"http://{}/v1/traces\"\n{lines}", self.address)
    }

    fn came(&self) -> Vec<Post> {
        self.came.lock().expect("nobody panics").clone()
    }

    fn spans(&self) -> Vec<Span> {
        let mut spans = Vec::new();
        for (_, body) in self.came() {
            for resource in within(&body, 1) {
                for scope in within(&resource, 2) {
                    spans.extend(within(&scope, 2).into_iter().map(span));
                }
            }
        }
        spans
    }
}

/// One request, which is answered well.
async fn take(mut stream: TcpStream) -> Option<(String, Vec<u8>)> {
    let mut bytes = Vec::new();
    loop {
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
        let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else { continue };
        let head = String::from_utf8_lossy(&bytes[..end]).to_lowercase();
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: "))?;
        let length: usize = length.parse().ok()?;
        if bytes.len() >= end + 4 + length {
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await.ok()?;
            return Some((head, bytes.split_off(end + 4)));
        }
    }
}

/// The fields of a message of Protocol Buffers: their numbers and their bytes; those of a number are its own, in little endian.
fn fields(mut bytes: &[u8]) -> Vec<(u64, Vec<u8>)> {
    let varint = |bytes: &mut &[u8]| {
        let (mut value, mut shift) = (0_u64, 0);
        loop {
            let (byte, rest) = bytes.split_first().expect("it is whole");
            *bytes = rest;
            value |= u64::from(byte & 0x7f) << shift;
            shift += 7;
            if byte & 0x80 == 0 {
                return value;
            }
        }
    };
    let mut fields = Vec::new();
    while !bytes.is_empty() {
        let tag = varint(&mut bytes);
        let length = match tag & 7 {
            0 => {
                fields.push((tag >> 3, varint(&mut bytes).to_le_bytes().to_vec()));
                continue;
            }
            1 => 8,
            5 => 4,
            2 => usize::try_from(varint(&mut bytes)).expect("it is short"),
            other => panic!("wire type {other}"),
        };
        let (value, rest) = bytes.split_at(length);
        fields.push((tag >> 3, value.to_vec()));
        bytes = rest;
    }
    fields
}

fn within(bytes: &[u8], number: u64) -> Vec<Vec<u8>> {
    fields(bytes).into_iter().filter(|field| field.0 == number).map(|field| field.1).collect()
}

fn span(bytes: Vec<u8>) -> Span {
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("is text");
    let number = |bytes: Vec<u8>| u64::from_le_bytes(bytes.try_into().expect("is a number"));
    let mut span = Span::default();
    for (field, value) in fields(&bytes) {
        match field {
            1 => span.trace = hex(&value),
            2 => span.id = hex(&value),
            4 => span.parent = hex(&value),
            5 => span.name = text(value),
            6 => span.kind = number(value),
            9 => {
                let name = text(within(&value, 1).remove(0));
                let (kind, value) = fields(&within(&value, 2).remove(0)).remove(0);
                let value = if kind == 1 { text(value) } else { number(value).to_string() };
                span.attributes.insert(name, value);
            }
            _ => {}
        }
    }
    span
}

/// The headers of a machine client that may do everything.
async fn admin(site: &Site, server: &Server) -> String {
    let made = site.command(&["admin", "create-client", "--all-scopes"]);
    let printed = String::from_utf8(made.stdout).expect("is text");
    let value = |name: &str| {
        let line = printed.lines().find_map(|line| line.strip_prefix(name));
        line.unwrap_or_else(|| panic!("no {name}")).trim().to_owned()
    };
    let credentials = json!({ "grant_type": "client_credentials", "client_id": value("client_id"),
        "client_secret": value("client_secret"), "audience": value("audience") });
    let token = server.json("POST", "/oauth/token", JSON, &credentials.to_string()).await;
    format!("{JSON}authorization: Bearer {}\r\n", token["access_token"].as_str().expect("a token"))
}

/// Has the server ask for the keys of a client that publishes them where nobody listens.
async fn call_elsewhere(server: &Server, admin: &str) {
    let on = json!({ "flags": { "enable_dynamic_client_registration": true } });
    server.json("PATCH", "/api/v2/tenants/settings", admin, &on.to_string()).await;
    let metadata = json!({ "client_name": "Theirs", "redirect_uris": ["https://theirs.test/cb"],
        "token_endpoint_auth_method": "private_key_jwt", "jwks_uri": format!("https://{}/hushed-path?hushed-query", free_address()) });
    let made = server.json("POST", "/oidc/register", JSON, &metadata.to_string()).await;
    let now = model::Clock::system().now().seconds();
    let claims = json!({ "iss": made["client_id"], "sub": made["client_id"], "aud": "https://id.test/", "jti": "1",
        "iat": now, "exp": now + 60 });
    let assertion = ClientKey::number(0).sign(Algorithm::RS256, "JWT", Some("first"), &claims);
    let body = json!({ "token": "v1.x", "client_assertion": assertion,
        "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer" });
    let refused = server.json("POST", "/oauth/revoke", JSON, &body.to_string()).await;
    assert_eq!(refused["error"], "invalid_client", "{refused} {made}");
}

both_databases_at_once! {
    /// A request is a span, with what it asked of the database, hashed and asked elsewhere inside; and nothing is there that only its
    /// caller may know.
    async fn a_request_is_traced_without_what_it_holds(engine: Engine) {
        let collector = Collector::open().await;
        let lines = "headers = { x-key = \"hushed-key\" }";
        let lines = format!("issuer = \"https://id.test/\"\n[outbound]\nallow = [\"127.0.0.1\"]\n{}", collector.table(lines));
        let site = Site::with(&engine.database().await, &lines);
        let server = site.serve();
        let forwarded = "x-forwarded-proto: https\r\nx-forwarded-for: 198.51.100.77\r\nuser-agent: hushed-agent\r\n\
                         traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\r\n";
        let unknown = server.ask("GET", "/api/v2/users/auth0%7Chushed-user?fields=hushed-field", forwarded, "").await;
        assert!(unknown.starts_with("HTTP/1.1 401"), "{unknown}");
        assert!(server.ask("HUSHED", "/hushed-path", forwarded, "").await.starts_with("HTTP/1.1 4"));
        server.terminate();
        assert_eq!(server.wait().code(), Some(0));

        let spans = collector.spans();
        let request = |name: &str| spans.iter().find(|span| span.name == name).unwrap_or_else(|| panic!("no {name}: {spans:#?}"));
        let users = request("GET /api/v2/users/{id}");
        assert_eq!((users.kind, &*users.parent), (2, ""), "{users:?}");
        assert!(users.has("http.route", "/api/v2/users/{id}") && users.has("http.request.method", "GET"), "{users:?}");
        assert!(users.has("http.response.status_code", "401"), "{users:?}");
        assert!(users.attributes.contains_key("doorward.request_id"), "{users:?}");
        assert_ne!(users.trace, "0af7651916cd43dd8448eb211c80319c", "a caller decides nothing");
        let read = spans.iter().find(|span| span.parent == users.id && span.name == "read");
        let read = read.unwrap_or_else(|| panic!("{spans:#?}"));
        assert_eq!(read.trace, users.trace);
        assert!(read.attributes["db.query.text"].starts_with("SELECT "), "{read:?}");
        assert!(read.has("db.system.name", if engine == Engine::Sqlite { "sqlite" } else { "postgresql" }), "{read:?}");
        assert!(request("_OTHER").has("http.response.status_code", "404"), "{spans:#?}");
        // What looks into the database beside the requests begins no trace.
        assert!(spans.iter().all(|span| !span.parent.is_empty() || span.kind != 1), "{spans:#?}");
        assert_nothing_hushed(&collector);
    }
}

fn assert_nothing_hushed(collector: &Collector) {
    let came = collector.came();
    assert!(!came.is_empty());
    for (head, body) in came {
        assert!(head.starts_with("post /v1/traces http/1.1"), "{head}");
        assert!(head.contains("content-type: application/x-protobuf"), "{head}");
        assert!(head.contains("x-key: hushed-key"), "{head}");
        let body = String::from_utf8_lossy(&body);
        for kept in ["hushed", "HUSHED", "198.51.100.77", "correct horse", "eyJ"] {
            assert!(!body.contains(kept), "{kept} in {body}");
        }
    }
}

/// What a user's making, a sign-in and a call to elsewhere leave.
#[tokio::test(flavor = "multi_thread")]
async fn hashes_commits_and_calls_are_in_the_trace_of_their_request() {
    let collector = Collector::open().await;
    let lines = format!(
        "issuer = \"https://id.test/\"\n[outbound]\nallow = [\"127.0.0.1\"]\n{}",
        collector.table("headers = { x-key = \"hushed-key\" }")
    );
    let site = Site::with(&Engine::Postgres.database().await, &lines);
    let server = site.serve();
    let admin = admin(&site, &server).await;
    let user = json!({ "connection": "Username-Password-Authentication", "email": "hushed@example.com",
        "password": "correct horse battery 9" });
    let made = server.json("POST", "/api/v2/users", &admin, &user.to_string()).await;
    assert_eq!(made["email"], "hushed@example.com", "{made}");
    call_elsewhere(&server, &admin).await;
    server.terminate();
    assert_eq!(server.wait().code(), Some(0));

    let spans = collector.spans();
    let one = |what: &str, found: &dyn Fn(&Span) -> bool| {
        spans.iter().find(|span| found(span)).unwrap_or_else(|| panic!("no {what}: {spans:#?}")).clone()
    };
    let made = one("request", &|span| span.name == "POST /api/v2/users");
    let password = one("password", &|span| span.name == "password" && span.parent == made.id);
    assert!(password.attributes.contains_key("doorward.waiting"), "{password:?}");
    one("hash", &|span| span.name == "hash" && span.parent == password.id);
    let commit = one("commit", &|span| span.name == "commit" && span.parent == made.id);
    assert!(commit.attributes["db.query.text"].contains("INSERT INTO users"), "{commit:?}");
    assert!(commit.attributes["db.operation.batch.size"].parse::<u64>().expect("a number") > 2, "{commit:?}");
    let revoked = one("request", &|span| span.name == "POST /oauth/revoke");
    let call = one("call", &|span| span.name == "GET" && span.kind == 3 && span.trace == revoked.trace);
    assert!(call.has("server.address", "127.0.0.1") && call.has("error.type", "failed"), "{call:?}");
    assert_nothing_hushed(&collector);
}

/// A proxy that begins traces decides which requests are traced, where the operator says so; what others send counts for nothing.
#[tokio::test(flavor = "multi_thread")]
async fn a_trusted_proxy_begins_traces_where_the_operator_says_so() {
    let collector = Collector::open().await;
    let table = collector.table("share = 0.0\nfrom_proxies = true");
    let site = Site::with("sqlite:doorward.db", &format!("issuer = \"https://id.test/\"\n{table}"));
    let server = site.serve();
    let told = |flags: &str| {
        format!("traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-{flags}\r\n")
    };
    for headers in ["".to_owned(), told("00"), told("01"), "traceparent: nonsense\r\n".into()] {
        let answer = server.ask("GET", "/.well-known/jwks.json", &headers, "").await;
        assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
    }
    server.terminate();
    assert_eq!(server.wait().code(), Some(0));
    let spans = collector.spans();
    let requests: Vec<&Span> = spans.iter().filter(|span| span.kind == 2).collect();
    let [one] = requests[..] else { panic!("{spans:#?}") };
    assert_eq!((&*one.trace, &*one.parent), ("0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"));
}

/// A collector that is away costs a line in the log, and nothing else.
#[tokio::test(flavor = "multi_thread")]
async fn a_collector_that_is_away_is_told_of_once() {
    let lines =
        format!("issuer = \"https://id.test/\"\n[traces]\ncollector = \"http://{}/\"", free_address());
    let site = Site::with("sqlite:doorward.db", &lines);
    let server = site.serve();
    assert!(server.ask("GET", "/.well-known/jwks.json", "", "").await.starts_with("HTTP/1.1 200 OK"));
    server.logs("the collector does not take traces");
    assert!(server.ask("GET", "/.well-known/jwks.json", "", "").await.starts_with("HTTP/1.1 200 OK"));
    server.terminate();
    assert_eq!(server.wait().code(), Some(0));

    let examined = site.command(&["doctor"]);
    let said = String::from_utf8(examined.stdout).expect("is text");
    assert!(said.contains("WRONG  traces: the collector does not take them: cannot connect"), "{said}");
    let collector = Collector::open().await;
    let lines = format!("issuer = \"https://id.test/\"\n{}", collector.table(""));
    let site = Site::with("sqlite:doorward.db", &lines);
    let examined = site.command(&["doctor"]);
    let said = String::from_utf8(examined.stdout.clone()).expect("is text");
    assert!(examined.status.success() && said.contains("ok     traces: the collector takes them"), "{said}");
}

#[test]
fn settings_that_cannot_be_are_refused() {
    let good = "collector = \"http://127.0.0.1:4318/v1/traces\"\n";
    for (lines, expected) in [
        ("share = 0.5".to_owned(), "`traces.collector` is missing: write the collector's address"),
        ("collector = \"hunter2\"".into(), "`traces.collector` is no address: write"),
        ("collector = \"https://user:hunter2@c.test/\"".into(), "`traces.collector` is no address: write"),
        (format!("{good}share = 2.0"), "`traces.share` is not a number from 0 to 1: 2"),
        (
            format!("{good}headers = {{ \"a b\" = \"hunter2\" }}"),
            "`traces.headers` cannot hold \"a b\" as it stands",
        ),
        (format!("{good}other = 1"), "unknown field `other`"),
    ] {
        let site =
            Site::with("sqlite:doorward.db", &format!("issuer = \"https://id.test/\"\n[traces]\n{lines}"));
        let refused = site.command(&["serve"]);
        let said = complaint(&refused);
        assert!(refused.status.code() == Some(1) && said.contains(expected), "{lines}: {said}");
        assert!(!said.contains("hunter2"), "{said}");
    }
}

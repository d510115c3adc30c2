//! The built program, running: under `serve`, on a database of its own, behind a trusted proxy that is us. The crash
//! tests and the benchmark share it.

pub mod http;
pub mod rows;

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::{ClientConfig, RootCertStore};
use serde_json::{Value, json};

use http::{Connection, request};

/// The issuer's host.
pub const HOST: &str = "bench.test";
/// The API whose tokens are signed with ES256.
pub const ES256_API: &str = "https://es256.bench.test";
/// The password of everybody here.
pub const PASSWORD: &str = "correct horse battery 9";

/// A running server and what is set up in it.
pub struct Program {
    child: Child,
    directory: PathBuf,
    binary: PathBuf,
    /// Where it listens.
    pub address: SocketAddr,
    /// A machine client with every Management scope.
    pub machine: (String, String),
    /// The public client.
    pub spa: String,
    /// Who is signed in: one person at first.
    pub people: Vec<Person>,
}

/// Somebody who is signed in.
pub struct Person {
    /// The user's id.
    pub user: String,
    /// The cookies of their browser.
    pub cookies: String,
    /// A current-user token of theirs.
    pub token: String,
}

impl Person {
    /// Their own path of the Management API.
    pub fn path(&self) -> String {
        format!("/api/v2/users/{}", self.user.replace('|', "%7C"))
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}

/// Another node of a [`Program`].
pub struct Node {
    child: Child,
    /// Where it listens.
    pub address: SocketAddr,
}

impl Node {
    /// The process.
    #[allow(dead_code, reason = "a bench asks for it")]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Sends JSON to a node and takes JSON.
pub async fn json_at(
    address: SocketAddr,
    method: &str,
    path: &str,
    bearer: Option<&str>,
    body: &Value,
) -> (u16, Value) {
    let authorization = bearer.map(|token| format!("Bearer {token}"));
    let mut headers = vec![("content-type", "application/json")];
    headers.extend(authorization.as_deref().map(|value| ("authorization", value)));
    let body = if body.is_null() { String::new() } else { body.to_string() };
    let mut connection = Connection::open(address).await.expect("the server accepts connections");
    let (status, _, body) =
        connection.call(&request(method, path, &headers, &body)).await.expect("an answer");
    (status, serde_json::from_slice(&body).unwrap_or_default())
}

/// A free address of the loopback interface.
pub fn free_address() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback has free ports");
    listener.local_addr().expect("a bound socket has an address")
}

impl Program {
    /// Starts `binary` on a new database and sets up an API, clients and a signed-in user.
    pub async fn start(binary: &Path, directory: PathBuf, database: Option<&str>) -> Self {
        std::fs::create_dir_all(&directory).expect("the directory can be made");
        let address = free_address();
        let database =
            database.map_or_else(|| format!("sqlite:{}/doorward.db", directory.display()), str::to_owned);
        let key = directory.join("master.key");
        let config = directory.join("doorward.toml");
        let text = format!(
            "database = \"{database}\"\nlisten = \"{address}\"\nissuer = \"https://{HOST}/\"\n\
             trusted_proxies = [\"127.0.0.1\"]\nmaster_key_file = \"{}\"\nlog = \"error\"\n\
             [self_service]\ncalls_per_second = 0\nburst = 0\n",
            key.display()
        );
        std::fs::write(&config, text).expect("the configuration can be written");
        let output = doorward(binary, &["keys", "new-master", key.to_str().unwrap_or_default()]);
        assert!(key.exists(), "no master key: {output}");
        let output =
            doorward(binary, &["admin", "create-client", "--config", &path(&config), "--all-scopes"]);
        let printed = |name: &str| {
            let line = output.lines().find_map(|line| line.strip_prefix(name));
            line.unwrap_or_else(|| panic!("{name} in {output}")).trim().to_owned()
        };
        let machine = (printed("client_id"), printed("client_secret"));
        let child = serve(binary, &config);
        let mut program = Self {
            child,
            directory,
            binary: binary.to_owned(),
            address,
            machine,
            spa: String::new(),
            people: Vec::new(),
        };
        program.ready().await;
        program.set_up().await;
        program
    }

    /// The process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Where its database is, if it is SQLite's.
    pub fn database(&self) -> String {
        format!("sqlite:{}/doorward.db", self.directory.display())
    }

    /// Ends the process at once, as a power cut would: SIGKILL.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Asks the process to stop, and waits for it: whether it ended with 0.
    pub fn terminate(&mut self) -> bool {
        let asked = Command::new("kill").args(["-TERM", &self.pid().to_string()]).status();
        assert!(asked.is_ok_and(|status| status.success()), "the process takes signals");
        self.child.wait().is_ok_and(|status| status.success())
    }

    /// Kills the process, starts it again on the same database, and says how long it took until it answered.
    pub async fn restart(&mut self) -> Duration {
        self.kill();
        self.start_again().await
    }

    /// Starts a process that has ended on the same database, and says how long it took until it answered.
    pub async fn start_again(&mut self) -> Duration {
        let begun = Instant::now();
        self.child = serve(&self.binary, &self.directory.join("doorward.toml"));
        self.ready().await;
        begun.elapsed()
    }

    /// Kills the process and starts it again as one that ends TLS itself. Answers what a client trusts it by.
    pub async fn restart_with_tls(&mut self) -> Arc<ClientConfig> {
        self.kill();
        let made = rcgen::generate_simple_self_signed([HOST.to_owned()]).expect("a certificate is made");
        let (certificate, key) = (self.directory.join("tls.pem"), self.directory.join("tls-key.pem"));
        std::fs::write(&certificate, made.cert.pem()).expect("the certificate can be written");
        std::fs::write(&key, made.signing_key.serialize_pem()).expect("the key can be written");
        let config = self.directory.join("doorward.toml");
        let text = std::fs::read_to_string(&config).expect("the configuration is there");
        let (plain, sections) =
            text.split_once("[self_service]").expect("the configuration is that of start()");
        let plain = plain.replace("trusted_proxies = [\"127.0.0.1\"]\n", "");
        let (certificate, key) = (path(&certificate), path(&key));
        let text = format!(
            "{plain}[tls]\ncertificate = \"{certificate}\"\nkey = \"{key}\"\n[self_service]{sections}"
        );
        std::fs::write(&config, text).expect("the configuration can be written");
        self.child = serve(&self.binary, &config);
        self.ready().await;
        let mut roots = RootCertStore::empty();
        roots.add(made.cert.der().clone()).expect("the certificate is one");
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("the provider knows them");
        Arc::new(config.with_root_certificates(roots).with_no_client_auth())
    }

    /// Copies the SQLite database, while the server works, into a file of this name beside it.
    pub async fn backup(&self, name: &str) {
        let (config, file) = (path(&self.directory.join("doorward.toml")), path(&self.directory.join(name)));
        let binary = self.binary.clone();
        let copy = move || doorward(&binary, &["backup", "--config", &config, &file]);
        tokio::task::spawn_blocking(copy).await.expect("the backup is made");
    }

    /// Another node on the same database and with the same master key.
    pub async fn another_node(&self) -> Node {
        self.another_node_with(&[]).await
    }

    /// The same with further settings.
    pub async fn another_node_with(&self, settings: &[(&str, &str)]) -> Node {
        let address = free_address();
        let config = self.directory.join("doorward.toml");
        let mut command = command(&self.binary, &config);
        let child =
            command.envs(settings.iter().copied()).env("DOORWARD_LISTEN", address.to_string()).spawn();
        let node = Node { child: child.expect("the binary starts"), address };
        for _ in 0..30_000 {
            if TcpStream::connect(address).is_ok() {
                return node;
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        panic!("the node does not answer");
    }

    async fn ready(&mut self) {
        for _ in 0..30_000 {
            if TcpStream::connect(self.address).is_ok() {
                return;
            }
            assert!(self.child.try_wait().ok().flatten().is_none(), "the server ended early");
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        panic!("the server does not answer");
    }

    /// Sends JSON and takes JSON.
    pub async fn json(&self, method: &str, path: &str, bearer: Option<&str>, body: &Value) -> (u16, Value) {
        json_at(self.address, method, path, bearer, body).await
    }

    /// A token of the machine client, with every Management scope.
    pub async fn admin_token(&self) -> String {
        let body = json!({ "grant_type": "client_credentials", "client_id": self.machine.0,
            "client_secret": self.machine.1, "audience": format!("https://{HOST}/api/v2/") });
        let (_, answer) = self.json("POST", "/oauth/token", None, &body).await;
        text_of(&answer, "access_token")
    }

    /// A code from a silent `/authorize` of the signed-in browser.
    pub async fn code(&self, scope: &str) -> String {
        let path =
            format!("/authorize?{}&prompt=none", self.authorize_query("https://api.bench.test", scope));
        let bytes = request("GET", &path, &[("cookie", &self.people[0].cookies)], "");
        let mut connection = Connection::open(self.address).await.expect("the server accepts connections");
        let (_, headers, _) = connection.call(&bytes).await.expect("an answer");
        let to = location(&headers);
        let code = to.split("code=").nth(1).and_then(|rest| rest.split('&').next());
        code.unwrap_or_else(|| panic!("no code in {to}")).to_owned()
    }

    /// The body that exchanges a code of [`Program::code`].
    pub fn code_exchange(&self, code: &str) -> Value {
        json!({ "grant_type": "authorization_code", "client_id": self.spa, "code": code,
                "code_verifier": VERIFIER, "redirect_uri": "https://app.bench.test/cb" })
    }

    async fn set_up(&mut self) {
        let admin = self.admin_token().await;
        let create = async |path: &str, body: Value| {
            let (status, answer) = self.json("POST", path, Some(&admin), &body).await;
            assert_eq!(status, 201, "{path}: {answer}");
            answer
        };
        create(
            "/api/v2/resource-servers",
            json!({ "identifier": "https://api.bench.test", "allow_offline_access": true,
                    "skip_consent_for_verifiable_first_party_clients": true,
                    "scopes": [{ "value": "read:things" }] }),
        )
        .await;
        let rotating = json!({ "rotation_type": "rotating", "expiration_type": "expiring", "leeway": 0,
            "token_lifetime": 2_592_000, "idle_token_lifetime": 1_296_000, "infinite_token_lifetime": false,
            "infinite_idle_token_lifetime": false });
        let spa = create(
            "/api/v2/clients",
            json!({ "name": "Bench app", "app_type": "spa", "token_endpoint_auth_method": "none",
                    "callbacks": ["https://app.bench.test/cb"], "refresh_token": rotating, "oidc_conformant": true,
                    "grant_types": ["authorization_code", "implicit", "refresh_token"] }),
        )
        .await;
        let spa = text_of(&spa, "client_id");
        let (_, connections) = self.json("GET", "/api/v2/connections", Some(&admin), &Value::Null).await;
        let connection = text_of(&connections[0], "id");
        let enable = json!([{ "client_id": spa, "status": true }]);
        let path = format!("/api/v2/connections/{connection}/clients");
        assert_eq!(self.json("PATCH", &path, Some(&admin), &enable).await.0, 204);
        self.spa = spa;
        self.invite(1).await;
    }

    /// Makes an API whose tokens are signed with ES256, and lets the machine have some.
    #[allow(dead_code, reason = "a bench asks for it")]
    pub async fn add_es256_api(&self) {
        let admin = self.admin_token().await;
        let api = json!({ "identifier": ES256_API, "signing_alg": "ES256", "scopes": [{ "value": "read:things" }] });
        let grant = json!({ "client_id": self.machine.0, "audience": ES256_API, "scope": ["read:things"] });
        for (path, body) in [("/api/v2/resource-servers", api), ("/api/v2/client-grants", grant)] {
            let (status, answer) = self.json("POST", path, Some(&admin), &body).await;
            assert_eq!(status, 201, "{path}: {answer}");
        }
    }

    /// Makes people and signs them in until there are `count`.
    pub async fn invite(&mut self, count: usize) {
        let admin = self.admin_token().await;
        for place in self.people.len()..count {
            let email = address_of(place);
            let body = json!({ "connection": "Username-Password-Authentication", "email": email,
                "password": PASSWORD, "user_metadata": { "color": "teal" } });
            let (status, answer) = self.json("POST", "/api/v2/users", Some(&admin), &body).await;
            assert_eq!(status, 201, "{answer}");
            let cookies = self.sign_in(&email).await;
            let token = self.current_user_token(&cookies).await;
            self.people.push(Person { user: text_of(&answer, "user_id"), cookies, token });
        }
    }

    /// Signs somebody in with the page's own form, and keeps the cookies.
    async fn sign_in(&self, email: &str) -> String {
        let (mut browser, form) = self.open_login(email).await;
        let next = browser.post("/u/login", &form).await;
        let end = browser.go(&next).await;
        assert!(end.contains("code="), "the sign-in ended at {end}");
        browser.cookies.join("; ")
    }

    /// A browser at the login page, and what its form sends for somebody with the right password.
    async fn open_login(&self, email: &str) -> (Browser, String) {
        let mut browser = Browser::open(self.address).await;
        let query = self.authorize_query("https://api.bench.test", "openid profile email");
        let page = browser.go(&format!("/authorize?{query}")).await;
        let body = browser.get(&page).await;
        let form = format!(
            "state={}&_csrf={}&username={}&password={}&action=default",
            field(&body, "state"),
            field(&body, "_csrf"),
            email.replace('@', "%40"),
            PASSWORD.replace(' ', "+")
        );
        (browser, form)
    }

    /// The request that ends one sign-in of the person at `place`: a page was opened for it, the password is still to be proven.
    pub async fn login_request(&self, place: usize) -> Vec<u8> {
        let (browser, form) = self.open_login(&address_of(place)).await;
        let cookies = browser.cookies.join("; ");
        let headers = [("cookie", cookies.as_str()), ("content-type", "application/x-www-form-urlencoded")];
        request("POST", "/u/login", &headers, &form)
    }

    /// A current-user token from `/authorize`, consent included.
    async fn current_user_token(&self, cookies: &str) -> String {
        let mut browser = Browser::open(self.address).await;
        browser.cookies = cookies.split("; ").map(str::to_owned).collect();
        let scope = "read:current_user update:current_user_metadata";
        let management = format!("https://{HOST}/api/v2/");
        let query = format!(
            "client_id={}&response_type=token&redirect_uri=https%3A%2F%2Fapp.bench.test%2Fcb&scope={}&audience={}",
            self.spa,
            scope.replace(' ', "+").replace(':', "%3A"),
            management.replace(':', "%3A").replace('/', "%2F")
        );
        let page = browser.go(&format!("/authorize?{query}")).await;
        let body = browser.get(&page).await;
        let form = format!("state={}&_csrf={}&action=accept", field(&body, "state"), field(&body, "_csrf"));
        let next = browser.post("/u/consent", &form).await;
        let end = browser.go(&next).await;
        let token = end.split("access_token=").nth(1).and_then(|rest| rest.split('&').next());
        token.expect("the fragment holds the token").to_owned()
    }

    /// The query of an authorize request for a code without PKCE's secret being one: verifier and challenge are fixed.
    pub fn authorize_query(&self, audience: &str, scope: &str) -> String {
        format!(
            "client_id={}&response_type=code&redirect_uri=https%3A%2F%2Fapp.bench.test%2Fcb&scope={}&audience={}\
             &code_challenge_method=S256&code_challenge={CHALLENGE}&state=s",
            self.spa,
            scope.replace(' ', "+").replace(':', "%3A"),
            audience.replace(':', "%3A").replace('/', "%2F")
        )
    }
}

/// RFC 7636, Appendix B.
pub const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

fn address_of(place: usize) -> String {
    format!("person{place}@bench.test")
}

/// The value of a field of a form.
fn field(page: &str, name: &str) -> String {
    let from = page.find(&format!("name=\"{name}\"")).unwrap_or_else(|| panic!("no field {name} in {page}"));
    let value = page[from..].split("value=\"").nth(1).and_then(|rest| rest.split('"').next());
    value.unwrap_or_default().to_owned()
}

/// A browser as far as it is needed: cookies and locations.
struct Browser {
    connection: Connection,
    cookies: Vec<String>,
}

impl Browser {
    async fn open(address: SocketAddr) -> Self {
        let connection = Connection::open(address).await.expect("the server accepts connections");
        Self { connection, cookies: Vec::new() }
    }

    async fn call(&mut self, method: &str, path: &str, body: &str) -> (u16, String, Vec<u8>) {
        let cookies = self.cookies.join("; ");
        let headers = [("cookie", cookies.as_str()), ("content-type", "application/x-www-form-urlencoded")];
        let answer = self.connection.call(&request(method, path, &headers, body)).await.expect("an answer");
        for line in answer.1.lines() {
            let Some(cookie) =
                line.to_ascii_lowercase().starts_with("set-cookie:").then(|| line[11..].trim())
            else {
                continue;
            };
            let pair = cookie.split(';').next().unwrap_or_default().to_owned();
            let name = pair.split('=').next().unwrap_or_default().to_owned();
            self.cookies.retain(|known| !known.starts_with(&format!("{name}=")));
            self.cookies.push(pair);
        }
        answer
    }

    /// Follows redirects from `path` until it would leave the server or a page comes; where it then is.
    async fn go(&mut self, path: &str) -> String {
        let mut path = path.to_owned();
        for _ in 0..5 {
            let (status, headers, body) = self.call("GET", &path, "").await;
            if status == 200 {
                return path;
            }
            assert_eq!(status, 302, "{path}: {}", String::from_utf8_lossy(&body));
            path = location(&headers);
            if !path.starts_with('/') {
                return path;
            }
        }
        panic!("too many redirects");
    }

    async fn get(&mut self, path: &str) -> String {
        String::from_utf8_lossy(&self.call("GET", path, "").await.2).into_owned()
    }

    async fn post(&mut self, path: &str, form: &str) -> String {
        let (status, headers, body) = self.call("POST", path, form).await;
        assert_eq!(status, 302, "{path}: {}", String::from_utf8_lossy(&body));
        location(&headers)
    }
}

/// The `Location` of an answer.
pub fn location(headers: &str) -> String {
    let line = headers.lines().find(|line| line.to_ascii_lowercase().starts_with("location:"));
    line.map(|line| line[9..].trim().to_owned()).unwrap_or_default()
}

fn serve(binary: &Path, config: &Path) -> Child {
    command(binary, config).spawn().expect("the binary starts")
}

fn command(binary: &Path, config: &Path) -> Command {
    let mut command = Command::new(binary);
    command.args(["serve", "--config", &path(config)]).stdout(Stdio::null()).stderr(Stdio::inherit());
    command
}

fn doorward(binary: &Path, arguments: &[&str]) -> String {
    let output = Command::new(binary).args(arguments).output().expect("the binary starts");
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn path(path: &Path) -> String {
    path.display().to_string()
}

fn text_of(value: &Value, name: &str) -> String {
    value[name].as_str().unwrap_or_else(|| panic!("{name} in {value}")).to_owned()
}

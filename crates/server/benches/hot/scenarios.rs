//! What is measured: each endpoint's callers.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::load::{Caller, Pace, Repeat, Run, Target, run};
use crate::running::http::{Connection, request};
use crate::running::{ES256_API, HOST, Program, VERIFIER, location};

/// Loads one endpoint with `connections` callers, each of which goes on when it was answered.
pub async fn measure(program: &Program, name: &str, connections: usize, duration: Duration) -> Run {
    let callers = callers(program, name, connections, duration).await;
    run(&Target::plain(program.address, program.pid()), callers, Pace::AnswerByAnswer, duration).await
}

/// The callers of an endpoint, with what they need for `duration`.
pub async fn callers(
    program: &Program,
    name: &str,
    connections: usize,
    duration: Duration,
) -> Vec<Box<dyn Caller>> {
    match name {
        "client_credentials" => {
            let audience = format!("https://{HOST}/api/v2/");
            each(connections, || client_credentials(program, &audience, "read:users update:users"))
        }
        "client_credentials, ES256" => {
            each(connections, || client_credentials(program, ES256_API, "read:things"))
        }
        "GET /users/{id}" => (0..connections).map(|place| get_user(program, place)).collect(),
        "PATCH /users/{id}" => (0..connections).map(|place| patch_user(program, place)).collect(),
        "JWKS" | "discovery" => each(connections, || fixed(asks_for(name))),
        "code exchange" => {
            let codes = codes(program, "openid profile email read:things", duration.mul_f64(2.5)).await;
            let codes = Arc::new(Mutex::new(codes));
            each(connections, || exchange(program, codes.clone()))
        }
        "refresh" => {
            let scope = "openid profile email offline_access read:things";
            let mut callers: Vec<Box<dyn Caller>> = Vec::new();
            for token in refresh_tokens(program, scope, connections).await {
                callers.push(Box::new(Refresh { spa: program.spa.clone(), token }));
            }
            callers
        }
        other => panic!("no such scenario: {other}"),
    }
}

/// The request for a public document.
fn asks_for(name: &str) -> Vec<u8> {
    let path = if name == "JWKS" { "/.well-known/jwks.json" } else { "/.well-known/openid-configuration" };
    request("GET", path, &[], "")
}

/// A public document as it is answered, head and body.
pub async fn document(program: &Program, name: &str) -> Vec<u8> {
    let mut connection = Connection::open(program.address).await.expect("the server accepts connections");
    let (_, head, body) = connection.exchange(&asks_for(name)).await.expect("an answer");
    [head, body].concat()
}

fn each(connections: usize, caller: impl Fn() -> Box<dyn Caller>) -> Vec<Box<dyn Caller>> {
    (0..connections).map(|_| caller()).collect()
}

/// A caller that sends the same bytes again and again.
pub fn fixed(request: Vec<u8>) -> Box<dyn Caller> {
    Box::new(Repeat(move || Some(request.clone())))
}

fn token_request(body: &Value) -> Vec<u8> {
    request("POST", "/oauth/token", &[("content-type", "application/json")], &body.to_string())
}

fn client_credentials(program: &Program, audience: &str, scope: &str) -> Box<dyn Caller> {
    let (id, secret) = &program.machine;
    let body = json!({ "grant_type": "client_credentials", "client_id": id, "client_secret": secret,
        "audience": audience, "scope": scope });
    fixed(token_request(&body))
}

fn get_user(program: &Program, place: usize) -> Box<dyn Caller> {
    let person = &program.people[place % program.people.len()];
    fixed(request("GET", &person.path(), &[("authorization", &format!("Bearer {}", person.token))], ""))
}

/// Everybody changes their own. Each change differs from the last: an unchanged row would be no write.
fn patch_user(program: &Program, place: usize) -> Box<dyn Caller> {
    let person = &program.people[place % program.people.len()];
    let (path, authorization) = (person.path(), format!("Bearer {}", person.token));
    let mut count = 0;
    Box::new(Repeat(move || {
        count += 1;
        let body = json!({ "user_metadata": { "color": format!("{place}-{count}") } }).to_string();
        let headers = [("authorization", authorization.as_str()), ("content-type", "application/json")];
        Some(request("PATCH", &path, &headers, &body))
    }))
}

fn exchange(program: &Program, codes: Arc<Mutex<Vec<String>>>) -> Box<dyn Caller> {
    let spa = program.spa.clone();
    Box::new(Repeat(move || {
        let code = codes.lock().expect("no holder panics").pop()?;
        Some(token_request(&code_exchange(&spa, &code)))
    }))
}

fn code_exchange(spa: &str, code: &str) -> Value {
    json!({ "grant_type": "authorization_code", "client_id": spa, "code": code, "code_verifier": VERIFIER,
            "redirect_uri": "https://app.bench.test/cb" })
}

/// As many codes as `duration` gives, each from a silent `/authorize` of the signed-in browser.
async fn codes(program: &Program, scope: &str, duration: Duration) -> Vec<String> {
    let path = format!("/authorize?{}&prompt=none", program.authorize_query("https://api.bench.test", scope));
    let bytes = request("GET", &path, &[("cookie", &program.people[0].cookies)], "");
    let end = Instant::now() + duration;
    let tasks: Vec<_> = (0..64)
        .map(|_| {
            let (address, bytes) = (program.address, bytes.clone());
            tokio::spawn(async move {
                let mut connection = Connection::open(address).await.expect("the server accepts connections");
                let mut codes = Vec::new();
                while Instant::now() < end {
                    let (_, headers, _) = connection.call(&bytes).await.expect("an answer");
                    let to = location(&headers);
                    let code = to.split("code=").nth(1).and_then(|rest| rest.split('&').next());
                    codes.push(code.unwrap_or_else(|| panic!("no code in {to}")).to_owned());
                }
                codes
            })
        })
        .collect();
    let mut all = Vec::new();
    for task in tasks {
        all.extend(task.await.expect("a caller does not panic"));
    }
    all
}

async fn refresh_tokens(program: &Program, scope: &str, count: usize) -> Vec<String> {
    let mut tokens = Vec::new();
    while tokens.len() < count {
        for code in
            codes(program, scope, Duration::from_millis(50)).await.into_iter().take(count - tokens.len())
        {
            let (status, answer) =
                program.json("POST", "/oauth/token", None, &code_exchange(&program.spa, &code)).await;
            let token = answer["refresh_token"].as_str();
            tokens.push(token.unwrap_or_else(|| panic!("{status}: {answer}")).to_owned());
        }
    }
    tokens
}

/// A rotating refresh token: each answer holds the next one.
struct Refresh {
    spa: String,
    token: String,
}

impl Caller for Refresh {
    fn next(&mut self) -> Option<Vec<u8>> {
        let body =
            json!({ "grant_type": "refresh_token", "client_id": self.spa, "refresh_token": self.token });
        Some(token_request(&body))
    }

    fn answered(&mut self, status: u16, body: &[u8]) -> bool {
        let answer: Value = serde_json::from_slice(body).unwrap_or_default();
        match answer["refresh_token"].as_str() {
            Some(next) if status == 200 && answer["id_token"].is_string() => {
                self.token = next.to_owned();
                true
            }
            _ => false,
        }
    }
}

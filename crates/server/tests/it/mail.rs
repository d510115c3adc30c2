//! Letters on their way out by SMTP: to a server of the test's own.

use std::sync::{Arc, Mutex};

use db::Batch;
use model::mail::{self, Delivery, Kind, Letter, Shown};
use serde_json::json;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

use crate::support::TestApp;

/// What a mail server was told, line by line.
type Heard = Arc<Mutex<Vec<String>>>;

/// A mail server on this machine that answers RCPT with `answer`.
async fn server(answer: &'static str) -> (u16, Heard) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("bound").port();
    let heard = Heard::default();
    let lines = heard.clone();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(talk(stream, lines.clone(), answer));
        }
    });
    (port, heard)
}

async fn talk(stream: TcpStream, heard: Heard, answer: &str) -> Option<()> {
    let mut stream = BufReader::new(stream);
    stream.write_all(b"220 mail.test ESMTP\r\n").await.ok()?;
    let (mut line, mut in_data) = (String::new(), false);
    loop {
        line.clear();
        if stream.read_line(&mut line).await.ok()? == 0 {
            return None;
        }
        let said = line.trim_end().to_owned();
        heard.lock().expect("not poisoned").push(said.clone());
        let verb = said.split(' ').next().unwrap_or_default().to_ascii_uppercase();
        let reply = match verb.as_str() {
            "." if in_data => {
                in_data = false;
                "250 taken"
            }
            _ if in_data => continue,
            "EHLO" => "250-mail.test\r\n250 AUTH PLAIN",
            "AUTH" => "235 welcome",
            "RCPT" => answer,
            "DATA" => {
                in_data = true;
                "354 go on"
            }
            "QUIT" => "221 bye",
            _ => "250 fine",
        };
        stream.write_all(format!("{reply}\r\n").as_bytes()).await.ok()?;
    }
}

async fn configured(app: &TestApp, port: u16) {
    let body = json!({
        "name": "smtp", "default_from_address": "Acme <no-reply@acme.test>",
        "credentials": { "smtp_host": "127.0.0.1", "smtp_port": port, "smtp_user": "user", "smtp_pass": "pass" }
    });
    assert_eq!(app.admin().post("/api/v2/emails/provider", body).await.status, 201);
}

async fn queue(app: &TestApp, to: &str) {
    let mut batch = Batch::new();
    let letter = Letter::new(Kind::MfaOobCode, to).with("code", "481516");
    mail::queue(&mut batch, &app.app, &app.tenant.id, letter);
    app.app.db.commit(batch).await.expect("queues");
}

async fn step(app: &TestApp) -> Vec<Shown> {
    server::jobs::post(&app.app, Delivery::Provider).await.expect("the job runs");
    let mut letters = mail::newest(&app.app, &app.tenant.id, 100).await.expect("reads");
    letters.sort_by(|one, other| one.to.cmp(&other.to));
    letters
}

both_databases! {
    async fn a_letter_goes_to_the_tenants_mail_server_once(app: TestApp) {
        let (port, heard) = server("250 fine").await;
        configured(&app, port).await;
        queue(&app, "ann@example.com").await;
        let (one, other) = tokio::join!(step(&app), step(&app));
        assert_eq!(one.len() + other.len(), 2);
        assert_eq!(step(&app).await[0].state, "sent");
        let heard = heard.lock().expect("not poisoned").clone();
        let said = |start: &str| heard.iter().filter(|line| line.starts_with(start)).count();
        assert_eq!((said("DATA"), said("MAIL FROM:<no-reply@acme.test>"), said("RCPT TO:<ann@example.com>")), (1, 1, 1), "{heard:#?}");
        assert_eq!((said("EHLO id.test"), said("AUTH PLAIN")), (1, 1), "{heard:#?}");
        assert_eq!((said("From: Acme <no-reply@acme.test>"), said("Subject: 481516 is your code for "), said("Auto-Submitted: auto-generated")), (1, 1, 1), "{heard:#?}");
    }

    /// A server that is down delays: the letter waits, whatever it belongs to is done, and other tenants' letters go.
    async fn a_server_that_is_down_delays_and_loses_nothing(app: TestApp) {
        let closed = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = closed.local_addr().expect("bound").port();
        drop(closed);
        configured(&app, port).await;
        queue(&app, "ann@example.com").await;
        let waiting = step(&app).await.remove(0);
        assert_eq!(waiting.state, "queued");
        assert!(waiting.error.as_deref().expect("a reason").contains("onnection"), "{waiting:?}");
        // Nobody waits for it.
        app.add_user("auth0|alice").await;
        let password = json!({ "password": "Another-horse-9" });
        assert_eq!(app.admin().patch("/api/v2/users/auth0%7Calice", password).await.status, 200);
        let (port, heard) = server("250 fine").await;
        let body = json!({ "credentials": { "smtp_host": "127.0.0.1", "smtp_port": port } });
        assert_eq!(app.admin().patch("/api/v2/emails/provider", body).await.status, 200);
        app.app.clock.advance(30);
        let states: Vec<_> = step(&app).await.into_iter().map(|letter| letter.state).collect();
        assert_eq!(states, ["sent", "sent"]);
        assert_eq!(heard.lock().expect("not poisoned").iter().filter(|line| *line == "DATA").count(), 2);
    }

    /// A mailbox that is not there is given up at once; a full one is tried again. Neither keeps the next letter.
    async fn what_the_server_refuses_for_good_is_given_up_visibly(app: TestApp) {
        let (port, _) = server("550 no such user").await;
        configured(&app, port).await;
        queue(&app, "a@example.com").await;
        queue(&app, "b@example.com\r\nBcc: all@example.com").await;
        let letters = step(&app).await;
        let states: Vec<_> = letters.iter().map(|letter| letter.state.as_str()).collect();
        assert_eq!(states, ["failed", "failed"], "{letters:?}");
        assert!(letters[0].error.as_deref().expect("a reason").contains("no such user"), "{letters:?}");
        assert_eq!(app.events().await.iter().filter(|kind| *kind == "fn").count(), 2);
    }

    /// What only is stored says so, and waits for somebody to mend it.
    async fn a_provider_that_is_only_stored_says_so(app: TestApp) {
        let body = json!({ "name": "mandrill", "credentials": { "api_key": "k" } });
        assert_eq!(app.admin().post("/api/v2/emails/provider", body).await.status, 201);
        queue(&app, "ann@example.com").await;
        let letter = step(&app).await.remove(0);
        assert_eq!(letter.state, "queued");
        assert_eq!(letter.error.as_deref(), Some("the e-mail provider `mandrill` is stored, but only `smtp` can deliver"));
    }
}

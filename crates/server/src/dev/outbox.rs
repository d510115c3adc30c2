//! The outbox: every letter that a development server would have sent, for people to look at and for tests to read.

use std::sync::{Arc, LazyLock};

use axum::extract::{Extension, Path, Request, State};
use axum::http::HeaderValue;
use axum::http::header::{ACCEPT, CONTENT_SECURITY_POLICY};
use axum::response::{Html, IntoResponse, Redirect, Response};
use axum::routing::get;
use axum::{Json, Router};
use base64::Engine;
use model::mail::{self, Shown};
use model::tenants::Tenant;
use model::{App, seal};
use serde_json::{Value, json};

use super::routes::Tools;
use crate::refusal::Refusal;

/// Letters that the outbox shows.
const MOST: u32 = 200;

/// `GET` and `POST /dev/outbox`, `GET /dev/outbox/{id}`, `GET /dev/outbox/{id}/html`.
pub fn routes() -> Router<App> {
    Router::new()
        .route("/dev/outbox", get(list).post(clear))
        .route("/dev/outbox/{id}", get(letter))
        .route("/dev/outbox/{id}/html", get(html))
}

/// `GET /dev/outbox`: the newest letters, the newest first. `Accept: application/json` gets them whole, as an array.
async fn list(State(app): State<App>, Extension(tools): Extension<Tools>, request: Request) -> Response {
    let letters = match mail::newest(&app, &tenant(&request).id, MOST).await {
        Ok(letters) => letters,
        Err(error) => return failed(&error, &request),
    };
    if wants_json(&request) {
        return Json(letters.iter().map(to_json).collect::<Vec<_>>()).into_response();
    }
    let rows: String = letters.iter().map(|letter| row(letter, tools.token())).collect();
    let content = if letters.is_empty() {
        "<p>No letters yet. Whatever this server would send appears here a second later.</p>".to_owned()
    } else {
        format!(
            "<ol>{rows}</ol><form method=\"post\" action=\"/dev/outbox?token={}\"><button>Empty the outbox</button></form>",
            tools.token()
        )
    };
    page(
        "Outbox",
        &format!(
            "<h1>Outbox</h1><p>A development server sends no mail, and no codes to phones as second factor: it keeps each letter and message here.</p>{content}"
        ),
    )
}

/// `POST /dev/outbox`: forgets what has gone out.
async fn clear(State(app): State<App>, Extension(tools): Extension<Tools>, request: Request) -> Response {
    match mail::clear(&app.db, &tenant(&request).id).await {
        Ok(()) => Redirect::to(&format!("/dev/outbox?token={}", tools.token())).into_response(),
        Err(error) => failed(&error, &request),
    }
}

/// `GET /dev/outbox/{id}`: one letter, its HTML in a frame without scripts, forms or an origin.
async fn letter(
    State(app): State<App>,
    Extension(tools): Extension<Tools>,
    Path(id): Path<String>,
    request: Request,
) -> Response {
    let letter = match mail::find(&app, &tenant(&request).id, &id).await {
        Ok(Some(letter)) => letter,
        Ok(None) => return Refusal::NOT_FOUND.answer(&request),
        Err(error) => return failed(&error, &request),
    };
    if wants_json(&request) {
        return Json(to_json(&letter)).into_response();
    }
    let token = tools.token();
    let body = match &letter.mail {
        Some(mail) => format!(
            "<h1>{}</h1><dl><dt>From</dt><dd>{}</dd><dt>To</dt><dd>{}</dd><dt>Kind</dt><dd><code>{}</code></dd></dl>\
             <iframe title=\"The letter\" sandbox=\"allow-popups allow-popups-to-escape-sandbox\" src=\"/dev/outbox/{}/html?token={token}\"></iframe>\
             <h2>As plain text</h2><pre>{}</pre>",
            escaped(&mail.subject),
            escaped(&mail.from),
            escaped(&mail.to),
            escaped(&letter.kind),
            escaped(&letter.id),
            linked(&mail.text),
        ),
        None => format!("<h1>{}</h1><p>{}</p>", escaped(&letter.kind), escaped(&letter.state)),
    };
    page("Letter", &format!("{body}<p><a href=\"/dev/outbox?token={token}\">All letters</a></p>"))
}

/// `GET /dev/outbox/{id}/html`: the letter's HTML alone, as a mail program shows it: nothing in it runs.
async fn html(State(app): State<App>, Path(id): Path<String>, request: Request) -> Response {
    match mail::find(&app, &tenant(&request).id, &id).await {
        Ok(Some(Shown { mail: Some(mail), .. })) => {
            // Links open beside the page: the frame itself goes nowhere.
            let body = mail.html.replacen("<head>", "<head><base target=\"_blank\">", 1);
            ([(CONTENT_SECURITY_POLICY, LETTER_POLICY)], Html(body)).into_response()
        }
        Ok(_) => Refusal::NOT_FOUND.answer(&request),
        Err(error) => failed(&error, &request),
    }
}

fn tenant(request: &Request) -> Arc<Tenant> {
    request.extensions().get::<Arc<Tenant>>().expect("the host layer ran before").clone()
}

fn wants_json(request: &Request) -> bool {
    let accept = request.headers().get(ACCEPT).and_then(|accept| accept.to_str().ok());
    accept.is_some_and(|accept| accept.contains("application/json"))
}

fn failed(error: &db::Error, request: &Request) -> Response {
    tracing::error!(%error, "cannot read the outbox");
    Refusal::UNAVAILABLE.answer(request)
}

fn to_json(letter: &Shown) -> Value {
    json!({
        "id": letter.id,
        "kind": letter.kind,
        "to": letter.to,
        "state": letter.state,
        "error": letter.error,
        "created_at": letter.created_at,
        "from": letter.mail.as_ref().map(|mail| &mail.from),
        "subject": letter.mail.as_ref().map(|mail| &mail.subject),
        "html": letter.mail.as_ref().map(|mail| &mail.html),
        "text": letter.mail.as_ref().map(|mail| &mail.text),
    })
}

fn row(letter: &Shown, token: &str) -> String {
    let subject = letter.mail.as_ref().map_or(letter.kind.as_str(), |mail| &mail.subject);
    format!(
        "<li><a href=\"/dev/outbox/{}?token={token}\">{}</a><br><small>to {} · <time>{}</time>{}</small></li>",
        escaped(&letter.id),
        escaped(subject),
        escaped(&letter.to),
        letter.created_at.iso(),
        if letter.mail.is_some() { String::new() } else { format!(" · {}", escaped(&letter.state)) },
    )
}

fn page(title: &str, content: &str) -> Response {
    let page = format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>{title} | Doorward development</title>\
         <meta name=\"viewport\" content=\"width=device-width\"><style>{STYLE}</style></head><body><main>{content}</main></body></html>"
    );
    ([(CONTENT_SECURITY_POLICY, POLICY.clone())], Html(page)).into_response()
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
        .replace('\'', "&#39;")
}

/// A plain text with its web addresses as links.
fn linked(text: &str) -> String {
    let word = |word: &str| {
        let shown = escaped(word);
        if word.starts_with("https://") || word.starts_with("http://") {
            format!("<a href=\"{shown}\">{shown}</a>")
        } else {
            shown
        }
    };
    text.split_inclusive(char::is_whitespace)
        .map(|part| {
            let bare = part.trim_end();
            format!("{}{}", word(bare), &part[bare.len()..])
        })
        .collect()
}

const STYLE: &str = ":root{color-scheme:light dark;--bg:#fff;--text:#1a1d23;--link:#2f49c4}\
    @media (prefers-color-scheme:dark){:root{--bg:#14161a;--text:#eceef1;--link:#a9b8ff}}\
    body{font:16px/1.5 system-ui,sans-serif;margin:0;background:var(--bg);color:var(--text)}a{color:var(--link)}\
    main{max-width:720px;margin:48px auto;padding:0 24px}button{font:inherit;padding:8px 12px}ol{padding:0;list-style:none}\
    li{padding:12px 0;border-bottom:1px solid #8884}small{opacity:.75}iframe{width:100%;height:560px;border:1px solid #8886;border-radius:8px}\
    pre{white-space:pre-wrap;overflow-wrap:anywhere;padding:16px;border:1px solid #8886;border-radius:8px}dt{opacity:.75;float:left;width:4em}dd{margin:0}";

static POLICY: LazyLock<HeaderValue> = LazyLock::new(|| {
    let hash = base64::engine::general_purpose::STANDARD.encode(seal::digest(STYLE));
    let policy = format!(
        "default-src 'none'; style-src 'sha256-{hash}'; frame-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
    );
    HeaderValue::from_str(&policy).expect("base64 is a header value")
});

/// Of a letter: its own styles and images, nothing else, and only within the outbox's frame.
const LETTER_POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; style-src 'unsafe-inline'; img-src https: data:; sandbox allow-popups allow-popups-to-escape-sandbox; frame-ancestors 'self'",
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_in_a_text_become_links_and_nothing_becomes_markup() {
        let text = linked("Go:\nhttps://a.test/?x=1&y=<b>#\n\"bye\"");
        assert_eq!(
            text,
            "Go:\n<a href=\"https://a.test/?x=1&amp;y=&lt;b&gt;#\">https://a.test/?x=1&amp;y=&lt;b&gt;#</a>\n&quot;bye&quot;"
        );
    }
}

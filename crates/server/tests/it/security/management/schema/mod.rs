//! MG-01: every property of every body, with values that it must not have. The properties are those of the schemas that the program
//! itself validates with, so that none is forgotten.

mod bodies;

use axum::http::Method;
use management::operations;
use serde_json::{Value, json};

use self::bodies::{Body, bodies};
use crate::support::TestApp;

/// Operations that write and read no body.
const BODILESS: &[&str] = &[
    "POST /sessions/{id}/revoke",
    "POST /clients/{id}/rotate-secret",
    "POST /keys/signing/rotate",
    "PUT /keys/signing/{kid}/revoke",
    // A form, which `management/jobs.rs` looks at.
    "POST /jobs/users-imports",
    "POST /users/{id}/multifactor/actions/invalidate-remember-browser",
    "POST /users/{id}/recovery-code-regeneration",
];

/// Texts that may be of any length that a body has: pages, and names that nothing looks up.
const LONG: [&str; 9] = [
    "body",
    "custom_login_page",
    "custom_login_page_preview",
    "form_template",
    "change_password.html",
    "guardian_mfa_page.html",
    "error_page.html",
    "client_aliases[]",
    "allowed_clients[]",
];

/// A value of a property.
struct Trial {
    /// Where it is.
    place: String,
    /// The property at the root, with the value inside.
    value: Value,
    /// Whether the schema knows no such thing at that place.
    wrong: bool,
    /// Whether it is a text of a hundred thousand characters.
    long: bool,
}

fn types(schema: &Value) -> Vec<&str> {
    match &schema["type"] {
        Value::String(one) => vec![one],
        Value::Array(several) => several.iter().filter_map(Value::as_str).collect(),
        _ => vec![],
    }
}

/// Everything that a property should have to bear, and what is inside it.
fn trials(place: &str, schema: &Value) -> Vec<Trial> {
    let types = types(schema);
    let is_free = types.is_empty() && schema.get("enum").is_none() && schema.get("const").is_none();
    let bounded = schema.get("minimum").is_some() || schema.get("exclusiveMinimum").is_some();
    let trial = |value: Value, kinds: &[&str]| Trial {
        place: place.to_owned(),
        long: value.as_str().is_some_and(|text| text.len() >= 100_000),
        wrong: !is_free && !kinds.iter().any(|kind| types.contains(kind)),
        value,
    };
    let numbers = [json!(-1), json!(i64::MAX), json!(u64::MAX), json!(1e300), json!(0.5)];
    let numbers = numbers.into_iter().map(|value| {
        // No number is without bounds, and none has a fraction.
        Trial { wrong: !is_free, ..trial(value, &[]) }
    });
    assert!(
        bounded || !types.iter().any(|kind| ["integer", "number"].contains(kind)),
        "{place} has no minimum"
    );
    let mut all = vec![
        trial(json!(null), &["null"]),
        trial(json!(true), &["boolean"]),
        trial(json!(""), &["string"]),
        trial(json!("x".repeat(100_000)), &["string"]),
        trial(json!("' OR 1=1 --"), &["string"]),
        trial(json!([]), &["array"]),
        trial(json!([[], {}, null, 1, "x"]), &["array"]),
        trial(json!({}), &["object"]),
        trial(json!({ "made_up": { "a": [1] } }), &["object"]),
    ];
    all.extend(numbers);
    for (name, inner) in schema["properties"].as_object().into_iter().flatten() {
        let inside = trials(&format!("{place}.{name}"), inner).into_iter();
        all.extend(inside.map(|trial| Trial { value: json!({ name: trial.value }), ..trial }));
    }
    if schema["items"].is_object() {
        let inside = trials(&format!("{place}[]"), &schema["items"]).into_iter();
        all.extend(inside.map(|trial| Trial { value: json!([trial.value]), ..trial }));
    }
    all
}

/// Refusals without a code, as published.
const UNCODED: [&str; 2] = ["PasswordStrengthError: Password is too weak", "The role does not exist."];

both_databases! {
    async fn mg_01_no_property_takes_what_its_schema_does_not(app: TestApp) {
        // One token for all: to sign one for each of ten thousand calls would take longer than the calls.
        let scopes = operations().iter().filter(|operation| operation.method != Method::GET);
        let scopes = scopes.flat_map(|operation| operation.scopes.iter().map(|scope| scope.name));
        let token = app.machine(&scopes.filter(|scope| !scope.contains("current_user")).collect::<Vec<_>>().join(" "));
        let bearer = format!("Bearer {}", token.bearer().await);
        let admin = app.caller().with("authorization", &bearer);
        let bodies = bodies(&app, &admin).await;
        for operation in operations() {
            let name = format!("{} {}", operation.method, operation.path);
            let writes = [Method::POST, Method::PATCH, Method::PUT].contains(&operation.method);
            let known = BODILESS.contains(&&*name) || bodies.iter().any(|body| body.operation == name);
            assert!(known || !writes, "write here what {name} is called with");
        }
        let mut number = 0;
        for Body { operation, path, good, schema } in &bodies {
            let method = Method::from_bytes(operation.split(' ').next().expect("a word").as_bytes()).expect("is one");
            let path = format!("/api/v2/{path}");
            let mut sent = vec![("", false, true, json!("x")), ("", false, true, json!(5)), ("", false, !types(schema).contains(&"null"), json!(null)), ("", false, true, json!(true))];
            let inside = trials("", schema);
            for trial in &inside {
                number += 1;
                let mut body = good(number);
                match (&mut body, &trial.value) {
                    (Value::Object(body), Value::Object(members)) if !trial.place.is_empty() => body.extend(members.clone()),
                    (body, value) => *body = value.clone(),
                }
                sent.push((&*trial.place, trial.long, trial.wrong, body));
            }
            let mut unknown = good(0);
            match &mut unknown {
                Value::Array(items) if items.iter().all(Value::is_object) && !items.is_empty() => {
                    items[0]["made_up"] = json!(1);
                }
                Value::Array(items) => items.push(json!({ "made_up": 1 })),
                object => object["made_up"] = json!(1),
            }
            sent.push(("", false, true, unknown));
            for (place, long, wrong, body) in sent {
                app.app.db.statements();
                let answer = admin.json(method.clone(), &path, body.clone()).await;
                let ran = app.app.db.statements();
                let shown: String = format!("{operation} {place} {body}").chars().take(200).collect();
                let told = answer.text.chars().take(300).collect::<String>();
                let must_fail = wrong || (long && !LONG.contains(&place.trim_start_matches('.')));
                if must_fail {
                    assert_eq!(answer.status, 400, "{shown}: {told}");
                }
                assert!([200, 201, 202, 204, 400, 403, 404, 409].contains(&answer.status), "{shown}: {told}");
                let message = &answer.body["message"];
                // Two operations try the same names: the second is told so, and has tried to write it.
                if answer.status >= 400 && message != "The role already exists." {
                    let coded = answer.body["errorCode"].is_string();
                    assert!(coded || UNCODED.iter().any(|text| message == text), "{shown}: {told}");
                    let writes = ran.iter().filter(|sql| !sql.trim_start().starts_with("SELECT"));
                    assert!(writes.clone().all(|sql| sql.starts_with("INSERT INTO logs")), "{shown}: {ran:?}");
                }
            }
        }
        assert!(number > 4_000, "{number}");
    }
}

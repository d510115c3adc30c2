//! The shape of this API's refusals: `{"type","title","status","detail"[,"validation_errors"]}` (RFC 9457).

use axum::body::Body;
use axum::response::Response;
use serde_json::{Value, json};

use crate::audit::Refused;

/// Gives a refusal the shape of this API. Status and headers stay; any other answer is left as it is.
pub fn shape(response: &mut Response) {
    let Some(Refused(refused)) = response.extensions().get::<Refused>() else { return };
    let body = problem(refused);
    *response.body_mut() = Body::from(body.to_string());
}

/// The same refusal as a problem. RFC 9457 §4.2.1: of the type `about:blank`, whose title is the status in words.
fn problem(refused: &Value) -> Value {
    let mut problem = json!({
        "type": "about:blank",
        "title": refused["error"],
        "status": refused["statusCode"],
        "detail": refused["message"],
    });
    let source = match refused["errorCode"].as_str() {
        Some("invalid_body") => "body",
        Some("invalid_query_string") => "query",
        Some("invalid_uri") => "path",
        _ => return problem,
    };
    problem["validation_errors"] = json!([{ "detail": refused["message"], "source": source }]);
    problem
}

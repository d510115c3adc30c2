//! The pages between an app's own sign-in page and `/authorize`: one that asks the app's page for a verifier, and the classic form that
//! carries a proof on.

use askama::Template;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::Value;

use super::{FormTargets, Html, ICON, Look, Page, STYLE, form_url, in_script};

/// Frames a page of the app's own, asks it for the verifier of a ticket, and posts what it says: `verifier`, `state` and `_csrf` to
/// `/co/verify?state=…`. Without JavaScript it shows a button that leads to the sign-in page.
#[derive(Template, Debug)]
#[template(path = "cross_origin.html")]
pub struct CrossOriginPage {
    /// The tenant's look.
    pub look: Look,
    /// The app's page, `#origin=…` included.
    pub page: String,
    /// Its origin: nobody else is asked or believed.
    pub origin: String,
    /// The name under which the page knows the verifier.
    pub verifier_id: String,
    /// The login transaction.
    pub state: String,
    /// The token that proves the form is ours.
    pub csrf: String,
    /// Where the form may lead in the end: to the redirect URI, or on from there.
    pub form_targets: FormTargets,
}

/// The script behind the two constants. An app's page that says nothing for ten seconds knows nothing.
const ASK: &str = "\
var sent = false;\
function send(verifier) {\
if (sent) return;\
sent = true;\
document.forms[0].elements.verifier.value = verifier;\
document.forms[0].submit();\
}\
window.addEventListener('message', function (evt) {\
var frame = document.getElementById('page');\
if (!frame || evt.source !== frame.contentWindow || evt.origin !== pageOrigin || !evt.data) return;\
if (evt.data.type === 'ready') frame.contentWindow.postMessage({ type: 'co_verifier_request', request: { id: verifierId } }, pageOrigin);\
if (evt.data.type === 'co_verifier_response') send(String((evt.data.response || {}).verifier || ''));\
});\
setTimeout(function () { send(''); }, 10000);";

impl CrossOriginPage {
    fn form_url(&self) -> String {
        form_url("/co/verify", &self.state)
    }

    /// The inline script; its hash is in the policy.
    fn script(&self) -> String {
        let (origin, id) = (Value::from(self.origin.as_str()), Value::from(self.verifier_id.as_str()));
        let (origin, id) = (in_script(&origin), in_script(&id));
        format!("(function (window) {{var pageOrigin = {origin};var verifierId = {id};{ASK}}})(this);")
    }
}

impl Page for CrossOriginPage {
    fn look(&self) -> &Look {
        &self.look
    }

    fn page_title(&self) -> &'static str {
        "redirect/cross-origin/pageTitle"
    }
}

impl IntoResponse for CrossOriginPage {
    fn into_response(self) -> Response {
        Html {
            status: StatusCode::OK,
            body: self.render().expect("writing to a string cannot fail"),
            style: Some(self.look.style().to_owned()),
            script: Some(self.script()),
            frame: Some(self.origin),
            form_targets: self.form_targets,
            framed: false,
        }
        .into_response()
    }
}

/// The form that a classic sign-in page puts into itself and submits (authentication contract §8.5): its first element is the form.
#[derive(Template, Debug)]
#[template(path = "hidden_form.html")]
pub struct HiddenFormPage {
    /// `/login/callback` of the tenant.
    pub action: String,
    /// The signed proof.
    pub wresult: String,
    /// What the app asks for, as a JSON object.
    pub wctx: String,
    /// What a person sees whose browser runs no script.
    pub lang: String,
}

impl HiddenFormPage {
    fn t(&self, key: &str) -> String {
        super::Texts::of(&self.lang).get(key).to_owned()
    }
}

impl IntoResponse for HiddenFormPage {
    fn into_response(self) -> Response {
        Html {
            status: StatusCode::OK,
            body: self.render().expect("writing to a string cannot fail"),
            style: None,
            script: None,
            frame: None,
            form_targets: FormTargets::default(),
            framed: false,
        }
        .into_response()
    }
}

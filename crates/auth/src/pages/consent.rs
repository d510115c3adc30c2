//! The consent page, `/u/consent`: what an app asks for, in words.

use askama::Template;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};

use super::{ClientLinks, FormTargets, ICON, Look, Page, SCRIPT, STYLE, excerpt, form_url, look};

/// Asks whether an app may have what it asks for.
///
/// Posts `state`, `_csrf` and `action`, which is `accept` or `deny`, to `/u/consent?state=…`.
#[derive(Template, Debug)]
#[template(path = "consent.html")]
pub struct ConsentPage {
    /// The tenant's look.
    pub look: Look,
    /// The name of the app that asks.
    pub client_name: String,
    /// The app's logo: an `https` or `data:image/` URL; others are not shown.
    pub client_logo: Option<String>,
    /// What the app says of itself.
    pub links: ClientLinks,
    /// Who is signed in, as they know themselves: an e-mail address, or a name.
    pub user_label: String,
    /// The name of the API that the scopes belong to.
    pub api_name: Option<String>,
    /// What the app asks for, in the order of the request.
    pub scopes: Vec<ScopeLine>,
    /// What it asks for in detail: of each its type, and what it says, a line each.
    pub details: Vec<(String, Vec<String>)>,
    /// The login transaction.
    pub state: String,
    /// The token that proves the form is ours.
    pub csrf: String,
    /// Where the form may lead in the end: to the redirect URI, or on from there.
    pub form_targets: FormTargets,
}

/// A scope that an app asks for.
#[derive(Clone, Debug)]
pub struct ScopeLine {
    /// The scope as in the request, for example `read:orders`.
    pub value: String,
    /// The API's own words for it, where the tenant shows them (`use_scope_descriptions_for_consent`).
    pub description: Option<String>,
}

/// Scopes that the page can say in its own words, each with the key of its text.
const KNOWN: [(&str, &str); 15] = [
    ("openid", "consent/scopes/openid"),
    ("profile", "consent/scopes/profile"),
    ("email", "consent/scopes/email"),
    ("phone", "consent/scopes/phone"),
    ("address", "consent/scopes/address"),
    ("offline_access", "consent/scopes/offline_access"),
    ("online_access", "consent/scopes/online_access"),
    ("read:current_user", "consent/scopes/read:current_user"),
    ("create:current_user_metadata", "consent/scopes/create:current_user_metadata"),
    ("update:current_user_metadata", "consent/scopes/update:current_user_metadata"),
    ("delete:current_user_metadata", "consent/scopes/delete:current_user_metadata"),
    ("update:current_user_identities", "consent/scopes/update:current_user_identities"),
    ("create:current_user_device_credentials", "consent/scopes/create:current_user_device_credentials"),
    ("delete:current_user_device_credentials", "consent/scopes/delete:current_user_device_credentials"),
    ("delete:current_user", "consent/scopes/delete:current_user"),
];

/// The first half of `action:resource` scopes that the page can say in its own words.
const ACTIONS: [(&str, &str); 6] = [
    ("read", "consent/actions/read"),
    ("write", "consent/actions/write"),
    ("create", "consent/actions/create"),
    ("update", "consent/actions/update"),
    ("delete", "consent/actions/delete"),
    ("manage", "consent/actions/manage"),
];

/// Lines under a heading.
#[derive(Debug, PartialEq, Eq)]
struct Group {
    heading: String,
    lines: Vec<Line>,
}

/// One thing the app may do: in words; or a resource with what may be done to it.
#[derive(Debug, PartialEq, Eq)]
struct Line {
    text: String,
    actions: Option<String>,
    /// Shown as code: a value that the page has no words for.
    raw: bool,
}

impl Line {
    fn words(text: String) -> Self {
        Self { text, actions: None, raw: false }
    }
}

impl ConsentPage {
    fn form_url(&self) -> String {
        form_url("/u/consent", &self.state)
    }

    fn logo(&self) -> Option<String> {
        look::image(self.client_logo.as_deref())
    }

    fn client_monogram(&self) -> String {
        look::monogram(&self.client_name)
    }

    /// Where the person goes next, when that is a web address.
    fn destination(&self) -> Option<&str> {
        let host = self.form_targets.destination()?.split_once("://")?.1;
        Some(host).filter(|host| !host.is_empty())
    }

    /// What is asked for, under headings: who the person is, their account here, the API, and lasting access.
    fn groups(&self) -> Vec<Group> {
        let mut identity = Vec::new();
        let mut account = Vec::new();
        let mut api = Vec::new();
        let mut lasting = Vec::new();
        for ScopeLine { value, description } in &self.scopes {
            let known = KNOWN.iter().find(|(scope, _)| scope == value).map(|(_, key)| *key);
            match (known, description) {
                (Some(key), _) if value.ends_with("_access") => lasting.push(Line::words(self.t(key))),
                (Some(key), _) if value.contains(':') => account.push(Line::words(self.t(key))),
                (Some(key), _) => identity.push(Line::words(self.t(key))),
                (None, Some(words)) if !words.trim().is_empty() => api.push(Line::words(words.clone())),
                (None, _) => self.add(&mut api, value),
            }
        }
        let api_heading = match &self.api_name {
            Some(name) => name.clone(),
            None => self.t("consent/consent/groupOther"),
        };
        let detailed = self.details.iter().map(|(kind, lines)| {
            let line = |text: &String| Line { text: text.clone(), actions: None, raw: true };
            (excerpt(kind), lines.iter().map(line).collect::<Vec<_>>())
        });
        [
            (self.t("consent/consent/groupIdentity"), identity),
            (self.t("consent/consent/groupAccount"), account),
            (api_heading, api),
            (self.t("consent/consent/groupLasting"), lasting),
        ]
        .into_iter()
        .filter(|(_, lines)| !lines.is_empty())
        .chain(detailed)
        .map(|(heading, lines)| Group { heading, lines })
        .collect()
    }

    /// Adds a scope without a description: `action:resource` joins the line of its resource.
    fn add(&self, lines: &mut Vec<Line>, value: &str) {
        let known = |action: &str| ACTIONS.iter().find(|(name, _)| *name == action).map(|(_, key)| *key);
        let parts = value.split_once(':').and_then(|(action, resource)| Some((known(action)?, resource)));
        let Some((key, resource)) = parts.filter(|(_, resource)| !resource.is_empty()) else {
            lines.push(Line { text: excerpt(value), actions: None, raw: true });
            return;
        };
        let action = self.t(key);
        let text = excerpt(&in_words(resource));
        match lines.iter_mut().find(|line| line.text == text && line.actions.is_some()) {
            Some(Line { actions: Some(actions), .. }) => {
                actions.push_str(", ");
                actions.push_str(&action);
            }
            _ => lines.push(Line { text, actions: Some(action), raw: false }),
        }
    }
}

/// `order_items` as `Order items`.
fn in_words(resource: &str) -> String {
    let words = resource.replace(['_', '-'], " ");
    let mut letters = words.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

impl Page for ConsentPage {
    fn look(&self) -> &Look {
        &self.look
    }

    fn page_title(&self) -> &'static str {
        "consent/consent/pageTitle"
    }

    fn values(&self) -> Vec<(&'static str, &str)> {
        vec![("clientName", &self.client_name), ("userName", &self.user_label)]
    }
}

impl IntoResponse for ConsentPage {
    fn into_response(self) -> Response {
        self.answer(StatusCode::OK, &self.form_targets)
    }
}

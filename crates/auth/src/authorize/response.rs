//! Response types and modes: what goes back to the client, and in what form (authentication contract §1.3, §1.4).

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use model::ClientId;
use model::jose::Algorithm;
use percent_encoding::{AsciiSet, CONTROLS, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Map, Value};

use crate::pages::{FormPostPage, FormTargets, Look, PopupPage, Relay, WebMessagePage};
use crate::visit::Visit;

/// `response_type`: which of the three things the client wants (OAuth 2.0 Multiple Response Type Encoding Practices).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ResponseType {
    /// An authorization code.
    pub code: bool,
    /// An access token from the front channel.
    pub token: bool,
    /// An ID token from the front channel.
    pub id_token: bool,
}

impl ResponseType {
    /// The response type with these words, in any order.
    pub fn parse(text: &str) -> Option<Self> {
        let mut parsed = Self::default();
        for word in text.split(' ') {
            let flag = match word {
                "code" => &mut parsed.code,
                "token" => &mut parsed.token,
                "id_token" => &mut parsed.id_token,
                _ => return None,
            };
            if std::mem::replace(flag, true) {
                return None;
            }
        }
        Some(parsed)
    }

    /// Whether something of value comes straight from `/authorize`: it must never stand in a query string.
    pub fn front_channel(self) -> bool {
        self.token || self.id_token
    }
}

/// `response_mode`: how the answer travels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResponseMode {
    /// In the query string of the redirect.
    Query,
    /// In the fragment of the redirect.
    Fragment,
    /// In a form that posts itself.
    FormPost,
    /// In a message to the window that opened or framed us.
    WebMessage,
    /// In a message to the page of auth0.js that opened us (`owp`).
    Popup,
}

impl ResponseMode {
    /// The mode with this name, and whether the answer is signed; no mode where that of the response type stands for it (JARM §2.3).
    pub fn parse(name: &str) -> Option<(Option<Self>, bool)> {
        match name {
            "query" => Some((Some(Self::Query), false)),
            "fragment" => Some((Some(Self::Fragment), false)),
            "form_post" => Some((Some(Self::FormPost), false)),
            "web_message" => Some((Some(Self::WebMessage), false)),
            "jwt" => Some((None, true)),
            "query.jwt" => Some((Some(Self::Query), true)),
            "fragment.jwt" => Some((Some(Self::Fragment), true)),
            "form_post.jwt" => Some((Some(Self::FormPost), true)),
            _ => None,
        }
    }

    /// The mode of a response type when none was asked for.
    pub fn default_for(response_type: ResponseType) -> Self {
        if response_type.front_channel() { Self::Fragment } else { Self::Query }
    }
}

/// Where an answer goes: a redirect URI that is proven to be the client's, and how.
#[derive(Clone, Debug)]
pub struct Target {
    /// Whether errors stay on a page of ours, since the client's redirect URIs are not to be trusted with a redirect
    /// (`redirection_policy`, authentication contract §1.2).
    pub errors_on_page: bool,
    /// The registered redirect URI.
    pub redirect_uri: String,
    /// `iss`, where the answer names who gives it (RFC 9207 §2).
    pub issuer: Option<String>,
    /// How the answer travels.
    pub mode: ResponseMode,
    /// For whom and how the answer is signed, if it is (JARM).
    pub signed: Option<Signed>,
    /// `state`, echoed byte for byte on success and on error.
    pub state: Option<String>,
    /// What the `form-action` of the pages on the way must allow.
    pub form_targets: FormTargets,
    /// `web_message_uri` and `web_message_target`: the answer goes by way of a relay (authentication contract §1.4).
    pub relay: Option<Relay>,
}

/// How an answer is signed.
#[derive(Clone, Debug)]
pub struct Signed {
    /// The client that it is for.
    pub client_id: ClientId,
    /// By the tenant's key of this algorithm.
    pub algorithm: Algorithm,
}

/// How long a signed answer is good for, in seconds (JARM §2.1: at most ten minutes).
const SIGNED_LIFETIME: i64 = 600;

impl Target {
    /// Whether the client is answered as the specifications have it: such an answer names the issuer.
    pub fn is_strict(&self) -> bool {
        self.issuer.is_some()
    }

    /// The answer with `params`, signed where that was asked for.
    pub async fn answer(&self, visit: &Visit, params: Map<String, Value>) -> Response {
        let params = match &self.signed {
            None => params,
            Some(signed) => match self.sign(visit, signed, params).await {
                Ok(params) => params,
                Err(error) => return visit.failure_page(error).await,
            },
        };
        self.respond(visit.look().await, params)
    }

    /// One parameter with all of `params` (JARM §2.1, §2.3).
    async fn sign(
        &self,
        visit: &Visit,
        signed: &Signed,
        params: Map<String, Value>,
    ) -> Result<Map<String, Value>, db::Error> {
        let (app, tenant) = (&visit.app, &visit.tenant);
        let mut claims = Map::new();
        claims.insert("iss".into(), tenant.issuer.as_str().into());
        claims.insert("aud".into(), signed.client_id.as_str().into());
        claims.insert("exp".into(), (app.clock.now().seconds() + SIGNED_LIFETIME).into());
        claims.extend(params);
        let typ = "oauth-authz-resp+jwt";
        let token = app.keys.sign(app, &tenant.id, signed.algorithm, typ, &claims).await?;
        Ok(Map::from_iter([("response".to_owned(), token.into())]))
    }

    /// The answer with `params`, numbers as numbers where the form has any.
    fn respond(&self, look: Look, mut params: Map<String, Value>) -> Response {
        if let Some(issuer) = self.issuer.as_ref().filter(|_| self.signed.is_none()) {
            params.insert("iss".into(), issuer.as_str().into());
        }
        match self.mode {
            ResponseMode::Query => redirect(&extend_query(&self.redirect_uri, &encode(&params))),
            ResponseMode::Fragment => {
                redirect(&format!("{}#{}", without_fragment(&self.redirect_uri), encode(&params)))
            }
            ResponseMode::FormPost => FormPostPage {
                look,
                action: self.redirect_uri.clone(),
                params: params.iter().map(|(name, value)| (name.clone(), text(value))).collect(),
                form_targets: self.form_targets.clone(),
            }
            .into_response(),
            ResponseMode::WebMessage => WebMessagePage {
                target_origin: origin(&self.redirect_uri).unwrap_or_default(),
                response: params,
                relay: self.relay.clone(),
            }
            .into_response(),
            ResponseMode::Popup => PopupPage {
                target_origin: origin(&self.redirect_uri).unwrap_or_default(),
                otherwise: format!("{}#{}", without_fragment(&self.redirect_uri), encode(&params)),
                response: params,
            }
            .into_response(),
        }
    }

    /// The error answer.
    pub async fn refuse(&self, visit: &Visit, error: &str, description: &str) -> Response {
        let mut params = Map::new();
        params.insert("error".into(), error.into());
        params.insert("error_description".into(), description.into());
        self.add_state(&mut params);
        self.answer(visit, params).await
    }

    /// Adds `state` to `params`, if the request had one.
    pub fn add_state(&self, params: &mut Map<String, Value>) {
        if let Some(state) = &self.state {
            params.insert("state".into(), state.as_str().into());
        }
    }
}

fn without_fragment(uri: &str) -> &str {
    uri.split('#').next().unwrap_or_default()
}

/// Scheme, host and port of `uri`; `None` for a scheme without origins.
pub fn origin(uri: &str) -> Option<String> {
    let origin = url::Url::parse(uri).ok()?.origin();
    origin.is_tuple().then(|| origin.ascii_serialization())
}

/// 302 to `location`, of which a header can hold ASCII alone: the rest is percent-encoded, as a browser would.
pub fn redirect(location: &str) -> Response {
    let location = utf8_percent_encode(location, CONTROLS).to_string();
    let location = HeaderValue::from_str(&location).expect("what is no visible ASCII was encoded");
    (
        StatusCode::FOUND,
        [(header::LOCATION, location), (header::CACHE_CONTROL, HeaderValue::from_static("no-store"))],
    )
        .into_response()
}

/// `uri` with `query` added to the one it has.
pub fn extend_query(uri: &str, query: &str) -> String {
    let (base, fragment) = uri.split_once('#').map_or((uri, None), |(base, fragment)| (base, Some(fragment)));
    let separator = if !base.contains('?') {
        "?"
    } else if base.ends_with(['?', '&']) {
        ""
    } else {
        "&"
    };
    let fragment = fragment.map(|fragment| format!("#{fragment}")).unwrap_or_default();
    format!("{base}{separator}{query}{fragment}")
}

/// `A-Za-z0-9-._~` stay as they are; a blank becomes `%20` (authentication contract §1.4).
const UNRESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// `params` percent-encoded.
pub fn encode(params: &Map<String, Value>) -> String {
    let pairs: Vec<String> = params
        .iter()
        .map(|(name, value)| format!("{name}={}", utf8_percent_encode(&text(value), UNRESERVED)))
        .collect();
    pairs.join("&")
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn response_types_come_in_any_order() {
        let both = ResponseType { code: false, token: true, id_token: true };
        assert_eq!(ResponseType::parse("id_token token"), Some(both));
        assert_eq!(ResponseType::parse("token id_token"), Some(both));
        for bad in ["", "none", "code code", "code  token", "Code"] {
            assert_eq!(ResponseType::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn the_query_of_a_redirect_uri_is_kept() {
        assert_eq!(extend_query("https://a.test/cb", "x=1"), "https://a.test/cb?x=1");
        assert_eq!(extend_query("https://a.test/cb?y=2", "x=1"), "https://a.test/cb?y=2&x=1");
        assert_eq!(extend_query("https://a.test/cb?", "x=1"), "https://a.test/cb?x=1");
    }

    #[test]
    fn a_redirect_holds_no_line_end_and_no_letter_that_a_header_cannot() {
        let location = |uri: &str| redirect(uri).headers()[header::LOCATION].to_str().unwrap().to_owned();
        assert_eq!(location("https://a.test/caf\u{e9}?x=1"), "https://a.test/caf%C3%A9?x=1");
        assert_eq!(location("/x\r\nset-cookie: a\u{7f}"), "/x%0D%0Aset-cookie: a%7F");
    }

    #[test]
    fn values_are_encoded_and_blanks_are_not_plus() {
        let params = json!({ "scope": "openid a:b", "expires_in": 7200 });
        assert_eq!(encode(params.as_object().unwrap()), "scope=openid%20a%3Ab&expires_in=7200");
    }
}

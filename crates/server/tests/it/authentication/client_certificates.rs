//! Clients that prove themselves by a certificate, and tokens that are bound to one (RFC 8705). The proxy in front says what was proven to it; what
//! the server itself asks for is tested with the connection.

use rcgen::{CertificateParams, DnType, KeyPair};
use serde_json::{Value, json};
use server::peer::Proxies;

use crate::security::exchange::{Exchange, grant_of};
use crate::security::{API, claims, prepared, signed_in};
use crate::support::{Answer, Authorize, Caller, Engine, TestApp};

const UNAUTHORIZED: &str = "access_denied";

/// A certificate that names `name`, as PEM.
pub fn certificate(name: &str) -> String {
    let mut params = CertificateParams::new(Vec::<String>::new()).expect("parameters");
    params.distinguished_name.push(DnType::CommonName, name);
    params.self_signed(&KeyPair::generate().expect("a key")).expect("a certificate").pem()
}

/// Where 10.0.0.0/8 are proxies, whose word on certificates is taken.
pub async fn behind_a_proxy(engine: Engine) -> TestApp {
    let proxies =
        Proxies { trusted: ["10.0.0.0/8".parse().expect("is a network")].into(), ..Proxies::default() };
    TestApp::with_proxies(engine, proxies).await
}

/// Behind a proxy, with clients that prove themselves by a certificate: `named` by the name in it, `known` by being the very one.
async fn ready(engine: Engine, own: &str) -> TestApp {
    let app = prepared(behind_a_proxy(engine).await).await;
    let named = json!({ "credential_type": "cert_subject_dn", "subject_dn": "CN=named.test" });
    let known = json!({ "credential_type": "x509_cert", "pem": own });
    for (id, method, credential) in
        [("named", "tls_client_auth", named), ("known", "self_signed_tls_client_auth", known)]
    {
        let mut body = json!({
            "app_type": "non_interactive", "grant_types": ["client_credentials"],
            "client_authentication_methods": { method: { "credentials": [credential] } },
        });
        let object = body.as_object_mut().expect("is one");
        let taken = model::clients::take_credentials(&app.app.random, app.app.clock.now(), object);
        object.insert("credentials".into(), json!(taken.expect("are good")));
        app.add_client(id, body).await;
        let grant = json!({ "client_id": id, "audience": API, "scope": ["read:a"] });
        assert_eq!(app.admin().post("/api/v2/client-grants", grant).await.status, 201);
    }
    app
}

/// The proxy, which says what a client proved to it.
pub fn proxied(app: &TestApp, pem: &str, verified: &str) -> Caller {
    let encoded: String = pem.bytes().map(|byte| format!("%{byte:02X}")).collect();
    let caller = app.caller().from("10.0.0.1").with("client-certificate", &encoded);
    if verified.is_empty() { caller } else { caller.with("client-certificate-ca-verified", verified) }
}

async fn ask(caller: &Caller, client: &str, more: &[(&str, &str)]) -> Answer {
    let mut form = vec![("grant_type", "client_credentials"), ("client_id", client), ("audience", API)];
    form.extend(more);
    caller.form("/oauth/token", &form).await
}

#[track_caller]
fn assert_refused(answer: &Answer) {
    assert_eq!((answer.status, &answer.body["error"]), (401, &json!(UNAUTHORIZED)), "{answer:?}");
}

both_databases! {
    async fn a_client_proves_itself_by_a_certificate(engine: Engine) {
        let (own, other) = (certificate("known.test"), certificate("known.test"));
        let app = ready(engine, &own).await;
        let named = certificate("named.test");

        grant_of(&ask(&proxied(&app, &own, "NONE"), "known", &[]).await);
        grant_of(&ask(&proxied(&app, &named, "SUCCESS"), "named", &[]).await);
        for (what, caller, client) in [
            ("another certificate of that name", proxied(&app, &other, "SUCCESS"), "known"),
            ("nobody vouches for the name", proxied(&app, &named, ""), "named"),
            ("nor here", proxied(&app, &named, "FAILED:self signed"), "named"),
            ("another name", proxied(&app, &own, "SUCCESS"), "named"),
            ("no certificate", app.caller().from("10.0.0.1"), "known"),
            ("no certificate at all", proxied(&app, "nothing", "SUCCESS"), "named"),
            ("not from the proxy", proxied(&app, &own, "NONE").from("203.0.113.9"), "known"),
            ("nor by its word", proxied(&app, &named, "SUCCESS").from("203.0.113.9"), "named"),
            ("two of them", proxied(&app, &own, "NONE").with("client-certificate", "x"), "known"),
        ] {
            let answer = ask(&caller, client, &[]).await;
            assert_eq!((answer.status, &answer.body["error"]), (401, &json!(UNAUTHORIZED)), "{what}: {answer:?}");
        }
        // One method a request (RFC 6749 §2.3), and a secret is none of theirs.
        for more in [[("client_secret", "known-secret")], [("client_assertion", "x")]] {
            assert_eq!(ask(&proxied(&app, &own, "NONE"), "known", &more).await.status, 401);
        }
        assert_refused(&ask(&app.caller().from("10.0.0.1"), "known", &[("client_secret", "known-secret")]).await);
        // A client with a secret is not proven by a certificate.
        assert_eq!(ask(&proxied(&app, &own, "SUCCESS"), "m2m", &[]).await.status, 401);
    }

    async fn a_token_is_bound_to_the_certificate_that_was_shown(engine: Engine) {
        let own = certificate("known.test");
        let app = ready(engine, &own).await;
        let shown = proxied(&app, &own, "NONE");
        let plain = grant_of(&ask(&shown, "known", &[]).await);
        assert_eq!(claims(&plain.access_token).get("cnf"), None, "the API does not ask for it");
        let api = app.admin().get(&format!("/api/v2/resource-servers?identifiers={API}")).await.body;
        let path = format!("/api/v2/resource-servers/{}", api[0]["id"].as_str().expect("an id"));
        let bound = json!({ "proof_of_possession": { "mechanism": "mtls", "required": true } });
        assert_eq!(app.admin().patch(&path, bound).await.status, 200);
        let answer = ask(&shown, "known", &[]).await;
        let token = claims(&grant_of(&answer).access_token);
        let thumbprint = token["cnf"]["x5t#S256"].as_str().expect("one");
        assert_eq!((&answer.body["token_type"], thumbprint.len()), (&json!("Bearer"), 43));
        let own_thumbprint = app.admin().get("/api/v2/clients/known/credentials").await.body[0]["thumbprint_sha256"].clone();
        assert_eq!(own_thumbprint, json!(thumbprint));
        // Who shows none gets none.
        let m2m = json!({ "client_id": "m2m", "audience": API, "scope": [] });
        assert_eq!(app.admin().post("/api/v2/client-grants", m2m).await.status, 201);
        let without = ask(&app.caller(), "m2m", &[("client_secret", "m2m-secret")]).await;
        let told: (u16, &Value) = (without.status, &without.body["error_description"]);
        assert_eq!(told, (400, &json!("A client certificate is required for the API")), "{without:?}");
    }

    /// RFC 8705 §3: what is bound to a certificate is nothing over a connection that proved another, or none.
    async fn a_users_token_that_is_bound_is_taken_with_its_certificate_alone(engine: Engine) {
        let own = certificate("known.test");
        let app = ready(engine, &own).await;
        let api = app.admin().get(&format!("/api/v2/resource-servers?identifiers={API}")).await.body;
        let path = format!("/api/v2/resource-servers/{}", api[0]["id"].as_str().expect("an id"));
        let bound = json!({ "proof_of_possession": { "mechanism": "mtls", "required": true } });
        assert_eq!(app.admin().patch(&path, bound).await.status, 200);
        let mut alice = signed_in(&app, "alice").await;
        let request = Authorize::code("web").with("audience", API).with("scope", "openid email read:a");
        let unbound = Exchange::code("web", &alice.get(&request.path()).await.param("code"));
        let refused = unbound.send(&app).await;
        assert_eq!((refused.status, &refused.body["error_description"]), (400, &json!("A client certificate is required for the API")));
        let code = alice.get(&request.path()).await.param("code");
        let shown = proxied(&app, &own, "NONE");
        let token = grant_of(&Exchange::code("web", &code).send_as(&shown).await).access_token;
        assert!(claims(&token)["cnf"]["x5t#S256"].is_string());
        let ask = async |caller: Caller, scheme: &str| {
            caller.with("authorization", &format!("{scheme} {token}")).get("/userinfo").await
        };
        let told = ask(shown.clone(), "Bearer").await;
        assert_eq!((told.status, &told.body["email"]), (200, &json!("alice@example.com")), "{told:?}");
        for (what, caller, scheme) in [
            ("no certificate", app.caller().from("10.0.0.1"), "Bearer"),
            ("another", proxied(&app, &certificate("known.test"), "SUCCESS"), "Bearer"),
            ("not by the proxy's word", shown.clone().from("203.0.113.9"), "Bearer"),
            ("as if it were bound to a key", shown, "DPoP"),
        ] {
            let answer = ask(caller, scheme).await;
            assert_eq!((answer.status, answer.text.as_str()), (401, "Unauthorized"), "{what}");
            assert!(answer.header("www-authenticate").contains("invalid_token"), "{what}: {answer:?}");
        }
    }

    async fn discovery_tells_of_certificates_where_they_are_taken(engine: Engine) {
        let app = TestApp::on(engine).await;
        let document = async || app.caller().get("/.well-known/openid-configuration").await.body;
        assert_eq!(document().await.get("mtls_endpoint_aliases"), None);
        let on = json!({ "mtls": { "enable_endpoint_aliases": true } });
        assert_eq!(app.admin().patch("/api/v2/tenants/settings", on).await.status, 200);
        let document = document().await;
        assert_eq!(document["mtls_endpoint_aliases"]["token_endpoint"], document["token_endpoint"]);
        assert_eq!(document["tls_client_certificate_bound_access_tokens"], true);
        let methods = document["token_endpoint_auth_methods_supported"].as_array().expect("a list");
        assert!(methods.contains(&json!("tls_client_auth")) && methods.contains(&json!("self_signed_tls_client_auth")));
    }
}

use super::product::{Browser, FORM, JSON, Product, split};

/// The parameters of a request, through the router: the first line says where they go, the rest is the query, the form or the JSON object.
/// At `here` somebody is signed in. Elsewhere nobody is: then nothing of value leaves.
pub fn authorize(data: &[u8]) -> bool {
    let product = Product::get();
    let (place, text) = split(data);
    let asked = |path: &str| [path.as_bytes(), b"?", text].concat();
    let answer = match place {
        b"here" => {
            let browser = Browser::get();
            let cookies = format!("__Host-auth0-txn={}; __Host-auth0={}", browser.binding, browser.session);
            product.send("GET", &asked("/authorize"), &[("cookie", cookies.as_bytes())], b"")
        }
        b"form" => product.send("POST", b"/authorize", &[FORM], text),
        b"logout" => product.send("GET", &asked("/oidc/logout"), &[], b""),
        b"v2" => product.send("GET", &asked("/v2/logout"), &[], b""),
        b"token" => product.send("POST", b"/oauth/token", &[FORM], text),
        b"json" => product.send("POST", b"/oauth/token", &[JSON], text),
        b"revoke" => product.send("POST", b"/oauth/revoke", &[JSON], text),
        b"register" => product.send("POST", b"/oidc/register", &[JSON], text),
        b"par" => product.send("POST", b"/oauth/par", &[FORM], text),
        _ => product.send("GET", &asked("/authorize"), &[], b""),
    };
    let Some(answer) = answer else { return false };
    let location = answer.location().unwrap_or_default();
    let given = ["code=", "access_token=", "id_token="].iter().any(|name| {
        let value = format!("name=\"{}\" value=", name.trim_end_matches('='));
        location.split(['?', '#', '&']).any(|pair| pair.starts_with(name)) || answer.text.contains(&value)
    });
    assert!(!given || place == b"here", "{location}: {}", answer.text);
    // What a front channel gives never stands in a query, which logs and referrers see.
    let query = location.split('#').next().unwrap_or_default().split_once('?').map_or("", |(_, query)| query);
    let shown =
        query.split('&').any(|pair| pair.starts_with("access_token=") || pair.starts_with("id_token="));
    assert!(!shown, "{location}");
    assert!(!matches!(place, b"token" | b"json") || answer.status != 200, "{}", answer.text);
    answer.status < 400 && !location.contains("error=") && !answer.text.contains("name=\"error\"")
}

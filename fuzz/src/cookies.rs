use percent_encoding::{NON_ALPHANUMERIC, percent_encode};

use super::product::{AUTHORIZE, Browser, FORM, Product};

const BINDING: &str = "__Host-auth0-txn";

/// What a browser brings back, through the router: the first line is the `Cookie` header, the rest is the `state` of a page. `SESSION` and
/// `BINDING` stand for the values of the cookies of a browser in which somebody signed in, `STATE` for the sign-in that was begun there
/// once more.
pub fn cookies(data: &[u8]) -> bool {
    let (product, browser) = (Product::get(), Browser::get());
    let (cookies, state) = split_filled(product, browser, data);
    let headers: [(&str, &[u8]); 1] = [("cookie", &cookies)];
    let carries = |name: &str, value: &str| {
        let pair = format!("{name}={value}");
        cookies.split(|byte| *byte == b';').any(|given| given.trim_ascii() == pair.as_bytes())
    };
    let encoded = percent_encode(&state, NON_ALPHANUMERIC).to_string();

    // A page of a sign-in is shown to the browser alone in which it began.
    let page = format!("/u/login?state={encoded}");
    let Some(page) = product.send("GET", page.as_bytes(), &headers, b"") else { return false };
    if page.status == 200 {
        assert!(carries(BINDING, &browser.binding) && state == browser.state.as_bytes(), "{}", page.text);
    }
    // Without its token the form does nothing, whatever else it brings.
    let form =
        format!("state={encoded}&_csrf={encoded}&username=alice%40example.com&password=b&action=default");
    let sent = product.send("POST", b"/u/login", &[headers[0], FORM], form.as_bytes()).expect("is a request");
    assert!(sent.status >= 400 && sent.cookie("__Host-auth0").is_none(), "{}: {}", sent.status, sent.text);

    // Who is signed in has the cookie that says so.
    let silent = product
        .send("GET", format!("{AUTHORIZE}&prompt=none").as_bytes(), &headers, b"")
        .expect("is a request");
    let location = silent.location().expect("leads back");
    let signed_in = location.contains("code=");
    assert!(signed_in || location.contains("error=login_required"), "{location}");
    assert!(!signed_in || carries("__Host-auth0", &browser.session), "{location}");

    // What is set comes back: a browser that is bound is not bound again.
    let begun = product
        .send("GET", format!("{AUTHORIZE}&prompt=login").as_bytes(), &headers, b"")
        .expect("is a request");
    if let Some(value) = begun.cookie(BINDING) {
        assert!(value.len() == 43, "{value}");
        let both = [BINDING.as_bytes(), b"=", value.as_bytes(), b"; ", &cookies].concat();
        let again =
            product.send("GET", AUTHORIZE.as_bytes(), &[("cookie", &both)], b"").expect("is a request");
        assert_eq!(again.cookie(BINDING), None);
    }
    page.status == 200 || signed_in
}

fn split_filled(product: &Product, browser: &Browser, data: &[u8]) -> (Vec<u8>, Vec<u8>) {
    let words = [("SESSION", &*browser.session), ("BINDING", &*browser.binding), ("STATE", &*browser.state)];
    let (cookies, state) = super::product::split(data);
    (product.fill(cookies, &words[..2]), product.fill(state, &words[2..]))
}

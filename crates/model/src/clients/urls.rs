//! Which URLs a client may name: matching against what it lists, and what it may list (authentication contract §1.8).
//!
//! Listed and given URLs are compared as text, never as parsed and rewritten URLs: no two ways to read one string.

/// Schemes that a browser runs or opens itself; nothing may be sent to them.
const REFUSED_SCHEMES: [&str; 12] = [
    "about",
    "blob",
    "chrome",
    "data",
    "file",
    "filesystem",
    "ftp",
    "jar",
    "javascript",
    "mailto",
    "vbscript",
    "view-source",
];

/// A URL cut into the parts that are compared differently.
#[derive(Clone, Copy)]
struct Parts<'a> {
    scheme: &'a str,
    /// User, host and port; `None` where no `//` follows the scheme.
    authority: Option<&'a str>,
    /// Path, query and fragment.
    rest: &'a str,
}

/// Cuts a URL; `None` if it holds what no URL holds, or what parsers read differently.
fn cut(url: &str) -> Option<Parts<'_>> {
    if url.bytes().any(|byte| byte <= b' ' || byte == 0x7f || byte == b'\\') {
        return None;
    }
    let (scheme, after) = url.split_once(':')?;
    let mut letters = scheme.bytes();
    let starts_well = letters.next().is_some_and(|first| first.is_ascii_alphabetic());
    if !starts_well || !letters.all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte)) {
        return None;
    }
    let Some(after) = after.strip_prefix("//") else {
        return Some(Parts { scheme, authority: None, rest: after });
    };
    let end = after.find(['/', '?', '#']).unwrap_or(after.len());
    Some(Parts { scheme, authority: Some(&after[..end]), rest: &after[end..] })
}

impl Parts<'_> {
    fn is_web(&self) -> bool {
        self.scheme.eq_ignore_ascii_case("http") || self.scheme.eq_ignore_ascii_case("https")
    }
}

/// Whether `given` is what a client listed: scheme and host in any case, all else exactly, and one `*` in the left-most
/// label stands for a part of a label. No fragment (RFC 6749 §3.1.2).
pub fn matches(listed: &str, given: &str) -> bool {
    let (Some(listed), Some(given)) = (cut(listed), cut(given)) else { return false };
    !given.rest.contains('#') && listed.rest == given.rest && matches_site(listed, given)
}

/// As [`matches`], but neither query nor fragment counts: `returnTo` of `/v2/logout`.
pub fn matches_logout(listed: &str, given: &str) -> bool {
    let (Some(listed), Some(given)) = (cut(listed), cut(given)) else { return false };
    path(listed.rest) == path(given.rest) && matches_site(listed, given)
}

/// As [`matches`] for a native app: a listed loopback address without a port stands for every port (RFC 8252 §7.3).
pub fn matches_native(listed: &str, given: &str) -> bool {
    if matches(listed, given) {
        return true;
    }
    let (Some(listed), Some(given)) = (cut(listed), cut(given)) else { return false };
    let (Some(address), Some(site)) = (listed.authority, given.authority) else { return false };
    let is_loopback = listed.scheme.eq_ignore_ascii_case("http") && ["127.0.0.1", "[::1]"].contains(&address);
    let port = site.strip_prefix(address).and_then(|rest| rest.strip_prefix(':'));
    is_loopback
        && given.scheme.eq_ignore_ascii_case("http")
        && port.is_some_and(|port| !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit()))
        && !given.rest.contains('#')
        && listed.rest == given.rest
}

/// Whether the `Origin` header `given` is the origin of `listed`, whose path does not count.
pub fn matches_origin(listed: &str, given: &str) -> bool {
    let (Some(listed), Some(given)) = (origin(listed), origin(given)) else { return false };
    matches_text(&listed, &given)
}

/// The origin of a URL, in lower case and without its scheme's own port; `None` for a URL without a host.
pub fn origin(url: &str) -> Option<String> {
    let parts = cut(url)?;
    let authority = parts.authority.filter(|authority| is_host(authority))?;
    let scheme = parts.scheme.to_ascii_lowercase();
    let authority = authority.to_ascii_lowercase();
    let host = match scheme.as_str() {
        "https" => authority.strip_suffix(":443"),
        "http" => authority.strip_suffix(":80"),
        _ => None,
    };
    Some(format!("{scheme}://{}", host.unwrap_or(&authority)))
}

/// An origin with `*` for its left-most label: what it shares with the wildcards that might match it.
pub fn family(origin: &str) -> String {
    let Some((scheme, authority)) = origin.split_once("://") else { return origin.into() };
    match authority.split_once('.') {
        Some((_, parent)) => format!("{scheme}://*.{parent}"),
        None => origin.into(),
    }
}

fn path(rest: &str) -> &str {
    &rest[..rest.find(['?', '#']).unwrap_or(rest.len())]
}

fn matches_site(listed: Parts<'_>, given: Parts<'_>) -> bool {
    if !listed.scheme.eq_ignore_ascii_case(given.scheme) {
        return false;
    }
    match (listed.authority, given.authority) {
        // `https:app.test` means different things to different parsers.
        (None, None) => !given.is_web(),
        (Some(listed_site), Some(site)) => {
            if given.is_web() && !is_host(site) {
                return false;
            }
            matches_text(&listed_site.to_ascii_lowercase(), &site.to_ascii_lowercase())
        }
        _ => false,
    }
}

/// Compares host names (or origins), in which `*` stands for letters, digits and hyphens, at least one.
fn matches_text(listed: &str, given: &str) -> bool {
    let Some((before, after)) = listed.split_once('*') else {
        // `{organization_name}` is filled in only within an organization's login.
        return listed == given && !listed.contains('{');
    };
    let middle = given.strip_prefix(before).and_then(|rest| rest.strip_suffix(after));
    middle.is_some_and(|middle| {
        !middle.is_empty() && middle.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    })
}

/// Whether this is a host with perhaps a port, and neither a user nor anything escaped before it.
fn is_host(authority: &str) -> bool {
    !authority.is_empty()
        && authority.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._:[]*{}".contains(&byte))
}

/// Whether a client may list this as a callback: a full URL without fragment, of a scheme that leads to an app.
pub fn may_be_callback(url: &str) -> bool {
    let Some(parts) = cut(url) else { return false };
    !url.contains('#') && may_be_listed(parts) && (!parts.is_web() || parts.authority.is_some())
}

/// Whether a client may list this as a logout URL or an origin.
///
/// Looser than for callbacks, as tools store what is not quite a URL; that never matches anything.
pub fn may_be_destination(url: &str) -> bool {
    cut(url).is_some_and(may_be_listed)
}

/// Whether a setting may name this as a page to send people to: `http` or `https` with a host, and no wildcard.
pub fn is_web_page(url: &str) -> bool {
    let Some(parts) = cut(url) else { return false };
    let host = parts.authority.filter(|authority| is_host(authority) && !authority.contains('*'));
    parts.is_web() && host.is_some()
}

fn may_be_listed(parts: Parts<'_>) -> bool {
    let scheme = parts.scheme.to_ascii_lowercase();
    if REFUSED_SCHEMES.contains(&scheme.as_str()) || parts.rest.contains('*') {
        return false;
    }
    match parts.authority {
        None => !parts.rest.is_empty(),
        Some(authority) if parts.is_web() => is_host(authority) && may_be_wildcard(authority),
        Some(authority) => !authority.contains('*'),
    }
}

/// A `*` stands in the left-most label, once, above a domain of at least two labels, and not beside a placeholder.
fn may_be_wildcard(authority: &str) -> bool {
    if !authority.contains('*') {
        return true;
    }
    let Some((label, parent)) = authority.split_once('.') else { return false };
    let host = parent.split(':').next().unwrap_or_default();
    label.matches('*').count() == 1
        && !parent.contains('*')
        && !authority.contains('{')
        && host.split('.').count() >= 2
        && host.split('.').all(|label| !label.is_empty())
        // Above an IP address there is no domain.
        && !host.split('.').all(|label| label.bytes().all(|byte| byte.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_without_its_schemes_own_port() {
        for (url, expected) in [
            ("http://App.test:80/x", "http://app.test"),
            ("https://app.test:443", "https://app.test"),
            ("http://app.test:443", "http://app.test:443"),
            ("https://app.test:80", "https://app.test:80"),
        ] {
            assert_eq!(origin(url).as_deref(), Some(expected), "{url}");
        }
    }

    #[test]
    fn what_follows_an_apps_own_scheme_is_the_apps_matter() {
        assert!(may_be_callback("com.acme.app://a~b/cb") && !may_be_callback("https://a~b/cb"));
    }

    #[test]
    fn a_callback_is_compared_to_the_letter() {
        let listed = "https://app.test/cb";
        assert!(matches(listed, "https://app.test/cb"));
        for given in [
            "https://app.test/cb/",
            "https://app.test/cb?x=1",
            "https://app.test/cb/../evil",
            "https://app.test/%2e%2e/cb",
            "https://app.test/CB",
            "https://app.test:8443/cb",
            "https://app.test:443/cb",
            "http://app.test/cb",
            "https://app.test/cb#f",
            "https://app.test/cb#",
            " https://app.test/cb",
            "https://app.test/cb\n",
            "https:app.test/cb",
            "https:///app.test/cb",
            "//app.test/cb",
            "/cb",
            "",
        ] {
            assert!(!matches(listed, given), "{given:?}");
        }
    }

    #[test]
    fn scheme_and_host_may_be_in_any_case() {
        assert!(matches("https://App.test/Cb", "HTTPS://aPP.TEST/Cb"));
    }

    #[test]
    fn nothing_before_or_within_the_host_confuses() {
        for given in [
            "https://app.test@evil.test/cb",
            "https://app.test:80@evil.test/cb",
            "https://evil.test\\@app.test/cb",
            "https://app.test%00.evil.test/cb",
            "https://evil.test/https://app.test/cb",
            "https://app.test\u{ff0e}evil.test/cb",
        ] {
            assert!(!matches("https://app.test/cb", given), "{given:?}");
            assert!(!matches_logout("https://app.test/cb", given), "{given:?}");
            assert!(!matches_origin("https://app.test/cb", given), "{given:?}");
        }
    }

    #[test]
    fn a_wildcard_stands_for_a_part_of_one_label() {
        assert!(matches("https://*.app.test/cb", "https://a-1.APP.test/cb"));
        assert!(matches("https://pr-*-web.app.test/cb", "https://pr-7-web.app.test/cb"));
        for given in [
            "https://evil.test/.app.test/cb",
            "https://app.test.evil.test/cb",
            "https://a.b.app.test/cb",
            "https://*.app.test/cb",
            "https://.app.test/cb",
            "https://app.test/cb",
            "https://a@b.app.test/cb",
            "https://evil.test#.app.test/cb",
            "https://evil.test?.app.test/cb",
            "https://a_b.app.test/cb",
            "http://a.app.test/cb",
            "https://a.app.test:444/cb",
        ] {
            assert!(!matches("https://*.app.test/cb", given), "{given:?}");
        }
    }

    #[test]
    fn a_placeholder_matches_nothing_outside_an_organization() {
        let listed = "https://{organization_name}.app.test/cb";
        assert!(!matches(listed, "https://acme.app.test/cb"));
        assert!(!matches(listed, listed));
    }

    #[test]
    fn an_apps_own_scheme_is_compared_to_the_letter() {
        assert!(matches("com.example.app:/cb", "com.example.app:/cb"));
        assert!(matches("myapp://host/cb", "MyApp://host/cb"));
        assert!(!matches("com.example.app:/cb", "com.example.app:/cb2"));
        assert!(!matches("com.example.app:/cb", "com.example.app:///cb"));
    }

    #[test]
    fn a_native_app_listens_on_any_loopback_port() {
        assert!(matches_native("http://127.0.0.1/cb", "http://127.0.0.1:51004/cb"));
        assert!(matches_native("http://[::1]/cb", "http://[::1]:51004/cb"));
        for (listed, given) in [
            ("http://127.0.0.1/cb", "http://127.0.0.1:51004/other"),
            ("http://127.0.0.1:3000/cb", "http://127.0.0.1:3001/cb"),
            ("http://127.0.0.1/cb", "http://127.0.0.1:80@evil.test/cb"),
            ("http://127.0.0.1/cb", "http://127.0.0.1:/cb"),
            ("http://127.0.0.1/cb", "http://127.0.0.1.evil.test/cb"),
            ("http://127.0.0.1/cb", "https://127.0.0.1:51004/cb"),
            ("http://localhost/cb", "http://localhost:51004/cb"),
            ("http://app.test/cb", "http://app.test:51004/cb"),
        ] {
            assert!(!matches_native(listed, given), "{listed} {given}");
        }
    }

    #[test]
    fn logout_ignores_query_and_fragment() {
        assert!(matches_logout("https://app.test/bye", "https://app.test/bye?x=1#y"));
        assert!(matches_logout("https://app.test", "https://app.test?x=1"));
        assert!(!matches_logout("https://app.test", "https://app.test/"));
        assert!(!matches_logout("https://app.test/bye", "https://app.test/bye/?x=1"));
        assert!(!matches_logout("https:localhost:3000/logout", "https:localhost:3000/logout"));
    }

    #[test]
    fn an_origin_is_scheme_host_and_port() {
        assert!(matches_origin("https://App.test/path", "https://app.test"));
        assert!(matches_origin("https://app.test:443", "https://app.test"));
        assert!(matches_origin("http://localhost:3000", "http://localhost:3000"));
        assert!(matches_origin("https://*.app.test", "https://a.app.test"));
        assert!(matches_origin("capacitor://localhost", "capacitor://localhost"));
        assert!(!matches_origin("https://app.test", "http://app.test"));
        assert!(!matches_origin("https://app.test", "https://app.test:444"));
        assert!(!matches_origin("https://app.test", "null"));
        assert!(!matches_origin("com.example.app:/cb", "com.example.app:/cb"));
    }

    #[test]
    fn a_family_holds_an_origin_and_its_wildcards() {
        assert_eq!(family("https://a.app.test:8443"), "https://*.app.test:8443");
        assert_eq!(family("https://pr-*.app.test"), family("https://pr-1.app.test"));
        assert_eq!(family("http://localhost:3000"), "http://localhost:3000");
    }

    #[test]
    fn what_a_browser_would_run_cannot_be_listed() {
        for url in [
            "javascript:alert(1)",
            "JaVaScRiPt:alert(1)",
            "javascript://app.test/%0aalert(1)",
            "data:text/html,x",
            "file:///etc/passwd",
            "vbscript:x",
            "blob:https://app.test/x",
            "*",
            "https://*",
            "https://*.test",
            "https://*.1.2.3.4",
            "https://a.*.app.test/cb",
            "https://**.app.test/cb",
            "https://*.*.app.test/cb",
            "http://localhost:*/cb",
            "https://app.test/*",
            "*://app.test/cb",
            "myapp://*/cb",
            "https://{organization_name}-*.app.test/cb",
            "https://user@app.test/cb",
            "https://app.test\\cb",
            "https://app.test/c b",
            "app.test/cb",
            "",
        ] {
            assert!(!may_be_callback(url), "{url:?}");
            assert!(!may_be_destination(url), "{url:?}");
        }
        assert!(!may_be_callback("https://app.test/cb#f"));
        assert!(!may_be_callback("https:app.test/cb"));
    }

    #[test]
    fn a_web_page_has_a_scheme_and_a_host() {
        for url in
            ["https://a.test", "http://localhost:3000/login?x=1#y", "https://{organization_name}.a.test"]
        {
            assert!(is_web_page(url), "{url:?}");
        }
        for url in [
            "javascript:alert(1)",
            "https:a.test",
            "//a.test",
            "https://*.a.test",
            "myapp://a",
            "",
            "https://a@b.test",
        ] {
            assert!(!is_web_page(url), "{url:?}");
        }
    }

    #[test]
    fn what_leads_to_an_app_can_be_listed() {
        for url in [
            "https://app.test/cb?x=1",
            "http://localhost:3000",
            "https://*.app.test/cb",
            "https://pr-*.app.co.test:8443/cb",
            "https://{organization_name}.app.test/cb",
            "com.example.app:/cb",
            "com.example.app://auth.test/ios/com.example.app/callback",
            "http://[::1]/cb",
        ] {
            assert!(may_be_callback(url), "{url:?}");
        }
        // As tools have stored it.
        assert!(may_be_destination("https:localhost:3000/logout"));
    }
}

use model::clients::urls;
use url::Url;

use super::product::split;

/// Redirect addresses, directly: the first line is what a client lists, the second what a request gives. What matches leads, as browsers
/// read it, to the very place that is listed, or where a wildcard stands, to a host under the same parent.
pub fn redirect(data: &[u8]) -> bool {
    let (listed, given) = split(data);
    let (Ok(listed), Ok(given)) = (std::str::from_utf8(listed), std::str::from_utf8(given)) else {
        return false;
    };
    if !urls::may_be_callback(listed) {
        return false;
    }
    let (exactly, native) = (urls::matches(listed, given), urls::matches_native(listed, given));
    assert!(native || !exactly, "{listed} {given}");
    let web = Url::parse(given).ok().filter(is_web);
    if let Some(place) = web.as_ref().filter(|_| native) {
        assert!(place.username().is_empty() && place.password().is_none() && place.fragment().is_none());
        assert!(same_place(listed, place, !exactly), "{listed} let {given} in");
    }
    if let Some(place) = web.as_ref().filter(|_| urls::matches_logout(listed, given)) {
        let mut place = place.clone();
        place.set_query(None);
        place.set_fragment(None);
        let bare = &listed[..listed.find('?').unwrap_or(listed.len())];
        assert!(same_place(bare, &place, false), "{listed} let {given} in after a logout");
    }
    if let Some(caller) = web.filter(|_| urls::matches_origin(listed, given)) {
        let own = Url::parse(&listed.replace('*', "a")).expect("what has an origin is a URL");
        assert!(listed.contains('*') || own.origin() == caller.origin(), "{listed} let {given} call");
    }
    native
}

fn is_web(url: &Url) -> bool {
    matches!(url.scheme(), "http" | "https")
}

/// Whether a browser that is sent to `given` comes to what is listed; on another port, where that is allowed.
fn same_place(listed: &str, given: &Url, any_port: bool) -> bool {
    let Some((before, after)) = listed.split_once('*') else {
        let Ok(mut listed) = Url::parse(listed) else { return false };
        if any_port {
            let loopback = matches!(given.host_str(), Some("127.0.0.1" | "[::1]"));
            return loopback && listed.set_port(given.port()).is_ok() && listed == *given;
        }
        return listed == *given;
    };
    // The label with the wildcard ends where the parent begins: what comes after it is the same for both.
    let scheme = before.split("://").next().unwrap_or_default();
    let parent = after.split_once('.').map_or("", |(_, parent)| parent);
    let Ok(parent) = Url::parse(&format!("{scheme}://{parent}")) else { return false };
    let host = given.host_str().and_then(|host| host.split_once('.')).map(|(_, parent)| parent);
    given.scheme() == parent.scheme()
        && host == parent.host_str()
        && (given.port(), given.path(), given.query()) == (parent.port(), parent.path(), parent.query())
}

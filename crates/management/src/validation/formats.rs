//! The named formats of the published schemas, as far as bodies use them.

use ipnet::{Ipv4Net, Ipv6Net};
use jsonschema::ValidationOptions;
use model::clients::urls;
use model::users::is_email;
use url::Url;

/// Teaches `options` the formats.
pub fn register(options: ValidationOptions) -> ValidationOptions {
    options
        .with_format("email", is_email)
        .with_format("email-or-empty", |text| text.is_empty() || is_email(text))
        .with_format("strict-uri", is_web_address)
        .with_format("strict-https-uri-or-null", is_https)
        .with_format("absolute-uri-or-empty", |text| text.is_empty() || is_web_address(text))
        .with_format("absolute-https-uri-or-empty", |text| text.is_empty() || is_https(text))
        .with_format("absolute-https-uri-with-placeholders-or-empty", |text| {
            text.is_empty() || text.starts_with("https://") && is_clean(text)
        })
        .with_format("html-color", is_color)
        .with_format("callback-url", urls::may_be_callback)
        .with_format("url-with-placeholders", urls::may_be_destination)
        .with_format("client-id", is_client_id)
        .with_format("cidr", |text| text.parse::<Ipv4Net>().is_ok())
        .with_format("ipv6_cidr", |text| text.parse::<Ipv6Net>().is_ok())
        .with_format("url", is_web_address)
        .with_format("user-id", is_user_id)
}

/// An absolute `http` or `https` address.
fn is_web_address(text: &str) -> bool {
    is_clean(text)
        && Url::parse(text).is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.has_host())
}

fn is_https(text: &str) -> bool {
    is_web_address(text) && text.starts_with("https://")
}

fn is_clean(text: &str) -> bool {
    !text.chars().any(|c| c.is_whitespace() || c.is_control())
}

/// `#` and three or six hexadecimal digits.
fn is_color(text: &str) -> bool {
    text.strip_prefix('#')
        .is_some_and(|digits| matches!(digits.len(), 3 | 6) && digits.chars().all(|c| c.is_ascii_hexdigit()))
}

/// `{provider}|{rest}`.
fn is_user_id(text: &str) -> bool {
    text.split_once('|').is_some_and(|(provider, rest)| !provider.is_empty() && !rest.is_empty())
}

fn is_client_id(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= 64
        && text.chars().all(|c| c.is_ascii_alphanumeric() || "_-".contains(c))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_web_addresses() {
        assert!(is_web_address("https://example.com/picture.jpg?x=1"));
        for bad in ["javascript:alert(1)", "data:text/html,x", "/relative", "https://", "https://a b/"] {
            assert!(!is_web_address(bad), "{bad}");
        }
        assert!(!is_https("http://example.com"));
    }

    #[test]
    fn a_color_is_hexadecimal() {
        assert!(is_color("#635dff") && is_color("#FFF"));
        assert!(!is_color("red") && !is_color("#12345"));
    }
}

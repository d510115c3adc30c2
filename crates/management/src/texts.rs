//! Texts of a named format, where a list holds them.

use schemars::JsonSchema;
use serde::Deserialize;

macro_rules! texts {
    ($($(#[$doc:meta])* $name:ident, $format:literal;)*) => {
        $(
            $(#[$doc])*
            #[derive(Clone, Debug, Deserialize, JsonSchema)]
            #[serde(transparent)]
            #[schemars(inline, extend("format" = $format))]
            pub struct $name(pub String);
        )*
    };
}

texts! {
    /// Where an authorization response may go.
    CallbackUrl, "callback-url";
    /// Where logout may return to, or an origin; with `*` for a subdomain.
    Destination, "url-with-placeholders";
    /// An `https` address, or nothing.
    HttpsAddress, "absolute-https-uri-with-placeholders-or-empty";
    /// A client's id.
    ClientIdText, "client-id";
}

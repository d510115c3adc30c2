//! Texts of a named format, where a list holds them.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;
use serde_json::json;

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

/// An address or a network, of either version of IP.
#[derive(Clone, Debug, Deserialize)]
#[serde(transparent)]
pub struct NetworkAddress(pub String);

impl JsonSchema for NetworkAddress {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "NetworkAddress".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let format = |name: &str| json!({ "type": "string", "format": name });
        json_schema!({
            "type": "string",
            "anyOf": [format("ipv4"), format("cidr"), format("ipv6"), format("ipv6_cidr")]
        })
    }
}

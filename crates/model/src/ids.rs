//! Typed ids. A tenant's id begins every key; a user's and a client's id travel far and must not be mixed up.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident, $inner:ty) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name($inner);

        impl $name {
            /// The id as it stands on the wire.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl From<&str> for $name {
            fn from(id: &str) -> Self {
                Self(id.into())
            }
        }

        impl From<String> for $name {
            fn from(id: String) -> Self {
                Self(id.into())
            }
        }

        impl From<&$name> for db::Value {
            fn from(id: &$name) -> Self {
                db::Value::Text(id.0.to_string())
            }
        }

        impl From<$name> for db::Value {
            fn from(id: $name) -> Self {
                db::Value::Text(id.0.to_string())
            }
        }

        impl db::FromValue for $name {
            fn from_value(value: db::Value) -> Result<Self, db::Error> {
                String::from_value(value).map(Self::from)
            }
        }
    };
}

text_id!(
    /// The tenant that a row belongs to; never on the wire.
    TenantId,
    Arc<str>
);
text_id!(
    /// A user's id, `{provider}|{rest}`, for example `auth0|5f7c…` (management contract §1.2). `{rest}` may hold further bars.
    UserId,
    Arc<str>
);
text_id!(
    /// A client's id: 32 alphanumerics.
    ClientId,
    Arc<str>
);

impl UserId {
    /// The part before the first `|`.
    pub fn provider(&self) -> &str {
        self.0.split_once('|').map_or("", |(provider, _)| provider)
    }

    /// The part after the first `|`: the identity's own `user_id`.
    pub fn subject(&self) -> &str {
        self.0.split_once('|').map_or(&*self.0, |(_, subject)| subject)
    }
}

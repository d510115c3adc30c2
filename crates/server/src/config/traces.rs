//! `[traces]`: spans for a collector, in programs that are built to send them.

use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;

use super::Error;

/// Where spans go, and of how many requests.
#[derive(PartialEq)]
pub struct Traces {
    /// The collector's address for traces: `http://127.0.0.1:4318/v1/traces`.
    pub collector: String,
    /// Headers that it wants, a key of its own for one. They are secrets.
    pub headers: BTreeMap<String, String>,
    /// The share of requests that are traced, from 0 to 1.
    pub share: f64,
    /// Whether a trusted proxy's `traceparent` counts.
    pub from_proxies: bool,
}

impl fmt::Debug for Traces {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Traces").field("share", &self.share).finish_non_exhaustive()
    }
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Table {
    collector: Option<String>,
    headers: Option<BTreeMap<String, String>>,
    share: Option<f64>,
    from_proxies: Option<bool>,
}

impl Traces {
    /// `variable` takes what the environment has by a name. Without a collector there are no traces.
    pub(super) fn check(
        table: Option<Table>,
        variable: &mut dyn FnMut(&str) -> Option<String>,
    ) -> Result<Option<Self>, Error> {
        let given = table.is_some();
        let table = table.unwrap_or_default();
        let share = variable("DOORWARD_TRACES_SHARE").map(|text| {
            let refused = || Error::Invalid("traces.share", format!("is not a number from 0 to 1: {text:?}"));
            text.parse::<f64>().map_err(|_| refused())
        });
        let share = share.transpose()?.or(table.share).unwrap_or(1.0);
        let from_proxies = variable("DOORWARD_TRACES_FROM_PROXIES").map(|text| {
            let refused =
                || Error::Invalid("traces.from_proxies", format!("is neither true nor false: {text:?}"));
            text.parse::<bool>().map_err(|_| refused())
        });
        let from_proxies = from_proxies.transpose()?.or(table.from_proxies).unwrap_or(false);
        let headers = match variable("DOORWARD_TRACES_HEADERS") {
            Some(text) => listed(&text)?,
            None => table.headers.unwrap_or_default(),
        };
        let Some(collector) = variable("DOORWARD_TRACES_COLLECTOR").or(table.collector) else {
            return match given {
                true => Err(Error::Missing(
                    "traces.collector",
                    "write the collector's address for traces: \"http://127.0.0.1:4318/v1/traces\"",
                )),
                false => Ok(None),
            };
        };
        if !cfg!(feature = "otel") {
            return Err(Error::Contradiction(
                "`[traces]` needs a program that is built with the feature `otel`: this one sends none",
            ));
        }
        // Neither is quoted: a collector may know its callers by what stands there.
        let url = url::Url::parse(&collector).ok();
        if !url.is_some_and(|url| {
            ["http", "https"].contains(&url.scheme()) && url.username().is_empty() && url.password().is_none()
        }) {
            return Err(Error::Invalid(
                "traces.collector",
                "is no address: write \"http://127.0.0.1:4318/v1/traces\", and secrets into `traces.headers`"
                    .into(),
            ));
        }
        for (name, value) in &headers {
            let valid = axum::http::HeaderName::try_from(name).is_ok()
                && axum::http::HeaderValue::try_from(value).is_ok();
            if !valid {
                return Err(Error::Invalid("traces.headers", format!("cannot hold {name:?} as it stands")));
            }
        }
        match (0.0..=1.0).contains(&share) {
            true => Ok(Some(Self { collector, headers, share, from_proxies })),
            false => Err(Error::Invalid("traces.share", format!("is not a number from 0 to 1: {share}"))),
        }
    }
}

/// `name=value` with commas between.
fn listed(text: &str) -> Result<BTreeMap<String, String>, Error> {
    let pair = |pair: &str| {
        let (name, value) = pair.split_once('=').ok_or_else(|| {
            Error::Invalid("traces.headers", "is no list: write name=value, with commas between".into())
        })?;
        Ok((name.trim().to_owned(), value.trim().to_owned()))
    };
    text.split(',').map(pair).collect()
}

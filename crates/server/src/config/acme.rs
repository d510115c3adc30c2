//! `[acme]`: certificates that the program gets by itself.

use std::path::PathBuf;

use serde::Deserialize;

use super::{Error, Issuer};
use crate::acme;

/// The authority that certificates are ordered from unless told.
pub(super) const LETS_ENCRYPT: &str = "https://acme-v02.api.letsencrypt.org/directory";

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Acme {
    agree_to_terms: Option<bool>,
    contact: Option<String>,
    directory: Option<String>,
    names: Option<Vec<String>>,
    root: Option<PathBuf>,
    store: Option<PathBuf>,
}

impl Acme {
    pub(super) fn check(
        self,
        issuer: Option<&Issuer>,
        relative: impl Fn(PathBuf) -> PathBuf,
    ) -> Result<acme::Settings, Error> {
        if self.agree_to_terms != Some(true) {
            return Err(Error::Missing(
                "acme.agree_to_terms",
                "read your authority's terms of service and write agree_to_terms = true",
            ));
        }
        let own = issuer.map(|issuer| vec![issuer.host.split(':').next().unwrap_or_default().to_owned()]);
        let names = self
            .names
            .or(own)
            .filter(|names| !names.is_empty())
            .ok_or(Error::Missing("acme.names", "name the hosts of the certificate, or set `issuer`"))?;
        let refuse = |text: &str| {
            Error::Invalid(
                "acme.names",
                format!("holds {text:?}, which is no host name: write id.example.com"),
            )
        };
        for name in &names {
            let host = url::Host::parse(name).map_err(|_| refuse(name))?;
            // A proof over TLS is for one name, and for none with a wildcard.
            if !matches!(host, url::Host::Domain(_)) || name.contains('*') {
                return Err(refuse(name));
            }
        }
        let directory = self.directory.unwrap_or_else(|| LETS_ENCRYPT.into());
        if !directory.starts_with("https://") {
            return Err(Error::Invalid("acme.directory", "must begin with https://".into()));
        }
        let store = self.store.ok_or(Error::Missing(
            "acme.store",
            "name a directory for the account, the certificate and its key: /var/lib/doorward/acme",
        ))?;
        if self.contact.as_ref().is_some_and(|contact| !contact.starts_with("mailto:")) {
            return Err(Error::Invalid("acme.contact", "must begin with mailto:".into()));
        }
        let (store, root) = (relative(store), self.root.map(relative));
        Ok(acme::Settings { directory, names, contact: self.contact, store, root })
    }
}

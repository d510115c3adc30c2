//! `doorward serve`: production.

use std::path::Path;

use anyhow::Context;
use model::Net;
use model::mail::Delivery;
use model::tenants;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::acme::Renewal;
use crate::client_certificates::ClientCertificates;
use crate::config::Transport;
use crate::listener::Listener;
use crate::metrics::Metrics;
use crate::monitoring::Monitoring;
use crate::peer::Proxies;
use crate::tls::Certificate;
use crate::{jobs, panics, program, router};

/// Runs until SIGTERM or SIGINT. Everything that can be refused is refused before the first connection is accepted.
pub async fn run(path: &Path) -> anyhow::Result<()> {
    // Before anything takes time: a service's manager sends it to whatever runs, and it ends who does not listen.
    let hangup = signal(SignalKind::hangup()).context("cannot listen for SIGHUP")?;
    let config = program::configuration(path)?;
    #[cfg(not(feature = "otel"))]
    crate::logging::structured(&config.log)?;
    #[cfg(feature = "otel")]
    let traces = crate::traces::begin(&config)?;
    panics::log_them();
    let mut certificate = match &config.transport {
        Transport::Tls { certificate, key } => Some(Certificate::new(Certificate::read(certificate, key)?)),
        Transport::Acme(_) | Transport::BehindProxy => None,
    };
    let breaches = program::breaches(config.breached_passwords.as_deref())?;
    let net = Net::new(config.outbound.clone());
    let master_keys = program::master_keys(&config.master_key)?;
    let databases = (&*config.database, config.replica.as_deref());
    let app = program::open(databases, &master_keys, breaches, net).await?;
    // It would end the process itself, with the same status, and lose the line that says why.
    app.db.on_broken(|_| {
        crate::logging::finish();
        std::process::exit(70);
    });
    if let Some(issuer) = &config.issuer {
        program::ensure_tenant(&app, issuer).await?;
    }
    let mut renewal = None;
    if let Transport::Acme(settings) = &config.transport {
        let (net, clock, random) = (app.net.clone(), app.clock.clone(), app.random.clone());
        let begun = Renewal::begin(settings.clone(), net, clock, random)?;
        certificate = Some(begun.certificate());
        renewal = Some(begun);
    }
    let clients = match config.client_certificates {
        true => Some(ClientCertificates::read(config.client_authorities.as_deref())?),
        false => None,
    };
    let tls = certificate.as_ref().map(|certificate| certificate.acceptor(clients.as_ref()));
    let addresses = [config.listen];
    let listener = Listener::bind(&addresses, tls).await;
    let listener = listener.with_context(|| format!("cannot listen on {}", config.listen))?;
    let metrics = Metrics::default();
    let listener = listener.counted(metrics.clone()).within(config.bounds).asking(clients);
    let monitoring = match config.monitoring {
        Some(address) => Some(Monitoring::start(address, &app, &metrics).await?),
        None => None,
    };
    tokio::spawn(reread(hangup, certificate, config.transport));
    let begin_traces = config.traces.is_some_and(|traces| traces.from_proxies);
    let proxies = Proxies { only: listener.is_plain(), trusted: config.trusted_proxies.into(), begin_traces };
    let router = router::counted(
        app.clone(),
        proxies,
        config.self_service,
        (metrics, config.bounds.request),
        |routes| routes,
    );
    let jobs = jobs::start(&app, Delivery::Provider);
    let renewal = renewal.map(|renewal| tokio::spawn(renewal.run()));
    let stop = program::stop_signal()?;
    if tenants::all(&app).await?.is_empty() {
        tracing::warn!("there is no tenant yet: make one with `doorward admin create-tenant`");
    }
    tracing::info!(address = %listener.address()?, version = env!("CARGO_PKG_VERSION"), "ready");
    let stop = async {
        stop.await;
        if let Some(monitoring) = &monitoring {
            monitoring.stopping();
        }
    };
    listener.serve(router, stop).await;
    if let Some(monitoring) = monitoring {
        monitoring.end().await;
    }
    if let Some(renewal) = renewal {
        renewal.abort();
    }
    jobs.stop().await;
    program::close(app).await;
    tracing::info!("stopped");
    #[cfg(feature = "otel")]
    traces.end().await;
    Ok(())
}

/// Reads the certificate's files again on each SIGHUP. Where there are none the signal changes nothing, and ends nothing either.
async fn reread(mut hangup: Signal, certificate: Option<Certificate>, transport: Transport) {
    while hangup.recv().await.is_some() {
        let (Some(certificate), Transport::Tls { certificate: chain, key }) = (&certificate, &transport)
        else {
            tracing::info!("there is no certificate's file to read again");
            continue;
        };
        match Certificate::read(chain, key) {
            Ok(fresh) => {
                certificate.replace(fresh);
                tracing::info!("serving the certificate read again");
            }
            Err(error) => tracing::error!(%error, "keeping the old certificate"),
        }
    }
}

//! Spans to a collector of OpenTelemetry, by OTLP over HTTP: the requests, and inside them what the database is asked, passwords that are
//! hashed, and calls to elsewhere.
//!
//! The spans are those of the target `traces`, which the crates make for this alone, so that nothing gets out that was meant for
//! the log. What is done beside the requests is traced where it calls elsewhere, and not each look into the database.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context, bail};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method};
use ipnet::IpNet;
use model::{Net, Random};
use opentelemetry::propagation::TextMapPropagator;
use opentelemetry::trace::{Link, SpanKind, TraceId, TracerProvider};
use opentelemetry::{Context as Trace, KeyValue};
use opentelemetry_http::{Bytes, HeaderExtractor, HttpClient, HttpError, Request, Response};
use opentelemetry_otlp::{SpanExporter, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::{Sampler, SamplingResult, SdkTracer, SdkTracerProvider, ShouldSample};
use tokio::runtime::Handle;
use tracing::instrument::WithSubscriber;
use tracing::level_filters::LevelFilter;
use tracing::subscriber::NoSubscriber;
use tracing::{Span, Subscriber};
use tracing_opentelemetry::{OpenTelemetryLayer, OpenTelemetrySpanExt};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::{Filtered, Targets};
use tracing_subscriber::registry::LookupSpan;

use crate::config::{self, Config};
use crate::logging;

/// How long the collector has to take a batch.
const LONGEST: Duration = Duration::from_secs(10);

/// Sends what is traced, in batches, until it is ended. `None` where nothing is.
pub struct Traces(Option<SdkTracerProvider>);

/// What takes spans from the program.
pub type Spans<S> = Filtered<OpenTelemetryLayer<S, SdkTracer>, Targets, S>;

/// Begins to log, and to send traces if the configuration says where.
///
/// # Errors
/// When the log's filter is none, or the collector's address.
pub fn begin(config: &Config) -> anyhow::Result<Traces> {
    let Some(settings) = &config.traces else {
        logging::structured(&config.log)?;
        return Ok(Traces(None));
    };
    let client = WayOut { net: way_out(), runtime: Handle::current(), fails: AtomicBool::new(false) };
    let exporter = SpanExporter::builder()
        .with_http()
        .with_http_client(client)
        .with_endpoint(&settings.collector)
        .with_headers(settings.headers.clone().into_iter().collect())
        .with_timeout(LONGEST)
        .build()
        .context("`traces.collector` cannot be used")?;
    let instance = Random::system().hex(16);
    let resource = Resource::builder_empty().with_service_name("doorward").with_attributes([
        KeyValue::new("service.version", env!("CARGO_PKG_VERSION")),
        KeyValue::new("service.instance.id", instance),
    ]);
    let sampler = Roots(Sampler::TraceIdRatioBased(settings.share));
    let provider = SdkTracerProvider::builder()
        .with_batch_exporter(exporter)
        .with_sampler(Sampler::ParentBased(Box::new(sampler)))
        .with_resource(resource.build());
    let provider = provider.build();
    logging::traced(&config.log, provider.tracer("doorward"))?;
    Ok(Traces(Some(provider)))
}

/// Whether the collector takes what it is sent: nothing, this time.
///
/// # Errors
/// What it answered, or why it did not.
pub async fn try_out(settings: &config::Traces) -> anyhow::Result<()> {
    let mut headers = HeaderMap::new();
    headers.insert("content-type", HeaderValue::from_static("application/x-protobuf"));
    // Some refuse a request that does not say how long it is.
    headers.insert("content-length", HeaderValue::from_static("0"));
    for (name, value) in &settings.headers {
        headers.insert(HeaderName::try_from(name)?, HeaderValue::try_from(value)?);
    }
    match way_out().exchange(Method::POST, &settings.collector, headers, Bytes::new()).await? {
        (status, ..) if status.is_success() => Ok(()),
        (status, ..) => bail!("it answers {status}"),
    }
}

/// Goes on with the trace that the headers tell of, if they tell of one.
pub fn go_on(span: &Span, headers: &HeaderMap) {
    let trace = TraceContextPropagator::new().extract(&HeaderExtractor(headers));
    // It fails where the span is not taken at all.
    let _ = span.set_parent(trace);
}

/// The layer that takes the program's spans.
pub fn spans<S: Subscriber + for<'a> LookupSpan<'a>>(tracer: SdkTracer) -> Spans<S> {
    tracing_opentelemetry::layer()
        .with_tracer(tracer)
        .with_location(false)
        .with_threads(false)
        .with_target(false)
        .with_tracked_inactivity(false)
        .with_filter(Targets::new().with_target("traces", LevelFilter::DEBUG))
}

impl Traces {
    /// Sends what is left, within five seconds.
    pub async fn end(self) {
        let Some(provider) = self.0 else { return };
        if let Ok(Err(error)) = tokio::task::spawn_blocking(move || provider.shutdown()).await {
            tracing::warn!(%error, "the last traces were not sent");
        }
    }
}

/// Of what begins a trace, requests and calls to elsewhere are traced, and only some of them: jobs look into the database all the time.
#[derive(Clone, Debug)]
struct Roots(Sampler);

impl ShouldSample for Roots {
    fn should_sample(
        &self,
        parent: Option<&Trace>,
        id: TraceId,
        name: &str,
        kind: &SpanKind,
        attributes: &[KeyValue],
        links: &[Link],
    ) -> SamplingResult {
        let sampler = if *kind == SpanKind::Internal { &Sampler::AlwaysOff } else { &self.0 };
        sampler.should_sample(parent, id, name, kind, attributes, links)
    }
}

/// The operator names the collector, and no caller can: it may be anywhere, and that opens no way for others.
fn way_out() -> Net {
    let everywhere = [IpAddr::from(Ipv4Addr::UNSPECIFIED), IpAddr::from(Ipv6Addr::UNSPECIFIED)];
    let everywhere: Vec<IpNet> =
        everywhere.into_iter().filter_map(|address| IpNet::new(address, 0).ok()).collect();
    Net::new(everywhere)
}

/// The exporter's client. It asks from a thread of its own, without a runtime.
struct WayOut {
    net: Net,
    runtime: Handle,
    /// Whether the last batch was lost: the log tells when that changes, and not each time.
    fails: AtomicBool,
}

impl WayOut {
    fn tell(&self, lost: Option<String>) {
        match (self.fails.swap(lost.is_some(), Ordering::Relaxed), lost) {
            (false, Some(reason)) => tracing::warn!(reason, "the collector does not take traces"),
            (true, None) => tracing::info!("the collector takes traces again"),
            _ => {}
        }
    }
}

impl fmt::Debug for WayOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WayOut")
    }
}

impl HttpClient for WayOut {
    fn send_bytes<'a, 'b>(
        &'a self,
        request: Request<Bytes>,
    ) -> Pin<Box<dyn Future<Output = Result<Response<Bytes>, HttpError>> + Send + 'b>>
    where
        'a: 'b,
        Self: 'b,
    {
        let net = self.net.clone();
        let asked = async move {
            let (parts, body) = request.into_parts();
            net.exchange(parts.method, &parts.uri.to_string(), parts.headers, body).await
        };
        // What sends traces is not traced.
        let asked = self.runtime.spawn(asked.with_subscriber(NoSubscriber::new()));
        Box::pin(async move {
            let (status, headers, body) = match asked.await? {
                Ok(answer) => answer,
                Err(error) => {
                    self.tell(Some(error.to_string()));
                    return Err(error.into());
                }
            };
            self.tell((!status.is_success()).then(|| status.to_string()));
            let mut response = Response::new(Bytes::from(body));
            *response.status_mut() = status;
            *response.headers_mut() = headers;
            Ok(response)
        })
    }
}

//! For people and probes, on loopback: /livez, /readyz, /config, /metrics.

mod describe;
mod host;
mod readiness;

use std::{sync::Arc, time::SystemTime};

use host::means_us;
pub use readiness::Readiness;
use serde_json::{Value, json};
use tokio::{net::TcpListener, sync::watch};

use crate::{
    accept::accept,
    config::Config,
    gate::Gate,
    http::{Body, HeaderValue, Method, Request, Response, ServerSettings, StatusCode, header, serve},
    identity::credentials::Credentials,
    metrics::Metrics,
    published::Published,
    standing::Standing,
    xds::report::Report,
};

/// More at once is nobody who wants to know something.
const MOST_CONNECTIONS: usize = 64;

/// What there is to be seen.
pub struct Admin {
    /// Whether the sidecar does its work.
    pub readiness: Arc<Published<Readiness>>,
    /// Who it is, once it is somebody.
    pub identity: watch::Receiver<Option<Arc<Published<Credentials>>>>,
    /// What is in force.
    pub config: Arc<Published<Config>>,
    /// Whether the control plane knows it.
    pub standing: Arc<Standing>,
    /// How the control plane is heard.
    pub report: Arc<Published<Report>>,
    /// What was counted.
    pub metrics: Arc<Metrics>,
}

impl Admin {
    /// Answers whoever connects to `listener`, for ever.
    pub async fn run(self: Arc<Self>, listener: TcpListener) {
        // Whoever looks may look until the very end.
        let (_, never) = watch::channel(false);
        accept(listener, Gate::new(MOST_CONNECTIONS), crate::metrics::uncounted(), |stream, _, open| {
            let (admin, never) = (self.clone(), never.clone());
            tokio::spawn(async move {
                let handler = move |request| {
                    let response = admin.answer(&request);
                    async move { response }
                };
                serve(stream, ServerSettings::default(), never, handler).await;
                drop(open);
            });
        })
        .await;
    }

    fn answer(&self, request: &Request) -> Response {
        if !means_us(request) {
            return text(StatusCode::MISDIRECTED_REQUEST, "call this by its loopback address, or localhost\n");
        }
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            return text(StatusCode::METHOD_NOT_ALLOWED, "only GET is of use here\n");
        }
        match request.uri().path() {
            "/livez" => text(StatusCode::OK, "alive\n"),
            "/readyz" => match self.ready() {
                Readiness::Ready => document(StatusCode::OK, &json!({ "ready": true })),
                Readiness::Not(reason) => {
                    document(StatusCode::SERVICE_UNAVAILABLE, &json!({ "ready": false, "reason": reason }))
                }
            },
            "/config" => {
                let (identity, config, report) = (self.credentials(), self.config.now(), self.report.now());
                document(StatusCode::OK, &describe::everything(identity.as_deref(), &config, &report))
            }
            "/metrics" => match self.metrics.print() {
                Ok(metrics) => {
                    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
                    answer(StatusCode::OK, kind, metrics)
                }
                Err(_) => text(StatusCode::INTERNAL_SERVER_ERROR, "the metrics cannot be printed\n"),
            },
            _ => text(StatusCode::NOT_FOUND, "there are /livez, /readyz, /config and /metrics\n"),
        }
    }

    fn ready(&self) -> Readiness {
        let certificate_ends = self.credentials().map(|credentials| credentials.leaf.not_after);
        let readiness = self.readiness.now().with_certificate(certificate_ends, SystemTime::now());
        readiness.with_standing(self.standing.why_unknown())
    }

    fn credentials(&self) -> Option<Arc<Credentials>> {
        self.identity.borrow().as_ref().map(|identity| identity.now())
    }
}

fn text(status: StatusCode, body: &str) -> Response {
    answer(status, "text/plain; charset=utf-8", body.to_owned())
}

fn document(status: StatusCode, value: &Value) -> Response {
    answer(status, "application/json", format!("{value:#}\n"))
}

fn answer(status: StatusCode, content_type: &'static str, body: String) -> Response {
    let mut response = Response::new(Body::full(body));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

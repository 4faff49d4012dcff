//! For people and probes, on loopback: /livez, /readyz, /config, /metrics.

mod describe;
mod host;
mod readiness;
mod visitors;

use std::{collections::BTreeMap, sync::Arc, time::SystemTime};

use host::means_us;
pub use readiness::Readiness;
use serde_json::{Map, Value, json};
use tokio::{net::TcpListener, sync::watch};
use visitors::{HEAD_TIMEOUT, Visitors};

use crate::{
    base::{ledger::Ledger, published::Published},
    config::Snapshot,
    control::{standing::Standing, xds::report::Report},
    host::{
        program::Program,
        users::{Stranger, Users},
    },
    http::{ServerSettings, serve},
    identity::credentials::Credentials,
    message::{Body, HeaderValue, Method, Request, Response, StatusCode, header},
    net::accept::next,
    telemetry::metrics::Metrics,
};

/// More at once is nobody who wants to know something.
const MOST_CONNECTIONS: usize = 64;

/// How many questions somebody may ask at once.
const MOST_STREAMS: u32 = 16;

/// How much of what it sends is held of one visitor, in bytes. Nobody reads any of it.
const BODIES: u64 = 1 << 20;

/// What there is to be seen.
pub struct Admin {
    /// Whether the sidecar does its work.
    pub readiness: Arc<Published<Readiness>>,
    /// Who it is, once it is somebody.
    pub identity: watch::Receiver<Option<Arc<Published<Credentials>>>>,
    /// What is in force.
    pub config: Arc<Published<Snapshot>>,
    /// Whether the control plane knows it.
    pub standing: Arc<Standing>,
    /// How the control plane is heard.
    pub report: Arc<Published<Report>>,
    /// The program beside it, by the ports that it is called at.
    pub program: BTreeMap<u16, Arc<Published<Program>>>,
    /// Who may look.
    pub users: Users,
    /// What was counted.
    pub metrics: Arc<Metrics>,
}

impl Admin {
    /// Answers whoever connects to `listener`, for ever.
    pub async fn run(self: Arc<Self>, listener: TcpListener) {
        // Whoever looks may look until the very end.
        let (_, never) = watch::channel(false);
        let settings = ServerSettings { header_timeout: HEAD_TIMEOUT, streams: MOST_STREAMS, ..Default::default() };
        let visitors = Arc::new(Visitors::new(MOST_CONNECTIONS));
        loop {
            let (stream, remote) = next(&listener).await;
            let (admin, never, mut visitor) = (self.clone(), never.clone(), visitors.enter());
            let admitted =
                stream.local_addr().map_err(Stranger::from).and_then(|local| self.users.admit(remote, local));
            let stranger = Arc::new(admitted.err());
            let account = Arc::new(Arc::new(Ledger::new(BODIES, BODIES)).account(true));
            tokio::spawn(async move {
                let questions = visitor.questions.clone();
                let handler = move |request| {
                    let pass = questions.enter();
                    let response = admin.answer(&request, stranger.as_ref().as_ref()).map(|body| body.holding(pass));
                    async move { response }
                };
                tokio::select! {
                    _ = serve(stream, &account, settings, never, handler) => {}
                    () = visitor.put_out() => {}
                }
            });
        }
    }

    fn answer(&self, request: &Request, stranger: Option<&Stranger>) -> Response {
        if !means_us(request) {
            return text(StatusCode::MISDIRECTED_REQUEST, "call this by its loopback address, or localhost\n");
        }
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            return text(StatusCode::METHOD_NOT_ALLOWED, "only GET is of use here\n");
        }
        let path = request.uri().path();
        // Whoever probes may be anybody; what is in force and what passes here is nothing for other users.
        if let Some(stranger) = stranger.filter(|_| !matches!(path, "/livez" | "/readyz")) {
            return text(StatusCode::FORBIDDEN, &format!("{stranger}\n"));
        }
        match path {
            "/livez" => text(StatusCode::OK, "alive\n"),
            "/readyz" => match self.ready() {
                // Whether the program is found does not decide that: a program may be started only once this is ready.
                Readiness::Ready => document(StatusCode::OK, &json!({ "ready": true, "program": self.program() })),
                Readiness::Not(reason) => {
                    let answer = json!({ "ready": false, "reason": reason, "program": self.program() });
                    document(StatusCode::SERVICE_UNAVAILABLE, &answer)
                }
            },
            "/config" => {
                let (identity, config, report) = (self.credentials(), self.config.now(), self.report.now());
                document(
                    StatusCode::OK,
                    &describe::everything(identity.as_deref(), &self.program(), config.told(), &report),
                )
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

    fn program(&self) -> Value {
        self.program
            .iter()
            .map(|(port, program)| (port.to_string(), json!(*program.now())))
            .collect::<Map<_, _>>()
            .into()
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

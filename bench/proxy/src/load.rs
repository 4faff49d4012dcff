//! The load: requests over kept connections, as fast as answers come or at a constant rate. Of a constant rate, latency
//! counts from the moment at which the request was to be sent: whoever makes everybody wait is not spared the waiting.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use bytes::Bytes;
use hdrhistogram::Histogram;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde::{Deserialize, Serialize};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    task::JoinSet,
    time::{Instant, sleep_until},
};

/// As a browser or a library would send it.
const GET: &[u8] = b"GET /items HTTP/1.1\r\nhost: cart.shop\r\nuser-agent: sluice-bench\r\naccept: */*\r\n\
    x-request-id: 0123456789abcdef0123456789abcdef\r\n\r\n";

/// What is sent in a request that has the form of a call of gRPC.
const CALL: &[u8] = &[0; 105];

/// What is to be sent, and how.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// The proxy.
    pub to: SocketAddr,
    /// How many connections.
    pub connections: usize,
    /// Over HTTP/2, how many at once on each; none: HTTP/1.1.
    pub streams: Option<usize>,
    /// How many a second, of all connections; none: as fast as answers come.
    pub rate: Option<f64>,
    /// When it is enough.
    pub amount: Amount,
}

/// When it is enough.
#[derive(Clone, Copy, Debug)]
pub enum Amount {
    /// After so many in all.
    Requests(u64),
    /// After this time.
    Time(Duration),
}

/// What came of it. Latencies are microseconds.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Outcome {
    /// How many were answered with 200.
    pub requests: u64,
    /// How many were not.
    pub failed: u64,
    /// How long it took.
    pub seconds: f64,
    /// How many a second.
    pub rate: f64,
    /// The median.
    pub p50: u64,
    /// One of a hundred took longer.
    pub p99: u64,
    /// One of a thousand took longer.
    pub p999: u64,
}

/// Whose turn it is on one connection, and when.
struct Turns {
    plan: Plan,
    began: Instant,
    /// The next one of this sender.
    next: u64,
    last: u64,
    step: u64,
}

impl Turns {
    fn new(plan: Plan, began: Instant, sender: u64, senders: u64) -> Self {
        let last = match plan.amount {
            Amount::Requests(count) => count,
            Amount::Time(_) => u64::MAX,
        };
        Self { plan, began, next: sender, last, step: senders }
    }

    /// The moment at which the next one is to be sent; it has come.
    async fn wait(&mut self) -> Option<Instant> {
        if self.next >= self.last || matches!(self.plan.amount, Amount::Time(limit) if self.began.elapsed() >= limit) {
            return None;
        }
        #[allow(clippy::cast_precision_loss)]
        let due = self.plan.rate.map(|rate| self.began + Duration::from_secs_f64(self.next as f64 / rate));
        self.next += self.step;
        match due {
            Some(due) => {
                sleep_until(due).await;
                Some(due)
            }
            None => Some(Instant::now()),
        }
    }
}

/// Sends all of it.
pub async fn run(plan: Plan) -> Outcome {
    let streams = plan.streams.unwrap_or(1);
    let senders = u64::try_from(plan.connections * streams).unwrap_or(u64::MAX);
    let mut lines = Vec::new();
    for _ in 0..plan.connections {
        lines.push(TcpStream::connect(plan.to).await.expect("the proxy listens"));
    }
    let began = Instant::now();
    let mut tasks = JoinSet::new();
    for (index, line) in lines.into_iter().enumerate() {
        line.set_nodelay(true).expect("it is TCP");
        let turns = |stream: usize| {
            let sender = u64::try_from(index * streams + stream).unwrap_or(u64::MAX);
            Turns::new(plan, began, sender, senders)
        };
        if plan.streams.is_none() {
            tasks.spawn(http1(line, turns(0)));
            continue;
        }
        let (sender, connection) =
            http2::handshake::<_, _, Full<Bytes>>(TokioExecutor::new(), TokioIo::new(line)).await.expect("HTTP/2");
        tokio::spawn(connection);
        for stream in 0..streams {
            tasks.spawn(calls(sender.clone(), turns(stream)));
        }
    }
    let (mut all, mut failed) = (histogram(), 0);
    while let Some(done) = tasks.join_next().await {
        let (latencies, lost) = done.expect("a sender does not panic");
        all.add(latencies).expect("they are alike");
        failed += lost;
    }
    let seconds = began.elapsed().as_secs_f64();
    #[allow(clippy::cast_precision_loss)]
    let rate = all.len() as f64 / seconds;
    let at = |quantile| all.value_at_quantile(quantile);
    Outcome { requests: all.len(), failed, seconds, rate, p50: at(0.5), p99: at(0.99), p999: at(0.999) }
}

fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, 600_000_000, 3).expect("the bounds are sound")
}

fn note(latencies: &mut Histogram<u64>, due: Instant) {
    latencies.saturating_record(u64::try_from(due.elapsed().as_micros()).unwrap_or(u64::MAX));
}

async fn http1(mut line: TcpStream, mut turns: Turns) -> (Histogram<u64>, u64) {
    let (mut latencies, mut failed) = (histogram(), 0);
    let mut buffer = vec![0; 64 << 10];
    while let Some(due) = turns.wait().await {
        if line.write_all(GET).await.is_ok() && answered(&mut line, &mut buffer).await {
            note(&mut latencies, due);
            continue;
        }
        failed += 1;
        match TcpStream::connect(turns.plan.to).await {
            Ok(new) => line = new,
            Err(_) => break,
        }
    }
    (latencies, failed)
}

/// Reads an answer to its end. Whether it is one, and a good one.
async fn answered(line: &mut TcpStream, buffer: &mut [u8]) -> bool {
    let mut filled = 0;
    let mut whole = None;
    loop {
        match line.read(&mut buffer[filled..]).await {
            Ok(0) | Err(_) => return false,
            Ok(more) => filled += more,
        }
        if whole.is_none() {
            whole = length(&buffer[..filled]);
        }
        match whole {
            Some(whole) if filled >= whole => return buffer[..filled].starts_with(b"HTTP/1.1 200"),
            _ if filled == buffer.len() => return false,
            _ => {}
        }
    }
}

/// How long an answer is whose head has come.
fn length(answer: &[u8]) -> Option<usize> {
    let head = answer.windows(4).position(|four| four == b"\r\n\r\n")? + 4;
    let text = str::from_utf8(&answer[..head]).ok()?;
    let body = text.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().ok())?
    });
    Some(head + body.unwrap_or(0))
}

async fn calls(mut sender: http2::SendRequest<Full<Bytes>>, mut turns: Turns) -> (Histogram<u64>, u64) {
    let (mut latencies, mut failed) = (histogram(), 0);
    let uri: Arc<str> = "http://cart.shop/shop.Cart/Items".into();
    while let Some(due) = turns.wait().await {
        let request = http::Request::post(&*uri)
            .header("content-type", "application/grpc")
            .header("te", "trailers")
            .body(Full::new(Bytes::from_static(CALL)))
            .expect("it is sound");
        let answer = async {
            let response = sender.send_request(request).await.ok()?;
            let good = response.status() == 200;
            response.into_body().collect().await.ok()?;
            good.then_some(())
        };
        if answer.await.is_some() {
            note(&mut latencies, due);
        } else {
            failed += 1;
            if sender.ready().await.is_err() {
                break;
            }
        }
    }
    (latencies, failed)
}

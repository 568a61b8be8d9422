//! ```sh
//! cargo run --example quickstart
//! ```
//!
//! A small HTTP server on this machine refuses connections at first, then answers 503 with and without `Retry-After`, and
//! finally 200. We fetch from it in three ways, print every attempt and every wait, and look at the metrics that an
//! exporter gets.

use std::error::Error;
use std::fmt;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use metrics_exporter_prometheus::PrometheusBuilder;
use stamina::instrument::{self, GaveUp, Hook, Recovered, RetryDetails};
use stamina::{Decision, Retry, when};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// What to retry, how often, and for how long. A policy is a plain value, and fits in a `static`.
static FETCH: Retry<FetchError> = Retry::on::<FetchError>()
    .attempts(8)
    .timeout(Duration::from_secs(20))
    .wait_initial(Duration::from_millis(50))
    .wait_jitter(Duration::from_millis(50))
    .decide_fn(decide)
    .named("fetch");

/// Says which errors are worth another attempt, and when.
fn decide(error: &FetchError) -> Decision {
    match error {
        FetchError::Io(error) => when::transient_io(error).into(),
        FetchError::Status {
            retry_after: Some(hint),
            ..
        } => Decision::RetryAfter(*hint),
        FetchError::Status { status, .. } => Decision::from(*status == 503),
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    // Every recorder of the `metrics` facade works. This one is for Prometheus.
    let exporter = PrometheusBuilder::new().install_recorder()?;
    instrument::describe_metrics();

    // The default hooks log and count. We add one that prints.
    let mut hooks = instrument::hooks();
    hooks.push(Arc::new(Narrator));
    instrument::set_hooks(hooks);

    println!("The waits of this policy (a Retry-After is honoured instead, plus jitter):\n");
    println!("{}\n", FETCH.schedule());

    println!("1. A blocking call: FETCH.call(|| ..)");
    let server = Server::start()?;
    let page = FETCH.call(|| fetch(server.address))?;
    println!("   => {page:?}\n");
    assert_eq!(page, "hello");
    server.join();

    println!("2. A future: FETCH.call_async(|| ..).await, here on tokio; every executor works");
    let server = Server::start()?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let page = runtime.block_on(FETCH.call_async(|| fetch_async(server.address)))?;
    println!("   => {page:?}\n");
    assert_eq!(page, "hello");
    server.join();

    println!("3. A loop of your own: FETCH.start(), and attempts.again(error)? after each failure");
    let server = Server::start()?;
    let mut attempts = FETCH.start();
    let page = loop {
        match fetch(server.address) {
            Ok(page) => break attempts.succeed(page),
            Err(error) => attempts.again(error)?,
        }
    };
    println!(
        "   => {page:?} after {} attempts and {:.1?} of waits\n",
        attempts.number(),
        attempts.waited()
    );
    assert_eq!(page, "hello");
    // At least the two 503s, and the Retry-After of the first.
    assert!(attempts.number() >= 3 && attempts.waited() >= Duration::from_secs(1));
    server.join();

    println!("What your exporter gets, with nothing set up:\n");
    let scraped = exporter.render();
    for line in scraped.lines().filter(|line| !line.contains("quantile")) {
        println!("   {line}");
    }
    assert!(scraped.contains("stamina_recovered_total{callable=\"fetch\"} 3"));
    Ok(())
}

/// Prints what happens. A service leaves this to its logs and metrics.
struct Narrator;

impl Hook for Narrator {
    fn retry_scheduled(&self, details: &RetryDetails<'_>) {
        println!(
            "     wait {:.3?}, then retry {}",
            details.wait_for, details.retry_num
        );
    }

    fn gave_up(&self, details: &GaveUp<'_>) {
        println!(
            "     gave up: {} after {} attempts",
            details.reason, details.attempts
        );
    }

    fn recovered(&self, details: &Recovered<'_>) {
        println!("     recovered at attempt {}", details.attempts);
    }
}

#[derive(Debug)]
enum FetchError {
    Io(io::Error),
    Status {
        status: u16,
        retry_after: Option<Duration>,
    },
}

impl fmt::Display for FetchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(error) => write!(f, "{error}"),
            Self::Status {
                status,
                retry_after: None,
            } => write!(f, "HTTP {status}"),
            Self::Status {
                status,
                retry_after: Some(hint),
            } => write!(f, "HTTP {status}, Retry-After: {hint:?}"),
        }
    }
}

impl Error for FetchError {}

const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";

fn fetch(address: SocketAddr) -> Result<String, FetchError> {
    let exchange = || {
        let mut stream = TcpStream::connect(address)?;
        stream.write_all(REQUEST)?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer)
    };
    say(exchange()
        .map_err(FetchError::Io)
        .and_then(|answer| parse(&answer)))
}

async fn fetch_async(address: SocketAddr) -> Result<String, FetchError> {
    let exchange = async {
        let mut stream = tokio::net::TcpStream::connect(address).await?;
        stream.write_all(REQUEST).await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        Ok(answer)
    };
    say(exchange
        .await
        .map_err(FetchError::Io)
        .and_then(|answer| parse(&answer)))
}

fn say(outcome: Result<String, FetchError>) -> Result<String, FetchError> {
    match &outcome {
        Ok(_) => println!("   an attempt: HTTP 200"),
        Err(error) => println!("   an attempt: {error}"),
    }
    outcome
}

fn parse(answer: &str) -> Result<String, FetchError> {
    let invalid = || FetchError::Io(io::ErrorKind::InvalidData.into());
    let (head, body) = answer.split_once("\r\n\r\n").ok_or_else(invalid)?;
    let status = head
        .split(' ')
        .nth(1)
        .and_then(|status| status.parse().ok())
        .ok_or_else(invalid)?;
    if status == 200 {
        return Ok(body.to_owned());
    }
    let hint = head
        .lines()
        .find_map(|line| line.strip_prefix("Retry-After: ")?.parse().ok());
    Err(FetchError::Status {
        status,
        retry_after: hint.map(Duration::from_secs),
    })
}

/// A server that fails at first.
struct Server {
    address: SocketAddr,
    thread: JoinHandle<io::Result<()>>,
}

impl Server {
    const ANSWERS: [&str; 3] = [
        "HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\n\r\n",
        "HTTP/1.1 503 Service Unavailable\r\n\r\n",
        "HTTP/1.1 200 OK\r\n\r\nhello",
    ];

    fn start() -> io::Result<Self> {
        // Find a free port and release it: connections are refused until the thread listens there.
        let address = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?;
        let thread = thread::spawn(move || {
            thread::sleep(Duration::from_millis(100));
            let listener = TcpListener::bind(address)?;
            for answer in Self::ANSWERS {
                let (mut stream, _) = listener.accept()?;
                let request = BufReader::new(stream.try_clone()?).lines();
                request
                    .take_while(|line| line.as_ref().is_ok_and(|line| !line.is_empty()))
                    .for_each(drop);
                stream.write_all(answer.as_bytes())?;
            }
            Ok(())
        });
        Ok(Self { address, thread })
    }

    fn join(self) {
        self.thread
            .join()
            .expect("the server does not panic")
            .expect("the server can listen");
    }
}

//! A `tonic` client whose calls are retried where they are made, or by tower's own `Retry` layer. The server answers UNAVAILABLE,
//! loses replies, and goes away.

use std::collections::HashMap;
use std::convert::Infallible;
use std::error::Error as _;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Collected, Full};
use stamina::{Retry, Timer};
use stamina_systems::{events, port, run, wait};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tonic::body::Body;
use tonic::transport::server::TcpIncoming;
use tonic::transport::{Channel, Endpoint, Server};
use tonic::{Code, Request, Response, Status};
use tonic_prost::ProstCodec;
use tower::retry::RetryLayer;
use tower::{Layer as _, ServiceExt as _, service_fn};

const PATH: &str = "/ledger.Ledger/Write";

#[derive(Clone, PartialEq, prost::Message)]
struct Entry {
    #[prost(string, tag = "1")]
    key: String,
}

/// Counts each key once. Every third is refused twice before, every fifth loses its first answer.
#[derive(Debug, Default)]
struct Ledger {
    asked: Mutex<HashMap<String, u32>>,
    written: Mutex<HashMap<String, u32>>,
}

impl Ledger {
    fn write(&self, entry: Entry) -> Result<Entry, Status> {
        if entry.key.is_empty() {
            return Err(Status::invalid_argument("a key is needed"));
        }
        let number: u32 = entry
            .key
            .rsplit('-')
            .next()
            .and_then(|number| number.parse().ok())
            .unwrap_or(1);
        let times = {
            let mut asked = self.asked.lock().expect("nothing panics with it");
            let times = asked.entry(entry.key.clone()).or_default();
            *times += 1;
            *times
        };
        if number % 3 == 0 && times <= 2 {
            return Err(Status::unavailable("try again"));
        }
        self.written
            .lock()
            .expect("nothing panics with it")
            .entry(entry.key.clone())
            .or_insert(times);
        if number % 5 == 0 && times == 1 {
            return Err(Status::unavailable("the answer is lost"));
        }
        Ok(entry)
    }

    fn asked(&self, key: &str) -> u32 {
        self.asked
            .lock()
            .expect("nothing panics with it")
            .get(key)
            .copied()
            .unwrap_or_default()
    }
}

/// A tonic server in a runtime of its own, so that all its connections die with it.
struct Grpc {
    address: SocketAddr,
    ledger: Arc<Ledger>,
    runtime: Option<Runtime>,
}

impl Grpc {
    fn start() -> Grpc {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port::free()));
        let mut server = Grpc {
            address,
            ledger: Arc::default(),
            runtime: None,
        };
        server.up();
        server
    }

    fn up(&mut self) {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("a runtime");
        let (address, ledger) = (self.address, Arc::clone(&self.ledger));
        let (ready, is_ready) = std::sync::mpsc::channel();
        runtime.spawn(async move {
            let listener = TcpListener::bind(address).await.expect("the port is free");
            ready.send(()).expect("somebody waits");
            let service = service_fn(move |request: http::Request<Body>| {
                let ledger = Arc::clone(&ledger);
                async move {
                    let write = service_fn(move |request: Request<Entry>| {
                        std::future::ready(ledger.write(request.into_inner()).map(Response::new))
                    });
                    let mut grpc = tonic::server::Grpc::new(ProstCodec::<Entry, Entry>::default());
                    Ok::<_, Infallible>(grpc.unary(write, request).await)
                }
            });
            Server::builder()
                .serve_with_incoming(service, TcpIncoming::from(listener))
                .await
        });
        is_ready
            .recv_timeout(wait::PATIENCE)
            .expect("the server starts");
        self.runtime = Some(runtime);
    }

    fn down(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
        // The runtime stops in the background: wait until its port is closed.
        wait::until("the port is closed", || {
            std::net::TcpStream::connect(self.address).is_err()
        });
    }

    fn channel(&self) -> Channel {
        Endpoint::from_shared(format!("http://{}", self.address))
            .expect("a URL")
            .connect_lazy()
    }
}

impl Drop for Grpc {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

fn policy<E: std::fmt::Debug>(name: &'static str) -> Retry<E> {
    Retry::on::<E>()
        .named(name)
        .unlimited_attempts()
        .timeout(Duration::from_secs(60))
        .wait_initial(Duration::from_millis(5))
        .wait_max(Duration::from_millis(100))
        .wait_jitter(Duration::from_millis(20))
        .timer(Timer::tokio())
}

/// What a client sees when the server is busy or away. tonic has several codes for a connection that breaks under a call
/// (`Unknown`, `Cancelled`), but only what it made itself has a source: a status that the server sent has none.
fn unavailable(status: &Status) -> bool {
    status.code() == Code::Unavailable || status.source().is_some()
}

/// One unary call, as generated client code makes it.
async fn write(channel: Channel, request: Request<Entry>) -> Result<Response<Entry>, Status> {
    let mut grpc = tonic::client::Grpc::new(channel);
    grpc.ready()
        .await
        .map_err(|error| Status::from_error(Box::new(error)))?;
    grpc.unary(
        request,
        PATH.parse().expect("a path"),
        ProstCodec::<Entry, Entry>::default(),
    )
    .await
}

/// No layer: the call is retried where it is made, and each attempt makes its request.
#[test]
fn calls_are_retried_where_they_are_made() {
    events::listen();
    run(async {
        let mut server = Grpc::start();
        let policy = Arc::new(policy::<Status>("grpc::call").when(unavailable));
        let channel = server.channel();
        let send = move |key: String| {
            let (policy, channel) = (Arc::clone(&policy), channel.clone());
            async move {
                let attempt = || {
                    let entry = Entry { key: key.clone() };
                    write(channel.clone(), Request::new(entry))
                };
                read(policy.call_async(attempt).await)
            }
        };
        outage(&mut server, "grpc::call", send).await;
    });
}

/// The layer around the method: what is cloned is the message.
#[test]
fn calls_are_retried_by_their_message() {
    events::listen();
    run(async {
        let mut server = Grpc::start();
        let policy = policy::<Status>("grpc::message").when(unavailable);
        let channel = server.channel();
        let method = service_fn(move |entry: Entry| write(channel.clone(), Request::new(entry)));
        let service = RetryLayer::new(policy.tower()).layer(method);

        let refused = service
            .clone()
            .oneshot(Entry::default())
            .await
            .expect_err("a key is needed");
        assert_eq!(
            (refused.code(), events::retries("grpc::message")),
            (Code::InvalidArgument, 0)
        );

        let calls = service.clone();
        let send = move |key: String| {
            let service = calls.clone();
            async move { read(service.oneshot(Entry { key }).await) }
        };
        outage(&mut server, "grpc::message", send).await;
    });
}

/// tonic's own request is not `Clone`, so the policy is told how to make another one.
#[test]
fn calls_are_retried_with_their_metadata() {
    events::listen();
    run(async {
        let mut server = Grpc::start();
        let policy = policy::<Status>("grpc::request").when(unavailable);
        let again = |request: &Request<Entry>| {
            let mut again = Request::new(request.get_ref().clone());
            *again.metadata_mut() = request.metadata().clone();
            Some(again)
        };
        let channel = server.channel();
        let method = service_fn(move |request: Request<Entry>| write(channel.clone(), request));
        let service = RetryLayer::new(policy.tower().clone_with(again)).layer(method);

        let calls = service.clone();
        let send = move |key: String| {
            let service = calls.clone();
            let request = Request::new(Entry { key });
            async move { read(service.oneshot(request).await) }
        };
        outage(&mut server, "grpc::request", send).await;
    });
}

/// The layer around the channel, under all methods. Requests are read into memory, so that they can be copied; responses
/// too, so that a connection that breaks in the middle of one is an error as well, and the status at its end is seen.
#[test]
fn a_channel_is_retried_under_all_methods() {
    type Answer = http::Response<Collected<Bytes>>;

    events::listen();
    run(async {
        let mut server = Grpc::start();
        let policy = policy::<Result<Answer, io::Error>>("grpc::channel").when(
            |outcome: &Result<Answer, io::Error>| match outcome {
                Ok(answer) => [Some(answer.headers()), answer.body().trailers()]
                    .into_iter()
                    .flatten()
                    .filter_map(Status::from_header_map)
                    .any(|status| status.code() == Code::Unavailable),
                Err(_) => true,
            },
        );
        let channel = server.channel();
        let once = service_fn(move |request: http::Request<Full<Bytes>>| {
            let channel = channel.clone();
            async move {
                let response = channel
                    .oneshot(request.map(Body::new))
                    .await
                    .map_err(io::Error::other)?;
                let (head, body) = response.into_parts();
                let body = body.collect().await.map_err(io::Error::other)?;
                Ok::<_, io::Error>(Answer::from_parts(head, body))
            }
        });
        let retried = RetryLayer::new(policy.tower()).layer(once);
        let channel = service_fn(move |request: http::Request<Body>| {
            let retried = retried.clone();
            async move {
                let (head, body) = request.into_parts();
                let body = Full::new(body.collect().await.map_err(io::Error::other)?.to_bytes());
                retried.oneshot(http::Request::from_parts(head, body)).await
            }
        });

        let send = move |key: String| {
            let origin = "http://ledger".parse().expect("a URL");
            let mut grpc = tonic::client::Grpc::with_origin(channel.clone(), origin);
            async move {
                grpc.ready().await.expect("a function is always ready");
                let codec = ProstCodec::<Entry, Entry>::default();
                let path = PATH.parse().expect("a path");
                read(grpc.unary(Request::new(Entry { key }), path, codec).await)
            }
        };
        outage(&mut server, "grpc::channel", send).await;
    });
}

fn read(answer: Result<Response<Entry>, Status>) -> Result<String, String> {
    answer
        .map(|answer| answer.into_inner().key)
        .map_err(|status| format!("{status:?}"))
}

/// Clients write while the server goes away and comes back.
async fn outage<F, Fut>(server: &mut Grpc, name: &'static str, send: F)
where
    F: Fn(String) -> Fut + Clone + Send + 'static,
    Fut: Future<Output = Result<String, String>> + Send,
{
    // Refused twice, and the answer lost once: known numbers while nothing else is wrong.
    for (key, attempts) in [("a-1", 1), ("a-3", 3), ("a-5", 2)] {
        assert_eq!(send(key.to_owned()).await.as_deref(), Ok(key));
        assert_eq!(server.ledger.asked(key), attempts, "{key}");
    }
    assert_eq!(events::retries(name), 3);

    let stop = Arc::new(AtomicBool::new(false));
    let acknowledged = Arc::new(AtomicUsize::new(0));
    let clients: Vec<_> = (0..4)
        .map(|client| {
            let (send, stop, acknowledged) =
                (send.clone(), Arc::clone(&stop), Arc::clone(&acknowledged));
            tokio::spawn(async move {
                let mut keys = Vec::new();
                for number in 0.. {
                    if stop.load(Ordering::Relaxed) {
                        break;
                    }
                    let key = format!("{client}-{number}");
                    assert_eq!(
                        send(key.clone()).await,
                        Ok(key.clone()),
                        "every outage is shorter than the deadline"
                    );
                    keys.push(key);
                    acknowledged.fetch_add(1, Ordering::Relaxed);
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
                keys
            })
        })
        .collect();
    for _ in 0..3 {
        more(&acknowledged, 60).await;
        server.down();
        let before = events::retries(name);
        wait::until_async("the clients notice", || events::retries(name) > before + 4).await;
        server.up();
    }
    more(&acknowledged, 60).await;
    stop.store(true, Ordering::Relaxed);

    let mut keys = Vec::new();
    for client in clients {
        keys.extend(client.await.expect("no client panics"));
    }
    let written = server
        .ledger
        .written
        .lock()
        .expect("nothing panics with it");
    for key in &keys {
        assert!(written.contains_key(key), "{key} was acknowledged");
    }
    println!(
        "{name}: {} calls, {} retries",
        keys.len(),
        events::retries(name)
    );
    assert_eq!(events::gave_up(name), 0);
}

async fn more(counter: &AtomicUsize, by: usize) {
    let goal = counter.load(Ordering::Relaxed) + by;
    wait::until_async("more acknowledged calls", || {
        counter.load(Ordering::Relaxed) >= goal
    })
    .await;
}

//! A tonic server for the tests, and a client of it as generated code would make one.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::net::TcpListener;
use tonic::body::Body;
use tonic::transport::server::TcpIncoming;
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Response, Status};
use tonic_prost::ProstCodec;
use tower::service_fn;

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Echo {
    #[prost(string, tag = "1")]
    pub(crate) text: String,
}

/// What the server saw of a request: `x-retry-attempt` and `grpc-timeout`.
pub(crate) type Seen = (String, String);

/// Answers as it was asked, but is busy for the first few requests.
#[derive(Debug)]
pub(crate) struct Server {
    address: SocketAddr,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl Server {
    pub(crate) async fn start(busy: usize) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&seen);
        let service = service_fn(move |request: http::Request<Body>| {
            let log = Arc::clone(&log);
            async move {
                let answer = service_fn(move |request: Request<Echo>| {
                    std::future::ready(answer(&mut log.lock().unwrap(), busy, request))
                });
                let mut grpc = tonic::server::Grpc::new(ProstCodec::<Echo, Echo>::default());
                Ok::<_, Infallible>(grpc.unary(answer, request).await)
            }
        });
        let server = tonic::transport::Server::builder()
            .serve_with_incoming(service, TcpIncoming::from(listener));
        tokio::spawn(server);
        Self { address, seen }
    }

    pub(crate) fn channel(&self) -> Channel {
        Endpoint::from_shared(format!("http://{}", self.address))
            .unwrap()
            .connect_lazy()
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }
}

#[allow(clippy::result_large_err, reason = "tonic's own")]
fn answer(
    seen: &mut Vec<Seen>,
    busy: usize,
    request: Request<Echo>,
) -> Result<Response<Echo>, Status> {
    let header = |name| {
        let value = request.metadata().get(name);
        value.map_or("", |value| value.to_str().unwrap()).to_owned()
    };
    seen.push((header("x-retry-attempt"), header("grpc-timeout")));
    if seen.len() > busy {
        return Ok(Response::new(request.into_inner()));
    }
    let mut status = Status::unavailable("busy");
    let second = "1000".parse().unwrap();
    status
        .metadata_mut()
        .insert("grpc-retry-pushback-ms", second);
    Err(status)
}

/// One unary call.
pub(crate) async fn client(
    channel: Channel,
    request: Request<Echo>,
) -> Result<Response<Echo>, Status> {
    let mut grpc = tonic::client::Grpc::new(channel);
    let ready = grpc.ready().await;
    ready.map_err(|error| Status::from_error(Box::new(error)))?;
    let path = "/echo.Echo/Echo".parse().unwrap();
    grpc.unary(request, path, ProstCodec::<Echo, Echo>::default())
        .await
}

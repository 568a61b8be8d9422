//! An HTTP back end inside the test, which can go away and come back on the same port.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use http_body_util::{BodyExt as _, Full};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::task::{JoinHandle, JoinSet};

use crate::port;

/// A request as the back end saw it.
#[derive(Debug, Clone)]
pub struct Seen {
    pub at: SystemTime,
    pub path: String,
    pub headers: HeaderMap,
    pub body: Bytes,
}

/// What the back end does about a request.
#[derive(Debug)]
pub enum Reply {
    Answer(Response<Full<Bytes>>),
    /// Close the connection without an answer.
    Drop,
}

impl Reply {
    /// An empty answer.
    pub fn status(status: u16) -> Reply {
        Reply::Answer(
            Response::builder()
                .status(status)
                .body(Full::default())
                .expect("a response"),
        )
    }

    /// An empty answer with a Retry-After header.
    pub fn retry_after(status: u16, text: &str) -> Reply {
        let answer = Response::builder()
            .status(status)
            .header("retry-after", text)
            .body(Full::default());
        Reply::Answer(answer.expect("a response"))
    }
}

type Respond = dyn Fn(&Seen) -> Reply + Send + Sync;

struct Shared {
    respond: Box<Respond>,
    seen: Mutex<Vec<Seen>>,
}

/// Dropping it closes the port and all connections.
pub struct Backend {
    address: SocketAddr,
    shared: Arc<Shared>,
    serving: Option<JoinHandle<()>>,
}

impl Backend {
    pub async fn start(respond: impl Fn(&Seen) -> Reply + Send + Sync + 'static) -> Backend {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port::free()));
        let shared = Arc::new(Shared {
            respond: Box::new(respond),
            seen: Mutex::default(),
        });
        let mut backend = Backend {
            address,
            shared,
            serving: None,
        };
        backend.up().await;
        backend
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// All requests so far, in the order of their arrival.
    pub fn seen(&self) -> Vec<Seen> {
        self.shared
            .seen
            .lock()
            .expect("no reply function panics")
            .clone()
    }

    /// Listens again after [`Backend::down`].
    pub async fn up(&mut self) {
        let listener = TcpListener::bind(self.address)
            .await
            .expect("the port is free");
        self.serving = Some(tokio::spawn(serve(listener, Arc::clone(&self.shared))));
    }

    /// Closes the port and cuts all connections, whatever they are at.
    pub async fn down(&mut self) {
        if let Some(serving) = self.serving.take() {
            serving.abort();
            // Only so that the port is closed when this returns; that the task was aborted is no news.
            let _ = serving.await;
        }
    }
}

impl Drop for Backend {
    fn drop(&mut self) {
        if let Some(serving) = &self.serving {
            serving.abort();
        }
    }
}

impl std::fmt::Debug for Backend {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Backend")
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}

async fn serve(listener: TcpListener, shared: Arc<Shared>) {
    // The set aborts its tasks when it is dropped, hence when this task is aborted.
    let mut connections = JoinSet::new();
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            tokio::time::sleep(Duration::from_millis(5)).await;
            continue;
        };
        let shared = Arc::clone(&shared);
        connections.spawn(async move {
            let answer = service_fn(|request| answer(request, &shared));
            // An error here is a client that went away, or `Reply::Drop`.
            let _ = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(stream), answer)
                .await;
        });
        while connections.try_join_next().is_some() {}
    }
}

async fn answer(
    request: Request<hyper::body::Incoming>,
    shared: &Shared,
) -> Result<Response<Full<Bytes>>, std::io::Error> {
    let (head, body) = request.into_parts();
    let body = body
        .collect()
        .await
        .map_err(std::io::Error::other)?
        .to_bytes();
    let seen = Seen {
        at: SystemTime::now(),
        path: head.uri.path().to_owned(),
        headers: head.headers,
        body,
    };
    let reply = (shared.respond)(&seen);
    shared
        .seen
        .lock()
        .expect("no reply function panics")
        .push(seen);
    match reply {
        Reply::Answer(answer) => Ok(answer),
        Reply::Drop => Err(std::io::Error::other("dropped on purpose")),
    }
}

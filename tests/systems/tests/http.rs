//! `reqwest` behind nginx and `hyper` behind HAProxy, with back ends that flap, are drained, and say Retry-After.

use std::collections::HashMap;
use std::error::Error;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use http::{HeaderMap, Request, StatusCode};
use http_body_util::Full;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use stamina::{Decision, Retry, Timer, when};
use stamina_systems::backend::{Backend, Reply, Seen};
use stamina_systems::haproxy::Haproxy;
use stamina_systems::nginx::Nginx;
use stamina_systems::{events, run, wait};

type Outcome = Result<reqwest::Response, reqwest::Error>;

/// The predicate for a whole outcome of reqwest: the response may ask for a retry as well as the error.
fn decide(outcome: &Outcome) -> Decision {
    match outcome {
        Ok(response) => decide_status(response.status(), response.headers()),
        Err(error) => (error.is_timeout() || error.is_connect() || error.is_request()).into(),
    }
}

fn decide_status(status: StatusCode, headers: &HeaderMap) -> Decision {
    if !stamina::http::is_transient(status) {
        return Decision::Stop;
    }
    stamina::http::retry_after(headers, SystemTime::now())
        .map_or(Decision::Retry, Decision::RetryAfter)
}

fn patient<E: std::fmt::Debug>(name: &'static str) -> Retry<E> {
    Retry::on::<E>()
        .named(name)
        .unlimited_attempts()
        .timeout(Duration::from_secs(60))
        .wait_initial(Duration::from_millis(10))
        .wait_max(Duration::from_millis(200))
        .wait_jitter(Duration::from_millis(50))
        .timer(Timer::tokio())
}

/// A service that adds to a total, once for each key, and loses some of its answers after the work is done.
#[derive(Debug, Default)]
struct Ledger {
    done: Mutex<HashMap<String, u32>>,
    total: AtomicUsize,
}

impl Ledger {
    fn handle(&self, request: &Seen) -> Reply {
        if request.path == "/refused" {
            return Reply::status(422);
        }
        let key = request.headers["idempotency-key"]
            .to_str()
            .expect("a text")
            .to_owned();
        let mut done = self.done.lock().expect("nothing panics with it");
        let times = done.entry(key.clone()).or_default();
        *times += 1;
        if *times > 1 {
            return Reply::status(200);
        }
        self.total.fetch_add(1, Ordering::Relaxed);
        match key
            .rsplit('-')
            .next()
            .and_then(|number| number.parse::<u32>().ok())
            .map_or(9, |number| number % 10)
        {
            3 => Reply::Drop,
            5 => Reply::retry_after(503, "0"),
            _ => Reply::status(200),
        }
    }

    /// Every acknowledged key has counted, and each key once.
    fn check(&self, acknowledged: &[String]) {
        let done = self.done.lock().expect("nothing panics with it");
        for key in acknowledged {
            assert!(
                done.contains_key(key),
                "{key} was acknowledged and never arrived"
            );
        }
        assert_eq!(self.total.load(Ordering::Relaxed), done.len());
        let repeated = done.values().filter(|&&times| times > 1).count();
        assert!(
            repeated > 0,
            "the answers that get lost make their clients repeat the request"
        );
        println!(
            "{} requests acknowledged, {repeated} of them arrived more than once",
            acknowledged.len()
        );
    }
}

/// What the clients of one test share.
#[derive(Debug, Default)]
struct Progress {
    stop: AtomicBool,
    acknowledged: AtomicUsize,
}

impl Progress {
    fn stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    fn acknowledge(&self) {
        self.acknowledged.fetch_add(1, Ordering::Relaxed);
    }

    async fn more(&self, by: usize) {
        let goal = self.acknowledged.load(Ordering::Relaxed) + by;
        wait::until_async("more acknowledged requests", || {
            self.acknowledged.load(Ordering::Relaxed) >= goal
        })
        .await;
    }
}

fn reqwest_client() -> reqwest::Client {
    reqwest::Client::builder()
        .timeout(Duration::from_secs(10))
        .build()
        .expect("a client")
}

#[test]
fn reqwest_through_nginx_to_a_flapping_back_end() {
    events::listen();
    run(async {
        let ledger = Arc::new(Ledger::default());
        let handler = Arc::clone(&ledger);
        let mut backend = Backend::start(move |request| handler.handle(request)).await;
        let server = format!(
            "server {{ listen @PORT@; location / {{ proxy_pass http://{}; proxy_next_upstream off; }} }}",
            backend.address()
        );
        let Some(nginx) = Nginx::start(
            "http::reqwest_through_nginx_to_a_flapping_back_end",
            &server,
        ) else {
            return;
        };

        let policy = Arc::new(patient::<Outcome>("http::flapping").when(decide));
        let progress = Arc::new(Progress::default());
        let clients: Vec<_> = (0..6)
            .map(|client| {
                let (policy, progress) = (Arc::clone(&policy), Arc::clone(&progress));
                let (writes, refused) = (nginx.url("/writes"), nginx.url("/refused"));
                tokio::spawn(async move {
                    let http = reqwest_client();
                    let mut acknowledged = Vec::new();
                    for number in 0.. {
                        if progress.stopped() {
                            break;
                        }
                        let key = format!("{client}-{number}");
                        let url = if number % 20 == 19 { &refused } else { &writes };
                        let send = || http.post(url).header("idempotency-key", &key).send();
                        let response = policy
                            .call_outcome_async(send)
                            .await
                            .expect("outages are shorter than the deadline");
                        if number % 20 == 19 {
                            assert_eq!(
                                response.status(),
                                422,
                                "a permanent answer comes back as it is"
                            );
                        } else {
                            assert_eq!(response.status(), 200);
                            acknowledged.push(key);
                            progress.acknowledge();
                        }
                        tokio::time::sleep(Duration::from_millis(1)).await;
                    }
                    acknowledged
                })
            })
            .collect();

        for _ in 0..5 {
            progress.more(100).await;
            backend.down().await;
            let before = events::retries("http::flapping");
            wait::until_async("the clients notice", || {
                events::retries("http::flapping") > before + 6
            })
            .await;
            backend.up().await;
        }
        progress.more(100).await;
        progress.stop.store(true, Ordering::Relaxed);

        let mut acknowledged = Vec::new();
        for client in clients {
            acknowledged.extend(client.await.expect("no client panics"));
        }
        ledger.check(&acknowledged);
        assert_eq!(events::gave_up("http::flapping"), 0);
    });
}

/// nginx itself limits the rate and says when to come back. Everybody gets through, and nobody comes back too early.
#[test]
fn reqwest_obeys_the_retry_after_of_nginx() {
    events::listen();
    run(async {
        let backend = Backend::start(|_| Reply::status(200)).await;
        let configuration = format!(
            "limit_req_zone $server_name zone=slow:1m rate=10r/s;
            server {{
                listen @PORT@;
                server_name slow;
                location / {{
                    limit_req zone=slow burst=3 nodelay;
                    limit_req_status 429;
                    error_page 429 = @later;
                    proxy_pass http://{};
                }}
                location @later {{ add_header Retry-After 1 always; return 429; }}
            }}",
            backend.address()
        );
        let Some(nginx) = Nginx::start(
            "http::reqwest_obeys_the_retry_after_of_nginx",
            &configuration,
        ) else {
            return;
        };
        let policy = Arc::new(patient::<Outcome>("http::limited").when(decide));
        let http = reqwest_client();
        let clients: Vec<_> = (0..16)
            .map(|_| {
                let (policy, http, url) = (Arc::clone(&policy), http.clone(), nginx.url("/"));
                tokio::spawn(async move {
                    // When each 429 came, and when each attempt began.
                    let refusals = Mutex::new(Vec::new());
                    let starts = Mutex::new(Vec::new());
                    let (http, url, refused, started) = (&http, &url, &refusals, &starts);
                    let send = || async move {
                        started.lock().expect("no panic").push(Instant::now());
                        let response = http.get(url).send().await?;
                        if response.status() == 429 {
                            refused.lock().expect("no panic").push(Instant::now());
                        }
                        Ok(response)
                    };
                    let response = policy.call_outcome_async(send).await.expect("nginx is up");
                    assert_eq!(response.status(), 200);
                    let (refusals, starts) = (
                        refusals.into_inner().expect("no panic"),
                        starts.into_inner().expect("no panic"),
                    );
                    assert_eq!(refusals.len() + 1, starts.len(), "only 429s were retried");
                    for (refused, again) in refusals.iter().zip(&starts[1..]) {
                        let wait = again.duration_since(*refused);
                        assert!(wait >= Duration::from_secs(1), "came back after {wait:?}");
                    }
                    refusals.len()
                })
            })
            .collect();
        let mut refusals = 0;
        for client in clients {
            refusals += client.await.expect("no client panics");
        }
        // Four may pass at once, and one more in each tenth of a second.
        println!("{refusals} refusals");
        assert!(
            refusals > 0,
            "16 clients at once are too many for 10 in a second"
        );
        assert_eq!(backend.seen().len(), 16, "each got through once");
    });
}

#[derive(Debug)]
enum HyperError {
    Status(StatusCode, HeaderMap),
    Transport(hyper_util::client::legacy::Error),
}

/// The predicate where a bad status is an error already.
fn decide_error(error: &HyperError) -> Decision {
    match error {
        HyperError::Status(status, headers) => decide_status(*status, headers),
        HyperError::Transport(error) => {
            let broken = |error: &(dyn Error + 'static)| {
                when::caused_by::<io::Error>(error) || closed(error)
            };
            (error.is_connect() || broken(error)).into()
        }
    }
}

/// hyper's own words for a connection that ended under a request.
fn closed(error: &(dyn Error + 'static)) -> bool {
    let mut next = Some(error);
    while let Some(error) = next {
        if error
            .downcast_ref::<hyper::Error>()
            .is_some_and(|error| error.is_incomplete_message() || error.is_closed())
        {
            return true;
        }
        next = error.source();
    }
    false
}

type HyperClient = Client<hyper_util::client::legacy::connect::HttpConnector, Full<Bytes>>;

fn hyper_client() -> HyperClient {
    Client::builder(TokioExecutor::new()).build_http()
}

async fn post(client: &HyperClient, url: &str, key: &str) -> Result<(), HyperError> {
    let request = Request::post(url)
        .header("idempotency-key", key)
        .body(Full::default())
        .expect("a request");
    let response = client
        .request(request)
        .await
        .map_err(HyperError::Transport)?;
    let (head, _) = response.into_parts();
    if head.status.is_success() {
        Ok(())
    } else {
        Err(HyperError::Status(head.status, head.headers))
    }
}

/// Back ends are drained one after the other, then both, and come back. HAProxy answers 503 with Retry-After meanwhile.
#[test]
fn hyper_through_haproxy_while_back_ends_are_drained() {
    events::listen();
    run(async {
        let ledger = Arc::new(Ledger::default());
        let mut back_ends = Vec::new();
        for _ in 0..2 {
            let handler = Arc::clone(&ledger);
            back_ends.push(Backend::start(move |request| handler.handle(request)).await);
        }
        let addresses = [back_ends[0].address(), back_ends[1].address()];
        let test = "http::hyper_through_haproxy_while_back_ends_are_drained";
        let Some(haproxy) = Haproxy::start(test, &addresses) else {
            return;
        };

        let policy = Arc::new(patient::<HyperError>("http::drained").when(decide_error));
        let progress = Arc::new(Progress::default());
        let clients: Vec<_> = (0..6)
            .map(|client| {
                let (policy, progress) = (Arc::clone(&policy), Arc::clone(&progress));
                let (writes, refused) = (haproxy.url("/writes"), haproxy.url("/refused"));
                tokio::spawn(async move {
                    let http = hyper_client();
                    let mut acknowledged = Vec::new();
                    for number in 0.. {
                        if progress.stopped() {
                            break;
                        }
                        let key = format!("{client}-{number}");
                        if number % 20 == 19 {
                            let refusal = policy.call_async(|| post(&http, &refused, &key)).await;
                            assert!(matches!(
                                refusal,
                                Err(HyperError::Status(StatusCode::UNPROCESSABLE_ENTITY, _))
                            ));
                        } else {
                            let call = policy.call_async(|| post(&http, &writes, &key));
                            call.await.expect("outages are shorter than the deadline");
                            acknowledged.push(key);
                            progress.acknowledge();
                        }
                        tokio::time::sleep(Duration::from_millis(1)).await;
                    }
                    acknowledged
                })
            })
            .collect();

        for round in 0..4 {
            progress.more(60).await;
            // One is taken out, the other carries on.
            let one = if round % 2 == 0 { "s1" } else { "s2" };
            haproxy.set_state(one, "drain");
            progress.more(60).await;
            if round % 2 == 1 {
                haproxy.set_state(one, "ready");
                // And one dies without a word: HAProxy goes on sending requests to it.
                back_ends[0].down().await;
                progress.more(12).await;
                back_ends[0].up().await;
                continue;
            }
            haproxy.set_state("s1", "maint");
            haproxy.set_state("s2", "maint");
            let before = events::retries("http::drained");
            wait::until_async("each client is told to come back", || {
                events::retries("http::drained") >= before + 6
            })
            .await;
            haproxy.set_state("s1", "ready");
            haproxy.set_state("s2", "ready");
        }
        progress.more(60).await;
        progress.stop.store(true, Ordering::Relaxed);

        let mut acknowledged = Vec::new();
        for client in clients {
            acknowledged.extend(client.await.expect("no client panics"));
        }
        ledger.check(&acknowledged);
        assert_eq!(events::gave_up("http::drained"), 0);
        assert!(
            back_ends.iter().all(|back_end| !back_end.seen().is_empty()),
            "both had their share"
        );
    });
}

/// Both forms of Retry-After, and one that is none, on their way through HAProxy.
#[test]
fn hyper_obeys_both_forms_of_retry_after() {
    events::listen();
    run(async {
        let again_at = Arc::new(Mutex::new(HashMap::<String, SystemTime>::new()));
        let told = Arc::clone(&again_at);
        let backend = Backend::start(move |request| {
            let mut told = told.lock().expect("nothing panics with it");
            if told.contains_key(&request.path) {
                return Reply::status(200);
            }
            let (status, text, earliest) = match request.path.as_str() {
                "/seconds" => (429, "1".to_owned(), request.at + Duration::from_secs(1)),
                "/date" => {
                    // The text has whole seconds only, so the moment that counts is the one in the text.
                    let text = httpdate::fmt_http_date(request.at + Duration::from_secs(3));
                    let earliest = httpdate::parse_http_date(&text).expect("its own text");
                    (503, text, earliest)
                }
                "/past" => (503, "Sun, 06 Nov 1994 08:49:37 GMT".to_owned(), request.at),
                "/garbage" => (
                    503,
                    "in a moment".to_owned(),
                    request.at + Duration::from_millis(10),
                ),
                path => panic!("nobody asks for {path}"),
            };
            told.insert(request.path.clone(), earliest);
            Reply::retry_after(status, &text)
        })
        .await;
        let Some(haproxy) = Haproxy::start(
            "http::hyper_obeys_both_forms_of_retry_after",
            &[backend.address()],
        ) else {
            return;
        };
        let http = hyper_client();
        let policy = patient::<HyperError>("http::hints").when(decide_error);
        for path in ["/seconds", "/date", "/past", "/garbage"] {
            let url = haproxy.url(path);
            policy
                .call_async(|| post(&http, &url, "k-0"))
                .await
                .expect("the second attempt goes well");
        }

        let seen = backend.seen();
        assert_eq!(seen.len(), 8, "two attempts each");
        let again_at = again_at.lock().expect("nothing panics with it").clone();
        for attempts in seen.chunks(2) {
            assert_eq!(attempts[0].path, attempts[1].path);
            let earliest = again_at[&attempts[0].path];
            // The two ends of the wait are read from a wall clock, which may be corrected a little in between.
            let slack = Duration::from_millis(50);
            let again = attempts[1].at;
            assert!(
                again + slack >= earliest,
                "{}: {again:?}, told {earliest:?}",
                attempts[0].path
            );
        }

        // A hint beyond the deadline ends the call at once: nobody waits in vain.
        let far = Backend::start(|_| Reply::retry_after(503, "3600")).await;
        let url = format!("http://{}/", far.address());
        let start = Instant::now();
        let far_policy = patient::<HyperError>("http::far").when(decide_error);
        let end = far_policy.call_async(|| post(&http, &url, "k-0")).await;
        assert!(
            matches!(
                end,
                Err(HyperError::Status(StatusCode::SERVICE_UNAVAILABLE, _))
            ),
            "{end:?}"
        );
        assert!(
            start.elapsed() < Duration::from_secs(30),
            "{:?}",
            start.elapsed()
        );
        assert_eq!((far.seen().len(), events::gave_up("http::far")), (1, 1));
    });
}

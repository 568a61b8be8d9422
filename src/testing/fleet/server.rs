//! The server of a simulated fleet.

use std::collections::VecDeque;
use std::time::Duration;

use crate::message::{Message, refuse};
use crate::time::nanos;

/// A server that can be overloaded: workers that take equally long for each request, and a queue.
///
/// Requests are served in the order of their arrival, also those whose client has given up: the work for a reply that
/// nobody waits for is what keeps an overloaded server down. (After "Metastable Failures in Distributed Systems",
/// `HotOS` 2021.) The queue has no limit unless [`queue`](Self::queue) sets one.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use stamina::testing::fleet::Server;
///
/// // The default: 30 workers, 100 ms each, so 300 requests a second; clients wait for 1 s.
/// let server = Server::new()
///     .workers(30)
///     .service_time(Duration::from_millis(100))
///     .client_timeout(Duration::from_secs(1));
/// assert_eq!(server, Server::new());
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Server {
    workers: u32,
    service_time: Duration,
    client_timeout: Duration,
    queue: Option<u32>,
    hung_share: f64,
    hung_time: Duration,
}

impl Server {
    /// 30 workers of 100 ms, whose clients wait for 1 s.
    ///
    /// # Examples
    ///
    /// ```
    /// use stamina::testing::fleet::Server;
    /// assert_eq!(Server::new(), Server::default());
    /// ```
    #[must_use]
    pub const fn new() -> Self {
        Self {
            workers: 30,
            service_time: Duration::from_millis(100),
            client_timeout: Duration::from_secs(1),
            queue: None,
            hung_share: 0.0,
            hung_time: Duration::ZERO,
        }
    }

    /// Sets how many requests are served at the same time. Default 30.
    ///
    /// # Panics
    ///
    /// If `workers` is 0.
    ///
    /// # Examples
    ///
    /// ```
    /// use stamina::testing::fleet::Server;
    ///
    /// const SMALL: Server = Server::new().workers(3);
    /// assert_ne!(SMALL, Server::new());
    /// ```
    #[must_use]
    #[track_caller]
    pub const fn workers(mut self, workers: u32) -> Self {
        if workers == 0 {
            refuse(Some(&Message::new(
                "stamina: `workers` of a `Server` is 0, but must be at least 1",
            )));
        }
        self.workers = workers;
        self
    }

    /// Sets how long a worker takes for a request. Default 100 ms.
    ///
    /// # Panics
    ///
    /// If it is zero.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// use stamina::testing::fleet::Server;
    ///
    /// const SLOW: Server = Server::new().service_time(Duration::from_millis(900));
    /// assert_ne!(SLOW, Server::new());
    /// ```
    #[must_use]
    #[track_caller]
    pub const fn service_time(mut self, service_time: Duration) -> Self {
        if service_time.is_zero() {
            refuse(Some(&Message::new(
                "stamina: `service_time` of a `Server` is 0, but must be longer (leave the server out for one without limit)",
            )));
        }
        self.service_time = service_time;
        self
    }

    /// Sets how long a client waits for a reply, from sending the attempt: then the attempt has failed. Default 1 s.
    ///
    /// # Panics
    ///
    /// If it is zero.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// use stamina::testing::fleet::Server;
    ///
    /// const PATIENT: Server = Server::new().client_timeout(Duration::from_secs(30));
    /// assert_ne!(PATIENT, Server::new());
    /// ```
    #[must_use]
    #[track_caller]
    pub const fn client_timeout(mut self, client_timeout: Duration) -> Self {
        if client_timeout.is_zero() {
            refuse(Some(&Message::new(
                "stamina: `client_timeout` of a `Server` is 0, but must be longer",
            )));
        }
        self.client_timeout = client_timeout;
        self
    }

    /// Limits how many requests wait for a worker. The server rejects further ones at once. Default: no limit.
    ///
    /// This is what a server can do for its clients: what it rejects costs it nothing, and what it accepts it answers
    /// before the client gives up.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// use stamina::Retry;
    /// use stamina::testing::Fleet;
    /// use stamina::testing::fleet::Server;
    ///
    /// let secs = Duration::from_secs;
    /// let recovers = |server| {
    ///     Fleet::of(&Retry::on::<()>().attempts(3).full_jitter(), ())
    ///         .rate(26.0)
    ///         .server(server)
    ///         .phase(secs(20), 0.0)
    ///         .cut_off(secs(10))
    ///         .phase(secs(60), 0.0)
    ///         .run()
    ///         .recovers_within(secs(3))
    /// };
    /// let server = Server::new().workers(3); // 30 requests a second
    /// assert!(!recovers(server));
    /// assert!(recovers(server.queue(15)));
    /// ```
    #[must_use]
    pub const fn queue(mut self, limit: u32) -> Self {
        self.queue = Some(limit);
        self
    }

    /// Lets this share of attempts hang for a time, like a broken replica behind a load balancer.
    ///
    /// They are answered after `time`, if the client still waits, and take no worker from the others.
    ///
    /// # Panics
    ///
    /// Unless `0 <= share <= 1`.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// use stamina::Retry;
    /// use stamina::testing::Fleet;
    /// use stamina::testing::fleet::Server;
    ///
    /// let secs = Duration::from_secs;
    /// let outcome = Fleet::of(&Retry::on::<()>().attempts(1), ())
    ///     .rate(50.0)
    ///     .server(Server::new().hung(0.1, secs(60)))
    ///     .phase(secs(60), 0.0)
    ///     .run();
    /// assert!((0.87..0.93).contains(&outcome.phases[0].success()), "{outcome}");
    /// ```
    #[must_use]
    #[track_caller]
    pub const fn hung(mut self, share: f64, time: Duration) -> Self {
        if !(share >= 0.0 && share <= 1.0) {
            refuse(Some(
                &Message::new("stamina: the `share` of a `Server`'s hung attempts is ")
                    .number(share)
                    .text(", but must be at least 0 and at most 1 (0.1 is one attempt in ten)"),
            ));
        }
        self.hung_share = share;
        self.hung_time = time;
        self
    }
}

impl Default for Server {
    fn default() -> Self {
        Self::new()
    }
}

/// A server at work. Times are in nanoseconds.
pub(super) struct Workers {
    /// When each worker is free, soonest first. All requests take equally long and are served in their order, so the
    /// workers take turns.
    free: VecDeque<u64>,
    /// When each waiting request gets its worker, soonest first.
    waiting: VecDeque<u64>,
    queue: usize,
    service_time: u64,
    pub(super) client_timeout: u64,
    pub(super) hung_share: f64,
    pub(super) hung_time: u64,
}

impl Workers {
    pub(super) fn new(server: &Server) -> Self {
        let unlimited = usize::MAX;
        let queue = server.queue.map(usize::try_from);
        Self {
            free: (0..server.workers).map(|_| 0).collect(),
            waiting: VecDeque::new(),
            queue: queue.map_or(unlimited, |queue| queue.unwrap_or(unlimited)),
            service_time: nanos(server.service_time),
            client_timeout: nanos(server.client_timeout),
            hung_share: server.hung_share,
            hung_time: nanos(server.hung_time),
        }
    }

    /// A request arrives. Returns when it is done, or `None` if the server rejects it.
    pub(super) fn accept(&mut self, at: u64) -> Option<u64> {
        while self.waiting.front().is_some_and(|begin| *begin <= at) {
            self.waiting.pop_front();
        }
        let free = *self.free.front()?;
        let begin = free.max(at);
        if begin > at {
            if self.waiting.len() >= self.queue {
                return None;
            }
            self.waiting.push_back(begin);
        }
        let done = begin.saturating_add(self.service_time);
        self.free.pop_front();
        self.free.push_back(done);
        Some(done)
    }
}

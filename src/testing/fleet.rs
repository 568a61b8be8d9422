//! A fleet of clients of your own policy, in virtual time.
//!
//! Retries hide small failures and make big ones bigger: what is good for one client can keep a whole service down.
//! [`Fleet`] shows that in a test, with the policy that you ship: how many attempts an outage makes of each call, how
//! many small failures are hidden, and whether an overloaded server comes back.
//!
//! Nothing sleeps, and no hook sees it. The simulated calls go through the same code as real ones ([`Retry::resume`],
//! [`decide`](crate::Attempts::decide), [`succeed`](crate::Attempts::succeed)), so a change of the policy, or of this
//! library, shows. Switches, scopes and calls around the simulation do not change its outcome.
//!
//! # Examples
//!
//! ```
//! use std::time::Duration;
//! use stamina::{Budget, Retry};
//! use stamina::testing::Fleet;
//!
//! static PAYMENTS: Budget = Budget::new();
//! static PAY: Retry<&str> = Retry::on::<&str>().attempts(3).full_jitter().budget(&PAYMENTS);
//!
//! let outcome = Fleet::of(&PAY, "down")
//!     .clients(10)
//!     .rate(100.0)
//!     .phase(Duration::from_secs(30), 0.01) // one attempt in a hundred fails
//!     .phase(Duration::from_secs(30), 1.0) // an outage
//!     .run();
//!
//! assert!(outcome.phases[0].success() > 0.99, "{outcome}");
//! assert!(outcome.phases[1].amplification() < 1.1, "{outcome}");
//! ```

mod call;
mod clock;
mod outcome;
mod run;
mod seam;
mod server;
mod spread;

use std::fmt::Debug;
use std::time::Duration;

pub use self::outcome::{Outcome, Phase, Second};
pub use self::server::Server;
pub use self::spread::Spread;
use crate::message::{Message, refuse};
use crate::policy::Retry;
use crate::time::nanos;

/// A fleet of clients of one policy and the server they call, to be run in virtual time.
///
/// The calls arrive at random (a Poisson process) and each belongs to a random client. Each client has a budget of its
/// own, as each process of a real fleet has: [`fresh`](crate::Budget::fresh), if the policy has one.
///
/// Without [`server`](Self::server), the server answers at once however many ask, and each attempt fails with the
/// phase's probability. After the last phase no more calls begin and its conditions stay; calls that have not ended
/// five minutes later are counted as unfinished.
///
/// The same settings and the same [`seed`](Self::seed) give the same outcome. Another policy with the same seed gets the
/// same arrivals and the same random failures. A policy that has a [`seed`](Retry::seed) of its own keeps it, so that the
/// simulation shows what a shared seed does.
///
/// # Examples
///
/// Does the fleet recover once an overload is over? Without a budget, retries keep the server down that they wait for.
///
/// ```
/// use std::time::Duration;
/// use stamina::{Budget, Retry};
/// use stamina::testing::Fleet;
/// use stamina::testing::fleet::Server;
///
/// static BUDGET: Budget = Budget::new();
///
/// let secs = Duration::from_secs;
/// let policy = Retry::on::<&str>().attempts(3).full_jitter();
/// let fleet = |policy: &Retry<&'static str>| {
///     Fleet::of(policy, "timed out")
///         .clients(10)
///         .rate(26.0)
///         .server(Server::new().workers(3)) // 30 requests a second
///         .phase(secs(20), 0.0)
///         .cut_off(secs(10))
///         .phase(secs(200), 0.0)
///         .run()
/// };
///
/// let without = fleet(&policy);
/// let with = fleet(&policy.budget(&BUDGET));
///
/// assert!(!without.recovers_within(secs(150)), "{without}");
/// assert!(with.recovers_within(secs(150)), "{with}");
/// ```
#[derive(Clone, Debug)]
#[must_use = "a fleet does nothing before `run`"]
pub struct Fleet<E> {
    policy: Retry<E>,
    error: E,
    clients: u32,
    rate: f64,
    /// The mean of each leg, in nanoseconds.
    latency: f64,
    seed: u64,
    server: Option<Server>,
    phases: Vec<Conditions>,
}

/// The longest that a phase may be.
const YEAR: Duration = Duration::from_secs(365 * 24 * 3600);

/// What a phase brings.
#[derive(Clone, Debug)]
struct Conditions {
    length: Duration,
    failure: f64,
    load: f64,
    cut_off: bool,
}

impl<E: Debug> Fleet<E> {
    /// A fleet of clients of this policy, whose failed attempts all fail with this error.
    ///
    /// The policy's predicate sees the error, as in real calls: if it stops there, there are no retries.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::io;
    /// use std::time::Duration;
    /// use stamina::{Retry, when};
    /// use stamina::testing::Fleet;
    ///
    /// let policy = Retry::on::<io::Error>().when(when::transient_io);
    /// let amplification = |error: io::ErrorKind| {
    ///     let fleet = Fleet::of(&policy, error.into()).rate(10.0);
    ///     fleet.phase(Duration::from_secs(10), 1.0).run().phases[0].amplification()
    /// };
    ///
    /// assert_eq!(amplification(io::ErrorKind::TimedOut), 10.0);
    /// assert_eq!(amplification(io::ErrorKind::NotFound), 1.0);
    /// ```
    pub fn of(policy: &Retry<E>, error: E) -> Self {
        Self {
            policy: policy.clone(),
            error,
            clients: 100,
            rate: 100.0,
            latency: 10e6,
            seed: 0,
            server: None,
            phases: Vec::new(),
        }
    }

    /// Sets how many clients share the calls. Default 100.
    ///
    /// # Panics
    ///
    /// If `clients` is 0.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// use stamina::{Budget, Retry, testing::Fleet};
    ///
    /// static BUDGET: Budget = Budget::new();
    ///
    /// // Each client has two tokens to begin with, so more clients make more retries.
    /// let policy = Retry::on::<()>().budget(&BUDGET);
    /// let retries = |clients| {
    ///     let fleet = Fleet::of(&policy, ()).clients(clients).rate(100.0);
    ///     let outcome = fleet.phase(Duration::from_secs(20), 1.0).run();
    ///     outcome.phases[0].attempts - outcome.phases[0].calls
    /// };
    /// assert_eq!((retries(1), retries(100)), (2, 200));
    /// ```
    #[track_caller]
    pub fn clients(mut self, clients: u32) -> Self {
        if clients == 0 {
            refuse(Some(&Message::new(
                "stamina: `clients` of a `Fleet` is 0, but must be at least 1",
            )));
        }
        self.clients = clients;
        self
    }

    /// Sets how many calls the whole fleet begins in a second, on average. Default 100.
    ///
    /// # Panics
    ///
    /// Unless `0 < rate <= 1e9`.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// use stamina::{Retry, testing::Fleet};
    ///
    /// let outcome = Fleet::of(&Retry::on::<()>(), ()).rate(50.0).phase(Duration::from_secs(60), 0.0).run();
    /// assert!((2700..3300).contains(&outcome.phases[0].calls)); // 50 * 60
    /// ```
    #[track_caller]
    pub fn rate(mut self, rate: f64) -> Self {
        if !(rate > 0.0 && rate <= 1e9) {
            refuse(Some(
                &Message::new("stamina: `rate` of a `Fleet` is ").number(rate).text(
                    ", but must be greater than 0 and at most 1e9 (calls a second of the whole fleet)",
                ),
            ));
        }
        self.rate = rate;
        self
    }

    /// Sets how long a message takes each way, on average: exponentially distributed. Default 10 ms.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// use stamina::{Retry, testing::Fleet};
    ///
    /// let fleet = Fleet::of(&Retry::on::<()>(), ()).latency(Duration::from_millis(30));
    /// let outcome = fleet.phase(Duration::from_secs(20), 0.0).run();
    /// assert!((50..70).contains(&outcome.phases[0].took.mean().as_millis())); // there and back
    /// ```
    #[allow(clippy::cast_precision_loss, reason = "2^53 ns are 104 days")]
    pub fn latency(mut self, latency: Duration) -> Self {
        self.latency = nanos(latency) as f64;
        self
    }

    /// Sets the seed of everything random. Default 0.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// use stamina::{Retry, testing::Fleet};
    ///
    /// let run = |seed| Fleet::of(&Retry::on::<()>(), ()).seed(seed).phase(Duration::from_secs(5), 0.5).run();
    /// assert_eq!(run(1), run(1));
    /// assert_ne!(run(1), run(2));
    /// ```
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// Puts a server with a limited capacity behind the network. See [`Server`].
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// use stamina::Retry;
    /// use stamina::testing::Fleet;
    /// use stamina::testing::fleet::Server;
    ///
    /// // 30 requests a second, and twice as many calls.
    /// let outcome = Fleet::of(&Retry::on::<()>().attempts(1), ())
    ///     .rate(60.0)
    ///     .server(Server::new().workers(3))
    ///     .phase(Duration::from_secs(60), 0.0)
    ///     .run();
    /// assert!(outcome.phases[0].success() < 0.1, "{outcome}");
    /// ```
    pub fn server(mut self, server: Server) -> Self {
        self.server = Some(server);
        self
    }

    /// Adds a phase in which each attempt fails with this probability.
    ///
    /// # Panics
    ///
    /// Unless `0 <= failure <= 1`, and if `length` is zero or more than a year.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// use stamina::{Retry, testing::Fleet};
    ///
    /// let outcome = Fleet::of(&Retry::on::<()>().attempts(1), ())
    ///     .phase(Duration::from_secs(20), 0.0)
    ///     .phase(Duration::from_secs(20), 0.25)
    ///     .run();
    /// assert_eq!(outcome.phases[0].success(), 1.0);
    /// assert!((0.7..0.8).contains(&outcome.phases[1].success()));
    /// ```
    #[track_caller]
    pub fn phase(self, length: Duration, failure: f64) -> Self {
        if !(0.0..=1.0).contains(&failure) {
            refuse(Some(
                &Message::new("stamina: the `failure` probability of a phase is ")
                    .number(failure)
                    .text(
                        ", but must be at least 0 and at most 1 (0.01 is one attempt in a hundred)",
                    ),
            ));
        }
        self.with(Conditions {
            length,
            failure,
            load: 1.0,
            cut_off: false,
        })
    }

    /// Adds a phase in which nothing fails, but this many times as many calls begin as [`rate`](Self::rate) says; 0
    /// for none.
    ///
    /// # Panics
    ///
    /// Unless `0 <= load <= 1e6`, and if `length` is zero or more than a year.
    ///
    /// # Examples
    ///
    /// A minute's rush overloads the server. The retries of those that it turns away keep it so for twice as long.
    ///
    /// ```
    /// use std::time::Duration;
    /// use stamina::Retry;
    /// use stamina::testing::Fleet;
    /// use stamina::testing::fleet::Server;
    ///
    /// let secs = Duration::from_secs;
    /// let recovery = |attempts| {
    ///     let outcome = Fleet::of(&Retry::on::<()>().attempts(attempts), ())
    ///         .rate(15.0)
    ///         .server(Server::new().workers(3))
    ///         .phase(secs(20), 0.0)
    ///         .surge(secs(60), 3.0)
    ///         .phase(secs(600), 0.0)
    ///         .run();
    ///     outcome.phases[2].recovery
    /// };
    /// assert!(recovery(1).is_some_and(|after| after < secs(90)));
    /// assert!(recovery(3).is_none_or(|after| after > secs(180)));
    /// ```
    #[track_caller]
    pub fn surge(self, length: Duration, load: f64) -> Self {
        if !(0.0..=1e6).contains(&load) {
            refuse(Some(
                &Message::new("stamina: the `load` of a surge is ")
                    .number(load)
                    .text(", but must be at least 0 and at most 1e6 (2 is twice the rate)"),
            ));
        }
        self.with(Conditions {
            length,
            failure: 0.0,
            load,
            cut_off: false,
        })
    }

    /// Adds a phase in which the network holds all messages, to deliver them at once at its end.
    ///
    /// # Panics
    ///
    /// If `length` is zero or more than a year. [`run`](Self::run) panics if there is no [`server`](Self::server): it
    /// has the timeout after which clients give messages up.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// use stamina::Retry;
    /// use stamina::testing::Fleet;
    /// use stamina::testing::fleet::Server;
    ///
    /// let outcome = Fleet::of(&Retry::on::<()>().attempts(1), ())
    ///     .rate(10.0)
    ///     .server(Server::new())
    ///     .phase(Duration::from_secs(20), 0.0)
    ///     .cut_off(Duration::from_secs(10))
    ///     .phase(Duration::from_secs(20), 0.0)
    ///     .run();
    ///
    /// // Only the calls of its last second are still waited for when the messages arrive.
    /// assert!(outcome.phases[1].success() < 0.2, "{outcome}");
    /// assert_eq!(outcome.phases[2].success(), 1.0);
    /// ```
    #[track_caller]
    pub fn cut_off(self, length: Duration) -> Self {
        self.with(Conditions {
            length,
            failure: 0.0,
            load: 1.0,
            cut_off: true,
        })
    }

    #[track_caller]
    fn with(mut self, conditions: Conditions) -> Self {
        if conditions.length.is_zero() || conditions.length > YEAR {
            refuse(Some(
                &Message::new("stamina: the `length` of a phase is ")
                    .number(conditions.length.as_secs_f64())
                    .text(" s, but must be longer than 0 and at most a year"),
            ));
        }
        self.phases.push(conditions);
        self
    }

    /// Runs the fleet through its phases.
    ///
    /// A simulated minute of a thousand calls a second takes some 50 ms of an optimized build.
    ///
    /// # Panics
    ///
    /// If there is no phase, or a [`cut_off`](Self::cut_off) without a [`server`](Self::server), and if a call makes a
    /// million attempts: then the policy has no limit that simulated time could reach.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// use stamina::{Retry, testing::Fleet};
    ///
    /// let outcome = Fleet::of(&Retry::on::<()>().attempts(3), ()).phase(Duration::from_secs(5), 1.0).run();
    /// assert_eq!(outcome.phases[0].amplification(), 3.0);
    /// ```
    #[must_use]
    #[track_caller]
    pub fn run(&self) -> Outcome {
        if self.phases.is_empty() {
            refuse(Some(&Message::new(
                "stamina: a `Fleet` has no phases, but needs one: `.phase(length, failure)`",
            )));
        }
        if self.server.is_none() && self.phases.iter().any(|phase| phase.cut_off) {
            refuse(Some(&Message::new(
                "stamina: a `Fleet` has a `cut_off`, but no `server`, whose `client_timeout` it needs",
            )));
        }
        run::run(self)
    }
}

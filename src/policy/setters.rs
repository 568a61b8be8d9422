//! The setters and getters of [`Retry`], in the order of use.

use std::fmt::{self, Debug};
use std::mem::{forget, replace};
use std::sync::Arc;
use std::time::Duration;

use super::{Config, Decision, Parts, Predicate, Retry, Settings};
use crate::budget::{Budget, BudgetRef};
use crate::message::{Message, refuse};
use crate::telemetry::RetryDetails;
use crate::time::Timer;

/// Changes one plain number of a policy, if it is in range.
macro_rules! set {
    ($policy:ident, $name:ident = $value:expr) => {{
        $policy.parts.config.settings.$name = $value;
        $policy.parts.config.settings = $policy.parts.config.settings.checked();
        $policy.parts.config.update_reads_clock();
        $policy
    }};
}

/// Refuses an attempt timeout of zero with the words of its setter.
#[track_caller]
pub(crate) const fn refuse_zero_attempt_timeout(timeout: Duration) {
    let settings = Settings {
        attempt_timeout: Some(timeout),
        ..Settings::DEFAULT
    };
    let _ = settings.checked();
}

impl Retry<()> {
    /// A policy that retries every `E`, with the defaults.
    ///
    /// # Examples
    ///
    /// ```
    /// use stamina::Retry;
    ///
    /// let policy = Retry::on::<std::io::Error>();
    /// assert_eq!(policy.settings().attempts, Some(10));
    ///
    /// // The type can be left to the operation.
    /// assert_eq!(Retry::on().call(|| "7".parse::<u8>()), Ok(7));
    /// ```
    #[must_use]
    pub const fn on<E: Debug>() -> Retry<E> {
        Retry {
            parts: Parts {
                config: Config::DEFAULT,
                predicate: Predicate::Always,
                describe: None,
                on_retry: None,
                attempt_timeout_error: None,
            },
        }
    }
}

/// # Which errors
impl<E> Retry<E> {
    /// Sets which errors to retry, and how: the predicate may return a `bool`, a [`Duration`] (a hint of the other side)
    /// or a [`Decision`]. Default: every `E` is retried.
    ///
    /// It is asked once for every failed attempt, the last included. The last predicate that was set counts. For a
    /// `static` there are [`when_fn`](Self::when_fn) and [`decide_fn`](Self::decide_fn).
    ///
    /// # Examples
    ///
    /// ```
    /// use std::io;
    /// use stamina::{Retry, StopReason};
    ///
    /// let attempts = 3;
    /// let policy = Retry::on::<io::Error>().when(move |error: &io::Error| attempts > 1 && error.kind() == io::ErrorKind::TimedOut);
    ///
    /// let report = policy.report(|| Err::<(), _>(io::ErrorKind::PermissionDenied.into()));
    /// assert_eq!((report.attempts, report.stop_reason), (1, Some(StopReason::NotRetryable)));
    /// ```
    #[must_use]
    pub fn when<V: Into<Decision>>(
        mut self,
        predicate: impl Fn(&E) -> V + Send + Sync + 'static,
    ) -> Self {
        self.parts.predicate =
            Predicate::Closure(Arc::new(move |error: &E| predicate(error).into()));
        self
    }

    /// [`when`](Self::when) for a `static`: a function that returns a `bool`. A closure that it replaces is not freed.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::io;
    /// use stamina::{Retry, when};
    ///
    /// static FETCH: Retry<io::Error> = Retry::on::<io::Error>().when_fn(when::transient_io);
    ///
    /// assert_eq!(FETCH.report(|| Err::<(), _>(io::ErrorKind::NotFound.into())).attempts, 1);
    /// ```
    #[must_use]
    pub const fn when_fn(mut self, predicate: fn(&E) -> bool) -> Self {
        // A `const fn` can't drop what was there before, so a closure that is replaced is not freed.
        forget(replace(
            &mut self.parts.predicate,
            Predicate::Bool(predicate),
        ));
        self
    }

    /// [`when`](Self::when) for a `static`: a function that returns a [`Decision`]. A closure that it replaces is not
    /// freed.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// use stamina::{Decision, Retry};
    ///
    /// #[derive(Debug)]
    /// enum Error {
    ///     Busy { for_secs: u64 },
    ///     NotFound,
    /// }
    ///
    /// fn decide(error: &Error) -> Decision {
    ///     match error {
    ///         Error::Busy { for_secs } => Decision::RetryAfter(Duration::from_secs(*for_secs)),
    ///         Error::NotFound => Decision::Stop,
    ///     }
    /// }
    ///
    /// static POLICY: Retry<Error> = Retry::on::<Error>().decide_fn(decide);
    ///
    /// assert_eq!(POLICY.report(|| Err::<(), _>(Error::NotFound)).attempts, 1);
    /// # let _ = Error::Busy { for_secs: 1 };
    /// ```
    #[must_use]
    pub const fn decide_fn(mut self, predicate: fn(&E) -> Decision) -> Self {
        forget(replace(
            &mut self.parts.predicate,
            Predicate::Decision(predicate),
        ));
        self
    }

    /// The same policy for another error type. All that does not mention `E` is kept: settings, schedule, `reset_after`,
    /// budget, name, timer, seed, `quiet` and `outermost_only`. Predicate, `describe`, hook and attempt timeout are not.
    ///
    /// # Examples
    ///
    /// ```
    /// use stamina::Retry;
    ///
    /// static HOUSE: Retry<()> = Retry::on::<()>().attempts(4);
    ///
    /// let parse = HOUSE.for_error::<std::num::ParseIntError>().named("parse");
    /// assert_eq!(parse.settings().attempts, Some(4));
    /// ```
    #[must_use]
    pub fn for_error<F: Debug>(&self) -> Retry<F> {
        let mut policy = Retry::on::<F>();
        policy.parts.config = self.parts.config.clone();
        policy.parts.config.settings.attempt_timeout = None;
        policy
    }
}

/// # How often and for how long
impl<E> Retry<E> {
    /// Sets the most attempts, the first included. Default 10.
    ///
    /// # Panics
    ///
    /// If `attempts` is 0.
    ///
    /// # Examples
    ///
    /// ```
    /// use stamina::Retry;
    ///
    /// let mut attempts = 0;
    /// # let _testing = stamina::testing::scoped(stamina::testing::Testing::attempts(100).capped());
    /// let result = Retry::on::<&str>().attempts(3).call(|| {
    ///     attempts += 1;
    ///     Err::<(), _>("down")
    /// });
    /// assert_eq!((result, attempts), (Err("down"), 3));
    /// ```
    #[must_use]
    #[track_caller]
    pub const fn attempts(mut self, attempts: u32) -> Self {
        set!(self, attempts = Some(attempts))
    }

    /// Lifts the limit on attempts. The timeout and a budget still hold.
    ///
    /// # Examples
    ///
    /// ```
    /// use stamina::Retry;
    ///
    /// // Without any limit the call goes on until it succeeds.
    /// let for_ever = Retry::on::<()>().unlimited_attempts().no_timeout();
    /// assert_eq!(for_ever.settings().attempts, None);
    /// ```
    #[must_use]
    pub const fn unlimited_attempts(mut self) -> Self {
        set!(self, attempts = None)
    }

    /// Sets the deadline of the whole call, from its start, waits and attempts together. Default 45 s.
    ///
    /// A retry happens only if it can begin before the deadline; zero allows none. An attempt under way is not cut: for
    /// that there is [`attempt_timeout`](Self::attempt_timeout).
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// use stamina::{Retry, StopReason};
    ///
    /// // The second wait would reach past the deadline, so the call ends at once instead.
    /// let report = Retry::on::<&str>()
    ///     .timeout(Duration::from_millis(20))
    ///     .waits(|n| Duration::from_millis(15) * n)
    ///     .wait_jitter(Duration::ZERO)
    ///     .report(|| Err::<(), _>("down"));
    ///
    /// assert_eq!((report.attempts, report.stop_reason), (2, Some(StopReason::TimedOut)));
    /// ```
    #[must_use]
    pub const fn timeout(mut self, timeout: Duration) -> Self {
        set!(self, timeout = Some(timeout))
    }

    /// Lifts the deadline.
    ///
    /// # Examples
    ///
    /// ```
    /// assert_eq!(stamina::Retry::on::<()>().no_timeout().settings().timeout, None);
    /// ```
    #[must_use]
    pub const fn no_timeout(mut self) -> Self {
        set!(self, timeout = None)
    }

    /// Cuts each async attempt at `timeout` or at the policy's deadline, whichever is first: its future is dropped, and
    /// it counts as failed with `error()`. Default: nothing is cut.
    ///
    /// It holds in every async driver, tower included, and in code blocks through
    /// [`Attempts::attempt`](crate::Attempts::attempt). A blocking attempt can't be cut, nor can a future that blocks its
    /// thread: give these operations a timeout of their own. A success that is ready when the time is up still counts. In
    /// testing mode and if retries are switched off `timeout` still holds; the deadline does not. For an error that needs
    /// a capture there is [`RetryFuture::attempt_timeout`](crate::RetryFuture::attempt_timeout).
    ///
    /// # Panics
    ///
    /// If `timeout` is zero.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// use stamina::{Retry, Timer};
    /// use stamina::testing::VirtualClock;
    ///
    /// static CLOCK: VirtualClock = VirtualClock::new();
    /// static PING: Retry<&str> = Retry::on::<&str>()
    ///     .attempts(2)
    ///     .attempt_timeout(Duration::from_secs(3), || "too slow")
    ///     .timer(Timer::custom(&CLOCK));
    ///
    /// # futures::executor::block_on(async {
    /// let result = PING.call_async(|| std::future::pending::<Result<(), &str>>()).await;
    /// assert_eq!(result, Err("too slow"));
    /// # });
    /// assert!(CLOCK.elapsed() >= Duration::from_secs(6));
    /// ```
    #[must_use]
    #[track_caller]
    pub const fn attempt_timeout(mut self, timeout: Duration, error: fn() -> E) -> Self {
        self.parts.attempt_timeout_error = Some(error);
        set!(self, attempt_timeout = Some(timeout))
    }

    /// Starts the call anew if an attempt ran at least this long before it failed: it was healthy. Default: never.
    ///
    /// The failure then counts as the first attempt's: the waits begin again, the deadline counts from the failure, and a
    /// budget is credited with a success. So a loop that reconnects is one line:
    /// `LINK.call_async(|| session()).await`.
    ///
    /// An attempt that was cut by its [`attempt_timeout`](Self::attempt_timeout) hung: it is not healthy. With an attempt
    /// timeout, the deadline cuts too: if sessions are longer than the timeout, lift it
    /// ([`no_timeout`](Self::no_timeout)). In a code block and in tower, an attempt that took as long as either allows
    /// counts as cut. Blocking calls cut nothing. An error that the predicate does not retry ends the
    /// call, and the budget is not credited.
    ///
    /// # Panics
    ///
    /// If `healthy` is zero.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// use stamina::{Retry, Timer};
    /// use stamina::testing::VirtualClock;
    ///
    /// static CLOCK: VirtualClock = VirtualClock::new();
    /// static LINK: Retry<&str> = Retry::on::<&str>()
    ///     .attempts(3)
    ///     .reset_after(Duration::from_secs(60))
    ///     .timer(Timer::custom(&CLOCK));
    ///
    /// let mut sessions = 0;
    /// let result = LINK.call(|| {
    ///     sessions += 1;
    ///     if sessions <= 100 {
    ///         CLOCK.advance(Duration::from_secs(3600)); // a session of an hour
    ///     }
    ///     Err::<(), _>("connection lost")
    /// });
    ///
    /// // After each of the hundred sessions it reconnects. Only the last three attempts count as one call.
    /// assert_eq!((result, sessions), (Err("connection lost"), 102));
    /// ```
    #[must_use]
    #[track_caller]
    pub const fn reset_after(mut self, healthy: Duration) -> Self {
        if healthy.is_zero() {
            refuse(Some(&Message::new(
                "stamina: `reset_after` is 0, but must be longer (the time that a session must run to count as healthy)",
            )));
        }
        self.parts.config.reset_after = Some(healthy);
        self.parts.config.update_reads_clock();
        self
    }
}

/// # Waits
impl<E> Retry<E> {
    /// Sets the first wait, before jitter. Default 100 ms. See [Waits](Self#waits).
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// use stamina::Retry;
    ///
    /// let policy = Retry::on::<()>().wait_initial(Duration::from_secs(30));
    /// assert_eq!(policy.schedule().next(), Some((Duration::from_secs(30), Duration::from_secs(31))));
    /// ```
    #[must_use]
    pub const fn wait_initial(mut self, wait_initial: Duration) -> Self {
        set!(self, wait_initial = wait_initial)
    }

    /// Sets the longest computed wait, jitter included. Default 5 s, or as long as `wait_initial` needs.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// use stamina::Retry;
    ///
    /// let policy = Retry::on::<()>().wait_max(Duration::from_secs(2)).attempts(1000);
    /// assert!(policy.schedule().all(|(_, longest)| longest <= Duration::from_secs(2)));
    /// ```
    #[must_use]
    pub const fn wait_max(mut self, wait_max: Duration) -> Self {
        set!(self, wait_max = Some(wait_max))
    }

    /// Sets the width of the random part of each wait; zero switches it off. Default 1 s, less for short waits.
    ///
    /// Without jitter all clients that failed together come back together.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// use stamina::Retry;
    ///
    /// let policy = Retry::on::<()>().wait_jitter(Duration::from_millis(30));
    /// let (shortest, longest) = policy.schedule().next().unwrap();
    /// assert_eq!(longest - shortest, Duration::from_millis(30));
    /// ```
    #[must_use]
    pub const fn wait_jitter(mut self, wait_jitter: Duration) -> Self {
        set!(self, wait_jitter = Some(wait_jitter))
    }

    /// Sets the growth of the wait from one retry to the next. Default 2; 1 keeps it the same.
    ///
    /// # Panics
    ///
    /// Unless it is finite and at least 1.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// use stamina::Retry;
    ///
    /// let policy = Retry::on::<()>().wait_exp_base(3.0).wait_jitter(Duration::ZERO).attempts(4);
    /// let waits: Vec<u128> = policy.schedule().map(|(wait, _)| wait.as_millis()).collect();
    /// assert_eq!(waits, [100, 300, 900]);
    /// ```
    #[must_use]
    #[track_caller]
    pub const fn wait_exp_base(mut self, wait_exp_base: f64) -> Self {
        set!(self, wait_exp_base = wait_exp_base)
    }

    /// Makes every wait exactly this long, for polling: short for an initial wait of `wait` that does not grow and has no
    /// jitter, no maximum and no schedule. What is set after it holds again.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// use stamina::Retry;
    ///
    /// let minute = Duration::from_secs(60);
    /// let policy = Retry::on::<()>().fixed(minute);
    /// assert!(policy.schedule().all(|wait| wait == (minute, minute)));
    /// ```
    #[must_use]
    pub const fn fixed(mut self, wait: Duration) -> Self {
        self.parts.config.schedule = None;
        self.parts.config.settings = Settings {
            wait_initial: wait,
            wait_max: None,
            wait_jitter: Some(Duration::ZERO),
            wait_exp_base: 1.0,
            full_jitter: false,
            ..self.parts.config.settings
        };
        self
    }

    /// Makes the whole computed wait random: uniform in `[0, min(wait_max, exponential)]`.
    ///
    /// Spreads a crowd of clients best, at the price that some retries come at once. `wait_jitter` then only sets the
    /// width on top of a hint ([`Decision::RetryAfter`]), and the exponential is what a hint can't shorten. See
    /// "Exponential Backoff And Jitter", AWS Architecture Blog.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// use stamina::Retry;
    ///
    /// let policy = Retry::on::<()>().full_jitter();
    /// assert_eq!(policy.schedule().nth(2), Some((Duration::ZERO, Duration::from_millis(400))));
    /// ```
    #[must_use]
    pub const fn full_jitter(mut self) -> Self {
        set!(self, full_jitter = true)
    }

    /// Sets a schedule of your own instead of the exponential. The argument is the number of the failed attempt.
    ///
    /// Jitter and a `wait_max` that was set apply; the default maximum does not.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// use stamina::Retry;
    ///
    /// fn fibonacci(n: u32) -> Duration {
    ///     let (mut wait, mut next) = (Duration::from_millis(100), Duration::from_millis(100));
    ///     for _ in 1..n.min(100) {
    ///         (wait, next) = (next, wait.saturating_add(next));
    ///     }
    ///     wait
    /// }
    ///
    /// let policy = Retry::on::<()>().waits(fibonacci).wait_jitter(Duration::ZERO).attempts(6);
    /// let waits: Vec<u128> = policy.schedule().map(|(wait, _)| wait.as_millis()).collect();
    /// assert_eq!(waits, [100, 100, 200, 300, 500]);
    /// ```
    #[must_use]
    pub const fn waits(mut self, waits: fn(u32) -> Duration) -> Self {
        self.parts.config.schedule = Some(waits);
        self
    }

    /// Sets all the plain numbers at once.
    ///
    /// # Panics
    ///
    /// If one is out of range, with the words of [`Settings::check`]; and if there is an `attempt_timeout`, but the policy
    /// has none, and so no error for it: call [`attempt_timeout`](Self::attempt_timeout) first.
    ///
    /// # Examples
    ///
    /// ```
    /// use stamina::{Retry, Settings};
    ///
    /// let settings = Settings { attempts: None, full_jitter: true, ..Settings::DEFAULT };
    /// assert_eq!(Retry::on::<()>().with_settings(settings).settings(), settings);
    /// ```
    #[must_use]
    #[track_caller]
    pub const fn with_settings(mut self, settings: Settings) -> Self {
        if settings.attempt_timeout.is_some() && self.parts.attempt_timeout_error.is_none() {
            refuse(Some(&Message::new(
                "stamina: `attempt_timeout` is set in the `Settings`, but this policy has no error for it: \
                 call `attempt_timeout(duration, error)` before `with_settings`",
            )));
        }
        self.parts.config.settings = settings.checked();
        self.parts.config.update_reads_clock();
        self
    }

    /// The plain numbers of this policy.
    ///
    /// # Examples
    ///
    /// ```
    /// use stamina::{Retry, Settings};
    ///
    /// assert_eq!(Retry::on::<()>().settings(), Settings::DEFAULT);
    /// ```
    #[must_use]
    pub const fn settings(&self) -> Settings {
        self.parts.config.settings
    }
}

/// # Budget
impl<E> Retry<E> {
    /// Asks a budget for each retry and credits it with each success. Default: none. See [`Budget`]. A shared budget that
    /// it replaces is not freed.
    ///
    /// # Examples
    ///
    /// ```
    /// use stamina::{Budget, Retry};
    ///
    /// static DATABASE: Budget = Budget::new();
    /// static QUERY: Retry<()> = Retry::on::<()>().budget(&DATABASE);
    ///
    /// assert!(std::ptr::eq(QUERY.get_budget().unwrap(), &DATABASE));
    /// ```
    #[must_use]
    pub const fn budget(mut self, budget: &'static Budget) -> Self {
        // A `const fn` can't drop an `Arc` that was there before, so it is not freed.
        forget(self.parts.config.budget.replace(BudgetRef::Static(budget)));
        self.parts.config.update_reads_clock();
        self
    }

    /// [`budget`](Self::budget) for one that is made at run time.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::sync::Arc;
    /// use stamina::{Budget, Retry};
    ///
    /// let budget = Arc::new(Budget::new());
    /// let read = Retry::on::<()>().shared_budget(budget.clone());
    /// let write = Retry::on::<std::io::Error>().shared_budget(budget);
    /// # let _ = (read, write);
    /// ```
    #[must_use]
    pub fn shared_budget(mut self, budget: Arc<Budget>) -> Self {
        self.parts.config.budget = Some(BudgetRef::Shared(budget));
        self.parts.config.update_reads_clock();
        self
    }

    /// The budget of this policy.
    ///
    /// # Examples
    ///
    /// ```
    /// assert!(stamina::Retry::on::<()>().get_budget().is_none());
    /// ```
    #[must_use]
    pub fn get_budget(&self) -> Option<&Budget> {
        self.parts.config.budget.as_deref()
    }
}

/// # Telemetry
impl<E> Retry<E> {
    /// Names the calls of this policy in telemetry (`callable`). Default: the path of the operation, or `file:line` of a
    /// code block; a function pointer and a boxed closure have no path, and show their type.
    ///
    /// # Examples
    ///
    /// ```
    /// use stamina::Retry;
    ///
    /// static FETCH: Retry<()> = Retry::on::<()>().named("fetch");
    /// assert_eq!(FETCH.name(), Some("fetch"));
    /// ```
    #[must_use]
    pub const fn named(mut self, name: &'static str) -> Self {
        self.parts.config.name = Some(name);
        self
    }

    /// The name that was set.
    ///
    /// # Examples
    ///
    /// ```
    /// assert_eq!(stamina::Retry::on::<()>().name(), None);
    /// ```
    #[must_use]
    pub const fn name(&self) -> Option<&'static str> {
        self.parts.config.name
    }

    /// Sets how telemetry shows the error. Default: `Debug`, which may hold more than a log should, such as the headers of
    /// a response. Only the first line is shown, and at most 1,024 bytes of it.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::fmt::Display;
    /// use std::io;
    /// use stamina::Retry;
    ///
    /// static FETCH: Retry<io::Error> = Retry::on::<io::Error>().describe(Display::fmt);
    /// # let _ = &FETCH;
    /// ```
    #[must_use]
    pub const fn describe(
        mut self,
        describe: fn(&E, &mut fmt::Formatter<'_>) -> fmt::Result,
    ) -> Self {
        self.parts.describe = Some(describe);
        self
    }

    /// Reports this policy's calls to its own hook only ([`on_retry`](Self::on_retry)): no logs, no metrics, no other
    /// hooks. For polling and reconnecting, where a retry is no news, and for libraries.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// use stamina::Retry;
    ///
    /// static POLL: Retry<&str> = Retry::on::<&str>().fixed(Duration::from_secs(1)).quiet();
    /// # let _ = &POLL;
    /// ```
    #[must_use]
    pub const fn quiet(mut self) -> Self {
        self.parts.config.quiet = true;
        self
    }

    /// Sets this policy's own hook: it receives each retry before the wait, with the typed error, beside the process-wide
    /// hooks.
    ///
    /// A panic in it is contained, so assert on what it saw, not in it.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::sync::atomic::{AtomicU32, Ordering};
    /// use stamina::Retry;
    ///
    /// static RETRIES: AtomicU32 = AtomicU32::new(0);
    ///
    /// # let _testing = stamina::testing::scoped(stamina::testing::Testing::attempts(3));
    /// let _ = Retry::on::<&str>()
    ///     .attempts(3)
    ///     .on_retry(|error, details| {
    ///         assert_eq!(*error, "down");
    ///         RETRIES.fetch_add(details.retry_num, Ordering::Relaxed);
    ///     })
    ///     .call(|| Err::<(), _>("down"));
    ///
    /// assert_eq!(RETRIES.load(Ordering::Relaxed), 1 + 2);
    /// ```
    #[must_use]
    pub fn on_retry(
        mut self,
        hook: impl Fn(&E, &RetryDetails<'_>) + Send + Sync + 'static,
    ) -> Self {
        self.parts.on_retry = Some(Arc::new(hook));
        self
    }
}

/// # Time, jitter, nesting
impl<E> Retry<E> {
    /// Sets the source of time. Default [`Timer::futures_timer`], which works on every executor.
    ///
    /// # Examples
    ///
    /// ```
    /// use stamina::testing::VirtualClock;
    /// use stamina::{Retry, Timer};
    ///
    /// static CLOCK: VirtualClock = VirtualClock::new();
    /// static POLICY: Retry<()> = Retry::on::<()>().timer(Timer::custom(&CLOCK));
    /// # let _ = &POLICY;
    /// ```
    #[must_use]
    pub const fn timer(mut self, timer: Timer) -> Self {
        self.parts.config.timer = timer;
        self
    }

    /// Makes the jitter reproducible: every call of this policy draws the same sequence.
    ///
    /// For tests. Clients that share a seed go in step, which is what jitter is there to prevent; a simulation seeds
    /// each call with [`Attempts::seeded`](crate::Attempts::seeded) instead.
    ///
    /// # Examples
    ///
    /// ```
    /// use stamina::{Retry, Timer};
    /// use stamina::testing::VirtualClock;
    ///
    /// static CLOCK: VirtualClock = VirtualClock::new();
    /// let policy = Retry::on::<&str>().attempts(3).seed(7).timer(Timer::custom(&CLOCK));
    ///
    /// let _ = policy.call(|| Err::<(), _>("down"));
    /// let _ = policy.call(|| Err::<(), _>("down"));
    ///
    /// let waits = CLOCK.waits();
    /// assert_eq!(waits[..2], waits[2..]);
    /// ```
    #[must_use]
    pub const fn seed(mut self, seed: u64) -> Self {
        self.parts.config.seed = Some(seed);
        self
    }

    /// Leaves the retries to an outer retried call: inside of one, a call of this policy makes a single attempt and stops
    /// with [`StopReason::Nested`](crate::StopReason::Nested).
    ///
    /// Nested retries multiply: three attempts around three attempts are nine calls. Inside means: made while the
    /// operation of another `call`, `call_async` and the like runs on this thread or in this task. A future belongs to
    /// where it was made. A separate task that is first polled while an operation blocks on the task's runtime counts
    /// as inside, unless its future was made before. A code block is outer only in what runs through
    /// [`Attempts::attempt`](crate::Attempts::attempt), and tower only as `.layer(policy.tower())`. A nested call reports
    /// nothing and neither asks nor credits a budget, as the outer call does.
    ///
    /// # Examples
    ///
    /// ```
    /// use stamina::Retry;
    ///
    /// static INNER: Retry<&str> = Retry::on::<&str>().attempts(3).outermost_only();
    /// # let _testing = stamina::testing::scoped(stamina::testing::Testing::attempts(3));
    ///
    /// let mut calls = 0;
    /// let _ = Retry::on().attempts(3).call(|| INNER.call(|| {
    ///     calls += 1;
    ///     Err::<(), _>("down")
    /// }));
    /// assert_eq!(calls, 3);
    /// ```
    #[must_use]
    pub const fn outermost_only(mut self) -> Self {
        self.parts.config.outermost_only = true;
        self
    }
}

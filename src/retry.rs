//! The policy.

use std::borrow::Cow;
use std::fmt;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::backoff::{Backoff, Schedule};
use crate::budget::{Budget, BudgetRef};
use crate::decision::Decision;
use crate::instrument::{Names, OnRetry, RetryDetails};
use crate::settings::Settings;
use crate::timer::Timer;

/// A retry policy for operations that fail with an `E`: what to retry, how often, for how long, after which waits.
///
/// A policy is a plain value: make it once, keep it in a `static`, a field or a variable, and use it for any number of
/// calls at once; nothing of a call is stored in it.
///
/// | setting | default |
/// |---|---|
/// | [`attempts`](Self::attempts) | 10 |
/// | [`timeout`](Self::timeout) | 45 s |
/// | [`wait_initial`](Self::wait_initial) | 100 ms |
/// | [`wait_max`](Self::wait_max) | 5 s |
/// | [`wait_jitter`](Self::wait_jitter) | 1 s |
/// | [`wait_exp_base`](Self::wait_exp_base) | 2 |
/// | [`when`](Self::when) | retry every `E` |
/// | [`budget`](Self::budget) | none |
///
/// With *n* the number of the failed attempt and `J = min(wait_jitter, wait_max)` the wait is
///
/// ```text
/// min(wait_initial * wait_exp_base^(n-1), wait_max - J) + uniform(0, J)
/// ```
///
/// so `wait_max` is a true maximum and the jitter never vanishes at it. By default:
///
/// | retry | 1 | 2 | 3 | 4 | 5 | 6 | 7 and later |
/// |---|---|---|---|---|---|---|---|
/// | wait, s | 0.1 - 1.1 | 0.2 - 1.2 | 0.4 - 1.4 | 0.8 - 1.8 | 1.6 - 2.6 | 3.2 - 4.2 | 4 - 5 |
///
/// # Deadline
///
/// Time counts from the start of the call, attempts and waits together. After a failed attempt a retry is made only if
/// it can begin before the timeout; otherwise the call ends at once with that error. It never sleeps past its deadline
/// nor for nothing. A success is returned however late it is, and an attempt under way is not cut, unless
/// [`attempt_timeout`](crate::RetryFuture::attempt_timeout) says so.
///
/// # Examples
///
/// ```
/// use std::io;
/// use std::time::Duration;
/// use stamina::Retry;
///
/// static FETCH: Retry<io::Error> = Retry::on::<io::Error>().attempts(5).timeout(Duration::from_secs(10));
///
/// let mut failures = 2;
/// # let _testing = stamina::testing::scoped(stamina::testing::Testing::attempts(5));
/// let page = FETCH.call(|| {
///     if failures > 0 {
///         failures -= 1;
///         return Err(io::Error::other("hiccup"));
///     }
///     Ok("page")
/// });
///
/// assert_eq!(page.unwrap(), "page");
/// ```
pub struct Retry<E> {
    /// Everything that does not depend on `E`.
    pub(crate) plan: Plan,
    /// Beats `predicate`: a `const` setter can't drop what it replaces.
    predicate_fn: Option<fn(&E) -> Decision>,
    predicate: Option<Arc<Predicate<E>>>,
}

type Predicate<E> = dyn Fn(&E) -> Decision + Send + Sync;

/// The part of a policy that the judge needs, the same for every error type.
#[derive(Clone)]
pub(crate) struct Plan {
    pub(crate) settings: Settings,
    /// Follows from the settings and the waits.
    pub(crate) backoff: Backoff,
    waits: Option<fn(u32) -> Duration>,
    /// Beats `shared_budget`, for the same reason as above.
    budget: Option<&'static Budget>,
    shared_budget: Option<Arc<Budget>>,
    name: Option<&'static str>,
    pub(crate) timer: Timer,
    on_retry: Option<Arc<OnRetry>>,
    pub(crate) seed: Option<u64>,
    pub(crate) outermost_only: bool,
    /// What follows from the rest, so that a call need not look at all of it.
    traits: Traits,
}

#[derive(Clone, Copy)]
struct Traits {
    /// Nothing but what most policies have: limits, waits that grow by shifts, a predicate, a budget.
    plain: bool,
    /// A budget, of whichever kind.
    budget: bool,
    /// A use for the time.
    clock: bool,
}

impl Plan {
    /// Takes other settings, if they are in range; the only way to change them.
    #[track_caller]
    const fn set(&mut self, settings: Settings) {
        self.settings = settings.checked();
        self.backoff = Backoff::new(&self.settings, self.waits);
        self.settle();
    }

    /// To be called after each change.
    const fn settle(&mut self) {
        let budget = self.budget.is_some() || self.shared_budget.is_some();
        let extras = self.seed.is_some() || self.on_retry.is_some() || self.outermost_only;
        self.traits = Traits {
            plain: self.backoff.shifts() && !extras,
            budget,
            clock: budget || self.settings.timeout.is_some(),
        };
    }

    #[inline]
    pub(crate) fn is_plain(&self) -> bool {
        self.traits.plain
    }

    #[inline]
    pub(crate) fn has_budget(&self) -> bool {
        self.traits.budget
    }

    pub(crate) fn budget(&self) -> Option<&Budget> {
        self.budget.or(self.shared_budget.as_deref())
    }

    /// Credits the budget with a success at the first try.
    #[inline(never)]
    pub(crate) fn credit(&self, started: Option<Instant>) {
        if let (Some(budget), Some(started)) = (self.budget(), started) {
            budget.credit(started, false);
        }
    }

    /// The budget, to be kept for longer than this borrow.
    pub(crate) fn budget_handle(&self) -> Option<BudgetRef> {
        match (self.budget, &self.shared_budget) {
            (Some(budget), _) => Some(BudgetRef::Static(budget)),
            (None, Some(budget)) => Some(BudgetRef::Shared(Arc::clone(budget))),
            (None, None) => None,
        }
    }

    /// When an attempt begins, if the budget needs to know how long it takes.
    pub(crate) fn attempt_begins(&self) -> Option<Instant> {
        let limit = self.budget()?.earned_after_limit();
        limit.map(|_| self.timer.now())
    }

    /// Whether a call has any use for the time.
    #[inline]
    pub(crate) fn needs_clock(&self) -> bool {
        self.traits.clock
    }

    /// What telemetry calls a call under this policy.
    pub(crate) fn callable(&self, otherwise: Names) -> Cow<'static, str> {
        self.name
            .map_or_else(|| otherwise.callable(), Cow::Borrowed)
    }

    pub(crate) fn on_retry(&self) -> Option<&OnRetry> {
        self.on_retry.as_deref()
    }

    /// For a simulation: without the policy's own hook.
    #[cfg(feature = "fleet")]
    pub(crate) fn mute(&mut self) {
        self.on_retry = None;
        self.settle();
    }
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
    pub const fn on<E: fmt::Debug>() -> Retry<E> {
        Retry {
            plan: Plan {
                settings: Settings::DEFAULT,
                backoff: Backoff::new(&Settings::DEFAULT, None),
                waits: None,
                budget: None,
                shared_budget: None,
                name: None,
                timer: Timer::futures_timer(),
                on_retry: None,
                seed: None,
                outermost_only: false,
                traits: Traits {
                    plain: true,
                    budget: false,
                    clock: Settings::DEFAULT.timeout.is_some(),
                },
            },
            predicate_fn: None,
            predicate: None,
        }
    }
}

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
        self.plan.set(Settings {
            attempts: Some(attempts),
            ..self.plan.settings
        });
        self
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
        self.plan.set(Settings {
            attempts: None,
            ..self.plan.settings
        });
        self
    }

    /// Sets the deadline of the whole call, from its start, waits and attempts together. Default 45 s.
    ///
    /// A retry happens only if it can begin before the deadline; zero allows none.
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
        self.plan.set(Settings {
            timeout: Some(timeout),
            ..self.plan.settings
        });
        self
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
        self.plan.set(Settings {
            timeout: None,
            ..self.plan.settings
        });
        self
    }

    /// Sets the first wait, before jitter. Default 100 ms.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// use stamina::Retry;
    ///
    /// let policy = Retry::on::<()>().wait_initial(Duration::from_secs(2)).wait_jitter(Duration::ZERO);
    /// assert_eq!(policy.schedule().next(), Some((Duration::from_secs(2), Duration::from_secs(2))));
    /// ```
    #[must_use]
    pub const fn wait_initial(mut self, wait_initial: Duration) -> Self {
        self.plan.set(Settings {
            wait_initial,
            ..self.plan.settings
        });
        self
    }

    /// Sets the longest computed wait, jitter included. Default 5 s.
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
        self.plan.set(Settings {
            wait_max,
            ..self.plan.settings
        });
        self
    }

    /// Sets the width of the random part of each wait; zero switches it off. Default 1 s.
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
        self.plan.set(Settings {
            wait_jitter,
            ..self.plan.settings
        });
        self
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
        self.plan.set(Settings {
            wait_exp_base,
            ..self.plan.settings
        });
        self
    }

    /// Makes the whole computed wait random: uniform in `[0, min(wait_max, exponential)]`.
    ///
    /// Spreads a crowd of clients best, at the price that some retries come at once. `wait_jitter` then only sets the
    /// width on top of a hint ([`Decision::RetryAfter`]). See "Exponential Backoff And Jitter", AWS Architecture Blog.
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
        self.plan.set(Settings {
            full_jitter: true,
            ..self.plan.settings
        });
        self
    }

    /// Sets a schedule of your own instead of the exponential. The argument is the number of the failed attempt.
    ///
    /// `wait_max` and the jitter still apply.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// use stamina::Retry;
    ///
    /// let linear = Retry::on::<()>()
    ///     .waits(|n| Duration::from_millis(100).saturating_mul(n))
    ///     .wait_jitter(Duration::ZERO)
    ///     .attempts(4);
    /// let waits: Vec<u128> = linear.schedule().map(|(wait, _)| wait.as_millis()).collect();
    /// assert_eq!(waits, [100, 200, 300]);
    /// ```
    #[must_use]
    pub const fn waits(mut self, waits: fn(u32) -> Duration) -> Self {
        self.plan.waits = Some(waits);
        self.plan.set(self.plan.settings);
        self
    }

    /// Sets all the plain numbers at once.
    ///
    /// # Panics
    ///
    /// If one is out of range, as in its own setter.
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
        self.plan.set(settings);
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
        self.plan.settings
    }

    /// Sets which errors to retry, and how: the predicate may return a `bool`, a [`Duration`] or a [`Decision`].
    ///
    /// It is asked once for every failed attempt, the last included. The last predicate that was set counts.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::io;
    /// use stamina::{Retry, StopReason, when};
    ///
    /// let policy = Retry::on::<io::Error>().when(when::transient_io);
    ///
    /// let report = policy.report(|| Err::<(), _>(io::ErrorKind::PermissionDenied.into()));
    /// assert_eq!((report.attempts, report.stop_reason), (1, Some(StopReason::NotRetryable)));
    /// ```
    #[must_use]
    pub fn when<V: Into<Decision>>(
        mut self,
        predicate: impl Fn(&E) -> V + Send + Sync + 'static,
    ) -> Self {
        self.predicate_fn = None;
        self.predicate = Some(Arc::new(move |error: &E| predicate(error).into()));
        self
    }

    /// [`when`](Self::when) for a `static`: a plain function.
    ///
    /// # Examples
    ///
    /// ```
    /// use stamina::{Decision, Retry};
    ///
    /// #[derive(Debug)]
    /// enum Error {
    ///     Busy,
    ///     NotFound,
    /// }
    ///
    /// fn retryable(error: &Error) -> Decision {
    ///     matches!(error, Error::Busy).into()
    /// }
    ///
    /// static POLICY: Retry<Error> = Retry::on::<Error>().when_fn(retryable);
    ///
    /// assert_eq!(POLICY.report(|| Err::<(), _>(Error::NotFound)).attempts, 1);
    /// # let _ = Error::Busy;
    /// ```
    #[must_use]
    pub const fn when_fn(mut self, predicate: fn(&E) -> Decision) -> Self {
        self.predicate_fn = Some(predicate);
        self
    }

    /// Asks a budget for each retry and feeds it with each success. See [`Budget`].
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
        self.plan.budget = Some(budget);
        self.plan.settle();
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
        self.plan.budget = None;
        self.plan.shared_budget = Some(budget);
        self.plan.settle();
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
        self.plan.budget()
    }

    /// Names the calls of this policy in telemetry (`callable`). Default: the path of the operation; a function pointer
    /// and a boxed closure have none, and show their type.
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
        self.plan.name = Some(name);
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
        self.plan.name
    }

    /// Sets where the time comes from. Default [`Timer::futures_timer`], which works on every executor.
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
        self.plan.timer = timer;
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
        self.plan.seed = Some(seed);
        self.plan.settle();
        self
    }

    /// Sets this policy's own hook: it is told of each retry, before the wait, beside the process-wide hooks.
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
    ///     .on_retry(|details| { RETRIES.fetch_add(details.retry_num, Ordering::Relaxed); })
    ///     .call(|| Err::<(), _>("down"));
    ///
    /// assert_eq!(RETRIES.load(Ordering::Relaxed), 1 + 2);
    /// ```
    #[must_use]
    pub fn on_retry(mut self, hook: impl Fn(&RetryDetails<'_>) + Send + Sync + 'static) -> Self {
        self.plan.on_retry = Some(Arc::new(hook));
        self.plan.settle();
        self
    }

    /// Makes calls of this policy single attempts inside another retried operation.
    ///
    /// Nested retries multiply: three attempts around three attempts are nine calls. With this an inner policy retries
    /// only where no outer one does. Inside means: on the thread or in the task that is running an operation of
    /// another `call`, `call_async` and the like; code blocks and tower's layer don't count as outer.
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
        self.plan.outermost_only = true;
        self.plan.settle();
        self
    }

    /// The waits to expect: for each possible retry the shortest and the longest. Its `Display` is a table.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// use stamina::Retry;
    ///
    /// let policy = Retry::on::<()>();
    /// assert_eq!(policy.schedule().count(), 9);
    /// assert_eq!(policy.schedule().last(), Some((Duration::from_secs(4), Duration::from_secs(5))));
    /// println!("{}", policy.schedule());
    /// ```
    pub fn schedule(&self) -> Schedule {
        Schedule::new(self.plan.settings, self.plan.backoff)
    }

    /// Whether there is any predicate.
    #[inline]
    pub(crate) fn has_predicate(&self) -> bool {
        // Not `||`: both looks together are one branch.
        self.predicate_fn.is_some() | self.predicate.is_some()
    }

    /// What the predicate says; without one, every failure is retried.
    #[inline(never)]
    pub(crate) fn ask(&self, error: &E) -> Decision {
        match (self.predicate_fn, &self.predicate) {
            (Some(predicate), _) => predicate(error),
            (None, Some(predicate)) => predicate(error),
            (None, None) => Decision::Retry,
        }
    }
}

impl<E> Clone for Retry<E> {
    fn clone(&self) -> Self {
        Self {
            plan: self.plan.clone(),
            predicate_fn: self.predicate_fn,
            predicate: self.predicate.clone(),
        }
    }
}

// Nothing of a call is stored in a policy, so a panic can leave none half changed, whatever its closures are.
impl<E> UnwindSafe for Retry<E> {}
impl<E> RefUnwindSafe for Retry<E> {}

impl<E> fmt::Debug for Retry<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plan = &self.plan;
        f.debug_struct("Retry")
            .field("name", &plan.name)
            .field("settings", &plan.settings)
            .field("own_waits", &plan.waits.is_some())
            .field("predicate", &self.has_predicate())
            .field("budget", &self.get_budget())
            .field("timer", &plan.timer)
            .field("on_retry", &plan.on_retry.is_some())
            .field("seed", &plan.seed)
            .field("outermost_only", &plan.outermost_only)
            .finish_non_exhaustive()
    }
}

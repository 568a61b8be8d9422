//! The policy: what to retry, how often, for how long, and after which waits.

mod decision;
mod setters;
mod settings;

use std::fmt;
use std::ops::Deref;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::sync::Arc;
use std::time::Duration;

pub use self::decision::{Decision, StopReason};
pub(crate) use self::setters::refuse_zero_attempt_timeout;
pub use self::settings::{InvalidSettings, Settings};

use crate::budget::BudgetRef;
use crate::telemetry::RetryDetails;
use crate::time::Timer;

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
/// | [`wait_max`](Self::wait_max) | 5 s, or as long as `wait_initial` needs |
/// | [`wait_jitter`](Self::wait_jitter) | 1 s, less for short waits |
/// | [`wait_exp_base`](Self::wait_exp_base) | 2 |
/// | [`when`](Self::when) | retry every `E` |
/// | [`budget`](Self::budget) | none |
///
/// # Waits
///
/// With *n* the number of the failed attempt and `e(n) = wait_initial * wait_exp_base^(n-1)` the wait is
///
/// ```text
/// min(e(n), M - J(n)) + uniform(0, J(n))
/// ```
///
/// The maximum `M` is `wait_max` if it was set. Otherwise it is the larger of 5 s and `wait_initial + J(1)`, and there is
/// none for a schedule of your own ([`waits`](Self::waits)). The jitter `J(n)` is `wait_jitter` if it was set, but at most
/// `M`. Otherwise it is the smallest of 1 s, `10 * e(n)` and `M / 2`. So `wait_max` is a true maximum, the jitter never
/// vanishes at it, and a default never cuts what you set. By default:
///
/// | retry | 1 | 2 | 3 | 4 | 5 | 6 | 7 and later |
/// |---|---|---|---|---|---|---|---|
/// | wait, s | 0.1 - 1.1 | 0.2 - 1.2 | 0.4 - 1.4 | 0.8 - 1.8 | 1.6 - 2.6 | 3.2 - 4.2 | 4 - 5 |
///
/// Waits are computed in whole nanoseconds and end at 584 years.
///
/// # Deadline
///
/// Time counts from the start of the call, attempts and waits together. After a failed attempt the call retries only if
/// the next attempt can begin before the timeout; otherwise it ends at once with that error. It never sleeps past its
/// deadline, nor for nothing: the jitter is drawn from the time that is left. A success is returned however late it is.
/// An attempt under way is not cut unless [`attempt_timeout`](Self::attempt_timeout) is set, so a call can outlast its
/// timeout by one attempt.
///
/// # Examples
///
/// ```
/// use std::io;
/// use std::time::Duration;
/// use stamina::{Retry, when};
///
/// static FETCH: Retry<io::Error> = Retry::on::<io::Error>()
///     .when_fn(when::transient_io)
///     .attempts(5)
///     .timeout(Duration::from_secs(10));
///
/// let mut failures = 2;
/// # let _testing = stamina::testing::scoped(stamina::testing::Testing::attempts(5));
/// let page = FETCH.call(|| {
///     if failures > 0 {
///         failures -= 1;
///         return Err(io::ErrorKind::ConnectionReset.into());
///     }
///     Ok("page")
/// });
///
/// assert_eq!(page.unwrap(), "page");
/// ```
pub struct Retry<E> {
    parts: Parts<E>,
}

/// The parts of a policy. A type of its own for one method: `tower()` of every policy stands on it, so that `Retry` can
/// have another for `tower::BoxError` ([`Retry::tower`]).
#[doc(hidden)]
pub struct Parts<E> {
    pub(crate) config: Config,
    predicate: Predicate<E>,
    describe: Option<Describe<E>>,
    on_retry: Option<Arc<OnRetry<E>>>,
    attempt_timeout_error: Option<fn() -> E>,
}

impl<E> Deref for Retry<E> {
    type Target = Parts<E>;

    #[inline]
    fn deref(&self) -> &Parts<E> {
        &self.parts
    }
}

/// The part of a policy that does not mention the error type.
#[derive(Clone)]
pub(crate) struct Config {
    pub(crate) settings: Settings,
    /// The user's own waits instead of the exponential.
    pub(crate) schedule: Option<fn(u32) -> Duration>,
    pub(crate) reset_after: Option<Duration>,
    pub(crate) budget: Option<BudgetRef>,
    pub(crate) name: Option<&'static str>,
    pub(crate) timer: Timer,
    pub(crate) seed: Option<u64>,
    /// Only the policy's own hook hears of its calls.
    pub(crate) quiet: bool,
    pub(crate) outermost_only: bool,
    /// Whether a call needs to know the time. It follows from the settings, but the gates of a first-try success have
    /// room for one test, not for three.
    pub(crate) reads_clock: bool,
}

enum Predicate<E> {
    Always,
    Bool(fn(&E) -> bool),
    Decision(fn(&E) -> Decision),
    Closure(Arc<dyn Fn(&E) -> Decision + Send + Sync>),
}

/// Why an attempt that is cut always has an error to fail with.
pub(crate) const NO_ATTEMPT_TIMEOUT_ERROR: &str =
    "`with_settings` refuses an attempt timeout without an error";

type Describe<E> = fn(&E, &mut fmt::Formatter<'_>) -> fmt::Result;

type OnRetry<E> = dyn Fn(&E, &RetryDetails<'_>) + Send + Sync;

impl Config {
    const DEFAULT: Self = Self {
        settings: Settings::DEFAULT,
        schedule: None,
        reset_after: None,
        budget: None,
        name: None,
        timer: Timer::futures_timer(),
        seed: None,
        quiet: false,
        outermost_only: false,
        reads_clock: Settings::DEFAULT.timeout.is_some(),
    };

    /// Brings `reads_clock` up to date after a change.
    const fn update_reads_clock(&mut self) {
        self.reads_clock =
            self.settings.timeout.is_some() || self.budget.is_some() || self.reset_after.is_some();
    }

    /// Whether a call needs to know how long each attempt takes.
    #[inline]
    pub(crate) fn times_attempts(&self) -> bool {
        let earned = |budget: &BudgetRef| budget.earned_after_limit().is_some();
        self.reset_after.is_some() || self.budget.as_ref().is_some_and(earned)
    }
}

impl<E> Parts<E> {
    /// Whether there is a predicate; without one, every `E` is retried.
    #[inline]
    pub(crate) fn has_predicate(&self) -> bool {
        !matches!(self.predicate, Predicate::Always)
    }

    /// Asks the predicate about a failed attempt.
    pub(crate) fn decide(&self, error: &E) -> Decision {
        match &self.predicate {
            Predicate::Always => Decision::Retry,
            Predicate::Bool(predicate) => predicate(error).into(),
            Predicate::Decision(predicate) => predicate(error),
            Predicate::Closure(predicate) => predicate(error),
        }
    }

    pub(crate) fn describe_fn(&self) -> Option<Describe<E>> {
        self.describe
    }

    pub(crate) fn own_hook(&self) -> Option<&OnRetry<E>> {
        self.on_retry.as_deref()
    }

    /// What an attempt that is cut fails with.
    pub(crate) fn attempt_timeout_fn(&self) -> Option<fn() -> E> {
        self.attempt_timeout_error
    }
}

impl<E> Clone for Retry<E> {
    fn clone(&self) -> Self {
        Self {
            parts: self.parts.clone(),
        }
    }
}

impl<E> From<Parts<E>> for Retry<E> {
    fn from(parts: Parts<E>) -> Self {
        Self { parts }
    }
}

impl<E> Clone for Parts<E> {
    fn clone(&self) -> Self {
        Self {
            config: self.config.clone(),
            predicate: self.predicate.clone(),
            describe: self.describe,
            on_retry: self.on_retry.clone(),
            attempt_timeout_error: self.attempt_timeout_error,
        }
    }
}

impl<E> Clone for Predicate<E> {
    fn clone(&self) -> Self {
        match self {
            Self::Always => Self::Always,
            Self::Bool(predicate) => Self::Bool(*predicate),
            Self::Decision(predicate) => Self::Decision(*predicate),
            Self::Closure(predicate) => Self::Closure(Arc::clone(predicate)),
        }
    }
}

// Nothing of a call is stored in a policy, so a panic can leave none half changed, whatever its closures are.
impl<E> UnwindSafe for Retry<E> {}
impl<E> RefUnwindSafe for Retry<E> {}

impl<E> fmt::Debug for Parts<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Parts").finish_non_exhaustive()
    }
}

impl<E> fmt::Debug for Retry<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let config = &self.config;
        f.debug_struct("Retry")
            .field("name", &config.name)
            .field("settings", &config.settings)
            .field("own_waits", &config.schedule.is_some())
            .field("reset_after", &config.reset_after)
            .field("predicate", &self.has_predicate())
            .field("budget", &self.get_budget())
            .field("timer", &config.timer)
            .field("on_retry", &self.on_retry.is_some())
            .field("seed", &config.seed)
            .field("quiet", &config.quiet)
            .field("outermost_only", &config.outermost_only)
            .finish_non_exhaustive()
    }
}

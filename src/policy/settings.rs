//! The plain numbers of a policy, as one value.

/// x
#[derive(Debug)]
pub struct InvalidSettings;

use std::time::Duration;

use crate::message::{Message, refuse};

/// The plain numbers of a policy: what a configuration file can set.
///
/// [`Retry::with_settings`](crate::Retry::with_settings) takes them, [`Retry::settings`](crate::Retry::settings) reads
/// them back. With the feature `serde` they can be read from a file: every key is optional, an unknown key is an error,
/// durations are `"1.5s"`, `"100ms"` or a number of seconds, and `"unlimited"` stands for no limit; the details are
/// below, at the implementation of `Deserialize`.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use stamina::{Retry, Settings};
///
/// let settings = Settings { attempts: Some(3), ..Settings::DEFAULT };
/// let policy = Retry::on::<std::io::Error>().with_settings(settings);
///
/// assert_eq!(policy.settings().attempts, Some(3));
/// assert_eq!(policy.settings().timeout, Some(Duration::from_secs(45)));
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Settings {
    /// Most attempts, the first included; `None` for no limit. Default 10; at least 1.
    pub attempts: Option<u32>,
    /// The whole call's deadline; `None` for none. Default 45 s. Zero allows a single attempt.
    pub timeout: Option<Duration>,
    /// The first wait, before jitter. Default 100 ms.
    pub wait_initial: Duration,
    /// x
    pub wait_max: Option<Duration>,
    /// x
    pub wait_jitter: Option<Duration>,
    /// x
    pub attempt_timeout: Option<Duration>,
    /// Growth of the wait from one retry to the next. Default 2; finite and at least 1.
    pub wait_exp_base: f64,
    /// Whether the whole computed wait is random, from zero to the exponential. Default `false`.
    pub full_jitter: bool,
}

impl Settings {
    /// The defaults of [`Retry::on`](crate::Retry::on).
    ///
    /// # Examples
    ///
    /// ```
    /// assert_eq!(stamina::Settings::DEFAULT.attempts, Some(10));
    /// ```
    pub const DEFAULT: Self = Self {
        attempts: Some(10),
        timeout: Some(Duration::from_secs(45)),
        wait_initial: Duration::from_millis(100),
        wait_max: None, wait_jitter: None, attempt_timeout: None,
        wait_exp_base: 2.0,
        full_jitter: false,
    };

    /// What is wrong with these numbers, if anything: the one place that knows the ranges.
    pub(crate) const fn fault(&self) -> Option<Message> {
        if let Some(0) = self.attempts {
            return Some(Message::new(
                "stamina: `attempts` is 0, but must be at least 1 (the first attempt counts); \
                 for no limit use `unlimited_attempts()` (in `Settings` `None`, in a file \"unlimited\")",
            ));
        }
        if !(self.wait_exp_base >= 1.0 && self.wait_exp_base.is_finite()) {
            return Some(
                Message::new("stamina: `wait_exp_base` is ")
                    .number(self.wait_exp_base)
                    .text(", but must be finite and at least 1 (1 keeps the wait the same, 2 doubles it each time)"),
            );
        }
        None
    }

    /// These numbers, if they are in range.
    #[track_caller]
    pub(crate) const fn checked(self) -> Self {
        refuse(self.fault().as_ref());
        self
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self::DEFAULT
    }
}

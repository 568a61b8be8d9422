//! The plain numbers of a policy, as one value.

#[cfg(feature = "serde")]
mod duration;
#[cfg(feature = "serde")]
mod serde;

use std::error::Error;
use std::fmt;
use std::time::Duration;

use crate::message::{Message, refuse};

/// The plain numbers of a policy: what a configuration file can set.
///
/// [`Retry::with_settings`](crate::Retry::with_settings) takes them, [`Retry::settings`](crate::Retry::settings) reads
/// them back. [`check`](Self::check) says whether they are legal, for numbers that are not known before the program
/// runs.
///
/// With the feature `serde` they can be read from a file. Every key is optional, an unknown key is an error, and
/// durations are `"1.5s"`, `"100ms"` or a number of seconds. The implementation of `Deserialize` below has the details.
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
    /// Most attempts, the first included; at least 1. `None` for no limit. Default 10.
    pub attempts: Option<u32>,
    /// The whole call's deadline. `None` for none. Default 45 s. Zero allows a single attempt.
    pub timeout: Option<Duration>,
    /// The longest that one async attempt may run; longer than zero. `None` (default) for no limit.
    pub attempt_timeout: Option<Duration>,
    /// The first wait, before jitter. Default 100 ms.
    pub wait_initial: Duration,
    /// No computed wait is longer than this, jitter included. `None` (default) fits the other settings: 5 s, or as
    /// long as `wait_initial` needs.
    pub wait_max: Option<Duration>,
    /// Width of the random part of each wait. Zero switches it off. `None` (default) fits the other settings: 1 s, and
    /// less for short waits.
    pub wait_jitter: Option<Duration>,
    /// Growth of the wait from one retry to the next; finite and at least 1. Default 2.
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
        attempt_timeout: None,
        wait_initial: Duration::from_millis(100),
        wait_max: None,
        wait_jitter: None,
        wait_exp_base: 2.0,
        full_jitter: false,
    };

    /// Checks that each number is in its range.
    ///
    /// # Errors
    ///
    /// If `attempts` is 0, `attempt_timeout` is zero, or `wait_exp_base` is not finite or less than 1. The error names
    /// the first of these settings, its value and its range.
    ///
    /// # Examples
    ///
    /// ```
    /// use stamina::Settings;
    ///
    /// assert_eq!(Settings::DEFAULT.check(), Ok(()));
    ///
    /// let error = Settings { wait_exp_base: 0.5, ..Settings::DEFAULT }.check().unwrap_err();
    /// assert!(error.to_string().starts_with("stamina: `wait_exp_base` is 0.5, but must be finite and at least 1"));
    /// ```
    pub const fn check(&self) -> Result<(), InvalidSettings> {
        if let Some(0) = self.attempts {
            return Err(InvalidSettings(Fault::NoAttempts));
        }
        if let Some(Duration::ZERO) = self.attempt_timeout {
            return Err(InvalidSettings(Fault::NoAttemptTimeout));
        }
        if !(self.wait_exp_base >= 1.0 && self.wait_exp_base.is_finite()) {
            let bits = self.wait_exp_base.to_bits();
            return Err(InvalidSettings(Fault::WaitExpBase { bits }));
        }
        Ok(())
    }

    /// Returns these numbers if they are in range, else panics with what is wrong.
    #[track_caller]
    pub(crate) const fn checked(self) -> Self {
        if let Err(error) = self.check() {
            refuse(Some(&error.message()));
        }
        self
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// A setting is out of its range: the error of [`Settings::check`].
///
/// Its `Display` names the setting, its value and what it must be.
///
/// # Examples
///
/// ```
/// use stamina::Settings;
///
/// let error = Settings { attempts: Some(0), ..Settings::DEFAULT }.check().unwrap_err();
/// assert!(error.to_string().starts_with("stamina: `attempts` is 0, but must be at least 1"));
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct InvalidSettings(Fault);

#[derive(Clone, Copy, PartialEq, Eq)]
enum Fault {
    NoAttempts,
    NoAttemptTimeout,
    /// The bits of the number, so that an error with a NaN equals itself.
    WaitExpBase {
        bits: u64,
    },
}

impl InvalidSettings {
    const fn message(&self) -> Message {
        match self.0 {
            Fault::NoAttempts => Message::new(
                "stamina: `attempts` is 0, but must be at least 1 (the first attempt counts); \
                 for no limit use `unlimited_attempts()` (in `Settings` `None`, in a file \"unlimited\")",
            ),
            Fault::NoAttemptTimeout => Message::new(
                "stamina: `attempt_timeout` is 0, but must be longer (no attempt could succeed); \
                 for no limit leave it out (in `Settings` `None`, in a file \"unlimited\")",
            ),
            Fault::WaitExpBase { bits } => Message::new("stamina: `wait_exp_base` is ")
                .number(f64::from_bits(bits))
                .text(", but must be finite and at least 1 (1 keeps the wait the same, 2 doubles it each time)"),
        }
    }
}

impl fmt::Display for InvalidSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.message().as_str())
    }
}

impl fmt::Debug for InvalidSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let message = self.message();
        f.debug_tuple("InvalidSettings")
            .field(&message.as_str())
            .finish()
    }
}

impl Error for InvalidSettings {}

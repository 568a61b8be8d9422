//! Ready-made predicates, and ways to combine predicates, for [`Retry::when`](crate::Retry::when).
//!
//! # Examples
//!
//! ```
//! use std::io;
//! use stamina::{Retry, when};
//!
//! #[derive(Debug)]
//! enum Error {
//!     Io(io::Error),
//!     Status(u16),
//! }
//!
//! impl Error {
//!     fn is_lost_connection(&self) -> bool {
//!         matches!(self, Self::Io(error) if when::transient_io(error))
//!     }
//!
//!     fn is_overload(&self) -> bool {
//!         matches!(self, Self::Status(429 | 503))
//!     }
//! }
//!
//! let policy = Retry::on::<Error>().when(when::any_of(Error::is_lost_connection, Error::is_overload));
//! assert_eq!(policy.report(|| Err::<(), _>(Error::Status(404))).attempts, 1);
//! # let _ = Error::Io(io::ErrorKind::NotFound.into());
//! ```

use std::error::Error;
use std::io;
use std::sync::Arc;

use crate::policy::Decision;

/// Whether an I/O error is of a kind that a retry may cure.
///
/// These are: connection refused, reset, aborted, not connected, broken pipe, address in use, timed out, interrupted,
/// would block, unexpected end of file, host or network unreachable, network down, resource busy.
///
/// A name that could not be resolved is not one of them: the standard library has no kind for it.
///
/// # Examples
///
/// ```
/// use std::io::{Error, ErrorKind};
/// use stamina::when;
///
/// assert!(when::transient_io(&ErrorKind::ConnectionReset.into()));
/// assert!(!when::transient_io(&ErrorKind::NotFound.into()));
/// ```
#[must_use]
pub fn transient_io(error: &io::Error) -> bool {
    use io::ErrorKind as Kind;
    matches!(
        error.kind(),
        Kind::ConnectionRefused
            | Kind::ConnectionReset
            | Kind::ConnectionAborted
            | Kind::NotConnected
            | Kind::BrokenPipe
            | Kind::AddrInUse
            | Kind::TimedOut
            | Kind::Interrupted
            | Kind::WouldBlock
            | Kind::UnexpectedEof
            | Kind::HostUnreachable
            | Kind::NetworkUnreachable
            | Kind::NetworkDown
            | Kind::ResourceBusy
    )
}

/// Whether an error is a `T`, or has one anywhere in its chain of causes.
///
/// Pass an enum as it is, and `&**error` or `error.as_ref()` of a `Box<dyn Error>`, an `Arc<dyn Error>` or an
/// `anyhow::Error`. It looks into a `Box` and an `Arc`, of a known type or of a `dyn Error`, and into what an
/// [`io::Error`] was made of. [`Error::source`] alone skips these.
///
/// An `anyhow::Error` that was turned into a `Box<dyn Error>` hides the error that it was made of, but not the causes of
/// that error. The search ends after 128 causes, so that an error that names itself as its source can't make it endless.
///
/// # Examples
///
/// ```
/// use std::error::Error;
/// use std::num::ParseIntError;
/// use stamina::{Retry, when};
///
/// let policy = Retry::on::<Box<dyn Error>>().when(|error| when::caused_by::<ParseIntError>(&**error));
///
/// let report = policy.report(|| Err::<(), _>("down".into()));
/// assert_eq!(report.attempts, 1);
/// ```
#[must_use]
pub fn caused_by<T: Error + 'static>(error: &(dyn Error + 'static)) -> bool {
    std::iter::successors(Some(error), |&error| cause(error))
        .take(MAX_CAUSES)
        .any(|error| unwrapped::<T>(error).is_some())
}

const MAX_CAUSES: usize = 128;

/// The next error in the chain.
///
/// An `io::Error` and an `Arc` both have the source of the error inside them as their own, so that error itself would be
/// skipped.
fn cause<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a (dyn Error + 'static)> {
    if let Some(inner) = unwrapped::<io::Error>(error).and_then(io::Error::get_ref) {
        Some(inner)
    } else if let Some(shared) = unwrapped::<Arc<dyn Error + Send + Sync>>(error) {
        Some(&**shared)
    } else if let Some(shared) = unwrapped::<Arc<dyn Error + Send>>(error) {
        Some(&**shared)
    } else if let Some(shared) = unwrapped::<Arc<dyn Error + Sync>>(error) {
        Some(&**shared)
    } else if let Some(shared) = unwrapped::<Arc<dyn Error>>(error) {
        Some(&**shared)
    } else {
        error.source()
    }
}

/// The error as a `T`, which may be in a `Box` or an `Arc`.
fn unwrapped<'a, T: Error + 'static>(error: &'a (dyn Error + 'static)) -> Option<&'a T> {
    let boxed = || error.downcast_ref::<Box<T>>().map(|error| &**error);
    let shared = || error.downcast_ref::<Arc<T>>().map(|error| &**error);
    error.downcast_ref::<T>().or_else(boxed).or_else(shared)
}

/// The first of two decisions that is not [`Decision::Stop`]. The second predicate runs only if the first one stops.
///
/// If a closure uses a method of the error, name its type in the first of them: `|error: &MyError| ..`.
///
/// # Examples
///
/// ```
/// use stamina::{Retry, when};
///
/// let policy = Retry::on::<u16>().when(when::any_of(|status| *status == 429, |status| *status >= 500));
/// assert_eq!(policy.report(|| Err::<(), _>(404)).attempts, 1);
/// ```
pub fn any_of<E, V: Into<Decision>, W: Into<Decision>>(
    first: impl Fn(&E) -> V,
    second: impl Fn(&E) -> W,
) -> impl Fn(&E) -> Decision {
    move |error| match first(error).into() {
        Decision::Stop => second(error).into(),
        decision => decision,
    }
}

/// The opposite of a decision: every kind of retry becomes [`Decision::Stop`], and `Stop` becomes [`Decision::Retry`].
///
/// # Examples
///
/// ```
/// use stamina::{Retry, when};
///
/// let policy = Retry::on::<u16>().when(when::not(|status| (400..500).contains(status)));
/// assert_eq!(policy.report(|| Err::<(), _>(404)).attempts, 1);
/// ```
pub fn not<E, V: Into<Decision>>(predicate: impl Fn(&E) -> V) -> impl Fn(&E) -> Decision {
    move |error| Decision::from(predicate(error).into() == Decision::Stop)
}

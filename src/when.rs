//! Ready predicates, and ways to put predicates together, for [`Retry::when`](crate::Retry::when).
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

/// Whether an I/O error is of a kind that may go away by itself.
///
/// These are: connection refused, reset, aborted, not connected, broken pipe, address in use, timed out, interrupted,
/// would block, unexpected end of file, host or network unreachable, network down, resource busy.
///
/// A name that could not be looked up is none of them: the standard library gives it no kind of its own.
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

/// Whether an error is a `T`, or has one anywhere in its chain of sources.
///
/// Serves `Box<dyn Error>`, `anyhow::Error` and enums that wrap what caused them: hand it `&**error` or
/// `error.as_ref()` of a box or an `anyhow::Error`, and an enum as it is. A `T` is also found in a `Box` or an `Arc`, and
/// in an [`io::Error`] that was made of it.
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
        .any(|error| error.is::<T>() || error.is::<Box<T>>() || error.is::<Arc<T>>())
}

fn cause<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a (dyn Error + 'static)> {
    // What an `io::Error` was made of is not its source: that is the source of what it was made of.
    match error
        .downcast_ref::<io::Error>()
        .and_then(io::Error::get_ref)
    {
        Some(inner) => Some(inner),
        None => error.source(),
    }
}

/// The first of two decisions that is not [`Decision::Stop`]. The second predicate is asked only if the first one
/// says stop.
///
/// Where a closure uses a method of the error, name its type in the first of them: `|error: &MyError| ..`.
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

/// The opposite of a decision: every kind of retry becomes [`Decision::Stop`], and that [`Decision::Retry`].
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

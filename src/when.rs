//! Ready predicates, and ways to put predicates together, for [`Retry::when`](crate::Retry::when).

use std::error::Error;
use std::io;

use crate::decision::Decision;

/// Whether an I/O error is of a kind that may go away by itself.
///
/// These are: connection refused, reset, aborted, not connected, broken pipe, address in use, timed out, interrupted,
/// would block, unexpected end of file, host or network unreachable, network down, resource busy.
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
/// Serves `Box<dyn Error>`, `anyhow::Error` and enums that wrap what caused them. It looks into an [`io::Error`] too,
/// which leaves the error that it carries out of its chain of sources.
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
    std::iter::successors(Some(error), |&error| {
        let carried = error.downcast_ref().and_then(io::Error::get_ref);
        carried.map_or_else(|| error.source(), |carried| Some(carried))
    })
    .any(<dyn Error>::is::<T>)
}

/// The first of two decisions that is not [`Decision::Stop`]. The second predicate is asked only if the first one
/// says stop.
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

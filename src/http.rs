//! Retry-After and transient status codes (feature `http`).
//!
//! # Examples
//!
//! A predicate that follows a server's hint, and otherwise retries what may go away by itself:
//!
//! ```
//! use std::time::SystemTime;
//! use http::{HeaderMap, Response, StatusCode};
//! use stamina::{Decision, Retry};
//! use stamina::http::{is_transient, retry_after};
//!
//! #[derive(Debug)]
//! struct Refused {
//!     status: StatusCode,
//!     headers: HeaderMap,
//! }
//!
//! fn decide(refused: &Refused) -> Decision {
//!     if !is_transient(refused.status) {
//!         return Decision::Stop;
//!     }
//!     match retry_after(&refused.headers, SystemTime::now()) {
//!         Some(hint) => Decision::RetryAfter(hint),
//!         None => Decision::Retry,
//!     }
//! }
//!
//! static FETCH: Retry<Refused> = Retry::on::<Refused>().when_fn(decide);
//! # let report = FETCH.report(|| Err::<(), _>(Refused { status: StatusCode::NOT_FOUND, headers: HeaderMap::new() }));
//! # assert_eq!(report.attempts, 1);
//! ```

use std::time::{Duration, SystemTime};

use ::http::header::RETRY_AFTER;
use ::http::{HeaderMap, StatusCode};

/// How long the other side asks to wait (`Retry-After`), counted from `now`; `None` where it says nothing that can be
/// understood.
///
/// Both forms of RFC 9110, section 10.2.3, are read: a number of seconds, and a date in any of the three formats that
/// HTTP has known. A date that has passed means zero. A number too large for a [`Duration`] becomes
/// [`Duration::MAX`], which no deadline lets through. Anything else, such as a negative number or a fraction, is as good
/// as no header. Where there are several, the longest wait counts, as it suits them all.
///
/// Give it to [`Decision::RetryAfter`](crate::Decision::RetryAfter): the policy then adds jitter, so that clients that
/// were given the same hint come back spread out, and ends the call at once if the hint lies past the deadline.
///
/// A date is only as good as the two clocks that it is compared by. Where a server is known to send dates, its own
/// `Date` header as `now` makes its clock the only one.
///
/// # Examples
///
/// ```
/// use std::time::{Duration, SystemTime};
/// use http::HeaderMap;
/// use http::header::{HeaderValue, RETRY_AFTER};
/// use stamina::http::retry_after;
///
/// let mut headers = HeaderMap::new();
/// assert_eq!(retry_after(&headers, SystemTime::now()), None);
///
/// headers.insert(RETRY_AFTER, HeaderValue::from_static("120"));
/// assert_eq!(retry_after(&headers, SystemTime::now()), Some(Duration::from_secs(120)));
///
/// headers.insert(RETRY_AFTER, HeaderValue::from_static("Thu, 01 Jan 1970 00:01:30 GMT"));
/// assert_eq!(retry_after(&headers, SystemTime::UNIX_EPOCH), Some(Duration::from_secs(90)));
/// assert_eq!(retry_after(&headers, SystemTime::now()), Some(Duration::ZERO));
/// ```
#[must_use]
pub fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    headers
        .get_all(RETRY_AFTER)
        .iter()
        .filter_map(|value| wait(value.to_str().ok()?.trim(), now))
        .max()
}

/// The wait in one header.
fn wait(value: &str, now: SystemTime) -> Option<Duration> {
    if value.is_empty() {
        return None;
    }
    if value.bytes().all(|byte| byte.is_ascii_digit()) {
        // Only digits: the one thing that can be wrong is that there are too many.
        return Some(value.parse().map_or(Duration::MAX, Duration::from_secs));
    }
    let until = httpdate::parse_http_date(value).ok()?;
    Some(until.duration_since(now).unwrap_or_default())
}

/// Whether a status says that the same request may succeed later: 408, 425, 429, 500, 502, 503, 504.
///
/// That it may be sent again is for you to know: a `POST` that was answered 500 or 504 may have been carried out, so
/// retry it only if doing it twice does no harm.
///
/// # Examples
///
/// ```
/// use http::StatusCode;
/// use stamina::http::is_transient;
///
/// assert!(is_transient(StatusCode::SERVICE_UNAVAILABLE));
/// assert!(!is_transient(StatusCode::NOT_FOUND));
/// assert!(!is_transient(StatusCode::OK));
/// ```
#[must_use]
pub fn is_transient(status: StatusCode) -> bool {
    matches!(status.as_u16(), 408 | 425 | 429 | 500 | 502 | 503 | 504)
}

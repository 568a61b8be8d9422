//! Retry-After and transient status codes (feature `http`).
//!
//! # Examples
//!
//! A predicate that honours a server's hint, and otherwise retries statuses that may go away by themselves:
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
//! static FETCH: Retry<Refused> = Retry::on::<Refused>().decide_fn(decide);
//! # let report = FETCH.report(|| Err::<(), _>(Refused { status: StatusCode::NOT_FOUND, headers: HeaderMap::new() }));
//! # assert_eq!(report.attempts, 1);
//! ```

use std::time::{Duration, SystemTime};

use ::http::header::RETRY_AFTER;
use ::http::{HeaderMap, StatusCode};

/// How long the other side asks to wait (`Retry-After`), counted from `now`. `None` if it says nothing that can be
/// understood.
///
/// - A number of seconds. A fraction (`292.05`, which the RFC does not know but servers send) is rounded up to whole
///   seconds. A number that is too large for a [`Duration`] becomes [`Duration::MAX`], which no deadline lets through.
/// - A date in any of the three formats of RFC 9110, section 5.6.7. A date that has passed, also one before 1970, means
///   zero.
/// - Anything else is ignored as if there were no header: a sign, an exponent, a unit, a number that begins or ends with
///   the dot (`-1`, `1e5`, `0x10`, `5s`, `.5`, `5.`), an empty value, a date that does not exist.
///
/// If there are several, the longest wait counts, as it satisfies them all.
///
/// Pass it to [`Decision::RetryAfter`](crate::Decision::RetryAfter). The policy then waits at least as long as without
/// the hint, adds jitter, so that clients that were given the same hint spread, and ends the call at once if the hint lies
/// past the deadline.
///
/// A date compares two clocks, the server's and yours. If a server is known to send dates, pass its own `Date` header as
/// `now`, so that only its clock counts.
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
/// headers.insert(RETRY_AFTER, HeaderValue::from_static("292.05"));
/// assert_eq!(retry_after(&headers, SystemTime::now()), Some(Duration::from_secs(293)));
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
    seconds(value).or_else(|| match httpdate::parse_http_date(value) {
        Ok(until) => Some(until.duration_since(now).unwrap_or_default()),
        Err(_) => is_before_1970(value).then_some(Duration::ZERO),
    })
}

/// A decimal number of seconds, rounded up to whole ones.
fn seconds(value: &str) -> Option<Duration> {
    let (whole, fraction) = value.split_once('.').unwrap_or((value, "0"));
    if !is_digits(whole) || !is_digits(fraction) {
        return None;
    }
    let round_up = u64::from(fraction.bytes().any(|digit| digit != b'0'));
    // Only digits, so the one thing that can be wrong is that there are too many.
    let seconds = whole
        .parse()
        .ok()
        .and_then(|whole: u64| whole.checked_add(round_up));
    Some(seconds.map_or(Duration::MAX, Duration::from_secs))
}

/// Whether a value is a date before 1970, which `httpdate` does not read.
fn is_before_1970(value: &str) -> bool {
    // `Wed, 31 Dec 1969 23:59:59 GMT` or `Wed Dec 31 23:59:59 1969`. The third format can't express such a year.
    let at = if value.ends_with("GMT") { 12 } else { 20 };
    let parts = value.split_at_checked(at).and_then(|(before, rest)| {
        let (year, after) = rest.split_at_checked(4)?;
        Some((before, year, after))
    });
    let Some((before, year, after)) = parts.filter(|(_, year, _)| is_digits(year)) else {
        return false;
    };
    // The calendar repeats every 400 years, weekdays included: the date exists if the one 2000 years later does.
    let later = format!(
        "{before}{}{after}",
        year.parse().unwrap_or(0_u64).saturating_add(2000)
    );
    year < "1970" && httpdate::parse_http_date(&later).is_ok()
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// Whether a status says that the same request may succeed later: 408, 425, 429, 500, 502, 503, 504.
///
/// It does not say that the request may be sent twice. A `POST` that got a 500 or 504 may have been carried out, so retry
/// it only if doing it twice does no harm.
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

//! Retry-After: whatever bytes a server sends. A number and a date are told apart from the rest by a reading of our own.
#![no_main]

use std::time::{Duration, SystemTime};

use http::HeaderMap;
use http::header::{HeaderValue, RETRY_AFTER};
use stamina::http::retry_after;

const DAYS: [&str; 7] = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];
const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// Days from the first of January of the year 1 to that of 1970.
const DAYS_TO_1970: u64 = 719_162;

/// Year, month (0 is January), day by counting from the year 1, which is slow and plain.
fn civil(mut days: u64) -> (u64, usize, u64) {
    let leap = |year: u64| year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let mut year = 1;
    while days >= 365 + u64::from(leap(year)) {
        days -= 365 + u64::from(leap(year));
        year += 1;
    }
    for month in 0..12 {
        let length = match month {
            1 => 28 + u64::from(leap(year)),
            3 | 5 | 8 | 10 => 30,
            _ => 31,
        };
        if days < length {
            return (year, month, days + 1);
        }
        days -= length;
    }
    unreachable!()
}

/// A date, in seconds from the year 1, in one of the three formats of RFC 9110, section 5.6.7.
fn date(seconds: u64, format: u8) -> String {
    let (days, time) = (seconds / 86_400, seconds % 86_400);
    let (year, month, day) = civil(days);
    let (weekday, month) = (DAYS[days as usize % 7], MONTHS[month]);
    let time = format!("{:02}:{:02}:{:02}", time / 3600, time / 60 % 60, time % 60);
    let short = &weekday[..3];
    match format % 3 {
        0 => format!("{short}, {day:02} {month} {year:04} {time} GMT"),
        1 => format!("{weekday}, {day:02}-{month}-{:02} {time} GMT", year % 100),
        _ => format!("{short} {month} {day:>2} {time} {year:04}"),
    }
}

fn read(values: &[&[u8]], now: SystemTime) -> Option<Duration> {
    let mut headers = HeaderMap::new();
    for value in values {
        headers.append(RETRY_AFTER, HeaderValue::from_bytes(value).ok()?);
    }
    retry_after(&headers, now)
}

fn number(bytes: &[u8]) -> u64 {
    bytes.iter().take(8).fold(0, |sum, byte| sum << 8 | u64::from(*byte))
}

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let Some((kind, rest)) = bytes.split_first() else { return };
    let now_seconds = number(rest) % 10_000_000_000;
    let now = SystemTime::UNIX_EPOCH + Duration::from_secs(now_seconds);
    if kind % 4 == 0 && rest.len() > 8 {
        // A date between the years 1 and 9999; with two digits for the year from 1970 to 2069. What is before 1970 has
        // passed.
        let format = kind / 4;
        let to_1970 = DAYS_TO_1970 * 86_400;
        let (first, last) = if format % 3 == 1 { (to_1970, to_1970 + 3_124_223_999) } else { (0, to_1970 + 253_402_300_799) };
        let then = first + number(&rest[8..]) % (last - first);
        let text = date(then, format);
        let expected = Duration::from_secs(then.saturating_sub(to_1970 + now_seconds));
        assert_eq!(read(&[text.as_bytes()], now), Some(expected), "{text} at {now_seconds}");
        return;
    }
    // Header values are ASCII or opaque.
    let Some(text) = std::str::from_utf8(rest).ok().filter(|text| text.is_ascii()) else {
        assert_eq!(read(&[rest], now), None, "{rest:?}");
        return;
    };
    let seen = read(&[rest], now);
    let digits = text.trim();
    if HeaderValue::from_bytes(rest).is_err() {
        return;
    }
    let mut parts = digits.split('.');
    let (whole, fraction, more) = (parts.next().unwrap_or(""), parts.next(), parts.next());
    let all_digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    if all_digits(whole) && fraction.is_none_or(all_digits) && more.is_none() {
        let mut seconds = Some(0_u64);
        for digit in whole.bytes() {
            seconds = seconds.and_then(|sum| sum.checked_mul(10)?.checked_add(u64::from(digit - b'0')));
        }
        // Any part of a second counts as a whole one.
        if fraction.is_some_and(|fraction| fraction.trim_matches('0') != "") {
            seconds = seconds.and_then(|sum| sum.checked_add(1));
        }
        assert_eq!(seen, Some(seconds.map_or(Duration::MAX, Duration::from_secs)), "{digits}");
    } else if let Some(wait) = seen {
        // Only a date can mean anything else, and each of its formats names a month and a time.
        assert!(MONTHS.iter().any(|month| digits.contains(month)) && digits.contains(':'), "{digits} means {wait:?}");
        assert!(wait.subsec_nanos() == 0);
    }
    // The longest counts.
    let both = read(&[rest, b"7"], now);
    assert_eq!(both, seen.max(Some(Duration::from_secs(7))));
});

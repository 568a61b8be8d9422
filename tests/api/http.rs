//! Retry-After as servers send it, and the statuses that may go away.
#![cfg(feature = "http")]
#![allow(
    clippy::arithmetic_side_effects,
    clippy::unchecked_time_subtraction,
    clippy::unwrap_used,
    reason = "a test may panic"
)]

use std::time::{Duration, SystemTime};

use http::header::{HeaderMap, HeaderValue, RETRY_AFTER};
use http::{Response, StatusCode};
use stamina::http::{is_transient, retry_after};
use stamina::testing::VirtualClock;
use stamina::{Decision, Retry, StopReason, Timer};

fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

/// Sun, 06 Nov 1994 08:49:37 GMT.
fn noted() -> SystemTime {
    SystemTime::UNIX_EPOCH + secs(784_111_777)
}

fn headers(values: &[&str]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for value in values {
        headers.append(
            RETRY_AFTER,
            HeaderValue::from_bytes(value.as_bytes()).unwrap(),
        );
    }
    headers
}

#[track_caller]
fn reads(values: &[&str], expected: impl Into<Option<Duration>>) {
    reads_at(noted(), values, expected);
}

#[track_caller]
fn reads_at(now: SystemTime, values: &[&str], expected: impl Into<Option<Duration>>) {
    assert_eq!(
        retry_after(&headers(values), now),
        expected.into(),
        "{values:?}"
    );
}

#[test]
fn a_number_is_seconds_whatever_the_time() {
    for now in [noted(), SystemTime::UNIX_EPOCH, SystemTime::now()] {
        reads_at(now, &["0"], secs(0));
        reads_at(now, &["1"], secs(1));
        reads_at(now, &["120"], secs(120));
        reads_at(now, &["007"], secs(7));
    }
}

#[test]
fn a_fraction_is_rounded_up_to_whole_seconds() {
    for (value, seconds) in [
        ("292.05", 293),
        ("1.5", 2),
        ("1.000000000000000000000000000001", 2),
        ("0.1", 1),
        ("5.0", 5),
        ("0.000", 0),
        ("007.0", 7),
        (" 2.5 ", 3),
        ("18446744073709551614.5", u64::MAX),
        ("18446744073709551615.0", u64::MAX),
    ] {
        reads(&[value], secs(seconds));
    }
    reads(&["18446744073709551615.1"], Duration::MAX);
    reads(&["18446744073709551616.0"], Duration::MAX);
    reads(&[&format!("{}.5", "9".repeat(4000))], Duration::MAX);
}

#[test]
fn a_date_is_read_in_all_three_formats() {
    let a_minute_before = noted() - secs(60);
    reads_at(
        a_minute_before,
        &["Sun, 06 Nov 1994 08:49:37 GMT"],
        secs(60),
    );
    reads_at(
        a_minute_before,
        &["Sunday, 06-Nov-94 08:49:37 GMT"],
        secs(60),
    );
    reads_at(a_minute_before, &["Sun Nov  6 08:49:37 1994"], secs(60));
}

#[test]
fn a_date_is_counted_from_now_to_the_nanosecond() {
    let date = ["Sun, 06 Nov 1994 08:49:37 GMT"];
    reads_at(
        noted() - Duration::from_nanos(1),
        &date,
        Duration::from_nanos(1),
    );
    reads_at(
        noted() - Duration::from_millis(2500),
        &date,
        Duration::from_millis(2500),
    );
}

#[test]
fn a_date_that_has_passed_is_now() {
    reads_at(noted(), &["Sun, 06 Nov 1994 08:49:37 GMT"], secs(0));
    reads_at(
        noted() + secs(1),
        &["Sun, 06 Nov 1994 08:49:37 GMT"],
        secs(0),
    );
    reads(&["Thu, 01 Jan 1970 00:00:00 GMT"], secs(0));
    reads_at(
        SystemTime::now(),
        &["Sunday, 06-Nov-94 08:49:37 GMT"],
        secs(0),
    );
}

#[test]
fn a_date_before_1970_has_passed_too() {
    for date in [
        "Wed, 31 Dec 1969 23:59:59 GMT",
        "Wed Dec 31 23:59:59 1969",
        "Mon, 01 Jan 0001 00:00:00 GMT",
        "Mon Jan  1 00:00:00 0001",
        "Mon, 29 Feb 1904 00:00:00 GMT",
        "Thu, 01 Mar 1900 00:00:00 GMT",
    ] {
        reads(&[date], secs(0));
        reads_at(SystemTime::UNIX_EPOCH, &[date], secs(0));
    }
    reads(&["60", "Wed, 31 Dec 1969 23:59:59 GMT"], secs(60));
}

#[test]
fn a_time_before_the_epoch_is_no_trouble() {
    let before = SystemTime::UNIX_EPOCH - secs(10);
    reads_at(before, &["Thu, 01 Jan 1970 00:00:00 GMT"], secs(10));
}

#[test]
fn a_number_too_large_is_the_longest_duration() {
    reads(&["18446744073709551615"], secs(u64::MAX));
    reads(&["18446744073709551616"], Duration::MAX);
    reads(&[&"9".repeat(4000)], Duration::MAX);
}

#[test]
fn the_last_date_there_is_is_read() {
    reads_at(
        SystemTime::UNIX_EPOCH,
        &["Fri, 31 Dec 9999 23:59:59 GMT"],
        secs(253_402_300_799),
    );
}

#[test]
fn whitespace_around_it_does_not_matter() {
    reads(&[" 120"], secs(120));
    reads(&["120\t"], secs(120));
    reads(&["  120 \t "], secs(120));
    reads(&[" Sun, 06 Nov 1994 08:50:37 GMT "], secs(60));
}

#[test]
fn what_is_not_understood_is_as_good_as_no_header() {
    for garbage in [
        "",
        " ",
        "soon",
        "-1",
        "-0",
        "+5",
        ".5",
        "5.",
        ".",
        "1.2.3",
        "1,5",
        "-1.5",
        "1.-5",
        "1.5s",
        "1. 5",
        "1.5e3",
        "1e5",
        "0x10",
        "1_000",
        "5s",
        "5 5",
        "120, 60",
        "\u{665}",
        "NaN",
        "inf",
        "1994-11-06T08:49:37Z",
        "Sun, 06 Nov 1994 08:49:37",
        "Sun, 06 Nov 1994 08:49:37 CET",
        "Mon, 06 Nov 1994 08:49:37 GMT",
        "Sun, 31 Feb 1994 08:49:37 GMT",
        "Sun, 06 Nov 1994 25:49:37 GMT",
        "Sun, 06 Nov 0000 08:49:37 GMT",
        "Sun Nov 96 08:49:37 1994",
        // Before 1970, and no dates.
        "Thu, 31 Dec 1969 23:59:59 GMT",
        "Wed, 31 Dec 1969 23:59:59 CET",
        "Wed, 31 Dec 1969 23:59:99 GMT",
        "Thu, 29 Feb 1900 00:00:00 GMT",
        "Wed, 31 Dec +969 23:59:59 GMT",
        "Wed, 31 Dec 969 23:59:59 GMT",
        "Wed, 31 Dec 1969",
        "GMT",
        "Wed Dec 31 23:59:59 19690",
        "Sun, 06 Nov 19\u{e9}4 08:49 GMT",
        "Sunday, 99-Xyz-94 08:49:37 GMT",
    ] {
        reads(&[garbage], None);
    }
    reads(&[], None);
    let mut binary = HeaderMap::new();
    binary.insert(RETRY_AFTER, HeaderValue::from_bytes(b"\xff\xfe").unwrap());
    assert_eq!(retry_after(&binary, noted()), None);
}

#[test]
fn of_several_the_longest_counts() {
    reads(&["120", "60"], secs(120));
    reads(&["60", "120"], secs(120));
    reads(&["soon", "60"], secs(60));
    reads(&["60", "-1", ""], secs(60));
    reads(&["60", "Sun, 06 Nov 1994 08:51:17 GMT"], secs(100));
    reads(&["soon", "later"], None);
}

#[test]
fn other_headers_are_not_read() {
    let mut headers = HeaderMap::new();
    headers.insert("x-retry-after", HeaderValue::from_static("5"));
    headers.insert(
        "date",
        HeaderValue::from_static("Sun, 06 Nov 1994 08:49:37 GMT"),
    );
    assert_eq!(retry_after(&headers, noted()), None);
}

#[test]
fn these_statuses_are_transient_and_no_others() {
    let transient: Vec<u16> = (100..=999)
        .filter(|code| is_transient(StatusCode::from_u16(*code).unwrap()))
        .collect();
    assert_eq!(transient, [408, 425, 429, 500, 502, 503, 504]);
}

/// What a client would write.
fn decide(outcome: &Result<Response<()>, String>) -> Decision {
    match outcome {
        Ok(response) if is_transient(response.status()) => {
            retry_after(response.headers(), noted()).map_or(Decision::Retry, Decision::RetryAfter)
        }
        outcome => Decision::from(outcome.is_err()),
    }
}

fn answer(status: u16, hint: Option<&str>) -> Response<()> {
    let mut response = Response::builder().status(status);
    if let Some(hint) = hint {
        response = response.header(RETRY_AFTER, hint);
    }
    response.body(()).unwrap()
}

#[test]
fn a_policy_follows_the_hint() {
    static CLOCK: VirtualClock = VirtualClock::new();
    let policy = Retry::on::<Result<Response<()>, String>>()
        .decide_fn(decide)
        .wait_jitter(Duration::ZERO)
        .timer(Timer::custom(&CLOCK));

    let mut answers = vec![
        Ok(answer(503, Some("7"))),
        Ok(answer(503, None)),
        Ok(answer(429, Some("Sun, 06 Nov 1994 08:49:40 GMT"))),
        Ok(answer(503, Some("-1"))),
        Err("reset".to_owned()),
        Ok(answer(200, None)),
    ]
    .into_iter();
    let outcome = policy.call_outcome(|| answers.next().unwrap());
    assert_eq!(outcome.unwrap().status(), 200);
    let waits: Vec<u128> = CLOCK.waits().iter().map(Duration::as_millis).collect();
    assert_eq!(waits, [7000, 200, 3000, 800, 1600]);

    // A hint past the deadline ends the call now.
    let mut calls = 0;
    let outcome = policy.call_outcome(|| {
        calls += 1;
        Ok(answer(503, Some("3600")))
    });
    assert_eq!((outcome.unwrap().status().as_u16(), calls), (503, 1));
    assert_eq!(CLOCK.waits().len(), 5);
}

#[test]
fn the_same_hint_spreads_the_clients() {
    let policy = Retry::on::<()>()
        .when(|()| Decision::RetryAfter(retry_after(&headers(&["10"]), noted()).unwrap()));
    let mut waits: Vec<Duration> = (0..100)
        .map(|_| policy.start().decide(&()).unwrap())
        .collect();
    assert!(
        waits
            .iter()
            .all(|wait| (secs(10)..=secs(11)).contains(wait))
    );
    waits.sort_unstable();
    waits.dedup();
    assert!(waits.len() > 95);
    assert!(waits[waits.len() - 1] - waits[0] > Duration::from_millis(700));
}

#[test]
fn an_endless_hint_is_cut_by_every_deadline() {
    let policy = Retry::on::<()>().timeout(Duration::MAX).when(|()| {
        Decision::RetryAfter(retry_after(&headers(&["99999999999999999999"]), noted()).unwrap())
    });
    assert_eq!(policy.start().decide(&()), Err(StopReason::TimedOut));
}

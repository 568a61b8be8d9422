//! `RetryAfter`, the other side's hint, and `RetryExactly`, the caller's choice, through every driver.

use std::cell::Cell;
use std::time::Duration;

use crate::support::drivers::{drivers, through_all};
use crate::support::{clock, ms, secs};
use stamina::{Decision, Retry, Timer};

const NANO: Duration = Duration::from_nanos(1);

/// The waits of a call that gets the same decision after each failure, by each driver that waits.
fn waits(
    set: impl Fn(Retry<&'static str>) -> Retry<&'static str>,
    decision: Decision,
    check: impl Fn(&str, &[Duration]),
) {
    for (name, driver) in drivers().into_iter().filter(|(name, _)| *name != "decide") {
        let clock = clock();
        let policy = set(Retry::on::<&str>().timer(Timer::custom(clock)));
        let result = driver(&policy.when(move |_| decision), &|| Err("busy"));
        assert_eq!(result, Err("busy"), "{name}");
        check(name, &clock.waits());
    }
}

#[test]
fn a_hint_of_nothing_is_no_hot_loop() {
    let endless = |policy: Retry<&'static str>| policy.unlimited_attempts();
    // How many attempts there are in the 45 s of the default deadline.
    waits(
        endless,
        Decision::RetryAfter(Duration::ZERO),
        |name, waits| {
            assert!(
                (10..=16).contains(&(waits.len() + 1)),
                "{name}: {}",
                waits.len()
            );
        },
    );
    let plain =
        |policy: Retry<&'static str>| policy.unlimited_attempts().wait_jitter(Duration::ZERO);
    for hint in [Duration::ZERO, NANO, ms(100)] {
        waits(plain, Decision::RetryAfter(hint), |name, waits| {
            assert_eq!(
                waits[..7],
                [100, 200, 400, 800, 1600, 3200, 5000].map(ms),
                "{name}"
            );
            assert_eq!(waits.len() + 1, 14, "{name}");
        });
    }
    waits(
        |policy| policy.unlimited_attempts().full_jitter(),
        Decision::RetryAfter(Duration::ZERO),
        |name, waits| {
            // Not from zero, as the policy's own waits: what is drawn comes on top.
            assert!(waits.len() < 16 && waits[0] >= ms(100), "{name}: {waits:?}");
        },
    );
}

#[cfg(feature = "http")]
#[test]
fn a_date_that_has_passed_is_no_hot_loop() {
    use http::{HeaderMap, HeaderValue};
    let mut headers = HeaderMap::new();
    for date in [
        "Sun, 06 Nov 1994 08:49:37 GMT",
        "Mon, 01 Jan 1900 00:00:00 GMT",
    ] {
        headers.insert("retry-after", HeaderValue::from_static(date));
        let now = std::time::SystemTime::UNIX_EPOCH + secs(1_700_000_000);
        let hint = stamina::http::retry_after(&headers, now).unwrap();
        assert_eq!(hint, Duration::ZERO, "{date}");
        waits(Retry::unlimited_attempts, hint.into(), |name, waits| {
            assert!(waits.len() < 16, "{name}: {}", waits.len());
        });
    }
}

#[test]
fn a_hint_is_a_floor_that_no_maximum_cuts() {
    let plain = |policy: Retry<&'static str>| {
        let policy = policy.attempts(6).no_timeout();
        policy.wait_jitter(Duration::ZERO).wait_max(secs(1))
    };
    waits(plain, Decision::RetryAfter(ms(500)), |name, waits| {
        assert_eq!(waits, [500, 500, 500, 800, 1000].map(ms), "{name}");
    });
    waits(plain, Decision::RetryAfter(secs(3600)), |name, waits| {
        assert_eq!(waits, [secs(3600); 5], "{name}");
    });
}

#[test]
fn clients_with_the_same_hint_spread() {
    let mut all = Vec::new();
    for _ in 0..100 {
        let drawn = std::cell::RefCell::new(Vec::new());
        waits(
            |policy| policy.attempts(2),
            Decision::from(secs(10)),
            |_, waits| {
                drawn.borrow_mut().extend_from_slice(waits);
            },
        );
        all.extend(drawn.take());
    }
    all.sort();
    let (first, last) = (all[0], all[all.len() - 1]);
    assert!(first >= secs(10) && last <= secs(11), "{first:?} {last:?}");
    assert!(
        first < ms(10_050) && last > ms(10_950),
        "{first:?} {last:?}"
    );
    // No herd: in no hundredth of the second is more than a tenth of them.
    let crowd = all
        .windows(all.len() / 10)
        .map(|some| some[some.len() - 1] - some[0]);
    assert!(crowd.min().unwrap() > ms(10));
}

#[test]
fn a_chosen_wait_is_neither_spread_nor_cut() {
    for wait in [Duration::ZERO, NANO, ms(7), secs(3600)] {
        let set = |policy: Retry<&'static str>| {
            let policy = policy.attempts(4).no_timeout();
            policy.wait_max(secs(1)).wait_jitter(secs(1))
        };
        waits(set, Decision::RetryExactly(wait), |name, waits| {
            // A wait of zero need not be waited for at all.
            let expected = if wait.is_zero() && waits.is_empty() {
                0
            } else {
                3
            };
            assert_eq!(waits, vec![wait; expected], "{name}");
        });
    }
    // The exponential goes on by the attempt's number.
    for (name, driver) in drivers().into_iter().filter(|(name, _)| *name != "decide") {
        let clock = clock();
        let policy = Retry::on::<u8>()
            .attempts(5)
            .wait_jitter(Duration::ZERO)
            .timer(Timer::custom(clock))
            .when(|number| match number {
                2 => Decision::RetryExactly(ms(7)),
                _ => Decision::Retry,
            });
        let number = Cell::new(0);
        let result = driver(&policy, &|| {
            number.set(number.get() + 1);
            Err(number.get())
        });
        assert_eq!(
            (result, clock.waits()),
            (Err(5), [100, 7, 400, 800].map(ms).to_vec()),
            "{name}"
        );
    }
}

/// The share of calls with one short failure that their deadline loses, in a thousand, and the waits of the rest.
fn lost(
    set: impl Fn(Retry<&'static str>) -> Retry<&'static str>,
    calls: u32,
) -> (u32, Vec<Duration>) {
    let (mut lost, mut waits) = (0, Vec::new());
    for _ in 0..calls {
        let set = |timer| set(Retry::on::<&str>().timer(timer));
        through_all(set, |name, clock, run| {
            let failed = Cell::new(false);
            let result = run(&|| {
                if failed.replace(true) {
                    Ok(7)
                } else {
                    Err("blip")
                }
            });
            lost += u32::from(result.is_err());
            if name != "decide" {
                waits.extend(clock.waits());
            }
        });
    }
    (lost, waits)
}

#[test]
fn jitter_never_costs_a_call_its_deadline() {
    for timeout in [101, 200, 500, 1000, 10_000].map(ms) {
        let (lost, waits) = lost(|policy| policy.timeout(timeout), 50);
        assert_eq!(lost, 0, "of calls under {timeout:?}");
        // It is spread over what is left.
        let longest = timeout.min(ms(1100));
        let (min, max) = (waits.iter().min().unwrap(), waits.iter().max().unwrap());
        assert!(
            ms(100) <= *min && *max <= longest && *max < timeout,
            "{min:?} {max:?}"
        );
        let slack = (longest - ms(100)) / 20;
        assert!(
            *min <= ms(100) + slack && longest - slack <= *max,
            "{min:?} {max:?}"
        );
    }
    // The shortest wait has to fit.
    let (lost, waits) = lost(|policy| policy.timeout(ms(100)), 1);
    assert!(lost > 10 && waits.is_empty(), "{lost}");
}

#[test]
fn jitter_on_top_of_a_hint_never_costs_a_call_its_deadline() {
    let decision = Decision::RetryAfter(ms(9500));
    for _ in 0..100 {
        waits(
            |policy| policy.timeout(secs(10)),
            decision,
            |name, waits| {
                assert_eq!(waits.len(), 1, "{name}");
                assert!(
                    ms(9500) <= waits[0] && waits[0] < secs(10),
                    "{name}: {waits:?}"
                );
            },
        );
    }
    let beyond = Decision::RetryAfter(secs(10));
    waits(
        |policy| policy.timeout(secs(10)),
        beyond,
        |name, waits| {
            assert!(waits.is_empty(), "{name}: {waits:?}");
        },
    );
}

//! Settings from a file: whatever is in it. Durations are also made here, digit by digit, and must be read exactly.
#![no_main]

use std::time::Duration;

use stamina::{Retry, Settings};

const UNITS: [(&str, u128); 8] = [
    ("ns", 1),
    ("us", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("", 1_000_000_000),
    ("m", 60_000_000_000),
    ("h", 3_600_000_000_000),
    ("d", 86_400_000_000_000),
];
const KEYS: [&str; 5] = ["timeout", "attempt_timeout", "wait_initial", "wait_max", "wait_jitter"];

fn of(settings: &Settings, key: &str) -> Option<Duration> {
    match key {
        "timeout" => settings.timeout,
        "attempt_timeout" => settings.attempt_timeout,
        "wait_initial" => Some(settings.wait_initial),
        "wait_max" => settings.wait_max,
        _ => settings.wait_jitter,
    }
}

/// What was understood is in range, makes a policy, and comes back from what it is written as.
fn holds(settings: Settings) {
    assert_eq!(settings.check(), Ok(()));
    assert_ne!(settings.attempts, Some(0));
    assert_ne!(settings.attempt_timeout, Some(Duration::ZERO));
    assert!(settings.wait_exp_base >= 1.0 && settings.wait_exp_base.is_finite());
    let policy = Retry::on::<()>().attempt_timeout(Duration::MAX, || ());
    assert_eq!(policy.with_settings(settings).settings(), settings);
    let written = serde_json::to_string(&settings).unwrap();
    assert_eq!(serde_json::from_str::<Settings>(&written).unwrap(), settings, "{written}");
}

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let Some((kind, rest)) = bytes.split_first() else { return };
    if kind % 2 == 0 {
        if let Ok(settings) = serde_json::from_slice::<Settings>(rest) {
            holds(settings);
        }
        return;
    }
    let digit = |byte: &u8| char::from(b'0' + byte % 10);
    let (Some(choice), rest) = (rest.first(), rest.get(1..).unwrap_or_default()) else { return };
    let (key, (unit, nanos)) = (KEYS[usize::from(choice / 8 % 5)], UNITS[usize::from(choice % 8)]);
    let whole: String = rest.iter().take(12).map(digit).collect();
    let fraction: String = rest.iter().skip(12).take(9).map(digit).collect();
    if whole.is_empty() {
        return;
    }
    let number = if fraction.is_empty() { whole.clone() } else { format!("{whole}.{fraction}") };
    let json = format!("{{\"{key}\": \"{number}{unit}\"}}");
    // All digits as one number, over its power of ten; half a nanosecond counts as one.
    let all: u128 = format!("{whole}{fraction}").parse().unwrap();
    let below = 10_u128.pow(fraction.len() as u32);
    let expected = (2 * all * nanos + below) / (2 * below);
    let expected = Duration::new((expected / 1_000_000_000) as u64, (expected % 1_000_000_000) as u32);
    if key == "attempt_timeout" && expected.is_zero() {
        assert!(serde_json::from_str::<Settings>(&json).is_err(), "{json}");
        return;
    }
    let settings: Settings = serde_json::from_str(&json).unwrap_or_else(|error| panic!("{json}: {error}"));
    assert_eq!(of(&settings, key), Some(expected), "{json}");
    holds(settings);
});

//! Settings in binary formats, with names of fields and without.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::time::Duration;

use stamina::Settings;

const D: Settings = Settings::DEFAULT;

/// Settings that differ in every field, and the defaults.
fn settings() -> [Settings; 3] {
    let everything = Settings {
        attempts: Some(u32::MAX),
        timeout: Some(Duration::new(1, 1)),
        attempt_timeout: Some(Duration::from_nanos(1)),
        wait_initial: Duration::from_millis(7),
        wait_max: Some(Duration::MAX),
        wait_jitter: Some(Duration::ZERO),
        wait_exp_base: 1.0 + f64::EPSILON,
        full_jitter: true,
    };
    let nothing = Settings {
        attempts: None,
        timeout: None,
        wait_exp_base: f64::MAX,
        ..D
    };
    [D, everything, nothing]
}

#[test]
fn message_pack_with_and_without_names() {
    for settings in settings() {
        let list = rmp_serde::to_vec(&settings).unwrap();
        assert_eq!(rmp_serde::from_slice::<Settings>(&list).unwrap(), settings);
        let table = rmp_serde::to_vec_named(&settings).unwrap();
        assert_eq!(rmp_serde::from_slice::<Settings>(&table).unwrap(), settings);
        assert!(list.len() < table.len());
    }
}

#[test]
fn cbor() {
    for settings in settings() {
        let mut bytes = Vec::new();
        ciborium::into_writer(&settings, &mut bytes).unwrap();
        let read: Settings = ciborium::from_reader(bytes.as_slice()).unwrap();
        assert_eq!(read, settings);
    }
}

/// It does not say what a value is.
#[test]
fn postcard_without_types() {
    for settings in settings() {
        let bytes = postcard::to_allocvec(&settings).unwrap();
        assert_eq!(postcard::from_bytes::<Settings>(&bytes).unwrap(), settings);
        // Nothing is left over: what follows can be read.
        let bytes = postcard::to_allocvec(&(settings, 7_u32)).unwrap();
        let read: (Settings, u32) = postcard::from_bytes(&bytes).unwrap();
        assert_eq!(read, (settings, 7));
    }
}

#[test]
fn a_table_of_somebody_elses_may_have_few_keys_and_numbers() {
    use std::collections::BTreeMap;
    let table = BTreeMap::from([("attempts", 3), ("timeout", 2)]);
    let expected = Settings {
        attempts: Some(3),
        timeout: Some(Duration::from_secs(2)),
        ..D
    };
    let bytes = rmp_serde::to_vec(&table).unwrap();
    assert_eq!(rmp_serde::from_slice::<Settings>(&bytes).unwrap(), expected);
    let mut bytes = Vec::new();
    ciborium::into_writer(&table, &mut bytes).unwrap();
    let read: Settings = ciborium::from_reader(bytes.as_slice()).unwrap();
    assert_eq!(read, expected);
}

#[test]
fn a_list_that_is_wrong_is_refused_with_the_key() {
    let error = |list: &[&str]| {
        let bytes = rmp_serde::to_vec(list).unwrap();
        rmp_serde::from_slice::<Settings>(&bytes)
            .unwrap_err()
            .to_string()
    };
    let good = [
        "10",
        "45s",
        "unlimited",
        "100ms",
        "auto",
        "auto",
        "2.0",
        "false",
    ];
    let mut bad = good;
    bad[4] = "5 parsecs";
    let message = "stamina: `wait_max` is \"5 parsecs\", but must be a duration";
    assert!(error(&bad).contains(message), "{}", error(&bad));
    bad = good;
    bad[0] = "0";
    assert!(error(&bad).contains("stamina: `attempts` is 0, but must be at least 1"));
    let short = error(&good[..7]);
    let message = "invalid length 7, expected a table of retry settings";
    assert!(short.contains(message), "{short}");
    let bytes = rmp_serde::to_vec(&good).unwrap();
    assert_eq!(rmp_serde::from_slice::<Settings>(&bytes).unwrap(), D);
}

//! Settings from and to configuration files.
#![cfg(feature = "serde")]
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::collections::BTreeMap;
use std::time::Duration;

use serde::de::Deserialize;
use serde::de::value::{BytesDeserializer, Error, MapDeserializer};
use stamina::{Retry, Settings};

const D: Settings = Settings::DEFAULT;

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn from_toml(text: &str) -> Result<Settings, String> {
    toml::from_str(text).map_err(|error| error.message().to_owned())
}

fn from_json(text: &str) -> Result<Settings, String> {
    serde_json::from_str(text).map_err(|error| error.to_string())
}

/// `value` is written the same way in both formats.
#[track_caller]
fn reads(key: &str, value: &str, expected: Settings) {
    assert_eq!(
        from_toml(&format!("{key} = {value}")),
        Ok(expected),
        "TOML {value}"
    );
    assert_eq!(
        from_json(&format!("{{\"{key}\": {value}}}")),
        Ok(expected),
        "JSON {value}"
    );
}

#[track_caller]
fn waits(value: &str, wait: Duration) {
    reads(
        "wait_initial",
        value,
        Settings {
            wait_initial: wait,
            ..D
        },
    );
    reads(
        "wait_max",
        value,
        Settings {
            wait_max: Some(wait),
            ..D
        },
    );
    reads(
        "wait_jitter",
        value,
        Settings {
            wait_jitter: Some(wait),
            ..D
        },
    );
    reads(
        "timeout",
        value,
        Settings {
            timeout: Some(wait),
            ..D
        },
    );
    if !wait.is_zero() {
        reads(
            "attempt_timeout",
            value,
            Settings {
                attempt_timeout: Some(wait),
                ..D
            },
        );
    }
}

/// The error names the key, the value and what it must be.
#[track_caller]
fn refused(toml: &str, message: &str) {
    assert_eq!(from_toml(toml), Err(message.to_owned()), "{toml}");
    let value: toml::Value = toml::from_str(toml).unwrap();
    let json = serde_json::to_string(&value).unwrap();
    // JSON has no NaN and no infinity: they become null.
    if !json.contains("null") {
        let error = from_json(&json).unwrap_err();
        assert!(error.starts_with(message), "{error}");
    }
}

#[test]
fn a_whole_file() {
    let expected = Settings {
        attempts: Some(5),
        timeout: Some(ms(90_000)),
        attempt_timeout: Some(ms(3000)),
        wait_initial: ms(50),
        wait_max: Some(ms(2500)),
        wait_jitter: Some(Duration::ZERO),
        wait_exp_base: 1.5,
        full_jitter: true,
    };
    let toml = r#"
        attempts = 5
        timeout = "1.5m"
        attempt_timeout = "3s"
        wait_initial = "50ms"
        wait_max = 2.5
        wait_jitter = 0
        wait_exp_base = 1.5
        full_jitter = true
    "#;
    assert_eq!(from_toml(toml), Ok(expected));
    let json = r#"{"attempts": 5, "timeout": "1.5m", "attempt_timeout": 3, "wait_initial": "50ms", "wait_max": 2.5, "wait_jitter": 0,
        "wait_exp_base": 1.5, "full_jitter": true}"#;
    assert_eq!(from_json(json), Ok(expected));
    assert_eq!(
        Retry::on::<()>()
            .attempt_timeout(ms(1), || ())
            .with_settings(expected)
            .settings(),
        expected
    );
}

#[test]
fn every_key_is_optional() {
    assert_eq!(from_toml(""), Ok(D));
    assert_eq!(from_json("{}"), Ok(D));
    reads(
        "attempts",
        "1",
        Settings {
            attempts: Some(1),
            ..D
        },
    );
    reads(
        "full_jitter",
        "true",
        Settings {
            full_jitter: true,
            ..D
        },
    );
    reads(
        "wait_exp_base",
        "3",
        Settings {
            wait_exp_base: 3.0,
            ..D
        },
    );
}

#[test]
fn a_table_in_a_larger_file() {
    let file: BTreeMap<String, Settings> =
        toml::from_str("[database]\nattempts = 3\n[search]\ntimeout = '1s'\n").unwrap();
    assert_eq!(
        file["database"],
        Settings {
            attempts: Some(3),
            ..D
        }
    );
    assert_eq!(
        file["search"],
        Settings {
            timeout: Some(ms(1000)),
            ..D
        }
    );
}

#[test]
fn durations_have_units() {
    waits(r#""1.5s""#, ms(1500));
    waits(r#""100ms""#, ms(100));
    waits(r#""2m""#, ms(120_000));
    waits(r#""1h""#, ms(3_600_000));
    waits(r#""0.5h""#, ms(1_800_000));
    waits(r#""1d""#, ms(86_400_000));
    waits(r#""250us""#, Duration::from_micros(250));
    waits(r#""250\u00b5s""#, Duration::from_micros(250));
    waits(r#""250\u03bcs""#, Duration::from_micros(250));
    waits(r#""7ns""#, Duration::from_nanos(7));
    waits(r#""0s""#, Duration::ZERO);
    waits(r#""1.5 s""#, ms(1500));
    waits(r#"" 1.5s ""#, ms(1500));
    waits(r#""30""#, ms(30_000));
    waits(r#"".5s""#, ms(500));
    waits(r#""5.s""#, ms(5000));
    waits(r#""007s""#, ms(7000));
}

#[test]
fn plain_numbers_are_seconds_to_the_last_digit() {
    waits("0", Duration::ZERO);
    waits("2", ms(2000));
    waits("1.5", ms(1500));
    waits("0.1", ms(100));
    waits("0.3", ms(300));
    waits("1e3", ms(1_000_000));
    waits("1e-3", ms(1));
    waits("1e-9", Duration::from_nanos(1));
    waits("4.35", ms(4350));
    waits("123456.789", ms(123_456_789));
    waits("1e17", Duration::from_secs(100_000_000_000_000_000));
    // No float holds this one.
    waits("9007199254740993", Duration::from_secs((1 << 53) + 1));
    // The float nearest to 0.1 + 0.2, to the nearest nanosecond.
    waits("0.30000000000000004", ms(300));
}

#[test]
fn what_is_finer_than_a_nanosecond_is_rounded() {
    waits(r#""1.4999999994s""#, Duration::new(1, 499_999_999));
    waits(r#""1.4999999995s""#, ms(1500));
    waits(r#""0.4ns""#, Duration::ZERO);
    waits(r#""0.5ns""#, Duration::from_nanos(1));
    waits("1e-300", Duration::ZERO);
    waits(r#""0.99999999999999999999999999999s""#, ms(1000));
}

#[test]
fn the_longest_duration_is_within_and_more_is_not() {
    waits(r#""18446744073709551615.999999999s""#, Duration::MAX);
    waits(r#""18446744073709551615s""#, Duration::from_secs(u64::MAX));
    for beyond in [
        "18446744073709551615.9999999995s",
        "18446744073709551616s",
        "18446744073709551616000ms",
        "5124095576030432h",
        "99999999999999999999999999999999999999999999999999999h",
    ] {
        let error = from_toml(&format!("timeout = '{beyond}'")).unwrap_err();
        assert!(error.starts_with(&format!(
            "stamina: `timeout` is {beyond:?}, but must be a duration"
        )));
    }
    for beyond in ["1e20", "1e308", "2e19"] {
        let error = from_toml(&format!("timeout = {beyond}")).unwrap_err();
        assert!(error.starts_with("stamina: `timeout` is "), "{error}");
    }
}

#[test]
fn unlimited_lifts_the_limits() {
    reads(
        "attempts",
        r#""unlimited""#,
        Settings {
            attempts: None,
            ..D
        },
    );
    reads("timeout", r#""unlimited""#, Settings { timeout: None, ..D });
    reads("attempt_timeout", r#""unlimited""#, D);
    // Blanks round it, as round numbers and durations.
    reads(
        "timeout",
        r#"" unlimited ""#,
        Settings { timeout: None, ..D },
    );
}

#[test]
fn auto_fits_the_other_settings() {
    for auto in [r#""auto""#, r#"" auto ""#] {
        reads("wait_max", auto, D);
        reads("wait_jitter", auto, D);
    }
    assert_eq!((D.wait_max, D.wait_jitter), (None, None));
}

#[test]
fn numbers_and_flags_may_be_quoted() {
    reads(
        "attempts",
        r#""3""#,
        Settings {
            attempts: Some(3),
            ..D
        },
    );
    reads(
        "wait_exp_base",
        r#""1.25""#,
        Settings {
            wait_exp_base: 1.25,
            ..D
        },
    );
    reads(
        "full_jitter",
        r#""true""#,
        Settings {
            full_jitter: true,
            ..D
        },
    );
    reads("full_jitter", r#""false""#, D);

    // As from environment variables, where everything is a text.
    let variables = [
        ("attempts", "3"),
        ("timeout", "unlimited"),
        ("wait_max", "0.5"),
    ];
    let settings = Settings::deserialize(MapDeserializer::<_, Error>::new(variables.into_iter()));
    let expected = Settings {
        attempts: Some(3),
        timeout: None,
        wait_max: Some(ms(500)),
        ..D
    };
    assert_eq!(settings, Ok(expected));
}

const DURATION: &str = r#"but must be a duration, "1.5s", "100ms", "2m", "1h" or a number of seconds, from 0 to 18446744073709551615.999999999 s"#;

#[test]
fn a_nonsensical_wait_is_named() {
    for (key, or) in [
        ("wait_initial", ""),
        ("wait_max", r#", or "auto""#),
        ("wait_jitter", r#", or "auto""#),
    ] {
        for (value, shown) in [
            ("'5 parsecs'", r#""5 parsecs""#),
            ("'unlimited'", r#""unlimited""#),
            ("''", r#""""#),
            ("'s'", r#""s""#),
            ("'.s'", r#"".s""#),
            ("'-1s'", r#""-1s""#),
            ("'+1s'", r#""+1s""#),
            ("'1e3s'", r#""1e3s""#),
            ("'1e3'", r#""1e3""#),
            ("'Auto'", r#""Auto""#),
            ("'1m30s'", r#""1m30s""#),
            ("'1,5s'", r#""1,5s""#),
            ("'1_000s'", r#""1_000s""#),
            ("'1.2.3s'", r#""1.2.3s""#),
            ("'0x10'", r#""0x10""#),
            ("'1S'", r#""1S""#),
            ("'NaN'", r#""NaN""#),
            ("'inf'", r#""inf""#),
            ("'\u{665}s'", "\"\u{665}s\""),
            ("-1", "-1"),
            ("-9223372036854775808", "-9223372036854775808"),
            ("-0.5", "-0.5"),
            ("-1e300", "-1e300"),
            ("nan", "NaN"),
            ("inf", "inf"),
            ("-inf", "-inf"),
            ("1e300", "1e300"),
            ("true", "true"),
            ("[1]", "a list"),
            ("{ secs = 1, nanos = 5 }", "a table"),
            ("{}", "a table"),
            (r#"{ "$" = 5 }"#, "a table"),
            (r#"{ "$ref" = "5" }"#, "a table"),
            (r#"{ "$serde_json::private" = "5" }"#, "a table"),
        ] {
            refused(
                &format!("{key} = {value}"),
                &format!("stamina: `{key}` is {shown}, {DURATION}{or}"),
            );
        }
    }
    let error = from_toml("wait_max = 1979-05-27").unwrap_err();
    assert!(
        error.starts_with("stamina: `wait_max` is 1979-05-27, but must be a duration"),
        "{error}"
    );
    let error = from_json(r#"{"wait_max": null}"#).unwrap_err();
    assert!(
        error.starts_with("stamina: `wait_max` is null, but must be a duration"),
        "{error}"
    );
    assert!(error.contains(" at line 1 column "), "{error}");
}

#[test]
fn a_nonsensical_timeout_is_told_of_unlimited() {
    for key in ["timeout", "attempt_timeout"] {
        for (value, shown) in [
            ("'never'", r#""never""#),
            ("-1", "-1"),
            ("'Unlimited'", r#""Unlimited""#),
            ("'auto'", r#""auto""#),
        ] {
            refused(
                &format!("{key} = {value}"),
                &format!(r#"stamina: `{key}` is {shown}, {DURATION}, or "unlimited""#),
            );
        }
    }
    for zero in ["0", "'0s'", "'0.1ns'"] {
        refused(
            &format!("attempt_timeout = {zero}"),
            "stamina: `attempt_timeout` is 0, but must be longer (no attempt could succeed); for no limit leave it out (in \
             `Settings` `None`, in a file \"unlimited\")",
        );
    }
    let error = from_json(r#"{"timeout": null}"#).unwrap_err();
    assert!(
        error.contains("`timeout` is null") && error.contains(r#"or "unlimited""#),
        "{error}"
    );
}

#[test]
fn nonsensical_attempts_are_named() {
    for (value, shown) in [
        ("-1", "-1"),
        ("4294967296", "4294967296"),
        ("1.5", "1.5"),
        ("3.0", "3.0"),
        ("'many'", r#""many""#),
        ("'3x'", r#""3x""#),
        ("true", "true"),
        ("nan", "NaN"),
    ] {
        refused(
            &format!("attempts = {value}"),
            &format!(
                r#"stamina: `attempts` is {shown}, but must be a whole number from 1 to 4294967295, or "unlimited""#
            ),
        );
    }
    refused(
        "attempts = 0",
        "stamina: `attempts` is 0, but must be at least 1 (the first attempt counts); for no limit use \
         `unlimited_attempts()` (in `Settings` `None`, in a file \"unlimited\")",
    );
    reads(
        "attempts",
        "4294967295",
        Settings {
            attempts: Some(u32::MAX),
            ..D
        },
    );
}

#[test]
fn a_nonsensical_base_is_named() {
    let range =
        "but must be finite and at least 1 (1 keeps the wait the same, 2 doubles it each time)";
    for (value, shown) in [
        ("0", "0"),
        ("0.5", "0.5"),
        ("-2", "-2"),
        ("nan", "NaN"),
        ("inf", "inf"),
        ("'inf'", "inf"),
        ("'nan'", "NaN"),
    ] {
        refused(
            &format!("wait_exp_base = {value}"),
            &format!("stamina: `wait_exp_base` is {shown}, {range}"),
        );
    }
    for (value, shown) in [("true", "true"), ("'two'", r#""two""#), ("[]", "a list")] {
        refused(
            &format!("wait_exp_base = {value}"),
            &format!(
                "stamina: `wait_exp_base` is {shown}, but must be a finite number of at least 1"
            ),
        );
    }
}

#[test]
fn a_nonsensical_flag_is_named() {
    for (value, shown) in [("1", "1"), ("'yes'", r#""yes""#), ("[true]", "a list")] {
        refused(
            &format!("full_jitter = {value}"),
            &format!("stamina: `full_jitter` is {shown}, but must be true or false"),
        );
    }
}

#[test]
fn unknown_keys_are_refused() {
    refused(
        "atempts = 3",
        "unknown field `atempts`, expected one of `attempts`, `timeout`, `attempt_timeout`, `wait_initial`, `wait_max`, `wait_jitter`, \
         `wait_exp_base`, `full_jitter`",
    );
    let error = from_toml("waits = 'linear'").unwrap_err();
    assert!(
        error.starts_with("unknown field `waits`, expected one of `attempts`"),
        "{error}"
    );
}

#[test]
fn a_key_that_stands_twice_is_refused() {
    let error = from_json(r#"{"attempts": 3, "attempts": 4}"#).unwrap_err();
    assert!(error.starts_with("duplicate field `attempts`"), "{error}");
}

#[test]
fn what_is_no_table_is_refused() {
    for json in [
        "5",
        "[]",
        "[5, 45, 0.1, 5, 1, 2, false]",
        r#""unlimited""#,
        "null",
    ] {
        let error = from_json(json).unwrap_err();
        assert!(
            error.contains("expected a table of retry settings"),
            "{error}"
        );
    }
}

#[test]
fn the_error_of_a_file_shows_the_place() {
    for wrong in [
        "wait_max = '5 parsecs'",
        "wait_exp_base = 0.5",
        "atempts = 3",
    ] {
        let file = format!("[database]\nattempts = 3\n{wrong}\n");
        let error = toml::from_str::<BTreeMap<String, Settings>>(&file)
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("line 3") && error.contains(&format!("3 | {wrong}")),
            "{error}"
        );
    }
}

#[test]
fn numbers_of_serde_json_with_arbitrary_precision_are_read() {
    let number = |text: &'static str| {
        let number =
            MapDeserializer::<_, Error>::new([("$serde_json::private::Number", text)].into_iter());
        Settings::deserialize(MapDeserializer::<_, Error>::new(
            [("timeout", number)].into_iter(),
        ))
    };
    assert_eq!(
        number("1.5"),
        Ok(Settings {
            timeout: Some(ms(1500)),
            ..D
        })
    );
    assert_eq!(
        number("2E-1"),
        Ok(Settings {
            timeout: Some(ms(200)),
            ..D
        })
    );
    assert!(
        number("-1")
            .unwrap_err()
            .to_string()
            .starts_with("stamina: `timeout` is -1, but")
    );
    assert!(
        number("1e999999")
            .unwrap_err()
            .to_string()
            .starts_with("stamina: `timeout` is 1e999999, but")
    );
}

#[track_caller]
fn survives(settings: Settings) {
    let toml = toml::to_string(&settings).unwrap();
    assert_eq!(from_toml(&toml), Ok(settings), "{toml}");
    let json = serde_json::to_string(&settings).unwrap();
    assert_eq!(from_json(&json), Ok(settings), "{json}");
    let value = serde_json::to_value(settings).unwrap();
    assert_eq!(serde_json::from_value::<Settings>(value).unwrap(), settings);
    // PartialEq of floats would not tell; and it must be the same waits.
    assert_eq!(
        from_json(&json).unwrap().wait_exp_base.to_bits(),
        settings.wait_exp_base.to_bits()
    );
}

#[test]
fn what_is_written_is_read_again_the_same() {
    survives(D);
    survives(Settings {
        attempts: None,
        timeout: None,
        full_jitter: true,
        ..D
    });
    survives(Settings {
        attempts: Some(1),
        ..D
    });
    survives(Settings {
        attempts: Some(u32::MAX),
        ..D
    });
    for wait in [
        Duration::ZERO,
        Duration::from_nanos(1),
        Duration::from_nanos(999_999_999),
        Duration::from_micros(1),
        ms(1),
        ms(999),
        ms(1001),
        Duration::new(1, 1),
        Duration::new(u64::MAX, 0),
        Duration::MAX,
    ] {
        survives(Settings {
            timeout: Some(wait),
            attempt_timeout: Some(wait).filter(|wait| !wait.is_zero()),
            wait_initial: wait,
            wait_max: Some(wait),
            wait_jitter: Some(wait),
            ..D
        });
    }
    for base in [
        1.0,
        1.0 + f64::EPSILON,
        1.1,
        2.0,
        10.0,
        std::f64::consts::PI,
        1e15,
        1e16,
        1.5e300,
        f64::MAX,
    ] {
        survives(Settings {
            wait_exp_base: base,
            ..D
        });
    }
}

#[test]
fn any_settings_survive() {
    let mut random = fastrand::Rng::with_seed(4);
    for _ in 0..2000 {
        let mut wait = || {
            let secs = random.u64(..) >> random.u32(..64);
            Duration::new(secs, random.u32(..1_000_000_000))
        };
        let (timeout, attempt_timeout) = (wait(), wait());
        let (wait_initial, wait_max, wait_jitter) = (wait(), wait(), wait());
        let exponent = random.u64(0x3ff..0x7ff) << 52;
        let wait_exp_base = f64::from_bits(exponent | random.u64(..1 << 52));
        survives(Settings {
            attempts: Some(random.u32(1..)),
            timeout: Some(timeout),
            wait_initial,
            attempt_timeout: Some(attempt_timeout).filter(|wait| !wait.is_zero()),
            wait_max: Some(wait_max),
            wait_jitter: Some(wait_jitter),
            wait_exp_base,
            full_jitter: random.bool(),
        });
    }
}

#[test]
fn it_is_written_as_a_person_would() {
    let settings = Settings {
        wait_initial: ms(1500),
        wait_exp_base: 1.2,
        ..D
    };
    assert_eq!(
        toml::to_string(&settings).unwrap(),
        "attempts = 10\ntimeout = \"45s\"\nattempt_timeout = \"unlimited\"\nwait_initial = \"1.5s\"\n\
         wait_max = \"auto\"\nwait_jitter = \"auto\"\nwait_exp_base = 1.2\nfull_jitter = false\n"
    );
    for (wait, written) in [
        (ms(100), "100ms"),
        (ms(1), "1ms"),
        (Duration::from_micros(100_500), "0.1005s"),
        (ms(1001), "1.001s"),
        (ms(2000), "2s"),
        (Duration::ZERO, "0s"),
    ] {
        let settings = Settings {
            wait_initial: wait,
            ..D
        };
        let json = serde_json::to_value(settings).unwrap();
        assert_eq!(json["wait_initial"], written);
    }
}

/// From a format of somebody's own: keys and values that are neither texts nor numbers.
#[test]
fn what_is_no_setting_at_all_is_refused() {
    let number = MapDeserializer::<_, Error>::new([(7_u32, "3")].into_iter());
    assert_eq!(
        Settings::deserialize(number).unwrap_err().to_string(),
        "invalid type: integer `7`, expected a string"
    );
    let bytes = BytesDeserializer::<Error>::new(b"3");
    let bytes = MapDeserializer::new([("attempts", bytes)].into_iter());
    assert_eq!(
        Settings::deserialize(bytes).unwrap_err().to_string(),
        "invalid type: byte array, expected a retry setting"
    );
}

#[test]
fn no_text_makes_it_panic() {
    let pieces = [
        "",
        "-",
        "+",
        ".",
        "0",
        "1",
        "9",
        "99999999999999999999",
        "e",
        "E5",
        "s",
        "ms",
        "h",
        "d",
        "\u{b5}",
        " ",
        "\u{2003}",
        "\0",
        "\"",
        "inf",
        "NaN",
    ];
    let mut random = fastrand::Rng::with_seed(5);
    for _ in 0..20_000 {
        let text: String = (0..random.usize(..6))
            .map(|_| pieces[random.usize(..pieces.len())])
            .collect();
        for key in [
            "attempts",
            "timeout",
            "attempt_timeout",
            "wait_max",
            "wait_exp_base",
            "full_jitter",
        ] {
            let table = MapDeserializer::<_, Error>::new([(key, text.as_str())].into_iter());
            if let Err(error) = Settings::deserialize(table) {
                assert!(
                    error
                        .to_string()
                        .starts_with(&format!("stamina: `{key}` is ")),
                    "{error}"
                );
            }
        }
    }
}

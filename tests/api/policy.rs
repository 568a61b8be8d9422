//! `Retry`: its settings, what reads them back, and which are refused.
#![allow(
    clippy::trivially_copy_pass_by_ref,
    reason = "a predicate is given a reference"
)]

use crate::support;
use crate::support::{ms, panic_message, secs};
use stamina::testing::{Testing, VirtualClock};
use stamina::{Budget, Decision, Retry, Settings, Timer};
use std::sync::Arc;
use std::time::Duration;

fn retryable(error: &u32) -> Decision {
    (*error > 1).into()
}

fn linear(n: u32) -> Duration {
    ms(10).saturating_mul(n)
}

static CLOCK: VirtualClock = VirtualClock::new();
static BUDGET: Budget = Budget::new().named("everything");
/// Every `const` setter at once.
static EVERYTHING: Retry<u32> = Retry::on::<u32>()
    .unlimited_attempts()
    .attempts(7)
    .no_timeout()
    .timeout(secs(8))
    .wait_initial(ms(1))
    .wait_max(ms(900))
    .wait_jitter(ms(30))
    .wait_exp_base(1.5)
    .full_jitter()
    .waits(linear)
    .decide_fn(retryable)
    .budget(&BUDGET)
    .named("everything")
    .timer(Timer::custom(&CLOCK))
    .seed(3)
    .outermost_only();
static COPIED: Retry<()> = Retry::on::<()>().with_settings(EVERYTHING_SETTINGS);
const EVERYTHING_SETTINGS: Settings = Settings {
    attempts: Some(7),
    timeout: Some(secs(8)),
    attempt_timeout: None,
    wait_initial: ms(1),
    wait_max: Some(ms(900)),
    wait_jitter: Some(ms(30)),
    wait_exp_base: 1.5,
    full_jitter: true,
};
static CONSTANT: Retry<()> = Retry::on::<()>().named("constant");
static READ_BACK: (Settings, Option<&str>) = (CONSTANT.settings(), CONSTANT.name());

#[test]
fn the_defaults_are_those_of_the_contract() {
    let defaults = Settings {
        attempts: Some(10),
        timeout: Some(secs(45)),
        attempt_timeout: None,
        wait_initial: ms(100),
        wait_max: None,
        wait_jitter: None,
        wait_exp_base: 2.0,
        full_jitter: false,
    };
    assert_eq!(Settings::DEFAULT, defaults);
    assert_eq!(Settings::default(), defaults);
    let policy = Retry::on::<()>();
    assert_eq!(policy.settings(), defaults);
    assert_eq!(policy.name(), None);
    assert!(policy.get_budget().is_none());
    assert_eq!(READ_BACK, (defaults, Some("constant")));
}

#[test]
fn every_setter_changes_its_own_number_and_no_other() {
    #[track_caller]
    fn sets(policy: &Retry<()>, settings: Settings) {
        assert_eq!(policy.settings(), settings);
    }
    let (on, default) = (Retry::on::<()>, Settings::DEFAULT);
    let attempts = Some(u32::MAX);
    sets(
        &on().attempts(u32::MAX),
        Settings {
            attempts,
            ..default
        },
    );
    let attempts = None;
    sets(
        &on().unlimited_attempts(),
        Settings {
            attempts,
            ..default
        },
    );
    let timeout = Some(Duration::MAX);
    sets(
        &on().timeout(Duration::MAX),
        Settings { timeout, ..default },
    );
    let timeout = None;
    sets(&on().no_timeout(), Settings { timeout, ..default });
    let wait_initial = Duration::MAX;
    sets(
        &on().wait_initial(wait_initial),
        Settings {
            wait_initial,
            ..default
        },
    );
    let wait_max = Duration::ZERO;
    sets(
        &on().wait_max(wait_max),
        Settings {
            wait_max: Some(wait_max),
            ..default
        },
    );
    let wait_jitter = Duration::MAX;
    sets(
        &on().wait_jitter(wait_jitter),
        Settings {
            wait_jitter: Some(wait_jitter),
            ..default
        },
    );
    let wait_exp_base = 1.0;
    sets(
        &on().wait_exp_base(wait_exp_base),
        Settings {
            wait_exp_base,
            ..default
        },
    );
    let full_jitter = true;
    sets(
        &on().full_jitter(),
        Settings {
            full_jitter,
            ..default
        },
    );
    for other in [
        on().named("x"),
        on().seed(1),
        on().waits(linear),
        on().outermost_only(),
    ] {
        sets(&other, default);
    }
}

#[test]
fn the_last_setting_counts() {
    assert_eq!(
        Retry::on::<()>()
            .attempts(3)
            .attempts(4)
            .settings()
            .attempts,
        Some(4)
    );
    assert_eq!(
        Retry::on::<()>()
            .full_jitter()
            .with_settings(Settings::DEFAULT)
            .settings(),
        Settings::DEFAULT
    );
    assert_eq!(Retry::on::<()>().named("a").named("b").name(), Some("b"));
}

#[test]
fn the_order_of_the_setters_does_not_matter() {
    type Setter = fn(Retry<()>) -> Retry<()>;
    let setters: [Setter; 7] = [
        |policy| policy.wait_initial(ms(3)),
        |policy| policy.wait_max(ms(70)),
        |policy| policy.wait_jitter(ms(5)),
        |policy| policy.wait_exp_base(1.7),
        |policy| policy.attempts(9),
        |policy| policy.timeout(ms(40)),
        |policy| policy.seed(4),
    ];
    let own: Setter = |policy| policy.waits(linear);
    let full: Setter = |policy| policy.full_jitter();
    for extra in [&[][..], &[own], &[full], &[own, full]] {
        let mut order: Vec<Setter> = setters.iter().chain(extra).copied().collect();
        let made = |order: &[Setter]| order.iter().fold(Retry::on(), |policy, set| set(policy));
        let expected = made(&order);
        for turn in 0..40 {
            order.rotate_left(1);
            let (one, other) = (turn % order.len(), turn * 7 % 5);
            order.swap(one, other);
            let policy = made(&order);
            assert_eq!(policy.settings(), expected.settings());
            assert!(policy.schedule().eq(expected.schedule()));
            assert_eq!(policy.start().decide(&()), expected.start().decide(&()));
        }
    }
    // All the numbers at once leave the rest as it was.
    let policy = own(Retry::on()).with_settings(Retry::on::<()>().wait_jitter(ms(0)).settings());
    assert_eq!(policy.schedule().nth(2), Some((ms(30), ms(30))));
}

#[test]
fn a_static_holds_every_const_setter() {
    assert_eq!(EVERYTHING.settings(), EVERYTHING_SETTINGS);
    assert_eq!(COPIED.settings(), EVERYTHING_SETTINGS);
    assert_eq!(EVERYTHING.name(), Some("everything"));
    assert!(same(EVERYTHING.get_budget(), &BUDGET));
    assert_eq!(EVERYTHING.call(|| Err::<(), _>(1)), Err(1));
}

fn same(budget: Option<&Budget>, expected: &Budget) -> bool {
    budget.is_some_and(|budget| std::ptr::eq(budget, expected))
}

#[test]
fn a_budget_replaces_a_shared_one_and_the_other_way_round() {
    let shared = Arc::new(Budget::new().floor(8));
    let policy = Retry::on::<()>()
        .budget(&BUDGET)
        .shared_budget(Arc::clone(&shared));
    assert!(same(policy.get_budget(), &shared));
    let policy = policy.budget(&BUDGET);
    assert!(same(policy.get_budget(), &BUDGET));
}

#[test]
fn debug_shows_what_was_set() {
    let text = format!("{EVERYTHING:?}");
    for part in [
        "attempts: Some(7)",
        "timeout: Some(8s)",
        "wait_initial: 1ms",
        "wait_max: Some(900ms)",
        "wait_jitter: Some(30ms)",
        "wait_exp_base: 1.5",
        "full_jitter: true",
        "name: Some(\"everything\")",
        "seed: Some(3)",
        "outermost_only: true",
        "custom",
        "Budget",
    ] {
        assert!(text.contains(part), "no {part} in {text}");
    }
    let closures = Retry::on::<()>().when(|()| true).on_retry(|(), _| {});
    assert_ne!(format!("{closures:?}"), format!("{:?}", Retry::on::<()>()));
    assert_eq!(format!("{:?}", *closures), "Parts { .. }");
}

#[test]
fn a_clone_is_a_policy_of_its_own() {
    let original = Retry::on::<u8>().attempts(3).named("original");
    let copy = original.clone().attempts(4).named("copy");
    assert_eq!(
        (original.settings().attempts, original.name()),
        (Some(3), Some("original"))
    );
    assert_eq!(
        (copy.settings().attempts, copy.name()),
        (Some(4), Some("copy"))
    );
}

#[test]
fn a_check_says_what_the_panic_says() {
    for settings in [
        Settings {
            attempts: Some(0),
            ..Settings::DEFAULT
        },
        Settings {
            attempt_timeout: Some(Duration::ZERO),
            ..Settings::DEFAULT
        },
        Settings {
            wait_exp_base: f64::NAN,
            ..Settings::DEFAULT
        },
    ] {
        let error = settings.check().unwrap_err();
        let policy = Retry::on::<()>().attempt_timeout(secs(1), || ());
        let message = panic_message(|| drop(policy.with_settings(settings)));
        assert_eq!(error.to_string(), message);
        assert_eq!(
            format!("{error:?}"),
            format!("InvalidSettings({message:?})")
        );
        assert_eq!(error, error.clone());
        let error: Box<dyn std::error::Error + Send + Sync> = error.into();
        assert!(error.source().is_none());
    }
    let [none, base] = [Some(0), None].map(|attempts| Settings {
        attempts,
        wait_exp_base: 0.5,
        ..Settings::DEFAULT
    });
    assert_ne!(none.check(), base.check());
    assert_eq!(none.check(), none.check());

    const CHECKED: bool = Settings::DEFAULT.check().is_ok();
    const { assert!(CHECKED) };
    // Every other number is legal.
    for wait in [Duration::ZERO, Duration::MAX] {
        let settings = Settings {
            attempts: Some(1),
            timeout: Some(wait),
            attempt_timeout: Some(Duration::from_nanos(1)),
            wait_initial: wait,
            wait_max: Some(wait),
            wait_jitter: Some(wait),
            wait_exp_base: 1.0,
            full_jitter: true,
        };
        assert_eq!(settings.check(), Ok(()));
    }
}

#[test]
fn nonsense_is_refused_with_setting_value_and_range() {
    #[track_caller]
    fn refused(run: impl FnOnce(), parts: &[&str]) {
        let message = panic_message(run);
        for part in parts {
            assert!(message.contains(part), "no {part:?} in {message:?}");
        }
    }
    let base = |wait_exp_base| {
        move || {
            let _ = Retry::on::<()>().wait_exp_base(wait_exp_base);
        }
    };
    let with = |settings| {
        move || {
            let policy = Retry::on::<()>().attempt_timeout(secs(1), || ());
            let _ = policy.with_settings(settings);
        }
    };
    refused(
        || drop(Retry::on::<()>().attempts(0)),
        &["`attempts` is 0", "at least 1"],
    );
    for (value, name) in [
        (0.0, "0"),
        (-0.0, "-0"),
        (0.999, "0.999"),
        (-2.0, "-2"),
        (f64::NAN, "NaN"),
        (f64::INFINITY, "inf"),
        (f64::NEG_INFINITY, "-inf"),
        (f64::MIN_POSITIVE, "0.000000001"),
        (1.0 - f64::EPSILON, "0.999999999"),
        (-1e300, "-1e18 or beyond"),
    ] {
        let parts = ["`wait_exp_base` is ", name, "finite and at least 1"];
        refused(base(value), &parts);
        let wait_exp_base = value;
        refused(
            with(Settings {
                wait_exp_base,
                ..Settings::DEFAULT
            }),
            &parts,
        );
    }
    let attempts = Some(0);
    refused(
        with(Settings {
            attempts,
            ..Settings::DEFAULT
        }),
        &["`attempts` is 0", "at least 1", "`None`"],
    );
    refused(
        with(Settings {
            attempt_timeout: Some(Duration::ZERO),
            ..Settings::DEFAULT
        }),
        &["`attempt_timeout` is 0", "longer", "`None`"],
    );
    refused(
        || {
            let _ = Testing::attempts(0);
        },
        &["Testing::attempts", "is 0", "at least 1"],
    );
    let ratio = |ratio| move || drop(Budget::new().ratio(ratio));
    for (value, name) in [
        (0.0, "0"),
        (-0.5, "-0.5"),
        (1.5, "1.5"),
        (f64::NAN, "NaN"),
        (f64::INFINITY, "inf"),
    ] {
        refused(
            ratio(value),
            &[
                &format!("`ratio` of a `Budget` is {name}"),
                "from 0.001 to 1",
            ],
        );
    }
    refused(
        || drop(Budget::new().decay(Duration::ZERO)),
        &["`decay`", "is 0"],
    );
}

#[test]
fn a_refusal_points_at_the_caller() {
    let place = Arc::new(std::sync::Mutex::new(String::new()));
    let seen = Arc::clone(&place);
    let (me, others) = (std::thread::current().id(), std::panic::take_hook());
    std::panic::set_hook(Box::new(move |info| {
        if std::thread::current().id() != me {
            return others(info);
        }
        *support::lock(&seen) = info.location().map(ToString::to_string).unwrap_or_default();
    }));
    let _ = std::panic::catch_unwind(|| drop(Retry::on::<()>().attempts(0)));
    drop(std::panic::take_hook());
    assert!(
        support::lock(&place).contains("tests/api/policy.rs"),
        "{}",
        support::lock(&place)
    );
}

#[test]
fn the_ends_of_every_range_are_legal() {
    let extreme = Retry::on::<()>()
        .attempts(1)
        .attempts(u32::MAX)
        .timeout(Duration::ZERO)
        .timeout(Duration::MAX)
        .wait_exp_base(1.0)
        .wait_exp_base(f64::MAX)
        .wait_initial(Duration::MAX)
        .wait_max(Duration::MAX)
        .wait_jitter(Duration::MAX);
    assert_eq!(extreme.schedule().size_hint().0, u32::MAX as usize - 1);
}

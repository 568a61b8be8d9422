//! Whatever the settings, the answers and the numbers: no panic, and every bound holds.

use std::future::ready;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures::executor::block_on;
use proptest::prelude::*;
use stamina::testing::VirtualClock;
use stamina::{Decision, Retry, Settings, StopReason, Timer};

/// Durations of every size, the ends often.
fn durations() -> impl Strategy<Value = Duration> {
    prop_oneof![
        Just(Duration::ZERO),
        Just(Duration::MAX),
        Just(Duration::from_nanos(1)),
        Just(Duration::from_nanos(u64::MAX)),
        (0..64_u32, any::<u64>()).prop_map(|(shift, nanos)| Duration::from_nanos(nanos >> shift)),
        (any::<u64>(), 0..1_000_000_000_u32).prop_map(|(secs, nanos)| Duration::new(secs, nanos)),
    ]
}

fn bases() -> impl Strategy<Value = f64> {
    prop_oneof![
        Just(1.0),
        Just(2.0),
        Just(f64::MAX),
        Just(1.0 + f64::EPSILON),
        1.0..10.0_f64,
        any::<f64>().prop_filter("legal", |base| base.is_finite() && *base >= 1.0),
    ]
}

fn numbers() -> impl Strategy<Value = u32> {
    prop_oneof![
        1..100_u32,
        1..=u32::MAX,
        Just(u32::MAX),
        Just(u32::MAX - 1),
        (0..32_u32).prop_map(|bit| 1 << bit)
    ]
}

fn settings() -> impl Strategy<Value = Settings> {
    (
        prop::option::of(numbers()),
        prop::option::of(durations()),
        durations(),
        durations(),
        durations(),
        bases(),
        any::<bool>(),
    )
        .prop_map(
            |(
                attempts,
                timeout,
                wait_initial,
                wait_max,
                wait_jitter,
                wait_exp_base,
                full_jitter,
            )| Settings {
                attempts,
                timeout,
                attempt_timeout: None,
                wait_initial,
                wait_max: Some(wait_max),
                wait_jitter: Some(wait_jitter),
                wait_exp_base,
                full_jitter,
            },
        )
}

fn decisions() -> impl Strategy<Value = Decision> {
    prop_oneof![
        3 => Just(Decision::Retry),
        1 => Just(Decision::Stop),
        1 => durations().prop_map(Decision::RetryAfter),
        1 => durations().prop_map(Decision::RetryExactly),
    ]
}

/// Schedules of one's own; a function can't capture, so the test picks one of these.
fn own_waits() -> impl Strategy<Value = Option<fn(u32) -> Duration>> {
    prop_oneof![
        3 => Just(None),
        1 => Just(Some((|_| Duration::MAX) as fn(u32) -> Duration)),
        1 => Just(Some((|_| Duration::ZERO) as fn(u32) -> Duration)),
        1 => Just(Some((|n| Duration::from_secs(n.into())) as fn(u32) -> Duration)),
        1 => Just(Some((|n| Duration::new(u64::MAX - u64::from(n), 0)) as fn(u32) -> Duration)),
    ]
}

fn policy(settings: Settings, own: Option<fn(u32) -> Duration>) -> Retry<()> {
    let policy = Retry::on::<()>().with_settings(settings);
    match own {
        Some(own) => policy.waits(own),
        None => policy,
    }
}

/// The longest duration that waits are reckoned in: 584 years.
const LONGEST: Duration = Duration::from_nanos(u64::MAX);

/// The maximum and the jitter, which these tests always set.
fn set(settings: &Settings) -> (Duration, Duration) {
    (settings.wait_max.unwrap(), settings.wait_jitter.unwrap())
}

/// The formula of the contract in a form of its own: seconds in floats, and no cleverness.
fn formula(settings: &Settings, own: Option<fn(u32) -> Duration>, number: u32) -> (f64, f64) {
    let (wait_max, wait_jitter) = set(settings);
    let max = wait_max.min(LONGEST).as_secs_f64();
    let jitter = wait_jitter.min(wait_max).min(LONGEST).as_secs_f64();
    let grown = match own {
        Some(own) => own(number).min(LONGEST).as_secs_f64(),
        None if settings.wait_initial.is_zero() => 0.0,
        None => {
            // The exponent ends at 2^31 - 1.
            let times = i32::try_from(number - 1).unwrap_or(i32::MAX);
            settings.wait_initial.as_secs_f64() * settings.wait_exp_base.powf(f64::from(times))
        }
    };
    if settings.full_jitter {
        return (0.0, grown.min(max));
    }
    let shortest = grown.min(max - jitter);
    (shortest, shortest + jitter)
}

fn close(a: Duration, b: f64) -> bool {
    (a.as_secs_f64() - b).abs() <= b * 1e-9 + 3e-9
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn settings_are_read_back(settings in settings()) {
        prop_assert_eq!(policy(settings, None).settings(), settings);
    }

    #[test]
    fn a_wait_is_within_its_bounds_and_never_above_the_cap(
        settings in settings(),
        own in own_waits(),
        number in numbers(),
        seed in any::<u64>(),
    ) {
        let limits = Settings { attempts: None, timeout: None, ..settings };
        let policy = policy(limits, own);
        let (shortest, longest) = policy.schedule().nth(number as usize - 1).unwrap();
        prop_assert!(shortest <= longest && longest <= set(&settings).0);
        let expected = formula(&settings, own, number);
        prop_assert!(close(shortest, expected.0) && close(longest, expected.1), "{shortest:?} {longest:?} {expected:?}");
        for attempts in [policy.resume(number - 1, Duration::ZERO), policy.resume(number - 1, Duration::MAX).seeded(seed)] {
            let mut attempts = attempts;
            prop_assert_eq!(attempts.next_wait(), Some((shortest, longest)));
            let wait = attempts.decide(&()).unwrap();
            prop_assert!(shortest <= wait && wait <= longest, "{wait:?}");
            let again = policy.clone().seed(seed).resume(number - 1, Duration::ZERO).decide(&());
            prop_assert_eq!(again, policy.resume(number - 1, Duration::ZERO).seeded(seed).decide(&()));
        }
    }

    #[test]
    fn waits_never_shrink_from_retry_to_retry(settings in settings(), number in numbers()) {
        let policy = policy(Settings { attempts: None, ..settings }, None);
        let mut schedule = policy.schedule().skip(number as usize - 1);
        let (one, next) = (schedule.next().unwrap(), schedule.next().unwrap());
        prop_assert!(one.0 <= next.0 && one.1 <= next.1, "{one:?} {next:?}");
    }

    #[test]
    fn chosen_waits_are_exact_and_hints_are_spread_a_little(settings in settings(), wait in durations()) {
        let settings = Settings { attempts: None, timeout: None, ..settings };
        let exact = policy(settings, None).when(move |()| Decision::RetryExactly(wait));
        // Waits end at 584 years.
        let wait = wait.min(LONGEST);
        prop_assert_eq!(exact.start().decide(&()), Ok(wait));
        let hinted = policy(settings, None).when(move |()| Decision::RetryAfter(wait));
        let got = hinted.start().decide(&()).unwrap();
        let (wait_max, wait_jitter) = set(&settings);
        let wait_max = wait_max.min(LONGEST);
        let width = wait_jitter.min(wait_max);
        // A hint is a floor under the policy's own wait without jitter.
        let own = settings.wait_initial.min(wait_max.saturating_sub(width));
        let shortest = wait.max(own);
        let longest = shortest.saturating_add(width).min(LONGEST);
        prop_assert!(shortest <= got && got <= longest, "{shortest:?} {got:?} {longest:?}");
    }

    #[test]
    fn any_schedule_prints_and_ends_when_it_says(settings in settings(), own in own_waits()) {
        let schedule = policy(settings, own).schedule();
        let lines = schedule.to_string().lines().count();
        prop_assert!((2..40).contains(&lines));
        let retries = settings.attempts.map(|attempts| attempts as usize - 1);
        prop_assert_eq!(schedule.size_hint().1, retries);
        if let Some(retries) = retries {
            prop_assert!(schedule.clone().nth(retries).is_none());
            prop_assert!(retries == 0 || schedule.clone().nth(retries - 1).is_some());
        }
    }

    #[test]
    fn a_call_keeps_every_limit(
        settings in settings(),
        own in own_waits(),
        script in prop::collection::vec((durations(), decisions()), 0..30),
        resumed in (numbers(), durations()),
    ) {
        let clock: &'static VirtualClock = Box::leak(Box::default());
        let asked = AtomicU64::new(0);
        let answers: Vec<_> = script.iter().map(|(_, decision)| *decision).collect();
        let policy = Retry::on::<usize>()
            .with_settings(settings)
            .timer(Timer::custom(clock))
            .when(move |attempt| answers[*attempt]);
        let policy = match own {
            Some(own) => policy.waits(own),
            None => policy,
        };
        let operation = || {
            let attempt = usize::try_from(asked.fetch_add(1, Ordering::Relaxed)).unwrap();
            match script.get(attempt) {
                Some((takes, _)) => {
                    clock.advance(*takes);
                    Err(attempt)
                }
                None => Ok(attempt),
            }
        };
        let report = policy.report(operation);
        prop_assert_eq!(u64::from(report.attempts), asked.load(Ordering::Relaxed));
        prop_assert!(settings.attempts.is_none_or(|most| report.attempts <= most));
        prop_assert_eq!(clock.waits().len(), report.attempts as usize - 1);
        prop_assert_eq!(report.result.is_ok(), report.stop_reason.is_none());
        let attempts = report.attempts as usize;
        match report.stop_reason {
            None => prop_assert_eq!(report.result, Ok(script.len())),
            Some(StopReason::NotRetryable) => prop_assert_eq!(script[attempts - 1].1, Decision::Stop),
            Some(StopReason::AttemptsExhausted) => prop_assert_eq!(Some(report.attempts), settings.attempts),
            Some(StopReason::TimedOut) => prop_assert!(settings.timeout.is_some()),
            other => prop_assert!(false, "{other:?}"),
        }
        // The last wait ended before the deadline: only the last attempt may reach past it.
        if let (Some(timeout), true) = (settings.timeout, attempts > 1) {
            let last = script.get(attempts - 1).map_or(Duration::ZERO, |(takes, _)| *takes);
            let began = report.elapsed.saturating_sub(last);
            prop_assert!(began < timeout || report.elapsed == Duration::MAX || last == Duration::MAX, "{began:?}");
        }
        // The same through a future, and from the middle of a call.
        asked.store(0, Ordering::Relaxed);
        let _ = block_on(policy.call_async(|| ready(operation())));
        asked.store(0, Ordering::Relaxed);
        let mut attempts = policy.resume(resumed.0, resumed.1);
        while let Err(error) = operation() {
            if attempts.again(error).is_err() {
                break;
            }
        }
        let _ = (attempts.next_wait(), attempts.elapsed(), attempts.waited(), format!("{attempts:?}"));
    }
}

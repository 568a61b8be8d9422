//! How long to wait: bounds, totals, spread.
#![allow(clippy::unchecked_time_subtraction, reason = "a test may panic")]
#![allow(clippy::cast_precision_loss, reason = "counts of a test are small")]

use crate::support::{clock, ms, secs};
use stamina::{Decision, Retry, Timer};
use std::collections::HashMap;
use std::time::Duration;

/// A policy without limits.
fn endless() -> Retry<()> {
    Retry::on().unlimited_attempts().no_timeout()
}

/// The wait after failed attempt `number`, randomness and all.
fn wait(policy: &Retry<()>, number: u32) -> Duration {
    policy
        .resume(number - 1, Duration::ZERO)
        .decide(&())
        .unwrap()
}

fn seeded(policy: &Retry<()>, number: u32, seed: u64) -> Duration {
    policy
        .resume(number - 1, Duration::ZERO)
        .seeded(seed)
        .decide(&())
        .unwrap()
}

#[track_caller]
fn schedule(policy: &Retry<()>, expected: &[(u64, u64)]) {
    let waits: Vec<_> = policy.schedule().take(expected.len()).collect();
    let expected: Vec<_> = expected.iter().map(|(a, b)| (ms(*a), ms(*b))).collect();
    assert_eq!(waits, expected);
}

#[test]
fn the_bounds_are_those_of_the_contract() {
    schedule(
        &Retry::on(),
        &[
            (100, 1100),
            (200, 1200),
            (400, 1400),
            (800, 1800),
            (1600, 2600),
            (3200, 4200),
            (4000, 5000),
            (4000, 5000),
            (4000, 5000),
        ],
    );
    assert_eq!(Retry::on::<()>().schedule().count(), 9);
}

#[test]
fn real_waits_keep_the_bounds_and_reach_out_to_them() {
    let policy = endless();
    for (number, (shortest, longest)) in (1..=12).zip(policy.schedule()) {
        let waits: Vec<_> = (0..2000).map(|_| wait(&policy, number)).collect();
        let (min, max) = (*waits.iter().min().unwrap(), *waits.iter().max().unwrap());
        assert!(
            shortest <= min && max <= longest,
            "retry {number}: {min:?} to {max:?}"
        );
        assert!(
            min < shortest + ms(20) && longest - ms(20) < max,
            "retry {number}: {min:?} to {max:?}"
        );
    }
}

#[test]
fn without_jitter_it_is_the_plain_exponential() {
    let clock = clock();
    let policy = Retry::on::<()>()
        .wait_jitter(Duration::ZERO)
        .timer(Timer::custom(clock));
    assert_eq!(policy.call(|| Err::<(), _>(())), Err(()));
    assert_eq!(
        clock.waits(),
        [100, 200, 400, 800, 1600, 3200, 5000, 5000, 5000].map(ms)
    );
    assert_eq!(clock.elapsed(), ms(21_300));
}

#[test]
fn own_waits_are_asked_for_the_number_of_the_failed_attempt() {
    let clock = clock();
    let policy = Retry::on::<()>()
        .attempts(5)
        .waits(|n| ms(7) * n)
        .wait_max(ms(20))
        .wait_jitter(Duration::ZERO)
        .timer(Timer::custom(clock));
    assert_eq!(policy.call(|| Err::<(), _>(())), Err(()));
    assert_eq!(clock.waits(), [7, 14, 20, 20].map(ms));
    assert_eq!(wait(&policy, 2), ms(14));
}

/// What was set, and the bounds of the first six waits in milliseconds. What is not in a row was not set.
///
/// By default: `wait_initial` 100 ms, growth 2, `J(n) = min(1 s, 10 * e(n), M / 2)`, `M = max(5 s, wait_initial + J(1))`.
#[test]
#[allow(clippy::too_many_lines, reason = "a table")]
fn the_table_of_waits() {
    type Bounds = [(u64, u64); 6];
    #[track_caller]
    fn row(set: impl FnOnce(Retry<()>) -> Retry<()>, expected: Bounds) {
        schedule(&set(endless()), &expected);
    }
    const ALL_5_S: Bounds = [(5000, 5000); 6];

    // Nothing, or one setting alone: what was not set adapts, what was set holds.
    row(
        |p| p,
        [
            (100, 1100),
            (200, 1200),
            (400, 1400),
            (800, 1800),
            (1600, 2600),
            (3200, 4200),
        ],
    );
    row(
        |p| p.wait_initial(ms(5)),
        [
            (5, 55),
            (10, 110),
            (20, 220),
            (40, 440),
            (80, 880),
            (160, 1160),
        ],
    );
    row(|p| p.wait_initial(secs(30)), [(30_000, 31_000); 6]);
    row(|p| p.wait_initial(secs(5)), [(5000, 6000); 6]);
    row(|p| p.wait_initial(secs(4)), [(4000, 5000); 6]);
    row(|p| p.wait_initial(Duration::ZERO), [(0, 0); 6]);
    row(
        |p| p.wait_max(secs(1)),
        [
            (100, 600),
            (200, 700),
            (400, 900),
            (500, 1000),
            (500, 1000),
            (500, 1000),
        ],
    );
    row(
        |p| p.wait_max(ms(1200)),
        [
            (100, 700),
            (200, 800),
            (400, 1000),
            (600, 1200),
            (600, 1200),
            (600, 1200),
        ],
    );
    row(|p| p.wait_max(ms(50)), [(25, 50); 6]);
    row(|p| p.wait_max(Duration::ZERO), [(0, 0); 6]);
    row(
        |p| p.wait_max(secs(60)),
        [
            (100, 1100),
            (200, 1200),
            (400, 1400),
            (800, 1800),
            (1600, 2600),
            (3200, 4200),
        ],
    );
    row(
        |p| p.wait_jitter(Duration::ZERO),
        [
            (100, 100),
            (200, 200),
            (400, 400),
            (800, 800),
            (1600, 1600),
            (3200, 3200),
        ],
    );
    row(
        |p| p.wait_jitter(ms(30)),
        [
            (100, 130),
            (200, 230),
            (400, 430),
            (800, 830),
            (1600, 1630),
            (3200, 3230),
        ],
    );
    // A jitter that was set is not cut by the default maximum, which grows to hold the first wait.
    row(|p| p.wait_jitter(secs(60)), [(100, 60_100); 6]);
    row(|p| p.wait_exp_base(1.0), [(100, 1100); 6]);
    row(
        |p| p.wait_exp_base(3.0),
        [
            (100, 1100),
            (300, 1300),
            (900, 1900),
            (2700, 3700),
            (4000, 5000),
            (4000, 5000),
        ],
    );
    row(
        |p| p.wait_exp_base(f64::MAX),
        [
            (100, 1100),
            (4000, 5000),
            (4000, 5000),
            (4000, 5000),
            (4000, 5000),
            (4000, 5000),
        ],
    );
    row(
        Retry::full_jitter,
        [(0, 100), (0, 200), (0, 400), (0, 800), (0, 1600), (0, 3200)],
    );
    row(|p| p.fixed(ms(250)), [(250, 250); 6]);
    row(|p| p.fixed(secs(60)), [(60_000, 60_000); 6]);
    row(|p| p.fixed(Duration::ZERO), [(0, 0); 6]);
    row(
        |p| p.waits(|n| ms(7) * n),
        [
            (7, 77),
            (14, 154),
            (21, 231),
            (28, 308),
            (35, 385),
            (42, 462),
        ],
    );
    row(|p| p.waits(|_| secs(60)), [(60_000, 61_000); 6]);
    row(|p| p.waits(|_| Duration::ZERO), [(0, 0); 6]);

    // Two.
    row(
        |p| p.wait_initial(ms(5)).wait_max(ms(50)),
        [(5, 30), (10, 35), (20, 45), (25, 50), (25, 50), (25, 50)],
    );
    row(
        |p| p.wait_initial(ms(5)).wait_jitter(secs(1)),
        [
            (5, 1005),
            (10, 1010),
            (20, 1020),
            (40, 1040),
            (80, 1080),
            (160, 1160),
        ],
    );
    row(
        |p| p.wait_initial(secs(30)).wait_jitter(Duration::ZERO),
        [(30_000, 30_000); 6],
    );
    row(
        |p| p.wait_initial(secs(30)).wait_max(secs(5)),
        [(4000, 5000); 6],
    );
    row(
        |p| p.wait_initial(secs(30)).wait_max(secs(90)),
        [
            (30_000, 31_000),
            (60_000, 61_000),
            (89_000, 90_000),
            (89_000, 90_000),
            (89_000, 90_000),
            (89_000, 90_000),
        ],
    );
    row(
        |p| p.wait_initial(secs(9)).full_jitter(),
        [
            (0, 9000),
            (0, 10_000),
            (0, 10_000),
            (0, 10_000),
            (0, 10_000),
            (0, 10_000),
        ],
    );
    row(|p| p.wait_initial(ms(5)).fixed(ms(250)), [(250, 250); 6]);
    row(|p| p.wait_initial(ms(5)).wait_exp_base(1.0), [(5, 55); 6]);
    // The jitter has room below a maximum that was set; wider than the maximum it is the maximum.
    row(
        |p| p.wait_max(secs(2)).wait_jitter(secs(1)),
        [
            (100, 1100),
            (200, 1200),
            (400, 1400),
            (800, 1800),
            (1000, 2000),
            (1000, 2000),
        ],
    );
    row(|p| p.wait_max(ms(3)).wait_jitter(secs(60)), [(0, 3); 6]);
    row(
        |p| p.wait_max(ms(250)).wait_jitter(Duration::ZERO),
        [
            (100, 100),
            (200, 200),
            (250, 250),
            (250, 250),
            (250, 250),
            (250, 250),
        ],
    );
    row(
        |p| p.wait_max(ms(250)).full_jitter(),
        [(0, 100), (0, 200), (0, 250), (0, 250), (0, 250), (0, 250)],
    );
    row(|p| p.wait_max(ms(20)).fixed(ms(250)), [(250, 250); 6]);
    row(|p| p.fixed(ms(250)).wait_max(ms(20)), [(20, 20); 6]);
    row(
        |p| p.wait_max(ms(20)).waits(|n| ms(7) * n),
        [(7, 17), (10, 20), (10, 20), (10, 20), (10, 20), (10, 20)],
    );
    row(
        |p| p.wait_jitter(ms(30)).full_jitter(),
        [(0, 100), (0, 200), (0, 400), (0, 800), (0, 1600), (0, 3200)],
    );
    row(|p| p.wait_jitter(ms(30)).fixed(ms(250)), [(250, 250); 6]);
    row(|p| p.fixed(ms(250)).wait_jitter(ms(30)), [(250, 280); 6]);
    row(
        |p| p.wait_jitter(ms(30)).waits(|n| ms(7) * n),
        [(7, 37), (14, 44), (21, 51), (28, 58), (35, 65), (42, 72)],
    );
    row(
        |p| p.full_jitter().waits(|n| ms(7) * n),
        [(0, 7), (0, 14), (0, 21), (0, 28), (0, 35), (0, 42)],
    );
    row(|p| p.full_jitter().fixed(ms(250)), [(250, 250); 6]);
    row(|p| p.fixed(ms(250)).full_jitter(), [(0, 250); 6]);
    row(|p| p.waits(|_| secs(9)).fixed(ms(250)), [(250, 250); 6]);
    row(
        |p| p.waits(|_| secs(60)).wait_max(secs(5)),
        [(4000, 5000); 6],
    );

    // Three and more.
    row(
        |p| {
            p.wait_initial(secs(9))
                .wait_jitter(Duration::ZERO)
                .wait_max(secs(5))
        },
        ALL_5_S,
    );
    row(
        |p| {
            p.wait_initial(secs(30))
                .wait_exp_base(1.0)
                .wait_jitter(Duration::ZERO)
        },
        [(30_000, 30_000); 6],
    );
    row(
        |p| {
            p.wait_initial(ms(50))
                .wait_max(ms(400))
                .wait_jitter(ms(100))
        },
        [
            (50, 150),
            (100, 200),
            (200, 300),
            (300, 400),
            (300, 400),
            (300, 400),
        ],
    );
    row(
        |p| {
            p.waits(|_| Duration::MAX)
                .wait_max(secs(5))
                .wait_jitter(Duration::ZERO)
        },
        ALL_5_S,
    );
    row(
        |p| p.waits(|_| secs(9)).wait_max(secs(5)).full_jitter(),
        [(0, 5000); 6],
    );
}

#[test]
fn no_wait_overflows() {
    const MOST: Duration = Duration::from_nanos(u64::MAX);
    for number in [
        1,
        2,
        64,
        65,
        1 << 20,
        i32::MAX as u32,
        i32::MAX as u32 + 1,
        u32::MAX,
    ] {
        let bounds = |policy: Retry<()>| policy.schedule().nth(number as usize - 1).unwrap();
        assert_eq!(bounds(endless_absurd()), (Duration::ZERO, MOST), "{number}");
        assert_eq!(
            bounds(endless().fixed(Duration::MAX)),
            (MOST, MOST),
            "{number}"
        );
        assert_eq!(
            bounds(endless().waits(|_| Duration::MAX)),
            (MOST - secs(1), MOST),
            "{number}"
        );
        let grown = bounds(
            endless()
                .wait_initial(Duration::MAX)
                .wait_exp_base(f64::MAX),
        );
        assert_eq!(grown, (MOST - secs(1), MOST), "{number}");
        let full = bounds(endless().wait_initial(Duration::MAX).full_jitter());
        assert_eq!(full, (Duration::ZERO, MOST), "{number}");
        assert!(
            wait(&endless().fixed(Duration::MAX), number) == MOST,
            "{number}"
        );
    }
}

#[test]
fn waits_that_do_not_grow_are_exact_to_the_nanosecond() {
    // A year and a nanosecond: more digits than a float has.
    let initial = Duration::new(31_536_000, 1);
    for base in [1.0, 2.0] {
        let policy = endless()
            .wait_initial(initial)
            .wait_max(Duration::MAX)
            .wait_jitter(Duration::ZERO)
            .wait_exp_base(base);
        assert_eq!(policy.delays().next(), Some(initial), "base {base}");
    }
    assert_eq!(endless().fixed(initial).delays().nth(9), Some(initial));
}

#[test]
fn a_schedule_has_as_many_items_as_there_can_be_retries() {
    for attempts in [1, 2, 3, 50] {
        let schedule = Retry::on::<()>().attempts(attempts).schedule();
        assert_eq!(
            schedule.size_hint(),
            (attempts as usize - 1, Some(attempts as usize - 1))
        );
        assert_eq!(schedule.count(), attempts as usize - 1);
    }
    let mut ended = Retry::on::<()>().attempts(2).schedule();
    assert_eq!(
        (ended.next().is_some(), ended.next(), ended.next()),
        (true, None, None)
    );
    let longest = Some((secs(4), secs(5)));
    assert_eq!(Retry::on::<()>().schedule().nth(8), longest);
    assert_eq!(Retry::on::<()>().schedule().nth(9), None);
    let most = Retry::on::<()>().attempts(u32::MAX);
    assert_eq!(most.schedule().nth(u32::MAX as usize - 2), longest);
    assert_eq!(most.schedule().nth(u32::MAX as usize - 1), None);
    // Without a limit it has no end, however far one looks.
    for n in [
        100_000,
        u32::MAX as usize - 1,
        u32::MAX as usize,
        usize::MAX,
    ] {
        let mut schedule = endless().schedule();
        assert_eq!(schedule.nth(n), longest, "item {n}");
        assert_eq!(schedule.next(), longest, "after item {n}");
        assert_eq!(schedule.size_hint().1, None);
    }
}

#[test]
fn a_schedule_prints_as_a_table() {
    let text = Retry::on::<()>().schedule().to_string();
    let rows: Vec<Vec<&str>> = text
        .lines()
        .map(|line| line.split_whitespace().collect())
        .collect();
    assert_eq!(rows.len(), 11, "{text}");
    assert_eq!(rows[0][0], "retry");
    assert_eq!(
        rows[1][..7],
        ["1", "0.100", "s", "1.100", "s", "0.100", "to"],
        "{text}"
    );
    assert_eq!(rows[9][..5], ["9", "4.000", "s", "5.000", "s"], "{text}");
    assert!(
        rows[10].contains(&"10") && rows[10].contains(&"45"),
        "{text}"
    );
    // Every row of numbers lines up.
    let column = |line: &str| line.find(" s").unwrap();
    assert!(
        text.lines()
            .skip(1)
            .take(9)
            .all(|line| column(line) == column(text.lines().nth(1).unwrap())),
        "{text}"
    );

    let short = Retry::on::<()>().attempts(1).schedule().to_string();
    assert_eq!(short.lines().count(), 2, "{short}");
    let late = Retry::on::<()>().timeout(secs(1)).schedule().to_string();
    assert!(late.contains("timeout"), "{late}");
    let endless = endless().schedule().to_string();
    assert!(
        endless.contains("no timeout") && endless.contains("without limit"),
        "{endless}"
    );
    assert!(endless.lines().count() < 40, "{endless}");
    let absurd = endless_absurd().schedule().to_string();
    assert!(absurd.lines().count() < 40, "{absurd}");
}

fn endless_absurd() -> Retry<()> {
    endless()
        .wait_initial(Duration::MAX)
        .wait_max(Duration::MAX)
        .wait_jitter(Duration::MAX)
        .wait_exp_base(f64::MAX)
}

/// The greatest distance of a sample from uniform in `[0, 1]`, in units of its chance (Kolmogorov and Smirnov):
/// beyond 2.7 once in a million.
fn distance(mut sample: Vec<f64>) -> f64 {
    sample.sort_by(f64::total_cmp);
    let n = sample.len() as f64;
    let steps = sample.iter().enumerate();
    let most = steps.map(|(i, x)| (x - i as f64 / n).abs().max(((i + 1) as f64 / n - x).abs()));
    most.fold(0.0, f64::max) * n.sqrt()
}

fn share(wait: Duration, (shortest, longest): (Duration, Duration)) -> f64 {
    (wait - shortest).as_secs_f64() / (longest - shortest).as_secs_f64()
}

#[track_caller]
fn uniform(what: &str, waits: impl Iterator<Item = Duration>, bounds: (Duration, Duration)) {
    let sample: Vec<f64> = waits.map(|wait| share(wait, bounds)).collect();
    let n = sample.len() as f64;
    // Neighbours have nothing to do with each other either.
    let neighbours: f64 = sample
        .windows(2)
        .map(|pair| (pair[0] - 0.5) * (pair[1] - 0.5))
        .sum();
    let correlation = 12.0 * neighbours / n.sqrt();
    assert!(
        correlation.abs() < 5.0,
        "{what}: neighbours correlate by {correlation}"
    );
    let distance = distance(sample);
    assert!(distance < 2.7, "{what}: not uniform, {distance}");
}

/// Policies of every kind of jitter, each with an attempt before the cap and one long at it.
fn jittered() -> Vec<(&'static str, Retry<()>)> {
    vec![
        ("default", endless()),
        ("full", endless().full_jitter()),
        ("wider than the cap", endless().wait_jitter(secs(9))),
        ("own waits", endless().waits(|_| Duration::MAX)),
        (
            "full, own waits",
            endless().full_jitter().waits(|n| ms(30) * n),
        ),
        ("slow growth", endless().wait_exp_base(1.01)),
        (
            "short",
            endless()
                .wait_max(ms(2))
                .wait_jitter(ms(1))
                .wait_initial(ms(1)),
        ),
        ("584 years", endless_absurd()),
    ]
}

#[test]
fn waits_are_uniform_between_their_bounds() {
    for (name, policy) in jittered() {
        for number in [1, 5, 30] {
            let bounds = policy.schedule().nth(number as usize - 1).unwrap();
            uniform(
                &format!("{name}, retry {number}, by chance"),
                (0..10_000).map(|_| wait(&policy, number)),
                bounds,
            );
            for (kind, factor) in [
                ("0, 1, 2", 1),
                ("spread out", 0x9E37_79B9_7F4A_7C15_u64),
                ("high bits", 1 << 40),
            ] {
                uniform(
                    &format!("{name}, retry {number}, seeds {kind}"),
                    (0..10_000_u64).map(|seed| seeded(&policy, number, seed.wrapping_mul(factor))),
                    bounds,
                );
            }
        }
    }
}

#[test]
fn the_waits_of_one_seed_are_uniform_over_the_retries() {
    let policy = endless().wait_exp_base(1.0).full_jitter();
    for seed in [0, 1, 2, 42, u64::MAX, 0x9E37_79B9_7F4A_7C15] {
        let waits = (1..20_000).map(|number| seeded(&policy, number, seed));
        uniform(&format!("seed {seed}"), waits, (Duration::ZERO, ms(100)));
    }
}

#[test]
fn different_seeds_have_nothing_to_do_with_each_other() {
    let policy = endless().wait_exp_base(1.0).full_jitter();
    let waits = |seed| (1..=50).map(move |n| (n, seed));
    let mut seen = HashMap::new();
    for (number, seed) in (0..200).flat_map(waits) {
        *seen.entry(seeded(&policy, number, seed)).or_insert(0) += 1;
    }
    // 10,000 draws from 10^8 values: a pair of them is likely, a crowd is not.
    let pairs: u32 = seen.values().map(|count| count - 1).sum();
    assert!(pairs < 8, "{pairs} of 10,000 waits were drawn before");
}

#[test]
fn narrow_jitter_draws_each_of_its_few_values() {
    let policy = endless()
        .wait_initial(Duration::ZERO)
        .wait_jitter(Duration::from_nanos(2));
    let mut counts = [0_u32; 3];
    for _ in 0..30_000 {
        counts[usize::try_from(wait(&policy, 1).as_nanos()).unwrap()] += 1;
    }
    assert!(
        counts.iter().all(|count| count.abs_diff(10_000) < 500),
        "{counts:?}"
    );
}

#[test]
fn nothing_piles_up_at_the_cap_or_anywhere() {
    for (name, policy) in jittered() {
        for number in [1, 7, 11, 100, u32::MAX] {
            let (_, longest) = policy.schedule().nth(number as usize - 1).unwrap();
            let mut counts: HashMap<_, u32> = HashMap::new();
            for _ in 0..5000 {
                *counts.entry(wait(&policy, number)).or_default() += 1;
            }
            assert!(
                counts.get(&longest).copied().unwrap_or(0) <= 2,
                "{name}, retry {number}: at the cap"
            );
            assert!(
                counts.values().all(|count| *count <= 5),
                "{name}, retry {number}: in step"
            );
        }
    }
}

#[test]
fn the_spread_on_top_of_a_hint_is_uniform_too() {
    for policy in [endless(), endless().full_jitter()] {
        let policy = policy.when(|()| Decision::RetryAfter(secs(30)));
        let (shortest, longest) = (secs(30), secs(31));
        uniform(
            "hint by chance",
            (0..20_000).map(|_| wait(&policy, 3)),
            (shortest, longest),
        );
        uniform(
            "hint by seed",
            (0..20_000).map(|seed| seeded(&policy, 3, seed)),
            (shortest, longest),
        );
    }
}

#[test]
fn a_seed_makes_every_call_draw_the_same_waits() {
    let clock = clock();
    let policy = Retry::on::<()>()
        .seed(7)
        .no_timeout()
        .timer(Timer::custom(clock));
    let of = |call: &dyn Fn()| {
        let before = clock.waits().len();
        call();
        clock.waits()[before..].to_vec()
    };
    let fail = |policy: &Retry<()>| assert_eq!(policy.call(|| Err::<(), _>(())), Err(()));
    let first = of(&|| fail(&policy));
    assert_eq!(first.len(), 9);
    assert_eq!(of(&|| fail(&policy)), first);
    assert_eq!(of(&|| fail(&policy.clone())), first);
    assert_ne!(of(&|| fail(&policy.clone().seed(8))), first);

    // `seeded` is the same sequence for one call, wins over the policy's, and may come after it was resumed.
    let plain = Retry::on::<()>().no_timeout();
    let sequence = |policy: &Retry<()>, seed| {
        let mut attempts = policy.start().seeded(seed);
        std::iter::from_fn(move || attempts.decide(&()).ok()).collect::<Vec<_>>()
    };
    assert_eq!(sequence(&plain, 7), first);
    assert_eq!(sequence(&plain.clone().seed(8), 7), first);
    assert_ne!(sequence(&plain.clone().seed(7), 8), first);
    let mut resumed = plain.resume(4, Duration::ZERO).seeded(7);
    assert_eq!(resumed.decide(&()), Ok(first[4]));
    // A seed of one call leaves no trace in the policy.
    assert_ne!(sequence(&plain, 1), first);
    assert_ne!(wait(&plain, 1), wait(&plain, 1));
}

#[test]
fn clones_and_calls_draw_their_own_jitter() {
    let policy = endless();
    let mut waits: Vec<_> = (0..100).map(|_| wait(&policy.clone(), 1)).collect();
    waits.sort();
    waits.dedup();
    assert!(waits.len() > 95, "{} different waits of 100", waits.len());
}

#[test]
fn the_table_marks_the_retries_that_the_timeout_leaves_no_time_for() {
    let policy = Retry::on::<()>()
        .attempts(4)
        .wait_initial(Duration::from_secs(1))
        .wait_exp_base(1.0)
        .wait_jitter(Duration::ZERO)
        .timeout(Duration::from_secs(2));
    let table = policy.schedule().to_string();
    let marked: Vec<bool> = table
        .lines()
        .skip(1)
        .take(3)
        .map(|row| row.ends_with("(past the timeout)"))
        .collect();
    // They begin after 1, 2 and 3 s at the soonest; at the timeout is too late.
    assert_eq!(marked, [false, true, true], "{table}");
}

#[test]
fn the_table_keeps_its_columns_apart_and_says_what_it_leaves_out() {
    let table = |policy: Retry<()>| policy.schedule().to_string();
    let long = Retry::on::<()>()
        .attempts(3)
        .wait_jitter(Duration::ZERO)
        .no_timeout();
    let hours = table(
        long.clone()
            .wait_initial(Duration::from_secs(10_000))
            .wait_max(Duration::MAX),
    );
    let columns: Vec<_> = hours.lines().nth(2).unwrap().split_whitespace().collect();
    assert_eq!(
        columns.join(" "),
        "2 20000.000 s 20000.000 s 30000.000 to 30000.000 s"
    );
    let ages = table(
        long.clone()
            .wait_initial(Duration::MAX)
            .wait_max(Duration::MAX),
    );
    assert!(
        ages.contains("\n    1 18446744073.710 s 18446744073.710 s "),
        "{ages}"
    );

    let end = |attempts| {
        let table = table(long.clone().attempts(attempts));
        (
            table.lines().count() - 2,
            table.lines().last().unwrap().to_owned(),
        )
    };
    assert_eq!(end(1), (0, "at most 1 attempt, no timeout".into()));
    assert_eq!(end(2), (1, "at most 2 attempts, no timeout".into()));
    assert_eq!(end(21), (20, "at most 21 attempts, no timeout".into()));
    assert_eq!(
        end(23),
        (20, "and 2 more: at most 23 attempts, no timeout".into())
    );
}

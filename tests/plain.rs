//! As production runs: no scope, no switch, no hook but the default ones, anywhere in this process.
//!
//! Such calls take a shorter way through the library. Random scripts come to the same on it as they do on the long way.

mod scene;
mod script;

use script::{DRIVERS, Driver, Ending, Mode, Outcome, Script, Stage, made};
use stamina::{Clock, Retry, Settings, Timer};
use std::time::Duration;

/// Everything there is to see of a run.
#[derive(Debug, PartialEq)]
struct Seen {
    outcome: Outcome,
    attempts: usize,
    waits: Vec<Duration>,
    logged: Vec<String>,
    balance: Option<String>,
}

fn run(script: &Script, driver: Driver) -> Seen {
    let stage = Stage::new(script);
    logged::take();
    let Ending(outcome, _) = driver(&stage);
    let budget = stage.budget.as_ref();
    Seen {
        outcome,
        attempts: made(&stage),
        waits: stage.clock.waits(),
        logged: logged::take(),
        balance: budget.map(|budget| format!("{:.6}", budget.balance(stage.clock.now()))),
    }
}

#[cfg(feature = "log")]
mod logged {
    use log::{LevelFilter, Log, Metadata, Record};
    use std::cell::RefCell;
    use std::sync::Once;

    thread_local! {
        static LINES: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
    }

    struct Capture;

    impl Log for Capture {
        fn enabled(&self, _: &Metadata<'_>) -> bool {
            true
        }

        fn log(&self, record: &Record<'_>) {
            // Where the predicate sees the outcome, so does the log.
            let line = record.args().to_string().replace("Err(Fault", "(Fault");
            let line = line
                .replace(")))", "))")
                .replace("caused_by=(Fault", "caused_by=Fault");
            LINES.with_borrow_mut(|lines| lines.push(line.trim_end_matches(')').to_owned()));
        }

        fn flush(&self) {}
    }

    pub(crate) fn take() -> Vec<String> {
        static INSTALL: Once = Once::new();
        INSTALL.call_once(|| {
            log::set_logger(&Capture).unwrap();
            log::set_max_level(LevelFilter::Info);
        });
        LINES.take()
    }
}

#[cfg(not(feature = "log"))]
mod logged {
    pub(crate) fn take() -> Vec<String> {
        Vec::new()
    }
}

#[test]
fn the_short_way_comes_to_the_same() {
    let mut rng = fastrand::Rng::with_seed(26_11);
    let mut logged = 0;
    for _ in 0..2000 {
        let random = Script::random(&mut rng);
        // Nothing may depend on chance here.
        let settings = Settings {
            wait_jitter: Some(Duration::ZERO),
            full_jitter: false,
            ..random.settings
        };
        let plain = Script {
            settings,
            seed: None,
            mode: Mode::Normal,
            ..random
        };
        // A seed without any jitter changes nothing but the way.
        let seeded = Script {
            seed: Some(1),
            ..plain.clone()
        };
        let expected = run(&seeded, DRIVERS[0].1);
        logged += expected.logged.len();
        for (name, driver) in DRIVERS {
            assert_eq!(
                run(&plain, *driver),
                expected,
                "{name} on the short way, {plain:#?}"
            );
            assert_eq!(
                run(&seeded, *driver),
                expected,
                "{name} on the long way, {plain:#?}"
            );
        }
    }
    assert!(logged > 1000 || cfg!(not(feature = "log")), "{logged}");
}

#[test]
fn waits_by_chance_keep_their_bounds_and_reach_out_to_them() {
    let clock = scene::clock();
    let policy = Retry::on::<()>().no_timeout().timer(Timer::custom(clock));
    for _ in 0..1000 {
        assert_eq!(policy.call(|| Err::<(), _>(())), Err(()));
    }
    let waits = clock.waits();
    for (retry, (shortest, longest)) in policy.schedule().enumerate() {
        let mut drawn: Vec<_> = waits.iter().skip(retry).step_by(9).collect();
        drawn.sort();
        let (min, max) = (*drawn[0], *drawn[drawn.len() - 1]);
        let edge = scene::ms(20);
        assert!(shortest <= min && max <= longest, "{min:?} {max:?}");
        assert!(
            min < shortest + edge && longest < max + edge,
            "{min:?} {max:?}"
        );
        drawn.dedup();
        assert!(drawn.len() > 990, "only {} different waits", drawn.len());
    }
}

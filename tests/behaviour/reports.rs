//! What a policy reports and to whom: `quiet`, `describe`, the names of outcomes, one line for each record.

use std::fmt::{self, Display};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::support::drivers::{drivers, outcome_drivers, through_all};
use crate::support::{Event, Recorder, clock, lock};
use stamina::{Retry, Timer};

fn policy() -> Retry<&'static str> {
    Retry::on::<&str>()
        .attempts(3)
        .timer(Timer::custom(clock()))
}

/// What an event shows of the error, and the type that it names.
fn shown(event: &Event) -> (&str, &'static str) {
    match event {
        Event::Retry {
            caused_by,
            error_type,
            ..
        }
        | Event::GaveUp {
            caused_by,
            error_type,
            ..
        } => (caused_by, error_type),
        Event::Recovered { .. } => panic!("{event:?}"),
    }
}

#[test]
fn a_quiet_policy_tells_only_its_own_hook() {
    let (recorder, _hooks) = Recorder::here();
    let own = Arc::new(Mutex::new(Vec::new()));
    let quiet = |timer| {
        let own = Arc::clone(&own);
        let policy = Retry::on::<&'static str>().attempts(3).timer(timer).quiet();
        policy.on_retry(move |error, details| lock(&own).push((*error, details.retry_num)))
    };
    for (name, driver) in drivers() {
        let policy = quiet(Timer::custom(clock()));
        assert_eq!(driver(&policy, &|| Err("down")), Err("down"));
        assert_eq!(
            std::mem::take(&mut *lock(&own)),
            [("down", 1), ("down", 2)],
            "{name}"
        );
    }
    // Not a word of a recovery either, nor by outcome.
    through_all(quiet, |name, _, run| {
        let failed = std::cell::Cell::new(false);
        let once = || {
            if failed.replace(true) {
                Ok(7)
            } else {
                Err("down")
            }
        };
        assert_eq!(run(&once), Ok(7), "{name}");
        assert_eq!(run(&|| Err("down")), Err("down"), "{name}");
    });
    assert!(recorder.take().is_empty());
    // The same without `quiet` reports it all.
    assert_eq!(policy().call(|| Err::<(), _>("down")), Err("down"));
    assert_eq!(recorder.take().len(), 3);
}

#[test]
fn describe_takes_the_place_of_debug_everywhere() {
    #[derive(Clone)]
    struct Secretive;
    impl fmt::Debug for Secretive {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("authorization: Bearer 123")
        }
    }
    impl Display for Secretive {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("refused")
        }
    }
    let (recorder, _hooks) = Recorder::here();
    let own = Arc::new(Mutex::new(String::new()));
    for (name, driver) in drivers() {
        let seen = Arc::clone(&own);
        let policy = Retry::on::<Secretive>()
            .attempts(2)
            .describe(Display::fmt)
            .on_retry(move |_, details| *lock(&seen) = format!("{:?}", details.caused_by))
            .timer(Timer::custom(clock()));
        assert!(driver(&policy, &|| Err(Secretive)).is_err());
        let events = recorder.take();
        assert_eq!(events.len(), 2, "{name}");
        for event in &events {
            assert_eq!(shown(event).0, "refused", "{name}");
        }
        assert_eq!(*lock(&own), "refused", "{name}");
    }
    for (name, driver) in outcome_drivers() {
        let policy = Retry::on::<Result<u8, Secretive>>()
            .attempts(2)
            .describe(|_, f| f.write_str("refused"))
            .timer(Timer::custom(clock()));
        assert!(driver(&policy, &|| Err(Err(Secretive))).is_err());
        let events = recorder.take();
        assert_eq!(events.len(), 2, "{name}");
        assert!(
            events.iter().all(|event| shown(event).0 == "refused"),
            "{name}"
        );
    }
}

#[test]
fn an_outcome_is_named_by_the_type_that_failed() {
    let (recorder, _hooks) = Recorder::here();
    for (name, driver) in outcome_drivers() {
        let policy = Retry::on::<Result<u8, &str>>()
            .attempts(2)
            .when(|_| true)
            .timer(Timer::custom(clock()));
        let _ = driver(&policy, &|| Ok(5));
        let _ = driver(&policy, &|| Err(Err("down")));
        let events = recorder.take();
        let shown: Vec<_> = events.iter().map(shown).collect();
        let (ok, error) = (("Ok(5)", "u8"), ("Err(\"down\")", "&str"));
        assert_eq!(shown, [ok, ok, error, error], "{name}");
    }
}

#[test]
fn whatever_an_error_writes_it_is_one_line_of_at_most_1024_bytes() {
    /// Writes line after line, and says how many.
    struct Chatty(Arc<Mutex<usize>>, &'static str);
    impl fmt::Debug for Chatty {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            for _ in 0..100_000 {
                f.write_str(self.1)?;
                *lock(&self.0) += 1;
            }
            Ok(())
        }
    }
    let (recorder, _hooks) = Recorder::here();
    for (part, shown_of_it, parts) in [
        ("one\ntwo", "one", 1),
        ("one\r\ntwo", "one", 1),
        ("0123456789abcdef", "0123456789abcdef", 65),
        (
            "\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}",
            "\u{e9}",
            65,
        ),
    ] {
        let written = Arc::new(Mutex::new(0));
        let policy = Retry::on::<Chatty>().attempts(1);
        let error = || Chatty(Arc::clone(&written), part);
        policy.call(|| Err::<(), _>(error())).unwrap_err();
        let events = recorder.take();
        let (text, _) = shown(&events[0]);
        assert!(text.starts_with(shown_of_it), "{text}");
        assert!(text.len() <= 1024 && !text.contains(['\n', '\r']), "{text}");
        assert!(text.ends_with("..."), "{text}");
        let full = if parts == 1 { "one...".len() } else { 1011 };
        assert!(text.len() >= full, "{}", text.len());
        assert!(
            *lock(&written) <= parts,
            "{part:?} was written {} times",
            lock(&written)
        );
    }
}

#[test]
fn a_resumed_call_that_must_not_retry_has_not_recovered() {
    let (recorder, _hooks) = Recorder::here();
    let succeed = |policy: &Retry<&'static str>| policy.resume(1, Duration::ZERO).succeed(());
    succeed(&policy());
    assert_eq!(recorder.short(), ["recovered 2"]);
    let inner = || {
        succeed(&policy().outermost_only());
        Ok(())
    };
    policy().call(inner).unwrap();
    let _off = stamina::testing::inactive();
    succeed(&policy());
    assert_eq!(recorder.take(), []);
}

//! A nonsensical setting is refused where it is set, with its name, its value and its range.

use std::time::Duration;

use crate::support::{panic_message, secs};
use stamina::{Budget, Retry, Settings};

#[track_caller]
fn refused<T>(set: impl FnOnce() -> T, message: &str) {
    assert_eq!(panic_message(|| drop(set())), message);
}

#[test]
fn times_of_zero_that_nothing_could_meet() {
    refused(
        || Retry::on::<()>().attempt_timeout(Duration::ZERO, || ()),
        "stamina: `attempt_timeout` is 0, but must be longer (no attempt could succeed); for no limit leave it out \
         (in `Settings` `None`, in a file \"unlimited\")",
    );
    refused(
        || {
            let call = Retry::on::<()>();
            let operation = || std::future::ready(Ok::<(), ()>(()));
            drop(
                call.call_async(operation)
                    .attempt_timeout(Duration::ZERO, || ()),
            );
        },
        "stamina: `attempt_timeout` is 0, but must be longer (no attempt could succeed); for no limit leave it out \
         (in `Settings` `None`, in a file \"unlimited\")",
    );
    refused(
        || Retry::on::<()>().reset_after(Duration::ZERO),
        "stamina: `reset_after` is 0, but must be longer (the time that a session must run to count as healthy)",
    );
}

#[test]
fn an_attempt_timeout_without_an_error() {
    let settings = Settings {
        attempt_timeout: Some(secs(1)),
        ..Settings::DEFAULT
    };
    assert_eq!(settings.check(), Ok(()), "it is legal by itself");
    refused(
        || Retry::on::<()>().with_settings(settings),
        "stamina: `attempt_timeout` is set in the `Settings`, but this policy has no error for it: call \
         `attempt_timeout(duration, error)` before `with_settings`",
    );
    // The error of another error type is none.
    let policy = Retry::on::<u8>().attempt_timeout(secs(1), || 0);
    refused(
        || policy.for_error::<()>().with_settings(settings),
        "stamina: `attempt_timeout` is set in the `Settings`, but this policy has no error for it: call \
         `attempt_timeout(duration, error)` before `with_settings`",
    );
}

#[test]
fn of_budgets() {
    refused(
        || Budget::new().earned_after(Duration::ZERO),
        "stamina: `earned_after` of a `Budget` is 0, but must be longer (for no retries from the floor use `floor(0)`)",
    );
}

#[test]
fn what_is_legal_at_the_ends() {
    let policy = Retry::on::<()>()
        .attempt_timeout(Duration::from_nanos(1), || ())
        .attempt_timeout(Duration::MAX, || ())
        .reset_after(Duration::from_nanos(1))
        .reset_after(Duration::MAX)
        .fixed(Duration::ZERO)
        .fixed(Duration::MAX);
    assert_eq!(policy.settings().attempt_timeout, Some(Duration::MAX));
    assert_eq!(policy.settings().wait_initial, Duration::MAX);
}

//! If nobody listens, no details are made. This shows when a call recovers, because the details of that need one more
//! look at the clock. The file has one test, because there is one logger, and an open scope of another test listens too.
//!
//! Alone in its process: it installs a logger and a recorder that are off.
#![cfg(all(feature = "log", feature = "metrics"))]

mod support;

use std::cell::Cell;
use std::time::Duration;

use log::{LevelFilter, Log, Metadata, Record};
use metrics_util::debugging::DebuggingRecorder;
use stamina::Retry;
use support::ManualClock;

/// A logger that drops what it gets.
struct Ear;

impl Log for Ear {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn log(&self, _: &Record<'_>) {}

    fn flush(&self) {}
}

/// How often a call looks at the clock that succeeds at its second attempt.
fn looks() -> u32 {
    let clock = ManualClock::new();
    let policy = Retry::on::<&str>()
        .timer(clock.timer())
        .wait_jitter(Duration::ZERO);
    let failed = Cell::new(false);
    let fails_once = || {
        if failed.replace(true) {
            Ok(())
        } else {
            Err("down")
        }
    };
    assert_eq!(policy.call(fails_once), Ok(()));
    clock.reads()
}

#[test]
fn if_nobody_listens_no_details_are_made() {
    // At the start, and to check the deadline.
    let needed = 2;
    assert_eq!(looks(), needed, "neither logger nor recorder");

    let recorder = DebuggingRecorder::new();
    metrics::with_local_recorder(&recorder, || assert_eq!(looks(), needed + 1));
    assert_eq!(looks(), needed, "the recorder is gone");

    log::set_logger(&Ear).unwrap();
    assert_eq!(looks(), needed, "the level of the process is off");
    log::set_max_level(LevelFilter::Warn);
    assert_eq!(looks(), needed, "the process logs only what is worse");
    log::set_max_level(LevelFilter::Info);
    assert_eq!(looks(), needed + 1);
}

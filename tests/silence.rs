//! Where nobody listens nothing is put together for telemetry. It shows where a call recovers: what is told of that takes
//! a look at the clock. A file with one test, because the logger is the process's, and whoever enters a scope listens.
#![cfg(all(feature = "log", feature = "metrics"))]

mod scene;

use std::cell::Cell;
use std::sync::Mutex;
use std::time::Duration;

use log::{Level, LevelFilter, Log, Metadata, Record};
use metrics_util::debugging::DebuggingRecorder;
use scene::{Steered, lock};
use stamina::Retry;

/// Hears the library from this level on.
struct Ear(Mutex<Option<Level>>);

static EAR: Ear = Ear(Mutex::new(None));

impl Log for Ear {
    fn enabled(&self, record: &Metadata<'_>) -> bool {
        lock(&self.0).is_some_and(|level| record.level() <= level)
    }

    fn log(&self, _: &Record<'_>) {}

    fn flush(&self) {}
}

/// How often a call looks at the clock that succeeds at its second attempt.
fn looks() -> u32 {
    let clock = Steered::new();
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
fn where_nobody_listens_nothing_is_put_together() {
    // At the start, and when the deadline is weighed.
    let weighed = 2;
    assert_eq!(looks(), weighed, "neither logger nor recorder");

    let recorder = DebuggingRecorder::new();
    metrics::with_local_recorder(&recorder, || assert_eq!(looks(), weighed + 1));
    assert_eq!(looks(), weighed, "no recorder any more");

    log::set_logger(&EAR).unwrap();
    assert_eq!(looks(), weighed, "the level of the process is off");
    log::set_max_level(LevelFilter::Trace);
    assert_eq!(looks(), weighed, "the logger hears nothing of the library");
    *lock(&EAR.0) = Some(Level::Warn);
    assert_eq!(looks(), weighed, "the logger hears only what is worse");
    *lock(&EAR.0) = Some(Level::Info);
    assert_eq!(looks(), weighed + 1);
    log::set_max_level(LevelFilter::Warn);
    assert_eq!(looks(), weighed, "the process hears only what is worse");
}

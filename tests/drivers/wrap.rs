//! `wrap`, `wrap_async`: the decorators.

use crate::support::clock;
use futures::executor::block_on;
use stamina::{Retry, Timer};
use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

fn policy() -> Retry<String> {
    Retry::on().attempts(3).timer(Timer::custom(clock()))
}

fn half(number: u32) -> Result<u32, String> {
    if number % 2 == 0 {
        Ok(number / 2)
    } else {
        Err(format!("{number} is odd"))
    }
}

#[test]
fn it_has_the_shape_of_what_it_wraps() {
    let wrapped = policy().wrap(half);
    assert_eq!(
        (wrapped(8), wrapped(7)),
        (Ok(4), Err("7 is odd".to_owned()))
    );
    let asynchronous = policy().wrap_async(async |number| half(number));
    assert_eq!(block_on(asynchronous(8)), Ok(4));
    assert_eq!(block_on(asynchronous(7)), Err("7 is odd".to_owned()));
}

#[test]
fn it_retries() {
    let calls = Cell::new(0);
    let wrapped = policy().wrap(|enough: u32| {
        calls.set(calls.get() + 1);
        if calls.get() < enough {
            Err("down".to_owned())
        } else {
            Ok(calls.get())
        }
    });
    assert_eq!(wrapped(3), Ok(3));
    calls.set(0);
    assert_eq!(wrapped(4), Err("down".to_owned()));
    // Each call starts afresh.
    assert_eq!((wrapped(4), calls.get()), (Ok(4), 4));
}

#[test]
fn the_argument_is_cloned_for_each_attempt() {
    struct Counted(Arc<AtomicU32>);
    impl Clone for Counted {
        fn clone(&self) -> Self {
            self.0.fetch_add(1, Ordering::Relaxed);
            Self(Arc::clone(&self.0))
        }
    }
    let clones = Arc::new(AtomicU32::new(0));
    let wrapped = policy().wrap(|(_, name): (Counted, String)| Err::<(), _>(name));
    assert_eq!(
        wrapped((Counted(Arc::clone(&clones)), "x".to_owned())),
        Err("x".to_owned())
    );
    assert!(clones.load(Ordering::Relaxed) <= 3);
    let wrapped = policy().wrap_async(|(_, name): (Counted, String)| async { Err::<(), _>(name) });
    assert_eq!(
        block_on(wrapped((Counted(Arc::clone(&clones)), "x".to_owned()))),
        Err("x".to_owned())
    );
}

#[test]
fn it_keeps_its_policy_and_can_go_anywhere() {
    let wrapped = {
        let policy = policy().attempts(2);
        policy.wrap(half)
    };
    std::thread::spawn(move || assert!(wrapped(7).is_err()))
        .join()
        .unwrap();

    let asynchronous = {
        let policy = policy().attempts(2);
        policy.wrap_async(|number| async move { half(number) })
    };
    let futures: Vec<_> = (0..4).map(&asynchronous).collect();
    drop(asynchronous);
    let results: Vec<_> = futures
        .into_iter()
        .map(|future| block_on(future).ok())
        .collect();
    assert_eq!(results, [Some(0), None, Some(1), None]);
}

#[tokio::test]
async fn its_futures_can_be_spawned() {
    let fetch = Arc::new(policy().wrap_async(|number| async move {
        tokio::task::yield_now().await;
        half(number)
    }));
    let tasks: Vec<_> = (0..10)
        .map(|number| tokio::spawn(fetch(number * 2)))
        .collect();
    for (number, task) in (0..).zip(tasks) {
        assert_eq!(task.await.unwrap(), Ok(number));
    }
}

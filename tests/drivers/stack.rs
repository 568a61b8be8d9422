//! How often a call keeps an outcome on the stack: a large one multiplies, and a thread's stack is 2 MB.
//!
//! `cargo test --test drivers stack -- --nocapture` prints the figures of a debug build, with `--release` those of an optimised one.

use std::cell::Cell;
use std::fmt;
use std::hint::black_box;

use futures::executor::block_on;
use stamina::Retry;
use stamina::testing::{self, Testing};

/// An error of so many bytes, by value.
struct Large<const BYTES: usize>([u8; BYTES]);

impl<const BYTES: usize> fmt::Debug for Large<BYTES> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes", self.0.len())
    }
}

thread_local! {
    static DEEPEST: Cell<usize> = const { Cell::new(usize::MAX) };
}

/// Where the stack is now.
#[inline(never)]
fn here() -> usize {
    let place = 0_u8;
    std::ptr::from_ref(black_box(&place)).addr()
}

#[inline(never)]
fn fails<const BYTES: usize>() -> Result<(), Large<BYTES>> {
    DEEPEST.set(DEEPEST.get().min(here()));
    black_box(Err(Large([1; BYTES])))
}

/// How much of the stack a call takes, down to where its operation is.
#[inline(never)]
fn takes(call: impl FnOnce()) -> usize {
    DEEPEST.set(usize::MAX);
    let top = here();
    call();
    top.checked_sub(DEEPEST.get()).unwrap()
}

type Taken = [(&'static str, usize); 6];

fn taken<const BYTES: usize>() -> Taken {
    let policy = Retry::on::<Large<BYTES>>();
    let cut = std::time::Duration::from_secs(1);
    let block = || {
        let mut attempts = policy.start();
        while let Err(error) = fails::<BYTES>() {
            if attempts.again(error).is_err() {
                break;
            }
        }
    };
    let is_down = |result: Result<(), Large<BYTES>>| assert!(black_box(result).is_err());
    [
        ("no call", takes(|| is_down(fails()))),
        ("call", takes(|| is_down(policy.call(fails)))),
        ("a code block", takes(block)),
        (
            "call_async",
            takes(|| is_down(block_on(policy.call_async(|| async { fails() })))),
        ),
        (
            "attempt_timeout",
            takes(|| {
                let call = policy.call_async(|| async { fails() });
                is_down(block_on(call.attempt_timeout(cut, || Large([2; BYTES]))));
            }),
        ),
        (
            "call_async_with",
            takes(|| {
                is_down(block_on(
                    policy.call_async_with(&mut (), async |()| fails()),
                ));
            }),
        ),
    ]
}

#[test]
fn an_outcome_is_kept_a_few_times() {
    const SMALL: usize = 1 << 12;
    const LARGE: usize = 1 << 14;
    let _no_waits = testing::scoped(Testing::attempts(3));
    let most = if cfg!(debug_assertions) { 40 } else { 12 };
    for ((driver, small), (_, large)) in taken::<SMALL>().into_iter().zip(taken::<LARGE>()) {
        let copies = large.checked_sub(small).unwrap() / (LARGE - SMALL);
        println!("{driver}: {copies} times");
        assert!(copies <= most, "{driver}: {copies} times");
    }
}

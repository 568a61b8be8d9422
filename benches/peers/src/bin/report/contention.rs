//! One policy and one budget, used by one thread and by two at once.

use std::hint::black_box;
use std::sync::Barrier;
use std::thread;
use std::time::Instant;

use stamina_peers::case::{
    ASYNC_BUDGET, ASYNC_FAILURES, ASYNC_SUCCESS, ASYNC_SUCCESS_BUDGET, Case, PLAIN, STAMINA, TOWER,
    find,
};
use stamina_peers::operation::Operation;

use crate::page::{Table, median, ratio};

const ROUNDS: usize = 15;
const CALLS: u32 = 200_000;

pub fn section() -> Result<String, String> {
    let mut table = Table::new([
        "ns of a call",
        "who",
        "one thread",
        "two threads",
        "two / one",
    ]);
    for scenario in [
        ASYNC_SUCCESS,
        ASYNC_SUCCESS_BUDGET,
        ASYNC_FAILURES,
        ASYNC_BUDGET,
    ] {
        for case in [PLAIN, STAMINA, TOWER]
            .iter()
            .filter_map(|who| find(scenario.id, who))
        {
            let (mut one, mut two) = (Vec::new(), Vec::new());
            for _ in 0..ROUNDS {
                one.push(nanoseconds(case, 1));
                two.push(nanoseconds(case, 2));
            }
            let (one, two) = (median(one), median(two));
            table.row([
                scenario.title.to_owned(),
                case.who.to_owned(),
                format!("{one:.0}"),
                format!("{two:.0}"),
                ratio(two, one),
            ]);
        }
    }
    Ok(table.finish())
}

/// Nanoseconds of a call on each of these threads, which start together; the slowest one's.
fn nanoseconds(case: Case, threads: usize) -> f64 {
    let barrier = Barrier::new(threads);
    let run = || {
        barrier.wait();
        let start = Instant::now();
        for _ in 0..CALLS {
            let _ = black_box((case.run)(&Operation::failing(black_box(
                case.scenario.failures,
            ))));
        }
        start.elapsed().as_secs_f64() * 1e9 / f64::from(CALLS)
    };
    thread::scope(|scope| {
        let handles: Vec<_> = (0..threads).map(|_| scope.spawn(run)).collect();
        handles
            .into_iter()
            .map(|handle| handle.join().expect("a case does not panic"))
            .fold(0.0, f64::max)
    })
}

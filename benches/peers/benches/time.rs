//! The time of every case. `cargo bench -p stamina-peers`; the report reads criterion's medians.
//!
//! It is the processor time of the thread: nothing here waits, so on an idle machine that is the wall
//! clock's time, and on a busy one it is still the case's own.

use std::hint::black_box;
use std::time::Duration;

use criterion::measurement::{Measurement, ValueFormatter, WallTime};
use criterion::{Criterion, criterion_group, criterion_main};
use rustix::time::{ClockId, clock_gettime};
use stamina_peers::case::{SCENARIOS, Scenario, TOKIO_RETRY2, WHO, find};
use stamina_peers::operation::Operation;

struct ThreadTime;

impl Measurement for ThreadTime {
    type Intermediate = Duration;
    type Value = Duration;

    fn start(&self) -> Duration {
        let now = clock_gettime(ClockId::ThreadCPUTime);
        Duration::try_from(now).expect("a thread's time is not negative")
    }

    fn end(&self, start: Duration) -> Duration {
        self.start() - start
    }

    fn add(&self, left: &Duration, right: &Duration) -> Duration {
        *left + *right
    }

    fn zero(&self) -> Duration {
        Duration::ZERO
    }

    fn to_f64(&self, value: &Duration) -> f64 {
        value.as_nanos() as f64
    }

    fn formatter(&self) -> &dyn ValueFormatter {
        WallTime.formatter()
    }
}

fn time(criterion: &mut Criterion<ThreadTime>) {
    // A recorder is for the whole process, so those that need one come last.
    let (with_recorder, without): (Vec<Scenario>, Vec<Scenario>) = SCENARIOS
        .iter()
        .partition(|scenario| scenario.needs_recorder());
    let mut installed = false;
    for scenario in without.into_iter().chain(with_recorder) {
        if scenario.needs_recorder() && !installed {
            stamina_peers::install_recorder();
            installed = true;
        }
        let mut group = criterion.benchmark_group(scenario.id);
        for case in WHO.iter().filter_map(|who| find(scenario.id, who)) {
            let _runtime = (case.who == TOKIO_RETRY2).then(stamina_peers::enter_paused_runtime);
            let run = black_box(case.run);
            group.bench_function(case.who, |bencher| {
                bencher.iter(|| run(&Operation::failing(black_box(scenario.failures))));
            });
        }
        group.finish();
    }
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .with_measurement(ThreadTime)
        .without_plots()
        .warm_up_time(Duration::from_millis(100))
        .measurement_time(Duration::from_millis(400))
        .sample_size(40);
    targets = time
}
criterion_main!(benches);

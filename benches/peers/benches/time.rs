//! The time of every case. `cargo bench -p stamina-peers`; the report reads criterion's medians.

use std::hint::black_box;
use std::time::Duration;

use criterion::{Criterion, criterion_group, criterion_main};
use stamina_peers::case::{SCENARIOS, Scenario, TOKIO_RETRY2, WHO, find};
use stamina_peers::operation::Operation;

fn time(criterion: &mut Criterion) {
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
        .without_plots()
        .warm_up_time(Duration::from_millis(100))
        .measurement_time(Duration::from_millis(400))
        .sample_size(40);
    targets = time
}
criterion_main!(benches);

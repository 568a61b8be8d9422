//! Counts, not seconds: they are the same on a busy machine. Run in release, where they mean
//! something: `cargo test --release -p stamina-peers --no-default-features --test gates -- --nocapture`

use std::path::Path;

use stamina_peers::allocations::{self, Counting};
use stamina_peers::case::{PLAIN, STAMINA, find};
use stamina_peers::count::Counter;
#[cfg(not(feature = "scale-tokio"))]
use stamina_peers::gates::FUTURE_BYTES;
#[cfg(feature = "scale-tokio")]
use stamina_peers::gates::FUTURE_BYTES_TOKIO;
use stamina_peers::gates::GATES;
use stamina_peers::operation::Operation;
#[cfg(not(feature = "scale-tokio"))]
use stamina_peers::sizes::sizes;
#[cfg(feature = "scale-tokio")]
use stamina_peers::sizes::sizes_on_tokio;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

#[test]
fn instructions() {
    if cfg!(debug_assertions) {
        println!("skipped: instructions are only counted in release builds");
        return;
    }
    let counter = match Counter::new(Path::new(env!("CARGO_BIN_EXE_case"))) {
        Ok(counter) => counter,
        Err(why) => {
            println!("skipped: instructions are not counted, {why}");
            return;
        }
    };
    let mut broken = Vec::new();
    for gate in GATES {
        let plain = counter.count(gate.scenario.id, PLAIN).unwrap();
        let ours = counter.count(gate.scenario.id, STAMINA).unwrap();
        let ratio = ours as f64 / plain as f64;
        let line = format!(
            "{:<52} {ours:>5} instructions, by hand {plain:>5}: {ratio:.2}x, allowed {:.2}x",
            gate.scenario.title, gate.ratio
        );
        println!("{line}");
        if ratio > gate.ratio {
            broken.push(line);
        }
    }
    assert!(
        broken.is_empty(),
        "dearer than allowed:\n{}",
        broken.join("\n")
    );
}

#[test]
fn allocations() {
    for gate in GATES {
        let case = find(gate.scenario.id, STAMINA).expect("stamina runs every scenario");
        let operation = Operation::failing(gate.scenario.failures);
        // The first call of a thread may set things up.
        let _ = (case.run)(&operation);
        let operation = Operation::failing(gate.scenario.failures);
        let count = allocations::count(|| assert!((case.run)(&operation).is_ok()));
        assert_eq!(
            count, gate.allocations,
            "allocations: {}",
            gate.scenario.title
        );
    }
}

/// `--features scale-tokio`: a build of its own, because with `tokio` every future has room for its sleep.
#[cfg(feature = "scale-tokio")]
#[test]
fn future_bytes_on_tokio() {
    let size = sizes_on_tokio()
        .into_iter()
        .find(|size| size.who == STAMINA)
        .expect("stamina has a size");
    assert!(
        size.plain <= FUTURE_BYTES_TOKIO && size.deadline <= FUTURE_BYTES_TOKIO,
        "{size:?}"
    );
}

#[cfg(not(feature = "scale-tokio"))]
#[test]
fn future_bytes() {
    let size = sizes()
        .into_iter()
        .find(|size| size.who == STAMINA)
        .expect("stamina has a size");
    assert!(
        size.plain <= FUTURE_BYTES && size.deadline <= FUTURE_BYTES,
        "{size:?}"
    );
}

//! Runs one case once, between [`measured`]'s first and last instruction: what `count` looks at.
//!
//! `case <scenario> <who>`, or `case nothing` for the cost of the frame itself.

use std::hint::black_box;

use stamina_peers::case;
use stamina_peers::operation::{Operation, Outcome};
use stamina_peers::rows::hand;

type Run = fn(&Operation) -> Outcome;

#[inline(never)]
fn measured(run: Run, operation: &Operation) -> Outcome {
    black_box(run(operation))
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (run, failures): (Run, u32) = match arguments.as_slice() {
        [nothing] if nothing == "nothing" => (hand::nothing, 0),
        [scenario, who] => {
            let case = case::find(scenario, who).expect("no such case");
            if case.scenario.needs_recorder() {
                stamina_peers::install_recorder();
            }
            (case.run, case.scenario.failures)
        }
        _ => panic!("usage: case <scenario> <who>"),
    };
    let run = black_box(run);
    let _runtime = arguments
        .get(1)
        .filter(|who| *who == case::TOKIO_RETRY2)
        .map(|_| stamina_peers::enter_paused_runtime());
    // The same random numbers every time.
    fastrand::seed(1);
    // What happens once in a process (seeds, thread-locals, registrations) is not the call's cost.
    for _ in 0..3 {
        let operation = Operation::failing(failures);
        assert!(black_box(run(&operation)).is_ok());
        assert!(operation.calls() == failures + 1 || arguments.len() == 1);
    }
    let operation = Operation::failing(failures);
    let outcome = measured(run, black_box(&operation));
    assert!(outcome.is_ok());
}

//! The timers themselves, in turn.

use std::process::Command;

use crate::page::{Table, median};
use crate::programs::{build, output};

const ROUNDS: usize = 5;
/// The column that says nothing for fewer waits than five digits have: memory comes by the page.
const BYTES: usize = 5;
const MANY: usize = 5;
const TIMERS: [&str; 3] = ["futures-timer", "coarse", "tokio"];

pub fn section() -> Result<String, String> {
    let program = build("timers", &["--no-default-features", "--features", "scale"])?;
    let mut table = Table::new([
        "timer",
        "waits at once",
        "CPU ns to make",
        "CPU ns to end",
        "late us, half",
        "99 of 100",
        "the last",
        "bytes",
        "CPU ns to make and drop one more",
    ]);
    for waits in ["1", "1000", "10000", "100000", "1000000"] {
        let mut rounds: [Vec<Vec<f64>>; TIMERS.len()] = Default::default();
        for _ in 0..ROUNDS {
            for (timer, rounds) in TIMERS.iter().zip(&mut rounds) {
                let printed = output(Command::new(&program).args([timer, waits]))?;
                let numbers = printed.split_whitespace();
                rounds.push(numbers.filter_map(|number| number.parse().ok()).collect());
            }
        }
        for (timer, rounds) in TIMERS.iter().zip(rounds) {
            let columns = rounds.iter().map(Vec::len).min().unwrap_or_default();
            let medians = (0..columns).map(|column| {
                if column == BYTES && waits.len() < MANY {
                    return "-".to_owned();
                }
                let values = rounds.iter().map(|numbers| numbers[column]);
                format!("{:.0}", median(values.collect()))
            });
            let row = [(*timer).to_owned(), waits.to_owned()];
            table.row(row.into_iter().chain(medians));
        }
    }
    Ok(table.finish())
}

//! The scale program in every configuration, by hand and ours in turn.

use std::process::Command;

use crate::page::{Table, median, ratio};
use crate::programs::{build, output};

const ROUNDS: usize = 5;
const TASKS: &str = "1000000";

#[derive(Default)]
struct Rounds {
    wall: Vec<f64>,
    cpu: Vec<f64>,
    bytes: Vec<f64>,
}

pub fn section() -> Result<String, String> {
    let mut table = Table::new([
        "sleeper, runtime",
        "tasks",
        "wall s, by hand",
        "stamina",
        "CPU s, by hand",
        "stamina",
        "bytes/task, by hand",
        "stamina",
    ]);
    for (sleeper, features) in [
        ("tokio", "scale-tokio"),
        ("futures-timer", "scale"),
        ("coarse", "scale"),
    ] {
        let program = build("scale", &["--no-default-features", "--features", features])?;
        for flavor in ["current", "multi"] {
            let mut rounds = [Rounds::default(), Rounds::default()];
            for _ in 0..ROUNDS {
                for (who, rounds) in ["hand", "stamina"].iter().zip(&mut rounds) {
                    let printed =
                        output(Command::new(&program).args([who, sleeper, flavor, TASKS]))?;
                    let numbers: Vec<f64> = printed
                        .split_whitespace()
                        .filter_map(|number| number.parse().ok())
                        .collect();
                    let [wall, cpu, bytes] = numbers[..] else {
                        return Err(format!("not understood: {printed}"));
                    };
                    rounds.wall.push(wall);
                    rounds.cpu.push(cpu);
                    rounds.bytes.push(bytes);
                }
            }
            let [hand, ours] = rounds;
            let mut cells = vec![format!("{sleeper}, {flavor}"), TASKS.to_owned()];
            for (hand, ours, digits) in [
                (hand.wall, ours.wall, 2),
                (hand.cpu, ours.cpu, 2),
                (hand.bytes, ours.bytes, 0),
            ] {
                let (hand, ours) = (median(hand), median(ours));
                cells.push(format!("{hand:.digits$}"));
                cells.push(format!("{ours:.digits$} ({})", ratio(ours, hand)));
            }
            table.row(cells);
        }
    }
    Ok(table.finish())
}

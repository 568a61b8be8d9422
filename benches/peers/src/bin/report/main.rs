//! Measures everything and writes it into `docs/performance.md` and `docs/images/performance.svg`.
//!
//! `cargo run --release -p stamina-peers --bin report` does it all; names of sections after `--`
//! do only those: `machine counts times contention memory scale timers light`.

use stamina_peers::allocations::Counting;

mod contention;
mod counts;
mod light;
mod machine;
mod memory;
mod page;
mod programs;
mod scale;
mod timers;
mod times;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

type Section = (&'static str, fn() -> Result<String, String>);

const SECTIONS: &[Section] = &[
    ("machine", machine::section),
    ("counts", counts::section),
    ("times", times::section),
    ("contention", contention::section),
    // After what is measured in this process, for it installs a recorder.
    ("memory", memory::section),
    ("scale", scale::section),
    ("timers", timers::section),
    ("light", light::section),
];

fn main() {
    let wanted: Vec<String> = std::env::args().skip(1).collect();
    let mut failed = false;
    for (name, measure) in SECTIONS {
        if wanted.is_empty() || wanted.iter().any(|wanted| wanted == name) {
            eprintln!("measuring: {name}");
            match measure().and_then(|text| page::put(name, &text)) {
                Ok(()) => {}
                Err(why) => {
                    failed = true;
                    eprintln!("{name}: {why}");
                }
            }
        }
    }
    if failed {
        std::process::exit(1);
    }
}

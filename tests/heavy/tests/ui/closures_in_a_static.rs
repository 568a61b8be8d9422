use stamina::{Decision, Retry};

static WRONG: Retry<u32> = Retry::on::<u32>().when(|error| *error > 1);
static RIGHT: Retry<u32> = Retry::on::<u32>().decide_fn(|error| if *error > 1 { Decision::Retry } else { Decision::Stop });

fn main() {
    let _ = (WRONG.call(|| Ok(1)), RIGHT.call(|| Ok(1)));
}

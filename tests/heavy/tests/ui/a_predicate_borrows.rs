use stamina::Retry;

fn main() {
    let limit = 3;
    let policy = Retry::on::<u32>().when(|error| *error < limit);
    let names = vec![String::from("busy")];
    let other = Retry::on::<String>().when(|error| names.contains(error));
    let _ = (policy.call(|| Ok(1)), other.call(|| Ok(2)));
}

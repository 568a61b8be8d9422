use stamina::Retry;

struct Failure;

static POLICY: Retry<Failure> = Retry::on::<Failure>();

fn main() {
    let _ = Retry::on().call(|| Err::<(), _>(Failure));
}

use stamina::{instrument, testing};

fn main() {
    let scope = testing::inactive();
    std::thread::spawn(move || drop(scope));
    let hooks = instrument::scoped_hooks([]);
    std::thread::spawn(move || drop(hooks));
}

use stamina::{Retry, RetryFuture};
use std::future::Future;

fn returned() -> impl Future<Output = Result<u8, String>> {
    let policy = Retry::on::<String>();
    policy.call_async(|| async { Ok(1) })
}

fn returned_from_a_temporary() -> impl Future<Output = Result<u8, String>> {
    Retry::on::<String>().attempts(3).call_async(|| async { Ok(1) })
}

fn spawned() {
    let policy = Retry::on::<String>();
    spawn(policy.call_async(|| async { Ok(1) }));
}

fn spawn(_: impl Future<Output = Result<u8, String>> + Send + 'static) {}

fn main() {
    let _: Option<RetryFuture<(), fn() -> std::future::Ready<()>, ()>> = None;
    let _ = (returned(), returned_from_a_temporary());
    spawned();
}

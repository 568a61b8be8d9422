//! ```sh
//! cargo run --example wrap
//! ```
//!
//! `wrap` turns a function into one that retries, so its callers don't have to. `wrap_async` does the same for async
//! functions. The argument is cloned for each attempt. Several arguments go into a tuple.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use futures::executor::block_on;
use stamina::Retry;

static CALLS: AtomicU32 = AtomicU32::new(0);

/// Fails two times out of three.
fn price(item: &str) -> Result<usize, String> {
    let call = CALLS.fetch_add(1, Ordering::Relaxed);
    println!("  price({item:?}), call {}", call + 1);
    match call % 3 {
        2 => Ok(10 * item.len()),
        _ => Err("the shop is busy".to_owned()),
    }
}

async fn price_of_many((item, count): (&str, usize)) -> Result<usize, String> {
    let price = std::future::ready(price(item)).await?;
    Ok(price * count)
}

fn main() {
    let policy = Retry::on::<String>()
        .wait_initial(Duration::from_millis(10))
        .wait_jitter(Duration::from_millis(10));

    println!("Wrapped once, used as any other function:");
    let patient_price = policy.wrap(price);
    let prices: Result<Vec<_>, _> = ["tea", "bread"].into_iter().map(patient_price).collect();
    println!("  => {prices:?}");
    assert_eq!(prices, Ok(vec![30, 50]));

    println!("The same for an async function with two arguments:");
    let patient_price_of_many = policy.wrap_async(price_of_many);
    let price = block_on(patient_price_of_many(("tea", 4)));
    println!("  => {price:?}");
    assert_eq!(price, Ok(120));
    assert_eq!(CALLS.load(Ordering::Relaxed), 9);
}

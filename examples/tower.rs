//! ```sh
//! cargo run --example tower --features tower
//! ```
//!
//! Retry in a client that is a tower `Service`, through tower's own `Retry` layer. Each request has its own attempts and
//! its own deadline. All requests share the budget.

use std::future::{Ready, ready};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use futures::executor::block_on;
use stamina::{Budget, Retry};
use tower::{Service, ServiceBuilder};

static SHOP: Budget = Budget::new();
const TEN_MS: Duration = Duration::from_millis(10);

fn main() {
    let policy = Retry::on::<String>()
        .when(|error| error.contains("busy"))
        .budget(&SHOP);
    let policy = policy.wait_initial(TEN_MS).wait_jitter(TEN_MS);
    let shop = Shop::default();
    let mut client = ServiceBuilder::new()
        .retry(policy.tower())
        .service(shop.clone());
    let no_gold = Err("no gold here".to_owned()); // permanent: one request
    for (item, price, requests) in [("tea", Ok(30), 3), ("gold", no_gold, 4)] {
        assert_eq!(block_on(client.call(item)), price);
        println!("  => {price:?}");
        assert_eq!(shop.0.load(Ordering::Relaxed), requests);
    }
}

/// Busy for two requests, then it answers.
#[derive(Clone, Default)]
struct Shop(Arc<AtomicU32>);

impl Service<&'static str> for Shop {
    type Response = usize;
    type Error = String;
    type Future = Ready<Result<usize, String>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), String>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, item: &'static str) -> Self::Future {
        println!("the price of {item}?");
        ready(match (self.0.fetch_add(1, Ordering::Relaxed), item) {
            (0 | 1, _) => Err("busy".to_owned()),
            (_, "gold") => Err("no gold here".to_owned()),
            (_, item) => Ok(10 * item.len()),
        })
    }
}

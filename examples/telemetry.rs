//! ```sh
//! cargo run --example telemetry
//! ```
//!
//! Export metrics to Prometheus, and add a hook of your own. There is nothing to switch on: the recorder that your
//! program has installed for the `metrics` facade gets the metrics, and its logger gets the log records.

use std::sync::Arc;
use std::time::Duration;

use metrics_exporter_prometheus::PrometheusBuilder;
use stamina::Retry;
use stamina::instrument::{self, GaveUp, Hook};

static SEARCH: Retry<&str> = Retry::on::<&str>()
    .named("search") // else: the path of the function
    .attempts(3)
    .wait_initial(Duration::from_millis(10))
    .wait_jitter(Duration::from_millis(10));

struct Pager;

impl Hook for Pager {
    fn gave_up(&self, it: &GaveUp<'_>) {
        println!("The hook: {} gave up, {}\n", it.callable, it.reason);
    }
}

fn main() {
    let prometheus = PrometheusBuilder::new().install_recorder().unwrap();
    instrument::describe_metrics(); // help texts and units
    let mut hooks = instrument::hooks();
    hooks.push(Arc::new(Pager));
    instrument::set_hooks(hooks);

    assert_eq!(SEARCH.call(|| Ok("found")), Ok("found")); // the first attempt succeeds: no event
    let mut answers = [Err("busy"), Ok("found")].into_iter();
    assert_eq!(SEARCH.call(|| answers.next().unwrap()), Ok("found"));
    assert_eq!(SEARCH.call(|| Err::<(), _>("down")), Err("down"));

    let scraped = prometheus.render();
    println!("What Prometheus scrapes:\n\n{scraped}");
    for sample in [
        r#"retries_total{callable="search",retry_num="1",error_type="&str"} 2"#,
        r#"retries_total{callable="search",retry_num="2",error_type="&str"} 1"#,
        r#"gave_up_total{callable="search",reason="attempts_exhausted",error_type="&str"} 1"#,
        r#"recovered_total{callable="search"} 1"#,
        r#"wait_seconds_count{callable="search"} 3"#,
    ] {
        assert!(scraped.contains(&format!("\nstamina_{sample}\n")));
    }
}

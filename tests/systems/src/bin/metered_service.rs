//! A service that retries, and shows its metrics: `metered-service prometheus <port>` is scraped there,
//! `metered-service dogstatsd <port>` sends them there. What it does is always the same, so what is counted is known.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use metrics_exporter_dogstatsd::DogStatsDBuilder;
use metrics_exporter_prometheus::PrometheusBuilder;
use stamina::{Budget, Decision, Retry, instrument};

#[derive(Debug)]
struct Unavailable;

const WAIT: Duration = Duration::from_millis(10);

/// Nothing is left to spend: with a floor of zero only successes pay for retries.
static SPENT: Budget = Budget::new().floor(0);

fn main() {
    let mut arguments = std::env::args().skip(1);
    let (Some(exporter), Some(port)) = (
        arguments.next(),
        arguments.next().and_then(|port| port.parse::<u16>().ok()),
    ) else {
        panic!("usage: metered-service prometheus|dogstatsd <port>");
    };
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    match exporter.as_str() {
        "prometheus" => PrometheusBuilder::new()
            .with_http_listener(address)
            .set_buckets(&[0.005, 0.05, 0.5, 5.0])
            .expect("four buckets")
            .install()
            .expect("the first recorder of this process"),
        "dogstatsd" => DogStatsDBuilder::default()
            .with_remote_address(address.to_string())
            .expect("an address")
            .with_flush_interval(Duration::from_millis(200))
            .with_telemetry(false)
            .install()
            .expect("the first recorder of this process"),
        other => panic!("no exporter {other}"),
    }
    instrument::describe_metrics();

    serve_its_customers();
    loop {
        std::thread::sleep(Duration::from_secs(60));
    }
}

fn serve_its_customers() {
    let policy = Retry::on::<Unavailable>()
        .wait_initial(WAIT)
        .wait_exp_base(1.0)
        .wait_jitter(Duration::ZERO);

    // Three calls that fail twice and go well then.
    for _ in 0..3 {
        fail(2, &policy.clone().named("fetch_page")).expect("the third attempt goes well");
    }
    // Each limit once.
    fail(9, &policy.clone().named("charge_card").attempts(3))
        .expect_err("three attempts are too few");
    let impatient = policy
        .clone()
        .named("slow_query")
        .wait_initial(Duration::from_secs(3))
        .timeout(Duration::from_secs(1));
    fail(9, &impatient).expect_err("a wait is longer than the deadline");
    fail(9, &policy.clone().named("call_payments").budget(&SPENT))
        .expect_err("the budget is empty");
    // More retries than there are values of the label.
    let long = policy
        .clone()
        .named("poll_job")
        .wait_initial(Duration::ZERO)
        .attempts(26);
    fail(25, &long).expect("the last attempt goes well");
    // What costs nothing and tells nothing.
    fail(0, &policy.clone().named("healthy")).expect("the first attempt goes well");
    fail(
        9,
        &policy
            .clone()
            .named("refused")
            .decide_fn(|_| Decision::Stop),
    )
    .expect_err("no retry");
    // Without a name the closure's place in the code is the label.
    send_mail(&policy);
}

fn fail(times: u32, policy: &Retry<Unavailable>) -> Result<(), Unavailable> {
    let mut left = times;
    policy.call(|| {
        if left == 0 {
            return Ok(());
        }
        left -= 1;
        Err(Unavailable)
    })
}

fn send_mail(policy: &Retry<Unavailable>) {
    let mut first = true;
    policy
        .call(|| {
            if std::mem::take(&mut first) {
                Err(Unavailable)
            } else {
                Ok(())
            }
        })
        .expect("the second attempt goes well");
}

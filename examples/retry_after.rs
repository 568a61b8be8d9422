//! ```sh
//! cargo run --example retry_after --features http
//! ```
//!
//! Honour a server's `Retry-After`. The policy waits at least that long and adds jitter, so that not all clients come
//! back at once. It never waits past its deadline. Time is virtual here, so nothing really waits.

use std::time::{Duration, SystemTime};

use http::{Response, StatusCode, header::RETRY_AFTER};
use stamina::http::{is_transient, retry_after};
use stamina::testing::VirtualClock;
use stamina::{Decision, Retry, Timer};

type Outcome = Result<Response<&'static str>, std::io::Error>;

fn decide(outcome: &Outcome) -> Decision {
    match outcome {
        Err(_) => Decision::Retry,
        Ok(response) if is_transient(response.status()) => {
            let hint = retry_after(response.headers(), SystemTime::now());
            hint.map_or(Decision::Retry, Decision::RetryAfter)
        }
        Ok(_) => Decision::Stop,
    }
}

static CLOCK: VirtualClock = VirtualClock::new();
static FETCH: Retry<Outcome> = Retry::on::<Outcome>()
    .decide_fn(decide)
    .timer(Timer::custom(&CLOCK));

fn main() {
    let mut answers = [(503, "3"), (429, "20"), (200, "")].into_iter();
    let response = FETCH.call_outcome(|| Ok(answer(answers.next().expect("three answers"))));
    let waits = CLOCK.waits();
    println!(
        "   => {}, after waits of {waits:.1?}\n",
        response.expect("no I/O").body()
    );
    assert!(waits[0] >= Duration::from_secs(3) && waits[0] <= Duration::from_secs(4));
    assert!(waits[1] >= Duration::from_secs(20) && waits[1] <= Duration::from_secs(21));

    // The hint is an hour and the deadline 45 s: the call ends now, with the response that it has.
    let response = FETCH
        .call_outcome(|| Ok(answer((503, "3600"))))
        .expect("no I/O");
    println!("   => {} at once, without a wait", response.status());
    assert_eq!(
        (response.status(), CLOCK.waits().len()),
        (StatusCode::SERVICE_UNAVAILABLE, 2)
    );
}

fn answer((status, hint): (u16, &'static str)) -> Response<&'static str> {
    println!("the server answers {status} with Retry-After: {hint:?}");
    let response = Response::builder().status(status).header(RETRY_AFTER, hint);
    response.body("hello").expect("a valid response")
}

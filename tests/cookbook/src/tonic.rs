//! Calls of a `tonic` client, retried where they are made.

use std::time::Duration;

use stamina::{Decision, Retry};
use tonic::{Code, Status};

/// For calls that may be repeated: `CALL.call_async(|| client.clone().get(message.clone()))`. The clone of a client is
/// another handle to the same connection.
pub static CALL: Retry<Status> = Retry::on::<Status>().decide_fn(decide).named("grpc");

pub fn decide(status: &Status) -> Decision {
    if status.code() != Code::Unavailable {
        return Decision::Stop;
    }
    // The server's own hint. Negative or no number: it asks for no retry.
    let Some(hint) = status.metadata().get("grpc-retry-pushback-ms") else {
        return Decision::Retry;
    };
    match hint.to_str().ok().and_then(|millis| millis.parse().ok()) {
        Some(millis) => Decision::RetryAfter(Duration::from_millis(millis)),
        None => Decision::Stop,
    }
}

#[cfg(test)]
mod tests {
    use super::{CALL, decide};
    use crate::grpc::{Echo, Server, client};
    use stamina::testing::VirtualClock;
    use stamina::{Decision, Timer};
    use std::time::Duration;
    use tonic::{Code, Request, Status};

    #[test]
    fn only_unavailable_is_always_transient() {
        for code in (0..=16).map(Code::from) {
            let expected = Decision::from(code == Code::Unavailable);
            assert_eq!(decide(&Status::new(code, "")), expected, "{code}");
        }
    }

    #[test]
    fn the_server_may_push_back() {
        let pushed = |hint: &str| {
            let mut status = Status::unavailable("");
            let hint = hint.parse().unwrap();
            status.metadata_mut().insert("grpc-retry-pushback-ms", hint);
            decide(&status)
        };
        assert_eq!(
            pushed("250"),
            Decision::RetryAfter(Duration::from_millis(250))
        );
        assert_eq!(pushed("0"), Decision::RetryAfter(Duration::ZERO));
        assert_eq!(pushed("-1"), Decision::Stop);
        assert_eq!(pushed("soon"), Decision::Stop);
    }

    #[test]
    fn one_attempt_for_a_bad_request() {
        let report = CALL.report(|| Err::<(), _>(Status::invalid_argument("id")));
        assert_eq!(report.attempts, 1);
    }

    #[tokio::test]
    async fn a_server_that_is_busy_twice_is_asked_three_times() {
        static CLOCK: VirtualClock = VirtualClock::new();
        let server = Server::start(2).await;
        let channel = server.channel();
        let task = tokio::spawn(async move {
            let policy = CALL.clone().timer(Timer::custom(&CLOCK));
            let message = Echo {
                text: "hello".into(),
            };
            policy
                .call_async(|| client(channel.clone(), Request::new(message.clone())))
                .await
        });
        assert_eq!(task.await.unwrap().unwrap().into_inner().text, "hello");
        assert_eq!(server.seen().len(), 3);
        // The server pushes back by a second.
        assert!(
            CLOCK
                .waits()
                .iter()
                .all(|wait| *wait >= Duration::from_secs(1))
        );
    }

    #[tokio::test]
    async fn a_server_that_is_not_there_is_unavailable() {
        static CLOCK: VirtualClock = VirtualClock::new();
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        drop(listener);
        let channel = tonic::transport::Endpoint::from_shared(format!("http://{address}"))
            .unwrap()
            .connect_lazy();
        let policy = CALL.clone().attempts(3).timer(Timer::custom(&CLOCK));
        let message = Echo::default();
        let report = policy
            .report_async(|| client(channel.clone(), Request::new(message.clone())))
            .await;
        assert_eq!(report.attempts, 3);
        assert_eq!(report.result.unwrap_err().code(), Code::Unavailable);
    }
}

//! Which statuses of `tonic` are transient.

use std::time::Duration;

use stamina::{Decision, Retry};
use tonic::{Code, Status};

/// For calls that may be repeated: `CALL.call_async(|| client.clone().get(request.clone()))`.
pub static CALL: Retry<Status> = Retry::on::<Status>().when_fn(decide).named("grpc");

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
    use stamina::Decision;
    use std::time::Duration;
    use tonic::{Code, Status};

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
}

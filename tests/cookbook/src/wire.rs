//! What a server may know of a call that is retried.

use std::time::Duration;

use stamina::{Attempts, Retry, Timer};
use tonic::{Code, Request, Status};

pub static CALL: Retry<Status> = Retry::on::<Status>()
    .when_fn(|status| status.code() == Code::Unavailable)
    .timeout(Duration::from_secs(10))
    .timer(Timer::tokio());

/// `method` sends one request: `call(&message, |request| client.clone().get(request))`.
pub async fn call<M: Clone, T, Fut>(
    message: &M,
    method: impl Fn(Request<M>) -> Fut,
) -> Result<T, Status>
where
    Fut: Future<Output = Result<T, Status>>,
{
    let mut attempts = CALL.start();
    loop {
        match method(request(message.clone(), &attempts)).await {
            Ok(answer) => break Ok(attempts.succeed(answer)),
            Err(status) => attempts.again_async(status).await?,
        }
    }
}

fn request<M>(message: M, attempts: &Attempts<'_, Status>) -> Request<M> {
    let mut request = Request::new(message);
    request
        .metadata_mut()
        .insert("x-retry-attempt", attempts.number().into());
    if let Some(left) = attempts.remaining() {
        request.set_timeout(left); // the header `grpc-timeout`; tonic's client keeps to it too
    }
    request
}

#[cfg(test)]
mod tests {
    use super::call;
    use crate::grpc::{Echo, Server, client};
    use tonic::Status;

    #[tokio::test]
    async fn the_server_sees_the_number_and_the_time_left() {
        let server = Server::start(2).await;
        let channel = server.channel();
        let task = tokio::spawn(async move {
            let message = Echo {
                text: "hello".into(),
            };
            call(&message, |request| client(channel.clone(), request)).await
        });
        let answer: Result<_, Status> = task.await.unwrap();
        assert_eq!(answer.unwrap().into_inner().text, "hello");

        let seen = server.seen();
        let numbers: Vec<_> = seen.iter().map(|(number, _)| number.as_str()).collect();
        assert_eq!(numbers, ["1", "2", "3"]);
        let micros = seen.iter().map(|(_, timeout)| {
            let digits = timeout
                .strip_suffix('u')
                .expect("tonic counts in microseconds");
            digits.parse::<u64>().unwrap()
        });
        let micros: Vec<u64> = micros.collect();
        assert!(
            micros[0] <= 10_000_000 && micros.is_sorted_by(|a, b| a > b),
            "{micros:?}"
        );
    }
}

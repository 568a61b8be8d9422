//! Which outcomes of `reqwest` are transient.

use std::time::SystemTime;

use reqwest::{Client, Error, Response};
use stamina::{Decision, Retry, http};

static FETCH: Retry<Result<Response, Error>> = Retry::on::<Result<Response, Error>>()
    .decide_fn(decide)
    .named("fetch");

/// Returns the last response, whatever its status.
pub async fn fetch(client: &Client, url: &str) -> Result<Response, Error> {
    FETCH.call_outcome_async(|| client.get(url).send()).await
}

fn decide(outcome: &Result<Response, Error>) -> Decision {
    match outcome {
        Err(error) => transient(error).into(),
        Ok(response) if !http::is_transient(response.status()) => Decision::Stop,
        Ok(response) => match http::retry_after(response.headers(), SystemTime::now()) {
            Some(hint) => Decision::RetryAfter(hint),
            None => Decision::Retry,
        },
    }
}

/// Nobody listens, the connection broke, or time was up; or a status that `error_for_status` made an error of.
pub fn transient(error: &Error) -> bool {
    match error.status() {
        Some(status) => http::is_transient(status),
        None => error.is_connect() || error.is_timeout() || error.is_request(),
    }
}

#[cfg(test)]
mod tests {
    use super::{decide, fetch, transient};
    use reqwest::{Client, Error, Response};
    use stamina::Decision;
    use stamina::testing::{self, Testing};
    use std::io::{Read, Write};
    use std::net::TcpListener;
    use std::time::Duration;

    /// Answers each connection with the next of `answers` and hangs up, and keeps the last one silent.
    fn server(answers: Vec<&'static str>) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        std::thread::spawn(move || {
            for answer in answers {
                let (mut stream, _) = listener.accept().unwrap();
                let _ = stream.read(&mut [0; 1024]).unwrap();
                stream.write_all(answer.as_bytes()).unwrap();
            }
            let (mut silent, _) = listener.accept().unwrap();
            let _ = silent.read_to_end(&mut Vec::new());
        });
        url
    }

    async fn error_of(url: &str) -> Error {
        let response = Client::new()
            .get(url)
            .timeout(Duration::from_millis(200))
            .send()
            .await;
        match response {
            Err(error) => error,
            Ok(response) => response.bytes().await.unwrap_err(),
        }
    }

    fn response(status: u16, retry_after: Option<&str>) -> Response {
        let mut response = http::Response::builder().status(status);
        if let Some(hint) = retry_after {
            response = response.header("retry-after", hint);
        }
        response.body("").unwrap().into()
    }

    #[tokio::test]
    async fn transient_errors_are_told_from_permanent_ones() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let nobody = format!("http://{}", listener.local_addr().unwrap());
        drop(listener);
        let refused = error_of(&nobody).await;
        assert!(refused.is_connect() && transient(&refused), "{refused:?}");

        let hung_up = error_of(&server(vec![""])).await;
        assert!(hung_up.is_request() && transient(&hung_up), "{hung_up:?}");

        let silent = error_of(&server(vec![])).await;
        assert!(silent.is_timeout() && transient(&silent), "{silent:?}");

        let nonsense = error_of("no url").await;
        assert!(
            nonsense.is_builder() && !transient(&nonsense),
            "{nonsense:?}"
        );

        let half = error_of(&server(vec![
            "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf",
        ]))
        .await;
        assert!(half.is_decode() && !transient(&half), "{half:?}");
    }

    #[test]
    fn statuses_are_errors_only_where_asked_for() {
        for (status, expected) in [(404, false), (500, true), (503, true)] {
            let error = response(status, None).error_for_status().unwrap_err();
            assert_eq!(transient(&error), expected, "{status}");
        }
    }

    #[test]
    fn the_hint_of_a_response_is_taken() {
        let hint = |status, hint| decide(&Ok(response(status, hint)));
        assert_eq!(hint(200, None), Decision::Stop);
        assert_eq!(hint(404, Some("7")), Decision::Stop);
        assert_eq!(hint(503, None), Decision::Retry);
        assert_eq!(
            hint(429, Some("7")),
            Decision::RetryAfter(Duration::from_secs(7))
        );
    }

    #[tokio::test]
    async fn a_fetch_goes_on_until_a_final_answer() {
        let url = server(vec![
            "",
            "HTTP/1.1 503 Busy\r\ncontent-length: 0\r\nconnection: close\r\n\r\n",
            "HTTP/1.1 404 Gone\r\ncontent-length: 0\r\nconnection: close\r\n\r\n",
        ]);
        let _testing = testing::scoped(Testing::attempts(5));
        let task = tokio::spawn(async move { fetch(&Client::new(), &url).await });
        assert_eq!(task.await.unwrap().unwrap().status(), 404);
    }
}

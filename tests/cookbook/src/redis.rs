//! Which errors of `redis` are transient.

use redis::{Client, ErrorKind, RedisError, RetryMethod};
use stamina::Retry;

static READ: Retry<RedisError> = Retry::on::<RedisError>().when_fn(transient).named("read");

pub fn greeting(client: &Client) -> Result<String, RedisError> {
    READ.call(|| {
        // A connection that was dropped is of no more use, so each attempt gets its own.
        let mut connection = client.get_connection()?;
        redis::cmd("GET").arg("greeting").query(&mut connection)
    })
}

pub fn transient(error: &RedisError) -> bool {
    match error.retry_method() {
        RetryMethod::WaitAndRetry
        | RetryMethod::RetryImmediately
        | RetryMethod::ReconnectFromInitialConnections => true,
        // Wrong credentials and answers that can't be read also ask for a new connection, but one won't help.
        RetryMethod::Reconnect => error.kind() == ErrorKind::Io,
        // A key that has moved among them: a cluster's client follows it by itself.
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::{greeting, transient};
    use redis::{Client, ErrorKind, RedisError, ServerErrorKind};
    use stamina::testing::{self, Testing};
    use std::io;
    use std::net::TcpListener;

    #[test]
    fn kinds() {
        let error = |kind: ErrorKind| RedisError::from((kind, "test"));
        let server = |kind| error(ErrorKind::Server(kind));
        for kind in [
            ServerErrorKind::BusyLoading,
            ServerErrorKind::TryAgain,
            ServerErrorKind::MasterDown,
            ServerErrorKind::ClusterDown,
        ] {
            assert!(transient(&server(kind)), "{kind:?}");
        }
        assert!(!transient(&server(ServerErrorKind::ResponseError)));
        assert!(!transient(&server(ServerErrorKind::NoScript)));
        assert!(!transient(&error(ErrorKind::AuthenticationFailed)));
        assert!(!transient(&error(ErrorKind::Parse)));
        assert!(!transient(&error(ErrorKind::UnexpectedReturnType)));
    }

    #[test]
    fn connections() {
        let io = |kind: io::ErrorKind| RedisError::from(io::Error::from(kind));
        assert!(transient(&io(io::ErrorKind::ConnectionReset)));
        assert!(transient(&io(io::ErrorKind::BrokenPipe)));
        assert!(transient(&io(io::ErrorKind::TimedOut)));
        assert!(!transient(&io(io::ErrorKind::PermissionDenied)));
    }

    #[test]
    fn nobody_listens() {
        let port = TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap();
        let client = Client::open(format!("redis://{port}")).unwrap();
        let _testing = testing::scoped(Testing::attempts(2));
        let error = greeting(&client).unwrap_err();
        assert!(
            error.is_connection_refusal() && transient(&error),
            "{error:?}"
        );
    }
}

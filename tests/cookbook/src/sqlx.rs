//! Which errors of `sqlx` are transient, and retries round a whole transaction.

use sqlx::{Database, Error, Pool};
use stamina::{BoxFuture, Retry, when};

static WRITE: Retry<Error> = Retry::on::<Error>().when_fn(transient).named("write");

/// `work` may run several times, each time in a new transaction.
pub async fn in_transaction<DB: Database, T>(
    pool: &Pool<DB>,
    mut work: impl for<'c> FnMut(&'c mut DB::Connection) -> BoxFuture<'c, Result<T, Error>>,
) -> Result<T, Error> {
    let mut attempts = WRITE.start();
    loop {
        let attempt = async {
            let mut transaction = pool.begin().await?;
            let value = work(&mut transaction).await?;
            transaction.commit().await?;
            Ok(value)
        };
        match attempt.await {
            Ok(value) => break Ok(attempts.succeed(value)),
            Err(error) => attempts.again_async(error).await?,
        }
    }
}

pub fn transient(error: &Error) -> bool {
    match error {
        Error::Io(error) => when::transient_io(error),
        Error::PoolTimedOut | Error::WorkerCrashed => true,
        Error::Database(error) => error.code().is_some_and(|code| transient_state(&code)),
        _ => false,
    }
}

// SQLSTATE codes, as PostgreSQL uses them.
fn transient_state(code: &str) -> bool {
    let transient = [
        "40001", "40P01", // serialization failure, deadlock: the transaction was rolled back
        "55P03", // a lock was not available
        "53300", // too many connections
        "57P01", "57P02", "57P03", // shut down, crashed, starting up
        "08000", "08001", "08003", "08004", "08006", // no connection, or not any more
    ];
    transient.contains(&code)
}

#[cfg(test)]
mod tests {
    use super::{in_transaction, transient};
    use sqlx::error::{DatabaseError, Error, ErrorKind};
    use sqlx::{Database, Pool};
    use std::borrow::Cow;
    use std::error::Error as StdError;
    use std::fmt;
    use std::io;

    #[derive(Debug)]
    struct State(&'static str);

    impl fmt::Display for State {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(self.0)
        }
    }

    impl StdError for State {}

    impl DatabaseError for State {
        fn message(&self) -> &str {
            self.0
        }
        fn code(&self) -> Option<Cow<'_, str>> {
            Some(self.0.into())
        }
        fn as_error(&self) -> &(dyn StdError + Send + Sync + 'static) {
            self
        }
        fn as_error_mut(&mut self) -> &mut (dyn StdError + Send + Sync + 'static) {
            self
        }
        fn into_error(self: Box<Self>) -> Box<dyn StdError + Send + Sync + 'static> {
            self
        }
        fn kind(&self) -> ErrorKind {
            ErrorKind::Other
        }
    }

    /// Only compiled: inside of a spawned task, with what the work needs borrowed from that task. `tests/systems` runs it.
    #[allow(dead_code, reason = "only compiled")]
    fn it_can_be_spawned<DB: Database>(pool: Pool<DB>) {
        tokio::spawn(async move {
            let name = String::from("name");
            let length = in_transaction(&pool, |db| {
                let name = name.clone();
                Box::pin(async move {
                    let _: &mut DB::Connection = db;
                    Ok(name.len())
                })
            });
            length.await
        });
    }

    #[test]
    fn states_of_the_server() {
        for code in [
            "40001", "40P01", "53300", "55P03", "57P01", "57P03", "08006",
        ] {
            assert!(transient(&Error::Database(Box::new(State(code)))), "{code}");
        }
        // Unique violation, syntax error, query cancelled by statement_timeout, protocol violation, read-only.
        for code in ["23505", "42601", "57014", "08P01", "25006"] {
            assert!(
                !transient(&Error::Database(Box::new(State(code)))),
                "{code}"
            );
        }
    }

    #[test]
    fn errors_of_the_client() {
        let io = |kind: io::ErrorKind| Error::Io(kind.into());
        assert!(transient(&io(io::ErrorKind::ConnectionRefused)));
        assert!(transient(&io(io::ErrorKind::UnexpectedEof)));
        assert!(transient(&Error::PoolTimedOut));
        assert!(!transient(&io(io::ErrorKind::PermissionDenied)));
        assert!(!transient(&Error::PoolClosed));
        assert!(!transient(&Error::RowNotFound));
        assert!(!transient(&Error::ColumnNotFound("id".into())));
    }
}

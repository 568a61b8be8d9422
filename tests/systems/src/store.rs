//! A PostgreSQL pool, and which of its errors are worth another attempt.

use std::fmt;
use std::io;

use deadpool_postgres::{Manager, ManagerConfig, Pool, PoolError, RecyclingMethod};
use stamina::{Decision, when};
use tokio_postgres::NoTls;
use tokio_postgres::error::SqlState;

pub fn pool(url: &str, size: usize) -> Pool {
    let config = url.parse().expect("a database URL");
    let recycling = ManagerConfig {
        recycling_method: RecyclingMethod::Fast,
    };
    let manager = Manager::from_config(config, NoTls, recycling);
    Pool::builder(manager)
        .max_size(size)
        .build()
        .expect("a pool without timeouts needs nothing else")
}

#[derive(Debug)]
pub enum StoreError {
    Pool(PoolError),
    Database(tokio_postgres::Error),
    /// The statement was carried out, and the answer never came. Tests make it.
    ReplyLost,
}

impl StoreError {
    /// The name of the broken constraint's kind, a dead connection's or whatever the server said.
    pub fn code(&self) -> Option<&SqlState> {
        match self {
            StoreError::Pool(PoolError::Backend(error)) | StoreError::Database(error) => {
                error.code()
            }
            _ => None,
        }
    }
}

/// The predicate: what goes away when the server comes back, or when the other transaction is through.
pub fn transient(error: &StoreError) -> Decision {
    let error = match error {
        StoreError::Pool(PoolError::Backend(error)) | StoreError::Database(error) => error,
        StoreError::Pool(PoolError::Timeout(_)) | StoreError::ReplyLost => return Decision::Retry,
        StoreError::Pool(_) => return Decision::Stop,
    };
    let passes = match error.code() {
        Some(code) => {
            // Class 08: connection. 40: the transaction was rolled back (serialization, deadlock). 53: out of some resource.
            ["08", "40", "53"]
                .iter()
                .any(|class| code.code().starts_with(class))
                || [
                    SqlState::ADMIN_SHUTDOWN,
                    SqlState::CRASH_SHUTDOWN,
                    SqlState::CANNOT_CONNECT_NOW,
                    SqlState::IDLE_SESSION_TIMEOUT,
                ]
                .contains(code)
        }
        // The server said nothing: the connection could not be made, or broke.
        None => error.is_closed() || when::caused_by::<io::Error>(error),
    };
    passes.into()
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StoreError::Pool(error) => write!(f, "pool: {error}"),
            StoreError::Database(error) => write!(f, "database: {error}"),
            StoreError::ReplyLost => f.write_str("the reply was lost"),
        }
    }
}

impl std::error::Error for StoreError {}

impl From<PoolError> for StoreError {
    fn from(error: PoolError) -> Self {
        StoreError::Pool(error)
    }
}

impl From<tokio_postgres::Error> for StoreError {
    fn from(error: tokio_postgres::Error) -> Self {
        StoreError::Database(error)
    }
}

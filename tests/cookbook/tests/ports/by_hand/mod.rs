//! The same three things written without the library, with what one would want of it: attempts, a deadline, exponential
//! waits with jitter, and hints. (The library's have a budget, telemetry and switches for tests as well.)

pub(crate) mod middleware;
pub(crate) mod storage;
pub(crate) mod stream;

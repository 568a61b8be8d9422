//! The semantics every row is set to, as far as it can: stamina's defaults.

use std::time::Duration;

pub const ATTEMPTS: u32 = 10;
pub const WAIT_INITIAL: Duration = Duration::from_millis(100);
pub const WAIT_MAX: Duration = Duration::from_secs(5);
pub const WAIT_JITTER: Duration = Duration::from_secs(1);
pub const TIMEOUT: Duration = Duration::from_secs(45);

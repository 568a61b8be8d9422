//! Switches and clocks for tests.
//!
//! Rust's tests run in threads of one process, so each switch comes twice: for the process ([`set_testing`],
//! [`set_active`](crate::set_active)) and, better, for a scope of one thread ([`scoped`], [`inactive`], [`normal`]).
//!
//! # Examples
//!
//! ```
//! use stamina::Retry;
//! use stamina::testing::{self, Testing};
//!
//! fn code_under_test() -> Result<(), &'static str> {
//!     Retry::on().call(|| Err("down"))
//! }
//!
//! // Three attempts instead of ten, and no waits.
//! let _guard = testing::scoped(Testing::attempts(3));
//! assert_eq!(code_under_test(), Err("down"));
//! ```

mod clock;
#[cfg(feature = "fleet")]
pub mod fleet;
pub(crate) mod mode;
pub(crate) mod scope;

pub use self::clock::VirtualClock;
#[cfg(feature = "fleet")]
pub use self::fleet::Fleet;
pub use self::mode::{Scope, Testing, inactive, is_testing, normal, scoped, set_testing};

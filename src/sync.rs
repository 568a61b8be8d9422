//! What threads meet at, in one place: a model checker puts its own here, for the part of the library that it looks at.

pub(crate) use std::sync::atomic::Ordering;

#[cfg(shuttle = "budget")]
pub(crate) use shuttle::sync::{Condvar, Mutex, MutexGuard, atomic::AtomicU64};
#[cfg(not(shuttle = "budget"))]
pub(crate) use std::sync::{Condvar, Mutex, MutexGuard, atomic::AtomicU64};

#[cfg(shuttle = "switches")]
pub(crate) use shuttle::{
    sync::RwLock,
    sync::atomic::{AtomicBool, AtomicUsize},
    thread_local,
};
#[cfg(not(shuttle = "switches"))]
pub(crate) use std::{
    sync::RwLock,
    sync::atomic::{AtomicBool, AtomicUsize},
    thread_local,
};

/// A static that switches are kept in: just that, or under the model checker a new one for each of its executions.
macro_rules! process_wide {
    ($(#[$attribute:meta])* static $NAME:ident: $Type:ty = $value:expr;) => {
        #[cfg(not(shuttle = "switches"))]
        $(#[$attribute])*
        static $NAME: $Type = $value;

        #[cfg(shuttle = "switches")]
        shuttle::lazy_static! {
            $(#[$attribute])*
            static ref $NAME: $Type = $value;
        }
    };
}

pub(crate) use process_wide;

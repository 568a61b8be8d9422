//! Telemetry: the events of calls, the hooks that receive them, logs, traces and metrics.
//!
//! There are three events: a retry is scheduled (emitted before its wait), a call gave up on a retryable error because of
//! a limit, a call recovered after at least one retry. A first-try success and a permanent error emit nothing.
//!
//! By default `LogHook` and `MetricsHook` receive them (features `log` and `metrics`, both on by default), and with
//! the feature `tracing` `TracingHook` takes the place of `LogHook`. They emit through the facades of these names and
//! never install anything. [`set_hooks`] replaces the hooks of the process, [`scoped_hooks`] those of one thread, and
//! [`Retry::on_retry`](crate::Retry::on_retry) adds one to a policy.
//!
//! A panic in a hook is contained: the call and the other hooks go on.

pub use crate::telemetry::*;

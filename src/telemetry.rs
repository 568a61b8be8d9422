#![allow(missing_docs)]
use std::fmt::Debug; use std::sync::Arc; use std::time::Duration; use crate::policy::StopReason;
#[derive(Clone, Copy, Debug)]
pub struct BudgetLevel { pub name: &'static str, pub balance: f64 }
#[derive(Clone, Copy, Debug)]
pub struct RetryDetails<'a> { pub callable: &'a str, pub retry_num: u32, pub wait_for: Duration, pub waited_so_far: Duration, pub elapsed: Duration, pub caused_by: &'a dyn Debug, pub error_type: &'static str, pub depth: u32, pub budget: Option<BudgetLevel> }
#[derive(Clone, Copy, Debug)]
pub struct GaveUp<'a> { pub callable: &'a str, pub attempts: u32, pub reason: StopReason, pub waited_so_far: Duration, pub elapsed: Duration, pub caused_by: &'a dyn Debug, pub error_type: &'static str, pub depth: u32, pub budget: Option<BudgetLevel> }
#[derive(Clone, Copy, Debug)]
pub struct Recovered<'a> { pub callable: &'a str, pub attempts: u32, pub waited_so_far: Duration, pub elapsed: Duration, pub budget: Option<BudgetLevel> }
pub trait Hook: Send + Sync {}
pub(crate) type Hooks = Arc<[Arc<dyn Hook>]>;
#[derive(Clone, Copy)]
pub(crate) enum Level { Warn, Info }
pub(crate) struct OneLine<'a>(pub(crate) &'a dyn Debug);
impl Debug for OneLine<'_> { fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result { self.0.fmt(f) } }
pub(crate) fn callable_name(n: &'static str) -> &'static str { n }
pub(crate) fn contain<T>(f: impl FnOnce() -> T) -> Option<T> { Some(f()) }
pub(crate) fn scoped_hooks_now() -> Option<Hooks> { None }
pub(crate) fn drop_contained(_: Hooks) {}
pub(crate) fn anyone_listens(_: Option<&Hooks>, _: Level) -> bool { false }
pub(crate) fn emit_retry_scheduled(_: Option<&Hooks>, _: &RetryDetails<'_>) {}
pub(crate) fn emit_gave_up(_: Option<&Hooks>, _: &GaveUp<'_>) {}
pub(crate) fn emit_recovered(_: Option<&Hooks>, _: &Recovered<'_>) {}
pub fn set_hooks(_: impl IntoIterator<Item = Arc<dyn Hook>>) {}
pub fn reset_hooks() {}

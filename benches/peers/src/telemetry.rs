//! What a careful person writes next to a hand-written loop: the same counters, histogram and log
//! lines as stamina's, through the same facades.

use std::time::Duration;

use metrics::{counter, histogram};

use crate::operation::Failure;

const CALLABLE: &str = "case";
const ERROR_TYPE: &str = "stamina_peers::operation::Failure";
/// Static label values: no string is made for them.
const RETRY_NUMS: [&str; 10] = ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"];

/// Before a wait.
pub fn retry_scheduled(error: &Failure, retry: u32, wait: Duration) {
    let retry_num = RETRY_NUMS.get(retry as usize).copied().unwrap_or(">9");
    counter!(
        "by_hand_retries_total",
        "callable" => CALLABLE, "retry_num" => retry_num, "error_type" => ERROR_TYPE
    )
    .increment(1);
    histogram!("by_hand_wait_seconds", "callable" => CALLABLE).record(wait.as_secs_f64());
    log::warn!(
        target: "by_hand",
        "by_hand.retry_scheduled callable={CALLABLE} retry_num={retry} wait_for={} caused_by={error:?} error_type={ERROR_TYPE}",
        wait.as_secs_f64()
    );
}

/// After a success that needed retries.
pub fn recovered(attempts: u32) {
    counter!("by_hand_recovered_total", "callable" => CALLABLE).increment(1);
    log::info!(target: "by_hand", "by_hand.recovered callable={CALLABLE} attempts={attempts}");
}

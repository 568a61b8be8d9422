//! Clients that fail together: when do they come back?

use std::time::Duration;

use stamina::{Retry, Settings};

use crate::Down;

/// The same policy without any jitter.
pub(crate) fn without_jitter(policy: &Retry<Down>) -> Retry<Down> {
    policy.clone().with_settings(Settings {
        wait_jitter: Some(Duration::ZERO),
        full_jitter: false,
        ..policy.settings()
    })
}

/// When the clients retry, in seconds after they all failed at once; every retry fails at once too.
pub(crate) fn requests(policy: &Retry<Down>, clients: u32, seed: u64) -> Vec<f64> {
    // The retries of one client are bounded, also where its policy is not.
    let policy = policy.clone().no_timeout();
    let timeout = Duration::from_secs(45);
    let mut requests = Vec::new();
    for client in 0..clients {
        let mut attempts = policy.start().seeded(seed ^ (u64::from(client) << 32));
        let mut at = Duration::ZERO;
        while let Ok(wait) = attempts.decide(&"down") {
            at = at.saturating_add(wait);
            if at >= timeout {
                break;
            }
            requests.push(at.as_secs_f64());
        }
    }
    requests
}

/// How many requests there are in each tenth of a second.
pub(crate) fn tenths(requests: &[f64]) -> Vec<u32> {
    let mut tenths = Vec::new();
    for request in requests {
        #[allow(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "at most 45 s"
        )]
        let tenth = (request * 10.0 + 1e-6) as usize;
        if tenths.len() <= tenth {
            tenths.resize(tenth + 1, 0);
        }
        tenths[tenth] += 1;
    }
    tenths
}

/// The most requests in any tenth of a second.
pub(crate) fn peak(requests: &[f64]) -> u32 {
    tenths(requests).into_iter().max().unwrap_or(0)
}

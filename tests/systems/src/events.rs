//! What the library told its hooks, by the name of the policy.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex, Once};
use std::time::Duration;

use stamina::StopReason;
use stamina::instrument::{self, GaveUp, Hook, Recovered, RetryDetails};

#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    Retry { number: u32, wait: Duration },
    GaveUp { attempts: u32, reason: StopReason },
    Recovered { attempts: u32 },
}

static EVENTS: LazyLock<Mutex<HashMap<String, Vec<Event>>>> = LazyLock::new(Mutex::default);
static LISTENING: Once = Once::new();

/// Begins to listen, once for the whole process: the tests of one binary run side by side, so each gives its policies
/// names of their own.
pub fn listen() {
    LISTENING.call_once(|| instrument::set_hooks([Arc::new(Listener) as Arc<dyn Hook>]));
}

/// All events of the policy with this name, in their order.
pub fn of(callable: &str) -> Vec<Event> {
    EVENTS
        .lock()
        .expect("nothing panics with it")
        .get(callable)
        .cloned()
        .unwrap_or_default()
}

/// How many calls of the policy with this name a limit has ended.
pub fn gave_up(callable: &str) -> usize {
    of(callable)
        .iter()
        .filter(|event| matches!(event, Event::GaveUp { .. }))
        .count()
}

/// How many retries the policy with this name has scheduled.
pub fn retries(callable: &str) -> usize {
    of(callable)
        .iter()
        .filter(|event| matches!(event, Event::Retry { .. }))
        .count()
}

struct Listener;

impl Listener {
    fn note(callable: &str, event: Event) {
        EVENTS
            .lock()
            .expect("nothing panics with it")
            .entry(callable.to_owned())
            .or_default()
            .push(event);
    }
}

impl Hook for Listener {
    fn retry_scheduled(&self, details: &RetryDetails<'_>) {
        Listener::note(
            details.callable,
            Event::Retry {
                number: details.retry_num,
                wait: details.wait_for,
            },
        );
    }

    fn gave_up(&self, details: &GaveUp<'_>) {
        Listener::note(
            details.callable,
            Event::GaveUp {
                attempts: details.attempts,
                reason: details.reason,
            },
        );
    }

    fn recovered(&self, details: &Recovered<'_>) {
        Listener::note(
            details.callable,
            Event::Recovered {
                attempts: details.attempts,
            },
        );
    }
}

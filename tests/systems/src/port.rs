//! Ports that stay free while a server is down.

use std::net::{Ipv4Addr, TcpListener};
use std::sync::atomic::{AtomicU16, Ordering};

/// Below the range that Linux takes the ports of outgoing connections from: a server that is restarted must find its port
/// again, and with a port from that range some client may sit on it by then.
const FIRST: u16 = 20_000;
const COUNT: u16 = 12_000;

static NEXT: AtomicU16 = AtomicU16::new(0);

/// A port on which nobody listens now, and which no other call of this process was given.
pub fn free() -> u16 {
    // Two runs on one machine begin at different places.
    let start = u16::try_from(std::process::id() % u32::from(COUNT)).expect("less than COUNT");
    for _ in 0..COUNT {
        let step = NEXT.fetch_add(1, Ordering::Relaxed);
        let offset = (u32::from(start) + 7 * u32::from(step)) % u32::from(COUNT);
        let port = FIRST + u16::try_from(offset).expect("less than COUNT");
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return port;
        }
    }
    panic!("no free port");
}

//! Durations as people write them: `1.5s`, `100ms`.

use std::fmt::{self, Display};
use std::time::Duration;

const NANOS_PER_SEC: u128 = 1_000_000_000;

/// Parses an unsigned decimal number and a unit, which is seconds if it is left out. Exact, and rounded to the nearest
/// nanosecond.
pub(super) fn parse(text: &str) -> Option<Duration> {
    let text = text.trim();
    let number = text.trim_end_matches(char::is_alphabetic);
    let unit = match text.strip_prefix(number)? {
        "ns" => 1,
        "us" | "\u{b5}s" | "\u{3bc}s" => 1_000,
        "ms" => 1_000_000,
        "s" | "" => NANOS_PER_SEC,
        "m" => 60 * NANOS_PER_SEC,
        "h" => 3600 * NANOS_PER_SEC,
        "d" => 24 * 3600 * NANOS_PER_SEC,
        _ => return None,
    };
    decimal(number.trim_end(), unit)
}

/// An unsigned decimal number of `unit` nanoseconds.
fn decimal(number: &str, unit: u128) -> Option<Duration> {
    /// One, with as many decimals as are looked at: enough for a nanosecond in any unit.
    const ONE: u128 = 1_000_000_000_000_000_000;

    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let mut digits = whole.bytes().chain(fraction.bytes()).peekable();
    digits.peek()?;
    if !digits.all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let whole: u128 = format!("0{whole}").parse().ok()?;
    let fraction: u128 = format!("{fraction:0<18.18}").parse().ok()?;
    let fraction = fraction.checked_mul(unit)?.checked_add(ONE / 2)? / ONE;
    let nanos = whole.checked_mul(unit)?.checked_add(fraction)?;
    let seconds = u64::try_from(nanos / NANOS_PER_SEC).ok()?;
    let nanos = u32::try_from(nanos % NANOS_PER_SEC).ok()?;
    Some(Duration::new(seconds, nanos))
}

/// A duration as [`parse`] reads it.
pub(super) struct Text(pub(super) Duration);

impl Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (seconds, nanos) = (self.0.as_secs(), self.0.subsec_nanos());
        if nanos == 0 {
            return write!(f, "{seconds}s");
        }
        if seconds == 0 && nanos % 1_000_000 == 0 {
            return write!(f, "{}ms", nanos / 1_000_000);
        }
        let fraction = format!("{nanos:09}");
        write!(f, "{seconds}.{}s", fraction.trim_end_matches('0'))
    }
}

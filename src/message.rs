//! Messages for bad settings that name the value, also in a `const fn`, which can panic with a text but can't format.

/// More than the longest message needs. What does not fit is cut off.
const CAPACITY: usize = 256;

/// A message under construction. Its texts are ASCII.
#[derive(Clone, Copy)]
pub(crate) struct Message {
    bytes: [u8; CAPACITY],
    len: usize,
}

impl Message {
    pub(crate) const fn new(text: &str) -> Self {
        let bytes = [0; CAPACITY];
        Self { bytes, len: 0 }.text(text)
    }

    pub(crate) const fn text(mut self, text: &str) -> Self {
        let mut rest = text.as_bytes();
        while let [first, others @ ..] = rest {
            self = self.byte(*first);
            rest = others;
        }
        self
    }

    const fn byte(mut self, byte: u8) -> Self {
        if self.len < CAPACITY {
            self.bytes[self.len] = byte;
            self.len = self.len.saturating_add(1);
        }
        self
    }

    #[allow(clippy::cast_possible_truncation, reason = "a digit fits in u8")]
    pub(crate) const fn integer(mut self, number: u64) -> Self {
        if number >= 10 {
            self = self.integer(number / 10);
        }
        self.byte(b'0'.saturating_add((number % 10) as u8))
    }

    /// Appends a number with up to nine decimals. What is not whole never reads as a whole number: a refused value
    /// must not read as a legal one.
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_precision_loss,
        clippy::cast_sign_loss,
        reason = "below 1e18 every whole part fits in u64 and goes back unchanged"
    )]
    pub(crate) const fn number(mut self, number: f64) -> Self {
        const UNIT: u64 = 1_000_000_000;
        if number.is_nan() {
            return self.text("NaN");
        }
        self = self.text(if number.is_sign_negative() { "-" } else { "" });
        let size = number.abs();
        if size >= 1e18 {
            return self.text(if size.is_infinite() {
                "inf"
            } else {
                "1e18 or beyond"
            });
        }
        let whole = size as u64;
        self = self.integer(whole);
        let fraction = size - whole as f64;
        if fraction == 0.0 {
            return self;
        }
        let mut rest = match (fraction * 1e9 + 0.5) as u64 {
            0 => 1,
            UNIT => UNIT - 1,
            rest => rest,
        };
        self = self.text(".");
        while rest > 0 {
            rest = rest.saturating_mul(10);
            self = self.integer(rest / UNIT);
            rest %= UNIT;
        }
        self
    }

    pub(crate) const fn as_str(&self) -> &str {
        match std::str::from_utf8(self.bytes.split_at(self.len).0) {
            Ok(text) => text,
            Err(_) => "stamina: a setting is out of range",
        }
    }
}

/// Panics with the message, if there is one.
#[track_caller]
pub(crate) const fn refuse(fault: Option<&Message>) {
    if let Some(message) = fault {
        panic!("{}", message.as_str());
    }
}

#[cfg(test)]
mod tests {
    use super::{CAPACITY, Message};

    #[track_caller]
    fn number(number: f64, expected: &str) {
        assert_eq!(Message::new("").number(number).as_str(), expected);
    }

    #[test]
    fn numbers_read_as_a_person_writes_them() {
        number(0.0, "0");
        number(-0.0, "-0");
        number(0.5, "0.5");
        number(0.9, "0.9");
        number(0.29, "0.29");
        number(0.05, "0.05");
        number(-1.0, "-1");
        number(1.05, "1.05");
        number(-2.5, "-2.5");
        number(123_456.789, "123456.789");
        number(999_999_999.0, "999999999");
        number(2e9, "2000000000");
        number(123_456_789_012.5, "123456789012.5");
        number(1e17, "100000000000000000");
        number(1e18, "1e18 or beyond");
        number(-2.5e300, "-1e18 or beyond");
        number(f64::NAN, "NaN");
        number(-f64::NAN, "NaN");
        number(f64::INFINITY, "inf");
        number(f64::NEG_INFINITY, "-inf");
    }

    #[test]
    fn what_is_not_whole_never_reads_as_whole() {
        number(1.0 - f64::EPSILON, "0.999999999");
        number(1.0 + f64::EPSILON, "1.000000001");
        number(1e-20, "0.000000001");
        number(-1e-20, "-0.000000001");
    }

    #[test]
    fn integers_have_all_their_digits() {
        for integer in [0, 9, 10, 101, u64::MAX] {
            let message = Message::new("").integer(integer);
            assert_eq!(message.as_str(), integer.to_string());
        }
    }

    #[test]
    fn what_does_not_fit_is_cut_off() {
        let long = "x".repeat(1000);
        let message = Message::new(&long).text("y").number(0.5);
        assert_eq!(message.as_str(), "x".repeat(CAPACITY));
    }

    #[test]
    fn it_can_be_made_at_compile_time() {
        const MESSAGE: Message = Message::new("at ").number(0.25).text(", not ").integer(7);
        assert_eq!(MESSAGE.as_str(), "at 0.25, not 7");
    }
}

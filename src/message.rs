//! Messages for bad settings that name the value, also where they are evaluated at compile time.
//!
//! A `const fn` can panic with a `&str` but can't format; so the message is put together here by hand.

/// More than the longest message needs; what does not fit is cut off.
const CAPACITY: usize = 256;

/// A message under construction.
#[derive(Clone, Copy)]
pub(crate) struct Message {
    bytes: [u8; CAPACITY],
    len: usize,
}

impl Message {
    pub(crate) const fn new(text: &str) -> Self {
        let empty = Self {
            bytes: [0; CAPACITY],
            len: 0,
        };
        empty.text(text)
    }

    pub(crate) const fn text(mut self, text: &str) -> Self {
        let text = text.as_bytes();
        let mut at = 0;
        while at < text.len() {
            self = self.byte(text[at]);
            at = at.saturating_add(1);
        }
        self
    }

    const fn byte(mut self, byte: u8) -> Self {
        // Only ASCII, so that cutting a message off leaves it valid UTF-8.
        if self.len < CAPACITY {
            self.bytes[self.len] = if byte.is_ascii() { byte } else { b'?' };
            self.len = self.len.saturating_add(1);
        }
        self
    }

    /// Appends a number as a person would write it: `0.5`, `-3`, `NaN`, `1e-20`; to 15 significant digits.
    pub(crate) const fn number(mut self, number: f64) -> Self {
        if number.is_nan() {
            return self.text("NaN");
        }
        if number.is_sign_negative() {
            self = self.byte(b'-');
        }
        let size = number.abs();
        if size.is_infinite() {
            return self.text("inf");
        }
        // Scale to 1 <= mantissa < 10 where plain digits would not show the value.
        let mut mantissa = size;
        let mut exponent = 0_i32;
        if size != 0.0 && !(size >= 1e-6 && size < 1e15) {
            while mantissa >= 10.0 {
                mantissa /= 10.0;
                exponent = exponent.saturating_add(1);
            }
            while mantissa < 1.0 {
                mantissa *= 10.0;
                exponent = exponent.saturating_sub(1);
            }
        }
        self = self.decimal(mantissa);
        if exponent != 0 {
            self = self.byte(b'e');
            if exponent < 0 {
                self = self.byte(b'-');
            }
            self = self.integer(exponent.unsigned_abs() as u64);
        }
        self
    }

    /// Appends `0 <= number < 1e15` with its fraction, if it has one.
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the range keeps both parts in u64"
    )]
    #[allow(
        clippy::cast_precision_loss,
        reason = "below 1e15 every integer is exact"
    )]
    #[allow(clippy::arithmetic_side_effects, reason = "`unit` is never zero")]
    const fn decimal(mut self, number: f64) -> Self {
        let whole = number as u64;
        self = self.integer(whole);
        // As many places as 15 significant digits leave; never rounded up to the next whole number.
        let mut places = 15_u32;
        let mut rest = whole;
        while rest > 0 && places > 0 {
            rest /= 10;
            places = places.saturating_sub(1);
        }
        let scale = 10_u64.pow(places);
        let mut fraction = ((number - whole as f64) * scale as f64 + 0.5) as u64;
        if fraction >= scale {
            fraction = scale.saturating_sub(1);
        }
        if fraction == 0 {
            return self;
        }
        while fraction % 10 == 0 {
            fraction /= 10;
            places = places.saturating_sub(1);
        }
        self = self.byte(b'.');
        let mut unit = 10_u64.pow(places.saturating_sub(1));
        while unit > 0 {
            self = self.byte(b'0'.saturating_add((fraction / unit % 10) as u8));
            unit /= 10;
        }
        self
    }

    #[allow(clippy::cast_possible_truncation, reason = "a digit fits in u8")]
    #[allow(clippy::arithmetic_side_effects, reason = "`unit` is never zero")]
    pub(crate) const fn integer(mut self, number: u64) -> Self {
        let mut unit = 1_u64;
        while number / unit >= 10 {
            unit = unit.saturating_mul(10);
        }
        while unit > 0 {
            self = self.byte(b'0'.saturating_add((number / unit % 10) as u8));
            unit /= 10;
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
    use super::Message;

    #[track_caller]
    fn number(number: f64, expected: &str) {
        assert_eq!(Message::new("").number(number).as_str(), expected);
    }

    #[test]
    fn numbers_read_as_a_person_writes_them() {
        number(0.0, "0");
        number(0.5, "0.5");
        number(0.9, "0.9");
        number(-1.0, "-1");
        number(1.05, "1.05");
        number(0.999_999_999_999_999_9, "0.999999999999999");
        number(123_456.789, "123456.789");
        number(1e15, "1e15");
        number(-2.5e300, "-2.5e300");
        number(1e-20, "1e-20");
        number(f64::NAN, "NaN");
        number(f64::INFINITY, "inf");
        number(f64::NEG_INFINITY, "-inf");
    }

    #[test]
    fn what_does_not_fit_is_cut_off() {
        let long = "x".repeat(1000);
        assert_eq!(
            Message::new(&long).text("y").as_str(),
            "x".repeat(super::CAPACITY)
        );
    }

    #[test]
    fn foreign_letters_do_not_break_it() {
        assert_eq!(Message::new("\u{e9}").as_str(), "??");
    }
}

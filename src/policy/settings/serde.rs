//! Settings from and to a configuration file (feature `serde`).
//!
//! Every value is first read as what it is, then understood key by key, so that an error can name the key, the value
//! and what would be right.

use std::fmt;
use std::time::Duration;

use ::serde::de::{
    Deserialize, DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor,
};
use ::serde::ser::{Serialize, SerializeStruct, Serializer};

use super::Settings;

const KEYS: &[&str] = &[
    "attempts",
    "timeout",
    "wait_initial",
    "wait_max",
    "wait_jitter",
    "wait_exp_base",
    "full_jitter",
];

const UNLIMITED: &str = "unlimited";

const DURATION: &str = "a duration, \"1.5s\", \"100ms\", \"2m\", \"1h\" or a number of seconds, \
                        from 0 to 18446744073709551615.999999999 s";

/// Reads settings from any self-describing format (TOML, JSON, YAML ..; feature `serde`).
///
/// | key | value | default |
/// |---|---|---|
/// | `attempts` | whole number from 1, or `"unlimited"` | 10 |
/// | `timeout` | duration, or `"unlimited"` | `"45s"` |
/// | `wait_initial` | duration | `"100ms"` |
/// | `wait_max` | duration | `"5s"` |
/// | `wait_jitter` | duration | `"1s"` |
/// | `wait_exp_base` | number from 1 | 2 |
/// | `full_jitter` | `true` or `false` | `false` |
///
/// Every key is optional; an unknown one is an error, as it would be a setting that does not hold. A duration is a
/// number of seconds, or a text of a decimal number and a unit: `ns`, `us`, `ms`, `s` (which may be left out), `m` for
/// minutes, `h`, `d`. It is read exactly and rounded to the nearest nanosecond. Numbers and flags may stand in quotes,
/// which is all that an environment variable can hold.
///
/// Give the settings a table of their own: with `#[serde(flatten)]` unknown keys go by unseen, as serde hands over the
/// known ones only.
///
/// Formats that do not say what a value is (bincode, postcard) can't be read, as a duration may be a number or a text.
///
/// # Errors
///
/// Whatever can't be understood or is out of range, with the key, the value, and what it must be.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use stamina::{Retry, Settings};
///
/// let settings: Settings = toml::from_str(r#"
///     attempts = 5
///     timeout = "2m"
///     wait_jitter = 0.25
/// "#)?;
///
/// assert_eq!(settings.timeout, Some(Duration::from_secs(120)));
/// assert_eq!(settings.wait_jitter, Duration::from_millis(250));
/// assert_eq!(settings.wait_max, Settings::DEFAULT.wait_max);
///
/// let policy = Retry::on::<std::io::Error>().with_settings(settings);
/// assert_eq!(policy.schedule().count(), 4);
///
/// let error = toml::from_str::<Settings>("wait_max = '5 parsecs'").unwrap_err();
/// assert!(error.message().starts_with(r#"stamina: `wait_max` is "5 parsecs", but must be a duration"#));
/// # Ok::<(), toml::de::Error>(())
/// ```
impl<'de> Deserialize<'de> for Settings {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_struct("Settings", KEYS, Table)
    }
}

struct Table;

impl<'de> Visitor<'de> for Table {
    type Value = Settings;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a table of retry settings")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut table: A) -> Result<Settings, A::Error> {
        let mut settings = Settings::DEFAULT;
        let mut set = Vec::new();
        while let Some(Key(key)) = table.next_key()? {
            if set.contains(&key) {
                return Err(Error::duplicate_field(key));
            }
            set.push(key);
            table.next_value_seed(Setting {
                key,
                settings: &mut settings,
            })?;
        }
        Ok(settings)
    }
}

struct Key(&'static str);

impl<'de> Deserialize<'de> for Key {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_identifier(KeyVisitor)
    }
}

struct KeyVisitor;

impl Visitor<'_> for KeyVisitor {
    type Value = Key;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name of a retry setting")
    }

    fn visit_str<E: Error>(self, key: &str) -> Result<Key, E> {
        let known = KEYS.iter().find(|known| **known == key);
        known
            .map(|known| Key(known))
            .ok_or_else(|| Error::unknown_field(key, KEYS))
    }
}

/// The value of a key. What is wrong with it is told while it is read, so that the format can add the place.
struct Setting<'a> {
    key: &'static str,
    settings: &'a mut Settings,
}

impl<'de> DeserializeSeed<'de> for Setting<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        let Self { key, settings } = self;
        let value = Value::deserialize(deserializer)?;
        value.put(key, settings).map_err(|wanted| {
            let or = match key {
                "attempts" | "timeout" => ", or \"unlimited\"",
                _ => "",
            };
            Error::custom(format_args!(
                "stamina: `{key}` is {value}, but must be {wanted}{or}"
            ))
        })?;
        match settings.fault() {
            None => Ok(()),
            Some(message) => Err(Error::custom(message.as_str())),
        }
    }
}

/// A value as it stands in the file.
enum Value {
    /// In decimal digits, as binary fractions can't hold most of what people write.
    Number(String),
    Text(String),
    Bool(bool),
    /// Nothing that any key could take.
    Other(&'static str),
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => f.write_str(number),
            Self::Text(text) => write!(f, "{text:?}"),
            Self::Bool(value) => write!(f, "{value}"),
            Self::Other(kind) => f.write_str(kind),
        }
    }
}

impl Value {
    /// Sets what `key` stands for, or tells what it must be. [`Settings::fault`] knows the ranges.
    fn put(&self, key: &str, settings: &mut Settings) -> Result<(), &'static str> {
        let duration = || self.duration().ok_or(DURATION);
        match key {
            "attempts" => {
                let wanted = "a whole number from 1 to 4294967295";
                settings.attempts = self.limit(Self::parse).ok_or(wanted)?;
            }
            "timeout" => {
                settings.timeout = self.limit(Self::duration).ok_or(DURATION)?;
            }
            "wait_initial" => settings.wait_initial = duration()?,
            "wait_max" => settings.wait_max = duration()?,
            "wait_jitter" => settings.wait_jitter = duration()?,
            "wait_exp_base" => {
                settings.wait_exp_base = self.parse().ok_or("a finite number of at least 1")?;
            }
            _ => settings.full_jitter = self.flag().ok_or("true or false")?,
        }
        Ok(())
    }

    /// `Some(None)` for no limit.
    #[allow(clippy::option_option, reason = "the outer one is for nonsense")]
    fn limit<T>(&self, value: impl FnOnce(&Self) -> Option<T>) -> Option<Option<T>> {
        match self {
            Self::Text(text) if text.trim() == UNLIMITED => Some(None),
            _ => value(self).map(Some),
        }
    }

    /// A plain number. As a text too: that is all an environment variable can hold.
    fn parse<T: std::str::FromStr>(&self) -> Option<T> {
        match self {
            Self::Number(text) | Self::Text(text) => text.trim().parse().ok(),
            Self::Bool(_) | Self::Other(_) => None,
        }
    }

    fn flag(&self) -> Option<bool> {
        match self {
            Self::Bool(flag) => Some(*flag),
            Self::Text(text) => text.trim().parse().ok(),
            Self::Number(_) | Self::Other(_) => None,
        }
    }

    fn duration(&self) -> Option<Duration> {
        match self {
            Self::Number(number) if number.contains(['e', 'E']) => {
                // Written out, a float never has an exponent.
                decimal(&number.parse::<f64>().ok()?.to_string(), NANOS_PER_SEC)
            }
            Self::Number(number) => decimal(number, NANOS_PER_SEC),
            Self::Text(text) => {
                let text = text.trim();
                let number = text.trim_end_matches(char::is_alphabetic);
                let unit = match text.get(number.len()..)? {
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
            Self::Bool(_) | Self::Other(_) => None,
        }
    }
}

const NANOS_PER_SEC: u128 = 1_000_000_000;

/// Decimals that are looked at: enough for a nanosecond in any unit.
const DECIMALS: usize = 18;

/// An unsigned decimal number of `unit` nanoseconds, to the nearest nanosecond.
fn decimal(number: &str, unit: u128) -> Option<Duration> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if (whole.is_empty() && fraction.is_empty()) || !digits(whole) || !digits(fraction) {
        return None;
    }
    let integer = |digits: &str| -> Option<u128> {
        if digits.is_empty() {
            return Some(0);
        }
        digits.parse().ok()
    };
    let fraction = fraction.get(..DECIMALS).unwrap_or(fraction);
    let scale = 10_u128.pow(u32::try_from(fraction.len()).ok()?);
    let part = integer(fraction)?.checked_mul(unit)?;
    let part = part.checked_add(scale.div_euclid(2))?.checked_div(scale)?;
    let nanos = integer(whole)?.checked_mul(unit)?.checked_add(part)?;
    let secs = u64::try_from(nanos.div_euclid(NANOS_PER_SEC)).ok()?;
    let subsec = u32::try_from(nanos.rem_euclid(NANOS_PER_SEC)).ok()?;
    Some(Duration::new(secs, subsec))
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AnyValue)
    }
}

struct AnyValue;

impl<'de> Visitor<'de> for AnyValue {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a retry setting")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Number(value.to_string()))
    }

    fn visit_i128<E>(self, value: i128) -> Result<Value, E> {
        Ok(Value::Number(value.to_string()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Number(value.to_string()))
    }

    fn visit_u128<E>(self, value: u128) -> Result<Value, E> {
        Ok(Value::Number(value.to_string()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        // The shortest decimal number that means this float: what was written, for all that people write.
        Ok(Value::Number(format!("{value:?}")))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::Text(value.to_owned()))
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Other("null"))
    }

    fn visit_none<E>(self) -> Result<Value, E> {
        Ok(Value::Other("null"))
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, inner: D) -> Result<Value, D::Error> {
        inner.deserialize_any(self)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Value, A::Error> {
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Value::Other("a list"))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut table: A) -> Result<Value, A::Error> {
        let Some(key) = table.next_key::<String>()? else {
            return Ok(Value::Other("a table"));
        };
        // serde_json's way to hand over numbers when some crate has switched on its `arbitrary_precision`, and toml's
        // to hand over dates.
        if key.starts_with('$') {
            return table.next_value().map(Value::Number);
        }
        table.next_value::<IgnoredAny>()?;
        while table.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Value::Other("a table"))
    }
}

/// Writes all settings (feature `serde`); read again, they are the same to the last bit.
///
/// # Examples
///
/// ```
/// use stamina::Settings;
///
/// let text = toml::to_string(&Settings { attempts: None, ..Settings::DEFAULT })?;
/// assert!(text.starts_with("attempts = \"unlimited\"\ntimeout = \"45s\"\nwait_initial = \"100ms\"\n"));
/// # Ok::<(), toml::ser::Error>(())
/// ```
impl Serialize for Settings {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut table = serializer.serialize_struct("Settings", KEYS.len())?;
        match self.attempts {
            Some(attempts) => table.serialize_field("attempts", &attempts)?,
            None => table.serialize_field("attempts", UNLIMITED)?,
        }
        match self.timeout {
            Some(timeout) => table.serialize_field("timeout", &Written(timeout))?,
            None => table.serialize_field("timeout", UNLIMITED)?,
        }
        table.serialize_field("wait_initial", &Written(self.wait_initial))?;
        table.serialize_field("wait_max", &Written(self.wait_max))?;
        table.serialize_field("wait_jitter", &Written(self.wait_jitter))?;
        let base = format!("{:?}", self.wait_exp_base);
        if base.len() <= EXACT {
            table.serialize_field("wait_exp_base", &self.wait_exp_base)?;
        } else {
            table.serialize_field("wait_exp_base", &base)?;
        }
        table.serialize_field("full_jitter", &self.full_jitter)?;
        table.end()
    }
}

/// The longest float that every parser reads exactly: that of `serde_json`, for one, is off by a little in the last of 17
/// digits. Longer ones are written as a text.
const EXACT: usize = 15;

/// A duration as a person would write it.
struct Written(Duration);

impl Serialize for Written {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl fmt::Display for Written {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (secs, nanos) = (self.0.as_secs(), self.0.subsec_nanos());
        if nanos == 0 {
            return write!(f, "{secs}s");
        }
        if secs == 0 && nanos % 1_000_000 == 0 {
            return write!(f, "{}ms", self.0.as_millis());
        }
        let fraction = format!("{nanos:09}");
        write!(f, "{secs}.{}s", fraction.trim_end_matches('0'))
    }
}

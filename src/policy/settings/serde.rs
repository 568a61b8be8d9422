//! Settings from and to a configuration file (feature `serde`).
//!
//! Every value is first read as a text, then parsed by its key, so that an error can name the key, the value and what
//! would be right.

use std::fmt::{self, Display};
use std::str::FromStr;
use std::time::Duration;

use ::serde::de::{Deserialize, DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess};
use ::serde::de::{SeqAccess, Unexpected, Visitor};
use ::serde::ser::{Serialize, SerializeStruct, Serializer};

use super::{Settings, duration};

const KEYS: &[&str] = &[
    "attempts",
    "timeout",
    "attempt_timeout",
    "wait_initial",
    "wait_max",
    "wait_jitter",
    "wait_exp_base",
    "full_jitter",
];

/// No limit: `None` of `attempts`, `timeout` and `attempt_timeout`.
const UNLIMITED: &str = "unlimited";

/// Fits the other settings: `None` of `wait_max` and `wait_jitter`.
const AUTO: &str = "auto";

/// Reads settings from a configuration file (TOML, JSON, YAML ..; feature `serde`).
///
/// | key | value | default |
/// |---|---|---|
/// | `attempts` | whole number from 1, or `"unlimited"` | 10 |
/// | `timeout` | duration, or `"unlimited"` | `"45s"` |
/// | `attempt_timeout` | duration longer than 0, or `"unlimited"` | `"unlimited"` |
/// | `wait_initial` | duration | `"100ms"` |
/// | `wait_max` | duration, or `"auto"`: it fits the other settings | `"auto"` |
/// | `wait_jitter` | duration, or `"auto"`: it fits the other settings | `"auto"` |
/// | `wait_exp_base` | number from 1 | 2 |
/// | `full_jitter` | `true` or `false` | `false` |
///
/// Every key is optional. An unknown key is an error, as a misspelt setting would have no effect. A duration is a number
/// of seconds, or a text of a decimal number and a unit: `ns`, `us`, `ms`, `s` (the default), `m` for minutes, `h`, `d`. It
/// is read exactly and rounded to the nearest nanosecond. Numbers and flags may be in quotes, because an environment
/// variable can hold nothing else.
///
/// Give the settings a table of their own: with `#[serde(flatten)]` serde passes on only the known keys, so unknown ones
/// are not refused.
///
/// Binary formats work too, whether they name the fields (CBOR, `rmp_serde::to_vec_named`) or not (`rmp_serde::to_vec`,
/// postcard, bincode). A format without names holds every field, in the order of the table, as a text.
///
/// # Errors
///
/// If a value can't be parsed or is out of range. The error names the key, the value, and what it must be.
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
/// assert_eq!(settings.wait_jitter, Some(Duration::from_millis(250)));
/// assert_eq!(settings.wait_max, None);
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
        let readable = deserializer.is_human_readable();
        deserializer.deserialize_struct("Settings", KEYS, Table { readable })
    }
}

struct Table {
    /// For people: a list of values without names is refused.
    readable: bool,
}

impl<'de> Visitor<'de> for Table {
    type Value = Settings;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a table of retry settings")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut table: A) -> Result<Settings, A::Error> {
        let mut settings = Settings::DEFAULT;
        let mut unset = KEYS.to_vec();
        while let Some(key) = table.next_key::<String>()? {
            table.next_value_seed(Setting {
                key: &key,
                unset: &mut unset,
                settings: &mut settings,
            })?;
        }
        Ok(settings)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Settings, A::Error> {
        if self.readable {
            return Err(Error::invalid_type(Unexpected::Seq, &self));
        }
        let mut settings = Settings::DEFAULT;
        for (index, key) in KEYS.iter().enumerate() {
            let text = list.next_element()?;
            let text = text.ok_or_else(|| Error::invalid_length(index, &self))?;
            Value::quoted(text).set(key, &mut settings)?;
        }
        Ok(settings)
    }
}

/// The value of a key. All errors of an entry are raised while its value is read, so that the format can add the place.
struct Setting<'a> {
    key: &'a str,
    unset: &'a mut Vec<&'static str>,
    settings: &'a mut Settings,
}

impl<'de> DeserializeSeed<'de> for Setting<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        let Some(key) = KEYS.iter().find(|key| **key == self.key) else {
            return Err(Error::unknown_field(self.key, KEYS));
        };
        let Some(index) = self.unset.iter().position(|unset| unset == key) else {
            return Err(Error::duplicate_field(key));
        };
        self.unset.swap_remove(index);
        deserializer
            .deserialize_any(AnyValue)?
            .set(key, self.settings)
    }
}

/// A value as it stands in the file. Numbers are texts too, as binary fractions can't hold most of what people write.
struct Value {
    text: String,
    quoted: bool,
}

impl Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.quoted {
            write!(f, "{:?}", self.text)
        } else {
            f.write_str(&self.text)
        }
    }
}

impl Value {
    fn quoted(text: String) -> Self {
        Self { text, quoted: true }
    }

    /// What is not a text: a number or flag, or a description, which parses as nothing.
    fn plain(text: impl Into<String>) -> Self {
        let (text, quoted) = (text.into(), false);
        Self { text, quoted }
    }

    /// Sets what `key` stands for. [`Settings::check`] knows the ranges.
    fn set<E: Error>(&self, key: &str, settings: &mut Settings) -> Result<(), E> {
        self.put(key, settings).ok_or_else(|| {
            let wanted = match key {
                "attempts" => "a whole number from 1 to 4294967295",
                "wait_exp_base" => "a finite number of at least 1",
                "full_jitter" => "true or false",
                _ => {
                    "a duration, \"1.5s\", \"100ms\", \"2m\", \"1h\" or a number of seconds, \
                      from 0 to 18446744073709551615.999999999 s"
                }
            };
            let or = match key {
                "attempts" | "timeout" | "attempt_timeout" => ", or \"unlimited\"",
                "wait_max" | "wait_jitter" => ", or \"auto\"",
                _ => "",
            };
            E::custom(format_args!(
                "stamina: `{key}` is {self}, but must be {wanted}{or}"
            ))
        })?;
        settings.check().map_err(E::custom)
    }

    /// `None` if the value can't be parsed.
    fn put(&self, key: &str, settings: &mut Settings) -> Option<()> {
        match key {
            "attempts" => settings.attempts = self.unless(UNLIMITED, Self::parse)?,
            "timeout" => settings.timeout = self.unless(UNLIMITED, Self::duration)?,
            "attempt_timeout" => {
                settings.attempt_timeout = self.unless(UNLIMITED, Self::duration)?;
            }
            "wait_initial" => settings.wait_initial = self.duration()?,
            "wait_max" => settings.wait_max = self.unless(AUTO, Self::duration)?,
            "wait_jitter" => settings.wait_jitter = self.unless(AUTO, Self::duration)?,
            "wait_exp_base" => settings.wait_exp_base = self.parse()?,
            "full_jitter" => settings.full_jitter = self.parse()?,
            _ => unreachable!("{key} is none of the keys"),
        }
        Some(())
    }

    /// `Some(None)` if the value is `word`.
    #[allow(
        clippy::option_option,
        reason = "the outer one is for values that can't be parsed"
    )]
    fn unless<T>(&self, word: &str, parse: impl Fn(&Self) -> Option<T>) -> Option<Option<T>> {
        if self.quoted && self.text.trim() == word {
            return Some(None);
        }
        parse(self).map(Some)
    }

    fn parse<T: FromStr>(&self) -> Option<T> {
        self.text.trim().parse().ok()
    }

    fn duration(&self) -> Option<Duration> {
        if !self.quoted && self.text.contains(['e', 'E']) {
            // `Display` of a float has no exponent.
            return duration::parse(&self.parse::<f64>()?.to_string());
        }
        duration::parse(&self.text)
    }
}

struct AnyValue;

impl<'de> Visitor<'de> for AnyValue {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a retry setting")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::plain(value.to_string()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::plain(value.to_string()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::plain(value.to_string()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        // The shortest decimal number that means this float: what was written, for all that people write.
        Ok(Value::plain(format!("{value:?}")))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::quoted(value.to_owned()))
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::plain("null"))
    }

    fn visit_none<E>(self) -> Result<Value, E> {
        Ok(Value::plain("null"))
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Value, A::Error> {
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Value::plain("a list"))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut table: A) -> Result<Value, A::Error> {
        // The form in which serde_json passes on numbers, if its feature `arbitrary_precision` is on, and toml dates.
        const WRAPPERS: [&str; 2] = ["$serde_json::private::Number", "$__toml_private_datetime"];

        while let Some(key) = table.next_key::<String>()? {
            if WRAPPERS.contains(&key.as_str()) {
                return table.next_value::<String>().map(Value::plain);
            }
            table.next_value::<IgnoredAny>()?;
        }
        Ok(Value::plain("a table"))
    }
}

/// Writes all settings (feature `serde`). Read again, they are the same to the last bit.
///
/// No limit is `"unlimited"`, and a `wait_max` or `wait_jitter` that fits the other settings is `"auto"`. In binary
/// formats each value is a text.
///
/// # Examples
///
/// ```
/// use stamina::Settings;
///
/// let text = toml::to_string(&Settings { attempts: None, ..Settings::DEFAULT })?;
/// assert!(text.starts_with("attempts = \"unlimited\"\ntimeout = \"45s\"\n"));
/// assert!(text.contains("wait_max = \"auto\""));
/// # Ok::<(), toml::ser::Error>(())
/// ```
impl Serialize for Settings {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        // A format that does not say what a value is can be read only if every value is of one type.
        let readable = serializer.is_human_readable();
        let mut table = serializer.serialize_struct("Settings", KEYS.len())?;
        match self.attempts {
            Some(attempts) if readable => table.serialize_field("attempts", &attempts)?,
            attempts => table.serialize_field("attempts", &text_or(UNLIMITED, attempts))?,
        }
        let limit = |limit: Option<Duration>| text_or(UNLIMITED, limit.map(duration::Text));
        let wait = |wait: Option<Duration>| text_or(AUTO, wait.map(duration::Text));
        table.serialize_field("timeout", &limit(self.timeout))?;
        table.serialize_field("attempt_timeout", &limit(self.attempt_timeout))?;
        table.serialize_field(
            "wait_initial",
            &duration::Text(self.wait_initial).to_string(),
        )?;
        table.serialize_field("wait_max", &wait(self.wait_max))?;
        table.serialize_field("wait_jitter", &wait(self.wait_jitter))?;
        let base = format!("{:?}", self.wait_exp_base);
        if readable && base.len() <= EXACT {
            table.serialize_field("wait_exp_base", &self.wait_exp_base)?;
        } else {
            table.serialize_field("wait_exp_base", &base)?;
        }
        if readable {
            table.serialize_field("full_jitter", &self.full_jitter)?;
        } else {
            table.serialize_field("full_jitter", &self.full_jitter.to_string())?;
        }
        table.end()
    }
}

/// The longest float that every parser reads exactly. That of `serde_json`, for one, is off by a little in the last of
/// 17 digits. Longer ones are written as a text.
const EXACT: usize = 15;

fn text_or(word: &str, value: Option<impl Display>) -> String {
    value.map_or_else(|| word.to_owned(), |value| value.to_string())
}

//! Events as records of the facade `log`.

use std::cell::Cell;
use std::fmt::{self, Debug, Display, Formatter};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use log::Record;
use log::kv::{Error, Key, Source, ToValue, Value, VisitSource};

use super::{GaveUp, Hook, Recovered, RetryDetails, Severity, TARGET};

/// Writes log records with target `stamina`.
///
/// | level | text begins with | key-values |
/// |---|---|---|
/// | WARN | `stamina.retry_scheduled` | `callable`, `retry_num`, `wait_for`, `waited_so_far`, `error_type`, `caused_by` |
/// | WARN | `stamina.gave_up` | `callable`, `attempts`, `reason`, `waited_so_far`, `error_type`, `caused_by` |
/// | INFO | `stamina.recovered` | `callable`, `attempts`, `waited_so_far` |
///
/// Times are in seconds. A record is one line, and shows at most 1,024 bytes of the error. The arguments of the operation
/// are never shown.
///
/// If the logger shows key-values, the text is the name of the event alone, so that nothing is there twice. If it does
/// not, the key-values follow in the text (`stamina.recovered callable=fetch attempts=2 waited_so_far=0.731`). The hook
/// learns which from the logger's use of the last record, so the first record of a process may show both.
///
/// # Examples
///
/// ```
/// use std::sync::Arc;
/// use stamina::instrument::{self, Hook, LogHook};
///
/// // Only log, no metrics.
/// instrument::set_hooks([Arc::new(LogHook) as Arc<dyn Hook>]);
/// # instrument::reset_hooks();
/// ```
#[derive(Clone, Copy, Debug)]
pub struct LogHook;

/// Whether a record of this level could be seen.
#[inline]
pub(super) fn listens(severity: Severity) -> bool {
    let level = log_level(severity);
    level <= log::STATIC_MAX_LEVEL && level <= log::max_level()
}

#[inline]
fn log_level(severity: Severity) -> log::Level {
    match severity {
        Severity::Warn => log::Level::Warn,
        Severity::Info => log::Level::Info,
    }
}

impl Hook for LogHook {
    fn retry_scheduled(&self, details: &RetryDetails<'_>) {
        let fields = [
            ("callable", Field::Text(details.callable)),
            ("retry_num", Field::Number(details.retry_num)),
            ("wait_for", Field::Seconds(details.wait_for)),
            ("waited_so_far", Field::Seconds(details.waited_so_far)),
            ("error_type", Field::Text(details.error_type)),
            ("caused_by", Field::Error(details.caused_by)),
        ];
        write(Severity::Warn, "stamina.retry_scheduled", &fields);
    }

    fn gave_up(&self, details: &GaveUp<'_>) {
        let fields = [
            ("callable", Field::Text(details.callable)),
            ("attempts", Field::Number(details.attempts)),
            ("reason", Field::Text(details.reason.as_str())),
            ("waited_so_far", Field::Seconds(details.waited_so_far)),
            ("error_type", Field::Text(details.error_type)),
            ("caused_by", Field::Error(details.caused_by)),
        ];
        write(Severity::Warn, "stamina.gave_up", &fields);
    }

    fn recovered(&self, details: &Recovered<'_>) {
        let fields = [
            ("callable", Field::Text(details.callable)),
            ("attempts", Field::Number(details.attempts)),
            ("waited_so_far", Field::Seconds(details.waited_so_far)),
        ];
        write(Severity::Info, "stamina.recovered", &fields);
    }
}

/// Whether the logger, each time it read the text of the last record, read its key-values too.
static SHOWS_KEY_VALUES: AtomicBool = AtomicBool::new(false);

// Not inlined, to keep binaries small: each event would have a copy.
#[inline(never)]
fn write(severity: Severity, event: &str, fields: &[(&str, Field<'_>)]) {
    if !listens(severity) {
        return;
    }
    let fields = Fields {
        list: fields,
        in_text: !SHOWS_KEY_VALUES.load(Ordering::Relaxed),
        text_reads: Cell::new(0),
        key_value_reads: Cell::new(0),
    };
    log::logger().log(
        &Record::builder()
            .level(log_level(severity))
            .target(TARGET)
            .module_path_static(Some(module_path!()))
            .args(format_args!("{event}{fields}"))
            .key_values(&fields)
            .build(),
    );
    // A logger may consist of several, of which only some show key-values. The text is for all of them.
    if fields.text_reads.get() > 0 {
        let shown = fields.key_value_reads.get() >= fields.text_reads.get();
        SHOWS_KEY_VALUES.store(shown, Ordering::Relaxed);
    }
}

/// The value of a field: for people in the text, typed in the key-values.
enum Field<'a> {
    Text(&'a str),
    Number(u32),
    Seconds(Duration),
    Error(&'a dyn Debug),
}

impl Display for Field<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => f.write_str(text),
            Self::Number(number) => Display::fmt(number, f),
            // To the millisecond, in integers: formatting floating-point numbers takes 20 KiB of code.
            Self::Seconds(time) => write!(f, "{}.{:03}", time.as_secs(), time.subsec_millis()),
            Self::Error(error) => error.fmt(f),
        }
    }
}

impl ToValue for Field<'_> {
    fn to_value(&self) -> Value<'_> {
        match self {
            Self::Text(text) => text.to_value(),
            Self::Number(number) => number.to_value(),
            Self::Seconds(time) => time.as_secs_f64().into(),
            Self::Error(error) => Value::from_dyn_debug(error),
        }
    }
}

/// The fields of one record, and what the logger has read of it.
struct Fields<'a> {
    list: &'a [(&'a str, Field<'a>)],
    in_text: bool,
    text_reads: Cell<u32>,
    key_value_reads: Cell<u32>,
}

impl Display for Fields<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        self.text_reads.set(self.text_reads.get().saturating_add(1));
        if self.in_text {
            for (key, value) in self.list {
                write!(f, " {key}={value}")?;
            }
        }
        Ok(())
    }
}

impl Source for Fields<'_> {
    fn visit<'kvs>(&'kvs self, visitor: &mut dyn VisitSource<'kvs>) -> Result<(), Error> {
        let reads = self.key_value_reads.get();
        self.key_value_reads.set(reads.saturating_add(1));
        self.list.visit(visitor)
    }

    // Neither of these shows the key-values.
    fn get(&self, key: Key<'_>) -> Option<Value<'_>> {
        Source::get(self.list, key)
    }

    fn count(&self) -> usize {
        self.list.len()
    }
}

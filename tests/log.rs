//! Log records, as a logger sees them.
#![cfg(feature = "log")]

mod scene;

use log::kv::{self, Key, Value, VisitSource};
use log::{Level, LevelFilter, Log, Metadata, Record};
use scene::clock;
use stamina::instrument::{self, Hook, LogHook};
use stamina::{Retry, Timer, testing};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::{Arc, Once};
use std::time::Duration;

#[derive(Clone, Debug, PartialEq)]
struct Kept {
    level: Level,
    target: String,
    text: String,
    pairs: BTreeMap<String, String>,
}

thread_local! {
    static KEPT: RefCell<Vec<Kept>> = const { RefCell::new(Vec::new()) };
}

/// Keeps the records of each thread.
struct Capture;

impl Log for Capture {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &Record<'_>) {
        let mut pairs = Pairs(BTreeMap::new());
        record.key_values().visit(&mut pairs).unwrap();
        let kept = Kept {
            level: record.level(),
            target: record.target().to_owned(),
            text: record.args().to_string(),
            pairs: pairs.0,
        };
        KEPT.with_borrow_mut(|all| all.push(kept));
    }

    fn flush(&self) {}
}

struct Pairs(BTreeMap<String, String>);

impl<'kvs> VisitSource<'kvs> for Pairs {
    fn visit_pair(&mut self, key: Key<'kvs>, value: Value<'kvs>) -> Result<(), kv::Error> {
        // Numbers shall arrive as numbers.
        let kind = match () {
            () if value.to_f64().is_some() && value.to_u64().is_none() => "float",
            () if value.to_u64().is_some() => "number",
            () if value.to_borrowed_str().is_some() => "text",
            () => "debug",
        };
        self.0.insert(key.to_string(), format!("{kind} {value}"));
        Ok(())
    }
}

/// What is logged by a call on this thread.
fn logged(call: impl FnOnce()) -> Vec<Kept> {
    static INSTALL: Once = Once::new();
    INSTALL.call_once(|| {
        log::set_logger(&Capture).unwrap();
        log::set_max_level(LevelFilter::Trace);
    });
    KEPT.take();
    call();
    KEPT.take()
}

fn policy() -> Retry<&'static str> {
    Retry::on()
        .wait_jitter(Duration::ZERO)
        .attempts(3)
        .named("fetch")
        .timer(Timer::custom(clock()))
}

fn down() -> Result<(), &'static str> {
    Err("down")
}

fn pairs<const N: usize>(pairs: [(&str, &str); N]) -> BTreeMap<String, String> {
    pairs
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .into()
}

#[test]
fn retries_and_giving_up() {
    let records = logged(|| assert!(policy().call(down).is_err()));
    let [first, second, gave_up] = &records[..] else {
        panic!("{records:#?}");
    };
    assert!(
        records
            .iter()
            .all(|record| (record.level, record.target.as_str()) == (Level::Warn, "stamina"))
    );
    assert_eq!(
        second.pairs,
        pairs([
            ("callable", "text fetch"),
            ("retry_num", "number 2"),
            ("wait_for", "float 0.2"),
            ("waited_so_far", "float 0.1"),
            ("caused_by", "debug \"down\""),
            ("error_type", "text &str"),
        ])
    );
    assert_eq!(first.pairs["retry_num"], "number 1");
    assert_eq!(first.pairs["waited_so_far"], "float 0");
    for part in [
        "stamina.retry_scheduled",
        "fetch",
        "retry_num=2",
        "0.200",
        "0.100",
        "\"down\"",
    ] {
        assert!(second.text.contains(part), "{}", second.text);
    }
    assert!(second.text.starts_with("stamina.retry_scheduled"));
    assert!(gave_up.text.starts_with("stamina.gave_up"));
    for (key, value) in [
        ("callable", "text fetch"),
        ("attempts", "number 3"),
        ("reason", "text attempts_exhausted"),
        ("caused_by", "debug \"down\""),
        ("error_type", "text &str"),
    ] {
        assert_eq!(gave_up.pairs[key], value);
    }
    for part in ["fetch", "attempts=3", "attempts_exhausted", "\"down\""] {
        assert!(gave_up.text.contains(part), "{}", gave_up.text);
    }
}

#[test]
fn recovering() {
    let mut errors = ["down"].into_iter();
    let records = logged(|| policy().call(|| errors.next().map_or(Ok(()), Err)).unwrap());
    let recovered = &records[1];
    assert_eq!(
        (recovered.level, recovered.target.as_str()),
        (Level::Info, "stamina")
    );
    assert!(
        recovered.text.starts_with("stamina.recovered"),
        "{}",
        recovered.text
    );
    assert_eq!(recovered.pairs["attempts"], "number 2");
    assert_eq!(recovered.pairs["callable"], "text fetch");
}

#[test]
fn nothing_where_there_is_nothing_to_tell() {
    #[track_caller]
    fn silent(call: impl FnOnce()) {
        assert_eq!(logged(call), []);
    }
    silent(|| policy().call(|| Ok(())).unwrap());
    silent(|| assert!(policy().when(|_| false).call(down).is_err()));
    silent(|| {
        let _off = testing::inactive();
        assert!(policy().call(down).is_err());
    });
    silent(|| {
        let _muted = instrument::scoped_hooks([]);
        assert!(policy().call(down).is_err());
    });
}

#[test]
fn arguments_are_never_logged() {
    let send = policy().wrap(|password: String| {
        if password.is_empty() {
            Ok(())
        } else {
            Err("down")
        }
    });
    let records = logged(|| assert!(send("hunter2".to_owned()).is_err()));
    assert_eq!(records.len(), 3);
    assert!(!format!("{records:?}").contains("hunter2"));
}

#[test]
fn the_hook_can_be_had_alone() {
    let _hooks = instrument::scoped_hooks([Arc::new(LogHook) as Arc<dyn Hook>]);
    assert_eq!(logged(|| assert!(policy().call(down).is_err())).len(), 3);
}

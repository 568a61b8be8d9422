//! Log records, as a logger sees them.
//!
//! Alone in its process: it installs a logger.
#![cfg(feature = "log")]

mod support;

use log::kv::{self, Key, Value, VisitSource};
use log::{Level, LevelFilter, Log, Metadata, Record};
use stamina::instrument::{self, Hook, LogHook};
use stamina::{Retry, Timer, testing};
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::fmt::{self, Debug, Formatter};
use std::sync::{Arc, Mutex, Once};
use std::time::Duration;
use support::clock;

#[derive(Clone, Debug, PartialEq)]
struct Kept {
    level: Level,
    target: String,
    text: String,
    pairs: BTreeMap<String, String>,
    /// How many key-values there are, that of `callable`, and that of a key that no record has.
    looked_up: (usize, Option<String>, Option<String>),
}

thread_local! {
    static KEPT: RefCell<Vec<Kept>> = const { RefCell::new(Vec::new()) };
    static SHOWS: Cell<Shows> = const { Cell::new(Shows::Both) };
}

/// What a logger shows of a record.
#[derive(Clone, Copy, PartialEq)]
enum Shows {
    Both,
    Text,
    /// Two loggers behind one, of which the second shows the text alone.
    BothAndText,
    /// It drops the record.
    Nothing,
}

/// Keeps the records of each thread.
struct Capture;

impl Log for Capture {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &Record<'_>) {
        let shows = SHOWS.get();
        if shows == Shows::Nothing {
            return;
        }
        let look_up = |key: &str| Some(record.key_values().get(key.into())?.to_string());
        let mut kept = Kept {
            level: record.level(),
            target: record.target().to_owned(),
            text: record.args().to_string(),
            pairs: BTreeMap::new(),
            looked_up: (
                record.key_values().count(),
                look_up("callable"),
                look_up("colour"),
            ),
        };
        if shows != Shows::Text {
            let mut pairs = Pairs(BTreeMap::new());
            record.key_values().visit(&mut pairs).unwrap();
            kept.pairs = pairs.0;
        }
        if shows == Shows::BothAndText {
            assert_eq!(record.args().to_string(), kept.text);
        }
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

/// What a logger that shows key-values logs during a call.
fn logged(call: impl FnOnce()) -> Vec<Kept> {
    logged_by(Shows::Both, call)
}

/// What such a logger logs during a call, once the library knows it.
fn logged_by(shows: Shows, call: impl FnOnce()) -> Vec<Kept> {
    static INSTALL: Once = Once::new();
    // There is one logger, so the library knows one.
    static ALONE: Mutex<()> = Mutex::new(());
    let _alone = support::lock(&ALONE);
    INSTALL.call_once(|| {
        log::set_logger(&Capture).unwrap();
        log::set_max_level(LevelFilter::Trace);
    });
    SHOWS.set(shows);
    assert!(policy().attempts(1).call(down).is_err());
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
    for (key, value) in [
        ("callable", "text fetch"),
        ("attempts", "number 3"),
        ("reason", "text attempts_exhausted"),
        ("caused_by", "debug \"down\""),
        ("error_type", "text &str"),
    ] {
        assert_eq!(gave_up.pairs[key], value);
    }
    // The text repeats nothing.
    let texts: Vec<_> = records.iter().map(|record| &record.text[..]).collect();
    let retry = "stamina.retry_scheduled";
    assert_eq!(texts, [retry, retry, "stamina.gave_up"]);
}

#[test]
fn all_is_in_the_text_if_the_logger_shows_no_key_values() {
    let mut errors = ["down"].into_iter();
    for shows in [Shows::Text, Shows::BothAndText] {
        let records = logged_by(shows, || {
            assert!(policy().call(down).is_err());
            policy().call(|| errors.next().map_or(Ok(()), Err)).unwrap();
            errors = ["down"].into_iter();
        });
        let texts: Vec<_> = records.iter().map(|record| &record.text[..]).collect();
        assert_eq!(
            texts,
            [
                "stamina.retry_scheduled callable=fetch retry_num=1 wait_for=0.100 waited_so_far=0.000 error_type=&str \
                 caused_by=\"down\"",
                "stamina.retry_scheduled callable=fetch retry_num=2 wait_for=0.200 waited_so_far=0.100 error_type=&str \
                 caused_by=\"down\"",
                "stamina.gave_up callable=fetch attempts=3 reason=attempts_exhausted waited_so_far=0.300 error_type=&str \
                 caused_by=\"down\"",
                "stamina.retry_scheduled callable=fetch retry_num=1 wait_for=0.100 waited_so_far=0.000 error_type=&str \
                 caused_by=\"down\"",
                "stamina.recovered callable=fetch attempts=2 waited_so_far=0.100",
            ]
        );
    }
}

#[test]
fn a_logger_that_drops_a_record_says_nothing_about_what_it_shows() {
    let records = logged_by(Shows::Text, || {
        SHOWS.set(Shows::Nothing);
        assert!(policy().attempts(1).call(down).is_err());
        SHOWS.set(Shows::Text);
        assert!(policy().attempts(1).call(down).is_err());
    });
    let [seen] = &records[..] else {
        panic!("{records:#?}");
    };
    assert!(seen.text.contains(" callable=fetch "), "{}", seen.text);
}

#[test]
fn a_logger_may_look_up_a_single_key() {
    let records = logged_by(Shows::Text, || {
        assert!(policy().attempts(1).call(down).is_err());
    });
    let [seen] = &records[..] else {
        panic!("{records:#?}");
    };
    assert_eq!(seen.looked_up, (6, Some("fetch".to_owned()), None));
    // A logger that reads one key does not show the others.
    assert!(seen.text.contains(" callable=fetch "), "{}", seen.text);
}

#[test]
fn a_record_is_one_line_of_limited_length() {
    /// Writes twelve bytes a million times, and counts.
    struct Megabytes<'a>(&'a Cell<u32>);
    impl Debug for Megabytes<'_> {
        fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
            (0..1 << 20).try_for_each(|_| {
                self.0.set(self.0.get() + 1);
                f.write_str("twelve bytes")
            })
        }
    }
    let written = Cell::new(0);
    for shows in [Shows::Both, Shows::Text] {
        let records = logged_by(shows, || {
            let policy = Retry::on().attempts(1).named("megabytes");
            assert!(policy.call(|| Err::<(), _>(Megabytes(&written))).is_err());
            let policy = Retry::on().attempts(1).named("chain");
            let error = || anyhow::anyhow!("rain\non the roof").context("down");
            assert!(policy.call(|| Err::<(), _>(error())).is_err());
        });
        let [megabytes, chain] = &records[..] else {
            panic!("{records:#?}");
        };
        // 85 pieces fit.
        assert_eq!(written.replace(0), 86);
        if shows == Shows::Both {
            assert_eq!(megabytes.pairs["caused_by"].len(), "debug ".len() + 1024);
            assert_eq!(chain.pairs["caused_by"], "debug down...");
        } else {
            assert!(
                (1024..1200).contains(&megabytes.text.len()),
                "{}",
                megabytes.text
            );
            assert!(
                megabytes.text.ends_with("twelve bytest..."),
                "{}",
                megabytes.text
            );
            assert!(chain.text.ends_with("caused_by=down..."), "{}", chain.text);
        }
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

//! Reads a script from bytes; zeros once they are used up.

use std::time::Duration;

use stamina::Settings;

use super::call::{Answer, How, Mode, Policy, Step};

#[derive(Clone, Debug)]
pub(crate) struct Bytes<'a>(pub(crate) &'a [u8]);

impl Bytes<'_> {
    pub(crate) fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else {
            return 0;
        };
        self.0 = rest;
        *first
    }

    pub(crate) fn below(&mut self, bound: u8) -> u8 {
        self.byte() % bound
    }

    pub(crate) fn flag(&mut self) -> bool {
        self.byte() % 2 == 1
    }

    fn word(&mut self) -> u64 {
        (0..8).fold(0, |word, _| word << 8 | u64::from(self.byte()))
    }

    pub(crate) fn duration(&mut self) -> Duration {
        let ms = Duration::from_millis;
        match self.byte() % 16 {
            0 | 1 => Duration::ZERO,
            2 => Duration::from_nanos(1),
            3 => ms(1),
            4 => ms(100),
            5 => ms(250),
            6 => Duration::from_secs(1),
            7 => Duration::from_secs(5),
            8 => Duration::from_secs(45),
            9 => Duration::from_secs(86_400),
            10 => Duration::MAX,
            11 => Duration::from_nanos(u64::MAX),
            12 => Duration::from_nanos(self.word()),
            13 => Duration::new(self.word(), u32::from(self.byte())),
            _ => ms(u64::from(self.byte()) * u64::from(self.byte())),
        }
    }

    /// For settings that refuse zero.
    pub(crate) fn some_duration(&mut self) -> Duration {
        self.duration().max(Duration::from_nanos(1))
    }

    pub(crate) fn answer(&mut self) -> Answer {
        match self.below(8) {
            0..=3 => Answer::Retry,
            4 | 5 => Answer::After(self.duration()),
            6 => Answer::Exactly(self.duration()),
            _ => Answer::Stop,
        }
    }

    pub(crate) fn step(&mut self) -> Step {
        const DAY: i64 = 86_400_000_000_000;
        let mix = self.byte();
        Step {
            fails: mix % 8 != 0,
            how: match mix / 8 % 4 {
                0 => How::Again,
                1 => How::Decide,
                2 => How::Skip,
                _ => How::Block,
            },
            undo: if mix / 32 % 4 == 3 { 1 + mix / 128 } else { 0 },
            answer: self.answer(),
            busy: if self.below(4) == 0 {
                self.duration()
            } else {
                Duration::ZERO
            },
            takes: self.duration(),
            yields: self.below(3),
            reset: self.below(16) == 15,
            jump: match self.below(8) {
                0 => i64::from(self.byte()) * -1_000_000_000,
                1 => i64::from(self.byte()) * 100_000_000,
                2 => -10 * DAY,
                3 => i64::from_be_bytes(self.word().to_be_bytes()) % (20 * DAY),
                _ => 0,
            },
        }
    }

    pub(crate) fn policy(&mut self) -> Policy {
        let default = Settings::DEFAULT;
        Policy {
            attempts: match self.below(8) {
                0 => None,
                1 => Some(u32::MAX),
                2 => default.attempts,
                few => Some(u32::from(few) - 2),
            },
            timeout: match self.below(4) {
                0 => None,
                1 => default.timeout,
                _ => Some(self.duration()),
            },
            attempt_timeout: (self.below(4) == 0).then(|| self.some_duration()),
            reset_after: (self.below(4) == 0).then(|| self.some_duration()),
            initial: if self.flag() {
                self.duration()
            } else {
                default.wait_initial
            },
            max: self.flag().then(|| self.duration()),
            jitter: self.flag().then(|| self.duration()),
            base: match self.below(8) {
                0 => 1.0,
                1 => 1.5,
                2 => 10.0,
                3 => f64::MAX,
                4 => 1.0 + f64::from(self.byte()) / 16.0,
                _ => 2.0,
            },
            full: self.below(4) == 0,
            schedule: match self.below(8) {
                0 => Some(|number| Duration::from_millis(u64::from(number) * 7)),
                1 => Some(|number| {
                    if number % 2 == 0 {
                        Duration::ZERO
                    } else {
                        Duration::MAX
                    }
                }),
                _ => None,
            },
            seed: self.flag().then(|| u64::from(self.byte())),
            predicate: self.below(8) != 0,
            outermost_only: self.below(4) == 0,
            budget: self.flag(),
            quiet: self.below(8) == 0,
            cut_answer: self.answer(),
        }
    }

    pub(crate) fn mode(&mut self) -> Mode {
        match self.below(8) {
            0 => Mode::Inactive,
            1 => Mode::Testing {
                attempts: u32::from(self.below(4)) + 1,
                capped: self.flag(),
            },
            _ => Mode::Normal,
        }
    }
}

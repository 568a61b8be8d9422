//! One budget for each key.

use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};

use super::Budget;

/// A budget for each key (host, tenant, shard), so that one that is down doesn't use up the retries of the others.
///
/// There are `N` budgets, 64 by default, and a hash of the key chooses among them. So memory is bounded however many keys
/// there are, nothing is locked or allocated, and it fits a `static`. A key gets the same budget for the life of the
/// process.
///
/// # Keys that share a budget
///
/// Two keys may get the same budget; then each of them limits the other's retries. The chance that one key shares with any of
/// *k* others is `1 - (1 - 1/N)^k`:
///
/// | other keys | `N` = 64 | `N` = 1,024 |
/// |---|---|---|
/// | 1 | 1.6 % | 0.1 % |
/// | 10 | 15 % | 1 % |
/// | 100 | 79 % | 9 % |
///
/// Choose `N` of about a hundred times the number of keys where that matters. A budget takes less than 150 bytes.
///
/// # Examples
///
/// ```
/// use stamina::{Budgets, Retry};
///
/// static HOSTS: Budgets = Budgets::new();
/// static FETCH: Retry<&str> = Retry::on::<&str>();
///
/// fn fetch(host: &str) -> Result<String, &'static str> {
///     FETCH.clone().budget(HOSTS.of(host)).call(|| Ok(format!("a page of {host}")))
/// }
///
/// assert_eq!(fetch("example.org").unwrap(), "a page of example.org");
/// assert!(std::ptr::eq(HOSTS.of("example.org"), HOSTS.of(&String::from("example.org"))));
/// ```
pub struct Budgets<const N: usize = 64> {
    slots: [Budget; N],
}

impl<const N: usize> Budgets<N> {
    /// Budgets with the default settings.
    ///
    /// `N` = 0 does not compile.
    ///
    /// # Examples
    ///
    /// ```
    /// use stamina::Budgets;
    ///
    /// static SHARDS: Budgets<1024> = Budgets::new();
    ///
    /// assert_eq!(SHARDS.of(&7).balance(std::time::Instant::now()), 2.0);
    /// ```
    #[must_use]
    pub const fn new() -> Self {
        const { assert!(N > 0, "stamina: `Budgets` needs at least one slot") };
        Self {
            slots: [const { Budget::new() }; N],
        }
    }

    /// Budgets with the settings of `kind`. All of them have its name in telemetry, so leave it out unless the sum of them is of
    /// interest: a gauge shows whichever reported last.
    ///
    /// # Examples
    ///
    /// ```
    /// use stamina::{Budget, Budgets};
    ///
    /// static TENANTS: Budgets = Budgets::of_kind(Budget::new().floor(1));
    ///
    /// assert_eq!(TENANTS.of("acme").balance(std::time::Instant::now()), 1.0);
    /// ```
    #[must_use]
    pub const fn of_kind(kind: Budget) -> Self {
        let mut budgets = Self::new();
        let mut slot = 0;
        while slot < N {
            budgets.slots[slot].set_like(&kind);
            slot = slot.saturating_add(1);
        }
        // A `const fn` can't drop it, and it owns nothing.
        std::mem::forget(kind);
        budgets
    }

    /// The budget of a key.
    ///
    /// As for a map, keys that are equal have equal hashes, also if one is borrowed: `"a"` and `String::from("a")`.
    ///
    /// # Examples
    ///
    /// ```
    /// static HOSTS: stamina::Budgets = stamina::Budgets::new();
    ///
    /// assert!(std::ptr::eq(HOSTS.of(&("example.org", 443)), HOSTS.of(&("example.org", 443))));
    /// ```
    #[must_use]
    #[allow(
        clippy::cast_possible_truncation,
        reason = "the product's upper half is less than N"
    )]
    pub fn of<K: Hash + ?Sized>(&self, key: &K) -> &Budget {
        // Its keys are fixed, unlike those of a map's hasher, so that a `static` needs no state.
        let mut hasher = DefaultHasher::new();
        key.hash(&mut hasher);
        let slot = u128::from(hasher.finish()).saturating_mul(N as u128) >> 64;
        &self.slots[slot as usize]
    }
}

impl Default for Budgets {
    fn default() -> Self {
        Self::new()
    }
}

impl<const N: usize> fmt::Debug for Budgets<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Budgets")
            .field("slots", &N)
            .field("kind", &self.slots[0])
            .finish()
    }
}

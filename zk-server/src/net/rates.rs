//! How many per second: buckets that fill with time, as pure arithmetic.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Duration;
use zk_zab::Time;

const SECOND: Duration = Duration::from_secs(1);
/// How many addresses are remembered before the idle ones are forgotten.
const ADDRESSES: usize = 1024;

/// A bucket of tokens; all that is kept is when it will be full again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Bucket {
    full_at: Time,
}

impl Bucket {
    /// How long until a token is there, in a bucket of `size` tokens that gets `refill` in a second.
    fn wait(self, size: u64, refill: u64, now: Time) -> Duration {
        let token = token(refill);
        let capacity = token.saturating_mul(u32::try_from(size).unwrap_or(u32::MAX));
        let missing = self.full_at.saturating_since(now);
        (missing + token).saturating_sub(capacity)
    }

    fn take(&mut self, refill: u64, now: Time) {
        self.full_at = self.full_at.max(now) + token(refill);
    }

    /// Takes a token if there is one: at most `rate` at once, and `rate` in each second after.
    pub(super) fn try_take(&mut self, rate: u64, now: Time) -> bool {
        let there = self.wait(rate, rate, now).is_zero();
        if there {
            self.take(rate, now);
        }
        there
    }
}

fn token(refill: u64) -> Duration {
    SECOND / u32::try_from(refill.max(1)).unwrap_or(u32::MAX)
}

/// A bucket for each address. Full ones are forgotten, so that many addresses cost little memory.
#[derive(Debug)]
pub(super) struct PerAddress {
    buckets: HashMap<IpAddr, Bucket>,
    forget_above: usize,
}

impl Default for PerAddress {
    fn default() -> Self {
        Self {
            buckets: HashMap::new(),
            forget_above: ADDRESSES,
        }
    }
}

impl PerAddress {
    /// As [`Bucket::try_take`], for one address.
    pub(super) fn try_take(&mut self, ip: IpAddr, rate: u64, now: Time) -> bool {
        self.bucket(ip, now).try_take(rate, now)
    }

    /// How long this address has to wait for its turn, with `burst` turns at once and one per second.
    pub(super) fn wait(&self, ip: IpAddr, burst: u64, now: Time) -> Duration {
        self.buckets
            .get(&ip)
            .map_or(Duration::ZERO, |bucket| bucket.wait(burst, 1, now))
    }

    /// Takes a turn of an address whether it is there or not.
    pub(super) fn charge(&mut self, ip: IpAddr, now: Time) {
        self.bucket(ip, now).take(1, now);
    }

    fn bucket(&mut self, ip: IpAddr, now: Time) -> &mut Bucket {
        if self.buckets.len() >= self.forget_above {
            self.buckets.retain(|_, bucket| bucket.full_at > now);
            self.forget_above = ADDRESSES.max(self.buckets.len() * 2);
        }
        self.buckets.entry(ip).or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Time {
        Time::since_start(Duration::from_millis(millis))
    }

    #[test]
    fn as_many_as_the_rate_at_once_and_then_one_at_a_time() {
        for rate in [1, 2, 3, 7, 1000] {
            let mut bucket = Bucket::default();
            let mut taken = 0;
            while bucket.try_take(rate, at(5)) {
                taken += 1;
            }
            assert_eq!(taken, rate);
            assert!(!bucket.try_take(rate, at(5)), "one more is refused");
            let next = 5 + 1000_u64.div_ceil(rate);
            assert!(bucket.try_take(rate, at(next)), "until its time has come");
            assert!(!bucket.try_take(rate, at(next)));
        }
    }

    #[test]
    fn addresses_do_not_pay_for_each_other_and_are_forgotten() {
        let mut addresses = PerAddress::default();
        let ip = |n: u32| IpAddr::from(n.to_be_bytes());
        assert!(addresses.try_take(ip(1), 1, at(0)));
        assert!(!addresses.try_take(ip(1), 1, at(0)));
        for n in 2..100_000 {
            let now = at(u64::from(n));
            assert!(addresses.try_take(ip(n), 1, now));
        }
        assert!(addresses.buckets.len() <= 3 * ADDRESSES);
    }

    #[test]
    fn turns_beyond_the_burst_wait_for_one_another() {
        let mut addresses = PerAddress::default();
        let ip = IpAddr::from([127, 0, 0, 1]);
        let wait = |addresses: &PerAddress| addresses.wait(ip, 2, at(0)).as_millis();
        let mut waits = Vec::new();
        for _ in 0..4 {
            waits.push(wait(&addresses));
            addresses.charge(ip, at(0));
        }
        assert_eq!(waits, [0, 0, 1000, 2000]);
    }
}

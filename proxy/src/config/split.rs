//! Shares traffic exactly: not on average, but in every window of as many requests as the weights add up to.

use std::sync::Arc;

/// Backends and their shares. At least one weighs something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Split<B = Arc<str>> {
    /// Backends that weigh something, each with the sum of the weights up to and with its own.
    up_to: Vec<(u64, B)>,
    /// All weights together, in lowest terms.
    total: u64,
    /// How far along the weights the next request is from this one. Coprime to `total`, so that a window of `total`
    /// requests meets every place once; near the golden section of it, so that a backend's turns are spread out.
    stride: u64,
}

/// Which one a request is among those that a split shares out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Turn {
    /// How many came before it.
    pub number: u64,
    /// Chosen once by whoever counts, at random, so that no two of them go through the backends in step.
    pub seed: u64,
}

/// Why weights cannot be a split.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadWeights {
    /// There is nobody to send anything to.
    #[error("no backend weighs anything")]
    Nothing,
    /// More than 2^32: also Envoy's bound.
    #[error("the weights add up to more than 2^32")]
    TooMuch,
}

impl Split {
    /// Shares by these weights, of which only the ratio counts.
    pub fn new(weights: impl IntoIterator<Item = (Arc<str>, u32)>) -> Result<Self, BadWeights> {
        let weights: Vec<_> = weights.into_iter().filter(|&(_, weight)| weight > 0).collect();
        let divisor = weights.iter().fold(0, |divisor, &(_, weight)| gcd(divisor, u64::from(weight)));
        let sum: u64 = weights.iter().map(|&(_, weight)| u64::from(weight)).sum();
        if divisor == 0 {
            return Err(BadWeights::Nothing);
        }
        if sum > 1 << 32 {
            return Err(BadWeights::TooMuch);
        }
        let mut so_far = 0;
        let up_to = weights.into_iter().map(|(backend, weight)| {
            so_far += u64::from(weight) / divisor;
            (so_far, backend)
        });
        let total = sum / divisor;
        Ok(Self { up_to: up_to.collect(), total, stride: stride(total) })
    }

    /// Everything to one backend.
    pub fn whole(backend: Arc<str>) -> Self {
        Self { up_to: vec![(1, backend)], total: 1, stride: 1 }
    }
}

impl<B> Split<B> {
    /// The same shares of what `backend` makes of each.
    pub fn to<C>(&self, mut backend: impl FnMut(&B) -> C) -> Split<C> {
        let up_to = self.up_to.iter().map(|(end, name)| (*end, backend(name))).collect();
        Split { up_to, total: self.total, stride: self.stride }
    }

    /// The backend whose turn it is. Turns make windows of [`Split::total`], and of every window each backend has exactly
    /// its weight. Where a window begins is another place every time, so that any one turn is as likely to be a
    /// backend's as its weight says: callers that alternate do not each meet a backend of their own.
    pub fn pick(&self, Turn { number, seed }: Turn) -> &B {
        let (window, step) = (number / self.total, number % self.total);
        let place = (step * self.stride + scattered(seed, window) % self.total) % self.total;
        let index = self.up_to.partition_point(|&(end, _)| end <= place);
        &self.up_to[index].1
    }

    /// How many turns it takes until every backend has had exactly its share.
    pub fn total(&self) -> u64 {
        self.total
    }

    /// The backends that weigh something, with their weights in lowest terms.
    pub fn shares(&self) -> impl Iterator<Item = (&B, u64)> {
        self.up_to.iter().scan(0, |before, (end, backend)| Some((backend, end - std::mem::replace(before, *end))))
    }
}

const fn gcd(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { gcd(b, a % b) }
}

/// The number nearest to the golden section of `total` that has no divisor in common with it. There is always one:
/// 1 at the latest.
fn stride(total: u64) -> u64 {
    // 0.6180339887 in ten digits; total is at most 2^32, so that the product fits.
    const GOLDEN: u128 = 6_180_339_887;
    let golden = u64::try_from(u128::from(total) * GOLDEN / 10_000_000_000).expect("less than total").max(1);
    let outwards = (0..total).flat_map(|away| [golden.saturating_add(away), golden.saturating_sub(away)]);
    outwards.into_iter().find(|&step| step > 0 && gcd(step, total) == 1).unwrap_or(1)
}

/// A number for each window that looks like chance and is not: the `index`-th of `SplitMix64` (Steele, Lea and Flood 2014).
const fn scattered(seed: u64, index: u64) -> u64 {
    let z = seed.wrapping_add(index.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashMap;

    fn split(weights: &[u32]) -> Split {
        Split::new(weights.iter().enumerate().map(|(index, &weight)| (index.to_string().into(), weight))).unwrap()
    }

    const SEED: u64 = 42;

    fn pick(split: &Split, number: u64) -> &str {
        split.pick(Turn { number, seed: SEED })
    }

    fn counts(split: &Split, turns: impl Iterator<Item = u64>) -> HashMap<String, u64> {
        let mut counts = HashMap::new();
        for turn in turns {
            *counts.entry(pick(split, turn).to_owned()).or_default() += 1;
        }
        counts
    }

    /// A small generator of numbers, so that a failure can be had again.
    fn numbers(seed: u64) -> impl FnMut() -> u64 {
        let mut index = 0;
        move || {
            index += 1;
            scattered(seed, index)
        }
    }

    #[test]
    fn is_exact_over_every_window() {
        let mut next = numbers(7);
        for _ in 0..300 {
            let weights: Vec<u32> = (0..=next() % 6).map(|_| u32::try_from(next() % 40).unwrap()).collect();
            let Ok(split) = Split::new(weights.iter().enumerate().map(|(i, &w)| (i.to_string().into(), w))) else {
                assert!(weights.iter().all(|&weight| weight == 0));
                continue;
            };
            let divisor = weights.iter().fold(0, |d, &w| gcd(d, u64::from(w)));
            let start = next() % 1_000_000 * split.total();
            let counted = counts(&split, start..start + split.total());
            for (index, &weight) in weights.iter().enumerate() {
                let got = counted.get(&index.to_string()).copied().unwrap_or(0);
                assert_eq!(got * divisor, u64::from(weight), "{weights:?} from {start}");
            }
        }
    }

    #[test]
    fn spreads_the_turns_of_a_backend_out() {
        let split = split(&[900, 101]);
        let turns: Vec<u64> = (0..1001).filter(|&turn| pick(&split, turn) == "1").collect();
        let gaps: Vec<u64> = turns.windows(2).map(|pair| pair[1] - pair[0]).collect();
        assert_eq!(turns.len(), 101);
        assert!(gaps.iter().all(|gap| (5..=15).contains(gap)), "{gaps:?}");
    }

    #[test]
    fn is_fair_to_callers_that_take_turns_with_each_other() {
        for weights in [&[50, 50][..], &[90, 10], &[1, 1, 1], &[2, 1, 1]] {
            let split = split(weights);
            for callers in 2..=5 {
                let counted = counts(&split, (0..20_000).map(|turn| turn * callers));
                for (index, &weight) in weights.iter().enumerate() {
                    let share = 20_000 * u64::from(weight) / u64::from(weights.iter().sum::<u32>());
                    let got = counted.get(&index.to_string()).copied().unwrap_or(0);
                    assert!(got.abs_diff(share) < 500, "{got} instead of {share}: {weights:?}, every {callers}th");
                }
            }
        }
    }

    #[test]
    fn lets_those_who_count_begin_with_any_backend() {
        let split = split(&[90, 10]);
        let first = (0..10_000).filter(|&seed| &**split.pick(Turn { number: 0, seed }) == "1").count();
        assert!((800..1_200).contains(&first), "{first} of 10,000 begin with the one that has a tenth");
    }

    #[test]
    fn keeps_near_the_ratio_all_the_way_where_weights_are_large() {
        let split = split(&[999_999, 1_000_000, 1]);
        for run in [10_u64, 100, 1_000, 10_000] {
            let counted = counts(&split, 0..run);
            let difference = counted["0"].abs_diff(counted["1"]);
            assert!(difference <= 12, "{difference} after {run}");
        }
    }

    #[test]
    fn never_sends_anything_to_what_weighs_nothing() {
        let split = split(&[0, 100, 0]);
        assert_eq!(counts(&split, 0..1000), HashMap::from([("1".to_owned(), 1000)]));
        assert_eq!(split.total(), 1);
    }

    #[test]
    fn takes_totals_up_to_two_to_the_32() {
        let most = split(&[u32::MAX, 1]);
        assert_eq!(most.total(), 1 << 32);
        assert_eq!(gcd(most.stride, most.total), 1);
        assert_eq!((0..1_000).filter(|&turn| pick(&most, u64::MAX - turn) == "0").count(), 1_000);
        let weights = [(Arc::from("a"), u32::MAX), (Arc::from("b"), 2)];
        assert_eq!(Split::new(weights), Err(BadWeights::TooMuch));
        assert_eq!(Split::new([(Arc::from("a"), 0)]), Err(BadWeights::Nothing));
        assert_eq!(Split::new([]), Err(BadWeights::Nothing));
    }

    #[test]
    fn says_its_shares_in_lowest_terms() {
        let shares: Vec<_> = split(&[90, 0, 10]).shares().map(|(name, weight)| (name.to_string(), weight)).collect();
        assert_eq!(shares, [("0".to_owned(), 9), ("2".to_owned(), 1)]);
    }
}

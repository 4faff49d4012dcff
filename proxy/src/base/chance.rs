//! Chance, for spreading things out, never for secrets.

use std::hash::{BuildHasher, RandomState};

/// 64 bits, others each time.
pub fn bits() -> u64 {
    RandomState::new().hash_one(0_u8)
}

/// A number from 0 up to 1, another one each time.
pub fn fraction() -> f64 {
    let bits = u32::try_from(bits() >> 32).expect("32 bits are left");
    f64::from(bits) / f64::from(u32::MAX)
}

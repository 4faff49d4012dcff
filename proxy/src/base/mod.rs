//! Words and tools that everybody uses. They import nothing.

pub mod backoff;
pub mod chance;
pub mod gate;
pub mod ledger;
pub mod published;
pub mod shares;
pub mod spiffe;
pub mod wall_clock;
pub mod worker;

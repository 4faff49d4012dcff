//! Everything that is tested from outside, in one binary: linking is the slow part.

mod scenarios;

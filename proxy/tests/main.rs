//! Everything that is tested from outside, in one binary: linking is the slow part.

mod data_path;
mod decode;
mod imports;
mod refusals;
mod scenarios;
mod support;

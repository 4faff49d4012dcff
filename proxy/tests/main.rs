//! Everything that is tested from outside, in one binary: linking is the slow part.

mod admin;
mod anchors;
mod answers;
mod crowds;
mod data_path;
mod decode;
mod descriptors;
mod ending;
mod expiry;
mod frozen;
mod heads;
mod identity;
mod imports;
mod process;
mod program;
mod refusals;
mod renewal;
mod resends;
mod scenarios;
mod standstill;
mod support;
mod terminal;
mod upgrades;
mod users;
mod vanished;
mod xds;

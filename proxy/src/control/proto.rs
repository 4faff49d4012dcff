//! The messages of our own, `proto/sluice/v1`: how an identity is got, what was refused, where a workload is.
#![allow(missing_docs, clippy::all, clippy::pedantic)]

tonic::include_proto!("sluice.v1");

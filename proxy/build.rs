//! Turns the messages of our own, `proto/sluice/v1`, into Rust. No protoc: the compiler is a Rust library.

use std::path::Path;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let root = Path::new("../proto");
    let files = ["identity", "refusal", "registration"].map(|name| root.join(format!("sluice/v1/{name}.proto")));
    println!("cargo::rerun-if-changed=../proto");
    let descriptors = protox::compile(files, [root])?;
    tonic_prost_build::configure().build_transport(false).compile_fds(descriptors)?;
    Ok(())
}

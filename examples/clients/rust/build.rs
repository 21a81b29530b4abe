//! Makes the client from the contract, in Rust alone: protox compiles the .proto, tonic writes the code.
use std::{env, error::Error, path::PathBuf};

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-env-changed=AGENTBUS");
    let package = env::var("AGENTBUS").unwrap_or_else(|_| "node_modules/agentbus".into());
    let proto = PathBuf::from(package).join("proto");
    println!("cargo:rerun-if-changed={}", proto.display());
    let contract = protox::compile(["agentbus/v1/message_bus.proto"], [proto])?;
    tonic_prost_build::configure().build_server(false).compile_fds(contract)?;
    Ok(())
}

//! Lets the library's sources take the model checker's primitives where this package looks at them.

fn main() {
    let part = std::env::var("CARGO_PKG_NAME").unwrap();
    let part = part.strip_prefix("stamina-shuttle-").unwrap();
    println!("cargo::rustc-cfg=shuttle=\"{part}\"");
    // The library's other features are not built here.
    println!(
        "cargo::rustc-check-cfg=cfg(feature, values(\"fleet\", \"http\", \"serde\", \"tokio\", \"tower\", \"tracing\"))"
    );
    println!("cargo::rerun-if-changed=build.rs");
}

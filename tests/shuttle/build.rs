//! Lets the library's sources take shuttle's atomics instead of the standard library's.

fn main() {
    println!("cargo::rustc-cfg=shuttle");
    // The library's other features are not built here.
    println!(
        "cargo::rustc-check-cfg=cfg(feature, values(\"fleet\", \"http\", \"serde\", \"tokio\", \"tower\"))"
    );
    println!("cargo::rerun-if-changed=build.rs");
}

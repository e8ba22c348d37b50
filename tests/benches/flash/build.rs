//! The linker script of cortex-m-rt; the board's own build script says where its memory is.

fn main() {
    println!("cargo:rustc-link-arg-bins=-Tlink.x");
}

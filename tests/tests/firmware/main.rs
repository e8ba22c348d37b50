//! The images of `firmware-sim/cortex-m` on an emulated board, beside a real hub.

mod board;
mod echo;
mod hub4;
mod logs;
mod proxy;
mod sensor;

use board::{Board, images};

/// Tells what an image took, to a person and to `.ci/firmware`.
fn report(figure: &str, image: &str, value: usize) {
    use std::io::Write;
    println!("{figure} {image} {value}");
    if let Some(path) = std::env::var_os("HALLOO_FIRMWARE_REPORT") {
        let file = std::fs::File::options()
            .append(true)
            .create(true)
            .open(path);
        writeln!(file.unwrap(), "{figure} {image} {value}").unwrap();
    }
}

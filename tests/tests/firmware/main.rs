//! The images of `firmware-sim/cortex-m` on an emulated board, beside a real hub.

mod board;
mod echo;
mod hub4;
mod logs;
mod proxy;
mod sensor;

use board::{Board, images};

#[test]
fn a_board_is_gone_when_its_test_panics() {
    let Some(images) = images() else { return };
    let (told, pid) = std::sync::mpsc::channel();
    let test = std::thread::spawn(move || {
        let (board, _lines) = Board::start(images, "echo", 1);
        told.send(board.pid()).unwrap();
        panic!("as a test does that fails");
    });
    let pid = pid.recv().unwrap();
    assert!(test.join().is_err());
    assert!(!std::path::Path::new(&format!("/proc/{pid}")).exists());
}

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

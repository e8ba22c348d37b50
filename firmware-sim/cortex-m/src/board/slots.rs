//! Memory for what a program makes at its start and keeps for good.

use core::cell::UnsafeCell;
use core::fmt;
use core::mem::MaybeUninit;
use core::sync::atomic::{AtomicBool, Ordering};

/// Room for `N` of a `T`, in a static of the program: neither on the stack, nor as an image in flash.
pub struct Slots<T, const N: usize> {
    is_taken: AtomicBool,
    cells: UnsafeCell<[MaybeUninit<T>; N]>,
}

// SAFETY: `fill` gives the cells away once, to who makes what is in them: nothing is sent anywhere.
unsafe impl<T, const N: usize> Sync for Slots<T, N> {}

impl<T, const N: usize> fmt::Debug for Slots<T, N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Slots").finish_non_exhaustive()
    }
}

impl<T: 'static, const N: usize> Slots<T, N> {
    /// Room that nothing is in.
    #[must_use]
    #[expect(clippy::new_without_default, reason = "for statics")]
    pub const fn new() -> Self {
        Self {
            is_taken: AtomicBool::new(false),
            cells: UnsafeCell::new([const { MaybeUninit::uninit() }; N]),
        }
    }

    /// Fills the room, one after the other; empty the second time.
    // Not part of its caller: the stack has what `make` makes only until this returns.
    #[inline(never)]
    #[expect(clippy::mut_from_ref, reason = "given once")]
    pub fn fill(&'static self, mut make: impl FnMut() -> T) -> &'static mut [T] {
        if self.is_taken.swap(true, Ordering::Relaxed) {
            return &mut [];
        }
        // SAFETY: nobody else passes the flag, so this is the only reference, ever.
        let cells = unsafe { &mut *self.cells.get() };
        for cell in cells.iter_mut() {
            cell.write(make());
        }
        // SAFETY: the loop wrote every one.
        unsafe { cells.assume_init_mut() }
    }
}

//! Memory that a reset spares, in two copies, so that a reset in the middle of a change costs nothing.
//!
//! It stands for what a product has: two sectors of flash, an FRAM, or RAM under a battery. A program
//! changes the live copy as it likes and calls [`Kept::keep`] where it has to be able to go on from; the
//! next start has what was kept last, whatever the reset interrupted. What flash would add, and this
//! lacks: it does not survive the loss of power (then it is seen to be empty), it wears out by nothing,
//! and it carries no check of its bits.

use core::cell::UnsafeCell;
use core::fmt;
use core::mem::MaybeUninit;
use core::ops::{Deref, DerefMut};
use core::ptr::{addr_of, addr_of_mut};
use core::sync::atomic::{AtomicBool, Ordering, compiler_fence};

/// The copy in `kept` is whole.
const KEPT: u32 = 0x6b65_7074;
/// The copy in `live` is whole, and is being copied to `kept`.
const COPYING: u32 = 0x636f_7079;

static IS_TAKEN: AtomicBool = AtomicBool::new(false);

#[repr(C)]
struct Cells<T> {
    /// One of the two marks, and the image that the copies are of.
    mark: u32,
    /// At power-up, whatever the memory cells fell into.
    noise: u64,
    kept: T,
    live: T,
}

/// A place for a `T` that a reset spares; [`retained!`](crate::retained) makes one. There is one in an
/// image.
pub struct Retained<T>(UnsafeCell<MaybeUninit<Cells<T>>>);

// SAFETY: `take` gives the place away once.
unsafe impl<T: Send> Sync for Retained<T> {}

impl<T> fmt::Debug for Retained<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Retained").finish_non_exhaustive()
    }
}

impl<T: Clone + Send + 'static> Retained<T> {
    /// A place that nothing is in.
    #[must_use]
    #[expect(clippy::new_without_default, reason = "a static, made by `retained!`")]
    pub const fn new() -> Self {
        Self(UnsafeCell::new(MaybeUninit::uninit()))
    }

    /// What was kept by this image before the reset; else what `fresh` makes out of noise. `None` the
    /// second time.
    #[must_use]
    pub fn take(&'static self, fresh: impl FnOnce(u64) -> T) -> Option<Kept<T>> {
        if IS_TAKEN.swap(true, Ordering::Relaxed) {
            return None;
        }
        let cells = self.0.get().cast::<Cells<T>>();
        let image = image();
        // SAFETY: `cells` is aligned memory of this static that nobody else uses, since the flag let us
        // pass. The marks and the noise are integers, which are good whatever the bytes are. A copy is
        // read as a `T` only behind a mark of this very image, which wrote it before the reset: at KEPT
        // nothing has touched `kept` since, and at COPYING nothing has touched `live`. A `T` that is
        // Send and 'static, written by this image, has nothing in it that a reset makes invalid.
        unsafe {
            let found = addr_of!((*cells).mark).read_volatile() ^ image;
            let (kept, live) = (addr_of_mut!((*cells).kept), addr_of_mut!((*cells).live));
            match found {
                KEPT => live.copy_from_nonoverlapping(kept, 1),
                COPYING => {}
                _ => live.write(fresh(addr_of!((*cells).noise).read_volatile())),
            }
            let mut place = Kept {
                mark: &mut *addr_of_mut!((*cells).mark),
                image,
                kept: &mut *kept.cast(),
                live: &mut *live,
                is_old: matches!(found, KEPT | COPYING),
            };
            place.keep();
            Some(place)
        }
    }
}

/// What a reset spares, as it was at the last [`keep`](Self::keep).
pub struct Kept<T: 'static> {
    mark: &'static mut u32,
    image: u32,
    kept: &'static mut MaybeUninit<T>,
    live: &'static mut T,
    is_old: bool,
}

impl<T> fmt::Debug for Kept<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Kept").finish_non_exhaustive()
    }
}

impl<T> Kept<T> {
    /// Whether it comes from before a reset.
    #[must_use]
    pub const fn is_old(&self) -> bool {
        self.is_old
    }

    /// From here on a reset goes on from what it is now. Work: one copy.
    pub fn keep(&mut self) {
        self.say(COPYING);
        // SAFETY: both are valid for one `T` and are different fields. The copy is a `T` for nobody
        // before the next start, when the one that it was made of is gone: no value is doubled.
        unsafe {
            self.kept
                .as_mut_ptr()
                .copy_from_nonoverlapping(&raw const *self.live, 1);
        }
        self.say(KEPT);
    }

    fn say(&mut self, mark: u32) {
        compiler_fence(Ordering::SeqCst);
        // SAFETY: a plain write to a reference, which the compiler is to leave where it stands.
        unsafe { (&raw mut *self.mark).write_volatile(mark ^ self.image) };
        compiler_fence(Ordering::SeqCst);
    }
}

impl<T> Deref for Kept<T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.live
    }
}

impl<T> DerefMut for Kept<T> {
    fn deref_mut(&mut self) -> &mut T {
        self.live
    }
}

/// A number for this image: another one makes nothing of what this one kept.
fn image() -> u32 {
    unsafe extern "C" {
        static __stext: u32;
        static __erodata: u32;
    }
    let (mut at, end) = (addr_of!(__stext), addr_of!(__erodata));
    let mut sum = 0_u32;
    while at < end {
        // SAFETY: the linker script puts words of this program, which do not change, between the two.
        unsafe {
            sum = sum.rotate_left(1) ^ at.read_volatile();
            at = at.add(1);
        }
    }
    sum
}

//! Allocations, counted in a build that does: `cargo build --release --features count-allocations`.
//! Counting costs a few nanoseconds each, so that such a build says so, and its times are not for
//! comparing.

/// Allocations of this process so far; `None` in a build that does not count.
pub fn count() -> Option<u64> {
    #[cfg(feature = "count-allocations")]
    return Some(counting::ALLOCATIONS.load(std::sync::atomic::Ordering::Relaxed));
    #[cfg(not(feature = "count-allocations"))]
    None
}

#[cfg(feature = "count-allocations")]
mod counting {
    use std::alloc::{GlobalAlloc, Layout};
    use std::sync::atomic::{AtomicU64, Ordering};

    pub(super) static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);

    /// An allocator that counts what is asked of it: every allocation and every reallocation.
    #[derive(Debug, Default)]
    pub struct Counting<A>(pub A);

    // SAFETY: everything is the inner allocator's; the counter neither allocates nor panics.
    unsafe impl<A: GlobalAlloc> GlobalAlloc for Counting<A> {
        unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
            ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
            // SAFETY: the caller's promise is passed on.
            unsafe { self.0.alloc(layout) }
        }

        unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
            ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
            // SAFETY: as above.
            unsafe { self.0.alloc_zeroed(layout) }
        }

        unsafe fn realloc(&self, place: *mut u8, layout: Layout, size: usize) -> *mut u8 {
            ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
            // SAFETY: as above.
            unsafe { self.0.realloc(place, layout, size) }
        }

        unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
            // SAFETY: as above.
            unsafe { self.0.dealloc(place, layout) }
        }
    }
}

#[cfg(feature = "count-allocations")]
pub use counting::Counting;

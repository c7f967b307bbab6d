//! Headers, which anybody may have written.

use std::cell::Cell;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Once;

thread_local! {
    /// Whether this thread looks at headers, and takes a panic for an answer.
    static LOOKS: Cell<bool> = const { Cell::new(false) };
}

/// What a look at headers finds. `None` where the name of one is no UTF-8: a name may be any bytes, and the binding of the client panics
/// on those.
pub(super) fn look<T>(look: impl FnOnce() -> T) -> Option<T> {
    static QUIET: Once = Once::new();
    // Whoever can write to a topic could fill our log with panics otherwise.
    QUIET.call_once(|| {
        let tell = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if !LOOKS.get() {
                tell(info);
            }
        }));
    });
    LOOKS.set(true);
    let found = panic::catch_unwind(AssertUnwindSafe(look));
    LOOKS.set(false);
    found.ok()
}
